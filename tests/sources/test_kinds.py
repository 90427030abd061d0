"""The table of kinds, and what `init` writes for each: right as it is, with every secret elsewhere."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from flowledger.cli.app import app
from flowledger.engine.specfile import load_spec
from flowledger.engine.starter import starter
from flowledger.errors import SpecError, UsageError
from flowledger.steps.source_kind import Param, SourceKind
from flowledger.steps.sources import REFUSED, SOURCES, source_kind
from flowledger.steps.spec import SecretRef

ADOBE = "https://platform.adobe.io"
EVERY_AUTH = [(kind.kind, auth.name) for kind in SOURCES.values() for auth in kind.auths]


def test_every_table_like_source_of_the_contract_is_there_once() -> None:
    ids = [kind.connection_spec_id for kind in SOURCES.values()]

    assert len(SOURCES) == len(set(ids)) == 36
    assert [name for name, kind in SOURCES.items() if name != kind.kind] == []
    assert {kind.kind for kind in SOURCES.values() if kind.row_filters} == {
        "google-bigquery", "microsoft-dynamics", "salesforce", "snowflake"
    }  # fmt: skip
    assert {kind.kind for kind in SOURCES.values() if kind.delta_format == "yyyy-MM-ddTHH:mm:ssZ"} == {
        "azure-table-storage", "microsoft-dynamics"
    }  # fmt: skip
    assert not set(SOURCES) & set(REFUSED)


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_says_how_sure_it_is_of_each_way_to_authenticate(kind: str) -> None:
    for auth in SOURCES[kind].auths:
        assert auth.source in ("contract", "guide", "unsure")
        assert bool(auth.guide) == (auth.source != "contract"), "where it was read"
        assert auth.source != "unsure" or auth.note, "what is doubtful"
        words = r"password|secret$|token$|^connectionString$|key$|keyFileContent|passphrase"
        assert [p.name for p in auth.params if re.search(words, p.name, re.I) and not p.secret] == []


@pytest.mark.parametrize("style", ["tutorial", "current"])
@pytest.mark.parametrize(("kind", "auth"), EVERY_AUTH)
def test_what_init_writes_is_valid_and_holds_no_secret(
    begun: Callable[..., Path], tmp_path: Path, kind: str, auth: str, style: str
) -> None:
    path = begun(kind, auth=auth, style=style)
    loaded = load_spec(path, base_url=ADOBE)
    spec, known = loaded.spec, SOURCES[kind]

    assert len(loaded.warnings) == len(known.announced_ends(auth))
    assert (spec.style, spec.source.kind, spec.source.definition) == (style, kind, None)
    assert spec.source.table == known.tables[0].path
    assert spec.source.delta is not None
    assert spec.source.delta.column == known.tables[0].delta
    assert spec.source.delta.date_format == known.delta_format
    assert {mapping.source for mapping in spec.mappings} <= set(known.tables[0].columns)
    assert spec.source.connection.auth == auth
    references = {name: value for name, value in spec.source.connection.params.items() if isinstance(value, SecretRef)}
    assert set(references) == {param.name for param in known.auth(auth).params if param.secret and param.required}
    for reference in references.values():
        assert reference.file is not None
        secret = path.parent / reference.file
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert secret.read_text().strip() not in path.read_text()


def test_a_secret_that_is_there_already_is_kept(begun: Callable[..., Path], tmp_path: Path) -> None:
    begun("mysql")
    (tmp_path / "secrets" / "mysql-connection-string").write_text("a real one")

    assert list(starter("mysql", tmp_path)) == ["mysql-customers.yaml"]


def test_a_way_to_authenticate_that_the_kind_has_not_is_refused_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="KeyPair Authentication or ConnectionString") as caught:
        starter("snowflake", tmp_path, auth="KeyPair")

    assert caught.value.hint == 'flowledger init snowflake --auth "KeyPair Authentication"'


def test_the_list_names_kinds_by_family_with_filters_and_ways_to_authenticate() -> None:
    shown = CliRunner().invoke(app, ["init", "--list"]).output
    listed = json.loads(CliRunner().invoke(app, ["init", "--list", "--json"]).output)

    assert re.search(r"salesforce +Salesforce +row filters +Basic Authentication \(ends 2026-01\), OAuth2", shown)
    assert re.search(r"^crm$", shown, re.M)
    assert all(name in shown for name in SOURCES)
    first = listed["kinds"][0]
    assert (first["kind"], first["family"], first["row_filters"]) == ("paypal", "payments", False)
    assert first["auths"] == ["Client-Id-Secret Based Authentication"]
    assert {one["kind"] for one in listed["refused"]} == set(REFUSED)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_source_of_another_family_is_refused_with_a_sentence(
    begun: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    path = begun("paypal")
    path.write_text(path.read_text().replace("kind: paypal", f"kind: {kind}"))

    with pytest.raises(SpecError) as in_a_spec:
        load_spec(path)
    with pytest.raises(UsageError) as at_init:
        starter(kind, tmp_path)

    [fault] = in_a_spec.value.faults
    assert f"source.kind: {kind} {REFUSED[kind]}" in fault
    assert re.search(r":\d+:\d+ source\.kind", fault)
    assert f"{kind} {REFUSED[kind]}" in at_init.value.message


@pytest.mark.parametrize(
    ("written", "meant"),
    [("slaesforce", "salesforce"), ("bigquery", "google-bigquery"), ("postgres", "postgresql"),
     ("synapse", "azure-synapse-analytics"), ("Snowflake", "snowflake"), ("odata", "generic-odata")],
)  # fmt: skip
def test_a_misspelt_kind_is_answered_with_the_one_that_was_meant(
    begun: Callable[..., Path], written: str, meant: str
) -> None:
    path = begun("paypal")
    path.write_text(path.read_text().replace("kind: paypal", f"kind: {written}"))

    with pytest.raises(SpecError) as caught:
        load_spec(path)

    assert [fault.partition("source.kind: ")[2] for fault in caught.value.faults] == [
        f"{written!r} is not known; did you mean {meant!r}?"
    ]


def test_a_kind_that_is_close_to_a_refused_one_says_why_that_is_refused(begun: Callable[..., Path]) -> None:
    path = begun("paypal")
    path.write_text(path.read_text().replace("kind: paypal", "kind: strpe"))

    with pytest.raises(SpecError, match="1 fault") as caught:
        load_spec(path)

    assert "did you mean 'stripe'? but stripe is a REST template" in caught.value.faults[0]


def test_a_parameter_is_sent_in_the_type_that_the_platform_expects() -> None:
    phoenix = source_kind("phoenix").auth()

    assert phoenix.in_types({"host": "443", "port": "443", "enableSsl": "false"}) == {
        "host": "443", "port": 443, "enableSsl": False
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"^port must be a whole number$"):
        phoenix.in_types({"port": "a secret"})


def test_a_number_may_stand_in_the_spec_as_one_where_one_is_expected(begun: Callable[..., Path]) -> None:
    path = begun("phoenix")
    text = path.read_text()
    path.write_text(text.replace('port: "8765"', "port: 443").replace('enableSsl: "true"', "enableSsl: false"))
    params = load_spec(path).spec.source.connection.params
    path.write_text(text.replace('port: "8765"', "port: many"))

    assert (params["port"], params["enableSsl"]) == ("443", "false")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert "source.connection.params.port: must be a whole number" in caught.value.faults[0]


def test_a_secret_can_have_no_default_and_no_example() -> None:
    for extra in ({"default": "x"}, {"example": "x"}):
        with pytest.raises(ValidationError, match="neither a default nor an example"):
            Param.model_validate({"name": "key", "meaning": "key", "secret": True, **extra})


@pytest.mark.parametrize("kind", SOURCES)
def test_a_kind_is_the_same_after_the_journal(kind: str) -> None:
    assert SourceKind.model_validate_json(SOURCES[kind].model_dump_json()) == SOURCES[kind]
