"""Where a run's objects are: ids of one org and sandbox mean nothing in another (platform-api.md §12 T22)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from flowledger.steps.client.paths import is_loopback


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
