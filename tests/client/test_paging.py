"""A list is read whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import pytest

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
    assert len(ask.requests) == 3
    assert all(("tags", "flowledger:fl-x-dataset") in request.query for request in ask.requests)
    assert all(("orderBy", "asc:created") in request.query for request in ask.requests)


async def test_a_full_last_page_of_catalog_costs_one_more_request_and_nothing_is_missed() -> None:
    def page(query: Mapping[str, str]) -> Any:
        return {f"id{number}": {} for number in range(int(query["start"]), 200)} if query["start"] != "0" else {
            f"id{number}": {} for number in range(100)
        }  # fmt: skip

    ask = Asked(page)
    assert len(await list_catalog(ask, DATASETS)) == 200
    assert [dict(request.query)["start"] for request in ask.requests] == ["0", "100", "200"]


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
ENDLESS: dict[str, Callable[[int], Any]] = {
    "registry": lambda page: {"results": [], "_page": {"next": f"t{page:06}"}},
    "catalog": lambda page: {f"{page}-{number}": {} for number in range(100)},
    "flow": lambda page: {"items": [], "_links": {"next": {"href": f"/f?continuationToken={page}"}}},
    "mapping sets": lambda page: {"data": [{"id": f"{page}-{number}"} for number in range(100)]},
}


@pytest.mark.parametrize(("kind", "read"), LISTS)
async def test_a_failing_later_page_fails_the_list(kind: str, read: Any) -> None:
    pages = iter([ENDLESS[kind](0), Unreachable("503")])
    with pytest.raises(Unreachable, match="503"):
        await read(Asked(lambda query: next(pages)))


@pytest.mark.parametrize(("kind", "read"), LISTS)
async def test_a_list_that_repeats_its_pages_is_an_error_and_not_a_loop(kind: str, read: Any) -> None:
    ask = Asked(lambda query: ENDLESS[kind](0))
    with pytest.raises(Unreachable, match="could not be read whole"):
        await read(ask)
    assert len(ask.requests) == 2


@pytest.mark.parametrize(("kind", "read"), LISTS)
async def test_an_endless_list_is_an_error(kind: str, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_PAGES", 7)
    count = iter(range(100))
    ask = Asked(lambda query: ENDLESS[kind](next(count)))
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
