"""The lists as Markdown, for docs/crash-points.md: `PYTHONPATH=tests/crash python -m crashmatrix.page` prints them."""

from __future__ import annotations

from crashmatrix.fates import LOOK_UP_FATES, REQUEST_FATES
from crashmatrix.points import POINTS, UNSYNCED, Death

DEATHS = {
    Death.KILLED: "killed where nothing is unsynced",
    Death.REBOOTED: "the machine dies where nothing is unsynced: another boot id, another monotonic clock",
    Death.KEPT: "killed between write and sync: what was handed to the system stays",
    Death.LOST: "the power is cut between write and sync: nothing unsynced stays",
    Death.TORN: "killed in the middle of the write: a part of the record stays",
    Death.FAILED_KEPT: "the sync reports failure, and the record is on the medium",
    Death.FAILED_LOST: "the sync reports failure, the medium never gets the record, then the power is cut",
    Death.FORGOTTEN: "the same, but the power is cut only after the next process has read the record and acted",
}


def page() -> list[str]:
    """Each list of the page."""
    points = "\n".join(f"| {point} | {point.holds} |" for point in POINTS)
    deaths = "\n".join(f"- **{death}**: {text}." for death, text in DEATHS.items())
    fates = "\n".join(
        f"- {fate.name}: takes effect {fate.commits}, and the client may conclude {fate.knows.replace('_', ' ')}"
        + (" (beyond the guarantee)." if fate.limit or fate.unseen else ".")
        for fate in REQUEST_FATES
    )
    looks = "\n".join(f"- {fate.name}: ends with {_ENDS[fate.ends]}." for fate in LOOK_UP_FATES)
    assert set(DEATHS) >= set(UNSYNCED)
    return [points, deaths, fates, looks]


_ENDS = {
    "one": "the object adopted",
    "conflict": "a conflict (exit 7) and nothing made",
    "reported": "the oldest adopted and the other reported",
}


if __name__ == "__main__":
    print("\n\n".join(page()))
