"""From what people write to the model: every surface form of a spec, brought to one shape, faults collected.

The shape of each value is judged here, one fault a value, and a faulty value is replaced by a stand-in so that the
rest can still be judged. What values mean together is `flowledger.engine.speccheck`'s work.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import ValidationError

from flowledger.engine.kindfile import (
    KINDS_ENV,
    kind_faults,
    kind_from_mapping,
    kinds_from,
    load_kind,
    said,
    unknown_kind,
)
from flowledger.engine.specfault import Findings, KeyPath, echo, nearest
from flowledger.engine.specvalues import ABSENT, DIGITS, LARGEST, RENAMED, Values
from flowledger.errors import SpecError
from flowledger.steps.client.secrets import placed
from flowledger.steps.row_filter import FilterFault, checked, compiled
from flowledger.steps.sources import SOURCES, SourceKind
from flowledger.steps.spec import FieldType, Retry, Schedule, Settle, Spec, VerifyRows
from flowledger.steps.xdm_paths import NAMESPACE, RESOURCES, ResourceKind, short_forms

RELATIVE: Final = re.compile(r"\+[0-9]{1,9}[smhd]")
RUN_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")
ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
URI: Final = re.compile(re.escape(NAMESPACE) + r"[A-Za-z0-9_.~/-]+")
_DEEPEST_FIELD: Final = 12  # levels of own fields


def shape(data: Mapping[Any, Any], findings: Findings, folder: Path) -> Spec:
    """The model of what `data` says, with stand-ins where `findings` has faults. Raises TooManyFaults.

    `folder` is where relative paths of secret files count from.
    """
    return Spec.model_validate(_Shaper(findings, folder).spec(data))


def shaped_start(value: Any, path: KeyPath, findings: Findings) -> str | int:
    """A schedule's start in the form of the model, from any form that a spec may have; a stand-in for a faulty one."""
    return _Shaper(findings, Path()).start(value, path)


