"""Ids become one segment of a path, or are refused."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.errors import UsageError
from flowledger.steps.client.paths import catalog, conversion, flow_service, registry


def test_each_api_has_its_base() -> None:
    assert registry("/tenant/classes") == "/data/foundation/schemaregistry/tenant/classes"
    assert catalog("/dataSets", "5f1a") == "/data/foundation/catalog/dataSets/5f1a"
    assert flow_service("/connections", "1-2", "test") == "/data/foundation/flowservice/connections/1-2/test"
    assert conversion("mappingSets/validate") == "/data/foundation/conversion/mappingSets/validate"


def test_a_resource_uri_is_encoded_whole() -> None:
    path = registry("/tenant/schemas", "https://ns.adobe.com/acme/schemas/ab12")
    assert path.endswith("/tenant/schemas/https%3A%2F%2Fns.adobe.com%2Facme%2Fschemas%2Fab12")


@pytest.mark.parametrize("id", ["", ".", "..", "a\nb", "a\x00b", "a\r\nHost: evil"])
def test_what_cannot_be_one_segment_is_refused(id: str) -> None:
    with pytest.raises(UsageError):
        catalog("/dataSets", id)


@pytest.mark.parametrize("path", ["/dataSets/../x", "/data sets", "", "/", "/a//b", "/a?b=c", "/a#b", "/%2e%2e"])
def test_the_plain_part_holds_plain_segments_only(path: str) -> None:
    with pytest.raises(UsageError):
        catalog(path)


@given(st.text(min_size=1))
def test_any_id_is_refused_or_comes_back_whole_as_the_last_segment(id: str) -> None:
    try:
        path = catalog("/dataSets", id)
    except UsageError:
        return
    before, _, last = path.rpartition("/")
    assert before == "/data/foundation/catalog/dataSets"
    assert unquote(last) == id
    assert last.isascii()
