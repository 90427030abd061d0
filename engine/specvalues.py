"""Single values of a spec, judged: text, choices, numbers, durations, and the keys of a mapping.

Each method returns the value in the model's type. For a faulty value it notes one fault and returns a stand-in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowledger.engine.specfault import Findings, KeyPath, did_you_mean, echo, nearest, one_of

# Words of the tutorial and of the platform's bodies, and the key that says it here.
RENAMED: Final[Mapping[str, str]] = {
    "scheduleParams": "schedule", "startTime": "start", "deltaColumn": "delta", "dateFormat": "date_format",
    "destinationXdmPath": "to", "destination": "to", "sourceAttribute": "source", "tableName": "table",
    "path": "table", "filters": "filter", "baseConnection": "connection", "specName": "auth",
    "fieldGroups": "field_groups", "mixins": "field_groups", "meta:class": "class", "mapping": "mappings",
}  # fmt: skip
# Words of theirs that have no key of the same meaning, and what to do instead.
ELSEWHERE: Final[Mapping[str, str]] = {
    "baseConnectionId": "write `connection: {id: ...}`",
    "allOf": "write `class` and `field_groups`",
    "endTime": "schedules have no end time any more: leave it out, and disable the dataflow instead",
    "connectionSpec": "it follows from `kind`: leave it out",
    "flowSpec": "it is looked up on the platform: leave it out",
    "xdmSchema": "flowledger makes the target schema: leave it out",
    "xdmVersion": "flowledger makes the target schema: leave it out",
    "mappingVersion": "it is what the platform answered: leave it out",
    "sandbox": "the sandbox is a matter of the environment: set FLOWLEDGER_SANDBOX",
}

_MISSING: Final[Mapping[KeyPath, str]] = {
    ("name",): "name the run, like `name: paypal-products`",
    ("source",): "say where rows come from: `source:` with `kind`, `connection` and `table`",
    ("target",): "say where rows go: `target:` with `field_groups`, `fields` and `dataset`",
    ("mappings",): "map columns to fields, like `- {source: Product_Id, to: _id}`",
    ("schedule",): "say when the dataflow runs, like `schedule: {frequency: minute, interval: 30}`",
    ("source", "kind"): "say which kind of source, like `kind: paypal`; `flowledger init --list` shows all",
    ("source", "connection"): "give `params` to create a base connection, or the `id` of one that exists",
    ("source", "table"): "name the table, like `table: PayPal.Catalog_Products`",
    ("source", "delta", "column"): "name the column that tells new rows from old ones, like `column: Create_Time`",
}
DURATION: Final = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d)?\s*")
_UNITS: Final[Mapping[str | None, float]] = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DIGITS: Final = re.compile(r"[-+]?[0-9]{1,18}")
ABSENT: Final = object()
LARGEST: Final = 10**18


class Values:
    """Judges values and notes what is wrong with them in `findings`."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.written = findings.written

    def mapping(
        self, value: Any, path: KeyPath, allowed: tuple[str, ...] | None, required: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """The known keys of a mapping; unknown and missing ones are faults. `allowed` None: any key."""
        if value is ABSENT:
            self.findings.bad.add(path)
            return {}
        if not isinstance(value, Mapping):
            what = "is empty" if value is None else f"must be a mapping (lines of `key: value`), not {_kind(value)}"
            self.findings.fault(path, what, f"its keys are {one_of(allowed)}" if allowed else "")
            return {}
        names = {key: key if isinstance(key, str) else str(key) for key in value}
        known = {names[key]: inner for key, inner in value.items() if allowed is None or names[key] in allowed}
        for key, inner in value.items():
            name = names[key]
            if allowed is None or name in allowed:
                continue
            meant = self.unknown_key(name, path, allowed)
            if meant is not None and meant not in known:
                known[meant] = inner  # so that its value is judged too
                self.written[(*path, meant)] = (*path, name)
        for key in required:
            if key not in known:
                self.missing((*path, key))
        return known

    def unknown_key(self, name: str, path: KeyPath, allowed: tuple[str, ...]) -> str | None:
        """Note the fault; returns the allowed key that was meant, if that is clear."""
        meant = RENAMED.get(name)
        if name in ELSEWHERE:
            meant, right = None, ELSEWHERE[name]
        elif meant in allowed:
            right = f"here it is called `{meant}`"
        else:
            meant, right = nearest(name, allowed), did_you_mean(name, allowed)
        self.findings.fault((*path, name), "unknown key", right, at_key=True)
        return meant

    def missing(self, path: KeyPath) -> None:
        self.findings.fault(path, "missing", _MISSING[path])

    def items(self, value: Any, path: KeyPath) -> Sequence[Any]:
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            return value
        self.findings.fault(
            path, "is empty" if value is None else f"must be a list (lines of `- ...`), not {_kind(value)}"
        )
        return ()

    def text(self, value: Any, path: KeyPath, stand_in: str) -> str:
        if isinstance(value, str):
            return value
        if value is ABSENT:
            self.findings.bad.add(path)
        elif value is None:
            self.findings.fault(path, "is empty", "write text")
        elif isinstance(value, bool | int | float):
            shown = echo(value).lower()
            self.findings.fault(path, f"must be text, not {_kind(value)}", f'put it in quotes: "{shown}"')
        else:
            self.findings.fault(path, f"must be text, not {_kind(value)}")
        return stand_in

    def choice(self, value: Any, path: KeyPath, options: tuple[str, ...]) -> str:
        if value is ABSENT:
            self.findings.bad.add(path)
        elif not isinstance(value, str):
            self.findings.fault(
                path, "is empty" if value is None else f"is {_kind(value)}", f"it is one of {one_of(options)}"
            )
        elif value not in options:
            self.findings.fault(path, f"{echo(value)} is not known", did_you_mean(value, options))
        else:
            return value
        return options[0]

    def whole(self, value: Any, path: KeyPath, stand_in: int) -> int:
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and abs(value) <= LARGEST
            and value == value // 1
        ):
            return int(value)
        if isinstance(value, str) and DIGITS.fullmatch(value.strip()):
            return int(value)  # the tutorial writes "30" (platform-api.md §12, T2)
        self.findings.fault(path, f"{echo(value)} is not a whole number", f"for example {stand_in}")
        return stand_in

    def truth(self, value: Any, path: KeyPath) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        self.findings.fault(path, f"{echo(value)} is neither true nor false", "write true or false")
        return True

    def duration(self, value: Any, path: KeyPath) -> float | None:
        """Seconds, from a number or from text like `90s`, `15m` or `1.5h`."""
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
            return float(value)
        if isinstance(value, str) and (found := DURATION.fullmatch(value)):
            return float(found[1]) * _UNITS[found[2]]
        self.findings.fault(path, f"{echo(value)} is not a duration", "write 90s, 15m, 1h, or a number of seconds")
        return None


def _kind(value: Any) -> str:
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "text"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), type(value).__name__)
