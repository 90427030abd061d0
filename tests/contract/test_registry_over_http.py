"""Registry, Catalog and Conversion over a socket, as a client that is not ours meets them: hand-written requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from multidict import CIMultiDictProxy
from yarl import URL

from flowledger.emulator.server import Server

PROFILE = "https://ns.adobe.com/xdm/context/profile"
REGISTRY = "/data/foundation/schemaregistry"
CATALOG = "/data/foundation/catalog"
CONVERSION = "/data/foundation/conversion"

Json = dict[str, Any]


class Plain:
    """Sends what it is told, with the headers of the guides, and reads answers as strictly as they allow."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._headers = {
            "Authorization": f"Bearer {token}",
            "x-api-key": "local-client",
            "x-gw-ims-org-id": "LOCAL@AdobeOrg",
            "x-sandbox-name": "prod",
        }

    async def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, CIMultiDictProxy[str]]:
        sent = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        target = URL(self._url + path, encoded=True)
        async with self._session.request(method, target, headers=sent, json=body) as answer:
            raw = await answer.read()
            value = await answer.json() if raw else None  # refuses anything but application/json
            return answer.status, value, answer.headers


@pytest.fixture
async def plain(served: Server) -> AsyncIterator[Plain]:
    async with aiohttp.ClientSession() as session:
        form = {
            "grant_type": "client_credentials",
            "client_id": "local-client",
            "client_secret": "local-secret",
            "scope": "openid",
        }
        async with session.post(f"{served.url}/ims/token/v3", data=form) as answer:
            token = (await answer.json())["access_token"]
        yield Plain(session, served.url, token)


async def make_schema(plain: Plain) -> Json:
    body = {"title": "over http", "type": "object", "allOf": [{"$ref": PROFILE}]}
    status, schema, _ = await plain.send("POST", f"{REGISTRY}/tenant/schemas", body)
    assert status == 201
    made: Json = schema
    return made


async def test_a_schema_is_made_found_by_its_encoded_id_and_deleted(plain: Plain) -> None:
    schema = await make_schema(plain)
    place = f"{REGISTRY}/tenant/schemas/{quote(schema['$id'], safe='')}"
    accept = "application/vnd.adobe.xed-full+json; version=1"

    status, found, headers = await plain.send("GET", place, Accept=accept)
    assert (status, found["$id"]) == (200, schema["$id"])
    assert headers["x-request-id"]
    status, body, headers = await plain.send("DELETE", place)
    assert (status, body) == (204, None)
    assert "Content-Type" not in headers
    status, problem, _ = await plain.send("GET", place, Accept=accept)
    assert (status, problem["type"].rpartition("/")[2]) == (404, "XDM-1012-404")


async def test_a_filter_with_slashes_and_spaces_survives_the_url(plain: Plain) -> None:
    schema = await make_schema(plain)
    accept = "application/vnd.adobe.xed-id+json"

    for condition in ("title==over http", f"meta:class=={PROFILE}"):
        path = f"{REGISTRY}/tenant/schemas?property={quote(condition, safe='')}"
        _, page, _ = await plain.send("GET", path, Accept=accept)
        assert [entry["$id"] for entry in page["results"]] == [schema["$id"]]


async def test_the_links_of_a_list_lead_back_to_this_server(plain: Plain, served: Server) -> None:
    _, page, _ = await plain.send("GET", f"{REGISTRY}/tenant/classes", Accept="application/vnd.adobe.xed-id+json")

    href = page["_links"]["global_classes"]["href"]
    assert href == f"{served.url}{REGISTRY}/global/classes"


async def test_a_dataset_is_made_where_its_location_says(plain: Plain) -> None:
    schema = await make_schema(plain)
    body = {"name": "d", "schemaRef": {"id": schema["$id"]}}

    status, reference, headers = await plain.send("POST", f"{CATALOG}/dataSets?requestDataSource=true", body)

    assert status == 201
    location = headers["location"]
    assert location.rpartition("/")[2] == reference[0].rpartition("/")[2]
    status, found, headers = await plain.send("GET", location)
    assert (status, list(found)) == (200, [location.rpartition("/")[2]])
    status, _, _ = await plain.send("PATCH", location, {"name": "e"}, If_Match=headers["e-tag"])
    assert status == 200
    status, gone, _ = await plain.send("DELETE", location)
    assert (status, gone) == (200, reference)


async def test_a_mapping_set_is_made_and_deleted(plain: Plain) -> None:
    schema = await make_schema(plain)
    body = {"xdmSchema": schema["$id"], "mappings": [{"destinationXdmPath": "_id", "sourceAttribute": "a"}]}

    status, made, _ = await plain.send("POST", f"{CONVERSION}/mappingSets", body)
    assert status == 200
    status, listed, _ = await plain.send("GET", f"{CONVERSION}/mappingSets?limit=10&start=0")
    assert (status, [entry["id"] for entry in listed["data"]]) == (200, [made["id"]])
    status, valid, _ = await plain.send(
        "POST", f"{CONVERSION}/languages/el/validate", {"expression": {"expression": "concat(a)"}}
    )
    assert (status, valid) == (200, True)
    status, empty, _ = await plain.send("DELETE", f"{CONVERSION}/mappingSets/{made['id']}")
    assert (status, empty) == (204, None)
