"""The spec to begin with and the examples: they work as they are, and they are what they say."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from flowledger.engine.specfile import load_spec
from flowledger.engine.starter import PLACEHOLDER, starter
from flowledger.engine.table import TABLES
from flowledger.errors import SpecError, UsageError
from flowledger.steps.spec import Delta, Mapping, Retry, Schedule, SecretRef, Settle

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = 1_800_000_000.0


def write_starter(folder: Path) -> Path:
    files = starter("paypal", folder)
    for name, (text, mode) in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    return folder / next(iter(files))


def test_the_starter_is_the_tutorials_dataflow_with_its_slips_put_right(tmp_path: Path) -> None:
    loaded = load_spec(write_starter(tmp_path), now=NOW, base_url="https://platform.adobe.io")
    spec = loaded.spec

    (ends,) = loaded.warnings
    assert "announced the end of the source PayPal" in ends
    assert spec.source.table == "PayPal.Catalog_Products"
    assert spec.source.delta == Delta(column="Create_Time", date_format="yyyy-MM-dd HH:mm:ss")
    assert spec.target.class_ == "https://ns.adobe.com/xdm/context/profile"
    assert spec.target.field_groups == (
        "https://ns.adobe.com/xdm/context/profile-person-details",
        "https://ns.adobe.com/xdm/context/profile-personal-details",
    )
    assert spec.mappings == (
        Mapping(source="Product_Id", to="_id"),
        Mapping(source="Product_Name", to="product.name"),
        Mapping(source="Description", to="product.description"),
        Mapping(source="Type", to="product.type"),
    )
    assert spec.target.fields == dict.fromkeys(("product.name", "product.description", "product.type"), "string")
    assert spec.schedule == Schedule(frequency="minute", interval=30, start="+10m", backfill=True)


def test_what_the_starter_calls_defaults_are_the_defaults(tmp_path: Path) -> None:
    spec = load_spec(write_starter(tmp_path)).spec

    assert spec.retry == Retry()
    assert spec.settle == Settle()


def test_the_starters_secret_lies_beside_it_for_its_owner_only(tmp_path: Path) -> None:
    spec = load_spec(write_starter(tmp_path)).spec

    secret = spec.source.connection.params["clientSecret"]
    assert secret == SecretRef(file="secrets/paypal-client-secret")
    path = tmp_path / "secrets" / "paypal-client-secret"
    assert path.read_text() == PLACEHOLDER + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_that_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "paypal-client-secret").write_text("a real one")

    assert list(starter("paypal", tmp_path)) == ["paypal-products.yaml"]


def test_the_starter_names_the_file_it_is_written_to(tmp_path: Path) -> None:
    text, _ = starter("paypal", tmp_path, file="mine.yaml")["mine.yaml"]

    assert "flowledger apply mine.yaml" in text
    assert "FILE " not in text


def test_a_kind_without_a_starter_is_refused_with_the_kinds_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'papyal' is not known; did you mean 'paypal'") as caught:
        starter("papyal", tmp_path)

    assert caught.value.hint == "flowledger init paypal"


def test_the_example_is_the_starter_with_the_emulators_window() -> None:
    text, _ = starter("paypal", Path("nowhere"), emulator=True)["paypal-products.yaml"]

    assert (EXAMPLES / "paypal-products.yaml").read_text() == text
    assert (EXAMPLES / "secrets" / "paypal-client-secret").read_text() == PLACEHOLDER + "\n"


def test_the_example_of_the_current_style_says_what_the_starter_says_under_a_name_of_its_own() -> None:
    name = "paypal-products-current"
    text = next(iter(starter("paypal", Path("nowhere"), emulator=True, style="current").values()))[0]
    example = EXAMPLES / f"{name}.yaml"

    assert yaml.safe_load(example.read_text()) == {**yaml.safe_load(text), "name": name}
    loaded = load_spec(example, now=NOW)
    assert (loaded.warnings, loaded.spec.style, loaded.spec.name) == ((), "current", name)


@pytest.mark.parametrize("style", TABLES)
def test_the_starter_is_of_the_style_that_is_asked_for(tmp_path: Path, style: str) -> None:
    text = next(iter(starter("paypal", tmp_path, style=style).values()))[0]
    (tmp_path / "spec.yaml").write_text(text)

    assert load_spec(tmp_path / "spec.yaml").spec.style == style


def test_a_style_that_there_is_not_has_no_starter(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no style 'baroque'"):
        starter("paypal", tmp_path, style="baroque")


def test_the_example_loads_without_warnings() -> None:
    loaded = load_spec(EXAMPLES / "paypal-products.yaml", now=NOW)

    assert loaded.warnings == ()
    assert loaded.spec.settle == Settle(window=1.0)


def test_the_example_warns_when_it_is_used_against_adobe() -> None:
    loaded = load_spec(EXAMPLES / "paypal-products.yaml", now=NOW, base_url="https://platform.adobe.io")

    ends, window = loaded.warnings
    assert "announced the end of the source PayPal" in ends
    assert "an object could be made twice" in window


def test_every_slip_of_the_tutorial_is_refused_in_a_line_of_its_own() -> None:
    path = EXAMPLES / "tutorial-as-written.yaml"
    lines = path.read_text().splitlines()

    with pytest.raises(SpecError) as caught:
        load_spec(path, now=NOW)

    told = [fault.removeprefix(f"{path}:").split(": ")[0] for fault in caught.value.faults]
    assert [place.split(" ")[1] for place in told] == [
        "name",
        "source.path",
        "source.connectionSpec",
        "source.delta.date_format",
        "mappings[1].to",
        "mappings[2].to",
        "mappings[3].sourceAttribute",
        "mappings[3].destinationXdmPath",
        "mappings[3].destinationXdmPath",
        "schedule.startTime",
        "schedule.startTime",
        "schedule.endTime",
    ]
    for place in told:
        where, key = place.split(" ")
        line, column = (int(part) for part in where.split(":"))
        assert column <= len(lines[line - 1])
        assert key.rsplit(".", 1)[-1] in lines[line - 1]


def test_docs_name_every_key_of_the_model() -> None:
    text = (EXAMPLES.parent / "docs" / "spec.md").read_text()
    spec = load_spec(EXAMPLES / "paypal-products.yaml").spec

    def keys(value: object, path: str) -> list[str]:
        if not isinstance(value, dict) or path in ("target.fields", "source.connection.params"):
            return [path]
        return [
            path,
            *(key for name, inner in value.items() for key in keys(inner, f"{path}.{name}" if path else name)),
        ]

    missing = [path for path in keys(spec.model_dump(by_alias=True), "")[1:] if f"`{path}`" not in text]
    assert missing == []
