"""What to type next, as this call has to be followed up: its run, its profile, its journal, its emulator."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

_RUN = r"(?:--all|RUN|[a-z0-9][a-z0-9-]*)"
_COMMANDS = re.compile(
    rf"\bflowledger ((?:(resume|status|history|explain|watch|read|drift|destroy) {_RUN}|(apply|plan) [^\s`-][^\s`,;)]*+"
    r"|journal (?:export|prune|query|repair|stats|verify)|runs)(?![\w-])(?! --(?:journal|local)))"
)
_ON_A_PLATFORM = ("resume", "watch", "read", "drift", "destroy", "apply", "plan")

_profile = ""  # of this process, as its verb was called
_journal = ""
_local = ""


def with_profile(name: str | None) -> None:
    """Remember the profile that the call names; one that the environment names holds for the next command anyway."""
    global _profile
    _profile = f" --profile {shlex.quote(name)}" if name else ""


def called_with(*, journal: Path | None = None, local: bool = False) -> None:
    """Remember what the next command needs as well: `journal`, if it is not the one that is looked into anyway."""
    global _journal, _local
    from flowledger.cli.command import DEFAULT_JOURNAL

    usual = os.environ.get("FLOWLEDGER_JOURNAL", str(DEFAULT_JOURNAL))
    _journal = f" --journal {shlex.quote(str(journal))}" if journal is not None and str(journal) != usual else ""
    _local = " --local" if local else ""


def named(hint: str, run: str) -> str:
    """A hint with the run's name in it, where whoever gave it could not know the name."""
    hint = hint.replace("`flowledger resume`", f"flowledger resume {run}").replace("resume RUN", f"resume {run}")
    return re.sub(r"\bthen resume$", f"then flowledger resume {run}", hint)


def as_typed(text: str) -> str:
    """A text for a person whose commands can be pasted: profile, journal and emulator of this call are named too."""
    return _COMMANDS.sub(
        lambda found: (
            f"flowledger{_profile} {found[1]}{_local if (found[2] or found[3]) in _ON_A_PLATFORM else ''}{_journal}"
        ),
        text,
    )
