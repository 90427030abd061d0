"""Journals and emulator states of earlier commits stay readable, and their runs can be carried on and destroyed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flowledger.engine.ledger import ledger_of
from flowledger.errors import FlowledgerError, SpecError, UsageError
from flowledger.journal import JournalReader, verify
from tests.bench import MADE_ONCE, MADE_ONCE_IN, NOTHING
from tests.golden.pair import JOURNAL, Pair

PAIRS = sorted(path.parent for path in Path(__file__).parent.glob("*/about.json"))
#: What a resume ends with where the run cannot be carried on as it is.
REFUSED: dict[str, type[FlowledgerError]] = {
    "refused-by-the-table": SpecError,
    "wrong-organisation": UsageError,
    "destroying": UsageError,
    "destroying-in-doubt": UsageError,
    "destroyed": UsageError,
    "destroyed-but-the-dataset": UsageError,
}
#: Objects of a kind that a resumed run has beyond one of each, or that somebody else took.
BESIDE = {"twin": {"dataSets": 2}, "drifted": {"dataSets": 0}}


@pytest.fixture(params=PAIRS, ids=lambda path: path.name)
def golden(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAYPAL_CLIENT_SECRET", "made-up-client-secret")
    path: Path = request.param
    return path


@pytest.fixture
def opened(golden: Path, tmp_path: Path) -> Iterator[Callable[[], Pair]]:
    """Opens a copy of the pair, a month and a boot later."""
    shutil.copytree(golden, tmp_path / "pair")
    pairs: list[Pair] = []

    def open_it() -> Pair:
        pairs.append(Pair(tmp_path / "pair", days=30, boot_id="a-later-boot"))
        return pairs[-1]

    yield open_it
    for pair in pairs:
        pair.close()


def runs_of(golden: Path) -> dict[str, str]:
    """The pair's runs and their states, as the commit that made it saw them."""
    runs: dict[str, str] = json.loads((golden / "about.json").read_text())["runs"]
    return runs


def end(verb: Callable[[str], Any], run: str, refused: type[FlowledgerError] | None) -> None:
    """Call the verb, which does its work, or is refused where that is right."""
    if refused is None:
        verb(run)
    else:
        with pytest.raises(refused):
            verb(run)


def test_there_is_a_pair_for_every_way_in_which_a_run_can_stand() -> None:
    states = {state for pair in PAIRS for state in runs_of(pair).values()}

    assert len(PAIRS) == 19
    assert states == {"provisioned", "provisioning", "in_doubt", "failed", "destroying", "destroyed"}


def test_a_journal_of_an_earlier_commit_says_what_it_said_then(golden: Path) -> None:
    assert verify(golden / JOURNAL).damage is None
    with JournalReader.open(golden / JOURNAL) as reader:
        states = {run: str(ledger_of(run, reader.events(run)).state) for run in reader.runs()}

    assert states == runs_of(golden)


def test_its_unfinished_runs_are_carried_on_to_exactly_one_of_everything(
    golden: Path, opened: Callable[[], Pair]
) -> None:
    pair = opened()
    refused = REFUSED.get(golden.name)

    for run in runs_of(golden):
        end(pair.resume, run, refused)

    if refused is not None:
        assert all(count <= MADE_ONCE[kind] for kind, count in pair.counts().items())
        return
    made = MADE_ONCE_IN["current"] if golden.name.endswith("-current") else MADE_ONCE
    runs = len(runs_of(golden))
    once = {kind: count if runs == 1 or kind == "connections" else count * runs for kind, count in made.items()}
    assert pair.counts() == {**once, **BESIDE.get(golden.name, {})}


@pytest.mark.parametrize("resumed_first", [False, True], ids=["as it stands", "after a resume"])
def test_its_runs_are_destroyed_without_a_rest(golden: Path, opened: Callable[[], Pair], resumed_first: bool) -> None:
    pair = opened()
    if resumed_first:
        for run in runs_of(golden):
            with suppress(FlowledgerError):
                pair.resume(run)
        pair.time.advance(3600)

    for run in [*runs_of(golden), *runs_of(golden)]:  # a shared connection goes once no run needs it any more
        end(pair.destroy, run, UsageError if golden.name == "wrong-organisation" else None)

    rest = dict(NOTHING)
    if golden.name == "destroyed-but-the-dataset":
        rest.update(dataSets=1, schemas=1, fieldgroups=1)
    assert pair.counts() == rest
