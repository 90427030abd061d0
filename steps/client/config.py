"""Where the platform is and who we are there, from FLOWLEDGER_* variables; the secret never from a flag."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # absent from typeshed

from flowledger.errors import NotPermitted
from flowledger.steps.client.clock import Clock, SystemClock
from flowledger.steps.client.paths import is_loopback
from flowledger.steps.client.platform import Credentials, Platform, SecretSource
from flowledger.steps.client.port import Host
from flowledger.steps.client.quoting import LEAVE_THEM_OUT, in_quotes
from flowledger.steps.client.redact import Redactor
from flowledger.steps.client.secrets import AT_ONCE, FileRead, from_command, from_environment, split_command

ADOBE: Final = "https://platform.adobe.io"  # platform-api.md §1.1
_API_PATH: Final = re.compile(r"/(data/foundation|ims/token)(/|$)")  # as Adobe's pages print whole URLs
ADOBE_IMS: Final = "https://ims-na1.adobelogin.com"

SECRET_SOURCES: Final = (
    "FLOWLEDGER_CLIENT_SECRET",
    "FLOWLEDGER_CLIENT_SECRET_FILE",
    "FLOWLEDGER_CLIENT_SECRET_COMMAND",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The base URLs, without a slash at the end."""

    platform: str = ADOBE
    ims: str = ADOBE_IMS


def places_from(environ: Mapping[str, str]) -> Places:
    """The base URLs that the environment names, Adobe's by default.

    A platform on loopback alone is an emulator, which serves IMS too. Raises NotPermitted on a URL that would send
    credentials in the clear, or that is none.
    """
    base, ims = plain(environ, "FLOWLEDGER_BASE_URL"), plain(environ, "FLOWLEDGER_IMS_URL")
    platform = base_url("FLOWLEDGER_BASE_URL", base) if base else ADOBE
    if ims:
        return Places(platform=platform, ims=base_url("FLOWLEDGER_IMS_URL", ims))
    if base and is_loopback(platform):
        return Places(platform=platform, ims=platform)
    return Places(platform=platform)


def org_from(environ: Mapping[str, str]) -> str:
    """The organisation that the environment names; "" if it names none."""
    return plain(environ, "FLOWLEDGER_ORG_ID")


def sandbox_from(environ: Mapping[str, str]) -> str:
    """The sandbox that the environment names, "prod" by default."""
    return plain(environ, "FLOWLEDGER_SANDBOX") or "prod"


def plain(environ: Mapping[str, str], name: str) -> str:
    """A setting without blanks around it. Raises NotPermitted for one in literal quotes."""
    value = environ.get(name, "").strip()
    if in_quotes(value):
        raise NotPermitted(f"{name} has quotes around its value", hint=LEAVE_THEM_OUT)
    return value


