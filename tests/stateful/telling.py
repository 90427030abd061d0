"""How a call is told from others, and an object of ours from others."""

from __future__ import annotations

from typing import Any

from crashmatrix.styles import EFFECTS
from flowledger.steps.client.port import Request

COLLECTIONS = {effect.kind for effect in EFFECTS.values()}


def step_of(request: Request) -> str:
    """Which step's create the request is, "" if it is none."""
    return next((step for step, effect in EFFECTS.items() if effect.is_in(request)), "")


def read_of(request: Request) -> str:
    """A read by its method and the collection it asks, like "GET /flows" or "GET /flows/"."""
    parts = request.path.split("/foundation/")[-1].split("/")
    named = [part for part in parts if part in COLLECTIONS]
    return f"{request.method} /{named[-1]}{'' if parts[-1] == named[-1] else '/'}" if named else ""


def id_of(item: dict[str, Any]) -> str:
    return str(item.get("$id") or item["id"])


def carries(item: dict[str, Any], marker: str) -> bool:
    texts = [item.get("name"), item.get("title"), item.get("description"), str(item.get("tags"))]
    return any(isinstance(text, str) and marker in text for text in texts)
