"""Whole lists, page by page: each page must succeed, and a list that does not end is an error, never a part.

A look-up that decides about a second create (protocol rule 6) is worth nothing if one page of it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from flowledger.errors import Unreachable
from flowledger.steps.client.paths import conversion
from flowledger.steps.client.port import Answer, Json, Request

Query = Iterable[tuple[str, str]]

MAX_PAGES: Final = 1000  # a list longer than this is taken for an endless one
CATALOG_PAGE: Final = 100  # the largest that Catalog allows (§3.2)
MAPPING_PAGE: Final = 100
FULL: Final = "application/vnd.adobe.xed+json"  # whole resources in lists, with descriptions (§2.1)


class Ask(Protocol):
    """A journaled, retried read: `Context.ask`."""

    async def __call__(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer: ...


async def list_registry(ask: Ask, path: str, *, query: Query = ()) -> list[Json]:
    """Every resource of a Schema Registry list (§2.2), like `registry("/tenant/schemas")`.

    `query` holds filters; sorting by title and paging are added, because `start` is "strictly beyond" the last sort
    value and only titles are unique. Raises what `ask` raises, and Unreachable if the list cannot be read whole.
    """
    own = (("orderby", "title"), *query)
    found: list[Json] = []
    start: str | None = None
    starts: set[str] = set()
    for _ in range(MAX_PAGES):
        asked = own if start is None else (*own, ("start", start))
        page = await _page(ask, path, asked, headers={"Accept": FULL})
        results, about = page.get("results"), page.get("_page")
        if not isinstance(results, list) or not isinstance(about, Mapping):
            raise _unreadable(path, "no results or no _page in it")
        found += _objects(path, results)
        following = about.get("next")
        if following is None:
            return found
        if not isinstance(following, str) or following in starts:
            raise _unreadable(path, f"its next page is {following!r} again")
        starts.add(following)
        start = following
    raise _endless(path)


async def list_catalog(ask: Ask, path: str, *, query: Query = ()) -> list[Json]:
    """Every object of a Catalog list (§3.2), each with its id under "id", in the order of the answer.

    Sorted by creation unless `query` says otherwise, so that pages do not shift under the reader. Raises as above.
    """
    own = tuple(query)
    if not any(name == "orderBy" for name, _ in own):
        own = (*own, ("orderBy", "asc:created"))
    found: dict[str, Json] = {}
    for number in range(MAX_PAGES):
        paging = (("limit", str(CATALOG_PAGE)), ("start", str(number * CATALOG_PAGE)))
        page = await _page(ask, path, (*own, *paging))
        for id, value in page.items():
            if not isinstance(value, Mapping):
                raise _unreadable(path, f"{id!r} is not an object")
        known = len(found)
        found.update((id, {**value, "id": id}) for id, value in page.items())
        if len(page) < CATALOG_PAGE:
            return list(found.values())
        if len(found) == known:
            raise _unreadable(path, "its pages repeat")
    raise _endless(path)


async def list_flow(ask: Ask, path: str, *, query: Query = ()) -> list[Json]:
    """Every item of a Flow Service list (§4.1), like `flow_service("/connections")`.

    The filters in `query` are sent with every page, because the next page's link holds only the token. Answers
    without the `items` wrapper, as some guides print them, are one item (§4.3). Raises as above.
    """
    own = tuple(query)
    found: list[Json] = []
    token: str | None = None
    tokens: set[str] = set()
    for _ in range(MAX_PAGES):
        page = await _page(ask, path, own if token is None else (*own, ("continuationToken", token)))
        items = page.get("items", [page] if "id" in page else None)
        if not isinstance(items, list):
            raise _unreadable(path, "no items in it")
        found += _objects(path, items)
        token = _next_token(path, page.get("_links"))
        if token is None:
            return found
        if token in tokens:
            raise _unreadable(path, "its pages repeat")
        tokens.add(token)
    raise _endless(path)


async def list_mapping_sets(ask: Ask, *, query: Query = ()) -> list[Json]:
    """Every mapping set that `query` asks for (§5: `limit` and `start` are required). Raises as above."""
    path = conversion("/mappingSets")
    own = tuple(query)
    found: dict[str, Json] = {}
    for number in range(MAX_PAGES):
        paging = (("limit", str(MAPPING_PAGE)), ("start", str(number * MAPPING_PAGE)))
        page = await _page(ask, path, (*own, *paging))
        data = page.get("data")
        if not isinstance(data, list) or not all(isinstance(item, Mapping) and "id" in item for item in data):
            raise _unreadable(path, "no data in it, or a mapping set without id")
        known = len(found)
        found.update((str(item["id"]), item) for item in data)
        if len(data) < MAPPING_PAGE:
            return list(found.values())
        if len(found) == known:
            raise _unreadable(path, "its pages repeat")
    raise _endless(path)


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
