"""Resolve a reference to a secret: an environment variable, a file, or a program. Errors never show the value.

A program may take its time (a vault that asks a person), and so may a file on a mount that hangs: both are waited for
without holding up the event loop, which other runs, the journal's lock and signals live on.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import stat
import threading
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from flowledger.errors import NotPermitted
from flowledger.steps.spec import SecretRef

COMMAND_TIMEOUT: Final = 30.0  # seconds; a vault that asks a person has to be unlocked before
ENDED_WITHIN: Final = 2.0  # seconds that the end of a killed program is waited for
LARGEST: Final = 64 * 1024  # bytes
AT_ONCE: Final = 1.0  # seconds that the loop may wait for a file: a disk that answers takes a few milliseconds
WITHHELD: Final = frozenset({"FLOWLEDGER_CLIENT_SECRET"})

_UNSEEN: Final = ("Cc", "Cf", "Zl", "Zp")  # categories of Unicode
_NAMES: Final = {
    "\0": "a NUL", "\t": "a tab", "\n": "a line break", "\r": "a carriage return", "\x1a": "a Ctrl-Z",
    "\x1b": "an escape", "\x7f": "a delete", "\u00a0": "a no-break space", "\u200b": "a zero-width space",
    "\u2028": "a line separator", "\ufeff": "a byte order mark",
}  # fmt: skip


async def resolve(
    ref: SecretRef,
    environ: Mapping[str, str] | None = None,
    *,
    timeout: float = COMMAND_TIMEOUT,
    withhold: Collection[str] = (),
    folder: str = "",
) -> str:
    """The secret that `ref` points to, without the newline at its end.

    A relative file counts from `folder`. `environ` defaults to the process's; a command gets it too, but for the
    variables named in `withhold`, which hold other secrets, and for the client secret. It runs without a shell, and has
    `timeout` seconds. Raises NotPermitted, naming the reference, if there is nothing usable.
    """
    environ = os.environ if environ is None else environ
    if ref.env is not None:
        return from_environment(ref.env, environ)
    if ref.file is not None:
        return await FileRead(ref.file, folder).get(timeout)
    return await from_command(ref.command or (), environ, timeout=timeout, withhold=withhold)


def from_environment(name: str, environ: Mapping[str, str]) -> str:
    """The value of an environment variable. Raises NotPermitted."""
    value = environ.get(name)
    if not value:
        raise NotPermitted(f"the environment variable {name} is not set, or empty", hint=f"export {name}, then resume")
    return _clean(value, f"the environment variable {name}")


def placed(file: str, folder: str) -> str:
    """Where a file is, absolute; a relative path counts from `folder`. Raises RuntimeError for a home that is none."""
    return os.path.abspath(Path(folder) / Path(file).expanduser())  # noqa: PTH100 - resolve() follows links


def from_file(name: str, folder: str = "") -> str:
    """The contents of a file without the line break at its end; a relative path counts from `folder`.

    Waits for a mount that hangs as long as for a command. Raises NotPermitted.
    """
    reading = FileRead(name, folder)
    reading.wait(COMMAND_TIMEOUT)
    return reading.value()


class FileRead:
    """Reads a secret file in a thread: a mount that hangs holds up neither the event loop nor the process's end."""

    def __init__(self, name: str, folder: str = "") -> None:
        self._which = f"the secret file {name}"
        self._outcome: str | NotPermitted | None = None
        self._thread = threading.Thread(
            target=self._read, args=(name, folder), daemon=True, name="flowledger-secret-file"
        )
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait in this thread for at most so long; whether the file is read."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def value(self) -> str:
        """What was read. Raises NotPermitted, also when nothing was read in time."""
        if isinstance(self._outcome, str):
            return self._outcome
        if self._outcome is not None:
            raise self._outcome
        raise NotPermitted(f"{self._which} was not read in time", hint="is the disk that it lies on away?")

    async def get(self, timeout: float = COMMAND_TIMEOUT, *, withhold: Collection[str] = ()) -> str:
        """The secret, which has `timeout` seconds to be read, while the loop goes on. Raises NotPermitted."""
        if not self.wait(AT_ONCE):
            loop = asyncio.get_running_loop()
            over: asyncio.Future[None] = loop.create_future()

            def watch() -> None:
                self.wait(timeout)
                with suppress(RuntimeError):  # the loop is closed, and with it its waiters
                    loop.call_soon_threadsafe(_tell, over)

            threading.Thread(target=watch, daemon=True, name="flowledger-secret-file-wait").start()
            await over
        return self.value()

    def _read(self, name: str, folder: str) -> None:
        try:
            self._outcome = _of_file(name, folder)
        except NotPermitted as error:
            self._outcome = error


def _tell(over: asyncio.Future[None]) -> None:
    if not over.done():  # else the caller was cancelled
        over.set_result(None)


