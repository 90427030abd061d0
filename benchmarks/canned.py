"""A server that answers the tutorial's calls with canned bodies, as fast as Python can, in a process of its own.

Both sides of a comparison talk to it, so that what differs is the client. It checks nothing and keeps nothing.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import multiprocessing.connection
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

UUID = "11111111-2222-3333-4444-555555555555"
SINK_UUID = "66666666-7777-8888-9999-000000000000"
HEX24 = "5e8918669cbbee18ad9771f3"
TENANT = "https://ns.adobe.com/canned"
DATE_TIME = {"type": "string", "format": "date-time"}
COLUMNS = [
    *(
        {"name": name, "type": "string", "xdm": {"type": "string"}}
        for name in ("Product_Id", "Product_Name", "Description", "Type")
    ),
    {"name": "Create_Time", "type": "string", "meta:xdmType": "date-time", "xdm": DATE_TIME},
]
SPECS = {"source": "221c7626-58f6-4eec-8ee2-042b0226f03b", "sink": "c604ff05-7f1a-43c0-8e18-33bf874cb11c"}
FLOW_SPEC = {
    "id": "14518937-270c-4525-bdec-c2ba7cce3860",
    "name": "CRMToAEP",
    "version": "1.0",
    "sourceConnectionSpecIds": [SPECS["source"]],
    "targetConnectionSpecIds": [SPECS["sink"]],
}

ROUTES: list[tuple[str, str, int, object]] = [
    ("POST", r"/ims/token/", 200, {"access_token": "canned-token", "token_type": "bearer", "expires_in": 86399}),
    ("GET", r"/stats", 200, {"imsOrg": "LOCAL@AdobeOrg", "tenantId": "canned", "counts": {}}),
    ("GET", r"/connections/[^/?]+/test", 200, {"result": True}),
    ("GET", r"/connections/[^/?]+/explore\?.*root", 200, [
        {"type": "table", "name": "PayPal.Catalog_Products", "path": "PayPal.Catalog_Products", "canPreview": True,
         "canFetchSchema": True}]),
    ("GET", r"/connections/[^/?]+/explore", 200, {"format": "flat", "schema": {"columns": COLUMNS}}),
    ("GET", rf"/connections/{UUID}$", 200, {
        "items": [{"id": UUID, "state": "enabled", "etag": '"1"', "connectionSpec": {"id": SPECS["source"]}}]}),
    ("GET", rf"/connections/{SINK_UUID}$", 200, {
        "items": [{"id": SINK_UUID, "state": "enabled", "etag": '"1"', "connectionSpec": {"id": SPECS["sink"]}}]}),
    ("GET", r"/connections", 200, {"items": [], "_links": {}}),
    ("POST", r"/sink$", 201, {"id": SINK_UUID, "etag": '"1"'}),
    ("POST", r"/(connections|sourceConnections|targetConnections|flows)", 201, {"id": UUID, "etag": '"1"'}),
    ("POST", r"/tenant/classes", 201, {
        "$id": f"{TENANT}/classes/aa", "meta:altId": "_canned.classes.aa", "version": "1.0",
        "meta:datasetNamespace": "_aa"}),
    ("POST", r"/tenant/schemas", 201, {
        "$id": f"{TENANT}/schemas/bb", "meta:altId": "_canned.schemas.bb", "version": "1.0",
        "meta:datasetNamespace": "_aa"}),
    ("POST", r"/tenant/fieldgroups", 201, {
        "$id": f"{TENANT}/mixins/cc", "meta:altId": "_canned.mixins.cc", "version": "1.0"}),
    ("POST", r"/dataSets", 201, [f"@/dataSets/{HEX24}"]),
    ("POST", r"/mappingSets/validate", 200, {"validationResponse": [{"status": "SUCCESS", "errors": None}]}),
    ("POST", r"/mappingSets", 200, {"id": "b54a8dc38e8d4e31a2dc096e413ae8e5", "version": 0}),
    ("GET", r"/flowSpecs", 200, {"items": [FLOW_SPEC]}),
    ("GET", r"/flows/", 200, {"items": [{"id": UUID, "state": "enabled", "etag": '"1"'}]}),
]  # fmt: skip
COMPILED = [
    (method, re.compile(path), b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
     % (status, len(json.dumps(body).encode()), json.dumps(body).encode()))
    for method, path, status, body in ROUTES
]  # fmt: skip
NOT_CANNED = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


def answer_to(method: str, target: str) -> bytes:
    """The whole canned response for a request line."""
    for wanted, path, response in COMPILED:
        if wanted == method and path.search(target):
            return response
    return NOT_CANNED


class Limit:
    """Lets so many requests a second through and answers 429 to the others; counts both, in tenths of a second."""

    def __init__(self, rate: float, burst: float, *, retry_after: bool) -> None:
        self.rate, self.burst = rate, burst
        self.tokens, self.at = burst, time.monotonic()
        self.bins: dict[int, list[int]] = {}
        header = b"retry-after: 1\r\n" if retry_after else b""
        body = b'{"error_code":"429050","message":"Too many requests"}'
        self.refusal = (
            b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n%s"
            % (header, len(body), body)
        )

    def admits(self) -> bool:
        """Take a token, if there is one."""
        now = time.monotonic()
        self.tokens, self.at = min(self.burst, self.tokens + (now - self.at) * self.rate), now
        good = self.tokens >= 1
        self.tokens -= good
        self.bins.setdefault(int(now * 10), [0, 0])[not good] += 1
        return good

    def counted(self) -> bytes:
        """What was counted since the last time this was asked, as a response; the bucket is full again."""
        body = json.dumps(sorted((at, *counts) for at, counts in self.bins.items())).encode()
        self.bins.clear()
        self.tokens = self.burst
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Canned(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and Content-Length bodies: what both clients send."""

    def __init__(self, limit: Limit | None = None) -> None:
        self.limit = limit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.pending = self.whole_body = b""
        self.known: dict[bytes, bytes] = {}

    def data_received(self, data: bytes) -> None:
        self.pending += data
        while (end := self.pending.find(b"\r\n\r\n")) >= 0:
            head = self.pending[:end]
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.pending) < whole:
                return
            self.whole_body = self.pending[end + 4 : whole]
            self.pending = self.pending[whole:]
            line = head[: head.find(b"\r\n")]
            if self.limit is not None:
                if line.startswith(b"GET /_counted "):
                    self.transport.write(self.limit.counted())
                    continue
                if not self.limit.admits():
                    self.transport.write(self.limit.refusal)
                    continue
            if line.endswith(b"/connections HTTP/1.1") and b'"auth"' not in self.whole_body:
                line = b"POST /sink HTTP/1.1"  # so that each of the two base connections has an id of its own
            if line not in self.known:
                method, target, _ = line.decode().split(" ")
                self.known[line] = answer_to(method, target)
            self.transport.write(self.known[line])


def _serve(ready: multiprocessing.connection.Connection, rate: float, burst: float, retry_after: bool) -> None:
    async def main() -> None:
        limit = Limit(rate, burst, retry_after=retry_after) if rate else None
        server = await asyncio.get_running_loop().create_server(lambda: Canned(limit), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


@contextmanager
def canned_server(rate: float = 0.0, burst: float = 0.0, *, retry_after: bool = False) -> Iterator[str]:
    """A canned server in a process of its own; yields its base URL.

    With `rate` it lets that many requests a second through, `burst` of them at once, and answers 429 to the others;
    GET /_counted says how many, in tenths of a second.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(there, rate, burst, retry_after), daemon=True)
    process.start()
    try:
        if not here.poll(20):
            sys.exit("the canned server did not start")
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()
