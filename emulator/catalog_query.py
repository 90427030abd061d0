"""Lists of Catalog: limits, filters, order and the properties that are shown (platform-api.md §3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

from flowledger.emulator.conditions import Condition, parse_condition, sort_by, wildcard
from flowledger.emulator.digits import number_of
from flowledger.emulator.problem import refuse, service_problem
from flowledger.emulator.world import Call

Json = dict[str, Any]

DEFAULT_LIMIT: Final = 20
LARGEST_LIMIT: Final = 100
LARGEST_OBSERVABLE: Final = 20  # with properties=observableSchema
CHUNK_PROPERTY: Final = "observableSchema"


def bad(detail: str) -> NoReturn:
    """Stop with 400 in the emulator's shape for Catalog (U7)."""
    refuse(service_problem(400, "CATALOG-400", "Bad request", detail))


def page_of(call: Call, objects: list[Json]) -> list[Json]:
    """The objects that the query asks for: filtered, sorted, from `start`, at most `limit`."""
    limit, start = _limit(call), _number(call, "start", 0)
    filters = _filters(call)  # read before the objects are: a bad one is refused even when there is nothing to filter
    found = list(objects)
    for fits in filters:
        found = [entry for entry in found if fits(entry)]
    orders = [_order(part) for text in call.request.every("orderBy") for part in text.split(",") if part]
    sort_by(found, lambda entry, field: entry.get(field), orders)
    return found[start : start + limit]


def batches_page_of(call: Call, batches: list[Json]) -> list[Json]:
    """The batches that the query asks for: besides the rest, by dataset, status and time of creation (§3.4)."""
    found = list(batches)
    for name in ("dataSet", "dataSetId"):
        for id in call.request.every(name):
            found = [entry for entry in found if id in _data_sets_of(entry)]
    for text in call.request.every("status"):
        found = [entry for entry in found if entry.get("status") in text.split(",")]
    after, before = call.request.first("createdAfter"), call.request.first("createdBefore")
    if after is not None:
        bound = _number(call, "createdAfter", 0)
        found = [entry for entry in found if entry.get("created", 0) > bound]
    if before is not None:
        bound = _number(call, "createdBefore", 0)
        found = [entry for entry in found if entry.get("created", 0) < bound]
    return page_of(call, found)


def _data_sets_of(entry: Json) -> list[str]:
    related = [other["id"] for other in entry.get("relatedObjects", ()) if other.get("type") == "dataSet"]
    return [*related, entry.get("dataSetId", "")]


def shown(call: Call, entry: Json) -> Json:
    """The object without its id, which is its key in the map; with `properties`, only those."""
    names = [name for text in call.request.every("properties") for name in text.split(",") if name]
    wanted = names or [name for name in entry if name != "id"]
    return {name: entry[name] for name in wanted if name in entry}


def _limit(call: Call) -> int:
    limit = _number(call, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= LARGEST_LIMIT:
        bad(f"limit must be 1 to {LARGEST_LIMIT}, not {limit}")
    names = ",".join(call.request.every("properties")).split(",")
    if CHUNK_PROPERTY in names and limit > LARGEST_OBSERVABLE:
        bad(f"limit must be at most {LARGEST_OBSERVABLE} with {CHUNK_PROPERTY}, not {limit}")
    return limit


def _number(call: Call, name: str, default: int) -> int:
    """A number from the query, else from a header of that name: the query wins."""
    text = call.request.first(name) or call.request.headers.get(name)
    if text is None:
        return default
    number = number_of(text)
    if number is None:
        bad(f"{name} must be a whole number, not {text!r}")
    return number


def _filters(call: Call) -> list[Callable[[Json], bool]]:
    filters: list[Callable[[Json], bool]] = [_by_name(text) for text in call.request.every("name")]
    filters += [_by_property(text) for text in call.request.every("property")]
    filters += [_by_tag(part) for text in call.request.every("tags") for part in text.split(",") if part]
    return filters


def _by_name(text: str) -> Callable[[Json], bool]:
    """`V1,V2` any of them, `!V` none of them, `*` a wildcard."""
    none_of = text.startswith("!")
    patterns = [wildcard(value.removeprefix("!")) for value in text.split(",")]

    def fits(entry: Json) -> bool:
        name = str(entry.get("name", ""))
        return any(matches(name) for matches in patterns) != none_of

    return fits


def _by_property(text: str) -> Callable[[Json], bool]:
    try:
        condition = parse_condition(text)
    except ValueError as fault:
        bad(f"property={text}: {fault}")
    if condition.field == "name" and condition.operator in ("==", "!="):
        return _by_name(("!" if condition.operator == "!=" else "") + condition.value)
    return _holds(condition)


def _holds(condition: Condition) -> Callable[[Json], bool]:
    return lambda entry: condition.holds(entry.get(condition.field))


def _by_tag(text: str) -> Callable[[Json], bool]:
    """`name:value`; the value may hold colons and wildcards."""
    name, colon, value = text.partition(":")
    if not colon or not name:
        bad(f"tags={text}: a tag is asked for as name:value")
    matches = wildcard(value)
    return lambda entry: any(map(matches, entry.get("tags", {}).get(name, ())))


def _order(text: str) -> str:
    direction, colon, field = text.strip().rpartition(":")
    if (colon and direction not in ("asc", "desc")) or not field:
        bad(f"orderBy={text}: sort by a property, asc:name or desc:name")
    return f"-{field}" if direction == "desc" else field
