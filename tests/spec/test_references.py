"""`${VAR}` in a spec file: resolved when the file is read, told with its place, and never a way in for a secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from flowledger.engine.specfile import load_spec, spec_diff, spec_from_mapping
from flowledger.engine.specrefs import is_secret_name
from flowledger.errors import SpecError
from flowledger.steps.spec import SecretRef, Spec
from tests.bench import EXAMPLE

Loaded = Callable[..., Spec]
Faults = Callable[..., tuple[str, ...]]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """The example with some lines replaced, read in an environment."""

    def load(changes: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Spec:
        text = EXAMPLE.read_text()
        for pattern, instead in changes.items():
            text, count = re.subn(pattern, instead.replace("\\", r"\\"), text, flags=re.MULTILINE)
            assert count, f"{pattern} is not in the example"
        path = tmp_path / "spec.yaml"
        path.write_text(text)
        return load_spec(path, environ=environ or {}).spec

    return load


@pytest.fixture
def faulty(loaded: Loaded, tmp_path: Path) -> Faults:
    """The faults of such a file, without its folder."""

    def faults(changes: Mapping[str, str], environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
        with pytest.raises(SpecError) as caught:
            loaded(changes, environ)
        return tuple(fault.removeprefix(f"{tmp_path}/") for fault in caught.value.faults)

    return faults


INTERVAL = r"^  interval: 30.*$"
TITLE = r"^    title: .*$"
SECRET = r"^      clientSecret: .*$"


def test_a_reference_is_what_the_variable_holds(loaded: Loaded) -> None:
    spec = loaded({INTERVAL: "  interval: ${EVERY}", TITLE: "    title: ${TEAM} products of ${TEAM}"},
                  {"EVERY": "45", "TEAM": "Payments"})  # fmt: skip

    assert spec.schedule.interval == 45
    assert spec.target.dataset.title == "Payments products of Payments"


@pytest.mark.parametrize(
    ("pattern", "written", "value", "found"),
    [
        (r"^  backfill: true.*$", "  backfill: ${V}", "false", lambda spec: spec.schedule.backfill is False),
        (r"^  deadline: 15m.*$", "  deadline: ${V}", "90", lambda spec: spec.retry.deadline == 90.0),
        (r"^  attempts: 6.*$", "  attempts: ${V}", "4", lambda spec: spec.retry.attempts == 4),
        (r"^settle: .*$", "settle: ${V}", "2s", lambda spec: spec.settle.window == 2.0),
        (r"^  start: .*$", "  start: ${V}", "4102444800", lambda spec: spec.schedule.start == 4102444800),
        (r"^style: .*$", "style: ${V}", "current", lambda spec: spec.style == "current"),
    ],
)
def test_a_reference_stands_where_a_number_a_truth_or_a_time_is_wanted(
    loaded: Loaded, pattern: str, written: str, value: str, found: Callable[[Spec], bool]
) -> None:
    assert found(loaded({pattern: written}, {"V": value}))


@pytest.mark.parametrize(("environ", "interval"), [({}, 20), ({"EVERY": ""}, 20), ({"EVERY": "60"}, 60)])
def test_a_default_holds_where_the_variable_is_unset_or_empty(
    loaded: Loaded, environ: Mapping[str, str], interval: int
) -> None:
    assert loaded({INTERVAL: "  interval: ${EVERY:-20}"}, environ).schedule.interval == interval


def test_an_unset_variable_is_one_fault_with_its_place_and_its_name(faulty: Faults) -> None:
    assert faulty({INTERVAL: "  interval: ${EVERY}"}) == (
        "spec.yaml:58:13 schedule.interval: the environment variable EVERY is not set; "
        "set it, or give a default: ${EVERY:-...}",
    )


def test_a_misspelt_variable_is_told_which_was_meant(faulty: Faults) -> None:
    [fault] = faulty({INTERVAL: "  interval: ${PAYPAL_INTERVALL}"}, {"PAYPAL_INTERVAL": "30"})

    assert "did you mean PAYPAL_INTERVAL?" in fault


def test_a_fault_of_a_resolved_value_names_the_variable(faulty: Faults) -> None:
    [fault] = faulty({INTERVAL: "  interval: ${EVERY}"}, {"EVERY": "often"})

    assert "schedule.interval (from ${EVERY}): 'often' is not a whole number" in fault


@pytest.mark.parametrize("written", ["${}", "${1A}", "${A", "${A B}", "${A:-${B}}", "${A-b}"])
def test_what_is_no_reference_is_refused(faulty: Faults, written: str) -> None:
    [fault] = faulty({TITLE: f"    title: '{written}'"}, {"A": "a", "B": "b"})

    assert "is not a reference; write ${NAME} or ${NAME:-default}; $${ is a ${ that is meant as it is" in fault


def test_a_doubled_dollar_is_a_dollar_that_is_meant(loaded: Loaded) -> None:
    assert loaded({TITLE: "    title: cost in $${A} $5 $$"}, {"A": "a"}).target.dataset.title == "cost in ${A} $5 $$"


def test_what_a_variable_holds_is_not_resolved_again(loaded: Loaded) -> None:
    spec = loaded({TITLE: "    title: ${A}"}, {"A": "${B}", "B": "b"})

    assert spec.target.dataset.title == "${B}"


def test_mappings_keep_the_escapes_of_data_prep(loaded: Loaded) -> None:
    spec = loaded({r"\{source: Product_Id, to: _id\}": '{source: "${odd column}", to: _id}'})

    assert spec.mappings[0].source == "${odd column}"


def test_keys_are_never_resolved(loaded: Loaded, faulty: Faults) -> None:
    [fault] = faulty({r"^style: .*$": "${A}: tutorial"}, {"A": "style"})

    assert "${A}: unknown key" in fault


def test_a_secret_parameter_takes_no_reference_to_a_variable(faulty: Faults) -> None:
    [fault] = faulty({SECRET: "      clientSecret: ${PAYPAL}"}, {"PAYPAL": "hunter2-hunter2"})

    assert "clientSecret (from ${PAYPAL})" not in fault
    assert "a secret must not come into the spec by a `${...}`: it would be journaled" in fault
    assert "refer to it: {env: PAYPAL}" in fault
    assert "hunter2" not in fault


@pytest.mark.parametrize("name", ["PAYPAL_CLIENT_SECRET", "DB_PASSWORD", "API_TOKEN2", "clientSecret"])
def test_a_variable_that_holds_a_secret_by_its_name_is_refused_everywhere(faulty: Faults, name: str) -> None:
    [fault] = faulty({TITLE: f"    title: ${{{name}}}"}, {name: "hunter2-hunter2"})

    assert f"${{{name}}} would bring a secret into the journal" in fault
    assert f"{{env: {name}}}" in fault
    assert "hunter2" not in fault


def test_a_variable_that_holds_a_secret_under_another_name_is_refused(faulty: Faults) -> None:
    environ = {"LABEL": "of hunter2-hunter2", "FLOWLEDGER_CLIENT_SECRET": "hunter2-hunter2"}
    [fault] = faulty({TITLE: "    title: ${LABEL}"}, environ)

    assert "${LABEL} holds the same as FLOWLEDGER_CLIENT_SECRET, which is a secret" in fault
    assert "hunter2" not in fault


@pytest.mark.parametrize("name", ["PWD", "HOME", "FLOWLEDGER_CLIENT_SECRET_FILE", "TOKEN_URL", "SECRETS_DIR"])
def test_a_place_is_no_secret(name: str) -> None:
    assert not is_secret_name(name)


def test_where_a_secret_is_may_be_a_reference_but_its_commands_text_stays(loaded: Loaded) -> None:
    by_file = loaded({SECRET: "      clientSecret: {file: '${SECRETS}/paypal'}"}, {"SECRETS": "/run/secrets"})
    by_command = loaded({SECRET: "      clientSecret: {command: [sh, -c, 'echo ${X}']}"}, {"X": "x"})

    assert by_file.source.connection.params["clientSecret"] == SecretRef(file="/run/secrets/paypal")
    assert by_command.source.connection.params["clientSecret"] == SecretRef(command=("sh", "-c", "echo ${X}"))


def test_a_changed_value_is_a_changed_spec(loaded: Loaded) -> None:
    one, other = (loaded({INTERVAL: "  interval: ${EVERY}"}, {"EVERY": every}) for every in ("30", "45"))

    assert spec_diff(one, other) == ["schedule.interval: 30 -> 45"]


def test_what_is_journaled_reads_back_the_same_without_the_environment(loaded: Loaded) -> None:
    spec = loaded({TITLE: "    title: ${A} and $${B}"}, {"A": "a"})

    assert spec_from_mapping(spec.model_dump(mode="json", by_alias=True)) == spec


def test_the_environment_of_the_process_is_the_one_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERY_OF_THIS_TEST", "25")
    path = tmp_path / "spec.yaml"
    path.write_text(re.sub(r"interval: 30", "interval: ${EVERY_OF_THIS_TEST}", EXAMPLE.read_text()))

    assert load_spec(path).spec.schedule.interval == 25


def test_hundreds_of_unset_variables_are_told_without_end(faulty: Faults) -> None:
    groups = "".join(f"\n    - ${{V{number}}}" for number in range(300))

    assert len(faulty({r"^  field_groups:.*$": f"  field_groups:{groups}"})) == 200
