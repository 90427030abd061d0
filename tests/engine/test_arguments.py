"""What a program gives the verbs is judged before anything is journaled or sent, as the command line judges it."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any

import pytest
import structlog.testing
import yaml

from flowledger.engine import api, fleet
from flowledger.engine.ledger import RunState
from flowledger.engine.specfile import load_spec
from flowledger.errors import SpecError, Unreachable, UsageError
from flowledger.steps.client.inprocess import Fate
from flowledger.testing import platform_in_process, run_in_virtual_time
from tests.bench import EXAMPLE, NOTHING


def written(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    document["source"]["connection"]["params"]["clientSecret"] = {"env": "PATH"}
    return {**document, **changes}


@pytest.fixture
def stopped(bench: Any) -> Any:
    """A bench whose run lacks its flow."""
    bench.fate = lambda request: (
        Fate.REFUSED if request.path.endswith("/flows") and request.method == "POST" else Fate.ANSWERED
    )
    with pytest.raises(Unreachable):
        bench.apply()
    bench.fate = lambda request: Fate.ANSWERED
    return bench


PASSED = {"frequency": "minute", "interval": 30, "start": 1_000_000}


@pytest.mark.parametrize("form", ["file", "loaded", "mapping", "model"])
def test_a_start_that_has_passed_is_refused_before_anything_is_made(bench: Any, tmp_path: Any, form: str) -> None:
    document = written(schedule=PASSED)
    file = tmp_path / "late.yaml"
    file.write_text(yaml.safe_dump(document))
    given = {"file": file, "loaded": load_spec(file), "mapping": document, "model": load_spec(file).spec}[form]
    with pytest.raises(SpecError) as caught:
        bench.apply(given)
    assert "has passed" in caught.value.faults[0]
    if form in ("file", "loaded"):
        assert caught.value.faults[0].startswith(f"{file}:"), "with its place"
    with pytest.raises(SpecError, match="nothing was sent"):
        bench.sit(fleet.apply_many, [given])
    assert bench.counts() == NOTHING
    assert bench.documents("paypal-products") == []


def test_a_start_that_passes_after_the_run_began_is_history(bench: Any) -> None:
    start = int(bench.time.wall()) + 600
    spec = written(schedule={**PASSED, "start": start})
    assert bench.apply(spec).state is RunState.PROVISIONED
    bench.time.advance(3600)
    assert bench.apply(spec).state is RunState.PROVISIONED


def test_what_is_unwise_against_adobe_is_logged_by_the_verbs_too(bench: Any) -> None:
    def connect(**options: Any) -> Any:
        platform = platform_in_process(bench.emulator, bench.time, **options)
        platform.base_url = "https://platform.adobe.io"
        return platform

    bench.connect = connect
    spec = written(settle="1s")
    for verb, given in ((api.apply, spec), (fleet.apply_many, [spec])):
        with structlog.testing.capture_logs() as lines:
            bench.sit(verb, given)
        assert any("1 s is shorter than a call may take" in line["event"] for line in lines)


@pytest.mark.parametrize(
    "start",
    [1_700_000_000.5, float("nan"), float("inf"), "tomorrow", "", True, b"+10m", 1_000_000, "1000000", "+0s", [1],
     "2001-01-01T00:00:00Z", datetime(2030, 1, 1)],
    ids=ascii,
)  # fmt: skip
def test_a_start_that_is_none_or_has_passed_is_refused_before_the_run_is_taken_up(stopped: Any, start: Any) -> None:
    before = stopped.documents()
    with pytest.raises(UsageError, match="start"):
        stopped.resume(start=start)
    assert stopped.documents() == before
    assert stopped.resume().state is RunState.PROVISIONED


@pytest.mark.parametrize("start", [4_000_000_000.0, "4000000000", "2096-10-02T07:06:40+00:00", 4_000_000_000])
def test_a_start_is_taken_in_every_form_that_a_spec_may_have(stopped: Any, start: Any) -> None:
    assert stopped.resume(start=start).state is RunState.PROVISIONED
    assert stopped.ledger().spec.schedule.start == 4_000_000_000


@pytest.mark.parametrize(
    ("journaled", "start"), [(4_000_000_000.25, 4_000_000_000), ("4000000000", 4_000_000_000), ("soon", "+10m")]
)
def test_a_start_that_an_earlier_version_journaled_unjudged_stops_no_resume(
    stopped: Any, journaled: Any, start: Any
) -> None:
    document = {**next(one for one in stopped.documents() if one["kind"] == "run_taken_up/1"), "start": journaled}
    with stopped.open_journal() as journal:
        run_in_virtual_time(stopped.time, journal.append("paypal-products", document))
    assert stopped.ledger().spec.schedule.start == start
    assert stopped.resume().state is RunState.PROVISIONED


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("destroy", {"keep_dataset": "no"}),
        ("drift", {"remove_twins": "no"}),
        ("apply", {"share": "no"}),
        ("resume", {"lock_timeout": "30s"}),
        ("resume", {"lock_timeout": float("nan")}),
        ("apply", {"lock_timeout": -1}),
    ],
)
def test_an_argument_of_another_type_is_refused_and_not_journaled(
    stopped: Any, verb: str, options: dict[str, Any]
) -> None:
    before = stopped.documents()
    with pytest.raises(UsageError, match=next(iter(options))):
        getattr(stopped, verb)(**options)
    assert stopped.documents() == before


async def _async(number: int, document: Any) -> None: ...


@pytest.mark.parametrize(
    "callback",
    [lambda event: None, lambda: None, _async, "print", functools.partial(lambda a, b: None, 1)],
    ids=["one", "none", "async", "text", "partial"],
)
def test_a_callback_that_cannot_be_called_is_refused_before_anything_is_sent(bench: Any, callback: Any) -> None:
    with pytest.raises(UsageError, match="on_event"):
        bench.apply(on_event=callback)
    with pytest.raises(UsageError, match="on_event"):
        bench.sit(fleet.apply_many, [bench.spec], on_event=callback)
    assert bench.counts() == NOTHING
    assert bench.requests == []


def test_a_callback_that_takes_the_arguments_in_any_way_is_called(bench: Any) -> None:
    seen: list[Any] = []
    bench.apply(on_event=lambda *event: seen.append(event))
    assert len(seen) > 10
    bench.destroy(on_event=lambda number, document, more=None: None)


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        (api.apply_sync, {"spec": EXAMPLE, "platform": "http://127.0.0.1:8480"}),
        (api.apply_sync, {"spec": EXAMPLE, "halt": True}),
        (api.apply_sync, {"spec": EXAMPLE, "journal": ""}),
        (api.apply_sync, {"spec": EXAMPLE, "journal": None}),
        (fleet.apply_many_sync, {"specs": str(EXAMPLE)}),
        (fleet.apply_many_sync, {"specs": None}),
        (fleet.apply_many_sync, {"specs": [EXAMPLE], "journal": " "}),
        (fleet.apply_many_sync, {"specs": [EXAMPLE], "halt": True}),
        (fleet.resume_many_sync, {"runs": "paypal-products"}),
        (api.resume_sync, {"run": None}),
        (api.destroy_sync, {"run": 5}),
        (api.drift_sync, {"run": None}),
        (api.status_sync, {"run": None}),
        (api.status_sync, {"run": "x", "journal": ""}),
        (api.watch_sync, {"run": "x", "until": "first"}),
        (api.dataset, {"run": None}),
    ],
    ids=range(16),
)
def test_a_value_of_another_type_is_refused_and_no_journal_is_begun(
    verb: Any, given: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        verb(**given)
    assert list(tmp_path.iterdir()) == []
