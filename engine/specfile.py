"""The spec's front door: a file or a mapping in, the model out, or one SpecError that names every fault."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flowledger.engine.folders import working_folder
from flowledger.engine.specchange import spec_diff as spec_diff
from flowledger.engine.speccheck import check, check_start
from flowledger.engine.specfault import MAX_FAULTS, Fault, Findings, KeyPath, TooManyFaults, shown_path
from flowledger.engine.specrefs import resolve, shown
from flowledger.engine.specshape import shape, shaped_start
from flowledger.engine.spectoml import parse as parse_toml
from flowledger.engine.specyaml import STDIN, Place, Tree, parse, read_text
from flowledger.errors import SpecError
from flowledger.steps.spec import Spec
from flowledger.words import counted

_MOST_TURNS = 5  # short forms within short forms within a misspelt key
_WHERE_TO_READ = "docs/spec.md describes every key; `flowledger init paypal` writes a spec that works"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSpec:
    """A spec that was read from `path`, and what is allowed in it but probably not meant."""

    spec: Spec
    path: Path
    warnings: tuple[str, ...] = ()
    _places: _Places | None = field(default=None, repr=False, compare=False)

    def refuse_passed(self, now: float) -> None:
        """Raise SpecError, with its place, if an absolute start has passed at `now` (seconds since the epoch).

        To be asked before a run begins; for a run that has begun the start is history.
        """
        findings = Findings()
        check_start(self.spec.schedule.start, ("schedule", "start"), findings, now)
        _refuse(findings, str(self.path) if self.path.name else "the spec", self._places or _Places("", Tree(), {}))


def load_spec(
    source: Path | str, *, now: float | None = None, base_url: str = "", environ: Mapping[str, str] | None = None
) -> LoadedSpec:
    """Read, complete and judge a spec file: TOML if its name ends in .toml, else YAML, which JSON is too.

    `-` is standard input. Of a spec that comes through a pipe, relative paths count from the working directory.

    `environ` is what `${NAME}` in the file's values is taken from, by default the environment of the process.

    `now` (seconds since the epoch) makes an absolute start that has passed a fault: give it before a run begins, not
    when one is compared with its file. `base_url` is the platform's: some values are unwise against Adobe only.

    Raises SpecError for whatever `source` is or holds, and UsageError where it counts from a working folder that was
    removed. Its `faults` name all that is wrong, each as
    `file:line:column key.path: what is wrong; what would be right`.
    """
    source = Path(source)
    read = parse_toml if source.suffix.lower() == ".toml" else parse
    if not source.is_absolute():
        working_folder(str(source))
    text, flows = read_text(source)
    tree, findings = read(text, str(source))
    data, unresolved = tree.data, frozenset[KeyPath]()
    with contextlib.suppress(TooManyFaults):
        data, unresolved = resolve(data, findings, os.environ if environ is None else environ)
    told = len(findings.faults)
    folder = working_folder(str(source)) if flows or source == STDIN else source.absolute().parent
    spec = _judged(data, findings, folder, now=now, base_url=base_url)
    places = _Places(str(source), tree, findings.written, findings.references)
    # What could not be resolved is told once: its literal `${NAME}` is no number and no name either.
    later = [fault for fault in findings.faults[told:] if places.as_written(fault.path) not in unresolved]
    findings.faults[told:] = later
    _refuse(findings, str(source), places)
    assert spec is not None, "without a fault there is a spec"
    return LoadedSpec(spec=spec, path=source, warnings=tuple(map(places.line_of, findings.warnings)), _places=places)


def accepted(spec: Spec | Mapping[str, Any] | LoadedSpec | Path | str, *, base_url: str) -> LoadedSpec:
    """The spec in any form that a verb takes, complete and judged against the platform at `base_url`.

    The warnings of a spec that the caller has loaded are the caller's to show: they are left out. Raises SpecError
    with all faults, but for a start that has passed: see `LoadedSpec.refuse_passed`.
    """
    if isinstance(spec, LoadedSpec):
        judge(spec.spec, base_url=base_url)
        return replace(spec, warnings=())
    if isinstance(spec, Spec):
        placed = spec if spec.folder else spec.model_copy(update={"folder": str(working_folder("the spec"))})
        return LoadedSpec(spec=placed, path=Path(), warnings=judge(spec, base_url=base_url))
    if isinstance(spec, str | Path):
        return load_spec(spec, base_url=base_url)
    return _from_mapping(spec, folder=None, now=None, base_url=base_url)


def start_in(value: Any, now: float, findings: Findings) -> str | int:
    """A schedule's start in the form of the model, judged like `schedule.start`; a stand-in if there is a fault."""
    path: KeyPath = ("schedule", "start")
    start = shaped_start(value, path, findings)
    if findings.sound(path):
        check_start(start, path, findings, now)
    return start


