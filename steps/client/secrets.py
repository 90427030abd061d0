"""Resolve a reference to a secret: an environment variable, a file, or a program. Errors never show the value."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from flowledger.errors import NotPermitted
from flowledger.steps.spec import SecretRef

COMMAND_TIMEOUT: Final = 30.0  # seconds; a vault that asks a person has to be unlocked before
LARGEST: Final = 64 * 1024  # bytes
WITHHELD: Final = frozenset({"FLOWLEDGER_CLIENT_SECRET"})


def resolve(
    ref: SecretRef,
    environ: Mapping[str, str] | None = None,
    *,
    timeout: float = COMMAND_TIMEOUT,
    withhold: Collection[str] = (),
) -> str:
    """The secret that `ref` points to, without the newline at its end.

    `environ` defaults to the process's; a command gets it too, but for the variables named in `withhold`, which hold
    other secrets, and for the client secret. It runs without a shell, and has `timeout` seconds. Raises NotPermitted,
    naming the reference, if there is nothing usable.
    """
    environ = os.environ if environ is None else environ
    if ref.env is not None:
        return from_environment(ref.env, environ)
    if ref.file is not None:
        return from_file(ref.file)
    return from_command(ref.command or (), environ, timeout=timeout, withhold=withhold)


def from_environment(name: str, environ: Mapping[str, str]) -> str:
    """The value of an environment variable. Raises NotPermitted."""
    value = environ.get(name)
    if not value:
        raise NotPermitted(f"the environment variable {name} is not set, or empty", hint=f"export {name}, then resume")
    return value


def from_file(name: str) -> str:
    """The contents of a file without the last newline. Raises NotPermitted."""
    try:
        with Path(name).expanduser().open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, RuntimeError, ValueError) as error:  # no home for "~"; a NUL in the name
        why = getattr(error, "strerror", None) or "not readable"
        raise NotPermitted(f"the secret file {name} cannot be read: {why}", hint="check its path and mode") from None
    return _usable(raw, f"the secret file {name}")


def from_command(
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
    """
    if not command:
        raise NotPermitted("a secret command is empty", hint='give it as a list, like ["pass", "show", "adobe"]')
    which = f"the secret command {command[0]!r}"
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program, from the spec or the environment, without a shell
            list(command),
            env={name: value for name, value in environ.items() if name not in WITHHELD and name not in withhold},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotPermitted(f"{which} did not end within {timeout:g} s", hint="unlock the vault, then resume") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it cannot be run"
        raise NotPermitted(f"{which} did not start: {why}", hint="check its path") from None
    if done.returncode != 0:
        raise NotPermitted(f"{which} ended with exit code {done.returncode}", hint="run it by hand to see why")
    return _usable(done.stdout, which)


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
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NotPermitted(f"{which} gave bytes that are not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise NotPermitted(f"{which} gave nothing", hint="it should give the secret and nothing else")
    return text
