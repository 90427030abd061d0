"""The emulator's OpenAPI document: valid, complete, honest about whose it is, and served."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from flowledger.emulator.core import ROUTES, Emulator
from flowledger.emulator.openapi import document
from flowledger.emulator.options import Options
from flowledger.emulator.pytest_plugin import ServedEmulator
from flowledger.emulator.wire import Request


def test_every_route_is_documented_and_nothing_else_is() -> None:
    documented = {(method.upper(), path) for path, item in document()["paths"].items() for method in item}
    assert documented == {(method, path) for method, path, _ in ROUTES}


def test_the_document_is_valid_openapi() -> None:
    said = document()
    assert said["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(said).iter_errors()] == []


def test_the_document_says_that_it_is_not_adobes() -> None:
    title = document()["info"]["title"]
    assert "emulator of" in title
    assert title.endswith("built from Adobe's documents; not Adobe's own document")


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does() -> None:
    operations = [operation for item in document()["paths"].values() for operation in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] and operation["responses"] for operation in operations)


def test_every_name_in_a_path_is_a_parameter() -> None:
    for path, item in document()["paths"].items():
        for operation in item.values():
            named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path


def test_every_schema_is_used_and_every_reference_leads_somewhere() -> None:
    said = document()
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(said)))
    assert used == set(said["components"]["schemas"])


def test_every_call_of_the_platform_names_what_the_gateway_wants() -> None:
    for path, item in document()["paths"].items():
        for operation in item.values():
            headers = {one["name"] for one in operation["parameters"] if one["in"] == "header" and one["required"]}
            if path.startswith("/ims/"):
                assert operation["security"] == []
                continue
            assert {"x-api-key", "x-gw-ims-org-id"} <= headers, path
            assert "security" not in operation, path  # the token, as everywhere
            assert ("x-sandbox-name" in headers) == path.startswith("/data/foundation/flowservice/"), path


def test_every_answer_carries_a_request_id() -> None:
    said = document()
    for item in said["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                name = response.get("$ref", "").rpartition("/")[2]
                headers = (said["components"]["responses"][name] if name else response)["headers"]
                assert headers["x-request-id"]["required"]


def test_the_document_follows_the_options() -> None:
    said = json.dumps(document(Options(client_id="our-key", org="OURS@AdobeOrg", sandboxes=("stage",))))
    assert '"enum": ["our-key"]' in said
    assert '"enum": ["OURS@AdobeOrg"]' in said
    assert '"enum": ["stage"]' in said
    strict = document(Options(strict_sandbox=True))["paths"]["/data/foundation/catalog/dataSets"]["get"]
    assert any(one["name"] == "x-sandbox-name" and one["required"] for one in strict["parameters"])


def test_the_document_tells_no_secret() -> None:
    assert "a-secret-of-ours" not in json.dumps(document(Options(client_secret="a-secret-of-ours")))


@pytest.mark.parametrize("path", ["/_emulator/openapi.json", "/_emulator/openapi.json/"])
def test_the_emulator_serves_its_document_to_whoever_asks(path: str) -> None:
    emulator = Emulator(options=Options(tenant="acme"))
    try:
        answer = emulator.handle(Request(method="GET", raw_path=path))
    finally:
        emulator.close()
    assert answer.status == 200
    assert json.loads(answer.body) == json.loads(json.dumps(document(Options(tenant="acme"))))


def test_the_document_can_be_read_over_http() -> None:
    served = ServedEmulator(Options())
    try:
        with urllib.request.urlopen(f"{served.url}/_emulator/openapi.json") as answer:
            assert answer.headers["content-type"] == "application/json"
            assert json.load(answer)["openapi"] == "3.1.0"
    finally:
        served.close()