def base_url(name: str, text: str) -> str:
    """Check a base URL; `name` is the variable that holds it. Raises NotPermitted."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or not text.isprintable() or " " in text:
        raise NotPermitted(f"{name} is not a base URL", hint="like https://platform.adobe.io or http://127.0.0.1:8480")
    if parts.username is not None or parts.password is not None:
        raise NotPermitted(f"{name} holds credentials", hint="credentials go into the FLOWLEDGER_CLIENT_* variables")
    if _API_PATH.search(parts.path):
        raise NotPermitted(
            f"{name} ends with {parts.path}, which every call's own path begins with",
            hint=f"leave the path out: {name}={parts.scheme}://{parts.netloc.rpartition('@')[2]}",
        )
    if parts.scheme == "http" and not is_loopback(text):
        raise NotPermitted(f"{name} would send credentials in the clear to {parts.hostname}", hint="use https://")
    return text.rstrip("/")


def credentials_from(environ: Mapping[str, str]) -> Credentials:
    """The credentials that the environment holds. Raises NotPermitted naming every missing variable at once.

    The command of FLOWLEDGER_CLIENT_SECRET_COMMAND runs when the first token is asked for, not here.
    """
    client_id = plain(environ, "FLOWLEDGER_CLIENT_ID")
    org = org_from(environ)
    missing = [name for name, value in (("FLOWLEDGER_CLIENT_ID", client_id), ("FLOWLEDGER_ORG_ID", org)) if not value]
    given = [name for name in SECRET_SOURCES if environ.get(name)]
    if not given:
        missing.append("FLOWLEDGER_CLIENT_SECRET (or _FILE, or _COMMAND)")
    if missing:
        raise NotPermitted(
            f"credentials are missing: {', '.join(missing)}",
            hint="export them, or add --local to run against an emulator",
        )
    if len(given) > 1:
        raise NotPermitted(
            f"the client secret is given {len(given)} times: {', '.join(given)}", hint="keep one of them"
        )
    for name, value in (("FLOWLEDGER_CLIENT_ID", client_id), ("FLOWLEDGER_ORG_ID", org)):
        _header_value(name, value)
    return Credentials(client_id=client_id, client_secret=_secret(environ, given[0]), org=org)


def proxies_from(environ: Mapping[str, str], places: Places) -> dict[Host, str]:
    """The proxies for https bases, from HTTPS_PROXY and NO_PROXY in either case. Raises NotPermitted on an odd one."""
    proxy = environ.get("https_proxy", environ.get("HTTPS_PROXY"))  # one that is set and empty is none, as in curl
    if not proxy:
        return {}
    try:
        parts = urlsplit(proxy)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise NotPermitted("HTTPS_PROXY is not a proxy's URL", hint="like http://proxy.example:3128")
    direct = {"no": environ.get("no_proxy", environ.get("NO_PROXY", ""))}
    bases = {Host.PLATFORM: places.platform, Host.IMS: places.ims}
    return {
        host: proxy
        for host, base in bases.items()
        if base.startswith("https:") and not proxy_bypass_environment(urlsplit(base).netloc, direct)
    }


def platform_from_env(
    environ: Mapping[str, str], *, sandbox: str | None = None, clock: Clock | None = None
) -> Platform:
    """A platform over HTTP, as the environment describes it.

    `sandbox` outranks FLOWLEDGER_SANDBOX, whose default is "prod". `FLOWLEDGER_CA_FILE` names certificates to trust
    beside the system's; HTTPS_PROXY and NO_PROXY are honoured, for https bases only.
    Raises NotPermitted, naming every missing variable at once.
    """
    from flowledger.steps.client.http import HttpPort  # lazily: aiohttp costs a third of a second

    places = places_from(environ)
    credentials = credentials_from(environ)
    where = sandbox or sandbox_from(environ)
    _header_value("FLOWLEDGER_SANDBOX", where)
    clock = clock or SystemClock()
    port = HttpPort(
        base_url=places.platform,
        ims_url=places.ims,
        clock=clock,
        ca_file=plain(environ, "FLOWLEDGER_CA_FILE") or None,
        proxies=proxies_from(environ, places),
    )
    return Platform(port, credentials, sandbox=where, clock=clock, redactor=Redactor(), base_url=places.platform)


def _secret(environ: Mapping[str, str], name: str) -> str | SecretSource:
    if name.endswith("_FILE"):
        reading = FileRead(plain(environ, name))
        return reading.value().strip() if reading.wait(AT_ONCE) else reading.get
    if name.endswith("_COMMAND"):
        command = split_command(environ[name])
        if in_quotes(environ[name]) and len(command) == 1 and " " in command[0]:
            raise NotPermitted(f"{name} has quotes around its value", hint=LEAVE_THEM_OUT)
        return partial(from_command, command, dict(environ))
    return from_environment(name, environ).strip()


def _header_value(name: str, value: str) -> None:
    if not value.isascii() or not value.isprintable():
        raise NotPermitted(f"{name} holds characters that cannot be sent in a header", hint=f"check {name}")
