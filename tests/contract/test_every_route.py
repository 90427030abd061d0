"""Every route over a socket, by plain HTTP: at least one happy answer and every kind of no, the gateway's included."""

from __future__ import annotations

import pytest

from flowledger.emulator.core import ROUTES
from flowledger.emulator.routing import Match, Router
from tests.contract.plain import FLOW, Heard, Json
from tests.contract.route_cases import UNKNOWN, Case, World, every
from tests.contract.route_cases_flow import conversion, flow_service
from tests.contract.route_cases_registry import catalog, export, ims, registry, sandboxes

CASES = every(ims, sandboxes, registry, catalog, export, conversion, flow_service)
NO_HAPPY_ANSWER = {
    ("GET", "/data/foundation/schemaregistry/global/schemas/{id}"): "Adobe's own schemas: the emulator has none",
    ("GET", "/data/foundation/schemaregistry/global/datatypes/{id}"): "Adobe's own data types: the emulator has none",
    ("GET", "/data/foundation/schemaregistry/global/descriptors/{id}"): "Adobe's own descriptors: there is none",
}
WRITES = ("POST", "PUT", "PATCH")
GATEWAY = {  # what is wrong: (status, code, header, its value; "" leaves it out), in the order of U3
    "no key": (403, "403000", "x-api-key", ""),
    "an unknown key": (403, "403003", "x-api-key", "somebody"),
    "no token": (403, "403010", "Authorization", ""),
    "a token of nobody": (401, "401013", "Authorization", "Bearer x"),
    "no organisation": (400, "400003", "x-gw-ims-org-id", ""),
    "another organisation": (403, "403025", "x-gw-ims-org-id", "OTHER@AdobeOrg"),
}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_call_is_answered_as_the_contract_says(world: World, case: Case) -> None:
    heard = case.ask(world)
    assert (heard.status, heard.code if not case.happy else "") == (case.status, case.code), heard
    assert heard.headers["x-request-id"]
    if case.status == 204:
        assert heard.body == b""
        assert "content-type" not in heard.headers


@pytest.mark.parametrize(
    ("method", "template"),
    [(method, template) for method, template, _ in ROUTES if not template.startswith("/ims/")],
    ids=lambda part: part.removeprefix("/data/foundation/"),
)
def test_the_gateway_stands_before_every_route(world: World, method: str, template: str) -> None:
    path = template.format(id=UNKNOWN, name="dev", mid=UNKNOWN)
    body: Json = {} if method in WRITES else None
    for why, (status, code, header, value) in GATEWAY.items():
        without, headers = ([], {header: value}) if value else ([header], {})
        heard = world.plain.call(method, path, body, headers=headers, without=without)
        assert (heard.status, heard.code or code) == (status, code), why
    if "/sandbox-management" not in template:
        heard = world.plain.call(method, path, body, headers={"x-sandbox-name": "nowhere"})
        assert heard.status == 404
        assert method == "HEAD" or heard.code == ("FLOW-2100-404" if template.startswith(FLOW) else heard.code)
        heard = world.plain.call(method, path, body, without=["x-sandbox-name"])
        assert (heard.code == "FLOW-2105-400") == template.startswith(FLOW)
    if method in WRITES:
        _check_content_type(world.plain.call(method, path, b"{}", headers={"Content-Type": "text/plain"}), template)


def _check_content_type(heard: Heard, template: str) -> None:
    """§1.3, §8.2, U27: three services, three ways."""
    assert heard.json["status"] == heard.status
    if "/flowservice/" in template or "/conversion/" in template:
        assert (heard.status, heard.code) == (415, "CONNECTOR-1004-415")
    elif "/catalog" in template:
        assert (heard.status, heard.code) == (400, "CATALOG-400")
    else:
        assert (heard.status, heard.json["type"]) == (400, "/placeholder/type/uri")


def test_every_route_has_a_happy_and_an_unhappy_case() -> None:
    routes = {(method, template) for method, template, _ in ROUTES}
    happy = {(case.method, case.template) for case in CASES if case.happy}
    unhappy = {(case.method, case.template) for case in CASES if not case.happy}
    assert happy | NO_HAPPY_ANSWER.keys() == routes
    assert not happy & NO_HAPPY_ANSWER.keys()
    assert unhappy == routes


def test_every_route_with_an_id_is_asked_for_one_that_is_not_there() -> None:
    with_id = {(method, template) for method, template, _ in ROUTES if "{" in template}
    asked = {(case.method, case.template) for case in CASES if case.why.startswith("unknown")}
    assert with_id <= asked


def test_a_case_reaches_the_route_that_it_names() -> None:
    router = Router(ROUTES)
    for case in CASES:
        found = router.find(case.method, case.template.format(id="x", name="x", mid="x"))
        assert isinstance(found, Match)
        assert found.template == case.template


def test_a_method_that_a_path_does_not_serve_is_405_and_says_which_it_does(world: World) -> None:
    served: dict[str, set[str]] = {}
    for method, template, _ in ROUTES:
        served.setdefault(template, set()).add(method)
    for template, methods in served.items():
        heard = world.plain.call("TRACE", template.format(id=UNKNOWN, name="dev", mid=UNKNOWN))
        assert (heard.status, heard.code) == (405, "405000"), template
        assert heard.headers["allow"] == ", ".join(sorted(methods)), template
