"""Every place where a death leaves another world behind, in one list, with what must hold after it.

Production code knows nothing of these: they are met through the ports that it is given (docs/crash-points.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Death(StrEnum):
    """How the process ends at a point, and what that leaves on the disk."""

    KILLED = "killed"  # nothing is unsynced here (the matrix asserts it), so that a power cut leaves the same disk
    REBOOTED = "rebooted"  # as killed, and the next process finds another boot id and a monotonic clock near zero
    KEPT = "kept"  # killed between write and sync: what was handed to the system stays
    LOST = "lost"  # the power is cut between write and sync: nothing unsynced stays; then as rebooted
    TORN = "torn"  # killed in the middle of the write: a part of the last record stays
    FAILED_KEPT = "failed, kept"  # the sync reports failure, and what was written is on the medium
    FORGOTTEN = "failed, forgotten"  # as failed, lost, but only the process dies: until the power is cut it is readable
    FAILED_LOST = "failed, lost"  # the sync reports failure, the medium never gets it, then as lost


UNSYNCED: Final = (Death.KEPT, Death.LOST, Death.TORN, Death.FAILED_KEPT, Death.FAILED_LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashPoint:
    """One place. `deaths` are the ways to die there that differ in what they leave."""

    number: int
    name: str
    holds: str
    per_step: bool = True
    deaths: tuple[Death, ...] = (Death.KILLED,)
    of_destroy: bool = False

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


POINTS: Final[tuple[CrashPoint, ...]] = (
    CrashPoint(
        number=1,
        name="before the lock",
        holds="Nothing was read and nothing was sent; the next start sees the world as it was.",
        per_step=False,
    ),
    CrashPoint(
        number=2,
        name="lock held, journal not read",
        holds="The kernel frees the lock with the process; the next start takes it at once.",
        per_step=False,
    ),
    CrashPoint(
        number=3,
        name="torn tail being cut",
        holds="What is cut was never acknowledged; cutting can be broken off anywhere and begun again.",
    ),
    CrashPoint(
        number=4,
        name="before the intent",
        holds="Nothing was sent, so nothing is looked up: the next sitting takes the step as if for the first time.",
    ),
    CrashPoint(
        number=5,
        name="intent written, not synced",
        holds="Nothing was sent. If the intent is on disk the step is in doubt, else it was never begun.",
        deaths=UNSYNCED,
    ),
    CrashPoint(
        number=6,
        name="intent synced, not sent",
        holds="The step is in doubt although nothing was sent: it is looked up until its window ends, then sent again.",
    ),
    CrashPoint(
        number=7,
        name="deadline checked, nothing handed over",
        holds="As after 6: from outside, a call that was not sent and one that was lost are the same.",
    ),
    CrashPoint(
        number=8,
        name="partly sent",
        holds="The platform never saw a whole call; the look-up after the window finds nothing, and it is sent again.",
    ),
    CrashPoint(
        number=9,
        name="all sent, not committed",
        holds="The call takes effect after its client died; no look-up before the window's end lets it be sent again.",
    ),
    CrashPoint(
        number=10,
        name="committed, answer not read",
        holds="The object is found by its marker and adopted; no second call is made.",
    ),
    CrashPoint(
        number=11,
        name="answer partly read",
        holds="As after 10: what was read of an answer and not journaled is not known.",
    ),
    CrashPoint(
        number=12,
        name="answer read, outcome not written",
        holds="The intent is open: the object is adopted if there is one, else it is sent again after the window.",
    ),
    CrashPoint(
        number=13,
        name="outcome written, not synced",
        holds="If the outcome is on disk it counts, else the step is in doubt; nothing was built on it yet.",
        deaths=UNSYNCED,
    ),
    CrashPoint(
        number=14,
        name="outcome synced, state not flipped",
        holds="The outcome counts: what is done is not looked up again, and what was refused waits for nothing.",
    ),
    CrashPoint(
        number=15,
        name="during a look-up, between two lists",
        holds="A look-up that was not finished proves nothing: the next sitting looks again from the start.",
    ),
    CrashPoint(
        number=16,
        name="hit found, not yet read by id",
        holds="Nothing was adopted; the next look-up finds the same object.",
    ),
    CrashPoint(
        number=17,
        name="adoption not durable",
        holds="The step is in doubt or adopted; if it is looked up again, the same object is chosen.",
        deaths=(Death.KILLED, *UNSYNCED),
    ),
    CrashPoint(
        number=18,
        name="in a settle wait",
        holds="The window ends when it would have ended: it is counted from the send deadline, not from the restart.",
    ),
    CrashPoint(
        number=19,
        name="in a back-off, or while a 401 fetches a token",
        holds="The refused attempt is closed: what is left of the wait is sat out, nothing is looked up.",
    ),
    CrashPoint(
        number=20,
        name="between intents n and n+1",
        holds="Nothing was sent since attempt n ended; the next attempt has an intent and a deadline of its own.",
    ),
    CrashPoint(
        number=21,
        name="waiting for the last look",
        holds="The run is not provisioned until the last look has been taken, a full window after the last deadline.",
    ),
    CrashPoint(
        number=22,
        name="last look done, not durable",
        holds="The last look is taken again; a twin that it saw is reported all the same.",
        deaths=(Death.KILLED, *UNSYNCED),
    ),
    CrashPoint(
        number=23,
        name='"destroy begun" written',
        holds="The run can only be destroyed from here on; if the record is lost, nothing was deleted either.",
        deaths=(Death.KILLED, *UNSYNCED),
        of_destroy=True,
    ),
    CrashPoint(
        number=24,
        name="delete sent, not answered",
        holds="It is read by its id: if it is still there it is deleted again, and nothing is deleted under its users.",
        of_destroy=True,
    ),
    CrashPoint(
        number=25,
        name="delete answered, not journaled",
        holds="As after 24: what is gone is noted as gone, and nothing else is deleted in its place.",
        deaths=(Death.KILLED, *UNSYNCED),
        of_destroy=True,
    ),
    CrashPoint(
        number=26,
        name="in close",
        holds="All that was acknowledged is durable before close begins: the clean end is a note.",
        per_step=False,
    ),
)  # fmt: skip

BY_NUMBER: Final = {point.number: point for point in POINTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """One death in one step's life."""

    point: int
    step: str
    death: Death = Death.KILLED

    def __str__(self) -> str:
        return f"{BY_NUMBER[self.point]} ({self.death}) of {self.step}"
