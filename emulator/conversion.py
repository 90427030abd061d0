"""Conversion (Data Prep): mapping sets, their versions, validation and preview (platform-api.md §5)."""

from __future__ import annotations

from typing import Any, Final, NoReturn
from urllib.parse import quote, urlencode

from flowledger.emulator import expressions
from flowledger.emulator.conditions import flag, parse_condition, sort_by
from flowledger.emulator.depth import too_deep
from flowledger.emulator.digits import number_of
from flowledger.emulator.expressions import Malformed, parse
from flowledger.emulator.gateway import not_routed
from flowledger.emulator.mapping_rules import bad, checked_set, faults_of, previewed, stored_form
from flowledger.emulator.paths import resolved_schema, unknown_destinations
from flowledger.emulator.problem import refuse, service_problem
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

Json = dict[str, Any]

BASE: Final = "/data/foundation/conversion"
KIND: Final = "mappingSets"
EARLIER: Final = "mappingSetVersions"  # what a PUT replaced, by "<id>/<version>" (U14)
ANSWERED: Final = ("id", "version", "createdDate", "modifiedDate", "createdBy", "modifiedBy")
FILTERS: Final = ("xdmSchema", "status")
ORDERS: Final = {
    "updatedDate": "modifiedDate",
    "modifiedDate": "modifiedDate",
    "createdDate": "createdDate",
    "name": "name",
}


def create_mapping_set(call: Call) -> Response:
    """POST /mappingSets: 200, not 201. Equal sets are accepted (U29), and unknown paths too unless `validate` (U17)."""
    mapping_set = stored_form(call)
    name = mapping_set.get("name")
    if name and call.world.options.unique_mapping_names:
        _check_name(call, name, itself="")
    if flag(call, "validate") or call.world.options.strict_mappings:
        unknown = unknown_destinations(call.world, call.sandbox, mapping_set)
        if unknown:
            bad(f"The target schema {mapping_set['xdmSchema']} has no {', '.join(unknown)}")
    call.world.store.put(KIND, call.sandbox, mapping_set["id"], mapping_set)
    return json_response(200, {key: mapping_set[key] for key in ANSWERED})


def list_mapping_sets(call: Call) -> Response:
    """GET /mappingSets: `limit` and `start` are required."""
    limit, start = _number(call, "limit", 1), _number(call, "start", 0)
    found = list(call.world.listed(KIND, call.sandbox))
    name = call.request.first("name")
    if name is not None:
        found = [entry for entry in found if entry.get("name") == name]
    for text in call.request.every("property"):
        found = _filtered(found, text)
    orderby = call.request.first("orderBy")
    if orderby:
        fields = [_order(field.strip()) for field in orderby.split(",")]
        sort_by(found, lambda entry, field: entry.get(field), fields)
    shown = [_expanded(call, entry) for entry in found[start : start + limit]]
    links: Json = {}
    if start + limit < len(found):
        query = [(key, value) for key, value in call.request.query if key != "start"]
        following = urlencode([*query, ("start", str(start + limit))], quote_via=quote)
        links = {"next": {"href": f"/mappingSets?{following}"}}
    return json_response(200, {"data": shown, "_page": {"count": len(shown), "limit": limit}, "_links": links})


def read_mapping_set(call: Call) -> Response:
    """GET /mappingSets/{id}, of an earlier version with `version=` (U14)."""
    return json_response(200, _expanded(call, _version_asked(call)))


def replace_mapping_set(call: Call) -> Response:
    """PUT /mappingSets/{id}: a new version; the earlier one stays readable (U14)."""
    previous = _existing(call)
    sent = call.body.get("id") if isinstance(call.body, dict) else None
    if sent not in (None, previous["id"]):
        bad(f"The body names mapping set {sent}, the path {previous['id']}")
    mapping_set = stored_form(call, previous=previous)
    name = mapping_set.get("name")
    if name and call.world.options.unique_mapping_names:
        _check_name(call, name, itself=previous["id"])
    store = call.world.store
    if call.world.options.mapping_versions_kept:
        store.put(EARLIER, call.sandbox, f"{previous['id']}/{previous['version']}", previous)
    store.put(KIND, call.sandbox, mapping_set["id"], mapping_set)
    return json_response(200, mapping_set)


def delete_mapping_set(call: Call) -> Response:
    """DELETE /mappingSets/{id}: 204, refused while a flow names it (U15)."""
    if not call.world.options.mapping_set_delete:
        refuse(not_routed(call.request, frozenset({"GET", "PUT"}), bare=call.world.options.bare_not_routed))
    mapping_set = _existing(call)
    store = call.world.store
    for flow in store.all("flows", call.sandbox) if not call.world.options.lax_delete else ():
        named = [(part.get("params") or {}).get("mappingId") for part in flow.get("transformations") or ()]
        if mapping_set["id"] in named:
            bad(f"The mapping set {mapping_set['id']} is used by flow {flow['id']}")
    for version in range(mapping_set["version"]):
        store.delete(EARLIER, call.sandbox, f"{mapping_set['id']}/{version}")
    store.delete(KIND, call.sandbox, mapping_set["id"])
    return Response(status=204)


