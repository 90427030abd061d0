"""Settings of a profile: what FLOWLEDGER_* variables say, kept in a TOML file, a profile for each place to work in."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from flowledger.errors import UsageError
from flowledger.steps.client.quoting import LEAVE_THEM_OUT, in_quotes

PROJECT_FILE: Final = "flowledger.toml"
LARGEST: Final = 256 * 1024  # bytes

# A profile's keys, the variables that outrank them, and what holds where neither says anything.
KEYS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "base_url": ("FLOWLEDGER_BASE_URL", "https://platform.adobe.io"),
        "ims_url": ("FLOWLEDGER_IMS_URL", ""),
        "client_id": ("FLOWLEDGER_CLIENT_ID", ""),
        "client_secret_file": ("FLOWLEDGER_CLIENT_SECRET_FILE", ""),
        "client_secret_command": ("FLOWLEDGER_CLIENT_SECRET_COMMAND", ""),
        "org_id": ("FLOWLEDGER_ORG_ID", ""),
        "sandbox": ("FLOWLEDGER_SANDBOX", "prod"),
        "journal": ("FLOWLEDGER_JOURNAL", ".flowledger/journal"),
        "ca_file": ("FLOWLEDGER_CA_FILE", ""),
        "log_format": ("FLOWLEDGER_LOG_FORMAT", "text"),
    }
)
PATHS: Final = frozenset({"client_secret_file", "journal", "ca_file"})  # relative to the file that holds them
SECRET: Final = "FLOWLEDGER_CLIENT_SECRET"  # noqa: S105 - a name
_OF_THE_SECRET: Final = frozenset({"client_secret_file", "client_secret_command"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as it holds, and where it comes from."""

    key: str
    variable: str
    value: str
    origin: str  # "environment", "profile dev (flowledger.toml)", "default", or "" where nothing says it


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One profile of a file. `values` by key, paths absolute."""

    name: str
    file: Path
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """What a person is told of where a value comes from."""
        return f"profile {self.name} ({self.file})"


def config_files(environ: Mapping[str, str], folder: Path | None) -> list[Path]:
    """Where profiles may be: what FLOWLEDGER_CONFIG names alone, else the user's file, then the folder's.

    A relative HOME or XDG_CONFIG_HOME names no folder of the user's: it is passed over, as the XDG specification wants.
    `folder`: None where the working folder was removed.
    """
    named = environ.get("FLOWLEDGER_CONFIG")
    if named:
        return [_expanded(named, "FLOWLEDGER_CONFIG")]
    home, configuration = environ.get("HOME", ""), environ.get("XDG_CONFIG_HOME", "")
    if not configuration.startswith(os.sep):
        configuration = f"{home}/.config" if home.startswith(os.sep) else ""
    users = [Path(configuration) / "flowledger" / "config.toml"] if configuration else []
    return [*users, *([folder / PROJECT_FILE] if folder else [])]


def profile_of(
    environ: Mapping[str, str],
    folder: Path | None,
    name: str | None = None,
    *,
    warn: Callable[[str], None] = lambda _: None,
) -> Profile | None:
    """The profile to work with; None if no file has one.

    `name`, else FLOWLEDGER_PROFILE, else the `default_profile` of the user's file (or of the one that FLOWLEDGER_CONFIG
    names), else its profile called "default". The folder's file is read only when a profile is named: a folder that
    came from somebody else must not, by itself, say where credentials are sent or what is run.
    A HOME that this user may not enter, that is gone or is no folder has no file: services often have such a one. A
    file that belongs to another user and may not be read is passed over, with a warning, unless a profile is named.
    Raises UsageError, with the place, for a file that cannot be used and for a profile that no file has.
    """
    for variable in ("FLOWLEDGER_CONFIG", "FLOWLEDGER_PROFILE"):
        if in_quotes(environ.get(variable, "")):
            raise UsageError(f"{variable} has quotes around its value", hint=LEAVE_THEM_OUT)
    wanted = name or environ.get("FLOWLEDGER_PROFILE") or ""
    named = bool(environ.get("FLOWLEDGER_CONFIG"))
    known: list[str] = []
    places: list[str] = []
    for file in config_files(environ, folder):
        if folder is not None and file == folder / PROJECT_FILE and not wanted and not named:
            continue
        missing = _why_missing(file)
        if missing and named:
            raise UsageError(f"{file}: {missing}", hint="FLOWLEDGER_CONFIG names a file of profiles")
        places.append(f"{file} ({missing})" if missing else str(file))
        if missing:
            continue
        if not wanted and not named and (owner := _closed_by(file)) is not None:
            warn(
                f"{file} belongs to user {owner}, and user {os.geteuid()} may not read it: no profile is taken from it"
            )
            continue
        default, profiles = read_profiles(file, may_be_pipe=named)
        known += [one for one in profiles if one not in known]
        chosen = wanted or default or "default"
        if chosen in profiles:
            return profiles[chosen]
        if not wanted and default:
            raise UsageError(f"{file}: default_profile: there is no profile {default!r}", hint=_known(known, default))
    if wanted:
        where = f" in {' and '.join(places)}" if places else ": there is neither a HOME nor a working folder"
        raise UsageError(f"there is no profile {wanted!r}{where}", hint=_known(known, wanted))
    return None


def _why_missing(file: Path) -> str:
    """Why there is no such file for this user; "" if there is one."""
    try:
        file.stat()
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _closed_by(file: Path) -> int | None:
    """The other user to whom a file belongs that this user may not read; None for any other file."""
    owner = file.stat().st_uid
    return None if owner == os.geteuid() or os.access(file, os.R_OK) else owner


def _expanded(path: str, where: str) -> Path:
    """The path with `~` replaced. Raises UsageError where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{where}: {path}: there is no such home folder", hint="write the whole path") from None


