"""destroy and drift as people and batch jobs type them: what they ask, print, and end with."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowledger.emulator.core import Emulator
from tests.bench import MADE_ONCE
from tests.program import Program

RUN = "paypal-products"


class LocalProgram(Program):
    """The program with an emulator of its own, whose state lies beside the journal."""

    def objects(self) -> int:
        """How many objects the emulator has."""
        emulator = Emulator(state=self.folder / "emulator")
        try:
            return sum(emulator.count(kind) for kind in MADE_ONCE)
        finally:
            emulator.close()


@pytest.fixture
def program(tmp_path: Path) -> LocalProgram:
    return LocalProgram(tmp_path)


@pytest.fixture
def provisioned(program: LocalProgram) -> LocalProgram:
    ran = program("apply", program.spec(), "--local", "--quiet")
    assert ran.code == 0, ran.err
    return program


def test_without_a_terminal_destroy_refuses_names_the_flag_and_begins_nothing(provisioned: LocalProgram) -> None:
    before = provisioned("status", RUN, "--json").json
    ran = provisioned("destroy", RUN, "--local")
    assert ran.code == 2
    assert "no terminal" in ran.err
    assert f"flowledger destroy {RUN} --local --yes" in ran.err
    assert "with all data in its dataset" in ran.err
    assert provisioned("status", RUN, "--json").json == before


def test_destroy_with_yes_deletes_everything_and_says_each_object(provisioned: LocalProgram) -> None:
    ran = provisioned("destroy", RUN, "--local", "--yes")
    assert ran.code == 0, ran.err
    assert "11 objects are deleted" in ran.out
    assert "dataflow" in ran.out
    assert ran.err.count(": deleted") == 11
    assert provisioned.objects() == 0
    again = provisioned("destroy", RUN, "--local")
    assert again.code == 0, again.err
    assert "Nothing to do: the run is destroyed." in again.out


def test_the_json_of_destroy_and_status_is_one_document_with_what_went_and_what_is_left(
    provisioned: LocalProgram,
) -> None:
    ran = provisioned("destroy", RUN, "--local", "--yes", "--keep-dataset", "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert ran.json["schema_version"] == 1
    assert ran.json["state"] == "destroyed"
    assert len(ran.json["destroyed"]) == 8
    assert set(ran.json["destroyed"][0]) == {"step", "kind", "id", "how"}
    assert {left["kind"] for left in ran.json["left"]} == {"dataSets", "schemas", "fieldgroups"}
    assert set(ran.json["left"][0]) == {"step", "kind", "id", "why"}
    assert [one["kind"] for one in ran.json["resources"]] == ["fieldgroups", "schemas", "dataSets"]
    assert provisioned("status", RUN, "--json").json == ran.json
    assert provisioned("runs", "--json").json["runs"][0]["state"] == "destroyed"


def test_a_second_destroy_shows_what_was_left_asks_for_it_and_deletes_it(provisioned: LocalProgram) -> None:
    spec = (provisioned.folder / "spec.yaml").read_text()
    (provisioned.folder / "second.yaml").write_text(spec.replace(f"name: {RUN}", "name: second"))
    assert provisioned("apply", "second.yaml", "--local", "--quiet").code == 0
    first = provisioned("destroy", RUN, "--local", "--yes", "--quiet")
    assert "used by targetConnections/" in first.out
    assert f"this deletes it:\n  flowledger destroy {RUN} --local\n" in first.out
    assert provisioned("explain", RUN, "--json").json["next"] == f"flowledger destroy {RUN}"
    assert provisioned("destroy", "second", "--local", "--yes", "--quiet").code == 0
    planned = provisioned("destroy", RUN, "--plan")
    assert "Of what it left, a destroy deletes what is not in use:" in planned.out
    assert [one["step"] for one in provisioned("destroy", RUN, "--plan", "--json").json["deletes"]] == [
        "find_or_create_sink"
    ]
    asked = provisioned("destroy", RUN, "--local")
    assert asked.code == 2
    assert f"Delete the 1 object left by run {RUN}?" in asked.err
    assert provisioned.objects() == 1
    again = provisioned("destroy", RUN, "--local", "--yes", "--json", "--quiet")
    assert (again.code, again.json["left"], provisioned.objects()) == (0, [], 0)
    assert "Nothing to do: the run is destroyed." in provisioned("destroy", RUN).out


def test_a_plan_shows_the_order_and_sends_and_writes_nothing(provisioned: LocalProgram) -> None:
    before = sorted((path.name, path.read_bytes()) for path in provisioned.journal.iterdir() if path.is_file())
    away = {"FLOWLEDGER_BASE_URL": "http://127.0.0.1:1"}
    ran = provisioned("destroy", RUN, "--plan", env=away)
    assert ran.code == 0, ran.err
    assert ran.out.index("dataflow") < ran.out.index("target connection") < ran.out.index("ad hoc class")
    assert "The dataset goes with all data in it." in ran.out
    planned = provisioned("destroy", RUN, "--plan", "--json", env=away).json
    assert planned["schema_version"] == 1
    assert len(planned["deletes"]) == 11
    stages = [one["stage"] for one in planned["deletes"]]
    assert stages == sorted(stages)
    kept = provisioned("destroy", RUN, "--plan", "--json", "--keep-dataset").json
    assert len(kept["deletes"]) == 8
    assert {one["step"] for one in kept["stays"]} == {"create_dataset", "create_target_schema", "create_field_group"}
    after = sorted((path.name, path.read_bytes()) for path in provisioned.journal.iterdir() if path.is_file())
    assert after == before


def test_apply_and_resume_of_a_destroyed_run_end_with_2_and_say_what_to_do(provisioned: LocalProgram) -> None:
    assert provisioned("destroy", RUN, "--local", "--yes", "--quiet").code == 0
    for verb in (("apply", "spec.yaml"), ("resume", RUN)):
        ran = provisioned(*verb, "--local", "--json")
        assert ran.code == 2
        assert "is destroyed" in ran.err
        assert "new name" in ran.err
        assert ran.json["state"] == "destroyed"
        assert ran.json["stopped"]["exit_code"] == 2
    assert provisioned("drift", RUN, "--local").code == 2


def test_history_and_explain_tell_of_a_destroy(provisioned: LocalProgram) -> None:
    assert provisioned("destroy", RUN, "--local", "--yes", "--quiet").code == 0
    history = provisioned("history", RUN).out
    assert "destroy begun" in history
    assert "will delete" in history
    assert "destroyed" in history
    assert "does not know" not in history
    explained = provisioned("explain", RUN)
    assert explained.code == 0
    assert "is destroyed" in explained.out


def test_no_such_run_is_5_for_both(program: LocalProgram, provisioned: LocalProgram) -> None:
    assert provisioned("destroy", "nobody", "--yes").code == 5
    assert provisioned("drift", "nobody").code == 5


def test_drift_is_0_without_and_8_with_a_difference_and_its_json_names_it(provisioned: LocalProgram) -> None:
    ran = provisioned("drift", RUN, "--local")
    assert ran.code == 0, ran.err
    assert "No drift" in ran.out
    from flowledger.emulator.core import Emulator

    emulator = Emulator(state=provisioned.folder / "emulator")
    [flow] = emulator.objects("flows")
    changed = emulator.world.store.get("flows", "prod", flow["id"])
    assert changed is not None
    emulator.world.store.put("flows", "prod", flow["id"], {**changed, "name": "renamed by hand"})
    emulator.world.store.put("flows", "prod", "twin", {**changed, "id": "twin"})
    emulator.close()
    ran = provisioned("drift", RUN, "--local", "--json", "--quiet")
    assert ran.code == 8
    document = ran.json
    assert (document["schema_version"], document["run"], document["exit_code"]) == (1, RUN, 8)
    assert [(one["step"], one["kind"], one["id"]) for one in document["differences"]] == [
        ("create_flow", "flows", flow["id"])
    ]
    assert document["twins"] == [{"step": "create_flow", "kind": "flows", "id": "twin", "removed": False, "why": ""}]
    text = provisioned("drift", RUN, "--local", "--quiet").out
    assert "renamed by hand" in text
    assert f"Next: flowledger drift {RUN} --local --remove-twins" in text
    assert f"flowledger drift {RUN} --remove-twins" in provisioned("status", RUN).out
    refused = provisioned("drift", RUN, "--local", "--remove-twins")
    assert refused.code == 2
    assert "no terminal" in refused.err
    removed = provisioned("drift", RUN, "--local", "--remove-twins", "--yes", "--json", "--quiet")
    assert removed.code == 8, "the edit is still there"
    assert removed.json["twins"][0]["removed"] is True


@pytest.mark.long
def test_on_a_terminal_destroy_shows_what_will_go_and_asks(provisioned: LocalProgram) -> None:
    code, shown = provisioned.on_terminal("destroy", RUN, "--local", answer="n\n")
    assert code == 2
    assert "The dataset goes with all data in it." in shown
    assert "nothing was changed" in shown
    assert provisioned("status", RUN, "--json").json["state"] == "provisioned"
    code, shown = provisioned.on_terminal("destroy", RUN, "--local", answer="y\n")
    assert code == 0, shown
    assert provisioned("status", RUN, "--json").json["state"] == "destroyed"
