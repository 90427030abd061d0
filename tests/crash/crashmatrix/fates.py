"""What can become of a step's call, and of a look-up; each says what the protocol must make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

# The condition on the settle window (S > G + L), as the matrix sets it: Adobe's numbers, to the last millisecond.
WINDOW: Final = 90.0  # S, seconds
SEND_WITHIN: Final = 5.0  # D, seconds
LONGEST_EFFECT: Final = 70.0  # G, seconds: a call may take effect so long after it was sent
LONGEST_LAG: Final = 19.999  # L, seconds: S = 90 tolerates anything below 20
TOO_LATE: Final = SEND_WITHIN + WINDOW + 0.5  # seconds after the send: just after it was sent again


class Commits(StrEnum):
    """When the call takes effect."""

    NEVER = "never"
    NOW = "now"
    LATE = "late"


class Knows(StrEnum):
    """What the client may conclude (protocol rule 5)."""

    DONE = "done"
    NOT_DONE = "not_done"
    IN_DOUBT = "in_doubt"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFate:
    """One thing that can become of the first call of a step that gets so far.

    `fault` is the emulator's (kind and options), `port` what the network does; `waits` is what precedes the next
    attempt after a proven "not done".
    """

    name: str
    commits: Commits
    knows: Knows
    fault: Mapping[str, Any] = field(default_factory=dict)
    port: str = ""
    waits: str = ""
    answers: bool = True  # some of an answer reaches the client
    lag: float = 0.0  # seconds that lists run behind, meanwhile
    down: float = 0.0  # seconds between a death and the next start
    stands_still: float = 0.0  # seconds between connecting and the deadline check, once
    limit: bool = False  # outside what can be guaranteed: the twin must be reported instead
    unseen: bool = False  # the documented blind spot: one send, one answer, two objects

    @property
    def again(self) -> bool:
        """Whether a second intent follows in an undisturbed run."""
        return self.knows is Knows.NOT_DONE or (
            self.knows is Knows.IN_DOUBT and (self.commits is Commits.NEVER or self.limit)
        )

    @property
    def found(self) -> bool:
        """Whether a look-up finds what it made, before it is sent again."""
        return self.knows is Knows.IN_DOUBT and self.commits is not Commits.NEVER and not self.limit


def _answer(status: int, when: str, shape: str, **more: Any) -> dict[str, Any]:
    return {"kind": "answer", "status": status, "when": when, "shape": shape, **more}


def _late(seconds: float) -> dict[str, Any]:
    return {"kind": "late", "after_ms": round(seconds * 1000)}


_NEVER, _NOW, _LATE = Commits.NEVER, Commits.NOW, Commits.LATE
_DONE, _NOT_DONE, _IN_DOUBT = Knows.DONE, Knows.NOT_DONE, Knows.IN_DOUBT

REQUEST_FATES: Final[tuple[RequestFate, ...]] = (
    RequestFate(name="answered", commits=_NOW, knows=_DONE),
    RequestFate(name="no connection", commits=_NEVER, knows=_NOT_DONE, port="refused", waits="back_off", answers=False),
    RequestFate(name="send deadline missed", commits=_NEVER, knows=_NOT_DONE, stands_still=6.0, answers=False),
    RequestFate(name="lost before commit", commits=_NEVER, knows=_IN_DOUBT, port="lost", answers=False),
    RequestFate(name="committed, answer lost", commits=_NOW, knows=_IN_DOUBT, port="answer_lost", answers=False),
    RequestFate(name="cut body", commits=_NOW, knows=_IN_DOUBT, fault={"kind": "cut"}),
    RequestFate(
        name="committed, answer after the client gave up", commits=_NOW, knows=_IN_DOUBT, answers=False,
        fault={"kind": "slow", "delay_ms": 80_000},
    ),
    RequestFate(
        name="commits after the next start began to look", commits=_LATE, knows=_IN_DOUBT, answers=False,
        fault=_late(30),
    ),
    RequestFate(
        name="commits after the client died", commits=_LATE, knows=_IN_DOUBT, answers=False, fault=_late(30), down=40,
    ),
    RequestFate(name="commits at exactly G", commits=_LATE, knows=_IN_DOUBT, answers=False, fault=_late(70)),
    RequestFate(
        name="commits at exactly G, listed at exactly L", commits=_LATE, knows=_IN_DOUBT, answers=False,
        fault=_late(LONGEST_EFFECT), lag=LONGEST_LAG,
    ),
    RequestFate(
        name="commits later than G", commits=_LATE, knows=_IN_DOUBT, answers=False, fault=_late(TOO_LATE), limit=True,
    ),
    RequestFate(
        name="delivered twice", commits=_NOW, knows=_DONE, fault={"kind": "twice"}, unseen=True,
    ),
    RequestFate(name="5xx before commit", commits=_NEVER, knows=_IN_DOUBT, fault=_answer(503, "before", "gateway")),
    RequestFate(name="5xx after commit", commits=_NOW, knows=_IN_DOUBT, fault=_answer(502, "after", "service")),
    RequestFate(name="408 before commit", commits=_NEVER, knows=_IN_DOUBT, fault=_answer(408, "before", "gateway")),
    RequestFate(name="408 after commit", commits=_NOW, knows=_IN_DOUBT, fault=_answer(408, "after", "gateway")),
    RequestFate(name="401", commits=_NEVER, knows=_NOT_DONE, fault={"kind": "token"}, waits="token"),
    RequestFate(
        name="429 with Retry-After", commits=_NEVER, knows=_NOT_DONE, waits="back_off",
        fault=_answer(429, "before", "gateway", retry_after="7"),
    ),
    RequestFate(
        name="429 without Retry-After", commits=_NEVER, knows=_NOT_DONE, waits="back_off",
        fault=_answer(429, "before", "gateway"),
    ),
    RequestFate(name="own 4xx", commits=_NEVER, knows=_NOT_DONE, fault=_answer(400, "before", "service"), waits="end"),
    RequestFate(
        name="stranger's 4xx before commit", commits=_NEVER, knows=_IN_DOUBT, fault=_answer(429, "before", "html")
    ),
    RequestFate(
        name="stranger's 4xx after commit", commits=_NOW, knows=_IN_DOUBT, fault=_answer(429, "after", "html")
    ),
    RequestFate(
        name="4xx in nobody's body after commit", commits=_NOW, knows=_IN_DOUBT, fault=_answer(403, "after", "empty")
    ),
    RequestFate(name="2xx unparsable", commits=_NOW, knows=_IN_DOUBT, fault=_answer(0, "after", "malformed")),
    RequestFate(name="2xx without id", commits=_NOW, knows=_IN_DOUBT, fault=_answer(0, "after", "no_id")),
    RequestFate(name="2xx without body", commits=_NOW, knows=_IN_DOUBT, fault=_answer(0, "after", "empty")),
)  # fmt: skip

FATES: Final = {fate.name: fate for fate in REQUEST_FATES}


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpFate:
    """One thing that can become of the look-ups of a step in doubt. `faults` strike lists of its kind."""

    name: str
    faults: tuple[Mapping[str, Any], ...] = ()
    lag: float = 0.0  # seconds that lists run behind
    page_size: int = 0  # of Flow Service's lists, if not the usual one
    scene: str = ""  # what a third party has done by then: see `World.set_scene`
    ends: str = "one"  # "one": exactly one object; "conflict": the run must refuse; "reported": extra hits are told


LOOK_UP_FATES: Final[tuple[LookUpFate, ...]] = (
    LookUpFate(name="right"),
    LookUpFate(name="empty by lag", lag=10.0),
    LookUpFate(name="empty by lag of exactly L", lag=LONGEST_LAG),
    LookUpFate(name="5xx", faults=(_answer(503, "before", "gateway", times=2),)),
    LookUpFate(name="429", faults=(_answer(429, "before", "gateway", retry_after="3"),)),
    LookUpFate(name="no answer", faults=({"kind": "drop"},)),
    LookUpFate(name="cut body", faults=({"kind": "cut"},)),
    LookUpFate(name="200 without what a list has", faults=(_answer(200, "before", "empty"),)),
    LookUpFate(name="second page fails", page_size=1, scene="clone, newer", ends="reported",
               faults=(_answer(503, "before", "gateway", skip=1),)),
    LookUpFate(name="shows a deleted object", lag=15.0, scene="deleted"),
    LookUpFate(name="two hits, the newer first", scene="clone, newer", ends="reported"),
    LookUpFate(name="hit with other references", scene="other references", ends="conflict"),
    LookUpFate(name="stranger's hit", scene="stranger"),
)  # fmt: skip
