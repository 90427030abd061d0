"""However broken an answer is, it gets its place in the journal, and no secret comes along."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.engine.evidence import answer_doc, call_doc
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.journal.body import BODY_CAP
from flowledger.steps.client import strictjson
from flowledger.steps.client.port import Answer, Reach, Request
from flowledger.steps.client.redact import Redactor
from flowledger.testing import VirtualTime, run_in_virtual_time

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())


def journaled(doc: object) -> None:
    """Append it to a journal and read the same back."""

    async def append() -> None:
        journal = Journal.open(Path("/journal"), fs=SimulatedFileSystem(), committer=InlineCommitter())
        await journal.append("a-run", {"answer": doc})
        assert journal.events("a-run")[0]["answer"] == json.loads(json.dumps(doc))
        journal.close()

    run_in_virtual_time(VirtualTime(), append())


@given(body=BODIES, header=st.text(max_size=20), trouble=st.text(max_size=20))
def test_every_answer_can_be_journaled(body: bytes, header: str, trouble: str) -> None:
    value, fault = strictjson.parse(body)
    answer = Answer(
        reach=Reach.ANSWERED,
        status=200,
        headers={"etag": header},
        body=body,
        json=value,
        json_fault=fault,
        trouble=trouble,
    )
    journaled(answer_doc(answer, Redactor()))


def test_json_that_a_journal_cannot_hold_as_json_is_kept_whole_as_text_without_its_secrets() -> None:
    body = b'{"n": 1180591620717411303424, "client_secret": "hunter2"}'
    value, fault = strictjson.parse(body)
    doc = answer_doc(Answer(reach=Reach.ANSWERED, status=200, body=body, json=value, json_fault=fault), Redactor())
    kept = json.loads(doc["body_text"])
    assert kept["n"] == 2**70
    assert "hunter2" not in str(doc)
    assert "64" in doc["body_fault"]
    journaled(doc)


def test_of_a_body_that_is_too_large_length_and_hash_are_those_of_what_came() -> None:
    for body in (b'{"a": "' + b"x" * BODY_CAP + b'"}', b"x" * (BODY_CAP + 1)):
        value, fault = strictjson.parse(body)
        answer = Answer(reach=Reach.ANSWERED, status=200, body=body, json=value, json_fault=fault)
        doc = answer_doc(answer, Redactor())
        assert (doc["body_length"], doc["body_sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
        assert "xxx" in doc["body_start"]


@given(
    secret=st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=30), place=st.integers(0, 4)
)
def test_a_registered_secret_is_nowhere_in_what_is_journaled(secret: str, place: int) -> None:
    redactor = Redactor()
    redactor.register(secret)
    value = [secret, {"note": f"it is {secret}!"}, {secret: 1}, [{"deep": [secret]}], {"clientSecret": secret}][place]
    body = json.dumps(value).encode()
    answer = Answer(reach=Reach.ANSWERED, status=200, headers={"etag": secret}, body=body, json=value, trouble=secret)
    html = Answer(reach=Reach.ANSWERED, status=200, body=f"<p>{secret}</p>".encode(), json_fault="not JSON")
    request = Request(method="POST", path="/x", body=value, query=(("q", secret),))
    for doc in (answer_doc(answer, redactor), answer_doc(html, redactor), call_doc(request, redactor)):
        assert secret not in json.dumps(doc)


LISTS = {
    "registry": lambda items: {"results": items, "_page": {"next": None}},
    "flow service": lambda items: {"items": items, "_links": {}},
    "mapping sets": lambda items: {"data": items},
    "catalog": lambda items: {item["id"]: item for item in items},
    "explore": lambda items: items,
}


@pytest.mark.parametrize("shape", LISTS.values(), ids=LISTS)
def test_of_a_long_list_what_names_the_run_is_kept_whole_and_the_rest_is_counted(shape: Any) -> None:
    items = [{"id": f"id-{number}", "description": "d" * 8000} for number in range(500)]
    items[300]["description"] += " [fl-abc123-dataset]"
    items[400]["refers_to"] = "our-flow"
    body = json.dumps(shape(items)).encode()
    answer = Answer(reach=Reach.ANSWERED, status=200, body=body, json=json.loads(body))
    doc = answer_doc(answer, Redactor(), names=("abc123", "our-flow"))
    kept = json.dumps(doc["body"])
    assert "id-300" in kept
    assert "id-400" in kept
    assert len(json.dumps(doc)) < 200_000
    left_out = doc["items_left_out"]
    assert left_out["count"] == 500 - kept.count("id-") // (2 if shape is LISTS["catalog"] else 1)
    gone = [item for item in items if f'"{item["id"]}"' not in kept]
    assert left_out["bytes"] == sum(len(strictjson.encode(item)) for item in gone)
    assert left_out["sha256"] == hashlib.sha256(b"".join(map(strictjson.encode, gone))).hexdigest()
    journaled(doc)


@pytest.mark.parametrize("size", [1, 3])
def test_a_short_list_and_an_object_by_its_id_are_kept_whole(size: int) -> None:
    body = json.dumps({"items": [{"id": str(number), "text": "t" * (60_000 // size)} for number in range(size)]})
    answer = Answer(reach=Reach.ANSWERED, status=200, body=body.encode(), json=json.loads(body))
    assert answer_doc(answer, Redactor(), names=("x",))["body"] == json.loads(body)
    one = json.dumps({"items": [{"id": "one", "text": "t" * 200_000}]})
    answer = Answer(reach=Reach.ANSWERED, status=200, body=one.encode(), json=json.loads(one))
    assert answer_doc(answer, Redactor(), names=("x",))["body"] == json.loads(one)


def test_a_list_in_which_all_names_the_run_is_bounded_too() -> None:
    body = json.dumps({"items": [{"id": str(number), "text": "ours " * 2000} for number in range(1000)]}).encode()
    answer = Answer(reach=Reach.ANSWERED, status=200, body=body, json=json.loads(body))
    assert len(json.dumps(answer_doc(answer, Redactor(), names=("ours",)))) < 1_300_000
