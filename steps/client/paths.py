"""Paths of the platform's APIs, with every id percent-encoded as one segment (platform-api.md §1.1, §2)."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import quote, urlsplit

from flowledger.errors import UsageError

REGISTRY: Final = "/data/foundation/schemaregistry"
CATALOG: Final = "/data/foundation/catalog"
FLOW_SERVICE: Final = "/data/foundation/flowservice"
CONVERSION: Final = "/data/foundation/conversion"
EXPORT: Final = "/data/foundation/export"
TOKEN: Final = "/ims/token/v3"  # noqa: S105 - a path, platform-api.md §1.2

_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")


def registry(path: str, *segments: str) -> str:
    """A Schema Registry path: `registry("/tenant/schemas", id)`.

    `path` is written by us and may hold several plain segments; each of `segments` is one id or word, encoded whole,
    so that a `$id` such as "https://ns.adobe.com/..." fits (§2). Raises UsageError on what cannot be one segment.
    """
    return _joined(REGISTRY, path, segments)


def catalog(path: str, *segments: str) -> str:
    """A Catalog path: `catalog("/dataSets", id)`. As `registry`."""
    return _joined(CATALOG, path, segments)


def flow_service(path: str, *segments: str) -> str:
    """A Flow Service path: `flow_service("/connections", id, "test")`. As `registry`."""
    return _joined(FLOW_SERVICE, path, segments)


def conversion(path: str, *segments: str) -> str:
    """A Conversion (Data Prep) path: `conversion("/mappingSets", id)`. As `registry`."""
    return _joined(CONVERSION, path, segments)


def export(path: str, *segments: str) -> str:
    """A Data Access path: `export("/batches", id, "files")`. As `registry`."""
    return _joined(EXPORT, path, segments)


def segment(text: str) -> str:
    """One path segment, percent-encoded. Raises UsageError if it is empty, "." or "..", or not printable text.

    "." and ".." cannot be protected by encoding: servers and proxies decode them and walk up.
    """
    if text in ("", ".", ".."):
        raise UsageError(f"{text!r} cannot be an id in a path of the platform", hint="check the ids in the spec")
    if not text.isprintable():
        raise UsageError(f"an id holds unprintable characters: {text!r}", hint="check the ids in the spec")
    return quote(text, safe="")


def _joined(base: str, path: str, segments: tuple[str, ...]) -> str:
    own = path.strip("/").split("/")
    for part in own:
        if not _PLAIN_SEGMENT.fullmatch(part) or part in (".", ".."):
            raise UsageError(f"not a plain path: {path!r} (give ids as further arguments, so that they are encoded)")
    return "/".join((base, *own, *(segment(part) for part in segments)))


def host_of(url: str) -> str:
    """The host that a URL names; "" for a text that is no URL, like one with a bracket left open."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine's loopback, by its name: nothing is looked up."""
    host = host_of(url)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
