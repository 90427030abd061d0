"""Settings of a profile: what FLOWLEDGER_* variables say, kept in a TOML file, a profile for each place to work in."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from flowledger.errors import UsageError

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


def config_files(environ: Mapping[str, str], folder: Path) -> list[Path]:
    """Where profiles may be: what FLOWLEDGER_CONFIG names alone, else the user's file, then the folder's."""
    named = environ.get("FLOWLEDGER_CONFIG")
    if named:
        return [Path(named).expanduser()]
    home = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else "")
    users = [Path(home) / "flowledger" / "config.toml"] if home else []
    return [*users, folder / PROJECT_FILE]


def profile_of(environ: Mapping[str, str], folder: Path, name: str | None = None) -> Profile | None:
    """The profile to work with; None if no file has one.

    `name`, else FLOWLEDGER_PROFILE, else the `default_profile` of the user's file (or of the one that FLOWLEDGER_CONFIG
    names), else its profile called "default". The folder's file is read only when a profile is named: a folder that
    came from somebody else must not, by itself, say where credentials are sent or what is run.
    Raises UsageError, with the place, for a file that cannot be used and for a profile that no file has.
    """
    wanted = name or environ.get("FLOWLEDGER_PROFILE") or ""
    known: list[str] = []
    files = config_files(environ, folder)
    for file in files:
        if not file.exists():
            if environ.get("FLOWLEDGER_CONFIG"):
                raise UsageError(f"{file}: there is no such file", hint="FLOWLEDGER_CONFIG names a file of profiles")
            continue
        if file == folder / PROJECT_FILE and not wanted and not environ.get("FLOWLEDGER_CONFIG"):
            continue
        default, profiles = read_profiles(file)
        known += [one for one in profiles if one not in known]
        chosen = wanted or default or "default"
        if chosen in profiles:
            return profiles[chosen]
        if not wanted and default:
            raise UsageError(f"{file}: default_profile: there is no profile {default!r}", hint=_known(known, default))
    if wanted:
        places = " and ".join(str(file) for file in files)
        raise UsageError(f"there is no profile {wanted!r} in {places}", hint=_known(known, wanted))
    return None


def read_profiles(file: Path) -> tuple[str, dict[str, Profile]]:
    """The default profile's name ("" if none is named) and the profiles of a file. Raises UsageError with the place."""
    import tomllib

    try:
        with file.open("rb") as handle:
            raw = handle.read(LARGEST + 1)
            found = os.fstat(handle.fileno())
        if len(raw) > LARGEST:
            raise UsageError(f"{file}: a file of profiles has at most {LARGEST // 1024} KiB", hint="name another file")
        document = tomllib.loads(raw.decode())
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}", hint="check its mode") from None
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
        values[key] = str(file.absolute().parent / Path(value).expanduser()) if key in PATHS else value
    if len(_OF_THE_SECRET & values.keys()) > 1:
        raise UsageError(
            f"{file}: profiles.{name}: the client secret is given twice",
            hint="keep one of client_secret_file and client_secret_command",
        )
    return Profile(name=name, file=file, values=values)


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


def current_folder() -> Path:
    """The folder whose flowledger.toml counts. A folder that was removed under us has none."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.sep)