def list_mappings(call: Call) -> Response:
    """GET /mappingSets/{id}/mappings."""
    mappings = _version_asked(call)["mappings"]
    page = {"count": len(mappings), "limit": len(mappings)}
    return json_response(200, {"data": mappings, "_page": page, "_links": {}})


def read_mapping(call: Call) -> Response:
    """GET /mappingSets/{id}/mappings/{mid}."""
    mappings = _version_asked(call)["mappings"]
    found = next((mapping for mapping in mappings if mapping["id"] == call.params["mid"]), None)
    if found is None:
        _absent(f"Mapping {call.params['mid']} of mapping set {call.params['id']}")
    return json_response(200, found)


def validate_mapping_set(call: Call) -> Response:
    """POST /mappingSets/validate: one entry a mapping."""
    entries = [
        {"status": "FAILURE" if faults else "SUCCESS", "errors": faults or None}
        for faults in faults_of(call, checked_set(call.body))
    ]
    return json_response(200, {"validationResponse": entries})


def preview_mapping_set(call: Call) -> Response:
    """POST /mappingSets/preview: one row through the mappings."""
    body = call.body if isinstance(call.body, dict) else {}
    if not isinstance(body.get("data"), dict) or too_deep(body["data"]):
        bad("A preview needs data, one row as an object, and a mappingSet")
    return json_response(200, previewed(call, checked_set(body.get("mappingSet")), body["data"]))


def validate_expression(call: Call) -> Response:
    """POST /languages/el/validate: bare true or false. The community client sends the text itself, not nested."""
    outer = call.body.get("expression") if isinstance(call.body, dict) else None
    text = outer.get("expression") if isinstance(outer, dict) else outer
    if not isinstance(text, str):
        bad('The body must be {"expression":{"expression":"..."}}')
    try:
        wrong = expressions.faults_of(parse(text), unpublished=call.world.options.unpublished_functions)
    except Malformed:
        return json_response(200, False)
    return json_response(200, not wrong)


def _check_name(call: Call, name: str, *, itself: str) -> None:
    for other in call.world.store.all(KIND, call.sandbox):
        if other.get("name") == name and other["id"] != itself:
            bad(f"The mapping set {other['id']} has the name {name!r} already")


def _existing(call: Call) -> Json:
    found = call.world.store.get(KIND, call.sandbox, call.params["id"])
    if found is None:
        _absent(f"Mapping set {call.params['id']}")
    return found


def _version_asked(call: Call) -> Json:
    current = _existing(call)
    asked = call.request.first("version")
    if asked is None or asked == str(current["version"]):
        return current
    if not asked.isdecimal():
        bad(f"version must be a whole number, not {asked!r}")
    earlier = call.world.store.get(EARLIER, call.sandbox, f"{current['id']}/{asked}")
    if earlier is None:
        _absent(f"Version {asked} of mapping set {current['id']}")
    return earlier


def _expanded(call: Call, mapping_set: Json) -> Json:
    """With `expandSchema=true` the target schema comes along, resolved."""
    if not flag(call, "expandSchema"):
        return mapping_set
    schema = resolved_schema(call.world, call.sandbox, mapping_set["xdmSchema"])
    return {**mapping_set, "outputSchema": {**mapping_set["outputSchema"], "jsonSchema": schema}}


def _number(call: Call, name: str, least: int) -> int:
    text = call.request.first(name)
    number = None if text is None else number_of(text)
    if number is None or number < least:
        bad(f"The query parameter {name} is required, a whole number from {least} up")
    return number


def _filtered(found: list[Json], text: str) -> list[Json]:
    try:
        condition = parse_condition(text)
    except ValueError as fault:
        bad(f"property={text}: {fault}")
    if condition.field not in FILTERS:
        bad(f"property={text}: only {' and '.join(FILTERS)} can be filtered by")
    return [entry for entry in found if condition.holds(entry.get(condition.field))]


def _order(field: str) -> str:
    name = field.lstrip("+-")
    if name not in ORDERS:
        bad(f"orderBy={field}: only {', '.join(ORDERS)} can be sorted by")
    return ("-" if field.startswith("-") else "") + ORDERS[name]


def _absent(what: str) -> NoReturn:
    refuse(service_problem(404, "MAPPER-404", "Resource not found", f"{what} is not found"))


ROUTES: list[Route] = [
    ("POST", f"{BASE}/mappingSets", create_mapping_set),
    ("GET", f"{BASE}/mappingSets", list_mapping_sets),
    ("GET", f"{BASE}/mappingSets/{{id}}", read_mapping_set),
    ("PUT", f"{BASE}/mappingSets/{{id}}", replace_mapping_set),
    ("DELETE", f"{BASE}/mappingSets/{{id}}", delete_mapping_set),
    ("GET", f"{BASE}/mappingSets/{{id}}/mappings", list_mappings),
    ("GET", f"{BASE}/mappingSets/{{id}}/mappings/{{mid}}", read_mapping),
    ("POST", f"{BASE}/mappingSets/validate", validate_mapping_set),
    ("POST", f"{BASE}/mappingSets/preview", preview_mapping_set),
    ("POST", f"{BASE}/languages/el/validate", validate_expression),
]
