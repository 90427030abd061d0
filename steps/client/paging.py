"""Whole lists, page by page: each page must succeed, and a list that does not end is an error, never a part.

A look-up that decides about a second create (protocol rule 6) is worth nothing if one object of the list is missing.
Where pages are numbered, an object that is deleted between two pages moves all that follow, and one of them is on
neither page. So each page but the first begins with the last object of the page before; where pages have tokens,
whose meaning is not documented, a list of several pages is read twice. A list that has moved is read again from its
beginning.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from flowledger.errors import Unreachable
from flowledger.steps.client.paths import conversion
from flowledger.steps.client.port import Answer, Json, Request

Query = Iterable[tuple[str, str]]
Only = Callable[[Json], bool]

MAX_PAGES: Final = 1000  # a list longer than this is taken for an endless one
MAX_READINGS: Final = 5  # of a list that moves while it is read
CATALOG_PAGE: Final = 100  # the largest that Catalog allows (§3.2)
MAPPING_PAGE: Final = 100
FULL: Final = "application/vnd.adobe.xed+json"  # whole resources in lists, with descriptions (§2.1)


class Ask(Protocol):
    """A journaled, retried read: `Context.ask`."""

    async def __call__(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer: ...


class _Moved(Exception):
    """The list is not the one any more whose first pages were read."""


async def list_registry(ask: Ask, path: str, *, query: Query = (), only: Only | None = None) -> list[Json]:
    """Every resource of a Schema Registry list (§2.2), like `registry("/tenant/schemas")`.

    `query` holds filters; sorting by title and paging are added, because `start` is "strictly beyond" the last sort
    value and only titles are unique. `only` says which are wanted: the others are not kept. Raises what `ask` raises,
    and Unreachable if the list cannot be read whole; from a list that never stands still what is wanted is returned if
    anything is.
    """
    own = (("orderby", "title"), *query)

    async def read(take: _Take) -> bool:
        start: str | None = None
        starts: set[str] = set()
        for _ in range(MAX_PAGES):
            asked = own if start is None else (*own, ("start", start))
            page = await _page(ask, path, asked, headers={"Accept": FULL})
            results, about = page.get("results"), page.get("_page")
            if not isinstance(results, list) or not isinstance(about, Mapping):
                raise _unreadable(path, "no results or no _page in it")
            for number, item in enumerate(_objects(path, results)):
                take(start, _key(item.get("$id"), start, number), item)
            following = about.get("next")
            if following is None:
                return True
            if not isinstance(following, str) or following in starts:
                raise _unreadable(path, f"its next page is {following!r} again")
            starts.add(following)
            start = following
        raise _endless(path)

    return await _standing_still(path, read, only)


async def list_catalog(ask: Ask, path: str, *, query: Query = (), only: Only | None = None) -> list[Json]:
    """Every object of a Catalog list (§3.2), each with its id under "id", in the order of the answer.

    Sorted by creation unless `query` says otherwise, so that pages do not shift under the reader. `only`, and what is
    raised, as above.
    """
    own = tuple(query)
    if not any(name == "orderBy" for name, _ in own):
        own = (*own, ("orderBy", "asc:created"))

    async def page_at(start: int) -> list[tuple[str, Json]]:
        page = await _page(ask, path, (*own, ("limit", str(CATALOG_PAGE)), ("start", str(start))))
        for id, value in page.items():
            if not isinstance(value, Mapping):
                raise _unreadable(path, f"{id!r} is not an object")
        return [(id, {**value, "id": id}) for id, value in page.items()]

    return await _standing_still(path, lambda take: _by_offset(path, page_at, CATALOG_PAGE, take), only)


async def list_flow(ask: Ask, path: str, *, query: Query = (), only: Only | None = None) -> list[Json]:
    """Every item of a Flow Service list (§4.1), like `flow_service("/connections")`.

    The filters in `query` are sent with every page, because the next page's link holds only the token. Answers
    without the `items` wrapper, as some guides print them, are one item (§4.3). `only`, and what is raised, as above.
    """

    async def read(take: _Take) -> bool:
        pages = 0
        async for items in flow_pages(ask, path, query=query):
            pages += 1
            for number, item in enumerate(items):
                take(pages, _key(item.get("id"), pages, number), item)
        return pages <= 1  # what a token means, a place or a value, is not documented

    return await _standing_still(path, read, only)


async def flow_pages(ask: Ask, path: str, *, query: Query = ()) -> AsyncIterator[list[Json]]:
    """The pages of a Flow Service list, each asked for when it is wanted. Raises as above."""
    own = tuple(query)
    token: str | None = None
    tokens: set[str] = set()
    for _ in range(MAX_PAGES):
        page = await _page(ask, path, own if token is None else (*own, ("continuationToken", token)))
        items = page.get("items", [page] if "id" in page else None)
        if not isinstance(items, list):
            raise _unreadable(path, "no items in it")
        token = _next_token(path, page.get("_links"))
        yield _objects(path, items)
        if token is None:
            return
        if token in tokens:
            raise _unreadable(path, "its pages repeat")
        tokens.add(token)
    raise _endless(path)


async def list_mapping_sets(ask: Ask, *, query: Query = (), only: Only | None = None) -> list[Json]:
    """Every mapping set that `query` asks for (§5: `limit` and `start` are required). `only`, and what is raised, as
    above."""
    path = conversion("/mappingSets")
    own = tuple(query)

    async def page_at(start: int) -> list[tuple[str, Json]]:
        page = await _page(ask, path, (*own, ("limit", str(MAPPING_PAGE)), ("start", str(start))))
        data = page.get("data")
        if not isinstance(data, list) or not all(isinstance(item, Mapping) and "id" in item for item in data):
            raise _unreadable(path, "no data in it, or a mapping set without id")
        return [(str(item["id"]), item) for item in data]

    return await _standing_still(path, lambda take: _by_offset(path, page_at, MAPPING_PAGE, take), only)


_Key = str | tuple[Json, int]
_Take = Callable[[Json, _Key, Json], None]  # page, key and object


def _key(id: Json, page: Json, number: int) -> _Key:
    """What an object of a list is told from the others by: its id, else the page and the place where it stands."""
    return id if isinstance(id, str) and id else (page, number)


async def _standing_still(path: str, read: Callable[[_Take], Awaitable[bool]], only: Only | None) -> list[Json]:
    """The objects of a list that did not move while it was read; of a few readings the first such one.

    `read` says whether its reading alone is certain. If not, or if an object was on two pages, so that another may have
    moved the other way, the next reading must show the same. Of a list that moves at each reading, what was seen of the
    wanted may be believed; that nothing is there may not.
    """
    seen: dict[_Key, Json] = {}
    before = ""
    for _ in range(MAX_READINGS):
        reading = _Reading(only)
        try:
            certain = await read(reading.take)
        except _Moved:
            seen.update(reading.found)
            before = ""
            continue
        if (certain and not reading.twice) or reading.order.hexdigest() == before:
            return list(reading.found.values())
        seen.update(reading.found)
        before = reading.order.hexdigest()
    if only is not None and seen:
        return list(seen.values())
    raise _unreadable(path, f"it changed at each of {MAX_READINGS} readings")


class _Reading:
    """What one reading of a list shows: what is wanted of it, and in which order all of it stands."""

    def __init__(self, only: Only | None) -> None:
        self._only = only
        self._pages: dict[_Key, Json] = {}
        self.found: dict[_Key, Json] = {}
        self.twice = False  # an object was on two pages
        self.order = hashlib.sha256()

    def take(self, page: Json, key: _Key, item: Json) -> None:
        """Take in an object of a page."""
        self.order.update(repr(key).encode("utf-8", "backslashreplace"))
        self.twice = self.twice or self._pages.setdefault(key, page) != page
        if self._only is None or self._only(item):
            self.found[key] = item


async def _by_offset(
    path: str, page_at: Callable[[int], Awaitable[list[tuple[str, Json]]]], size: int, take: _Take
) -> bool:
    """Read pages of `size` objects by their offset, each beginning with the last object of the page before, and with
    none of the others. Raises _Moved if one does not."""
    known: frozenset[str] = frozenset()
    last: frozenset[str] = frozenset()
    start = 0
    for _ in range(MAX_PAGES):
        page = await page_at(start)
        ids = frozenset(id for id, _ in page)
        if known and ids == known:
            raise _unreadable(path, "its pages repeat")
        moved = bool(known) and (len(ids & known) != 1 or not ids & last)
        for id, item in page:
            if id not in known:
                take(start, id, item)
        if moved:
            raise _Moved
        if len(page) < size:
            return True
        known, last = ids, _last_of(page)
        start += size - 1
    raise _endless(path)


def _last_of(page: list[tuple[str, Json]]) -> frozenset[str]:
    """Which object stands last on a page: by creation where each tells it, for Catalog's pages are JSON objects, whose
    order is not promised. Several, if they were made in the same moment."""
    created = [item.get("created") for _, item in page]
    if not all(isinstance(moment, int | float) for moment in created):
        return frozenset({page[-1][0]})
    return frozenset(id for (id, _), moment in zip(page, created, strict=True) if moment == max(created))


async def _page(ask: Ask, path: str, query: Query, headers: Mapping[str, str] | None = None) -> Mapping[str, Json]:
    answer = await ask(Request(method="GET", path=path, query=tuple(query), headers=headers or {}))
    if not answer.ok or not isinstance(answer.json, Mapping):
        raise _unreadable(path, f"a page answered {answer.status} without a JSON object")
    return answer.json


def _objects(path: str, items: list[Json]) -> list[Json]:
    if not all(isinstance(item, Mapping) for item in items):
        raise _unreadable(path, "something in it is not an object")
    return items


def _next_token(path: str, links: Json) -> str | None:
    """The token of the next page: parsed from the query, because tokens may hold "=" and "+" (§4.1)."""
    following = links.get("next") if isinstance(links, Mapping) else None
    href = following.get("href") if isinstance(following, Mapping) else following
    if not href:
        return None
    if isinstance(href, str):
        for pair in urlsplit(href).query.split("&"):
            name, _, value = pair.partition("=")
            if unquote(name) == "continuationToken" and value:
                return unquote(value)
    raise _unreadable(path, "its next link has no continuationToken")


def _unreadable(path: str, why: str) -> Unreachable:
    return Unreachable(f"the list {path} could not be read whole: {why}", hint="try `flowledger resume` later")


def _endless(path: str) -> Unreachable:
    return Unreachable(f"the list {path} did not end after {MAX_PAGES} pages", hint="narrow the sandbox, then resume")
