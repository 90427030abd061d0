"""Catalog: batches, dataset files, and its undocumented choices in both worlds (platform-api.md §3.3, §3.4, §15)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options

BATCHES = f"{CATALOG}/batches"


@pytest.fixture(autouse=True)
def batches(emulator: Emulator) -> None:
    """Three batches as the platform keeps them after runs: two of dataset d1, one of d2."""
    for id, data_set, status, created in (
        ("01A", "d1", "success", 1000),
        ("01B", "d1", "failed", 2000),
        ("01C", "d2", "success", 3000),
    ):
        batch = {
            "id": id,
            "status": status,
            "relatedObjects": [{"type": "dataSet", "id": data_set}],
            "metrics": {"recordsWritten": created, "inputRecordCount": 5, "failedRecordCount": 2, "outputByteSize": 99},
            "created": created,
            "started": created - 10,
            "completed": created - 1,
            "createdUser": f"user of {id}",
            "tags": {"flowRunId": [f"run of {id}"]},
            **({"externalId": "outside"} if id == "01B" else {}),
        }
        emulator.world.store.put("batches", "prod", id, batch)
        file = {"id": f"f-{id}", "dataSetId": data_set, "batchId": id, "isValid": True}
        emulator.world.store.put("dataSetFiles", "prod", f"f-{id}", file)


def ask(caller: Caller, *query: tuple[str, str]) -> Reply:
    return caller.send("GET", BATCHES, query=query)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ([], ["01A", "01B", "01C"]),
        ([("dataSet", "d1")], ["01A", "01B"]),
        ([("dataSet", "d1"), ("status", "success")], ["01A"]),
        ([("status", "success,failed")], ["01A", "01B", "01C"]),
        ([("status", "staged")], []),
        ([("createdAfter", "1000")], ["01B", "01C"]),
        ([("createdBefore", "3000")], ["01A", "01B"]),
        ([("createdAfter", "1000"), ("createdBefore", "3000")], ["01B"]),
        ([("orderBy", "desc:created"), ("limit", "1")], ["01C"]),
        ([("orderBy", "desc:created"), ("limit", "2"), ("start", "2")], ["01A"]),
        ([("property", "status!=success")], ["01B"]),
        ([("batch", "01B")], ["01B"]),
        ([("batch", "01B,01C")], ["01B", "01C"]),
        ([("created", "2000")], ["01B"]),
        ([("createdUser", "user of 01A")], ["01A"]),
        ([("createdClient", "nobody")], []),
        ([("updated", "2000")], []),
        ([("updatedUser", "nobody")], []),
        ([("version", "1.0.0")], []),
        ([("started", "1990")], ["01B"]),
        ([("completed", "1999")], ["01B"]),
        ([("startAfter", "1990")], ["01C"]),
        ([("startBefore", "1990")], ["01A"]),
        ([("endAfter", "1999")], ["01C"]),
        ([("endBefore", "1999")], ["01A"]),
        ([("externalId", "outside")], ["01B"]),
        ([("recordCount", "5")], ["01A", "01B", "01C"]),
        ([("recordCount", "6")], []),
        ([("failedRecordCount", "2")], ["01A", "01B", "01C"]),
        ([("failedRecordCount", "0")], []),
        ([("size", "99")], ["01A", "01B", "01C"]),
        ([("size", "100")], []),
        ([("tags", "flowRunId:run of 01C")], ["01C"]),
        ([("connection", "x")], []),
        ([("status", "!success")], ["01B"]),
    ],
)
def test_batches_are_found_by_dataset_status_and_time(
    prod: Caller, query: list[tuple[str, str]], ids: list[str]
) -> None:
    assert list(ask(prod, *query).json) == ids


@pytest.mark.parametrize(
    "query", [("createdAfter", "yesterday"), ("createdBefore", "-1"), ("endAfter", ""), ("limit", "0")]
)
def test_a_query_of_batches_that_makes_no_sense_is_refused(prod: Caller, query: tuple[str, str]) -> None:
    reply = ask(prod, query)

    assert (reply.status, reply.code) == (400, "CATALOG-400")


def test_a_batch_is_a_map_of_one(prod: Caller, dev: Caller) -> None:
    found = prod.send("GET", f"{BATCHES}/01A", query=[("properties", "status,metrics")])

    assert found.json["01A"].keys() == {"status", "metrics"}
    assert dev.send("GET", f"{BATCHES}/01A").status == 404
    assert prod.send("GET", f"{BATCHES}/absent").code == "CATALOG-404"


def test_a_batch_may_be_asked_for_with_what_belongs_to_it_added_up(prod: Caller) -> None:
    plain = prod.send("GET", f"{BATCHES}/01A").json

    assert prod.send("GET", f"{BATCHES}/01A", query=[("aggregate", "true")]).json == plain
    assert prod.send("GET", f"{BATCHES}/01A", query=[("aggregate", "perhaps")]).code == "CATALOG-400"


def test_the_files_of_a_dataset_are_listed_by_what_its_files_say(prod: Caller) -> None:
    listed = prod.send("GET", f"{CATALOG}/dataSetFiles", query=[("dataSetId", "d1")])

    assert list(listed.json) == ["f-01A", "f-01B"]
    assert prod.send("GET", f"{CATALOG}/dataSetFiles/f-01A").json["f-01A"]["batchId"] == "01A"
    assert prod.send("GET", f"{CATALOG}/dataSetFiles/absent").status == 404


def test_deleting_what_is_not_there_answers_nothing_or_404(prod: Caller) -> None:
    """§3.3."""
    path = f"{CATALOG}/dataSets/absent"
    strict = Caller(Emulator(options=Options(absent_delete_404=True)))

    assert (prod.send("DELETE", path).status, prod.send("DELETE", path).json) == (200, [])
    assert (strict.send("DELETE", path).status, strict.send("DELETE", path).code) == (404, "CATALOG-404")


def test_a_call_in_a_batch_may_have_headers_of_its_own(prod: Caller, emulator: Emulator) -> None:
    schema = {"title": "s", "type": "object", "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}]}
    id = prod.send("POST", f"{REGISTRY}/tenant/schemas", schema).json["$id"]
    body = {"name": "d", "schemaRef": {"id": id}}
    made = prod.send("POST", f"{CATALOG}/dataSets", body, query=[("requestDataSource", "true")]).json[0]

    def patch(headers: Any) -> Reply:
        call = {"id": "1", "resource": made.removeprefix("@"), "method": "PATCH", "body": {"name": "e"}}
        return prod.send("POST", CATALOG, [{**call, "headers": headers}])

    assert patch({"If-Match": '"stale"'}).json[0]["code"] == 412
    assert patch({"Pragma": "validate-only"}).json[0]["code"] == 200
    assert emulator.objects("dataSets")[0]["name"] == "d"
    assert patch(None).json[0]["code"] == 200
    assert emulator.objects("dataSets")[0]["name"] == "e"
    assert [patch(headers).status for headers in ("x", ["x"], {"If-Match": 1})] == [400, 400, 400]


@pytest.mark.parametrize("name", ["limit", "start"])
def test_a_number_of_a_thousand_digits_is_refused_not_read(prod: Caller, name: str) -> None:
    assert ask(prod, (name, "9" * 1000)).status == 400
    assert prod.send("GET", BATCHES, headers={name: "9" * 10_000}).status == 400


def test_a_third_party_may_change_a_dataset_between_a_read_and_a_write(prod: Caller, emulator: Emulator) -> None:
    schema = {"title": "s", "type": "object", "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}]}
    id = prod.send("POST", f"{REGISTRY}/tenant/schemas", schema).json["$id"]
    body = {"name": "d", "schemaRef": {"id": id}}
    made = prod.send("POST", f"{CATALOG}/dataSets", body, query=[("requestDataSource", "true")]).json[0]
    path = f"{CATALOG}/{made.removeprefix('@/')}"
    emulator.faults.add("PATCH /dataSets/{id}", "etag_bump", times=2)
    statuses = []

    for _ in range(3):  # all within one millisecond: the etag moves each time nevertheless
        etag = prod.send("GET", path).headers["e-tag"]
        statuses.append(prod.send("PATCH", path, {"name": "e"}, headers={"if-match": etag}).status)

    assert statuses == [412, 412, 200]


@pytest.mark.parametrize(("options", "spelling"), [({}, "@/dataSets/"), ({"references_of_prose": True}, "@/datasets/")])
def test_references_are_spelled_as_the_examples_or_as_the_prose_has_them(options: Any, spelling: str) -> None:
    """T5."""
    caller = Caller(Emulator(options=Options(**options)))
    schema = {"title": "s", "type": "object", "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}]}
    id = caller.send("POST", f"{REGISTRY}/tenant/schemas", schema).json["$id"]
    body = {"name": "d", "schemaRef": {"id": id}}
    made = caller.send("POST", f"{CATALOG}/dataSets", body, query=[("requestDataSource", "true")])
    path = f"{CATALOG}/{made.json[0].removeprefix('@/')}"

    assert made.json[0].startswith(spelling)
    assert caller.send("GET", path).status == 200
    assert caller.send("PATCH", path, {"name": "e"}).json == made.json
    assert caller.send("DELETE", path).json == made.json


def test_the_etag_is_spelled_both_ways_or_as_the_guide_has_it() -> None:
    for options, spelled in (({}, {"etag", "e-tag"}), ({"e_tag_only": True}, {"e-tag"})):
        caller = Caller(Emulator(options=Options(**options)))  # type: ignore[arg-type] # one table for two worlds
        schema = {"title": "s", "type": "object", "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}]}
        id = caller.send("POST", f"{REGISTRY}/tenant/schemas", schema).json["$id"]
        body = {"name": "d", "schemaRef": {"id": id}}
        made = caller.send("POST", f"{CATALOG}/dataSets", body, query=[("requestDataSource", "true")])
        assert {"etag", "e-tag"} & made.headers.keys() == spelled
