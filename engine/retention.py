"""Which runs of a journal are finished, so that their events may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flowledger.engine.destroy import left_for_now
from flowledger.engine.ledger import Ledger, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one run's events, and why."""

    run: str
    nonce: str
    state: str
    changed_at: float  # wall seconds
    left: tuple[Mapping[str, str], ...]  # what a destroyed run has left on the platform: step, id, why
    drop: bool
    why: str


def verdicts(
    ledgers: Iterable[Ledger], *, now: float, older_than: float = 0.0, keep: int = 0, provisioned: bool = False
) -> list[Verdict]:
    """Judge every run, in the order given.

    Only a destroyed run may go, and, if `provisioned` asks for it, a run that has something on the platform: one that
    is provisioned, or has left what a later `destroy` would delete. `destroy`, `drift` and `status` know nothing of
    it any more then, and its objects stay on the platform. What is unfinished, failed or in doubt stays always, because
    only the journal knows what was sent. `older_than`: seconds since a run's last event; `keep`: so many of the runs
    that may go stay, those that changed last.
    """
    judged = [(ledger, _stays(ledger, provisioned=provisioned)) for ledger in ledgers]
    may_go = sorted((ledger for ledger, why in judged if not why), key=lambda ledger: ledger.changed_at, reverse=True)
    kept = {ledger.run for ledger in may_go[:keep]}
    found = []
    for ledger, reason in judged:
        why = reason
        if not why and now - ledger.changed_at < older_than:
            why = "changed too lately"
        if not why and ledger.run in kept:
            why = f"one of the {keep} that changed last"
        found.append(
            Verdict(
                run=ledger.run,
                nonce=ledger.nonce,
                state=str(ledger.state),
                changed_at=ledger.changed_at,
                left=tuple(ledger.left),
                drop=not why,
                why=why or str(ledger.state),
            )
        )
    return found


def _stays(ledger: Ledger, *, provisioned: bool) -> str:
    """Why a run stays whatever its age; empty if it may go."""
    if ledger.unreadable:
        return f"a newer version wrote it: {ledger.unreadable}"
    if ledger.state is RunState.DESTROYED:
        if provisioned or not left_for_now(ledger):
            return ""
        return f"left something that was in use: flowledger destroy {ledger.run} deletes it once it is not"
    if ledger.state is not RunState.PROVISIONED:
        return "unfinished: only the journal knows what was sent"
    return "" if provisioned else "provisioned: destroy and drift need it (--provisioned drops it all the same)"
