"""However broken an answer is, it gets its place in the journal, and no secret comes along."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from flowledger.engine.evidence import answer_doc, call_doc
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
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
