"""Settings come from a profile where neither a flag nor the environment says otherwise, and their origin is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowledger.cli.settings import profile_of, read_profiles
from flowledger.errors import UsageError


@pytest.fixture
def at_home(program: Any, emulator: Any) -> Any:
    """A program without variables, and a file of the user's own whose profiles point at the emulator."""
    for name in [name for name in program.env if name.startswith("FLOWLEDGER_")]:
        del program.env[name]
    home = program.folder / ".config" / "flowledger"
    home.mkdir(parents=True)
    (home / "secret").write_text("local-secret")
    (program.folder / "secret").write_text("local-secret")
    (home / "config.toml").write_text(f'''
default_profile = "local"

[profiles.local]
base_url = "{emulator.url}"
client_id = "local-client"
client_secret_file = "secret"
org_id = "LOCAL@AdobeOrg"
journal = "state/journal"

[profiles.dev]
base_url = "{emulator.url}"
client_id = "local-client"
org_id = "LOCAL@AdobeOrg"
client_secret_command = ["cat", "secret"]
sandbox = "dev"
''')
    return program


def settings(ran: Any) -> dict[str, tuple[str, str]]:
    return {one["setting"]: (one["value"], one["origin"].split(" (")[0]) for one in ran.json["settings"]}


def test_a_run_is_provisioned_with_the_settings_of_the_default_profile(at_home: Any) -> None:
    ran = at_home("apply", at_home.spec())
    assert ran.code == 0, ran.err
    assert (at_home.folder / ".config" / "flowledger" / "state" / "journal").is_dir()


def test_another_profile_is_chosen_by_flag_or_variable(at_home: Any) -> None:
    by_flag = at_home("--profile", "dev", "config", "show", "--json")
    by_variable = at_home("config", "show", "--json", env={"FLOWLEDGER_PROFILE": "dev"})
    assert by_flag.json == by_variable.json
    assert settings(by_flag)["sandbox"] == ("dev", "profile dev")
    assert at_home("--profile", "dev", "doctor", "--json").code == 0


def test_each_setting_says_where_it_comes_from(at_home: Any) -> None:
    shown = settings(at_home("config", "show", "--json", env={"FLOWLEDGER_CLIENT_ID": "another"}))
    assert shown["client_id"] == ("another", "environment")
    assert shown["org_id"] == ("LOCAL@AdobeOrg", "profile local")
    assert shown["sandbox"] == ("prod", "default")
    assert shown["ca_file"] == ("", "")
    text = at_home("config", "show", "--origin").out
    assert "profile local (.config/flowledger/config.toml)" in text
    assert max(map(len, text.splitlines())) <= 120 + len(str(at_home.folder))


def test_a_secret_of_the_environment_takes_that_of_the_profile_out_and_is_not_shown(at_home: Any) -> None:
    ran = at_home("config", "show", "--json", env={"FLOWLEDGER_CLIENT_SECRET": "local-secret"})
    assert settings(ran)["client_secret"] == ("set, 12 characters", "environment")
    assert settings(ran)["client_secret_file"] == ("", "")
    assert "local-secret" not in ran.out
    assert at_home("doctor", "--json", env={"FLOWLEDGER_CLIENT_SECRET": "local-secret"}).code == 0


def test_of_the_command_for_a_secret_only_the_program_is_shown(at_home: Any) -> None:
    ran = at_home("--profile", "dev", "config", "show", "--json")
    assert settings(ran)["client_secret_command"] == ("cat …", "profile dev")
    given = at_home("config", "show", "--origin", env={"FLOWLEDGER_CLIENT_SECRET_COMMAND": "vault read -token=opens"})
    assert "vault …" in given.out
    assert "opens" not in given.out


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ('[profiles.a]\nclient_secret = "x"', "profiles.a.client_secret", "client_secret_file"),
        ('[profiles.a]\nbase_ur = "x"', "profiles.a.base_ur", "did you mean base_url?"),
        ("[profiles.a]\nsandbox = 3", "profiles.a.sandbox", "like sandbox"),
        ('[profile.a]\nsandbox = "x"', "profile", "did you mean profiles?"),
        ('default_profile = "b"\n[profiles.a]\nsandbox = "x"', "default_profile", "there are: a"),
        ("profiles = 3", "profiles", "[profiles.dev]"),
        ("nothing", "is not TOML", "docs/commands.md"),
        ('[profiles.a]\nclient_secret_file = "x"\nclient_secret_command = "y"', "profiles.a", "keep one"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place(program: Any, text: str, place: str, hint: str) -> None:
    (program.folder / "flowledger.toml").write_text(text)
    ran = program("runs", env={"FLOWLEDGER_CONFIG": "flowledger.toml"})
    assert ran.code == 2
    assert f"flowledger.toml: {place}" in ran.err
    assert hint in ran.err


def test_a_profile_that_no_file_has_is_refused_with_those_that_are(at_home: Any) -> None:
    ran = at_home("--profile", "prod", "runs")
    assert ran.code == 2
    assert "there are: dev, local" in ran.err


def test_a_command_in_a_file_that_others_may_write_is_not_run(at_home: Any) -> None:
    (at_home.folder / ".config" / "flowledger" / "config.toml").chmod(0o666)
    ran = at_home("runs")
    assert ran.code == 2
    assert "is not yours alone to write" in ran.err


def test_a_named_file_alone_counts_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        profile_of({"FLOWLEDGER_CONFIG": str(tmp_path / "none.toml")}, tmp_path)
    (tmp_path / "flowledger.toml").write_text("[profiles.default]\n")
    (tmp_path / "other.toml").write_text('[profiles.default]\nsandbox = "dev"')
    profile = profile_of({"FLOWLEDGER_CONFIG": str(tmp_path / "other.toml")}, tmp_path)
    assert profile is not None
    assert profile.values == {"sandbox": "dev"}


def test_a_folder_of_somebody_else_says_nothing_by_itself(at_home: Any) -> None:
    """Else a cloned folder could have the client secret sent to a host of its choice, or a command run."""
    trap = at_home.folder / "trap"
    (at_home.folder / "flowledger.toml").write_text(
        'default_profile = "local"\n[profiles.local]\nims_url = "https://evil.example"\n'
        f'client_secret_command = ["touch", "{trap}"]\n[profiles.default]\nbase_url = "https://evil.example"\n'
    )
    shown = settings(at_home("config", "show", "--json"))
    assert shown["ims_url"] == ("", "")
    assert shown["client_secret_command"] == ("", "")
    assert at_home("doctor").code == 0
    assert not trap.exists()


def test_the_folders_file_is_read_when_a_profile_is_named_that_the_user_has_not(tmp_path: Path) -> None:
    users = tmp_path / "config" / "flowledger" / "config.toml"
    users.parent.mkdir(parents=True)
    users.write_text('[profiles.mine]\nsandbox = "dev"\n[profiles.default]\nsandbox = "a"')
    (tmp_path / "flowledger.toml").write_text('[profiles.mine]\nsandbox = "x"\n[profiles.theirs]\nsandbox = "b"')
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    chosen = [profile_of(environ, tmp_path, name) for name in (None, "mine", "theirs")]
    assert [profile.values["sandbox"] for profile in chosen if profile] == ["a", "dev", "b"]


def test_paths_count_from_the_file_that_holds_them(tmp_path: Path) -> None:
    file = tmp_path / "flowledger.toml"
    file.write_text('[profiles.a]\njournal = "j"\nca_file = "/etc/ca.pem"')
    _, profiles = read_profiles(file)
    assert profiles["a"].values == {"journal": str(tmp_path / "j"), "ca_file": "/etc/ca.pem"}
