"""Conversion (Data Prep): mapping sets, their versions, validation and preview (platform-api.md §5)."""

from __future__ import annotations

from typing import Any, Final, NoReturn
from urllib.parse import quote, urlencode

from flowledger.emulator import language
from flowledger.emulator.conditions import flag, parse_condition, sort_by
from flowledger.emulator.depth import too_deep
from flowledger.emulator.digits import number_of
from flowledger.emulator.gateway import not_routed
from flowledger.emulator.mapping_rules import (
    bad,
    checked_set,
    faults_of,
    next_version,
    previewed,
    stored_form,
    stored_mapping,
)
from flowledger.emulator.paths import resolved_schema, unknown_destinations
from flowledger.emulator.problem import refuse, service_problem
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

Json = dict[str, Any]

BASE: Final = "/data/foundation/conversion"
KIND: Final = "mappingSets"
EARLIER: Final = "mappingSetVersions"  # what a PUT replaced, by "<id>/<version>" (U14)
ANSWERED: Final = ("id", "version", "createdDate", "modifiedDate", "createdBy", "modifiedBy")
PARAMETERS: Final = frozenset({"limit", "start", "name", "orderBy", "expandSchema", "property"})
FILTERS: Final = ("xdmSchema", "status")
DEFAULT_ORDER: Final = "lastUpdateDate"
ORDERS: Final = {
    "updatedDate": "modifiedDate",
    "lastUpdateDate": "modifiedDate",
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
    """GET /mappingSets: `limit` is required; `start`, required by the reference too, is left out by a client in use.

    In the order of their latest change, unless another one is asked for.
    """
    _check_parameters(call)
    limit = _number(call, "limit", 1)
    start = _number(call, "start", 0) if call.request.first("start") is not None else 0
    found = list(call.world.listed(KIND, call.sandbox))
    name = call.request.first("name")
    if name is not None:
        found = [entry for entry in found if entry.get("name") == name]
    for text in call.request.every("property"):
        found = _filtered(found, text)
    orderby = call.request.first("orderBy") or DEFAULT_ORDER
    sort_by(found, lambda entry, field: entry.get(field), [_order(field.strip()) for field in orderby.split(",")])
    shown = [_expanded(call, entry) for entry in found[start : start + limit]]
    links: Json = {}
    if start + limit < len(found):
        query = [(key, value) for key, value in call.request.query if key != "start"]
        following = urlencode([*query, ("start", str(start + limit))], quote_via=quote)
        links = {"next": {"href": f"/mappingSets?{following}"}}
    return json_response(200, {"data": shown, "_page": {"count": len(shown), "limit": limit}, "_links": links})


def read_mapping_set(call: Call) -> Response:
    """GET /mappingSets/{id}: version 0, as the reference has it, or that of `version=` (U14, U30)."""
    latest = call.world.options.mapping_version_latest or not call.world.options.mapping_versions_kept
    return json_response(200, _expanded(call, _version_asked(call, without=None if latest else "0")))


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
    _replace(call, previous, mapping_set)
    return json_response(200, mapping_set)


def create_mapping(call: Call) -> Response:
    """POST /mappingSets/{id}/mappings: one mapping more, in a new version of the set."""
    previous = _existing(call)
    mapping = stored_mapping(call)
    _replace(call, previous, next_version(call, previous, [*previous["mappings"], mapping]))
    return json_response(200, mapping)


def replace_mapping(call: Call) -> Response:
    """PUT /mappingSets/{id}/mappings/{mid}: another mapping in its place and under its id, in a new version."""
    previous = _existing(call)
    before = _mapping_of(call, previous)
    mapping = {**stored_mapping(call, previous=before), "id": before["id"]}
    others = [mapping if one["id"] == before["id"] else one for one in previous["mappings"]]
    _replace(call, previous, next_version(call, previous, others))
    return json_response(200, mapping)


def delete_mapping(call: Call) -> Response:
    """DELETE /mappingSets/{id}/mappings/{mid}: 204; the last mapping of a set stays."""
    previous = _existing(call)
    gone = _mapping_of(call, previous)
    others = [one for one in previous["mappings"] if one["id"] != gone["id"]]
    if not others:
        bad(f"{gone['id']} is the only mapping of mapping set {previous['id']}: a set has at least one")
    _replace(call, previous, next_version(call, previous, others))
    return Response(status=204)


def _replace(call: Call, previous: Json, mapping_set: Json) -> None:
    """Keep a new version of a mapping set, and the earlier one readable (U14)."""
    store = call.world.store
    if call.world.options.mapping_versions_kept:
        store.put(EARLIER, call.sandbox, f"{previous['id']}/{previous['version']}", previous)
    store.put(KIND, call.sandbox, mapping_set["id"], mapping_set)


def _mapping_of(call: Call, mapping_set: Json) -> Json:
    found: Json | None = next((one for one in mapping_set["mappings"] if one["id"] == call.params["mid"]), None)
    if found is None:
        _absent(f"Mapping {call.params['mid']} of mapping set {mapping_set['id']}")
    return found


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
    return json_response(200, _mapping_of(call, _version_asked(call)))


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


def _check_name(call: Call, name: str, *, itself: str) -> None:
    for other in call.world.store.all(KIND, call.sandbox):
        if other.get("name") == name and other["id"] != itself:
            bad(f"The mapping set {other['id']} has the name {name!r} already")


def _existing(call: Call) -> Json:
    found = call.world.store.get(KIND, call.sandbox, call.params["id"])
    if found is None:
        _absent(f"Mapping set {call.params['id']}")
    return found


def _check_parameters(call: Call) -> None:
    """Refuse a query parameter that the list does not have, unless the option ignores such."""
    unknown = sorted({name for name, _ in call.request.query} - PARAMETERS)
    if unknown and not call.world.options.unknown_queries_ignored:
        bad(f"{', '.join(unknown)}: no query parameter here; known are {', '.join(sorted(PARAMETERS))}")


def _version_asked(call: Call, *, without: str | None = None) -> Json:
    """The set in the version of the query, else in that of `without`, else the latest."""
    current: Json = _existing(call)
    asked = call.request.first("version") or without
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
        bad(
            f"The query parameter {name} must be a whole number from {least} up, not {text!r:.80}"
            if text is not None
            else f"The query parameter {name} is required, a whole number from {least} up"
        )
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
    *language.ROUTES,
    ("POST", f"{BASE}/mappingSets", create_mapping_set),
    ("GET", f"{BASE}/mappingSets", list_mapping_sets),
    ("GET", f"{BASE}/mappingSets/{{id}}", read_mapping_set),
    ("PUT", f"{BASE}/mappingSets/{{id}}", replace_mapping_set),
    ("DELETE", f"{BASE}/mappingSets/{{id}}", delete_mapping_set),
    ("GET", f"{BASE}/mappingSets/{{id}}/mappings", list_mappings),
    ("POST", f"{BASE}/mappingSets/{{id}}/mappings", create_mapping),
    ("GET", f"{BASE}/mappingSets/{{id}}/mappings/{{mid}}", read_mapping),
    ("PUT", f"{BASE}/mappingSets/{{id}}/mappings/{{mid}}", replace_mapping),
    ("DELETE", f"{BASE}/mappingSets/{{id}}/mappings/{{mid}}", delete_mapping),
    ("POST", f"{BASE}/mappingSets/validate", validate_mapping_set),
    ("POST", f"{BASE}/mappingSets/preview", preview_mapping_set),
]
