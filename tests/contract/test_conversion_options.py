"""Conversion: previews of many mappings, and its undocumented choices in both worlds (platform-api.md §5, §15)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import CONVERSION, REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options

PROFILE = "https://ns.adobe.com/xdm/context/profile"
PATH = f"{CONVERSION}/mappingSets"

Json = dict[str, Any]


class World:
    """An emulator with options and a target schema."""

    def __init__(self, **options: Any) -> None:
        self.caller = Caller(Emulator(options=Options(**options)))
        body = {"title": "s", "type": "object", "allOf": [{"$ref": PROFILE}, {"$ref": f"{PROFILE}-person-details"}]}
        self.schema = self.caller.send("POST", f"{REGISTRY}/tenant/schemas", body).json["$id"]

    def tutorial(self, destination: str = "person.name.firstName", **more: Any) -> Json:
        mapping = {"destinationXdmPath": destination, "sourceAttribute": "Name"}
        return {"xdmSchema": self.schema, "xdmVersion": "1.0", "mappings": [mapping], **more}

    def reference(self, *mappings: tuple[str, str, str], **more: Any) -> Json:
        found = [{"sourceType": kind, "source": source, "destination": to} for kind, source, to in mappings]
        return {"outputSchema": {"schemaRef": {"id": self.schema}}, "mappings": found, **more}

    def post(self, body: Json, path: str = PATH) -> Reply:
        return self.caller.send("POST", path, body)


def preview(row: Json, *mappings: tuple[str, str, str]) -> Json:
    """A preview without a target schema: any destination will do."""
    world = World()
    mapping_set = {"mappings": world.reference(*mappings)["mappings"]}
    reply = world.post({"data": row, "mappingSet": mapping_set}, f"{PATH}/preview")
    assert reply.status == 200, reply.response
    found: Json = reply.json
    return found


def test_mappings_into_one_object_and_one_array_come_together() -> None:
    found = preview(
        {"a": 1, "b": 2, "odd column": {"x y": "z"}, "none": None},
        ("ATTRIBUTE", "a", "_t.items[0].n"),
        ("ATTRIBUTE", "b", "_t.items[1].n"),
        ("EXPRESSION", "${odd column}.${x y}", "_t.items[1].text"),
        ("EXPRESSION", "concat(a, '-', b)", "_t.key"),
        ("ATTRIBUTE", "none", "_t.nothing"),
    )

    assert found == {
        "data": {"_t": {"items": [{"n": 1}, {"n": 2, "text": "z"}], "key": "1-2", "nothing": None}},
        "errors": [],
    }


def test_a_failing_expression_makes_its_column_null_and_says_which_and_why() -> None:
    found = preview({"n": "x"}, ("EXPRESSION", "to_integer(n)", "_t.n"), ("EXPRESSION", "upper(n)", "_t.text"))

    assert found["data"] == {"_t": {"n": None, "text": "X"}}
    (error,) = found["errors"]
    assert (error["columnName"], error["source"]) == ("_t.n", "to_integer(n)")
    assert error["exception"] == "_t.n: to_integer(n): to_integer: 'x' is no number, or out of range"


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("date('2019-10-23 11:24')", "2019-10-23T11:24:00Z"),
        ("to_object('at', [date('2019-10-23')])", {"at": ["2019-10-23T00:00:00Z"]}),
        ("big * big", str(10**36)),
        ("json_to_object('{\"a\": [1]}')", {"a": [1]}),
    ],
)
def test_every_value_of_an_expression_is_shown_as_json(expression: str, shown: Any) -> None:
    assert preview({"big": 10**18}, ("EXPRESSION", expression, "_t")) == {"data": {"_t": shown}, "errors": []}


def test_now_is_the_emulators_time_and_ids_are_drawn_from_its_seed(clock: Any) -> None:
    def one() -> Json:
        caller = Caller(Emulator(clock=clock, seed=7))
        names = (("now()", "at"), ("uuid()", "id"))
        mappings = [{"sourceType": "EXPRESSION", "source": text, "destination": to} for text, to in names]
        body = {"data": {}, "mappingSet": {"mappings": mappings}}
        found: Json = caller.send("POST", f"{PATH}/preview", body).json["data"]
        return found

    assert one() == one()
    assert one()["at"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("depth", [101, 5000])
def test_a_destination_of_very_many_steps_is_refused(depth: int) -> None:
    world = World()
    body = {"data": {}, "mappingSet": world.reference(("STATIC", "x", ".".join(["a"] * depth)))}

    assert world.post(body, f"{PATH}/preview").status == 400


def test_data_that_nests_too_deeply_is_refused() -> None:
    world = World()
    data: Any = {}
    for _ in range(150):
        data = {"a": data}

    assert world.post({"data": data, "mappingSet": world.tutorial()}, f"{PATH}/preview").status == 400


def test_unknown_functions_and_wrong_arguments_fail_validation_naming_column_and_expression() -> None:
    world = World()
    body = world.reference(
        ("EXPRESSION", "teleport(Name)", "person.name.firstName"),
        ("EXPRESSION", "upper(Name, 1)", "person.name.lastName"),
        ("EXPRESSION", "upper(Name)", "person.gender"),
        ("EXPRESSION", "round(Amount)", "person.taxId"),
    )

    entries = world.post(body, f"{PATH}/validate").json["validationResponse"]

    said = [entry["errors"][0]["message"] if entry["errors"] else None for entry in entries]
    assert said == [
        "person.name.firstName: teleport(Name): there is no function teleport",
        "person.name.lastName: upper(Name, 1): upper takes 1 argument, got 2",
        None,
        "person.taxId: round(Amount): there is no function round",
    ]


def test_functions_outside_adobes_list_may_be_allowed() -> None:
    world = World(unpublished_functions=True)
    body = {"expression": {"expression": "round(a)"}}
    path = f"{CONVERSION}/languages/el/validate"

    assert (World().post(body, path).json, world.post(body, path).json) == (False, True)
    entries = world.post(world.reference(("EXPRESSION", "round(a)", "person.taxId")), f"{PATH}/validate").json
    assert entries["validationResponse"][0]["status"] == "SUCCESS"


def test_a_preview_makes_null_what_the_schema_does_not_have_and_what_validation_refuses() -> None:
    world = World()
    body = world.reference(
        ("ATTRIBUTE", "a", "product.name"), ("EXPRESSION", "round(a)", "_id"), ("ATTRIBUTE", "a", "person.taxId")
    )

    found = world.post({"data": {"a": 1.5}, "mappingSet": body}, f"{PATH}/preview").json

    assert found["data"] == {"product": {"name": None}, "_id": None, "person": {"taxId": 1.5}}
    assert [error["exception"] for error in found["errors"]] == [
        "product.name: a: the path product.name is not in the target schema",
        "_id: round(a): there is no function round",
    ]
    lax = World(unpublished_functions=True)
    body = {"data": {"a": 1.5}, "mappingSet": lax.reference(("EXPRESSION", "round(a)", "_id"))}
    assert lax.post(body, f"{PATH}/preview").json == {"data": {"_id": 2}, "errors": []}


def test_a_preview_against_an_absent_schema_is_refused() -> None:
    world = World()
    body = {**world.tutorial(), "xdmSchema": "https://ns.adobe.com/localtenant/schemas/0123"}

    assert world.post({"data": {}, "mappingSet": body}, f"{PATH}/preview").status == 400


@pytest.mark.parametrize(("kept", "status"), [(True, 200), (False, 404)])
def test_what_a_put_replaced_stays_readable_or_not(kept: bool, status: int) -> None:
    """U14."""
    world = World(mapping_versions_kept=kept)
    id = world.post(world.tutorial()).json["id"]

    replaced = world.caller.send("PUT", f"{PATH}/{id}", {**world.tutorial(), "id": id})

    assert replaced.json["version"] == 1
    assert world.caller.send("GET", f"{PATH}/{id}", query=[("version", "1")]).status == 200
    assert world.caller.send("GET", f"{PATH}/{id}", query=[("version", "0")]).status == status


@pytest.mark.parametrize(("exists", "status"), [(True, 204), (False, 405)])
def test_a_mapping_set_may_be_deleted_or_has_no_such_method(exists: bool, status: int) -> None:
    """U15."""
    world = World(mapping_set_delete=exists)
    id = world.post(world.tutorial()).json["id"]

    assert world.caller.send("DELETE", f"{PATH}/{id}").status == status
    assert world.caller.send("GET", f"{PATH}/{id}").status == (404 if exists else 200)


def test_a_mapping_set_of_a_flow_goes_when_deletes_are_lax(clock: Any, pass_of: Any) -> None:
    """U15."""
    caller = Caller(Emulator(clock=clock, options=Options(lax_delete=True)))
    a_pass = pass_of(caller).upto_flow()
    a_pass.make_flow()

    assert caller.send("DELETE", f"{PATH}/{a_pass.mapping_set}").status == 204


@pytest.mark.parametrize(("keeps", "name"), [(True, "n"), (False, None)])
def test_the_tutorials_dialect_keeps_a_name_or_drops_it(keeps: bool, name: str | None) -> None:
    """U16: the reference's dialect keeps it always."""
    world = World(keep_tutorial_names=keeps)
    tutorial = world.post(world.tutorial(name="n", tags=[{"name": "t", "values": ["v"]}])).json["id"]
    reference = world.post(world.reference(("ATTRIBUTE", "a", "_id"), name="n")).json["id"]

    assert world.caller.send("GET", f"{PATH}/{tutorial}").json.get("name") == name
    assert world.caller.send("GET", f"{PATH}/{reference}").json["name"] == "n"


@pytest.mark.parametrize(("strict", "status"), [(False, 200), (True, 400)])
def test_an_unknown_destination_is_accepted_or_refused(strict: bool, status: int) -> None:
    """U17."""
    world = World(strict_mappings=strict)

    assert world.post(world.tutorial("product.name")).status == status
    assert world.post(world.tutorial()).status == 200


def test_a_second_set_of_one_name_is_another_or_refused_naming_the_first() -> None:
    """U29."""
    lax, strict = World(), World(unique_mapping_names=True)
    for world in (lax, strict):
        world.post(world.tutorial(name="n"))
    first = strict.caller.emulator.objects("mappingSets")[0]["id"]

    refused = strict.post(strict.tutorial(name="n"))

    assert lax.post(lax.tutorial(name="n")).status == 200
    assert (refused.status, first in refused.json["detail"]) == (400, True)
    assert strict.post(strict.tutorial()).status == strict.post(strict.tutorial()).status == 200
    assert strict.caller.send("PUT", f"{PATH}/{first}", strict.tutorial(name="n")).status == 200
