"""Whether a host is this machine's own loopback."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a name or an address, as in a Host header with or without its port, never leaves this machine.

    A name that only looks like an address (`127.somebody.example`) is somebody else's.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
