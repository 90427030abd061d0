"""A fault is shown with its line and a mark under the place, and never with the secret that stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowledger.cli.excerpt import Excerpts, without_values_of_secrets


def test_each_fault_of_a_spec_is_followed_by_its_line_and_a_mark(program: Any) -> None:
    spec = program.spec(("kind: paypal", "kind: paypall"))
    ran = program("validate", spec)
    lines = ran.err.splitlines()
    (at,) = [number for number, line in enumerate(lines) if "source.kind" in line]
    number = lines[at].split(":")[1]
    assert lines[at + 1].lstrip().startswith(f"{number} |   kind: paypall")
    assert lines[at + 2].index("^") == lines[at + 1].index("paypall")


def test_a_secret_that_was_typed_into_the_spec_is_not_shown(program: Any) -> None:
    spec = program.spec((r"clientSecret: .*", "clientSecret: hunter2hunter2"))
    ran = program("validate", spec)
    assert ran.code == 3
    assert "clientSecret: …" in ran.err
    assert "hunter2" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("clientSecret: hunter2", "clientSecret: …"),
        ("  {clientId: a, clientSecret: hunter2, host: b}", "  {clientId: a, clientSecret: …, host: b}"),
        ('"clientSecret" : "hunter2"', '"clientSecret" : …'),
        ("client_secret = 'hunter2'", "client_secret = …"),
        ('clientSecret: "hunter,2"', "clientSecret: …"),
        ("clientSecret: hun,ter}2 # old", "clientSecret: …"),
        ("  {clientSecret: 'hun, ter''2', host: b}", "  {clientSecret: …, host: b}"),
        ('clientSecret: "hunter\\",2', "clientSecret: …"),
        ("clientSecret: ,hunter2", "clientSecret: …"),
        ("clientSecret: {env: SECRET, fiel: x}", "clientSecret: {env: SECRET, fiel: x}"),
        ("a: clientSecret: hunter2", "a: clientSecret: …"),
        ("kind: paypal", "kind: paypal"),
        ("\tkind: paypal", " kind: paypal"),
    ],
)
def test_what_stands_behind_a_secrets_key_is_left_out(line: str, shown: str) -> None:
    assert without_values_of_secrets(line) == shown


def test_a_line_that_may_be_the_secret_itself_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("clientSecret: |\n  hunter2\n")
    excerpts = Excerpts()
    assert list(excerpts.of(f"{file}:2:3 source.connection.params.clientSecret: a secret must not stand here")) == []
    assert list(excerpts.of(f"{file}:2:3 source.table: an excerpt")) != []


@pytest.mark.parametrize("place", ["{file}:9:1 a: b", "{file}:1:400 a: b", "gone.yaml:1:1 a: b", "no place at all"])
def test_a_place_that_is_not_there_has_no_excerpt(tmp_path: Path, place: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("a: b\n")
    assert list(Excerpts().of(place.format(file=file))) == []


def test_an_excerpt_fits_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    file = tmp_path / "spec.yaml"
    file.write_text(f"a: {'x' * 500}\n")
    assert max(map(len, Excerpts().of(f"{file}:1:4 a: too long"))) <= 80


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("      developerToken: hunter2", "developerToken: …"),
        ("    params: {host: h, developerToken: hunter2}", "params: {host: …, developerToken: …}"),
        ("      {host: h, developerToken: hunter2}", "{host: …, developerToken: …}"),
    ],
)
@pytest.mark.parametrize(
    "fault",
    [
        "source.connection.params.developerToken: a secret must not stand in the spec",
        "source.connection.params.host: must be text, or a reference to a secret",
    ],
)
def test_a_secret_whose_name_does_not_say_so_is_not_shown(tmp_path: Path, line: str, shown: str, fault: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(f"{line}\n")
    [excerpt, _] = Excerpts().of(f"{file}:1:5 {fault}")
    assert excerpt.endswith(f" {shown}")


def test_a_value_that_is_no_secret_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("      port: 80a\n")
    [excerpt, _] = Excerpts().of(f"{file}:1:13 source.connection.params.port: must be a whole number")
    assert excerpt.endswith("port: 80a")
