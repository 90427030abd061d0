"""The verb that looks at everything a run needs: doctor."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from flowledger.cli.command import DEFAULT_JOURNAL, JournalOption, JsonOption, Voice, command, run_async

if TYPE_CHECKING:
    from flowledger.engine.doctor import Check


def doctor(
    journal: JournalOption = DEFAULT_JOURNAL,
    offline: Annotated[bool, typer.Option("--offline", help="Look at this machine only; ask nobody.")] = False,
    as_json: JsonOption = False,
    voice: Voice = Voice(),
) -> int:
    """Look at journal, credentials, reachability, clock, sandbox and permissions, and say what to do.

    Makes one harmless read of each API that a run calls. Changes nothing, here or there.
    """
    from flowledger.cli.printable import printable
    from flowledger.cli.show import print_json
    from flowledger.engine.doctor import Health, look_at_journal

    told: list[Check] = []

    def tell(check: Check) -> None:
        told.append(check)
        if as_json or (voice.quiet and check.health is Health.OK):
            return
        print(printable(f"{MARKS[str(check.health)]:7}  {check.name}: {check.found}"), flush=True)
        if check.next:
            print(printable(f"         next: {check.next}"), flush=True)

    for check in look_at_journal(journal):
        tell(check)
    if not offline:
        run_async(_ask(tell))
    failed = [check for check in told if check.health is Health.FAILED]
    code = failed[0].exit_code if failed else 0
    if as_json:
        print_json({"schema_version": 1, "healthy": not failed, "checks": [check.to_json() for check in told]})
    return code


MARKS = {"ok": "ok", "warning": "warning", "failed": "FAILED", "skipped": "-"}


async def _ask(tell: Callable[[Check], None]) -> None:
    from flowledger.engine.doctor import look_at_platform
    from flowledger.steps.client.config import platform_from_env

    async for check in look_at_platform(lambda: platform_from_env(os.environ)):
        tell(check)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(
        app,
        "doctor",
        summary="Look at everything a run needs, and say what to do.",
        example="flowledger doctor\nflowledger doctor --json | jq '.checks[] | select(.health != \"ok\")'",
        exit_codes="0 healthy (warnings too), else that of the first check that failed: 2 a journal that cannot be, "
        "4 credentials or permission, 5 no such sandbox, 9 journal damaged, 75 unreachable.",
    )(doctor)
