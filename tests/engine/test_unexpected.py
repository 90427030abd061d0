"""An error that nothing foresaw ends its own run, journaled, and no other."""

from __future__ import annotations

from typing import Any

import pytest

import flowledger
from flowledger.engine.explain import explain
from flowledger.engine.fleet import apply_many
from flowledger.engine.ledger import RunState
from flowledger.engine.report import report_of
from flowledger.engine.together import all_of
from flowledger.errors import InternalError, StepError
from flowledger.steps.dataset import CreateDataset
from flowledger.steps.tenant import ReadTenant
from flowledger.testing import VirtualTime, run_in_virtual_time
from tests.bench import example

BUGS = [KeyError("a bug"), RecursionError(), ValueError("x" * 3000), ExceptionGroup("two", [OSError(), TypeError()])]


def broken(monkeypatch: Any, owner: Any, method: str, error: Exception, *, only: str = "") -> None:
    """Let a method of a step raise, in one run or in all."""
    real = getattr(owner, method)

    def raising(self: Any, ctx: Any, *args: Any, **options: Any) -> Any:
        if only in ("", ctx.run):
            raise error
        return real(self, ctx, *args, **options)

    monkeypatch.setattr(owner, method, raising)


@pytest.mark.parametrize("error", BUGS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("owner", "method"), [(ReadTenant, "prepare"), (CreateDataset, "request")])
def test_a_fault_in_one_of_many_runs_ends_that_run_and_the_others_are_provisioned(
    bench: Any, monkeypatch: Any, error: Exception, owner: Any, method: str
) -> None:
    broken(monkeypatch, owner, method, error, only="r-2")
    specs = [example().model_copy(update={"name": f"r-{number}"}) for number in range(5)]
    report = bench.sit(apply_many, specs)
    assert {run.run for run in report.runs if run.state is not RunState.PROVISIONED} == {"r-2"}
    assert report.exit_code == 1
    stopped = bench.ledger("r-2").stopped
    assert stopped is not None
    assert (stopped.state, stopped.error, stopped.step, stopped.exit_code) == ("failed", "InternalError", owner.name, 1)
    assert stopped.message.startswith(f"internal error: {type(error).__name__}")


def test_the_run_alone_ends_the_same_way_and_a_resume_after_the_mending_provisions_it(
    bench: Any, monkeypatch: Any, made_once: dict[str, int]
) -> None:
    with monkeypatch.context() as patched:
        broken(patched, CreateDataset, "request", KeyError("a bug"))
        with pytest.raises(InternalError, match="internal error: KeyError: 'a bug'") as failed:
            bench.apply()
        assert isinstance(failed.value, StepError)
        assert isinstance(failed.value.__cause__, KeyError)
        assert (failed.value.exit_code, failed.value.step) == (1, "create_dataset")
        with pytest.raises(InternalError):
            bench.resume()
    explained = explain(bench.spec.name, bench.documents(), bench.time)
    assert explained.headline.startswith("InternalError: internal error: KeyError")
    assert "killed" not in explained.headline
    assert "flowledger resume" in explained.next
    assert report_of(bench.ledger(), "").exit_code == 1
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


@pytest.mark.parametrize("verb", ["destroy", "drift"])
def test_a_fault_of_another_verb_is_one_error_of_the_tree(bench: Any, monkeypatch: Any, verb: str) -> None:
    bench.apply()
    with monkeypatch.context() as patched:
        broken(patched, CreateDataset, "fetch", ZeroDivisionError("a bug"))
        with pytest.raises(InternalError, match="ZeroDivisionError") as failed:
            getattr(bench, verb)()
    assert f"flowledger {verb}" in failed.value.hint
    stopped = bench.ledger().stopped
    assert (stopped.error if stopped else None) == ("InternalError" if verb == "destroy" else None)
    assert getattr(bench, verb)().exit_code == 0


def test_a_secret_in_an_unexpected_error_shows_nowhere(bench: Any, monkeypatch: Any) -> None:
    broken(monkeypatch, CreateDataset, "request", KeyError("local-secret is in here"))
    with pytest.raises(InternalError) as failed:
        bench.apply()
    assert "local-secret" not in f"{failed.value} {failed.value.__cause__!r} {bench.documents()}"


def test_an_error_of_on_event_is_still_the_callers_own(bench: Any) -> None:
    def on_event(run: str, number: int, doc: Any) -> None:
        raise LookupError("the caller's")

    with pytest.raises(LookupError, match="the caller's"):
        bench.sit(apply_many, [example()], on_event=on_event)
    bench.on_event = lambda number, doc: on_event("", number, doc)
    with pytest.raises(LookupError, match="the caller's"):
        bench.apply()


def test_what_else_was_raised_at_the_same_time_is_in_the_errors_notes() -> None:
    async def fail(error: Exception) -> None:
        raise error

    with pytest.raises(KeyError) as failed:
        run_in_virtual_time(VirtualTime(), all_of([fail(KeyError("first")), fail(OSError("second"))]))
    assert failed.value.__notes__ == ["at the same time: OSError: second"]


def test_the_error_is_exported() -> None:
    assert flowledger.InternalError is InternalError
