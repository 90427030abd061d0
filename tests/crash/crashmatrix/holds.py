"""What the sentences of the points come to after one death: what the next process finds, and when it sends again."""

from __future__ import annotations

from typing import Final

from crashmatrix.fates import WINDOW, Commits, Knows, RequestFate
from crashmatrix.points import Crash, Death
from crashmatrix.world import World
from flowledger.engine.ledger import Ledger

_IN_DOUBT: Final = (6, 7, 8, 9, 10, 11, 12, 15, 18)  # an intent without an outcome that closes it
_ON_DISK: Final = (Death.KEPT, Death.FAILED_KEPT)


def found_in_doubt(crash: Crash, fate: RequestFate) -> bool | None:
    """Whether the next process finds the step in doubt; None where both are right."""
    in_doubt = fate.knows is Knows.IN_DOUBT
    match crash.point:
        case 4:
            return False
        case 5:
            return crash.death in _ON_DISK
        case 13:
            return in_doubt or crash.death not in _ON_DISK
        case 14 | 19 | 20:
            return in_doubt
        case 16:
            return None if fate.again else True  # of a step that was sent again, the last look may be the first hit
        case 17:
            return crash.death not in _ON_DISK
        case 21 | 22:
            return False
    return True if crash.point in _IN_DOUBT else None


def check_next_process(world: World, crash: Crash, fate: RequestFate) -> None:
    """The process after a single death finds what the point's sentence says."""
    expected = found_in_doubt(crash, fate)
    found = crash.step in world.starts[world.died_in + 1].in_flight
    assert expected in (None, found), f"found {'' if found else 'not '}in doubt by the next process"


def check_windows(world: World, ledger: Ledger) -> None:
    """No call is sent while the window of an earlier one of its step is open (protocol rules 3 and 4)."""
    for step, number, boot_id, sent_at in world.sent:
        for earlier in ledger.step(step).attempts:
            if earlier.number < number and earlier.unanswered and earlier.boot_id == boot_id:
                end = earlier.send_deadline + WINDOW
                assert sent_at > end, (
                    f"attempt {number} was sent {end - sent_at:.3f} s before attempt {earlier.number}'s end"
                )


def check_not_late(world: World, crash: Crash, fate: RequestFate, ledger: Ledger) -> None:
    """A killed settle wait ends when it would have ended, and not a window after the restart."""
    if crash.point != 18 or crash.death is not Death.KILLED or fate.commits is not Commits.NEVER:
        return
    first = ledger.step(crash.step).attempts[0]
    again = next(sent_at for step, number, _, sent_at in world.sent if step == crash.step and number == 2)
    assert again < first.send_deadline + WINDOW + 1, f"sent again {again - first.send_deadline - WINDOW:.1f} s too late"
