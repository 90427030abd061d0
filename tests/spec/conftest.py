"""A spec that is right, and ways to make it wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flowledger.engine.specfile import load_spec, spec_from_mapping
from flowledger.engine.specschema import spec_schema
from flowledger.errors import SpecError

GOOD: dict[str, Any] = {
    "name": "paypal-products",
    "source": {
        "kind": "paypal",
        "connection": {"params": {"clientId": "abc", "clientSecret": {"env": "PAYPAL_SECRET"}}},
        "table": "PayPal.Catalog_Products",
        "delta": {"column": "Create_Time"},
    },
    "target": {
        "field_groups": ["profile-person-details", "profile-personal-details"],
        "fields": {"product": {"name": "string", "description": "string", "type": "string"}},
        "dataset": {"title": "PayPal products"},
    },
    "mappings": [
        {"source": "Product_Id", "to": "_id"},
        {"source": "Product_Name", "to": "product.name"},
    ],
    "schedule": {"frequency": "minute", "interval": 30},
}

GONE = object()


@pytest.fixture
def gone() -> object:
    """A value for `changed` that takes the key out."""
    return GONE


@pytest.fixture
def changed() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The right spec as a mapping, with the values at some dotted paths replaced."""

    def change(changes: Mapping[str, Any]) -> dict[str, Any]:
        spec: dict[str, Any] = copy.deepcopy(GOOD)
        for path, value in changes.items():
            *above, last = path.split(".")
            part = spec
            for key in above:
                part = part.setdefault(key, {})
            if value is GONE:
                del part[last]
            else:
                part[last] = value
        return spec

    return change


@pytest.fixture
def faults_of(changed: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Callable[..., tuple[str, ...]]:
    """The faults of the right spec with some values replaced; () if it is still right."""

    def faults(changes: Mapping[str, Any], *, now: float | None = None) -> tuple[str, ...]:
        try:
            spec_from_mapping(changed(changes), now=now)
        except SpecError as error:
            return error.faults
        return ()

    return faults


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a spec file."""

    def write_file(content: str | bytes) -> Path:
        path = tmp_path / "spec.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def refused(write: Callable[[str | bytes], Path]) -> Callable[[str | bytes], SpecError]:
    """The error with which a file of that content is refused."""

    def refuse(content: str | bytes) -> SpecError:
        with pytest.raises(SpecError) as caught:
            load_spec(write(content))
        return caught.value

    return refuse


@pytest.fixture(scope="session")
def schema() -> Draft202012Validator:
    """The JSON Schema of a spec file."""
    document = spec_schema()
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)
