"""Read what the platform says of a flow run: how it stands, how many rows it took, what went wrong (§11).

Records are spelled in two ways and may lack anything; nothing here raises on a record, however broken it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from flowledger.steps.answers import count_of, dig, text_or_none, usable_id
from flowledger.steps.client.paging import Ask, flow_pages
from flowledger.steps.client.paths import flow_service
from flowledger.steps.client.port import Json
from flowledger.steps.data_access import usable_batch

LONGEST: Final = 2000  # characters of a text that are read
MOST: Final = 1000  # errors of a run that are read


class Came(StrEnum):
    """What a flow run has come to."""

    UNDER_WAY = "under_way"  # also every status that is not known (platform-api.md §11)
    SUCCESS = "success"
    PARTIAL = "partial"  # some rows arrived, and some were rejected or something is reported as wrong
    FAILED = "failed"


# Lower case, without "_" (§11: statuses that were seen, and the reference's list).
_GOOD: Final = frozenset({"success", "completed", "partialsuccess"})
_BAD: Final = frozenset({"failed", "partialfailure"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRun:
    """One flow run as it was last read. Counts are None where the platform says nothing of them, or shows -1."""

    id: str
    status: str  # in the platform's word
    came: Came
    rows_in: int | None
    rows_out: int | None
    rows_failed: int | None
    created_ms: int
    started_ms: int | None
    completed_ms: int | None  # a failed run may lack it
    errors: tuple[tuple[str, str], ...]  # code and message
    batches: tuple[str, ...]

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.came is not Came.UNDER_WAY

    @property
    def seconds(self) -> float | None:
        """How long it took, None while that cannot be told."""
        if self.started_ms is None or self.completed_ms is None:
            return None
        return max(0, self.completed_ms - self.started_ms) / 1000


def flow_run_of(record: Json) -> FlowRun | None:
    """What a record says; None if it has no usable id, so that it could be neither kept nor asked for."""
    id = text_or_none(record, "id")
    if id is None or not usable_id(id):
        return None
    metrics = dig(record, "metrics")
    status = dig(metrics, "statusSummary", "status")
    status = status[:LONGEST] if isinstance(status, str) else ""
    counts = {
        name: count_of(dig(metrics, "recordSummary", f"{name}RecordCount")) for name in ("input", "output", "failed")
    }
    errors = _errors(record)
    return FlowRun(
        id=id,
        status=status,
        came=_came(status, counts["failed"], errors),
        rows_in=counts["input"],
        rows_out=counts["output"],
        rows_failed=counts["failed"],
        created_ms=count_of(dig(record, "createdAt")) or 0,
        started_ms=count_of(dig(metrics, "durationSummary", "startedAtUTC")),
        completed_ms=count_of(dig(metrics, "durationSummary", "completedAtUTC")),
        errors=errors,
        batches=_batches(record),
    )


async def flow_runs_of(
    ask: Ask, flow: str, *, enough: Callable[[Sequence[FlowRun]], bool] | None = None
) -> list[FlowRun]:
    """The runs of a dataflow, the first one first (platform-api.md §4.8). Raises as `list_flow` does.

    `enough` is asked after each page, the newest first, with what that page shows: once it says so, older runs are not
    read. A service that does not answer with the newest first is read to its end.

    How a list is told to be in ascending order differs between Adobe's documents, descending does not (§4.1).
    """
    query = (("property", f"flowId=={flow}"), ("orderby", "-createdAt"))
    found: dict[str, FlowRun] = {}
    oldest, in_order = None, True
    async for page in flow_pages(ask, flow_service("/runs"), query=query):
        # Which fields can be filtered by differs (§4.1): a record that names another flow is none of ours.
        ours = [record for record in page if dig(record, "flowId") in (flow, None)]
        shown = [run for run in map(flow_run_of, ours) if run is not None]
        for run in shown:
            in_order = in_order and (oldest is None or run.created_ms <= oldest)
            oldest = run.created_ms
            found[run.id] = run
        if enough is not None and in_order and shown and enough(shown):
            break
    return sorted(found.values(), key=lambda run: (run.created_ms, run.id))


def _came(status: str, failed: int | None, errors: tuple[tuple[str, str], ...]) -> Came:
    word = status.replace("_", "").lower()
    if word in _BAD:
        return Came.FAILED
    if word not in _GOOD:
        return Came.UNDER_WAY
    # `success` comes with rejected rows and errors too: partial ingestion (§11).
    return Came.PARTIAL if failed or errors or word == "partialsuccess" else Came.SUCCESS


def _activities(record: Json) -> list[Any]:
    """The activities, also under the reference's spelling (§11)."""
    for name in ("activities", "activites"):
        found = dig(record, name)
        if isinstance(found, list):
            return found
    return []


def _errors(record: Json) -> tuple[tuple[str, str], ...]:
    """Each error once: the run's own, and those that only an activity names."""
    places = [dig(record, "metrics"), *_activities(record)]
    found = []
    for place in places:
        listed = dig(place, "statusSummary", "errors")
        for error in listed if isinstance(listed, list) else []:
            code, message = text_or_none(error, "code") or "", text_or_none(error, "message") or ""
            if code or message:
                found.append((code[:LONGEST], message[:LONGEST]))
    return tuple(dict.fromkeys(found))[:MOST]


def _batches(record: Json) -> tuple[str, ...]:
    """The ids of the batches that the run has left in the dataset."""  # all of them: their rows are counted
    ids: list[str] = []
    for activity in _activities(record):
        infos = dig(activity, "targetInfo")
        for info in infos if isinstance(infos, list) else []:
            listed = dig(info, "reference", "ids")
            if str(dig(info, "reference", "type")).lower() == "batch" and isinstance(listed, list):
                ids += [id for id in listed if usable_batch(id)]
    return tuple(dict.fromkeys(ids))
