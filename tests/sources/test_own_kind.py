"""A kind of one's own in a file: no code is touched, the journal keeps it, and its faults have a place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowledger.cli.kinds import emulated, remember, remembered
from flowledger.engine.kindfile import kind_from_mapping, kinds_from, load_kind
from flowledger.engine.ledger import RunState
from flowledger.engine.specfile import load_spec, spec_diff, spec_from_mapping
from flowledger.engine.starter import starter
from flowledger.errors import Rejected, SpecError, UsageError
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.sources import SOURCES, source_kind
from flowledger.steps.spec import Spec

Begun = Callable[..., Path]


@pytest.fixture
def kind_file(tmp_path: Path, own: dict[str, Any]) -> Path:
    path = tmp_path / "our-ledger.yaml"
    path.write_text(yaml.safe_dump(own, sort_keys=False))
    return path


def test_init_writes_a_spec_for_it_that_is_valid(begun: Begun, kind_file: Path) -> None:
    path = begun("", kind_file=kind_file)
    loaded = load_spec(path)

    assert "kind_file: our-ledger.yaml" in path.read_text()
    assert loaded.warnings == ()
    assert loaded.spec.source.kind == "our-ledger"
    assert loaded.spec.source.definition == load_kind(kind_file)
    assert loaded.spec.source.connection.params["port"] == "8080"
    assert {mapping.to for mapping in loaded.spec.mappings} == {
        "_id", "record.amount", "record.note", "record.booked_at"
    }  # fmt: skip


def test_a_path_to_it_counts_from_the_specs_folder(begun: Begun, kind_file: Path, tmp_path: Path) -> None:
    (tmp_path / "kinds").mkdir()
    moved = kind_file.rename(tmp_path / "kinds" / kind_file.name)

    path = begun("our-ledger", kind_file=moved)

    assert "kind_file: kinds/our-ledger.yaml" in path.read_text()
    assert load_spec(path).spec.source.kind == "our-ledger"


@pytest.mark.parametrize("style", ["tutorial", "current"])
def test_it_is_provisioned_and_resumed_without_its_file(begun: Begun, kind_file: Path, place: Any, style: str) -> None:
    spec = load_spec(begun("", kind_file=kind_file, style=style)).spec
    place.serve(emulated(load_kind(kind_file)))
    kind_file.unlink()

    report = place.apply(spec)

    assert report.state is RunState.PROVISIONED
    [base] = [one for one in place.stored("connections") if one.get("auth")]
    assert base["connectionSpec"]["id"] == "11111111-2222-4333-8444-555555555555"
    assert base["auth"]["params"]["port"] == 8080
    assert place.resume(spec.name).state is RunState.PROVISIONED


def test_the_emulator_that_does_not_know_it_refuses_it(begun: Begun, kind_file: Path, place: Any) -> None:
    with pytest.raises(Rejected, match="FLOW-1413"):
        place.apply(load_spec(begun("", kind_file=kind_file)).spec)


def test_the_whole_definition_is_part_of_the_spec_and_a_changed_kind_is_a_changed_spec(
    begun: Begun, kind_file: Path, own: dict[str, Any], place: Any
) -> None:
    path = begun("", kind_file=kind_file)
    before = load_spec(path).spec
    place.serve(emulated(load_kind(kind_file)))
    place.apply(before)
    own["delta_format"] = "yyyy/MM/dd HH:mm:ss"
    kind_file.write_text(yaml.safe_dump(own))

    changed = load_spec(path).spec

    assert Spec.model_validate_json(before.model_dump_json()) == before
    assert spec_from_mapping(before.model_dump(mode="json", by_alias=True)) == before
    assert spec_diff(before, changed) == ["source.definition.delta_format: yyyy-MM-dd HH:mm:ss -> yyyy/MM/dd HH:mm:ss"]
    with pytest.raises(SpecError) as caught:
        place.apply(changed)
    assert any("source.definition.delta_format" in fault for fault in caught.value.faults)


def test_the_environment_can_name_files_and_folders_of_kinds(
    begun: Begun, kind_file: Path, tmp_path: Path, own: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "second.yml").write_text(yaml.safe_dump(own | {"kind": "second"}))
    (folder / "notes.txt").write_text("no kind")
    environ = {"FLOWLEDGER_KINDS": os.pathsep.join([str(kind_file), str(folder)])}

    files = starter("second", tmp_path, environ=environ)
    path = tmp_path / next(iter(files))
    path.write_text(files[path.name][0])
    monkeypatch.setenv("FLOWLEDGER_KINDS", environ["FLOWLEDGER_KINDS"])

    assert list(kinds_from(environ)) == ["our-ledger", "second"]
    assert "  kind: second\n" in path.read_text()
    assert load_spec(path).spec.source.definition == load_kind(folder / "second.yml")


def test_a_wrong_file_in_the_environment_is_told_at_the_kind_that_was_looked_for(
    begun: Begun, kind_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = begun("paypal")
    path.write_text(path.read_text().replace("kind: paypal", "kind: ours"))
    kind_file.write_text("kind: ours\n")
    monkeypatch.setenv("FLOWLEDGER_KINDS", str(kind_file))

    with pytest.raises(SpecError) as caught:
        load_spec(path)

    [fault] = caught.value.faults
    assert "source.kind: 'ours' is looked for in FLOWLEDGER_KINDS" in fault
    assert f"{kind_file}:1:1 label: missing" in fault


def test_one_kind_in_two_files_is_refused(kind_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "again.yaml"
    other.write_text(kind_file.read_text())

    with pytest.raises(SpecError, match="both define the kind our-ledger"):
        kinds_from({"FLOWLEDGER_KINDS": f"{kind_file}{os.pathsep}{other}"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "paypal"}, "kind: paypal is a kind of flowledger's own"),
        ({"kind": "stripe"}, "kind: stripe is a kind of flowledger's own"),
        ({"kind": "Our Ledger"}, "kind: must have lower-case letters, digits and '-' only"),
        ({"connection_spec_id": "1234"}, "connection_spec_id: is not the id of a connection spec: it looks like"),
        ({"row_filter": True}, "row_filter: unknown key; did you mean 'row_filters'?"),
        ({"label": 7}, "label: must be text"),
        ({"auths": []}, "auths: is empty"),
        ({"tables": [{"path": "t", "columns": {"a": "string"}, "delta": "a"}]}, "tables[0]: delta 'a' is no date-time"),
        ({"tables": [{"path": "t", "columns": {"a": "datetime"}, "delta": "a"}]}, "tables[0].columns.a: must be"),
        ({"auths": [{"name": "x", "params": [{"name": "k", "meaning": "k", "secret": True, "default": "v"}]}]},
         "auths[0].params[0]: a secret has neither a default nor an example"),
        ({"auths": [{"name": "x", "params": [{"name": "k", "meaning": "k"}, {"name": "k", "meaning": "k"}]}]},
         "auths[0].params: k stands twice"),
    ],
)  # fmt: skip
def test_each_fault_of_a_kinds_file_has_its_place(
    kind_file: Path, own: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    kind_file.write_text(yaml.safe_dump(own | change, sort_keys=False))

    with pytest.raises(SpecError) as caught:
        load_kind(kind_file)

    [fault] = caught.value.faults
    where, _, what = fault.partition(" ")
    file, line, column = where.rsplit(":", 2)
    assert file == str(kind_file)
    assert what.startswith(says)
    assert kind_file.read_text().splitlines()[int(line) - 1][int(column) - 1 :].strip()


def test_a_file_that_is_not_there_is_told_at_the_key_that_names_it(begun: Begun, kind_file: Path) -> None:
    path = begun("", kind_file=kind_file)
    kind_file.unlink()

    with pytest.raises(SpecError) as caught:
        load_spec(path)

    [fault] = caught.value.faults
    assert "source.kind_file: " in fault
    assert "No such file" in fault


def test_a_definition_may_stand_in_the_spec_itself(begun: Begun, kind_file: Path, own: dict[str, Any]) -> None:
    mapping = yaml.safe_load(begun("", kind_file=kind_file).read_text())
    del mapping["source"]["kind_file"]
    mapping["source"]["definition"] = own
    spec = spec_from_mapping(mapping, folder=kind_file.parent)
    own["tables"][0]["delta"] = "gone"

    assert spec.source.definition == load_kind(kind_file)
    assert source_kind(spec.source).label == "Our Ledger"
    with pytest.raises(SpecError) as caught:
        spec_from_mapping(mapping, folder=kind_file.parent)
    assert caught.value.faults[0].startswith("source.definition.tables[0]: delta 'gone' is no date-time column")


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"kind": "paypal"}, "source.kind: is not the kind that `kind_file` defines; write our-ledger"),
        ({"definition": {"kind": "x"}}, "source.definition: goes without `kind_file`; keep one of the two"),
    ],
)
def test_two_words_for_the_kind_must_agree(begun: Begun, kind_file: Path, extra: dict[str, Any], says: str) -> None:
    mapping = yaml.safe_load(begun("", kind_file=kind_file).read_text())
    mapping["source"] |= extra

    with pytest.raises(SpecError) as caught:
        spec_from_mapping(mapping, folder=kind_file.parent)

    assert caught.value.faults[0].startswith(says)


def test_a_kind_that_its_file_does_not_define_is_refused_by_init(kind_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="defines the kind our-ledger, not mine"):
        starter("mine", tmp_path, kind_file=kind_file)


def test_two_kinds_of_one_name_never_share_a_base_connection(
    begun: Begun, kind_file: Path, own: dict[str, Any]
) -> None:
    path = begun("", kind_file=kind_file)
    share = CreateBaseConnection().shared_as
    before, same = load_spec(path).spec, load_spec(path).spec
    kind_file.write_text(yaml.safe_dump(own | {"connection_spec_id": "99999999-2222-4333-8444-555555555555"}))
    other = load_spec(path).spec
    own["auths"][0]["params"][1]["type"] = "string"
    kind_file.write_text(yaml.safe_dump(own))
    typed = load_spec(path).spec

    assert share(before) == share(same)
    assert len({share(spec) for spec in (before, other, typed)}) == 3


def test_the_local_emulator_remembers_the_kinds_of_its_specs(
    begun: Begun, kind_file: Path, tmp_path: Path, own: dict[str, Any]
) -> None:
    state = tmp_path / "state"
    spec = load_spec(begun("", kind_file=kind_file)).spec
    remember(state, [])
    assert not state.exists()

    remember(state, [spec])
    remember(state, [load_spec(begun("paypal")).spec])
    assert remembered(state) == (emulated(load_kind(kind_file)),)
    kind_file.write_text(yaml.safe_dump(own | {"label": "Renamed"}))
    remember(state, [load_spec(tmp_path / "our-ledger-entries.yaml").spec])

    assert [kind["label"] for kind in remembered(state)] == ["Renamed"]
    (state / "kinds.json").write_text("[{")
    with pytest.raises(UsageError, match="cannot be read"):
        remembered(state)


def test_no_known_kind_is_taken_for_the_users_own(begun: Begun) -> None:
    for kind in SOURCES:
        assert load_spec(begun(kind)).spec.source.definition is None
    with pytest.raises(ValueError, match="flowledger's own"):
        kind_from_mapping(SOURCES["paypal"].model_dump())


def test_a_later_process_keeps_no_secret_of_it_although_it_never_read_it_and_the_platform_says_it(
    begun: Begun, kind_file: Path, own: dict[str, Any], place: Any
) -> None:
    own["auths"][0]["params"][2]["name"] = "watchWord"
    kind_file.write_text(yaml.safe_dump(own, sort_keys=False))
    spec = load_spec(begun("", kind_file=kind_file)).spec
    place.serve(emulated(load_kind(kind_file)))
    place.apply(spec)
    handle, told = place.emulator.handle, []

    def telling(request: Any) -> Any:
        response = handle(request)
        if request.method != "GET" or "/connections/" not in request.raw_path or b'"auth"' not in response.body:
            return response
        told.append(request.raw_path)
        document = json.loads(response.body)
        document["items"][0]["auth"]["params"]["watchWord"] = "hunter2hunter2"
        return replace(response, body=json.dumps(document).encode())

    place.emulator.handle = telling
    assert place.drift(spec.name).exit_code == 0
    assert told
    assert b"watchWord" in place.written()
    assert b"hunter2" not in place.written()
