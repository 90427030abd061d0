"""The commented spec to begin with, as `flowledger init KIND` writes it: it works as it is on the emulator."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowledger.engine.kindfile import kinds_from, load_kind, unknown_kind
from flowledger.engine.specfault import did_you_mean, nearest, one_of
from flowledger.engine.table import TABLES
from flowledger.errors import UsageError
from flowledger.steps.source_kind import AuthSpec, Param, SampleTable, SourceKind
from flowledger.steps.sources import REFUSED, SOURCES
from flowledger.steps.xdm_paths import PROFILE, offered

SECRET_MODE: Final = 0o600
SPEC_MODE: Final = 0o644

_GROUPS: Final = (f"{PROFILE}-person-details", f"{PROFILE}-personal-details")
_PLAIN: Final = re.compile(r"[A-Za-z_./$][A-Za-z0-9_./$-]*( [A-Za-z0-9_./$-]+)*")
_NO_TEXTS: Final = ("true", "false", "null")
_WIDTH: Final = 46  # columns before a comment that ends a line

_HEAD: Final = """\
# One dataflow: rows of a table of {label} into a dataset of Adobe Experience Platform, on a schedule.
#
#   flowledger validate {file}          is this file right? (offline)
#   flowledger plan {file}              which calls would be made?
#   flowledger apply {file}             make them; type it again after a crash, nothing is made twice
#   flowledger apply {file} --local     the same against an emulator on this machine
#
# It works as it is on the emulator. For an account of your own at {label} change the parameters{secrets}
# below.
# Every key is described in docs/spec.md. Which platform, organisation and sandbox: the FLOWLEDGER_* environment.
"""
_SECRETS: Final = """\
      # A secret never stands in this file, only where it is to be found:
      #   {name}: {{env: {env}}}{pad}an environment variable
      #   {name}: {{command: [pass, show, {command}]}}   what a command prints
      #   {name}: {{file: PATH}}                             a file; relative paths count from this file's folder
      # The files here hold made-up values: replace them with yours.
"""
_TAIL: Final = """\
schedule:
  frequency: minute                      # minute, hour, day, week, or once (then without interval, backfill and delta)
  interval: 30                           # every 30 minutes; 15 is the least for `minute`
  start: +10m                            # from when the dataflow is created; or 2030-01-01T00:00:00Z, or epoch seconds
  backfill: true                         # the first run takes all rows that are there; false: only newer ones

# How patient a run is. These are the defaults; what is not done in time is left to `flowledger resume`.
retry:
  attempts: 6                            # sends of one step, the first included
  deadline: 15m                          # for one sitting of the run
  first_wait: 500ms                      # doubles at each attempt, with some chance in it
  longest_wait: 60s
  timeout: 70s                           # one call

# How long a call without an answer may still take to show in the platform's lists. Only then is it sent again.
# 90 seconds are right for Adobe (a shorter time could make an object twice), 1s for the emulator.
"""
_SETTLE_ADOBE: Final = "settle: 90s\n"
_SETTLE_EMULATOR: Final = (
    "settle: 1s                               # right for the emulator only: against Adobe leave it out (90s)\n"
)
_STYLE_NOTE: Final = "tutorial: the calls of Adobe's tutorial; current: those of its guides now"


def placeholder(param: Param) -> str:
    """What a new secret file holds until somebody writes a secret into it."""
    words = re.sub(r"[^a-z0-9]+", "-", param.meaning.split(",")[0].lower()).strip("-")
    return f"replace-me-with-the-{words.replace('-of-the-', '-of-your-', 1)}"


PLACEHOLDER: Final = "replace-me-with-the-client-secret-of-your-paypal-app"  # of the PayPal starter


def kinds_there_are(environ: Mapping[str, str]) -> dict[str, SourceKind]:
    """Every kind that `init` can write: flowledger's own, then those of FLOWLEDGER_KINDS. Raises SpecError."""
    return {**SOURCES, **kinds_from(environ)}


