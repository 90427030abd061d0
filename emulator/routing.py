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
        segments = [unquote(segment) for segment in raw_path.strip("/").split("/")]
        allowed: set[str] = set()
        for node, params in self._ends(self._root, segments, {}):
            if method in node.handlers:
                handler, template = node.handlers[method]
                return Match(handler=handler, template=template, params=params)
            allowed.update(node.handlers)
        return frozenset(allowed)

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

    def _ends(self, node: _Node, segments: list[str], params: dict[str, str]) -> Iterable[tuple[_Node, dict[str, str]]]:
        if not segments:
            if node.handlers:
                yield node, params
            return
        first, rest = segments[0], segments[1:]
        if first in node.fixed:
            yield from self._ends(node.fixed[first], rest, params)
        for name, child in node.named.items():
            if first:
                yield from self._ends(child, rest, {**params, name: first})
