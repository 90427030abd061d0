"""What a spec decides by itself, offline: rules over the model, each with what would be right.

The platform would refuse most of these only after a dozen objects were made (platform-api.md §11, §12). What only the
platform knows, the columns of the table and the fields of foreign field groups, is checked by the steps' reads.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from typing import Final

from flowledger.engine.kindfile import unknown_kind
from flowledger.engine.specfault import Findings, KeyPath, echo, nearest, one_of
from flowledger.errors import NotPermitted
from flowledger.steps.client.config import Places, proxies_from
from flowledger.steps.client.kernel import UNACKNOWLEDGED, give_up_option
from flowledger.steps.client.paths import host_of
from flowledger.steps.client.port import Host
from flowledger.steps.row_filter import FilterFault, checked
from flowledger.steps.sources import SOURCES, SourceKind, source_kind
from flowledger.steps.spec import SecretRef, Spec
from flowledger.steps.xdm_paths import NAMESPACE, RESOURCES, Offered, offered
from flowledger.words import with_article

SHORTEST_ADOBE_WINDOW: Final = 75.0  # seconds: kernel 10 + gateway 60 + some list lag (protocol rule 4)
SHORTEST_MINUTES: Final = 15  # interval of a schedule by the minute (platform-api.md §11)
LAST_SECOND: Final = 10**11  # a larger start is in milliseconds

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*")
_NOT_IN_TITLES: Final = re.compile(r'[,*"\\=~]|^!')  # separators, wildcards and operators of Catalog's filters
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST_TITLE: Final = 200
_LONGEST_LINE: Final = 500  # of the name of a table, a column or a field
_QUOTED: Final = re.compile(r"'[^']*'")
_OF_THE_STANDARD: Final = ("_id", "_repo")  # paths that begin with "_" and are no tenant's


def check(spec: Spec, findings: Findings, *, now: float | None = None, base_url: str = "") -> None:
    """Add to `findings` all faults and warnings of `spec`; paths that are bad already are not judged again.

    `now`: seconds since the epoch; makes an absolute start that has passed a fault. `base_url`: the platform's.
    Raises TooManyFaults.
    """
    _check_connection(spec, findings)
    _check_table_and_delta(spec, findings)
    _check_filter(spec, findings)
    _check_target(spec, findings)
    _check_fields(spec, findings)
    _check_mappings(spec, findings)
    _check_schedule(spec, findings, now)
    _check_patience(spec, findings, base_url)


def _check_connection(spec: Spec, findings: Findings) -> None:
    """The base connection: an id or parameters; secrets by reference only; every parameter the kind needs."""
    path: KeyPath = ("source", "connection")
    connection = spec.source.connection
    if not findings.sound(path):
        return
    if connection.id is not None:
        for key, given in (("params", connection.params), ("auth", connection.auth)):
            if given:
                findings.fault(
                    (*path, key), "goes with a connection to create, not with the `id` of one that exists", "keep one"
                )
        if findings.sound((*path, "id")) and not _UUID.fullmatch(connection.id):
            right = "it looks like 24151d58-ffa7-4960-951d-58ffa7396097"
            findings.fault((*path, "id"), f"{echo(connection.id)} is not the id of a base connection", right)
        return
    if not findings.sound((*path, "auth"), (*path, "params"), ("source", "kind")):
        return
    kind = _kind_of(spec)
    if kind is None:
        findings.fault(("source", "kind"), *unknown_kind(spec.source.kind, SOURCES))
        return
    if connection.auth is not None and connection.auth not in (auth.name for auth in kind.auths):
        known = one_of(auth.name for auth in kind.auths)
        findings.fault((*path, "auth"), f"{echo(connection.auth)} is not a way to authenticate at {kind.label}", known)
        return
    auth = kind.auth(connection.auth)
    by_name = {param.name: param for param in auth.params}
    for name, value in connection.params.items():
        at = (*path, "params", name)
        if name not in by_name:
            near = nearest(name, tuple(by_name))
            right = f"did you mean {near!r}?" if near else f"its parameters are {one_of(by_name)}"
            findings.fault(at, f"unknown parameter of {kind.label}", right, at_key=True)
        elif not findings.sound(at) or isinstance(value, SecretRef):
            continue
        elif by_name[name].secret and at in findings.references:
            refer = f"refer to it: {{env: {findings.references[at][0]}}}, {{file: PATH}} or {{command: [..]}}"
            findings.fault(at, "a secret must not come into the spec by a `${...}`: it would be journaled", refer)
        elif by_name[name].secret:  # the value is never repeated
            findings.fault(
                at,
                "a secret must not stand in the spec",
                "refer to it: {env: NAME}, {file: PATH} or {command: [..]}; change the secret if this file was shared",
            )
        elif not value.strip():
            findings.fault(at, "is empty", f"give the {by_name[name].meaning}")
        elif _CONTROL.search(value):
            findings.fault(at, "holds a line break or another control character", "write it on one line")
        else:
            try:
                by_name[name].value_of(value)
            except ValueError as error:
                findings.fault(at, str(error))
    misspelt = {nearest(name, tuple(by_name)) for name in connection.params if name not in by_name}
    for param in auth.params:
        if param.name in connection.params or param.default is not None or param.name in misspelt:
            continue
        if param.required:
            right = f"give the {param.meaning}"
            findings.fault((*path, "params", param.name), "missing", right + (", by reference" if param.secret else ""))


def _check_table_and_delta(spec: Spec, findings: Findings) -> None:
    table: KeyPath = ("source", "table")
    if findings.sound(table):
        _check_line(spec.source.table, table, findings, "name the table, like PayPal.Catalog_Products")
    delta, path = spec.source.delta, ("source", "delta")
    if delta is None or not findings.sound(path):
        return
    if findings.sound((*path, "column")):
        _check_line(delta.column, (*path, "column"), findings, "name a column, like Create_Time", column=True)
    at: KeyPath = (*path, "date_format")
    kind = _kind_of(spec)
    if kind is None or not findings.sound(at) or delta.date_format in (None, kind.delta_format):
        return
    pattern = _QUOTED.sub("", delta.date_format)
    right = f"write {kind.delta_format}, which is {kind.label}'s, or leave it out"
    if "Y" in pattern or "D" in pattern:
        meant = "does not mean what it seems to: Y is the week year and D the day of the year"
        findings.fault(at, f"{echo(delta.date_format)} {meant}", right)
    elif not {"yyyy", "MM", "dd"} <= set(re.findall("y+|M+|d+", pattern)):
        findings.fault(at, f"{echo(delta.date_format)} is not a date's pattern with yyyy, MM and dd", right)
    else:
        findings.warn(
            at, f"{kind.label} writes its times as {kind.delta_format}", "leave date_format out unless you know"
        )


def _check_filter(spec: Spec, findings: Findings) -> None:
    """Rows are filtered by few kinds, and only in today's shape of the source connection (platform-api.md §4.5)."""
    path: KeyPath = ("source", "filter")
    if spec.source.filter is None or not findings.sound(path, ("source", "kind"), ("style",)):
        return
    kind = _kind_of(spec)
    if kind is not None and not kind.row_filters:
        those = one_of(known.kind for known in SOURCES.values() if known.row_filters)
        findings.fault(path, f"{kind.label} does not filter rows at the source", f"leave it out; {those} do")
    elif spec.style == "tutorial":
        what = "the tutorial's source connection has no row filter"
        findings.fault(path, what, "write `style: current`, whose source connection has one")
    else:
        try:
            checked(spec.source.filter)
        except FilterFault as fault:  # of a model that a program has built
            findings.fault(path, str(fault))


