"""Provision an Adobe Experience Platform dataflow from one spec file: journaled, resumable, exactly one of everything.

Everything a program needs is a name of this module; each is loaded when it is first asked for, so that
`import flowledger` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from flowledger.version import VERSION

if TYPE_CHECKING:
    from flowledger.engine.api import (
        apply,
        apply_sync,
        dataset,
        destroy,
        destroy_sync,
        drift,
        drift_sync,
        resume,
        resume_sync,
        status,
        status_sync,
        watch,
        watch_sync,
    )
    from flowledger.engine.dataset import Dataset
    from flowledger.engine.driftcheck import Drift, DriftReport, Twin
    from flowledger.engine.fleet import (
        FleetReport,
        RunOutcome,
        apply_many,
        apply_many_sync,
        resume_many,
        resume_many_sync,
    )
    from flowledger.engine.halt import Halt
    from flowledger.engine.ledger import RunState
    from flowledger.engine.report import Left, Report, Resource, Stop
    from flowledger.engine.specfile import load_spec
    from flowledger.engine.watch import Until, WatchReport
    from flowledger.errors import (
        AppendOnlyError,
        Conflict,
        DiskFull,
        Drifted,
        FlowledgerError,
        InDoubt,
        InternalError,
        Interrupted,
        JournalCorrupt,
        JournalDenied,
        JournalError,
        JournalHeld,
        JournalPoisoned,
        JournalUnavailable,
        NotPermitted,
        NotServed,
        NotThere,
        Rejected,
        RowsMissing,
        SpecError,
        StepError,
        TryLater,
        Unreachable,
        UsageError,
    )
    from flowledger.journal import Journal, JournalReader
    from flowledger.steps.client.config import platform_from_env
    from flowledger.steps.client.platform import Platform
    from flowledger.steps.spec import Spec

__all__ = [
    "AppendOnlyError",
    "Conflict",
    "Dataset",
    "DiskFull",
    "Drift",
    "DriftReport",
    "Drifted",
    "FleetReport",
    "FlowledgerError",
    "Halt",
    "InDoubt",
    "InternalError",
    "Interrupted",
    "Journal",
    "JournalCorrupt",
    "JournalDenied",
    "JournalError",
    "JournalHeld",
    "JournalPoisoned",
    "JournalReader",
    "JournalUnavailable",
    "Left",
    "NotPermitted",
    "NotServed",
    "NotThere",
    "Platform",
    "Rejected",
    "Report",
    "Resource",
    "RowsMissing",
    "RunOutcome",
    "RunState",
    "Spec",
    "SpecError",
    "StepError",
    "Stop",
    "TryLater",
    "Twin",
    "Unreachable",
    "Until",
    "UsageError",
    "WatchReport",
    "__version__",
    "apply",
    "apply_many",
    "apply_many_sync",
    "apply_sync",
    "dataset",
    "destroy",
    "destroy_sync",
    "drift",
    "drift_sync",
    "load_spec",
    "platform_from_env",
    "resume",
    "resume_many",
    "resume_many_sync",
    "resume_sync",
    "status",
    "status_sync",
    "watch",
    "watch_sync",
]

_HOMES: Final = {
    "flowledger.engine.api": (
        "apply",
        "apply_sync",
        "dataset",
        "destroy",
        "destroy_sync",
        "drift",
        "drift_sync",
        "resume",
        "resume_sync",
        "status",
        "status_sync",
        "watch",
        "watch_sync",
    ),
    "flowledger.engine.fleet": (
        "FleetReport",
        "RunOutcome",
        "apply_many",
        "apply_many_sync",
        "resume_many",
        "resume_many_sync",
    ),
    "flowledger.engine.dataset": ("Dataset",),
    "flowledger.engine.driftcheck": ("Drift", "DriftReport", "Twin"),
    "flowledger.engine.halt": ("Halt",),
    "flowledger.engine.ledger": ("RunState",),
    "flowledger.engine.report": ("Left", "Report", "Resource", "Stop"),
    "flowledger.engine.specfile": ("load_spec",),
    "flowledger.engine.watch": ("Until", "WatchReport"),
    "flowledger.errors": (
        "AppendOnlyError",
        "Conflict",
        "DiskFull",
        "Drifted",
        "FlowledgerError",
        "InDoubt",
        "InternalError",
        "Interrupted",
        "JournalCorrupt",
        "JournalDenied",
        "JournalError",
        "JournalHeld",
        "JournalPoisoned",
        "JournalUnavailable",
        "NotPermitted",
        "NotServed",
        "NotThere",
        "Rejected",
        "RowsMissing",
        "SpecError",
        "StepError",
        "TryLater",
        "Unreachable",
        "UsageError",
    ),
    "flowledger.journal": ("Journal", "JournalReader"),
    "flowledger.steps.client.config": ("platform_from_env",),
    "flowledger.steps.client.platform": ("Platform",),
    "flowledger.steps.spec": ("Spec",),
}
_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names}

__version__ = VERSION


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value  # the next look is a plain one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
