"""The request log as a page for a browser on this machine; it asks the emulator's own routes for what it shows."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from flowledger.emulator.wire import Response

# Nothing from elsewhere is loaded, and what a call's path holds is shown as text, never run.
# `default-src` says nothing of frames around the page and of its base: both are refused by name.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def log_page() -> Response:
    """GET /_emulator/: the page."""
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
    }
    return Response(status=200, body=_page(), headers=headers)


@cache
def _page() -> bytes:
    return files("flowledger.emulator").joinpath("log_page.html").read_bytes()
