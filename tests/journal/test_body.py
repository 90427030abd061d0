"""An answer is never refused: whatever its body is, some form of it can be journaled."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem, body_fields
from flowledger.journal.body import BODY_CAP, KEPT


def _journaled(fields: dict[str, Any]) -> dict[str, Any]:
    journal = Journal.open(Path("/j"), fs=SimulatedFileSystem(), committer=InlineCommitter())
    journal.db.insert({"run": "a", "answer": {"status": 200, **fields}})
    found: dict[str, Any] = journal.db.all()[0]["answer"]
    return {key: value for key, value in found.items() if key != "status"}


def test_strict_json_is_kept_as_json() -> None:
    assert _journaled(body_fields(b'{"id":"1"}', {"id": "1"}, "")) == {"body": {"id": "1"}}
    assert _journaled(body_fields(b"", None, "")) == {"body": None}


def test_text_is_kept_with_the_reason() -> None:
    fields = _journaled(body_fields("<html>é".encode(), None, "not JSON: char 0"))
    assert fields == {"body_text": "<html>é", "body_fault": "not JSON: char 0"}


def test_bytes_are_kept_as_base64() -> None:
    fields = _journaled(body_fields(b"\xff\x00", None, "not UTF-8"))
    assert base64.b64decode(fields["body_b64"]) == b"\xff\x00"
    assert fields["body_fault"] == "not UTF-8"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"n": NaN}',
        b'{"n": 1e999}',
        b'{"n": 123456789012345678901234567890}',
        b'{"text": "\\ud800"}',
        b"[" * 400 + b"]" * 400,
    ],
)
def test_json_that_would_not_read_back_is_kept_as_text(raw: bytes) -> None:
    fields = _journaled(body_fields(raw, json.loads(raw), ""))
    assert fields["body_text"] == raw.decode()
    assert fields["body_fault"]


@pytest.mark.parametrize(
    "body", [b'"' + b"x" * BODY_CAP + b'"', b"\xff" * BODY_CAP, b"\x01" * (BODY_CAP // 4)], ids=["json", "bytes", "nul"]
)
def test_a_body_that_is_too_large_is_kept_by_its_beginning_length_and_hash(body: bytes) -> None:
    value = json.loads(body) if body[:1] == b'"' else None
    fields = _journaled(body_fields(body, value, "" if value else "not JSON"))
    assert fields["body_start"] == body[:KEPT].decode(errors="replace")
    assert fields["body_length"] == len(body)
    assert fields["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert str(BODY_CAP) in fields["body_fault"]


def test_the_beginning_of_a_large_body_is_taken_from_what_was_redacted() -> None:
    value = {"access_token": "***", "pad": "x" * BODY_CAP}
    fields = body_fields(json.dumps({"access_token": "secret", "pad": value["pad"]}).encode(), value, "")
    assert "secret" not in str(fields)
    assert fields["body_start"].startswith('{"access_token":"***"')


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_bytes_can_be_journaled(body: bytes) -> None:
    try:
        value, fault = json.loads(body), ""
    except ValueError as error:
        value, fault = None, str(error)
    fields = body_fields(body, value, fault)
    assert _journaled(fields) == fields
