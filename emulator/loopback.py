"""Whether a host is this machine's own loopback, and how a client has reached us."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flowledger.emulator.wire import Request


def is_loopback(host: str) -> bool:
    """Whether a name or an address, as in a Host header with or without its port, never leaves this machine.

    A name that only looks like an address (`127.somebody.example`) is somebody else's.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def origin_of(request: Request) -> str:
    """Scheme and host by which the client reached us, to begin links with; "" when it named none.

    A host that is not loopback is a proxy's, which is reached by TLS.
    """
    host = request.headers.get("host", "")
    if not host:
        return ""
    return f"{'http' if is_loopback(host) else 'https'}://{host}"
