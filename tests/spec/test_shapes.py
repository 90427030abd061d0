"""Every surface form of a spec comes to one model, and each wrong value is one fault at its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flowledger.engine.specchange import complete
from flowledger.engine.specfile import load_spec, spec_from_mapping
from flowledger.errors import SpecError
from flowledger.steps.sources import delta_format
from flowledger.steps.spec import SecretRef, Spec

Changed = Callable[[Mapping[str, Any]], dict[str, Any]]
Faults = Callable[..., tuple[str, ...]]

PROFILE = "https://ns.adobe.com/xdm/context/profile"


def test_the_right_spec_is_right(changed: Changed) -> None:
    spec = spec_from_mapping(changed({}))

    assert spec.style == "tutorial"
    assert spec.source.connection.auth is None
    assert spec.source.connection.params == {"clientId": "abc", "clientSecret": SecretRef(env="PAYPAL_SECRET")}
    assert delta_format(spec.source) == "yyyy-MM-dd HH:mm:ss"
    connection = complete(spec)["source"]["connection"]
    assert connection["auth"] == "Client-Id-Secret Based Authentication"
    assert connection["params"]["host"] == "api.sandbox.paypal.com"
    assert spec.target.class_ == PROFILE
    assert spec.schedule.start == "+10m"
    assert (spec.settle.window, spec.settle.send_within) == (90, 5)


@pytest.mark.parametrize(
    ("path", "short", "long"),
    [
        ("source.delta", "Create_Time", {"column": "Create_Time"}),
        ("mappings", {"Product_Id": "_id"}, [{"source": "Product_Id", "to": "_id"}]),
        ("target.fields", {"product.name": "string"}, {"product": {"name": "string"}}),
        ("target.fields", {"product": {"name.short": "string"}}, {"product.name.short": "string"}),
        ("settle", "1s", {"window": "1s"}),
        ("settle", 1, {"window": 1.0}),
        ("target.class", "profile", PROFILE),
        ("target.class", "_xdm.context.profile", PROFILE),
        ("target.field_groups", ["profile-person-details"], [PROFILE + "-person-details"]),
        ("target.field_groups", ["_xdm.context.profile-person-details"], [PROFILE + "-person-details"]),
        ("schedule.interval", "30", 30),
        ("schedule.backfill", "true", True),
        ("schedule.start", "1893456000", 1893456000),
        ("schedule.start", "2030-01-01T00:00:00Z", 1893456000),
        ("schedule.start", "2030-01-01T02:00:00+02:00", 1893456000),
        ("schedule.start", "20300101T000000Z", 1893456000),
    ],
)
def test_a_short_form_means_the_same_as_the_long_one(changed: Changed, path: str, short: Any, long: Any) -> None:
    fields = {"mappings": [{"source": "Product_Id", "to": "_id"}]} if path != "mappings" else {}

    assert spec_from_mapping(changed({**fields, path: short})) == spec_from_mapping(changed({**fields, path: long}))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("1h", 3600),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("2", 2),
        (2, 2),
        (0.5, 0.5),
        ("0.1d", 8640),
    ],
)
def test_durations_are_seconds(changed: Changed, written: Any, seconds: float) -> None:
    assert (
        spec_from_mapping(changed({"retry.timeout": 1, "retry.deadline": "1s", "settle": written})).settle.window
        == seconds
    )


@pytest.mark.parametrize("written", ["soon", "1x", "-1s", "", None, True, float("nan"), float("inf"), "1e9s", [1], {}])
def test_what_is_no_duration_is_refused(faults_of: Faults, written: Any) -> None:
    faults = faults_of({"retry.timeout": written})

    assert len(faults) == 1
    assert faults[0].startswith("retry.timeout: ")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "PayPal, Products!"}, "name: 'PayPal, Products!' is not a run's name: lower-case letters"),
    ({"name": "PayPal, Products!"}, "for example paypal-products"),
    ({"name": "-x"}, "name: '-x' is not a run's name"),
    ({"name": "x" * 49}, "is not a run's name"),
    ({"name": ""}, "name: '' is not a run's name"),
    ({"name": 12}, 'name: must be text, not a number; put it in quotes: "12"'),
    ({"name": None}, "name: is empty"),
    ({"name": ["x"]}, "name: must be text, not a list"),
    ({"style": "modern"}, "style: 'modern' is not known; it is one of tutorial or current"),
    ({"styel": "tutorial"}, "styel: unknown key; did you mean 'style'?"),
    ({"source.kind": "papyal"}, "source.kind: 'papyal' is not known; did you mean 'paypal'?"),
    ({"source.kind": 7}, "source.kind: must be text, not a number"),
    ({"source.table": True}, 'source.table: must be text, not true or false; put it in quotes: "true"'),
    ({"source.delta": {"column": "c", "timezone": "CET"}}, "source.delta.timezone: 'CET' is not possible"),
    ({"source.delta": {}}, "source.delta.column: missing; name the column"),
    ({"source": "paypal"}, "source: must be a mapping (lines of `key: value`), not text"),
    ({"target": None}, "target: is empty; its keys are class, field_groups, fields or dataset"),
    ({"target.class": "profil"}, "target.class: 'profil' is not the id of a class; did you mean profile?"),
    ({"target.class": "_acme.classes.12ab"}, "write its $id, which begins with https://ns.adobe.com/"),
    ({"target.class": "http://ns.adobe.com/acme/classes/12"}, "is not the id of a class"),
    ({"target.class": PROFILE + "-person-details"}, "is a field group, not a class"),
    ({"target.field_groups": [PROFILE]}, "target.field_groups[0]: " + PROFILE + " is a class, not a field group"),
    ({"target.field_groups": "profile-person-details"}, "must be a list (lines of `- ...`), not text"),
    ({"target.fields": {"product": {"name": "strng"}}}, "target.fields.product.name: 'strng' is not known"),
    ({"target.fields": {"product": {}}}, "target.fields.product: has no fields"),
    ({"target.fields": {"a": {"b": "string"}, "a.b": "string"}}, "target.fields.a.b: the field a.b stands twice"),
    ({"target.fields": ["product"]}, "target.fields: must be a mapping"),
    ({"mappings": [{"Product_Id": "_id"}]}, "mappings[0]: a mapping in a list names"),
    ({"mappings": [{"source": "Product_Id"}]}, "mappings[0].to: missing; name the field"),
    ({"mappings": [{"to": "_id"}]}, "mappings[0].source: missing; name the column"),
    ({"mappings": ["Product_Id"]}, "mappings[0]: must be a mapping"),
    ({"mappings": {"Product_Id": 3}}, "mappings.Product_Id: must be text, not a number"),
    ({"mappings": "x"}, "mappings: must be a list"),
    ({"schedule.frequency": "minutes"}, "schedule.frequency: 'minutes' is not known; did you mean 'minute'?"),
    ({"schedule.interval": "x"}, "schedule.interval: 'x' is not a whole number"),
    ({"schedule.interval": True}, "schedule.interval: True is not a whole number"),
    ({"schedule.interval": 30.5}, "schedule.interval: 30.5 is not a whole number"),
    ({"schedule.backfill": "yes"}, "schedule.backfill: 'yes' is neither true nor false"),
    ({"schedule.start": "soon"}, "schedule.start: 'soon' is not a start; write +10m"),
    ({"schedule.start": "2030-01-01T00:00:00"}, "names no time zone; write 2030-01-01T00:00:00Z for UTC"),
    ({"schedule.start": "2030-01-01"}, "names no time zone"),
    ({"schedule.start": True}, "schedule.start: True is not a start"),
    ({"retry.attempts": "no"}, "retry.attempts: 'no' is not a whole number"),
    ({"retry.attempts": 10**5000}, "retry.attempts: a huge number is not a whole number"),
    ({"retry.timeout": 10**5000}, "retry.timeout: a huge number is not a duration"),
    ({"schedule.start": 10**5000}, "schedule.start: a huge number is not a start"),
    ({"source.table": 10**5000}, "source.table: must be text, not a number"),
    ({"retry.attemps": 3}, "retry.attemps: unknown key; did you mean 'attempts'?"),
    ({"settle.windw": 3}, "settle.windw: unknown key; did you mean 'window'?"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "says"), WRONG)
def test_each_wrong_value_is_one_fault_that_says_what_would_be_right(
    faults_of: Faults, changes: dict[str, Any], says: str
) -> None:
    changes = {"mappings": [{"source": "Product_Id", "to": "_id"}], **changes}

    faults = faults_of(changes)

    assert len(faults) == 1, faults
    assert says in faults[0]


# What is a matter of values that mean something together, which a schema does not say.
NOT_OF_SHAPE = ("'papyal' is not known", "the field a.b stands twice")


@pytest.mark.parametrize(
    "changes", [changes for changes, says in WRONG if not any(known in says for known in NOT_OF_SHAPE)]
)
def test_the_schema_for_editors_refuses_each_wrong_shape_too(
    changed: Changed, changes: dict[str, Any], schema: Draft202012Validator
) -> None:
    large = {path: 10**30 for path, value in changes.items() if isinstance(value, int) and value > 10**30}
    changes = {
        "mappings": [{"source": "Product_Id", "to": "_id"}],
        **changes,
        **large,
    }  # the oracle prints what it sees

    assert schema.is_valid(changed({}))
    assert not schema.is_valid(changed(changes))


@pytest.mark.parametrize(
    "key", ["name", "source", "target", "mappings", "schedule", "source.kind", "source.connection", "source.table"]
)
def test_a_missing_part_is_one_fault_that_says_what_to_write(faults_of: Faults, gone: object, key: str) -> None:
    faults = faults_of({key: gone})

    assert len(faults) == 1, faults
    assert faults[0].startswith(f"{key}: missing; ")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schedule.startTime": 1893456000}, "schedule.startTime: unknown key; here it is called `start`"),
        ({"schedule.endTime": 1893456000}, "schedule.endTime: unknown key; schedules have no end time any more"),
        ({"scheduleParams": {}}, "scheduleParams: unknown key; here it is called `schedule`"),
        ({"source.connectionSpec": "x"}, "source.connectionSpec: unknown key; it follows from `kind`"),
        ({"source.baseConnectionId": "x"}, "write `connection: {id: ...}`"),
        ({"source.tableName": "x"}, "here it is called `table`"),
        ({"target.allOf": []}, "write `class` and `field_groups`"),
        ({"target.mixins": []}, "here it is called `field_groups`"),
        ({"sandbox": "dev"}, "set FLOWLEDGER_SANDBOX"),
    ],
)
def test_the_platforms_own_words_are_answered_with_ours(faults_of: Faults, changes: dict[str, Any], says: str) -> None:
    faults = faults_of(changes)

    assert len(faults) == 1, faults
    assert says in faults[0]


def test_the_value_under_a_misspelt_key_is_judged_too(faults_of: Faults, gone: object) -> None:
    faults = faults_of({"schedule": {"frequency": "minute", "intervall": 3}})

    assert any(fault.startswith("schedule.intervall: unknown key") for fault in faults)
    assert any(fault.startswith("schedule.intervall: 3 is too short") for fault in faults)
    assert len(faults) == 2


def test_a_field_group_named_twice_is_sent_once_and_said(write: Callable[[str], Path]) -> None:
    loaded = load_spec(
        write(FILE.replace("[profile-person-details]", f"[profile-person-details, {PROFILE}-person-details]"))
    )

    assert loaded.spec.target.field_groups == (PROFILE + "-person-details",)
    assert len(loaded.warnings) == 1
    assert "target.field_groups[1]: is the same field group as [0]" in loaded.warnings[0]


FILE = """\
name: paypal-products
source:
  kind: paypal
  connection:
    params:
      clientId: abc
      clientSecret: {file: secrets/paypal}
  table: PayPal.Catalog_Products
  delta: Create_Time