def _kind_of(spec: Spec) -> SourceKind | None:
    try:
        return source_kind(spec.source)
    except KeyError:
        return None


def _check_line(value: str, path: KeyPath, findings: Findings, right: str, *, column: bool = False) -> None:
    """Judge a name that stands on one line. `column`: the table decides, and exports name columns ` Gross`."""
    if not value.strip():
        findings.fault(path, "is empty", right)
    elif value != value.strip() and not column:
        findings.fault(path, f"{echo(value)} begins or ends with a space", f"write {echo(value.strip())}")
    elif len(value) > _LONGEST_LINE:
        findings.fault(path, f"is longer than {_LONGEST_LINE} characters", right)
    elif _CONTROL.search(value):
        findings.fault(path, "holds a line break or another control character", right)


def _check_target(spec: Spec, findings: Findings) -> None:
    path: KeyPath = ("target",)
    target = spec.target
    named: list[tuple[KeyPath, str, str]] = [((*path, "class"), target.class_, "class")]
    named += [((*path, "field_groups", index), id_, "field group") for index, id_ in enumerate(target.field_groups)]
    for at, id_, kind in named:
        if not findings.sound(at):
            continue
        bundled = RESOURCES.get(id_)
        if bundled is not None and bundled.kind != kind:
            findings.fault(at, f"{id_} is a {bundled.kind}, not a {kind}")
        elif bundled is None and not id_.startswith(NAMESPACE):
            findings.fault(
                at, f"{echo(id_)} is not the id of a {kind}", f"write its $id, which begins with {NAMESPACE}"
            )
        elif bundled is None and id_.startswith(NAMESPACE + "xdm/"):
            ours = [known.id for known in RESOURCES.values() if known.kind == kind]
            if near := nearest(id_, ours, cutoff=0.9):
                findings.warn(
                    at,
                    "is not one that flowledger knows, so its fields are asked of the platform",
                    f"did you mean {near}?",
                )
        elif bundled is not None and kind == "field group" and target.class_ not in bundled.extends_classes:
            findings.warn(
                at,
                f"{bundled.title} is meant for {one_of(bundled.extends_classes)}, not for the class {target.class_}",
                "the platform may refuse the schema",
            )
    title: KeyPath = (*path, "dataset", "title")
    if findings.sound(title):
        found = _NOT_IN_TITLES.search(target.dataset.title) or _CONTROL.search(target.dataset.title)
        if found:
            findings.fault(title, f"holds {echo(found[0])}, which Catalog's filters cannot search for", "leave it out")
        elif len(target.dataset.title) > _LONGEST_TITLE:
            findings.fault(title, f"is longer than {_LONGEST_TITLE} characters", "say the rest in the description")
    described: KeyPath = (*path, "dataset", "description")
    if findings.sound(described) and _CONTROL_BUT_LINES.search(target.dataset.description):
        findings.fault(described, "holds a control character", "leave it out")


