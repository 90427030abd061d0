"""Which hosts and origins may call, whether a host is this machine's loopback, and how a client has reached us."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from flowledger.emulator.wire import Request

HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
LARGEST_PORT: Final = 65535


def is_loopback(host: str) -> bool:
    """Whether a name or an address, as in a Host header with or without its port, never leaves this machine.

    A name that only looks like an address (`127.evil.example`) can belong to another machine.
    """
    name = _name_of(host)
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def may_call(request: Request, allowed_hosts: Sequence[str] = ()) -> bool:
    """Whether the call's Host and Origin are this emulator's own: guards against DNS rebinding and CSRF.

    `Host` must be loopback or in `allowed_hosts` (names without a port, or with the one port that is meant). A call in
    the same process has no such header; over HTTP a missing one arrives as an empty text and is refused. `Origin`,
    which only browsers send, must be the same host. `X-Forwarded-Host` and `Forwarded` count for nothing: a web page
    can send them.
    """
    host = request.headers.get("host")
    if host is not None and not is_loopback(host) and not _is_among(host, allowed_hosts):
        return False
    origin = request.headers.get("origin", "")
    if not origin:
        return True
    scheme, _, named = origin.lower().partition("://")
    schemes = ("http",) if is_loopback(host or "") else ("http", "https")  # a proxy may be reached by TLS
    return host is not None and scheme in schemes and named == host.lower()


def origin_of(request: Request) -> str:
    """Scheme and host by which the client reached us, to begin links with; "" when it named none.

    A host that is not loopback is a proxy's, which is reached by TLS.
    """
    host = request.headers.get("host", "")
    if not host:
        return ""
    return f"{'http' if is_loopback(host) else 'https'}://{host}"


def authority_of(target: str) -> str:
    """The host of a request target in absolute form (`http://host/path`), "" for the usual form."""
    return "" if target.startswith(("/", "*")) else urlsplit(target).netloc


def _name_of(host: str) -> str:
    """The name or address of a Host header in lower case, without port and final dot; "" when it is none."""
    found = HOST.fullmatch(host)
    if found is None or int(found["port"] or 0) > LARGEST_PORT:
        return ""
    return found["name"].lower().removesuffix(".")


def _is_among(host: str, allowed: Sequence[str]) -> bool:
    name = _name_of(host)
    named = {one.strip().lower().removesuffix(".") for one in allowed} - {""}
    return bool(name) and (name in named or host.lower() in named)
