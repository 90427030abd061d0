"""Where a run's objects are: ids of one org and sandbox mean nothing in another (platform-api.md §12 T22)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from flowledger.errors import UsageError
from flowledger.steps.client.config import ADOBE, org_from, places_from, sandbox_from
from flowledger.steps.client.paths import is_loopback

if TYPE_CHECKING:
    from flowledger.engine.ledger import Ledger


class Located(Protocol):
    """Whatever says where its calls go: a run's ledger, a platform."""

    @property
    def org(self) -> str: ...
    @property
    def sandbox(self) -> str: ...
    @property
    def base_url(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An org's sandbox on a platform. Equal places know the same ids: an emulator on loopback may change its port."""

    org: str
    sandbox: str
    base_url: str  # "" on loopback


def place_of(where: Located) -> Place:
    """Where ids mean the same as they do there."""
    base_url = "" if is_loopback(where.base_url) else where.base_url
    return Place(org=where.org, sandbox=where.sandbox, base_url=base_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Where calls would go, as far as the environment says it without a secret."""

    org: str
    sandbox: str
    base_url: str


def aim_from(environ: Mapping[str, str]) -> Aim | None:
    """Where the environment points; None if it names no organisation. Raises NotPermitted for a bad base URL."""
    org = org_from(environ)
    if not org:
        return None
    return Aim(org=org, sandbox=sandbox_from(environ), base_url=places_from(environ).platform)


def refuse_another_place(ledger: Ledger, here: Located | None, *, begins: bool = False) -> None:
    """Raise UsageError for a run of another organisation, sandbox or platform than `here` (None: not known).

    `begins`: the verb would begin a run, so that another name is a way to have a second dataflow.
    """
    if here is None or ledger.spec is None or place_of(ledger) == place_of(here):
        return
    raise UsageError(
        f"run {ledger.run} belongs to {said_place(ledger)}; you point at {said_place(here)}",
        hint=(_ANOTHER_NAME if begins else "") + _way_back(ledger),
    )


_ANOTHER_NAME: Final = "for a dataflow here too, give the spec a name of its own; "


def said_place(where: Located) -> str:
    """A place in words."""
    return f"sandbox {where.sandbox} of {where.org} at {where.base_url}"


def _way_back(ledger: Ledger) -> str:
    """How to point at the place that a run belongs to."""
    if is_loopback(ledger.base_url):
        url = "FLOWLEDGER_BASE_URL to the emulator that has it (or add --local)"
    elif ledger.base_url == ADOBE:
        url = "no FLOWLEDGER_BASE_URL"
    else:
        url = f"FLOWLEDGER_BASE_URL={ledger.base_url}"
    return f"for this run set FLOWLEDGER_ORG_ID={ledger.org}, FLOWLEDGER_SANDBOX={ledger.sandbox} and {url}"