target:
  field_groups: [profile-person-details]
  fields:
    product: {name: string}
mappings:
  Product_Id: _id
  Product_Name: product.name
schedule: {frequency: minute, interval: 30}
"""


def test_relative_secret_files_count_from_the_specs_folder(
    write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(FILE)
    monkeypatch.chdir(tmp_path)

    by_name, by_path = load_spec(Path(path.name)).spec, load_spec(path).spec

    assert by_name == by_path
    secret = by_path.source.connection.params["clientSecret"]
    assert secret == SecretRef(file="secrets/paypal"), "as it is written"
    assert by_path.folder == os.fspath(tmp_path)
    complete_params = complete(by_path)["source"]["connection"]["params"]
    assert complete_params["clientSecret"]["file"] == os.fspath(tmp_path / "secrets" / "paypal")


def test_a_home_folder_in_a_secrets_path_is_understood(changed: Changed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")

    spec = spec_from_mapping(changed({"source.connection.params.clientSecret": {"file": "~/paypal"}}))

    assert spec.source.connection.params["clientSecret"] == SecretRef(file="~/paypal")
    assert complete(spec)["source"]["connection"]["params"]["clientSecret"]["file"] == "/home/someone/paypal"


@pytest.mark.parametrize("command", ["pass show 'pay pal'", ["pass", "show", "pay pal"]])
def test_a_secret_command_is_words(changed: Changed, command: Any) -> None:
    spec = spec_from_mapping(changed({"source.connection.params.clientSecret": {"command": command}}))

    assert spec.source.connection.params["clientSecret"] == SecretRef(command=("pass", "show", "pay pal"))


def test_every_fault_names_file_line_and_column_in_the_order_of_the_file(write: Callable[[str], Path]) -> None:
    path = write(
        FILE.replace("kind: paypal", "kind: papyal")
        .replace("delta: Create_Time", "dleta: Create_Time")
        .replace("product: {name: string}", "product: {name: strng}")
        .replace("Product_Id: _id", "Product_Id: 7")
        .replace("interval: 30", "interval: 3")
    )

    with pytest.raises(SpecError) as caught:
        load_spec(path)

    assert caught.value.message == f"{path}: the spec has 5 faults"
    assert [fault.split(": ")[0] for fault in caught.value.faults] == [
        f"{path}:3:9 source.kind",
        f"{path}:9:3 source.dleta",
        f"{path}:13:21 target.fields.product.name",
        f"{path}:15:15 mappings.Product_Id",
        f"{path}:17:41 schedule.interval",
    ]


def test_something_missing_is_placed_at_the_key_it_is_missing_under(write: Callable[[str], Path]) -> None:
    path = write(FILE.replace("  table: PayPal.Catalog_Products\n", "").replace("name: paypal-products\n", ""))

    with pytest.raises(SpecError) as caught:
        load_spec(path)

    assert [fault.split("; ")[0] for fault in caught.value.faults] == [
        f"{path}:1:1 name: missing",
        f"{path}:1:1 source.table: missing",
    ]


def test_own_fields_without_a_name_are_told_and_not_mixed_up(faults_of: Faults) -> None:
    fields = {"": {"": "strng", "a": "strng"}, "a": {"": "strng"}}

    faults = faults_of({"target.fields": fields, "mappings": {"a": "_id"}})

    assert [fault.split(": ")[0] for fault in faults if "strng" in fault] == [
        "target.fields..",
        "target.fields..a",
        "target.fields.a.",
    ]


@pytest.mark.parametrize("value", [None, 7, "name: x", ["name"]])
def test_what_is_no_mapping_is_no_spec(value: Any) -> None:
    with pytest.raises(SpecError, match="the spec must be a mapping"):
        spec_from_mapping(value)


def test_own_fields_that_contain_themselves_are_refused(faults_of: Faults) -> None:
    fields: dict[str, Any] = {}
    fields["again"] = fields

    assert any(
        "nested deeper than" in fault for fault in faults_of({"target.fields": fields, "mappings": {"a": "_id"}})
    )


def test_a_model_survives_its_journey_through_the_journal(changed: Changed) -> None:
    spec = spec_from_mapping(changed({"settle": "1s", "schedule.start": 1893456000}))

    assert Spec.model_validate_json(spec.model_dump_json()) == spec
    assert Spec.model_validate(spec.model_dump(mode="json")) == spec
    assert Spec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec


def test_a_finished_spec_is_a_spec_in_every_form(changed: Changed) -> None:
    spec = spec_from_mapping(changed({}))

    for dumped in (spec.model_dump(mode="json", by_alias=True), spec.model_dump(by_alias=True, exclude_none=True)):
        assert spec_from_mapping(dumped) == spec
