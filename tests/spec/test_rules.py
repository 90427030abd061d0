"""What a spec decides by itself is decided offline: the rules of platform-api.md §11 and §12."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowledger.engine.specfile import judge, load_spec, spec_from_mapping
from flowledger.errors import SpecError
from flowledger.steps.spec import BaseConnection, Source, Spec
from flowledger.steps.xdm_paths import undecided_paths

Changed = Callable[[Mapping[str, Any]], dict[str, Any]]
Faults = Callable[..., tuple[str, ...]]

BASE_ID = "24151d58-ffa7-4960-951d-58ffa7396097"
FOREIGN = "https://ns.adobe.com/acme/mixins/0123456789abcdef"
FOREIGN_CLASS = "https://ns.adobe.com/acme/classes/0123456789abcdef"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
PARAMS = "source.connection.params"


def one(faults: tuple[str, ...]) -> str:
    assert len(faults) == 1, faults
    return faults[0]


# -- base connection


def test_an_existing_base_connection_is_named_by_its_id(changed: Changed) -> None:
    spec = spec_from_mapping(changed({"source.connection": {"id": BASE_ID}}))

    assert spec.source.connection == BaseConnection(id=BASE_ID)


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        ({"id": "abc"}, "source.connection.id: 'abc' is not the id of a base connection"),
        ({"id": BASE_ID, "params": {"clientId": "x"}}, "source.connection.params: goes with a connection to create"),
        (
            {"id": BASE_ID, "auth": "Client-Id-Secret Based Authentication"},
            "source.connection.auth: goes with a connection",
        ),
        ({}, "source.connection: has neither `id` nor `params`"),
        ({"auth": "Client-Id-Secret Based Authentication"}, "source.connection: has neither `id` nor `params`"),
        (
            {"auth": "Basic", "params": {"clientId": "x", "clientSecret": {"env": "X"}}},
            "source.connection.auth: 'Basic' is not",
        ),
    ],
)
def test_a_base_connection_is_either_made_or_adopted(faults_of: Faults, connection: Any, says: str) -> None:
    assert says in one(faults_of({"source.connection": connection}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({PARAMS: {"clientSecret": {"env": "X"}}}, f"{PARAMS}.clientId: missing; give the client id"),
        ({PARAMS: {"clientId": "x"}}, "clientSecret: missing; give the client secret of the PayPal app, by reference"),
        ({f"{PARAMS}.clientID": "x"}, f"{PARAMS}.clientID: unknown parameter of PayPal; did you mean 'clientId'?"),
        ({f"{PARAMS}.zzz": "x"}, "its parameters are host, clientId or clientSecret"),
        ({f"{PARAMS}.clientId": " "}, f"{PARAMS}.clientId: is empty"),
        ({f"{PARAMS}.clientId": None}, f"{PARAMS}.clientId: is empty"),
        ({f"{PARAMS}.host": "a\nb"}, f"{PARAMS}.host: holds a line break"),
        ({f"{PARAMS}.clientSecret": {}}, f"{PARAMS}.clientSecret: a reference to a secret has exactly one"),
        ({f"{PARAMS}.clientSecret": {"env": "A", "file": "b"}}, "clientSecret: a reference to a secret has exactly"),
        ({f"{PARAMS}.clientSecret": {"evn": "A"}}, f"{PARAMS}.clientSecret.evn: unknown key; did you mean 'env'?"),
        ({f"{PARAMS}.clientSecret": {"env": "not a name"}}, "clientSecret.env: is not the name of an environment"),
        ({f"{PARAMS}.clientSecret": {"file": ""}}, f"{PARAMS}.clientSecret.file: is not a file's path"),
        ({f"{PARAMS}.clientSecret": {"file": "~nobody-of-that-name/x"}}, "clientSecret.file: names a home folder"),
        ({f"{PARAMS}.clientSecret": {"command": []}}, f"{PARAMS}.clientSecret.command: is not a command"),
        ({f"{PARAMS}.clientSecret": {"command": "pass 'x"}}, f"{PARAMS}.clientSecret.command: is not a command"),
        ({f"{PARAMS}.clientSecret": {"command": ["pass", 3]}}, f"{PARAMS}.clientSecret.command: is not a command"),
    ],
)  # fmt: skip
def test_the_parameters_are_those_of_the_kind(faults_of: Faults, changes: dict[str, Any], says: str) -> None:
    assert says in one(faults_of(changes))


def test_a_plain_parameter_may_be_a_reference_too(faults_of: Faults) -> None:
    assert faults_of({f"{PARAMS}.clientId": {"env": "PAYPAL_CLIENT_ID"}}) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {f"{PARAMS}.clientSecret": "hunter2"},
        {f"{PARAMS}.clientSecret": 4711_4711},
        {f"{PARAMS}.clientSecret": ["hunter2"]},
        {f"{PARAMS}.clientSecret": {"env": "hunter2!"}},
        {f"{PARAMS}.clientSecret": {"value": "hunter2"}},
        {f"{PARAMS}.clientSecret": {"command": "hunter2 '"}},
        {f"{PARAMS}.client_secret": "hunter2"},
        {PARAMS: "hunter2"},
        {"source.connection.clientSecret": "hunter2"},
        {"clientSecret": "hunter2"},
    ],
)
def test_a_secret_in_the_spec_is_refused_and_never_repeated(changed: Changed, changes: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        spec_from_mapping(changed(changes))

    told = (
        f"{caught.value} {caught.value.faults} {caught.value.hint} {caught.value.__cause__} {caught.value.__context__}"
    )
    assert "hunter2" not in told
    assert "47114711" not in told


def test_a_secret_in_a_spec_built_by_a_program_is_refused_too(changed: Changed) -> None:
    spec = spec_from_mapping(changed({}))
    leaky = BaseConnection(params={"clientId": "x", "clientSecret": "hunter2"})

    with pytest.raises(SpecError) as caught:
        judge(spec.model_copy(update={"source": spec.source.model_copy(update={"connection": leaky})}))

    assert "a secret must not stand in the spec" in one(caught.value.faults)
    assert "hunter2" not in one(caught.value.faults)


def test_the_models_own_errors_do_not_repeat_what_was_typed() -> None:
    with pytest.raises(ValueError, match="connection") as caught:
        Source.model_validate({"kind": "paypal", "table": "t", "connection": {"params": {"clientSecret": 47114711}}})

    assert "47114711" not in str(caught.value)


# -- table and delta


@pytest.mark.parametrize("pattern", ["YYYY-MM-DD", "YYYY-MM-dd", "yyyy-MM-DD HH:mm:ss"])
def test_the_week_year_and_the_day_of_the_year_are_refused_with_the_right_pattern(
    faults_of: Faults, pattern: str
) -> None:
    fault = one(faults_of({"source.delta": {"column": "Create_Time", "date_format": pattern}}))

    assert fault.startswith(f"source.delta.date_format: '{pattern}' does not mean what it seems to")
    assert "yyyy-MM-dd HH:mm:ss" in fault


@pytest.mark.parametrize("pattern", ["ISO", "dd.MM", "", "%Y-%m-%d", "'yyyy-MM-dd'"])
def test_what_is_no_dates_pattern_is_refused(faults_of: Faults, pattern: str) -> None:
    assert one(faults_of({"source.delta": {"column": "c", "date_format": pattern}})).startswith(
        "source.delta.date_format: "
    )


def test_another_pattern_than_the_kinds_is_a_warning(changed: Changed) -> None:
    spec = spec_from_mapping(changed({"source.delta": {"column": "c", "date_format": "yyyy-MM-dd'T'HH:mm:ss'D'"}}))

    assert "PayPal writes its times as yyyy-MM-dd HH:mm:ss" in one(judge(spec))


@pytest.mark.parametrize(
    ("path", "name"),
    [("source.table", " x"), ("source.table", "x ")]
    + [
        (path, name)
        for path in ("source.table", "source.delta.column", "mappings.0.source")
        for name in ("", " ", "a\nb", "a\x00b", "\ud800")
    ],
)
def test_names_of_tables_and_columns_are_one_clean_line(changed: Changed, path: str, name: str) -> None:
    made = changed({}) if path.startswith("mappings") else changed({path: name})
    if path.startswith("mappings"):
        made["mappings"][0]["source"] = name

    with pytest.raises(SpecError) as caught:
        spec_from_mapping(made)

    assert len(caught.value.faults) == 1


# -- target


def test_own_fields_get_the_tenant_prefix_later_and_others_do_not(changed: Changed) -> None:
    target = spec_from_mapping(changed({})).target

    assert target.path_of("product.name", "acme") == "_acme.product.name"
    assert target.path_of("person.name.firstName", "acme") == "person.name.firstName"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"_acme.product.name": "string"}, "_acme looks like a tenant prefix; write product.name: the prefix is added"),
        ({"_acme": {"product": "string"}}, "_acme looks like a tenant prefix"),
        ({"_product": "string"}, "'_product' is not a field's name: it has letters, digits, '-' and '_'"),
        ({"pro duct": "string"}, "'pro duct' is not a field's name"),
        ({"product": {"näme": "string"}}, "'näme' is not a field's name"),
        ({"product..name": "string"}, "'' is not a field's name"),
        ({"": "string"}, "'' is not a field's name"),
        ({"xdm:product.name": "string"}, "the prefix `xdm:` is not written here; write product.name"),
        ({"product": "string", "product.name": "string"}, "product is a string and cannot hold fields"),
        ({"person.nick": "string"}, "person is a field of the class or of a field group already"),
        ({"personID": "string"}, "personID is a field of the class or of a field group already"),
        ({"createdByBatchID": "string"}, "already"),
    ],
)
def test_own_fields_have_names_that_the_registry_takes(faults_of: Faults, fields: dict[str, Any], says: str) -> None:
    assert says in one(faults_of({"target.fields": fields, "mappings": [{"source": "Product_Id", "to": "_id"}]}))


def test_an_own_field_may_have_the_name_of_a_group_that_is_not_used(faults_of: Faults) -> None:
    assert (
        faults_of({"target.field_groups": [], "target.fields": {"person": "string"}, "mappings": {"a": "person"}}) == ()
    )


@pytest.mark.parametrize("title", ["a, b", 'a "b"', "a*", "!a", "a=b", "a\nb", "a\\b", "x" * 201])
def test_a_dataset_title_is_one_that_catalog_can_search_for(faults_of: Faults, title: str) -> None:
    assert one(faults_of({"target.dataset.title": title})).startswith("target.dataset.title: ")


def test_a_description_may_have_lines_and_commas_but_no_control_characters(faults_of: Faults) -> None:
    assert faults_of({"target.dataset.description": "one, two\nthree"}) == ()
    assert "control character" in one(faults_of({"target.dataset.description": "a\x07"}))


def test_a_group_that_is_meant_for_another_class_is_a_warning(changed: Changed) -> None:
    spec = spec_from_mapping(changed({"target.class": FOREIGN_CLASS}))

    assert [warning.split(":")[0] for warning in judge(spec)] == ["target.field_groups[0]", "target.field_groups[1]"]


def test_an_id_of_adobes_that_is_nearly_a_known_one_is_a_warning(changed: Changed) -> None:
    spec = spec_from_mapping(changed({"target.field_groups": [f"{PROFILE}-persons-details"]}))

    assert f"did you mean {PROFILE}-person-details?" in one(judge(spec))


# -- events

EVENT = "https://ns.adobe.com/xdm/context/experienceevent"
EVENT_MAPPINGS = {"Id": "_id", "At": "timestamp", "Kind": "eventType"}


@pytest.mark.parametrize("written", ["experienceevent", "_xdm.context.experienceevent", EVENT])
def test_a_spec_of_events_names_their_class(changed: Changed, written: str) -> None:
    spec = spec_from_mapping(changed({"target.class": written, "target.field_groups": [], "mappings": EVENT_MAPPINGS}))

    assert spec.target.class_ == EVENT
    assert undecided_paths(spec) == ()


@pytest.mark.parametrize("written", ["profile", "_xdm.context.profile", PROFILE])
def test_the_class_profile_written_out_is_the_default(changed: Changed, written: str) -> None:
    assert spec_from_mapping(changed({"target.class": written})) == spec_from_mapping(changed({}))


@pytest.mark.parametrize(
    ("left_out", "says"),
    [
        (["timestamp"], "requires timestamp, and no mapping leads there"),
        (["_id"], "requires _id, and no mapping leads there"),
        (["_id", "timestamp"], "requires _id and timestamp, and no mapping leads there"),
    ],
)
def test_mappings_of_events_lead_to_id_and_timestamp(faults_of: Faults, left_out: list[str], says: str) -> None:
    mappings = {column: to for column, to in EVENT_MAPPINGS.items() if to not in left_out}
    events = {"target.class": "experienceevent", "target.field_groups": [], "mappings": mappings}

    fault = one(faults_of(events))

    assert fault.startswith("mappings: XDM ExperienceEvent " + says)
    assert f"to: {left_out[0]}" in fault


def test_a_wrong_destination_of_an_event_is_one_fault(faults_of: Faults) -> None:
    mappings = {"Id": "_id", "At": "timestmp"}
    events = {"target.class": "experienceevent", "target.field_groups": [], "mappings": mappings}

    assert "did you mean timestamp?" in one(faults_of(events))


def test_profiles_require_no_field(faults_of: Faults) -> None:
    assert faults_of({"mappings": {"Name": "product.name"}}) == ()


@pytest.mark.parametrize("field", ["personID", "person.name.firstName"])
def test_an_event_has_no_fields_of_profiles(faults_of: Faults, field: str) -> None:
    mappings = {**EVENT_MAPPINGS, "Name": field}
    events = {"target.class": "experienceevent", "target.field_groups": [], "mappings": mappings}

    assert f"{field} is no field of the class" in one(faults_of(events))


def test_a_field_group_for_profiles_alone_is_warned_of_with_events(changed: Changed) -> None:
    groups = ["profile-person-details", "profile-personal-details"]
    made = changed({"target.class": "experienceevent", "target.field_groups": groups, "mappings": EVENT_MAPPINGS})

    warning = one(judge(spec_from_mapping(made)))

    assert warning.startswith("target.field_groups[0]: Demographic Details is meant for")
    assert f"not for the class {EVENT}" in warning


# -- mappings


@pytest.mark.parametrize(
    "to",
    ["_id", "personID", "createdByBatchID", "_repo.createDate", "person.name.firstName", "person.birthYear",
     "homeAddress.street4", "personalEmail.address", "mobilePhone.number", "product.name"],
)  # fmt: skip
def test_a_destination_is_a_leaf_of_class_groups_or_own_fields(faults_of: Faults, to: str) -> None:
    assert faults_of({"mappings": {"Product_Id": to}}) == ()


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("colour", "colour is no field of the class, of the field groups or of the own fields; add it as an own"),
        ("product.nme", "did you mean product.name?"),
        ("person.name.firstNam", "did you mean person.name.firstName?"),
        ("person.name", "person.name is an object; a column goes into one field of it; for example person.name."),
        ("product", "a column goes into one field of it; for example product.name"),
        ("_acme.product.name", "an own field is written without the tenant prefix _acme; write product.name"),
        ("_acme.colour", "if _acme is the tenant prefix: add colour under target.fields"),
        ("xdm:person.xdm:name.xdm:firstName", "write person.name.firstName"),
        ("@id", "write _id"),
        ("_id.x", "_id is a single value and has no fields; write _id"),
        ("", "is empty"),
        (" _id", "begins or ends with a space; write '_id'"),
        ("timestamp", "timestamp is no field"),
    ],
)  # fmt: skip
def test_a_destination_that_is_no_leaf_is_refused_with_what_would_be_right(
    faults_of: Faults, to: str, says: str
) -> None:
    assert says in one(faults_of({"mappings": [{"source": "Product_Id", "to": to}]}))


def test_the_tutorials_own_mapping_is_refused_without_own_fields(faults_of: Faults, gone: object) -> None:
    faults = faults_of(
        {
            "target.fields": gone,
            "mappings": {"Product_Id": "_id", "Product_Name": "product.name", "Description": "product.description"},
        }
    )

    assert [fault.split(":")[0] for fault in faults] == ["mappings.Product_Name", "mappings.Description"]


def test_two_columns_into_one_field_are_refused(faults_of: Faults) -> None:
    faults = faults_of({"mappings": [{"source": "A", "to": "_id"}, {"source": "B", "to": "_id"}]})

    assert "mappings[1].to: _id is filled from A already" in one(faults)


def test_one_column_into_two_fields_is_fine(faults_of: Faults) -> None:
    assert faults_of({"mappings": [{"source": "A", "to": "_id"}, {"source": "A", "to": "personID"}]}) == ()


def test_a_spec_without_mappings_is_refused(faults_of: Faults) -> None:
    assert "mappings: is empty" in one(faults_of({"mappings": []}))


@pytest.mark.parametrize("foreign", [{"target.field_groups": [FOREIGN]}, {"target.class": FOREIGN_CLASS}])
def test_fields_that_only_the_platform_knows_are_left_for_it_to_decide(
    changed: Changed, foreign: dict[str, Any]
) -> None:
    mappings = {"A": "_id", "B": "product.name", "C": "_acme.loyalty.points", "D": "loyalty.level"}

    spec = spec_from_mapping(changed({**foreign, "mappings": mappings}))

    known = () if "target.class" in foreign else ("_id",)
    assert undecided_paths(spec) == tuple(to for to in mappings.values() if to not in (*known, "product.name"))


def test_what_is_decided_without_the_platform_is_refused_beside_foreign_groups_too(faults_of: Faults) -> None:
    foreign = {"target.field_groups": [FOREIGN]}

    assert "is an object" in one(faults_of({**foreign, "mappings": {"A": "product"}}))
    assert "without the tenant prefix" in one(faults_of({**foreign, "mappings": {"A": "_acme.product.name"}}))


def test_without_foreign_groups_nothing_is_undecided(changed: Changed) -> None:
    assert undecided_paths(spec_from_mapping(changed({}))) == ()


def test_a_faulty_field_group_does_not_make_its_fields_faults(faults_of: Faults) -> None:
    faults = faults_of({"target.field_groups": ["profile-person-detail"], "mappings": {"A": "person.name.firstName"}})

    assert one(faults).startswith("target.field_groups[0]: ")


# -- patience


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"settle": 0}, "settle.window: 0 seconds is out of bounds"),
        ({"settle": {"send_within": 0}}, "settle.send_within: 0 seconds is out of bounds"),
        ({"settle": {"send_within": "1h"}}, "settle.send_within: 3600 seconds is out of bounds"),
        ({"retry.attempts": 0}, "retry.attempts: 0 is out of bounds; write 1 to 100"),
        ({"retry.attempts": 1000}, "retry.attempts: 1000 is out of bounds"),
        ({"retry.deadline": 0}, "retry.deadline: 0 seconds is out of bounds"),
        ({"retry.timeout": 0}, "retry.timeout: 0 seconds is out of bounds"),
        (
            {"retry": {"first_wait": "2m", "longest_wait": "1m"}},
            "retry.first_wait: 120 s is longer than longest_wait, 60 s",
        ),
    ],
)
def test_patience_has_bounds(faults_of: Faults, changes: dict[str, Any], says: str) -> None:
    fault = one(faults_of(changes))

    assert says.split(": ", 1)[1] in fault


def line_of(path: Path, text: str) -> int:
    """The number of the first line that holds the text."""
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def of_adobe(spec: Spec) -> str:
    """The one warning that a spec gets for Adobe's servers beside the end of its source; "" if there is none."""
    warnings = [one for one in judge(spec, base_url="https://platform.adobe.io/") if "announced the end" not in one]
    return one(tuple(warnings)) if warnings else ""