def spec_from_mapping(mapping: Mapping[str, Any], *, folder: Path | None = None, now: float | None = None) -> Spec:
    """The spec that a program has as a mapping, in any form that a file may have.

    Relative paths of secret files count from `folder`, by default the working directory. Raises SpecError with all
    faults, each as `key.path: what is wrong; what would be right`.
    """
    return _from_mapping(mapping, folder=folder, now=now, base_url="").spec


def _from_mapping(mapping: Any, *, folder: Path | None, now: float | None, base_url: str) -> LoadedSpec:
    if not isinstance(mapping, Mapping):
        raise SpecError(f"the spec must be a mapping, not {type(mapping).__name__}", hint=_WHERE_TO_READ)
    findings = Findings()
    spec = _judged(mapping, findings, (folder or working_folder("the spec")).absolute(), now=now, base_url=base_url)
    places = _Places("", Tree(), findings.written)
    _refuse(findings, "the spec", places)
    assert spec is not None, "without a fault there is a spec"
    return LoadedSpec(spec=spec, path=Path(), warnings=tuple(map(places.line_of, findings.warnings)), _places=places)


def judge(spec: Spec, *, now: float | None = None, base_url: str = "") -> tuple[str, ...]:
    """Judge a spec that a program has built as a model. Returns warnings; raises SpecError with all faults."""
    findings = Findings()
    with contextlib.suppress(TooManyFaults):
        check(spec, findings, now=now, base_url=base_url)
    places = _Places("", Tree(), {})
    _refuse(findings, "the spec", places)
    return tuple(map(places.line_of, findings.warnings))


def _judged(
    data: Mapping[Any, Any], findings: Findings, folder: Path, *, now: float | None, base_url: str
) -> Spec | None:
    """The model, or None when `findings` has more faults than anybody will read."""
    try:
        spec = shape(data, findings, folder)
        check(spec, findings, now=now, base_url=base_url)
    except TooManyFaults:
        return None
    return spec


class _Places:
    """Says where a path of the model stands in the file."""

    def __init__(
        self,
        source: str,
        tree: Tree,
        written: Mapping[KeyPath, KeyPath],
        references: Mapping[KeyPath, tuple[str, ...]] | None = None,
    ) -> None:
        self.source = source
        self.tree = tree
        self.written = written
        self.references = references or {}

    def as_written(self, path: KeyPath) -> KeyPath:
        """The path in the file of a path of the model."""
        for _ in range(_MOST_TURNS):
            lengths = range(len(path), 0, -1)
            start = next((path[:length] for length in lengths if path[:length] in self.written), None)
            if start is None or self.written[start] == start:
                break
            path = (*self.written[start], *path[len(start) :])
        return path

    def line_of(self, fault: Fault) -> str:
        path = self.as_written(fault.path)
        place = self.place(path, at_key=fault.at_key)
        where = f"{self.source}:{place.line}:{place.column} " if place else f"{self.source} " if self.source else ""
        names = self.references.get(path, ())
        of = f" (from {shown(names)})" if names and not any(name in str(fault) for name in names) else ""
        return f"{where}{shown_path(path)}{of}: {fault}"

    def order(self, fault: Fault) -> tuple[int, int]:
        place = self.place(self.as_written(fault.path), at_key=fault.at_key)
        return (place.line, place.column) if place else (0, 0)

    def place(self, path: KeyPath, *, at_key: bool) -> Place | None:
        first, second = (self.tree.keys, self.tree.values) if at_key else (self.tree.values, self.tree.keys)
        if found := first.get(path) or second.get(path):
            return found
        for length in range(len(path) - 1, -1, -1):  # something is missing: the key it is missing under
            above = path[:length]
            if found := self.tree.keys.get(above) or self.tree.values.get(above):
                return found
        return None


def _refuse(findings: Findings, source: str, places: _Places) -> None:
    if not findings.faults:
        return
    faults = tuple(dict.fromkeys(map(places.line_of, sorted(findings.faults, key=places.order))))[:MAX_FAULTS]
    count = counted(len(faults), "fault")
    if len(findings.faults) >= MAX_FAULTS:
        count += " or more; these are the first"
    raise SpecError(f"{source}: the spec has {count}", faults=faults, hint=_WHERE_TO_READ)
