"""Read an answer's body within limits: neither an endless one nor a compressed bomb may fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Final

LARGEST: Final = 32 * 1024 * 1024  # bytes, unpacked; the platform's lists are pages of some hundred objects


class BodyTooLarge(Exception):
    """The body is larger than the limit; what is left of it was not read."""


class BodyBroken(Exception):
    """The body's packing is broken, or it ended early."""


class Unpacking:
    """The bytes of a body as they come, unpacked if `encoding` is gzip. Other encodings were not asked for."""

    def __init__(self, encoding: str, *, limit: int = LARGEST) -> None:
        encoding = encoding.strip().lower()
        self.unknown_encoding = encoding if encoding not in ("", "identity", "gzip", "x-gzip") else ""
        self.bytes = bytearray()
        self._limit = limit
        self._inflate = _inflater() if encoding in ("gzip", "x-gzip") else None
        self._packed = 0

    async def read(self, chunks: AsyncIterator[bytes]) -> bytes:
        """The whole body. Raises BodyTooLarge, BodyBroken, or what `chunks` raises; `bytes` keeps what there is."""
        async for chunk in chunks:
            self._packed += len(chunk)
            if self._packed > self._limit:
                raise BodyTooLarge(f"the body is larger than {self._limit} bytes")
            self._take(chunk)
        if self._inflate is not None and not self._inflate.eof and self._packed:
            raise BodyBroken("the gzip body ended early")
        return bytes(self.bytes)

    def _take(self, chunk: bytes) -> None:
        if self._inflate is None:
            self.bytes += chunk
            return
        while chunk:
            if self._inflate.eof:
                self._inflate = _inflater()  # gzip allows several members one after another
            # Asking for one byte more than allowed tells "full" from "too large" without unpacking the rest.
            try:
                self.bytes += self._inflate.decompress(chunk, self._limit - len(self.bytes) + 1)
            except zlib.error as error:
                raise BodyBroken(f"the gzip body is broken: {error}") from None
            if len(self.bytes) > self._limit:
                raise BodyTooLarge(f"the body is larger than {self._limit} bytes when unpacked")
            chunk = self._inflate.unconsumed_tail or self._inflate.unused_data


def _inflater() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)