def test_a_window_shorter_than_adobe_needs_is_a_warning_there_and_not_on_an_emulator(changed: Changed) -> None:
    spec = spec_from_mapping(changed({"settle": "74s"}))

    assert "settle.window" in of_adobe(spec)
    assert judge(spec, base_url="http://127.0.0.1:8080") == ()
    assert judge(spec, base_url="https://adobe.io.example.com") == ()
    assert judge(spec) == ()
    assert of_adobe(spec_from_mapping(changed({"settle": "75s"}))) == ""


def test_a_timeout_shorter_than_the_gateways_is_a_warning_at_adobe(changed: Changed) -> None:
    spec = spec_from_mapping(changed({"retry": {"timeout": "30s"}}))

    assert "retry.timeout" in of_adobe(spec)


def test_warnings_have_their_place(write: Callable[[str], Path], changed: Changed) -> None:
    path = write("settle: 1s\n" + yaml.safe_dump(changed({})))

    loaded = load_spec(path, base_url="https://platform.adobe.io")

    assert [warning.split(": ")[0] for warning in loaded.warnings] == [
        f"{path}:{line_of(path, 'kind:')}:9 source.kind",
        f"{path}:1:9 settle",
    ]


def test_a_right_model_has_neither_faults_nor_warnings(changed: Changed) -> None:
    assert judge(Spec.model_validate(spec_from_mapping(changed({})).model_dump())) == ()


