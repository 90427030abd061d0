"""explain: which step, what was sent, what came back, what is known, what to type; for every way to stop."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.cli.showplan import explanation_lines
from flowledger.engine.events import (
    DriftSeen,
    Event,
    IntentRecorded,
    LookedUp,
    OutcomeRecorded,
    ReadAnswered,
    RunProvisioned,
    RunStarted,
    RunStopped,
    RunTakenUp,
    TokenFetched,
)
from flowledger.engine.explain import Explanation, explain
from flowledger.engine.specfile import load_spec
from tests.bench import EXAMPLE

CALL = {"method": "POST", "path": "/data/foundation/flowservice/flows", "body": {"name": "x"}}


class Doc(dict[str, Any]):
    """A document with its number, as TinyDB hands it out."""

    doc_id: int


class StandingClock:
    boot_id = "this boot"

    def __init__(self, now: float) -> None:
        self._now = now

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("explaining never waits")


def explained(*events: Event, now: float = 100.0) -> Explanation:
    spec = load_spec(EXAMPLE).spec.model_dump(mode="json", by_alias=True)
    begun: list[Event] = [
        RunStarted(nonce="abcdefghij", spec=spec, org="o", sandbox="prod", base_url="http://127.0.0.1:1"),
        RunTakenUp(pid=4711, host="worker-3", boot_id="this boot", version="0"),
    ]
    documents = []
    for number, event in enumerate([*begun, *events], 1):
        document = Doc(event.doc(at=float(number), mono=float(number)))
        document.doc_id = number
        documents.append(document)
    return explain("r", documents, StandingClock(now))


def intent(attempt: int = 1, deadline: float = 10.0) -> IntentRecorded:
    return IntentRecorded(
        step="create_flow", attempt=attempt, marker="fl-abcdefghij-flow", call=CALL, send_deadline=deadline, facts={}
    )


def outcome(outcome: Any, attempt: int = 1, **more: Any) -> OutcomeRecorded:
    answer = more.pop("answer", {"status": 400, "reach": "answered", "body": {"errors": []}})
    return OutcomeRecorded(step="create_flow", attempt=attempt, outcome=outcome, answer=answer, **more)


def test_a_rejection_shows_what_was_sent_and_what_came_back() -> None:
    found = explained(
        intent(),
        outcome("not_done", code="FLOW-1419-400", text="bad mapping", request_id="req-1"),
        RunStopped(
            state="failed", error="Rejected", message="refused", step="create_flow", code="FLOW-1419-400",
            request_id="req-1", hint="correct the spec", exit_code=7,
        ),
    )  # fmt: skip
    assert found.step == "create_flow"
    assert found.sent is not None
    assert (found.sent["event"], found.sent["attempt"], found.sent["call"]) == (3, 1, CALL)
    assert found.came_back is not None
    assert (found.came_back["code"], found.came_back["request_id"]) == ("FLOW-1419-400", "req-1")
    assert found.next == "correct the spec"
    page = "\n".join(explanation_lines(found))
    for words in ("Rejected: refused (request id req-1)", "POST /data/foundation/flowservice/flows", "HTTP 400",
                  "bad mapping", "Next: correct the spec"):  # fmt: skip
        assert words in page


def test_a_killed_run_says_which_call_is_open_and_for_how_long() -> None:
    found = explained(intent(deadline=99.5))
    assert "process 4711 on worker-3 is still at it, or was killed" in found.headline
    assert found.step == "create_flow"
    assert found.came_back is None
    known = "\n".join(found.known)
    assert "attempt 1 has no usable answer (no answer was journaled)" in known
    assert "fl-abcdefghij-flow has not been looked for yet" in known
    assert "open for another" in known
    assert found.next == "flowledger resume r"
    assert "nothing is journaled" in "\n".join(explanation_lines(found))


def test_a_settle_window_that_is_over_is_told_so() -> None:
    known = "\n".join(explained(intent(deadline=10.0)).known)
    assert "settle window is over" in known


def test_an_attempt_of_another_boot_restarts_its_window() -> None:
    found = explained(
        RunTakenUp(pid=1, host="h", boot_id="an earlier boot", version="0"),
        intent(deadline=10.0),
    )
    assert "another boot or machine" in "\n".join(found.known)


def test_look_ups_since_the_attempt_are_counted() -> None:
    found = explained(
        intent(),
        outcome("in_doubt", answer={"status": 504, "reach": "answered"}),
        LookedUp(step="create_flow", decides=False, hits=[]),
        LookedUp(step="create_flow", decides=False, hits=[]),
    )
    known = "\n".join(found.known)
    assert "looked for 2 times since then: nothing found" in known
    assert "(HTTP 504)" in known
    assert found.state == "in_doubt"


def test_drift_names_each_difference_and_what_can_be_done() -> None:
    found = explained(
        DriftSeen(step="create_dataset", id="d", differences=["dataset d is gone"]),
        RunStopped(state="failed", error="Drifted", message="gone", hint="flowledger explain r", exit_code=8),
    )
    assert found.step == "create_dataset"
    assert "drift: dataset d is gone" in found.known
    assert found.next.startswith("put back what was changed")


def test_a_refused_token_is_explained_without_a_step() -> None:
    found = explained(
        TokenFetched(answer={"status": 400, "reach": "answered", "body": {"error": "invalid_client"}}),
        RunStopped(state="failed", error="NotPermitted", message="IMS refused", hint="check it", exit_code=4),
    )
    assert found.step == ""
    assert found.sent is not None
    assert found.sent["call"]["path"] == "/ims/token/v3"
    assert found.came_back is not None
    assert found.came_back["answer"]["status"] == 400


def test_a_read_that_failed_is_shown_when_the_step_has_sent_nothing() -> None:
    read = {"method": "GET", "path": "/data/foundation/schemaregistry/stats"}
    found = explained(
        ReadAnswered(step="read_tenant", call=read, answer={"status": 403, "reach": "answered"}),
        RunStopped(state="failed", error="NotPermitted", message="403", exit_code=4),
    )
    assert found.step == "read_tenant"
    assert found.sent is not None
    assert found.sent["call"] == read
    assert found.next == "flowledger resume r"


def test_a_provisioned_run_has_nothing_to_explain() -> None:
    found = explained(RunProvisioned(duplicates=[]))
    assert "nothing to explain" in found.headline
    assert (found.step, found.sent, found.known) == ("", None, ())


@pytest.mark.parametrize("columns", ["80", "60"])
def test_explanations_wrap(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = explanation_lines(explained(intent(deadline=99.0)))
    known = lines[lines.index("What is known:") :]
    assert max(map(len, known)) <= int(columns)