def starter(
    kind: str,
    folder: Path,
    *,
    file: str = "",
    emulator: bool = False,
    style: str = "tutorial",
    auth: str | None = None,
    kind_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> dict[str, tuple[str, int]]:
    """The files to write for a source kind: path relative to `folder` to (text, file mode), the spec first.

    `kind` is the kind's name, "" for the one that `kind_file` defines. `file` is the spec's name in the folder
    (default: by kind and table). `emulator`: with the settle window of the emulator, as in examples/. `auth`: the way
    to authenticate, by default the kind's first. A secret file that exists in `folder` already is not among the files:
    it may hold a real secret. Raises UsageError for an unknown kind, style or way to authenticate, SpecError for a
    kind's file that is wrong.
    """
    known = _kind(kind, kind_file, os.environ if environ is None else environ)
    if style not in TABLES:
        right = did_you_mean(style, tuple(TABLES))
        raise UsageError(f"there is no style {style!r}: {right}", hint="--style current, say")
    names = tuple(way.name for way in known.auths)
    if auth is not None and auth not in names:
        raise UsageError(
            f"{auth!r} is not a way to authenticate at {known.label}: {did_you_mean(auth, names)}",
            hint=f'flowledger init {known.kind} --auth "{nearest(auth, names) or names[0]}"',
        )
    written = _Starter(kind=known, auth=known.auth(auth), table=known.tables[0], style=style)
    relative = os.path.relpath(kind_file, folder) if kind_file is not None else ""
    name = file or f"{written.run}.yaml"
    files = {name: (written.text(file=name, kind_file=relative, emulator=emulator), SPEC_MODE)}
    for param in written.auth.params:
        if param.secret and param.required and not (folder / written.secret_file(param)).exists():
            files[written.secret_file(param)] = (placeholder(param) + "\n", SECRET_MODE)
    return files


def _kind(name: str, kind_file: Path | None, environ: Mapping[str, str]) -> SourceKind:
    if kind_file is not None:
        kind = load_kind(kind_file)
        if name not in ("", kind.kind):
            raise UsageError(
                f"{kind_file} defines the kind {kind.kind}, not {name}",
                hint=f"flowledger init {kind.kind} --kind-file {kind_file}",
            )
        return kind
    kinds: Mapping[str, SourceKind] = SOURCES if name in SOURCES else kinds_there_are(environ)
    if name not in kinds:
        what, right = unknown_kind(name, kinds)
        near = nearest(name, tuple(kinds))
        hint = f"flowledger init {near}" if near and name not in REFUSED else "flowledger init --list"
        raise UsageError(f"there is no starter for that source: {what}; {right}", hint=hint)
    return kinds[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Starter:
    """One spec to begin with."""

    kind: SourceKind
    auth: AuthSpec
    table: SampleTable
    style: str

    @property
    def title(self) -> str:
        """The dataset's title, without what Catalog's filters cannot search for."""
        words = re.sub(r"[_\W]+", " ", self.table.path.rsplit(".", 1)[-1]).strip().lower()
        text = self.table.title or f"{self.kind.label} {words}"
        return re.sub(r'[,*"\\=~]|^!', " ", text).strip()[:200] or self.kind.kind

    @property
    def run(self) -> str:
        """The run's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")[:48].strip("-") or self.kind.kind

    def secret_file(self, param: Param) -> str:
        """Where a secret is kept, from the spec's folder."""
        return f"secrets/{self.kind.kind}-{_kebab(param.name)}"

    def text(self, *, file: str, kind_file: str, emulator: bool) -> str:
        """The whole file."""
        secret = any(param.secret for param in self.auth.params)
        head = _HEAD.format(label=self.kind.label, file=file, secrets=" and the secrets" if secret else "")
        parts = (
            head,
            _line(f"name: {self.run}", f"the run's name: a-z, 0-9 and '-'; `flowledger status {self.run}`")
            + _line(f"style: {self.style}", _STYLE_NOTE),
            self._source(kind_file),
            self._target(),
            self._mappings(),
            _TAIL + (_SETTLE_EMULATOR if emulator else _SETTLE_ADOBE),
        )
        return "\n".join(parts)

    def _source(self, kind_file: str) -> str:
        kind = f"kind_file: {_scalar(kind_file)}" if kind_file else f"kind: {self.kind.kind}"
        ends = "; ".join(self.kind.announced_ends(self.auth.name))
        others = [way.name for way in self.kind.auths if way is not self.auth]
        note = f"or {one_of(others)}" if others else f"may be left out: it is the only way at {self.kind.label}"
        text = "source:\n" + (_line(f"  {kind}", ends) if ends else f"  {kind}\n") + "  connection:\n"
        text += (
            "    # A base connection is created from these parameters. To use one that exists write its id instead:\n"
        )
        text += "    #   id: 24151d58-ffa7-4960-951d-58ffa7396097\n"
        if self.auth.source == "unsure":
            text += f"    # Not sure of these parameters: {self.auth.note}.\n"
        text += _line(f"    auth: {_scalar(self.auth.name)}", note)
        text += "    params:\n" if self.auth.params else "    params: {}\n"
        first_secret = next((param for param in self.auth.params if param.secret), None)
        for param in self.auth.params:
            if param is first_secret:
                text += self._secrets(param)
            text += self._param(param)
        text += _line(f"  table: {_scalar(self.table.path)}", self.kind.table_naming or "as the connector names it")
        text += self._filter()
        text += _line("  delta:", "how new rows are told from old ones")
        text += _line(f"    column: {_scalar(self.table.delta)}", "must be a date-time column of the table")
        text += _line(
            f"    date_format: {_scalar(self.kind.delta_format)}", f"the default, right for {self.kind.label}"
        )
        return text + _line("    timezone: UTC", "nothing else is possible")

    def _secrets(self, param: Param) -> str:
        kind = self.kind.kind
        env = f"{kind}_{_kebab(param.name)}".upper().replace("-", "_")
        pad = " " * max(3, 38 - len(env))
        return _SECRETS.format(name=param.name, env=env, pad=pad, command=f"{kind}/{_kebab(param.name)}")

    def _param(self, param: Param) -> str:
        value = param.example or param.default or f"my-{self.kind.kind}-{_kebab(param.name)}"
        written = f"{{file: {self.secret_file(param)}}}" if param.secret else _scalar(value)
        note = param.meaning + ("" if param.default is None else "; this is the default")
        if not param.required:
            return f"      # {_scalar(param.name)}: {written}   may be left out: {note}\n"
        if len(note) > 60:
            return f"      # {note}\n      {_scalar(param.name)}: {written}\n"
        return _line(f"      {_scalar(param.name)}: {written}", note)

    def _filter(self) -> str:
        if not self.kind.row_filters:
            return ""
        column = next((name for name, kind in self.table.columns.items() if kind == "string"), self.table.delta)
        sample = f"  # filter: \"{column} == 'a value'\""
        needs = "" if self.style == "current" else ", with `style: current`"
        return _line(sample, f"only rows for which this holds{needs}")

    def _mapped(self) -> dict[str, str]:
        """Column to destination: as the sample table has it, else the first text as id and the rest as own fields."""
        if self.table.mappings:
            return self.table.mappings
        texts = [name for name, kind in self.table.columns.items() if kind == "string"]
        mapped = {texts[0]: "_id"} if texts else {}
        taken = {"_id"}
        for column in self.table.columns:
            field = "record." + (re.sub(r"[^A-Za-z0-9_-]+", "_", column).strip("_") or "column")
            if column not in mapped and field not in taken and len(mapped) < 5:
                mapped[column] = field
                taken.add(field)
        return mapped

    def _target(self) -> str:
        known = offered(PROFILE, _GROUPS).leaves
        own: dict[str, list[str]] = {}
        for column, to in self._mapped().items():
            if to not in known:
                top, _, rest = to.partition(".")
                own.setdefault(top, []).append(f"{rest or to}: {self.table.columns[column]}")
        text = "target:\n" + _line(
            f"  class: {PROFILE}", "the default: XDM Individual Profile; for events: experienceevent"
        )
        text += _line("  field_groups:", "ids, or the last part of those that flowledger knows")
        text += _line(f"    - {_GROUPS[0]}", "person.name.firstName, ...")
        text += _line(f"    - {_GROUPS[1]}", "personalEmail.address, mobilePhone.number, ...")
        if own:
            text += _line("  fields:", "own fields, in a field group of their own; without tenant prefix")
            for top, fields in own.items():
                text += _line(f"    {top}:", "types: string, date, date-time, integer, long, number, boolean")
                text += "".join(f"      {field}\n" for field in fields)
        text += _line("  dataset:", "for people; what is left out follows from the run's name")
        text += f"    title: {_scalar(self.title)}\n"
        return text + f"    description: {_scalar(f'Rows of {self.table.path} at {self.kind.label}')}\n"

    def _mappings(self) -> str:
        text = _line("mappings:", "one column to one field each")
        for column, to in self._mapped().items():
            text += f"  - {{source: {_scalar(column)}, to: {_scalar(to)}}}\n"
        return text


def _line(text: str, note: str) -> str:
    """A line with a comment at its end."""
    return f"{text.ljust(40)} # {note}\n" if len(text) < _WIDTH else f"{text}   # {note}\n"


def _scalar(text: str) -> str:
    """Text as YAML has it, in quotes where it must."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXTS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _kebab(name: str) -> str:
    """`clientSecret` as `client-secret`."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-")