def read_profiles(file: Path, *, may_be_pipe: bool = False) -> tuple[str, dict[str, Profile]]:
    """The default profile's name ("" if none is named) and the profiles of a file. Raises UsageError with the place.

    `may_be_pipe`: wait for the writer of a pipe; else one is refused.
    """
    import tomllib

    try:
        # O_NONBLOCK: to open a pipe that has no writer would wait without end.
        with os.fdopen(os.open(file, os.O_RDONLY | (0 if may_be_pipe else os.O_NONBLOCK)), "rb") as handle:
            found = os.fstat(handle.fileno())
            if stat.S_ISFIFO(found.st_mode) and not may_be_pipe:
                raise UsageError(f"{file}: is a pipe", hint="put a file of profiles there, or nothing")
            raw = handle.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise UsageError(f"{file}: a file of profiles has at most {LARGEST // 1024} KiB", hint="name another file")
        document = tomllib.loads(raw.decode())
    except OSError as error:
        raise UsageError(
            f"{file}: cannot be read: {error.strerror}",
            hint="mend the file; or, to do without profiles, set FLOWLEDGER_CONFIG=/dev/null",
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: is not TOML: {error}", hint="docs/commands.md shows such a file") from None
    tables = document.pop("profiles", {})
    default = document.pop("default_profile", "")
    for stranger in document:
        raise _fault(file, stranger, "is not known", ["profiles", "default_profile"], stranger)
    if not isinstance(default, str):
        raise UsageError(f"{file}: default_profile: is a name in quotes", hint='like default_profile = "dev"')
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise UsageError(f"{file}: profiles: holds a table for each profile", hint="like [profiles.dev]")
    profiles = {name: _profile(file, name, table) for name, table in tables.items()}
    strange = found.st_uid not in (os.geteuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if strange and any("client_secret_command" in profile.values for profile in profiles.values()):
        # Else whoever may write into a folder could have a command run by whoever works in it.
        raise UsageError(
            f"{file}: names a command, and is not yours alone to write",
            hint=f"chmod go-w {file}, and own it; or use client_secret_file",
        )
    return default, profiles


def settings_of(environ: Mapping[str, str], profile: Profile | None) -> list[Setting]:
    """Every setting as it holds, with its origin. The client secret is said to be set, and never shown."""
    settings = []
    for key, (variable, default) in KEYS.items():
        value, origin = default, "default" if default else ""
        if environ.get(variable):
            value, origin = environ[variable], "environment"
        elif profile is not None and key in profile.values and not _outranked(key, environ):
            value, origin = profile.values[key], profile.origin
        if key == "client_secret_command":
            value = _without_arguments(value)
        settings.append(Setting(key=key, variable=variable, value=value, origin=origin))
        if key == "client_id":
            given = f"set, {len(environ[SECRET])} characters" if environ.get(SECRET) else ""
            settings.append(
                Setting(key="client_secret", variable=SECRET, value=given, origin="environment" if given else "")
            )
    return settings


def _without_arguments(command: str) -> str:
    """The program of a command line: its arguments may be what opens a vault."""
    program, *arguments = command.split(maxsplit=1) or [""]
    return f"{program} …" if arguments else program


def put_into(environ: MutableMapping[str, str], profile: Profile) -> None:
    """Set the variables that the profile has a value for and the environment has none."""
    for key, value in profile.values.items():
        variable = KEYS[key][0]
        if not environ.get(variable) and not _outranked(key, environ):
            environ[variable] = value


def _outranked(key: str, environ: Mapping[str, str]) -> bool:
    """The secret has one place: one that the environment names takes that of the profile out."""
    places = (SECRET, *(KEYS[one][0] for one in _OF_THE_SECRET))
    return key in _OF_THE_SECRET and any(environ.get(place) for place in places)


def _profile(file: Path, name: str, table: Mapping[str, Any]) -> Profile:
    values = {}
    for key, value in table.items():
        place = f"profiles.{name}.{key}"
        if key == "client_secret":
            raise UsageError(
                f"{file}: {place}: a secret does not belong into this file",
                hint="use client_secret_file or client_secret_command",
            )
        if key not in KEYS:
            raise _fault(file, place, "is not known", [*KEYS], key)
        if key == "client_secret_command" and isinstance(value, list) and all(isinstance(one, str) for one in value):
            import shlex

            value = shlex.join(value)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise UsageError(f"{file}: {place}: is a text in quotes", hint=f'like {key} = "…"')
        values[key] = str(_beside(file, value, place)) if key in PATHS else value
    if len(_OF_THE_SECRET & values.keys()) > 1:
        raise UsageError(
            f"{file}: profiles.{name}: the client secret is given twice",
            hint="keep one of client_secret_file and client_secret_command",
        )
    return Profile(name=name, file=file, values=values)


def _beside(file: Path, value: str, place: str) -> Path:
    """A path of a file of profiles, which counts from that file."""
    path = _expanded(value, f"{file}: {place}")
    if path.is_absolute() or file.is_absolute():
        return file.parent / path
    folder = current_folder()
    if folder is None:
        raise UsageError(f"{file}: {place}: counts from a working folder that was removed", hint="write the whole path")
    return folder / file.parent / path


def _fault(file: Path, place: str, what: str, right: list[str], key: str) -> UsageError:
    import difflib

    near = difflib.get_close_matches(key, right, n=1)
    return UsageError(
        f"{file}: {place}: {what}",
        hint=f"did you mean {near[0]}?" if near else f"known are {', '.join(right)}",
    )


def _known(names: list[str], word: str) -> str:
    from flowledger.engine.specfault import nearest

    near = nearest(word, names)
    meant = f"did you mean {near!r}? " if near else ""
    return f"{meant}there are: {', '.join(sorted(names))}" if names else "docs/commands.md shows a file of profiles"


def current_folder() -> Path | None:
    """The folder whose flowledger.toml counts; None if it was removed."""
    try:
        return Path.cwd()
    except OSError:
        return None
