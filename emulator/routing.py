"""Which handler answers a method and a path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from flowledger.emulator.world import Handler, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A route that fits. `label` is method and template, the name by which faults ask for it."""

    handler: Handler
    template: str
    params: dict[str, str]


@dataclass(slots=True)
class _Node:
    fixed: dict[str, _Node] = field(default_factory=dict)
    named: dict[str, _Node] = field(default_factory=dict)  # by parameter name
    handlers: dict[str, tuple[Handler, str]] = field(default_factory=dict)  # by method


class Router:
    """A tree of path segments. Fixed segments win over `{named}` ones; a trailing slash means nothing.

    Segments are decoded after the split, so an id may hold an encoded slash (a registry `$id`, platform-api.md §2).
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for method, template, handler in routes:
            self._add(method, template, handler)

    def find(self, method: str, raw_path: str) -> Match | frozenset[str]:
        """The match, or the methods that the path knows (none: no such path)."""
        allowed: set[str] = set()
        segments = raw_path.strip("/").split("/")
        if "%" in raw_path:
            segments = [unquote(segment) for segment in segments]
        found = _search(self._root, segments, 0, method, allowed)
        if found is None:
            return frozenset(allowed)
        handler, template, params = found
        return Match(handler=handler, template=template, params=params)

    def _add(self, method: str, template: str, handler: Handler) -> None:
        node = self._root
        for segment in template.strip("/").split("/"):
            if segment.startswith("{"):
                node = node.named.setdefault(segment[1:-1], _Node())
            else:
                node = node.fixed.setdefault(segment, _Node())
        if method in node.handlers:
            raise ValueError(f"two handlers for {method} {template}")
        node.handlers[method] = (handler, template)


def _search(
    node: _Node, segments: list[str], at: int, method: str, allowed: set[str]
) -> tuple[Handler, str, dict[str, str]] | None:
    """The first end below `node` that serves the method; `allowed` gathers the methods of the others."""
    if at == len(segments):
        if method in node.handlers:
            return (*node.handlers[method], {})
        allowed.update(node.handlers)
        return None
    segment = segments[at]
    fixed = node.fixed.get(segment)
    if fixed is not None:
        found = _search(fixed, segments, at + 1, method, allowed)
        if found is not None or allowed:  # the path is known, if not by this method: it is no id
            return found
    if segment:
        for name, child in node.named.items():
            found = _search(child, segments, at + 1, method, allowed)
            if found is not None:
                found[2][name] = segment
                return found
    return None