# -- models that a program has built: what the file's reader would have caught is caught again


@pytest.mark.parametrize(
    ("where", "change", "says"),
    [
        ("source", {"kind": "stripe"}, "source.kind: stripe is a REST template, not a source of tables"),
        (
            "source",
            {"connection": BaseConnection(auth="Basic", params={"clientId": "x"})},
            "source.connection.auth: 'Basic'",
        ),
        ("target", {"class_": "profile"}, "target.class: 'profile' is not the id of a class"),
        ("target", {"field_groups": (PROFILE,)}, f"target.field_groups[0]: {PROFILE} is a class, not a field group"),
        ("target", {"field_groups": ("acme",)}, "target.field_groups[0]: 'acme' is not the id of a field group"),
        ("schedule", {"start": "tomorrow"}, "schedule.start: 'tomorrow' is not a start"),
    ],
)
def test_a_model_that_was_built_wrong_is_refused(
    changed: Changed, where: str, change: dict[str, Any], says: str
) -> None:
    spec = spec_from_mapping(changed({}))

    with pytest.raises(SpecError) as caught:
        judge(spec.model_copy(update={where: getattr(spec, where).model_copy(update=change)}))

    assert says in one(caught.value.faults)


def test_names_may_be_long_but_not_without_end(faults_of: Faults) -> None:
    assert "is longer than 500 characters" in one(faults_of({"source.table": "x" * 501}))
    assert "is longer than 500 characters" in one(
        faults_of({"target.fields": {"x" * 501: "string"}, "mappings": {"a": "_id"}})
    )
