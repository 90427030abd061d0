"""Sources whose end Adobe has announced are said to end wherever a source is chosen, and warned of against Adobe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from flowledger.cli.app import app
from flowledger.engine.doctorspec import look_at_spec
from flowledger.engine.specfile import load_spec
from flowledger.engine.starter import starter
from flowledger.steps.source_kind import Ends
from flowledger.steps.sources import SOURCES

ADOBE = "https://platform.adobe.io"
ENDING = {
    "paypal": "2025-06",
    "zoho-crm": "2025-06",
    "couchbase": "2025-06",
    "phoenix": "2025-06",
    "oracle-service-cloud": "2025-06",
    "oracle-eloqua": "2026-01",
    "salesforce-marketing-cloud": "2026-01",
}
ENDING_AUTHS = {("salesforce", "Basic Authentication"), ("salesforce-service-cloud", "Basic Authentication")}


def warnings(path: Path, base_url: str) -> list[str]:
    return [text for text in load_spec(path, base_url=base_url).warnings if "announced the end" in text]


def test_what_ends_is_what_adobes_pages_announce_and_each_names_its_page() -> None:
    assert {kind.kind: kind.ends.when for kind in SOURCES.values() if kind.ends is not None} == ENDING
    assert {(kind.kind, way.name) for kind in SOURCES.values() for way in kind.auths if way.ends} == ENDING_AUTHS
    ends = [kind.ends for kind in SOURCES.values() if kind.ends is not None]
    ends += [way.ends for kind in SOURCES.values() for way in kind.auths if way.ends is not None]
    pages = ("https://experienceleague.adobe.com/", "https://github.com/AdobeDocs/")
    assert all(end.source.startswith(pages) for end in ends)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_kind_that_ends_is_warned_of_against_adobe_only(kind: str, begun: Callable[..., Path]) -> None:
    path = begun(kind)
    expected = len(SOURCES[kind].announced_ends())

    told = warnings(path, ADOBE)

    assert len(told) == expected
    assert all("2025-06" in text or "2026-01" in text for text in told)
    for elsewhere in ("", "http://127.0.0.1:8480", "http://localhost:8480", "https://adobe.io.evil.example"):
        assert warnings(path, elsewhere) == []


def test_a_way_to_authenticate_that_stays_is_not_warned_of(begun: Callable[..., Path]) -> None:
    assert warnings(begun("salesforce", auth="OAuth2 Client Credential"), ADOBE) == []
    (told,) = warnings(begun("salesforce", auth="Basic Authentication"), ADOBE)
    assert "OAuth2 Client Credential" in told


@pytest.mark.parametrize("kind", ENDING)
def test_init_writes_it_into_the_spec(kind: str, tmp_path: Path) -> None:
    (text, _mode), *_ = starter(kind, tmp_path).values()
    (line,) = (one for one in text.splitlines() if one.startswith(f"  kind: {kind} "))
    assert f"for {ENDING[kind]}" in line


def test_init_list_shows_it_and_says_what_the_word_means() -> None:
    ran = CliRunner().invoke(app, ["init", "--list"])
    (line,) = (one for one in ran.stdout.splitlines() if one.split()[:1] == ["paypal"])
    assert "ends 2025-06" in line
    assert "Basic Authentication (ends 2026-01)" in ran.stdout
    assert "ends: the month" in ran.stdout


def test_init_list_as_json_has_it_of_every_kind() -> None:
    kinds = json.loads(CliRunner().invoke(app, ["init", "--list", "--json"]).stdout)["kinds"]
    assert {kind["kind"]: kind["ends"]["when"] for kind in kinds if kind["ends"]} == ENDING
    assert {(kind["kind"], name) for kind in kinds for name in kind["auths_that_end"]} == ENDING_AUTHS


@pytest.mark.parametrize("verb", [["validate"], ["plan", "--offline"]])
def test_the_verbs_warn_against_adobe(
    verb: list[str], begun: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(begun("paypal"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLOWLEDGER_BASE_URL", raising=False)
    line = [verb[0], path, *verb[1:]]
    assert "announced the end of the source PayPal for 2025-06" in CliRunner().invoke(app, line).stderr

    monkeypatch.setenv("FLOWLEDGER_BASE_URL", "http://127.0.0.1:8480")
    assert "announced the end" not in CliRunner().invoke(app, line).output


def test_doctor_warns_of_the_source_of_a_spec(begun: Callable[..., Path]) -> None:
    path = begun("paypal")
    checks, _ = look_at_spec(path, now=0, base_url=ADOBE)
    assert any("announced the end" in check.found for check in checks)
    checks, _ = look_at_spec(path, now=0, base_url="http://127.0.0.1:8480")
    assert not any("announced the end" in check.found for check in checks)


@pytest.mark.parametrize("when", ["2025", "2025-13", "June 2025", "2025-6", ""])
def test_an_end_has_a_month(when: str) -> None:
    with pytest.raises(ValidationError):
        Ends(when=when, source="https://example.com")
