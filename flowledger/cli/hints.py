"""What to type next, as this call has to be followed up: its run, its profile, its journal, its emulator."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

_RUN_VERBS = "resume|status|history|explain|watch|read|drift|destroy"
_ON_A_PLATFORM = ("resume", "watch", "read", "drift", "destroy")

_run = ""  # of this process, as its verb was called
_profile = ""
_journal = ""
_local = ""


def with_profile(name: str | None) -> None:
    """Remember the profile that the call names; one that the environment names holds for the next command anyway."""
    global _profile
    _profile = f" --profile {shlex.quote(name)}" if name else ""


def called_with(*, run: str | None = None, journal: Path | None = None, local: bool = False) -> None:
    """Remember what the next command needs as well: `journal`, if it is not the one that is looked into anyway."""
    global _run, _journal, _local
    from flowledger.cli.command import DEFAULT_JOURNAL

    usual = os.environ.get("FLOWLEDGER_JOURNAL", str(DEFAULT_JOURNAL))
    _run = run or ""
    _journal = f" --journal {shlex.quote(str(journal))}" if journal is not None and str(journal) != usual else ""
    _local = " --local" if local else ""


def named(hint: str, run: str) -> str:
    """A hint with the run's name in it, where whoever gave it could not know the name."""
    hint = hint.replace("`flowledger resume`", f"flowledger resume {run}").replace("resume RUN", f"resume {run}")
    return re.sub(r"\bthen resume$", f"then flowledger resume {run}", hint)


def as_typed(text: str, run: str = "") -> str:
    """A text for a person whose commands about the run can be pasted: profile, journal and emulator are named too."""
    name = run or _run
    whose = rf"(?:{re.escape(name)}|--all)" if name else "--all"
    return re.sub(
        rf"\bflowledger ((?:({_RUN_VERBS}) {whose}|runs)(?![\w-])(?! --(?:journal|local)))",
        lambda found: f"flowledger{_profile} {found[1]}{_local if found[2] in _ON_A_PLATFORM else ''}{_journal}",
        text,
    )
