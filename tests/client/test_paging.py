"""A list is read whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.errors import Unreachable
from flowledger.steps.client import paging
from flowledger.steps.client.paging import list_catalog, list_flow, list_mapping_sets, list_registry
from flowledger.steps.client.paths import catalog, flow_service, registry
from flowledger.steps.client.port import Answer, Reach, Request

SCHEMAS = registry("/tenant/schemas")
DATASETS = catalog("/dataSets")
FLOWS = flow_service("/flows")


class Asked:
    """An `ask` that answers from a function of the query, and keeps what it was asked."""

    def __init__(self, page: Callable[[Mapping[str, str]], Any]) -> None:
        self.page = page
        self.requests: list[Request] = []

    async def __call__(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        self.requests.append(request)
        body = self.page(dict(request.query))
        if isinstance(body, Exception):
            raise body
        return Answer(reach=Reach.ANSWERED, status=200, json=body)


def registry_of(titles: list[str], size: int) -> Callable[[Mapping[str, str]], Any]:
    def page(query: Mapping[str, str]) -> Any:
        assert query["orderby"] == "title"
        rest = [title for title in sorted(titles) if title > query.get("start", "")]
        following = rest[size - 1] if len(rest) > size else None
        return {"results": [{"title": title} for title in rest[:size]], "_page": {"next": following, "count": size}}

    return page


async def test_the_registry_is_read_until_it_says_that_there_is_no_next_page() -> None:
    titles = [f"t{number:03}&=/é" for number in range(23)]
    ask = Asked(registry_of(titles, 5))
    found = await list_registry(ask, SCHEMAS, query=(("property", "title~x"),))
    assert [item["title"] for item in found] == titles
    assert all(("property", "title~x") in request.query for request in ask.requests)
    assert all(request.headers["Accept"] == "application/vnd.adobe.xed+json" for request in ask.requests)


async def test_a_short_or_empty_registry_page_is_not_the_end() -> None:
    pages = iter([
        {"results": [], "_page": {"next": "a"}},
        {"results": [{"title": "b"}], "_page": {"next": "b"}},
        {"results": [{"title": "c"}], "_page": {"next": None}},
    ])  # fmt: skip
    found = await list_registry(Asked(lambda query: next(pages)), SCHEMAS)
    assert [item["title"] for item in found] == ["b", "c"]


async def test_catalog_is_read_by_offset_until_a_short_page_and_each_object_has_its_id() -> None:
    def page(query: Mapping[str, str]) -> Any:
        start, limit = int(query["start"]), int(query["limit"])
        return {f"id{number}": {"name": f"n{number}"} for number in range(start, min(start + limit, 250))}

    ask = Asked(page)
    found = await list_catalog(ask, DATASETS, query=(("tags", "flowledger:fl-x-dataset"),))
    assert [item["id"] for item in found] == [f"id{number}" for number in range(250)]
    assert [dict(request.query)["start"] for request in ask.requests] == ["0", "99", "198"]
    assert all(("tags", "flowledger:fl-x-dataset") in request.query for request in ask.requests)
    assert all(("orderBy", "asc:created") in request.query for request in ask.requests)


async def test_a_full_last_page_of_catalog_costs_one_more_request_and_nothing_is_missed() -> None:
    def page(query: Mapping[str, str]) -> Any:
        start = int(query["start"])
        return {f"id{number}": {} for number in range(start, min(start + 100, 199))}

    ask = Asked(page)
    assert len(await list_catalog(ask, DATASETS)) == 199
    assert [dict(request.query)["start"] for request in ask.requests] == ["0", "99", "198"]


@pytest.mark.parametrize("token", ["abc==", "a+b/c=", "a&b", "a b", "100%", "é"])
async def test_flow_tokens_are_taken_whole_and_the_filters_are_sent_again(token: str) -> None:
    def page(query: Mapping[str, str]) -> Any:
        if "continuationToken" not in query:
            href = f"/flows?limit=2&continuationToken={quote(token, safe='=+')}"
            return {"items": [{"id": "1"}], "_links": {"next": {"href": href}}}
        assert query["continuationToken"] == token
        return {"items": [{"id": "2"}], "_links": {}}

    ask = Asked(page)
    found = await list_flow(ask, FLOWS, query=(("property", "name==x"),))
    assert [item["id"] for item in found] == ["1", "2"]
    assert len(ask.requests) == 4  # twice: what a token means is not documented
    assert all(("property", "name==x") in request.query for request in ask.requests)


async def test_a_flow_answer_without_the_wrapper_is_one_item() -> None:
    assert await list_flow(Asked(lambda query: {"id": "14518937"}), FLOWS) == [{"id": "14518937"}]


async def test_mapping_sets_are_read_with_the_limits_that_the_api_requires() -> None:
    def page(query: Mapping[str, str]) -> Any:
        start, limit = int(query["start"]), int(query["limit"])
        return {"data": [{"id": str(number)} for number in range(start, min(start + limit, 130))]}

    assert len(await list_mapping_sets(Asked(page), query=(("name", "fl-x"),))) == 130


LISTS: list[tuple[str, Any]] = [
    ("registry", lambda ask: list_registry(ask, SCHEMAS)),
    ("catalog", lambda ask: list_catalog(ask, DATASETS)),
    ("flow", lambda ask: list_flow(ask, FLOWS)),
    ("mapping sets", lambda ask: list_mapping_sets(ask)),
]


def endless(kind: str, *, repeats: bool = False) -> Callable[[Mapping[str, str]], Any]:
    """A list of that kind which has no end, by showing ever more or always the same."""
    count = iter(range(10_000))

    def page(query: Mapping[str, str]) -> Any:
        number, start = 0 if repeats else next(count), 0 if repeats else int(query.get("start", "0") or 0)
        match kind:
            case "registry":
                return {"results": [], "_page": {"next": f"{number:06}"}}
            case "catalog":
                return {str(at): {} for at in range(start, start + 100)}
            case "flow":
                return {"items": [], "_links": {"next": {"href": f"/f?continuationToken={number}"}}}
            case _:
                return {"data": [{"id": str(at)} for at in range(start, start + 100)]}

    return page


@pytest.mark.parametrize(("kind", "read"), LISTS)
async def test_a_failing_later_page_fails_the_list(kind: str, read: Any) -> None:
    shown, first = endless(kind), iter([True])
    with pytest.raises(Unreachable, match="503"):
        await read(Asked(lambda query: shown(query) if next(first, False) else Unreachable("503")))


@pytest.mark.parametrize(("kind", "read"), LISTS)
async def test_a_list_that_repeats_its_pages_is_an_error_and_not_a_loop(kind: str, read: Any) -> None:
    ask = Asked(endless(kind, repeats=True))
    with pytest.raises(Unreachable, match="could not be read whole"):
        await read(ask)
    assert len(ask.requests) == 2


@pytest.mark.parametrize(("kind", "read"), LISTS)
async def test_an_endless_list_is_an_error(kind: str, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_PAGES", 7)
    ask = Asked(endless(kind))
    with pytest.raises(Unreachable, match="did not end after 7 pages"):
        await read(ask)
    assert len(ask.requests) == 7


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        "x",
        {"results": {}, "items": {}, "data": {}, "x": 1},
        {"items": None},
        {"results": [5], "_page": {"next": None}, "items": [5], "data": [5], "x": 1},
    ],
)
@pytest.mark.parametrize(("kind", "read"), LISTS)
async def test_an_answer_of_another_shape_is_never_taken_for_an_empty_list(kind: str, read: Any, body: Any) -> None:
    with pytest.raises(Unreachable, match="could not be read whole"):
        await read(Asked(lambda query: body))


async def test_a_next_link_without_a_token_is_an_error_and_not_the_end() -> None:
    with pytest.raises(Unreachable, match="continuationToken"):
        await list_flow(Asked(lambda query: {"items": [], "_links": {"next": {"href": "/flows?limit=2"}}}), FLOWS)


# A list that moves while it is read


class Moving:
    """A list of objects of which others are deleted, inserted or moved between two requests, and ours stays."""

    OURS = "ours"

    def __init__(self, kind: str, size: int, ours: int, changes: Iterable[tuple[str, int, int]]) -> None:
        self.kind = kind
        self.ids = [f"{number:05}" for number in range(size)]
        self.ids.insert(ours, self.OURS)
        self.changes = iter(changes)
        self.made = iter(range(10_000))
        self.requests = 0

    async def __call__(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        self.requests += 1
        query = dict(request.query)
        at = int(query.get("start") or query.get("continuationToken") or 0)
        shown = self.ids[at : at + 100]
        if self.kind == "catalog":
            body: Any = {id: {"name": id} for id in shown}
        elif self.kind == "mapping sets":
            body = {"data": [{"id": id} for id in shown]}
        else:  # a token that is a place, which is the worst that it can mean
            more = {"next": {"href": f"/flows?continuationToken={at + 100}"}} if at + 100 < len(self.ids) else {}
            body = {"items": [{"id": id} for id in shown], "_links": more}
        self._change()
        return Answer(reach=Reach.ANSWERED, status=200, json=body)

    def _change(self) -> None:
        what, one, other = next(self.changes, ("", 0, 0))
        ours = self.ids.index(self.OURS)
        others = [place for place in range(len(self.ids)) if place != ours]
        place, to = others[one % len(others)], other % len(self.ids)
        match what:
            case "delete":
                del self.ids[place]
            case "insert":
                self.ids.insert(to, f"new {next(self.made)}")
            case "move":
                self.ids.insert(to, self.ids.pop(place))
            case "exchange":
                with_it = others[other % len(others)]
                self.ids[place], self.ids[with_it] = self.ids[with_it], self.ids[place]


NUMBERED: list[tuple[str, Any]] = [
    ("catalog", lambda ask, only=None: list_catalog(ask, DATASETS, only=only)),
    ("mapping sets", lambda ask, only=None: list_mapping_sets(ask, only=only)),
    ("flow", lambda ask, only=None: list_flow(ask, FLOWS, only=only)),
]
CHANGES = st.tuples(
    st.sampled_from(["", "delete", "insert", "move", "exchange"]), st.integers(0, 400), st.integers(0, 400)
)


@pytest.mark.parametrize(("kind", "read"), NUMBERED)
@given(size=st.integers(95, 310), ours=st.integers(0, 95), changes=st.lists(CHANGES, max_size=30))
def test_a_list_that_moves_is_read_again_and_never_without_our_object(
    kind: str, read: Any, size: int, ours: int, changes: list[tuple[str, int, int]]
) -> None:
    ask = Moving(kind, size, ours * size // 95, changes)
    try:
        found = asyncio.run(read(ask))
    except Unreachable:
        assert any(what for what, _, _ in changes)
    else:
        assert Moving.OURS in [item["id"] for item in found]
    assert ask.requests <= paging.MAX_READINGS * 6


@pytest.mark.parametrize(("kind", "read"), NUMBERED)
@pytest.mark.parametrize("change", [("delete", 3, 0), ("insert", 0, 3), ("move", 3, 180), ("exchange", 3, 180)])
async def test_an_object_on_the_edge_of_two_pages_is_seen_whatever_moves_before_it(
    kind: str, read: Any, change: tuple[str, int, int]
) -> None:
    for ours in range(97, 103):
        ask = Moving(kind, 200, ours, [change])
        assert Moving.OURS in [item["id"] for item in await read(ask)]
        assert ask.requests > 2  # once would not have been enough to be certain


@pytest.mark.parametrize(("kind", "read"), NUMBERED)
async def test_a_list_that_never_stands_still_ends_and_proves_nothing_but_what_it_shows(kind: str, read: Any) -> None:
    changes = [("delete", 3, 0), ("insert", 0, 190)] * 100
    with pytest.raises(Unreachable, match="changed at each of 5 readings") as failed:
        await read(Moving(kind, 200, 150, list(changes)))
    assert failed.value.exit_code == 75
    with pytest.raises(Unreachable):
        await read(Moving(kind, 200, 150, list(changes)), lambda item: item["id"] == "nothing like it")
    ask = Moving(kind, 200, 50, list(changes))
    assert await read(ask, lambda item: item["id"] == Moving.OURS)
    assert ask.requests <= 5 * 3


async def test_of_a_long_list_only_what_is_wanted_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await list_catalog(Moving("catalog", 5000, 1234, []), DATASETS, only=lambda item: item["id"] == "ours")
    assert [item["id"] for item in kept] == ["ours"]


@pytest.mark.parametrize(("kind", "read"), NUMBERED[:2])
async def test_what_a_page_shows_that_has_moved_is_seen_too(kind: str, read: Any) -> None:
    """Ours stands first on the second page at each reading, and the list moves at each."""
    ask = Moving(kind, 200, 101, [("delete", 3, 0), ("insert", 0, 4), ("", 0, 0)] * 20)
    assert [item["id"] for item in await read(ask, lambda item: item["id"] == Moving.OURS)] == [Moving.OURS]


@pytest.mark.parametrize("id", [None, "", 5, ["a"], {"a": 1}, True])
async def test_objects_without_an_id_are_in_the_list_too(id: Any) -> None:
    items = [{"id": id, "name": "one"}, {"id": id, "name": "two"}, {"name": "three"}]
    assert await list_flow(Asked(lambda query: {"items": items}), FLOWS) == items
    resources = [{"$id": id}, {"$id": id}]
    page = {"results": resources, "_page": {"next": None}}
    assert await list_registry(Asked(lambda query: page), SCHEMAS) == resources


async def test_a_list_that_always_shows_an_object_twice_stands_still_all_the_same() -> None:
    """On one page, or at the end of one and at the beginning of the next."""
    one = {"id": "1"}
    assert await list_flow(Asked(lambda query: {"items": [one, {"id": "2"}, one]}), FLOWS) == [one, {"id": "2"}]

    def page(query: Mapping[str, str]) -> Any:
        if "start" not in query:
            return {"results": [{"$id": "a"}, {"$id": "b"}], "_page": {"next": "b"}}
        return {"results": [{"$id": "b"}, {"$id": "c"}], "_page": {"next": None}}

    ask = Asked(page)
    assert [item["$id"] for item in await list_registry(ask, SCHEMAS)] == ["a", "b", "c"]
    assert len(ask.requests) == 4
