"""How each crash point is recognised from outside: in bytes written, calls passed and waits begun, never by a hook."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import unquote

from crashmatrix.points import Crash, Death
from crashmatrix.styles import EFFECTS
from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.port import Host, Request

Doc = Mapping[str, Any]


class Phase(Enum):
    """Where a batch of records is."""

    BEFORE = auto()  # nothing of it was written
    WRITTEN = auto()  # handed to the system, not synced
    SYNCED = auto()  # on the medium, and nobody was told


INTENT, OUTCOME = "intent_recorded/1", "outcome_recorded/1"
DESTROY_BEGUN, DELETE_INTENDED, DELETE_ANSWERED = "destroy_begun/1", "delete_intended/1", "delete_answered/1"
ADOPTED, LAST_LOOK, WAIT = "step_adopted/1", "last_look_taken/1", "wait_started/1"

_RECORD_OF: Final = {4: INTENT, 5: INTENT, 6: INTENT, 12: OUTCOME, 13: OUTCOME, 14: OUTCOME, 17: ADOPTED,
                     20: INTENT, 22: LAST_LOOK, 23: DESTROY_BEGUN, 25: DELETE_ANSWERED}  # fmt: skip
_WAIT_OF: Final = {18: "settle", 19: "back_off", 21: "last_look"}
_MOMENT_OF: Final = {7: Moment.CHECKED, 8: Moment.HANDED_OVER, 9: Moment.COMMITTED, 10: Moment.COMMITTED,
                     11: Moment.PARTLY_READ}  # fmt: skip


class Trap:
    """Armed for one crash. Its owner asks it at everything that the process does to the world."""

    def __init__(self, crash: Crash) -> None:
        self.crash = crash
        self.effect = EFFECTS[crash.step]
        self._slug = self.effect.slug
        self._collection = f"/{self.effect.kind}"
        self._looking: asyncio.Task[Any] | None = None
        self._token_refused = False
        self._doomed = ""  # the id of the object that is being deleted
        self.lost = False  # the delete never arrives: then it is sent once it was handed over

    def record(self, phase: Phase, docs: Sequence[Doc]) -> int | None:
        """The position in the batch of the record that the crash is about, if this is the moment."""
        self._token_refused = self._token_refused or (
            phase is Phase.SYNCED and any(self._is(doc, OUTCOME) and doc["answer"].get("status") == 401 for doc in docs)
        )
        for doc in docs:
            if phase is Phase.SYNCED and self._is(doc, DELETE_INTENDED) and doc["op"] == "delete":
                self._doomed = doc["id"]
        kind = _RECORD_OF.get(self.crash.point)
        if kind is None or phase is not self._phase():
            return None
        for position, doc in enumerate(docs):
            if self._is(doc, kind) and self._number_fits(doc):
                return position
        return None

    def wait(self, doc: Doc) -> bool:
        """Whether the crash is in the middle of the wait that this record begins."""
        why = _WAIT_OF.get(self.crash.point)
        return why is not None and self._is(doc, WAIT) and doc["why"] == why

    def moment(self, moment: Moment, request: Request, *, late: bool) -> bool:
        """Whether the crash is at this moment of this call. `late`: it is to take effect after its client's death."""
        point = self.crash.point
        if point == 24:
            return moment is (Moment.HANDED_OVER if self.lost else Moment.COMMITTED) and self.deletes(request)
        if point in _MOMENT_OF:
            here = moment is _MOMENT_OF[point] and self.effect.is_in(request)
            return here and (moment is not Moment.COMMITTED or late == (point == 9))
        if moment is not Moment.CONNECTED:
            return False
        if request.host is Host.IMS:
            return point == 19 and self._token_refused
        return self._in_look_up(request)

    def deletes(self, request: Request) -> bool:
        """Whether this call deletes the step's object."""
        return request.method == "DELETE" and self._doomed != "" and unquote(request.path).endswith(self._doomed)

    def _in_look_up(self, request: Request) -> bool:
        """The task that asked for our marker is within that look-up until it does something else."""
        task = asyncio.current_task()
        listing = request.method == "GET" and request.path.endswith(self._collection)
        if listing and any(self._has_marker(value) for _, value in request.query):
            began, self._looking = self._looking is not task, task
            return self.crash.point == 15 and not began  # a further page of the first list
        if task is not self._looking or request.method != "GET":
            return False
        return self.crash.point == (15 if listing else 16)

    def _has_marker(self, text: str) -> bool:
        return re.search(rf"fl-[a-z0-9]{{10}}-{re.escape(self._slug)}(?![\w-])", text) is not None

    def _phase(self) -> Phase:
        if self.crash.death not in (Death.KILLED, Death.REBOOTED):
            return Phase.WRITTEN
        return Phase.SYNCED if self.crash.point in (6, 14) else Phase.BEFORE

    def _is(self, doc: Doc, kind: str) -> bool:
        if doc.get("kind") != kind:
            return False
        return kind == DESTROY_BEGUN or (doc.get("step") == self.crash.step and doc.get("op") != "disable")

    def _number_fits(self, doc: Doc) -> bool:
        match self.crash.point:
            case 4:
                return bool(doc["attempt"] == 1)
            case 20:
                return bool(doc["attempt"] > 1)
        return True