def _of_file(name: str, folder: str) -> str:
    try:
        name = placed(name, folder)
        # O_NONBLOCK: opening a pipe without a writer must not wait.
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise NotPermitted(
                    f"the secret file {name} is not a regular file",
                    hint="give a file; what a pipe or a device would give, a secret {command: [..]} can print",
                )
            with os.fdopen(handle, "rb", closefd=False) as file:
                raw = file.read(LARGEST + 1)
        finally:
            os.close(handle)
    except (OSError, RuntimeError, ValueError) as error:  # no home for "~"; a NUL in the name
        why = getattr(error, "strerror", None) or "not readable"
        raise NotPermitted(f"the secret file {name} cannot be read: {why}", hint="check its path and mode") from None
    return _usable(raw, f"the secret file {name}")


async def from_command(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    timeout: float = COMMAND_TIMEOUT,
    withhold: Collection[str] = (),
) -> str:
    """The standard output of a program without the last newline. Raises NotPermitted.

    What the program prints, on either stream, may be or hold the secret: no error shows it. Its arguments are shown
    up to the program's name. A program that fetches one secret has no business with the others: its environment is
    `environ` without the client secret and without the variables in `withhold`.

    It has a session of its own and no terminal. After `timeout` seconds, when it says too much, or when the caller is
    cancelled, it is killed together with whatever it has started.
    """
    if not command:
        raise NotPermitted("a secret command is empty", hint='give it as a list, like ["pass", "show", "adobe"]')
    which = f"the secret command {command[0]!r}"
    its_environment = {name: value for name, value in environ.items() if name not in WITHHELD and name not in withhold}
    try:
        transport, output = await _begin(command, its_environment)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it cannot be run"
        raise NotPermitted(f"{which} did not start: {why}", hint="check its path") from None
    try:
        async with asyncio.timeout(timeout):
            await output.over.wait()
    except TimeoutError:
        raise NotPermitted(f"{which} did not end within {timeout:g} s", hint="unlock the vault, then resume") from None
    finally:
        await _end(transport, output)
    code = transport.get_returncode()
    if code != 0 and len(output.bytes) <= LARGEST:  # what said too much was killed for that
        raise NotPermitted(f"{which} ended with exit code {code}", hint="run it by hand to see why")
    return _usable(bytes(output.bytes), which)


class _Output(asyncio.SubprocessProtocol):
    """What a program has said so far, up to a little more than a secret may be long."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.over = asyncio.Event()  # there is nothing more to wait for
        self.exited = asyncio.Event()
        self.closed = False  # the program and everything that could still write have ended

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.bytes += data
        if len(self.bytes) > LARGEST:
            self.over.set()

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.over.set()


async def _begin(command: Sequence[str], environ: Mapping[str, str]) -> tuple[asyncio.SubprocessTransport, _Output]:
    """Start a program. One that has begun to run when the caller is cancelled is ended. Raises OSError, ValueError."""
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            _Output,
            *command,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait({starting})
        if starting.exception() is None:
            await _end(*starting.result())
        raise


async def _end(transport: asyncio.SubprocessTransport, output: _Output) -> None:
    """Leave nothing of a program behind, nor of what it has started."""
    try:
        if not output.closed:
            with suppress(ProcessLookupError, PermissionError):  # all of the group has ended meanwhile
                os.killpg(transport.get_pid(), signal.SIGKILL)
        with suppress(TimeoutError):  # what a kill cannot end, a broken file system holds
            async with asyncio.timeout(ENDED_WITHIN):
                await output.exited.wait()
    finally:
        transport.close()


def split_command(text: str) -> tuple[str, ...]:
    """A command line as words, as a shell would split it, without a shell. Raises NotPermitted."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise NotPermitted(
            "a secret command has an open quote", hint="check FLOWLEDGER_CLIENT_SECRET_COMMAND"
        ) from None


def _usable(raw: bytes, which: str) -> str:
    if len(raw) > LARGEST:
        raise NotPermitted(f"{which} gave more than {LARGEST} bytes", hint="it should give the secret and nothing else")
    text = raw.decode("utf-8", "surrogateescape")  # the error of a strict look would hold the bytes
    if not text.isascii() and any("\udc80" <= char <= "\udcff" for char in text):
        raise NotPermitted(f"{which} gave bytes that are not UTF-8 text", hint="it should give the secret as text")
    return _clean(text, which)


def _clean(text: str, which: str) -> str:
    """A secret without a byte order mark and without the line break at its end, as editors of Windows leave them.

    Another character at an end that cannot be seen would be sent, and be refused as a wrong password. Raises
    NotPermitted, which says what it is and never shows the value.
    """
    text = text.removeprefix("\ufeff").rstrip("\r\n")
    if not text:
        raise NotPermitted(f"{which} gave nothing", hint="it should give the secret and nothing else")
    for where, char in (("begins", text[0]), ("ends", text[-1])):
        if unicodedata.category(char) in _UNSEEN or char == "\u00a0":
            what = _NAMES.get(char, f"the character U+{ord(char):04X}")
            raise NotPermitted(f"{which} {where} with {what}", hint="it should give the secret and nothing else")
    return text
