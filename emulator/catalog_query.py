"""Lists of Catalog: limits, filters, order and the properties that are shown (platform-api.md §3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from flowledger.emulator.conditions import parse_condition, sort_by, text_of, wildcard
from flowledger.emulator.digits import number_of
from flowledger.emulator.problem import refuse, service_problem
from flowledger.emulator.world import Call

Json = dict[str, Any]
Fits = Callable[[Json], bool]
Filter = Callable[[str, str], Fits]  # of the parameter's name and value
Filters = Mapping[str, Filter]

DEFAULT_LIMIT: Final = 20
LARGEST_LIMIT: Final = 100
LARGEST_OBSERVABLE: Final = 20  # with properties=observableSchema
CHUNK_PROPERTY: Final = "observableSchema"


def bad(detail: str) -> NoReturn:
    """Stop with 400 in the emulator's shape for Catalog (U7)."""
    refuse(service_problem(400, "CATALOG-400", "Bad request", detail))


def page_of(call: Call, objects: list[Json], filters: Filters) -> list[Json]:
    """The objects that the query asks for: filtered, sorted, from `start`, at most `limit`.

    `filters` are those of the collection, by the name of their query parameter. Raises Refused with 400 for a
    parameter that the collection does not have: an ignored filter would return more than was asked for.
    """
    limit, start = _limit(call), _number(call, "start", 0)
    asked = _asked(call, {**COMMON, **filters})  # read first: a bad one is refused even when there is nothing to filter
    found = list(objects)
    for fits in asked:
        found = [entry for entry in found if fits(entry)]
    orders = [_order(part) for text in call.request.every("orderBy") for part in text.split(",") if part]
    sort_by(found, lambda entry, field: entry.get(field), orders)
    return found[start : start + limit]


def _asked(call: Call, filters: Filters) -> list[Fits]:
    """What an entry must satisfy. Raises Refused."""
    asked: list[Fits] = []
    for name, text in call.request.query:
        if name in filters:
            asked.append(filters[name](name, text))
        elif name not in PAGING and not call.world.options.unknown_queries_ignored:
            bad(f"{name} is no query parameter here; known are {', '.join(sorted({*PAGING, *filters}))}")
    return asked


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


def _by(values_of: Callable[[Json], list[Any]]) -> Filter:
    """`V1,V2` any of them, `!V` none of them, `*` a wildcard."""

    def filter_of(_name: str, text: str) -> Fits:
        none_of = text.startswith("!")
        patterns = [wildcard(part.removeprefix("!")) for part in text.split(",")]
        truths = text.lower().removeprefix("!").split(",")  # clients in use write True and False

        def is_asked_for(value: Any) -> bool:
            if isinstance(value, bool):
                return text_of(value) in truths
            return any(fits(text_of(value)) for fits in patterns)

        return lambda entry: any(map(is_asked_for, values_of(entry))) != none_of

    return filter_of


def _field(name: str, *, metric: str = "") -> Filter:
    """A field of the object; `metric`: where a batch keeps it when it has no field of that name."""

    def values_of(entry: Json) -> list[Any]:
        found = entry.get(name, (entry.get("metrics") or {}).get(metric) if metric else None)
        return [] if found is None or isinstance(found, dict) else found if isinstance(found, list) else [found]

    return _by(values_of)


def _beyond(field: str, *, after: bool, dates: str = "") -> Filter:
    """Moments in milliseconds after or before, both exclusive; `dates`: which of a batch's `availableDates` counts."""

    def filter_of(name: str, text: str) -> Fits:
        bound = number_of(text)
        if bound is None:
            bad(f"{name} must be a whole number of milliseconds, not {text!r}")

        def fits(entry: Json) -> bool:
            moment = (entry.get("availableDates") or {}).get(dates, entry.get(field))
            return isinstance(moment, int) and (moment > bound if after else moment < bound)

        return fits

    return filter_of


def _by_property(_name: str, text: str) -> Fits:
    try:
        condition = parse_condition(text)
    except ValueError as fault:
        bad(f"property={text}: {fault}")
    if condition.field == "name" and condition.operator in ("==", "!="):
        return _field("name")("name", ("!" if condition.operator == "!=" else "") + condition.value)
    return lambda entry: condition.holds(entry.get(condition.field))


def _by_tags(_name: str, text: str) -> Fits:
    """`name:value`, several with commas between them; a value may hold colons and wildcards."""
    wanted = []
    for part in filter(None, text.split(",")):
        name, colon, value = part.partition(":")
        if not colon or not name:
            bad(f"tags={part}: a tag is asked for as name:value")
        wanted.append((name, wildcard(value)))
    return lambda entry: all(any(map(fits, entry.get("tags", {}).get(name, ()))) for name, fits in wanted)


def _order(text: str) -> str:
    direction, colon, field = text.strip().rpartition(":")
    if (colon and direction not in ("asc", "desc")) or not field:
        bad(f"orderBy={text}: sort by a property, asc:name or desc:name")
    return f"-{field}" if direction == "desc" else field


PAGING: Final = frozenset({"limit", "start", "orderBy", "properties"})
COMMON: Final[Filters] = {
    "property": _by_property,
    "tags": _by_tags,
    **{
        name: _field(name)
        for name in ("version", "created", "updated", "createdClient", "createdUser", "updatedUser", "name")
    },
    "createdAfter": _beyond("created", after=True),
    "createdBefore": _beyond("created", after=False),
}
OF_DATA_SETS: Final[Filters] = {
    name: _field(name)
    for name in ("description", "enableErrorDiagnostics", "state", "namespace", "connectorId", "connectionId")
}
OF_BATCHES: Final[Filters] = {
    "batch": _field("id"),
    "dataSet": _by(_data_sets_of),
    "dataSetId": _by(_data_sets_of),
    **{name: _field(name) for name in ("status", "externalId", "started", "completed", "connection", "connector")},
    "recordCount": _field("recordCount", metric="inputRecordCount"),
    "failedRecordCount": _field("failedRecordCount", metric="failedRecordCount"),
    "size": _field("size", metric="outputByteSize"),
    "startAfter": _beyond("started", after=True, dates="startDate"),
    "startBefore": _beyond("started", after=False, dates="startDate"),
    "endAfter": _beyond("completed", after=True, dates="endDate"),
    "endBefore": _beyond("completed", after=False, dates="endDate"),
}
OF_FILES: Final[Filters] = {
    "dataSet": _by(_data_sets_of),
    "dataSetId": _by(_data_sets_of),
    "batch": _field("batchId"),
    **{name: _field(name) for name in ("batchId", "dataSetViewId", "isValid")},
}
