"""The platform on loopback: IMS, Schema Registry, Catalog, Flow Service, Conversion.

`Emulator` is the core, one call in and one answer out; `flowledger.emulator.server` puts it on a socket.
"""

from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.wire import Delivery, Request, Response

__all__ = ["Delivery", "Emulator", "Options", "Request", "Response"]
