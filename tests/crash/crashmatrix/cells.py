"""The cells of the matrix: which step of which style, which deaths, which fate, and which of all that can happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Final, NamedTuple

from crashmatrix.fates import FATES, LOOK_UP_FATES, REQUEST_FATES, Commits, Knows, LookUpFate, RequestFate
from crashmatrix.points import POINTS, Crash, CrashPoint, Death
from crashmatrix.styles import EACH as _EACH
from crashmatrix.styles import EFFECTS, STEPS_OF, TUTORIAL, called, row_of


class Of(NamedTuple):
    """One step of one style."""

    style: str
    step: str

    def __str__(self) -> str:
        return called(*self)


EACH: Final = tuple(Of(style, step) for style, step in _EACH)
EACH_OF_TUTORIAL: Final = tuple(of for of in EACH if of.style == TUTORIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Deaths, one after the other, in one step's life; the fate of its first call that gets so far; its look-ups'."""

    step: str
    fate: RequestFate
    style: str = TUTORIAL
    crashes: tuple[Crash, ...] = ()
    later: tuple[RequestFate, ...] = ()  # what the first call after each death meets
    look_up: LookUpFate | None = None
    echo_names: bool = True  # whether mapping sets keep the name that they are sent
    options: tuple[tuple[str, bool], ...] = ()  # where Adobe's documents are silent: what the emulator does there
    others: str = ""  # what somebody else, or the machine, does meanwhile; only a name: see `others.py`
    twins: bool = False  # outside of what can be guaranteed for another reason than the fate

    def __str__(self) -> str:
        fates = ", then ".join(fate.name for fate in (self.fate, *self.later))
        looks = f"; look-up: {self.look_up.name}" if self.look_up else ""
        names = "" if self.echo_names else "; names are not kept"
        world = "".join(f"; {name}" for name, _ in self.options) + (f"; {self.others}" if self.others else "")
        deaths = ", then ".join(map(str, self.crashes)) or "no death"
        return f"{self.of}: {fates}{looks}{names}{world}; {deaths}"

    @property
    def of(self) -> Of:
        """The step and its style."""
        return Of(self.style, self.step)

    @property
    def unique_names(self) -> bool:
        """Whether the platform refuses a second object of one name or title for this step."""
        options, effect = dict(self.options), EFFECTS[self.step]
        if effect.titled:
            return not options.get("racy_titles")
        return effect.of_flow_service and bool(options.get("unique_flow_names"))

    @property
    def limit(self) -> bool:
        """Whether the cell is outside of what can be guaranteed, so that twins must be reported instead."""
        return self.twins or any(fate.limit for fate in (self.fate, *self.later))


def can_happen(point: CrashPoint, fate: RequestFate) -> bool:
    """Whether a run in which the step's first call meets this fate passes this point of that step.

    A trap stays armed until it is met, so that what a second attempt passes counts too.
    """
    in_doubt = fate.knows is Knows.IN_DOUBT
    match point.number:
        case 3 | 23 | 24 | 25:
            return False  # needs a torn tail first: a pair; or another verb
        case 9:
            return fate.commits is Commits.LATE
        case 10:
            return fate.commits is not Commits.LATE or fate.again
        case 11:
            return fate.answers or fate.again
        case 15 | 18:
            return in_doubt and fate.commits is not Commits.NOW
        case 16:
            return in_doubt
        case 17:
            return fate.found
        case 19:
            return fate.waits in ("back_off", "token")
        case 20:
            return fate.again
        case 21 | 22:
            return in_doubt and fate.again
        case _:
            return point.per_step


def single_cells(of: Of, point: CrashPoint, *, echo_names: bool = True) -> Iterator[Cell]:
    """Every cell with one death of this step at this point."""
    for fate in REQUEST_FATES:
        if can_happen(point, fate):
            for death in point.deaths:
                crash = Crash(point=point.number, step=of.step, death=death)
                yield Cell(step=of.step, style=of.style, fate=fate, crashes=(crash,), echo_names=echo_names)


# One step of each kind: title-unique, silent, found not created, without marker field.
ONE_OF_EACH_KIND: Final = ("create_target_schema", "create_dataset", "find_or_create_sink", "create_mapping_set")
# One fate of each kind that leads to other points: nothing there, there at once, there at the last moment, refused.
PAIR_FATES: Final = (
    "lost before commit", "committed, answer lost", "commits at exactly G, listed at exactly L", "429 with Retry-After",
)  # fmt: skip
PAIR_DEATHS: Final = (Death.KILLED, Death.KEPT, Death.LOST)


def look_up_cells(of: Of) -> Iterator[Cell]:
    """Every fate of the look-ups after a lost answer."""
    for look_up in LOOK_UP_FATES:
        yield Cell(step=of.step, style=of.style, fate=FATES["committed, answer lost"], look_up=look_up)


def triple_cells(of: Of) -> Iterator[Cell]:
    """Three sends: two attempts that were never sent or never arrived, and any death in the third's call.

    With the two that end in a twin which nobody can prevent: too late, then any death in the second's call.
    """
    answered, late, too_late = FATES["answered"], FATES["commits at exactly G"], FATES["commits later than G"]
    nothing = ((6, answered), (8, answered))
    for first, second, third in product(nothing, nothing, (*nothing, (9, late), (9, too_late), (10, answered))):
        yield _in_a_row(of, first, second, third)
    for then in ((6, answered), (8, answered), (10, answered)):
        yield _in_a_row(of, (9, too_late), then)


def _in_a_row(of: Of, *deaths: tuple[int, RequestFate]) -> Cell:
    """A death in each of so many calls, the call's fate beside it."""
    crashes = tuple(Crash(point=number, step=of.step) for number, _ in deaths)
    fates = [fate for _, fate in deaths]
    return Cell(step=of.step, style=of.style, fate=fates[0], later=tuple(fates[1:]), crashes=crashes)


def per_step_points() -> list[CrashPoint]:
    """The points that a step has of its own, and that a first death can be at."""
    return [point for point in POINTS if point.per_step and point.number != 3 and not point.of_destroy]


def is_shared(of: Of) -> bool:
    """Whether a step of another style is the very class that the tutorial takes, in the same frame."""
    if of.style == TUTORIAL or of.step not in STEPS_OF[TUTORIAL]:
        return False
    return type(row_of(of.style, of.step).step) is type(row_of(TUTORIAL, of.step).step)


def pair_fates(of: Of) -> tuple[str, ...]:
    """The fates whose pairs are run for this step: of a class that is the tutorial's too, the one with most."""
    return PAIR_FATES[:1] if is_shared(of) else PAIR_FATES


def reboot_cells(of: Of, point: CrashPoint) -> Iterator[Cell]:
    """The cells in which the machine, not only the process, dies at a place where nothing is unsynced: every fate for
    one step of each kind, and one fate of each kind for every step."""
    every = of.style == TUTORIAL and of.step in ONE_OF_EACH_KIND
    for cell in single_cells(of, point):
        if cell.crashes[0].death is Death.KILLED and (every or cell.fate.name in PAIR_FATES):
            yield replace(cell, crashes=(replace(cell.crashes[0], death=Death.REBOOTED),))