def _check_fields(spec: Spec, findings: Findings) -> None:
    """Own fields: names by platform-api.md §2.5, none below another, none where a bundled field is."""
    known = offered(spec.target.class_, spec.target.field_groups)
    for field in spec.target.fields:
        path: KeyPath = ("target", "fields", field)
        if len(field) > _LONGEST_LINE:
            findings.fault(path, f"is longer than {_LONGEST_LINE} characters")
            continue
        parts = field.split(".")
        top = parts[0]
        wrong = [part for part in parts if not _FIELD_NAME.fullmatch(part)]
        inside = next((upper for upper in _above(field) if upper in spec.target.fields), None)
        if top.startswith("_") and len(parts) > 1 and top not in _OF_THE_STANDARD:
            findings.fault(
                path, f"{top} looks like a tenant prefix", f"write {'.'.join(parts[1:])}: the prefix is added"
            )
        elif any(part.startswith("xdm:") for part in parts):
            right = field.replace("xdm:", "")
            findings.fault(path, "the prefix `xdm:` is not written here", f"write {right}")
        elif wrong:
            rule = "letters, digits, '-' and '_', and does not begin with '_'"
            findings.fault(path, f"{echo(wrong[0])} is not a field's name: it has {rule}")
        elif inside is not None:
            findings.fault(
                path,
                f"{inside} is {with_article(str(spec.target.fields[inside]))} and cannot hold fields",
                "rename one of the two",
            )
        elif top in known.tops:
            findings.fault(
                path,
                f"{top} is a field of the class or of a field group already",
                f"map to its fields as they are, or rename the own field, like own{top[:1].upper()}{top[1:]}",
            )


