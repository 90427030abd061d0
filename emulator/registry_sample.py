"""Sample data of a schema: one row that the schema takes (platform-api.md §2.8)."""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator import registry_problem as problem
from flowledger.emulator.patterns import compiled
from flowledger.emulator.registry_compose import id_of, look_up_in
from flowledger.emulator.registry_list import BASE
from flowledger.emulator.registry_problem import NOT_FOUND, refuse_registry
from flowledger.emulator.resolve import MergeConflict, RefUnknown, resolve
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

Json = dict[str, Any]

TEXTS: Final = {  # by format, as the guide's sample has them
    "date": "2018-01-12",
    "date-time": "2018-11-12T20:20:39+00:00",
    "uri-reference": "/uri-reference",
    "uri": "https://ns.adobe.com/xdm/common/uri",
    "email": "john.smith@abc.com",
}
PATTERNED: Final = ("US", "01-23", "US-CA", "string", "A", "0", "1234567890")  # tried in turn against a pattern
WHOLE: Final = 4862
LARGEST: Final = 2**53
REAL: Final = 31148.05


def read_sample(call: Call) -> Response:
    """GET /rpc/sampledata/{id}: a row of the schema. It takes any Accept."""
    look_up = look_up_in(call.world, call.sandbox)
    schema = look_up(id_of(call.params["id"]))
    if schema is None or schema["meta:resourceType"] != "schemas":
        text = f"Requested resource {call.params['id']} is not found"
        refuse_registry(call.world, NOT_FOUND["schemas"], text)
    try:
        resolved = resolve(schema, look_up)
    except (RefUnknown, MergeConflict) as fault:  # only after lax deletes: something it is made of is gone
        refuse_registry(call.world, problem.INVALID, f"{schema['$id']} cannot be resolved: {fault}")
    return json_response(200, sample_of(resolved))


def sample_of(field: Json) -> Any:
    """A value that a resolved field takes, if one is to be found (a pattern may be too particular)."""
    values = field.get("enum")
    if isinstance(values, list) and values:
        return values[0]
    match field.get("type", "object"):
        case "array":
            least = field.get("minItems")
            items = field.get("items")
            one = sample_of(items if isinstance(items, dict) else {"type": "string"})
            return [one] * max(1, min(least, 10) if isinstance(least, int) else 1)
        case "boolean":
            return False
        case "integer":
            return max(-LARGEST, min(LARGEST, int(_bounded(field, WHOLE))))
        case "number":
            return _bounded(field, REAL)
        case "string":
            return _text(field)
        case _:
            return _object(field)


def _object(field: Json) -> Json:
    more = field.get("additionalProperties")
    if not field.get("properties") and isinstance(more, dict):
        return {"key": sample_of(more)}
    return {name: sample_of(inner) for name, inner in sorted(field.get("properties", {}).items())}


def _bounded(field: Json, wanted: float) -> float:
    """The number nearest to `wanted` within the field's bounds."""
    for key, inside in (("maximum", 0), ("exclusiveMaximum", -1)):
        bound = field.get(key)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            wanted = min(wanted, bound + inside)
    for key, inside in (("minimum", 0), ("exclusiveMinimum", 1)):
        bound = field.get(key)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            wanted = max(wanted, bound + inside)
    return wanted


def _text(field: Json) -> str:
    text = TEXTS.get(str(field.get("format")), "string")
    pattern = field.get("pattern")
    if isinstance(pattern, str):
        try:
            search = compiled(pattern).search
        except ValueError:  # no regular expression: nothing is held against it
            search = None
        text = next((one for one in (text, *PATTERNED) if search is not None and search(one)), text)
    least, most = field.get("minLength"), field.get("maxLength")
    if isinstance(least, int) and not isinstance(least, bool):
        text = text.ljust(min(least, 1000), "x")
    return text[:most] if isinstance(most, int) and not isinstance(most, bool) and most >= 0 else text


ROUTES: list[Route] = [("GET", f"{BASE}/rpc/sampledata/{{id}}", read_sample)]
