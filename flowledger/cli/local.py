"""An emulator of one's own: over a real loopback socket in this process, with its state beside the journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowledger.emulator.core import Emulator
    from flowledger.errors import FlowledgerError
    from flowledger.steps.client.platform import Platform

CREDENTIALS = {
    "FLOWLEDGER_CLIENT_ID": "local-client",
    "FLOWLEDGER_CLIENT_SECRET": "local-secret",
    "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg",
}
NOWHERE = "http://127.0.0.1"  # loopback, as every emulator of `--local`, without one's port


def local_environment(url: str, *, sandbox: str = "prod") -> dict[str, str]:
    """The FLOWLEDGER_* variables that point at an emulator with its default credentials."""
    return {
        **CREDENTIALS,
        "FLOWLEDGER_BASE_URL": url,
        "FLOWLEDGER_IMS_URL": url,
        "FLOWLEDGER_SANDBOX": sandbox,
    }


def state_beside(journal: Path) -> Path:
    """Where `--local` keeps the emulator of a journal."""
    return journal.absolute().parent / "emulator"


def open_emulator(state: Path | None, **choices: Any) -> Emulator:
    """An emulator with these choices (`options`, `seed`, `sources`), its state kept in `state`.

    Raises JournalHeld when another emulator has that state, UsageError when it cannot be kept there, when there is no
    folder of sources or when what they need is not installed.
    """
    import sqlite3

    from flowledger.emulator.core import Emulator
    from flowledger.emulator.plane import DataPlaneMissing
    from flowledger.emulator.store import StateInUse, StateNewer
    from flowledger.errors import JournalHeld, UsageError

    try:
        if state is not None:
            state.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds what base connections are given
        return Emulator(state=state, **choices)
    except StateInUse as error:
        raise JournalHeld(
            f"another process runs an emulator on {state}: {error}",
            hint="stop it; or point FLOWLEDGER_BASE_URL at it, and leave --local out",
        ) from error
    except DataPlaneMissing as error:
        raise UsageError(str(error), hint="pip install 'pyarrow>=18', or leave --sources out") from error
    except NotADirectoryError as error:
        if error.errno is not None:  # the operating system's, about the state
            raise _no_state(error, state) from error
        raise UsageError(str(error), hint="--sources names a folder of CSV, JSON Lines or Parquet files") from error
    except ValueError as error:
        raise UsageError(str(error), hint="flowledger emulator start --help") from error
    except StateNewer as error:
        raise UsageError(str(error), hint="use that version of flowledger, or another folder") from error
    except (OSError, sqlite3.Error) as error:
        raise _no_state(error, state) from error


def _no_state(error: Exception, state: Path | None) -> FlowledgerError:
    """The error for a folder in which an emulator cannot keep its state; `state`: None for a temporary one."""
    from flowledger.cli.failure import refusal_of
    from flowledger.errors import UsageError
    from flowledger.journal.refusal import NO_ROOM, PASSING, without_working_folder

    if isinstance(error, OSError) and error.errno in NO_ROOM | PASSING:
        return refusal_of(error)
    if state is None:
        return UsageError(
            f"an emulator has no temporary folder for the rows that its dataflows collect: {error}",
            hint="set TMPDIR to a folder that this user may write into, or give --state DIR",
        )
    return without_working_folder(state) or UsageError(
        f"an emulator cannot keep its state in {state}: {error}",
        hint=f"give this user the right to write in {state}, then the same again",
    )


def unasked_platform(environ: Mapping[str, str]) -> Platform:
    """A platform that says where `--local` points, of an emulator that is not started: no call can be sent to it."""
    from flowledger.steps.client.config import platform_from_env, sandbox_from

    return platform_from_env(local_environment(NOWHERE, sandbox=sandbox_from(environ)))


@asynccontextmanager
async def local_platform(
    state: Path, environ: Mapping[str, str], *, sources: Path | None = None
) -> AsyncIterator[Platform]:
    """A platform whose emulator lives as long as the block. Only FLOWLEDGER_SANDBOX is taken from `environ`.

    `sources`: a folder of tables whose rows its dataflows collect (needs the extra `data`).
    The emulator serves the source kinds of its own users that `flowledger.cli.kinds.remember` has kept in `state`.
    Raises JournalHeld when another process has an emulator on this state.
    """
    from flowledger.cli.kinds import remembered
    from flowledger.emulator.options import Options
    from flowledger.emulator.server import serve
    from flowledger.steps.client.config import platform_from_env

    emulator = open_emulator(state, options=Options(extra_sources=remembered(state)), sources=sources)
    try:
        server = await serve(emulator)
        try:
            sandbox = environ.get("FLOWLEDGER_SANDBOX", "").strip() or "prod"
            platform = platform_from_env(local_environment(server.url, sandbox=sandbox))
            try:
                yield platform
            finally:
                await platform.close()
        finally:
            await server.close()
    finally:
        emulator.close()