def _check_mappings(spec: Spec, findings: Findings) -> None:
    path: KeyPath = ("mappings",)
    if not findings.sound(path):
        return
    if not spec.mappings:
        findings.fault(path, "is empty", "map at least one column, like `- {source: Product_Id, to: _id}`")
    known = offered(spec.target.class_, spec.target.field_groups)
    resolvable = findings.sound(("target",), ("target", "class"), ("target", "field_groups"), ("target", "fields"))
    reachable = _Reachable(spec, known)
    taken: dict[str, str] = {}
    for index, mapping in enumerate(spec.mappings):
        source_at, to_at = (*path, index, "source"), (*path, index, "to")
        if findings.sound(source_at):
            _check_line(mapping.source, source_at, findings, "name the column", column=True)
        if not findings.sound(to_at):
            continue
        _check_line(mapping.to, to_at, findings, "name the field, like person.name.firstName")
        if not findings.sound(to_at):
            continue
        if mapping.to in taken:
            right = "the platform would keep one of them: remove the other"
            findings.fault(to_at, f"{mapping.to} is filled from {taken[mapping.to]} already", right)
            continue
        taken[mapping.to] = mapping.source
        if resolvable:
            _check_destination(mapping.to, to_at, reachable, findings)
    if spec.mappings and resolvable and findings.sound(*((*path, at, "to") for at in range(len(spec.mappings)))):
        _check_required(spec, path, taken, findings)


def _check_required(spec: Spec, path: KeyPath, taken: Iterable[str], findings: Findings) -> None:
    """Rows without a field that the class requires are rejected, all of them: a mapping must lead to each."""
    class_ = RESOURCES.get(spec.target.class_)
    missing = [field for field in class_.required if field not in taken] if class_ is not None else []
    if class_ is not None and missing:
        one = missing[0]
        example = "the time of the event" if one == "timestamp" else "the column that identifies the row"
        findings.fault(
            path,
            f"{class_.title} requires {' and '.join(missing)}, and no mapping leads there",
            f"map {example}, like `- {{source: {'Create_Time' if one == 'timestamp' else 'Product_Id'}, to: {one}}}`",
        )


class _Reachable:
    """Where a mapping may lead: the leaves, and the objects above them with the leaves they hold."""

    def __init__(self, spec: Spec, known: Offered) -> None:
        self.own = spec.target.fields
        self.foreign = known.foreign
        self.leaves = dict.fromkeys((*known.leaves, *self.own))
        self.objects: dict[str, list[str]] = {}
        for leaf in self.leaves:
            for above in _above(leaf):
                self.objects.setdefault(above, []).append(leaf)


def _above(path: str) -> list[str]:
    """`a` and `a.b` for `a.b.c`."""
    parts = path.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _check_destination(to: str, path: KeyPath, reachable: _Reachable, findings: Findings) -> None:
    """A destination is a leaf of the class, of a field group, or of the own fields (platform-api.md §12, T8)."""
    own = reachable.own
    if to in reachable.leaves:
        return
    plain = ".".join(part.removeprefix("xdm:") for part in to.split(".")).replace("@id", "_id")
    if plain != to:
        findings.fault(path, f"{to} is written with the prefixes of the XDM standard", f"write {plain}")
        return
    if leaves := reachable.objects.get(to):
        some = ", ".join(leaves[:4]) + (", ..." if len(leaves) > 4 else "")
        findings.fault(path, f"{to} is an object; a column goes into one field of it", f"for example {some}")
        return
    top, _, rest = to.partition(".")
    if top.startswith("_") and rest in own:
        what = f"an own field is written without the tenant prefix {top}"
        findings.fault(path, what, f"write {rest}: the prefix is added")
        return
    inside = next((above for above in _above(to) if above in reachable.leaves), None)
    if inside is not None:
        findings.fault(path, f"{inside} is a single value and has no fields", f"write {inside}")
        return
    if reachable.foreign:
        return  # only the platform knows: flowledger.steps.xdm_paths.undecided_paths
    near = nearest(to, tuple(reachable.leaves), cutoff=0.75)
    if near:
        right = f"did you mean {near}? a new field of your own goes under target.fields"
    elif top.startswith("_"):
        right = f"if {top} is the tenant prefix: add {rest or to} under target.fields and write it without the prefix"
    else:
        right = f"add it as an own field, `{to}: string` under target.fields, or add the field group that has it"
    findings.fault(path, f"{to} is no field of the class, of the field groups or of the own fields", right)


