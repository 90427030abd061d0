"""How each crash point is recognised from outside: in bytes written, calls passed and waits begun, never by a hook."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from crashmatrix.points import Crash, Death
from flowledger.engine.table import TABLES
from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.port import Host, Request

Doc = Mapping[str, Any]


class Phase(Enum):
    """Where a batch of records is."""

    BEFORE = auto()  # nothing of it was written
    WRITTEN = auto()  # handed to the system, not synced
    SYNCED = auto()  # on the medium, and nobody was told


@dataclass(frozen=True, slots=True)
class Effect:
    """How a step's call is told from others."""

    step: str
    path: str
    within: str  # the body holds this

    def is_in(self, request: Request) -> bool:
        return (
            request.effect
            and request.method == "POST"
            and request.path.endswith(self.path)
            and self.within in str(request.body)
        )


EFFECTS: Final = {
    effect.step: effect
    for effect in (
        Effect("create_base_connection", "/connections", "auth"),
        Effect("create_adhoc_class", "/tenant/classes", ""),
        Effect("create_adhoc_schema", "/tenant/schemas", "adhoc-schema"),
        Effect("create_source_connection", "/sourceConnections", ""),
        Effect("create_field_group", "/tenant/fieldgroups", ""),
        Effect("create_target_schema", "/tenant/schemas", "target-schema"),
        Effect("create_dataset", "/dataSets", ""),
        Effect("find_or_create_sink", "/connections", "-sink"),
        Effect("create_target_connection", "/targetConnections", ""),
        Effect("create_mapping_set", "/mappingSets", ""),
        Effect("create_flow", "/flows", ""),
    )
}
STEPS: Final = tuple(EFFECTS)

INTENT, OUTCOME = "intent_recorded/1", "outcome_recorded/1"
ADOPTED, LAST_LOOK, WAIT = "step_adopted/1", "last_look_taken/1", "wait_started/1"

_RECORD_OF: Final = {4: INTENT, 5: INTENT, 6: INTENT, 12: OUTCOME, 13: OUTCOME, 14: OUTCOME, 17: ADOPTED,
                     20: INTENT, 22: LAST_LOOK}  # fmt: skip
_WAIT_OF: Final = {18: "settle", 19: "back_off", 21: "last_look"}
_MOMENT_OF: Final = {7: Moment.CHECKED, 8: Moment.HANDED_OVER, 9: Moment.COMMITTED, 10: Moment.COMMITTED,
                     11: Moment.PARTLY_READ}  # fmt: skip


class Trap:
    """Armed for one crash. Its owner asks it at everything that the process does to the world."""

    def __init__(self, crash: Crash) -> None:
        self.crash = crash
        self.effect = EFFECTS[crash.step]
        self._slug = TABLES["tutorial"].row_of(crash.step).step.slug
        self._collection = f"/{TABLES['tutorial'].row_of(crash.step).step.kind}"
        self._looking: asyncio.Task[Any] | None = None
        self._token_refused = False

    def record(self, phase: Phase, docs: Sequence[Doc]) -> int | None:
        """The position in the batch of the record that the crash is about, if this is the moment."""
        self._token_refused = self._token_refused or (
            phase is Phase.SYNCED and any(self._is(doc, OUTCOME) and doc["answer"].get("status") == 401 for doc in docs)
        )
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
        if point in _MOMENT_OF:
            here = moment is _MOMENT_OF[point] and self.effect.is_in(request)
            return here and (moment is not Moment.COMMITTED or late == (point == 9))
        if moment is not Moment.CONNECTED:
            return False
        if request.host is Host.IMS:
            return point == 19 and self._token_refused
        return self._in_look_up(request)

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
        return doc.get("kind") == kind and doc.get("step") == self.crash.step

    def _number_fits(self, doc: Doc) -> bool:
        match self.crash.point:
            case 4:
                return bool(doc["attempt"] == 1)
            case 20:
                return bool(doc["attempt"] > 1)
        return True