class _Shaper(Values):
    def __init__(self, findings: Findings, folder: Path) -> None:
        super().__init__(findings)
        self.folder = folder

    def spec(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        needed = ("name", "source", "target", "mappings", "schedule")
        keys = self.mapping(data, (), tuple(key for key in Spec.model_fields if key != "folder"), needed)
        made: dict[str, Any] = {
            "name": self.run_name(keys.get("name", ABSENT)),
            "source": self.source(keys.get("source", ABSENT), ("source",)),
            "target": self.target(keys.get("target", ABSENT), ("target",)),
            "mappings": self.mappings(keys.get("mappings", ABSENT), ("mappings",)),
            "schedule": self.schedule(keys.get("schedule", ABSENT), ("schedule",)),
            "folder": str(self.folder),
        }
        # Only what is written: it is what is journaled, and a default that a later version changes is no change.
        if "style" in keys:
            made["style"] = self.choice(keys["style"], ("style",), ("tutorial", "current"))
        if "retry" in keys:
            made["retry"] = self.durations(keys["retry"], ("retry",), Retry, whole=("attempts",))
        if "settle" in keys:
            made["settle"] = self.settle(keys["settle"], ("settle",))
        if (verify_rows := self.verify_rows(keys.get("verify_rows"), ("verify_rows",))) is not None:
            made["verify_rows"] = verify_rows
        return made

    def run_name(self, value: Any) -> str:
        name = self.text(value, ("name",), "unnamed")
        if not RUN_NAME.fullmatch(name):
            tidy = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48].strip("-")
            self.findings.fault(
                ("name",),
                f"{echo(name)} is not a run's name: lower-case letters, digits and '-', 1 to 48 characters, "
                "with no '-' at either end",
                f"for example {tidy or 'paypal-products'}",
            )
            return "unnamed"
        return name

    def source(self, value: Any, path: KeyPath) -> dict[str, Any]:
        own = isinstance(value, Mapping) and any(value.get(key) is not None for key in ("kind_file", "definition"))
        known = ("kind", "kind_file", "definition", "connection", "table", "filter", "delta")
        keys = self.mapping(value, path, known, ("connection", "table") if own else ("kind", "connection", "table"))
        kind = self.kind(keys, path)
        made: dict[str, Any] = {
            "kind": kind.kind,
            "definition": None if SOURCES.get(kind.kind) == kind else kind,
            "connection": self.connection(keys.get("connection", ABSENT), (*path, "connection"), kind),
            "table": self.text(keys.get("table", ABSENT), (*path, "table"), "?"),
            "filter": self.row_filter(keys.get("filter"), (*path, "filter")),
            "delta": self.delta(keys["delta"], (*path, "delta")) if keys.get("delta") is not None else None,
        }
        return _given(made)

    def kind(self, keys: Mapping[str, Any], path: KeyPath) -> SourceKind:
        """The kind by its name, or as a file or the spec itself defines it; PayPal stands in for a faulty one."""
        stand_in = SOURCES["paypal"]
        named: KeyPath = (*path, "kind")
        own = [key for key in ("kind_file", "definition") if keys.get(key) is not None]
        if len(own) > 1:
            self.findings.fault((*path, own[1]), "goes without `kind_file`", "keep one of the two")
        if own:
            kind = self.own_kind(own[0], keys[own[0]], (*path, own[0]))
            if kind is None:
                self.findings.bad.add(named)
            elif keys.get("kind") not in (None, kind.kind):
                right = f"write {kind.kind}, or leave it out"
                self.findings.fault(named, f"is not the kind that `{own[0]}` defines", right)
                return stand_in
            return kind or stand_in
        word = self.text(keys.get("kind", ABSENT), named, "paypal")
        if not self.findings.sound(named) or word in SOURCES:
            return SOURCES[word]
        try:
            of_user = kinds_from(os.environ)
        except SpecError as error:
            self.findings.fault(named, f"{echo(word)} is looked for in {KINDS_ENV}: {'; '.join(said(error))}")
            return stand_in
        if word in of_user:
            return of_user[word]
        self.findings.fault(named, *unknown_kind(word, {**SOURCES, **of_user}))
        return stand_in

    def own_kind(self, key: str, value: Any, path: KeyPath) -> SourceKind | None:
        if key == "kind_file":
            file = self.place_of(value, path)
            if file is None:
                return None
            try:
                return load_kind(file)
            except SpecError as error:
                for fault in said(error):
                    self.findings.fault(path, fault)
                return None
        if isinstance(value, SourceKind):  # from a model that a program has built
            return value
        if not isinstance(value, Mapping):
            self.mapping(value, path, None)
            return None
        try:
            return kind_from_mapping(value)
        except ValidationError as error:
            for where, what in kind_faults(error):
                self.findings.fault((*path, *where), what)
            self.findings.bad.add(path)
            return None

    def row_filter(self, value: Any, path: KeyPath) -> dict[str, Any] | None:
        """A row filter as PQL, from it or from a readable condition."""
        if value is None:
            return None
        try:
            if isinstance(value, str):
                return compiled(value)
            if isinstance(value, Mapping):
                return checked(value)
        except FilterFault as fault:
            self.findings.fault(path, str(fault), "for example city == 'Paris' and total > 10; docs/spec.md has more")
            return None
        self.findings.fault(path, "is no row filter", "write a condition in quotes, like \"city == 'Paris'\", or PQL")
        return None

    def connection(self, value: Any, path: KeyPath, kind: SourceKind) -> dict[str, Any]:
        keys = _given(self.mapping(value, path, ("id", "auth", "params")))
        made: dict[str, Any] = {"params": {}}
        if "id" in keys:
            made["id"] = self.text(keys["id"], (*path, "id"), "")
        params = self.mapping(keys["params"], (*path, "params"), None) if "params" in keys else {}
        no_texts = {param.name for auth in kind.auths for param in auth.params if param.type != "string"}
        for name, param in params.items():
            if name in no_texts and isinstance(param, bool | int) and abs(param) <= LARGEST:
                param = str(param).lower()
            made["params"][name] = self.param(param, (*path, "params", name))
        if self.findings.sound(path) and "id" not in keys and "params" not in keys:
            self.findings.fault(path, "has neither `id` nor `params`", "give one of the two")
        if "auth" in keys and self.findings.sound((*path[:-1], "kind")):
            made["auth"] = self.choice(keys["auth"], (*path, "auth"), tuple(auth.name for auth in kind.auths))
        return made

    def param(self, value: Any, path: KeyPath) -> Any:
        """A parameter's value: text, or a reference to a secret. No message repeats it: it may be a secret."""
        if isinstance(value, str):
            return value
        if not isinstance(value, Mapping):
            what = "is empty" if value is None else "must be text, or a reference to a secret"
            self.findings.fault(
                path, what, "put text in quotes, or refer to a secret: {env: NAME}, {file: PATH} or {command: [..]}"
            )
            return "?"
        keys = self.mapping(value, path, ("env", "file", "command"))
        if not self.findings.sound(path) or set(keys) != {str(key) for key in value}:
            self.findings.bad.add(path)
            return "?"
        keys = _given(keys)
        if len(keys) != 1:
            self.findings.fault(path, "a reference to a secret has exactly one of env, file and command")
            return "?"
        [(place, where)] = keys.items()
        read = {"env": self.env_name, "file": self.file_name, "command": self.command}[place]
        found = read(where, (*path, place))
        if found is None:
            self.findings.bad.add(path)
            return "?"
        return {place: found}

    def env_name(self, value: Any, path: KeyPath) -> str | None:
        if isinstance(value, str) and ENV_NAME.fullmatch(value):
            return value
        self.findings.fault(path, "is not the name of an environment variable", "for example PAYPAL_CLIENT_SECRET")
        return None

    def file_name(self, value: Any, path: KeyPath) -> str | None:
        """A file's path as it is written, so that the same spec in another folder is the same spec."""
        return None if self.place_of(value, path) is None else value

    def place_of(self, value: Any, path: KeyPath) -> str | None:
        """Where a file's path leads."""
        if isinstance(value, str) and value.strip() and "\0" not in value:
            try:
                return placed(value, str(self.folder))
            except RuntimeError:  # "~nobody/..."
                self.findings.fault(path, "names a home folder that does not exist")
                return None
        self.findings.fault(path, "is not a file's path", "for example secrets/paypal-client-secret")
        return None

    def command(self, value: Any, path: KeyPath) -> list[str] | None:
        if isinstance(value, str):
            try:
                value = shlex.split(value)
            except ValueError as error:
                self.findings.fault(path, f"is not a command: {str(error).lower()}", "write it as a list of words")
                return None
        if isinstance(value, Sequence) and value and all(isinstance(word, str) and word for word in value):
            return list(value)
        self.findings.fault(path, "is not a command", "write it as a list of words, like [pass, show, paypal]")
        return None

    def delta(self, value: Any, path: KeyPath) -> dict[str, Any]:
        if isinstance(value, str):  # the short form: `delta: Create_Time`
            self.written[(*path, "column")] = path
            return {"column": self.text(value, path, "?")}
        keys = self.mapping(value, path, ("column", "date_format", "timezone"), ("column",))
        zone = keys.get("timezone", "UTC")
        if zone != "UTC":
            self.findings.fault(
                (*path, "timezone"),
                f"{echo(zone)} is not possible",
                "source times must be UTC: write UTC or leave it out",
            )
        made: dict[str, Any] = {"column": self.text(keys.get("column", ABSENT), (*path, "column"), "?")}
        if keys.get("date_format") is not None:
            made["date_format"] = self.text(keys["date_format"], (*path, "date_format"), "?")
        return made

    def target(self, value: Any, path: KeyPath) -> dict[str, Any]:
        keys = self.mapping(value, path, ("class", "field_groups", "fields", "dataset"))
        made: dict[str, Any] = {}
        if "class" in keys:
            made["class"] = self.resource(keys["class"], (*path, "class"), "class")
        if "field_groups" in keys:
            made["field_groups"] = self.field_groups(keys["field_groups"], (*path, "field_groups"))
        if "fields" in keys:
            made["fields"] = self.fields(keys["fields"], (*path, "fields"))
        if "dataset" in keys:
            dataset = self.mapping(keys["dataset"], (*path, "dataset"), ("title", "description"))
            made["dataset"] = {key: self.text(text, (*path, "dataset", key), "") for key, text in dataset.items()}
        return made

    def field_groups(self, value: Any, path: KeyPath) -> list[str]:
        ids: dict[str, int] = {}
        for index, item in enumerate(self.items(value, path)):
            id_ = self.resource(item, (*path, index), "field group")
            if id_ in ids and self.findings.sound((*path, index)):
                self.findings.warn(
                    (*path, index), f"is the same field group as [{ids[id_]}]", "it is sent once; leave the second out"
                )
            else:
                ids.setdefault(id_, index)
        return list(ids)

    def resource(self, value: Any, path: KeyPath, kind: ResourceKind) -> str:
        """The full `$id` of a class or field group, from it or from a short form of a bundled one."""
        foreign = NAMESPACE + "unknown"
        text = self.text(value, path, foreign)
        forms = short_forms(kind)
        if text in forms:
            return forms[text]
        if text in RESOURCES and RESOURCES[text].kind != kind:
            self.findings.fault(path, f"{text} is a {RESOURCES[text].kind}, not a {kind}")
            return foreign
        if URI.fullmatch(text):
            return text
        near = nearest(text.removeprefix("https://").removeprefix("ns.adobe.com/"), [*forms, *RESOURCES])
        self.findings.fault(
            path,
            f"{echo(text)} is not the id of a {kind}",
            f"did you mean {near}?" if near else f"write its $id, which begins with {NAMESPACE}",
        )
        return foreign

    def fields(self, value: Any, path: KeyPath) -> dict[str, Any]:
        """Own fields, nested or dotted, as dotted path to type."""
        flat: dict[str, Any] = {}
        types = get_args(FieldType)

        def walk(part: Any, at: KeyPath, prefix: str, depth: int) -> None:
            if isinstance(part, Mapping):
                if depth > _DEEPEST_FIELD:
                    self.findings.fault(at, f"nested deeper than {_DEEPEST_FIELD} levels")
                    return
                if not part:
                    self.findings.fault(at, "has no fields", "name at least one, like `name: string`, or leave it out")
                for key, inner in part.items():
                    name = key if isinstance(key, str) else str(key)
                    walk(inner, (*at, name), f"{prefix}.{name}" if depth else name, depth + 1)
                return
            canonical: KeyPath = (*path, prefix)
            self.written.setdefault(canonical, at)
            if prefix in flat:
                self.findings.fault(at, f"the field {prefix} stands twice", "keep one of the two")
                return
            flat[prefix] = self.choice(part, at, types)
            if not self.findings.sound(at):
                self.findings.bad.add(canonical)

        if isinstance(value, Mapping):
            if value:
                walk(value, path, "", 0)
        else:
            self.mapping(value, path, None)
        return flat

    def mappings(self, value: Any, path: KeyPath) -> list[dict[str, str]]:
        if value is ABSENT:
            self.findings.bad.add(path)
            return []
        if isinstance(value, Mapping):  # the short form: `Product_Id: _id`
            made = []
            for index, (source, to) in enumerate(value.items()):
                at: KeyPath = (*path, str(source))
                self.written[(*path, index)] = at
                self.written[(*path, index, "source")] = self.written[(*path, index, "to")] = at
                made.append({"source": str(source), "to": self.text(to, at, "?")})
                if not self.findings.sound(at):
                    self.findings.bad.add((*path, index))
            return made
        return [self.one_mapping(item, (*path, index)) for index, item in enumerate(self.items(value, path))]

    def one_mapping(self, value: Any, path: KeyPath) -> dict[str, str]:
        if isinstance(value, Mapping) and len(value) == 1:
            [(key, inner)] = value.items()
            if isinstance(inner, str) and key not in ("source", "to") and key not in RENAMED:
                right = f"write {{source: {key}, to: {inner}}}"
                self.findings.fault(path, "a mapping in a list names its `source` and its `to`", right)
                return {"source": "?", "to": "?"}
        keys = self.mapping(value, path, ("source", "to"))
        if self.findings.sound(path):
            for key, example in (("source", "name the column"), ("to", "name the field, like person.name.firstName")):
                if key not in keys:
                    self.findings.fault((*path, key), "missing", example)
        return {key: self.text(keys.get(key, "?"), (*path, key), "?") for key in ("source", "to")}

    def schedule(self, value: Any, path: KeyPath) -> dict[str, Any]:
        if value is ABSENT:
            self.findings.bad.add(path)
            return {}
        keys = self.mapping(value, path, tuple(Schedule.model_fields))
        made: dict[str, Any] = {}
        if "frequency" in keys:
            options = get_args(Schedule.model_fields["frequency"].annotation)
            made["frequency"] = self.choice(keys["frequency"], (*path, "frequency"), options)
        if keys.get("interval") is not None:
            made["interval"] = self.whole(keys["interval"], (*path, "interval"), 30)
        if "start" in keys:
            made["start"] = self.start(keys["start"], (*path, "start"))
        if keys.get("backfill") is not None:
            made["backfill"] = self.truth(keys["backfill"], (*path, "backfill"))
        return made

    def start(self, value: Any, path: KeyPath) -> str | int:
        """A start as `+10m` or epoch seconds, from those, digits as text, or an ISO 8601 time with its zone."""
        right = "write +10m (from when the dataflow is asked for), 2030-01-01T00:00:00Z, or seconds since 1970"
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and abs(value) <= LARGEST
            and value == value // 1
        ):
            return int(value)
        if isinstance(value, datetime):  # only from an embedding program
            value = value.isoformat()
        if isinstance(value, str):
            text = value.strip()
            if RELATIVE.fullmatch(text):
                return text
            if DIGITS.fullmatch(text):
                return int(text)
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                moment = None
            if moment is not None and moment.tzinfo is None:
                self.findings.fault(path, f"{echo(text)} names no time zone", f"write {moment.isoformat()}Z for UTC")
                return "+10m"
            if moment is not None:
                return math.floor(moment.timestamp())
        self.findings.fault(path, f"{echo(value)} is not a start", right)
        return "+10m"

    def settle(self, value: Any, path: KeyPath) -> dict[str, Any]:
        if isinstance(value, Mapping):
            return self.durations(value, path, Settle)
        self.written[(*path, "window")] = path  # the short form: `settle: 1s`
        window = self.duration(value, path)
        return {} if window is None else {"window": window}

    def verify_rows(self, value: Any, path: KeyPath) -> dict[str, Any] | None:
        """Whether and how rows are checked: a mapping, a wait alone, or true and false."""
        if value is None or value is False:
            return None
        if value is True:
            return {}
        if not isinstance(value, Mapping):
            self.written[(*path, "wait")] = path  # the short form: `verify_rows: 30m`
            wait = self.duration(value, path)
            return {} if wait is None else {"wait": wait}
        made: dict[str, Any] = {}
        for key, inner in _given(self.mapping(value, path, tuple(VerifyRows.model_fields))).items():
            at: KeyPath = (*path, key)
            if key == "otherwise":
                made[key] = self.choice(inner, at, ("fail", "warn"))
            elif key == "wait":
                made |= {} if (wait := self.duration(inner, at)) is None else {key: wait}
            else:
                made[key] = self.whole(inner, at, VerifyRows.model_fields[key].default)
        return made

    def durations(
        self, value: Any, path: KeyPath, model: type[Retry] | type[Settle], whole: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, inner in self.mapping(value, path, tuple(model.model_fields)).items():
            at: KeyPath = (*path, key)
            found = self.whole(inner, at, model.model_fields[key].default) if key in whole else self.duration(inner, at)
            if found is not None:
                made[key] = found
        return made


def _given(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that have a value: a dumped model has `null` for what it does not say."""
    return {key: value for key, value in keys.items() if value is not None}
