"""How long the kernel keeps bytes that the other side does not acknowledge: U of the protocol, where it can be set."""

from __future__ import annotations

import socket
import sys
from typing import Final

UNACKNOWLEDGED: Final = 10.0  # U of the protocol: seconds that sent bytes may wait in our kernel
_RXT_CONNDROPTIME: Final = 0x80  # macOS, netinet/tcp.h: seconds of retransmission after which a connection is dropped


def give_up_option() -> tuple[int, int] | None:
    """The TCP option that bounds U, as its number and value; None on a system that has none.

    Linux has TCP_USER_TIMEOUT, in milliseconds, which our tests measure. macOS has TCP_RXT_CONNDROPTIME, in seconds, by
    its header file; it was not measured.
    """
    linux = getattr(socket, "TCP_USER_TIMEOUT", None)
    if linux is not None:
        return linux, int(UNACKNOWLEDGED * 1000)
    return (_RXT_CONNDROPTIME, int(UNACKNOWLEDGED)) if sys.platform == "darwin" else None