def _check_schedule(spec: Spec, findings: Findings, now: float | None) -> None:
    """The rules of platform-api.md §11 and §4.3."""
    path: KeyPath = ("schedule",)
    if not findings.sound(path):
        return
    schedule = spec.schedule

    def at(key: str) -> KeyPath:
        return ("schedule", key)

    if findings.sound(at("frequency")):
        if schedule.frequency == "once":
            for key, given in (("interval", schedule.interval), ("backfill", schedule.backfill)):
                if given is not None and findings.sound(at(key)):
                    findings.fault(at(key), "does not go with `frequency: once`", "leave it out")
            if spec.source.delta is not None and findings.sound(("source", "delta")):
                right = "leave it out: everything is taken"
                findings.fault(("source", "delta"), "does not go with `frequency: once`", right)
        else:
            _check_interval(spec, findings, at("interval"))
            if spec.source.delta is None and findings.sound(("source", "delta")):
                right = "name the column that tells new rows from old ones, like `delta: {column: Create_Time}`"
                findings.fault(("source", "delta"), f"missing, and `frequency: {schedule.frequency}` needs it", right)
    if findings.sound(at("start")):
        check_start(schedule.start, at("start"), findings, now)


def _check_interval(spec: Spec, findings: Findings, path: KeyPath) -> None:
    frequency, interval = spec.schedule.frequency, spec.schedule.interval
    if not findings.sound(path):
        return
    least = SHORTEST_MINUTES if frequency == "minute" else 1
    if interval is None:
        findings.fault(path, f"missing, and `frequency: {frequency}` needs it", "for example `interval: 30`")
    elif interval < least:
        findings.fault(path, f"{interval} is too short for `frequency: {frequency}`", f"write {least} or more")
    elif interval > 2**31 - 1:
        findings.fault(path, f"{interval} is too long", "write a number below 2147483648")


def check_start(start: str | int, path: KeyPath, findings: Findings, now: float | None) -> None:
    """Judge a schedule's start; `now` (seconds since the epoch) makes an absolute one that has passed a fault."""
    if isinstance(start, str):
        found = re.fullmatch(r"\+([0-9]+)([smhd])", start)
        if found is None:
            findings.fault(path, f"{echo(start)} is not a start", "write +10m, or seconds since 1970")
            return
        seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
        if seconds == 0:
            findings.fault(path, "the start would have passed when the platform reads it", "write +10m, say")
        elif seconds < 60:
            findings.warn(path, f"{start} is soon: the platform refuses a start that has passed", "write +1m or more")
    elif start >= LAST_SECOND:
        findings.fault(
            path, f"{start} is not in seconds", f"in seconds it is {start // 1000}, if these are milliseconds"
        )
    elif start < 0 or (now is not None and start <= now):
        right = "write a time to come, or a relative one like +10m"
        findings.fault(path, f"{start} has passed, and the platform refuses a start in the past", right)


def _check_patience(spec: Spec, findings: Findings, base_url: str) -> None:
    """Retry and settle policy: bounds that keep the protocol's promises (protocol rules 2 and 4)."""
    retry, settle = spec.retry, spec.settle
    bounds: tuple[tuple[KeyPath, float, float, float], ...] = (
        (("retry", "attempts"), retry.attempts, 1, 100),
        (("retry", "deadline"), retry.deadline, 1, 7 * 86400),
        (("retry", "first_wait"), retry.first_wait, 0.001, 3600),
        (("retry", "longest_wait"), retry.longest_wait, 0.001, 3600),
        (("retry", "timeout"), retry.timeout, 0.1, 3600),
        (("settle", "window"), settle.window, 0.001, 86400),
        (("settle", "send_within"), settle.send_within, 0.05, 300),
    )
    if spec.verify_rows is not None:
        bounds += (
            (("verify_rows", "wait"), spec.verify_rows.wait, 1, 7 * 86400),
            (("verify_rows", "least"), spec.verify_rows.least, 0, 10**12),
            (("verify_rows", "rejected"), spec.verify_rows.rejected, 0, 10**12),
        )
    for path, value, least, most in bounds:
        if findings.sound(path) and not least <= value <= most:
            unit = "" if path[-1] in ("attempts", "least", "rejected") else " seconds"
            findings.fault(path, f"{value:g}{unit} is out of bounds", f"write {least:g} to {most:g}{unit}")
    waits = (("retry", "first_wait"), ("retry", "longest_wait"))
    if findings.sound(*waits) and retry.first_wait > retry.longest_wait:
        right = f"raise longest_wait, or write {retry.longest_wait:g} s or less"
        findings.fault(waits[0], f"{retry.first_wait:g} s is longer than longest_wait, {retry.longest_wait:g} s", right)
    if is_adobe(base_url) and findings.sound(("source", "kind")):
        _warn_of_ends(spec, findings)
    window: KeyPath = ("settle", "window")
    if is_adobe(base_url) and findings.sound(window) and settle.window < SHORTEST_ADOBE_WINDOW:
        findings.warn(
            window,
            f"{settle.window:g} s is shorter than a call may take to show at Adobe, so an object could be made twice",
            "leave `settle` out (90 s)",
        )
    elif is_adobe(base_url) and findings.sound(window, ("retry", "timeout")):
        why = _unbounded(base_url)
        needed = retry.timeout + SHORTEST_ADOBE_WINDOW - UNACKNOWLEDGED
        if why and settle.window < needed:
            findings.warn(
                window,
                f"{settle.window:g} s is shorter than a call may take to show at Adobe {why}: an object could be made "
                "twice after an answer is lost",
                f"write `settle: {math.ceil(needed)}s`",
            )
    if is_adobe(base_url) and findings.sound(("retry", "timeout")) and retry.timeout < 60:
        findings.warn(
            ("retry", "timeout"),
            f"{retry.timeout:g} s is shorter than Adobe's gateway waits, so answers will be missed",
            "write 70s",
        )


def _warn_of_ends(spec: Spec, findings: Findings) -> None:
    """A source that Adobe has announced to end still works on the emulator; at Adobe it may be gone."""
    try:
        kind = source_kind(spec.source)
    except KeyError:
        return  # a fault of its own
    for sentence in kind.announced_ends(spec.source.connection.auth):
        findings.warn(("source", "kind"), sentence, "ask Adobe whether your organisation still has it")


def _unbounded(base_url: str) -> str:
    """Why sent bytes may wait for longer than U, as the end of a clause; "" where our kernel bounds that (rule 4)."""
    try:
        proxied = Host.PLATFORM in proxies_from(os.environ, Places(platform=base_url))
    except NotPermitted:  # an odd HTTPS_PROXY: refused where the platform is made
        proxied = False
    if proxied:
        return "behind a proxy (HTTPS_PROXY), which may keep it until we give up"
    return "" if give_up_option() is not None else "from this system, which may keep it until we give up"


def is_adobe(base_url: str) -> bool:
    """Whether a base URL is Adobe's own platform, not an emulator's or a proxy's."""
    host = host_of(base_url)
    return host == "adobe.io" or host.endswith(".adobe.io")
