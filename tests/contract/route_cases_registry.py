"""The cases of IMS, sandbox management, Schema Registry, Catalog and Data Access."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from tests.contract.plain import CATALOG, EXPORT, REGISTRY, SANDBOXES
from tests.contract.route_cases import UNKNOWN, Case, World, kept, resource_body, right, wrong
from tests.contract.tutorial import IDS, STORED

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DESCRIPTORS = {"Accept": "application/vnd.adobe.xdm+json"}
UNVERSIONED = {"Accept": "application/vnd.adobe.xed+json"}
NEWER = {"Accept": "application/vnd.adobe.xed+json; version=2"}
ABSENT = {
    "classes": "XDM-1010-404",
    "schemas": "XDM-1012-404",
    "fieldgroups": "XDM-1011-404",
    "mixins": "XDM-1011-404",
    "datatypes": "XDM-1013-404",
    "behaviors": "XDM-1016-404",
    "unions": "XDM-1015-404",
}
IN_USE = {"classes": "adhocClass", "schemas": "schema", "fieldgroups": "group", "mixins": "group"}
GLOBAL = {"classes": "_xdm.context.profile", "behaviors": "_xdm.data.record"}
GLOBAL |= dict.fromkeys(("fieldgroups", "mixins"), "_xdm.context.profile-person-details")


def _form(**changed: str) -> bytes:
    fields = {"grant_type": "client_credentials", "client_id": "local-client", "client_secret": "local-secret"}
    return urlencode({**fields, "scope": "openid", **changed}).encode()


def ims() -> Iterator[Case]:
    """Tokens, with each field wrong once (U1)."""
    for version in ("v3", "v2"):
        path = f"/ims/token/{version}"
        yield right("POST", path, body=_form(), headers=FORM)
        for name, code in (
            ("grant_type", "unsupported_grant_type"),
            ("client_id", "invalid_client"),
            ("client_secret", "invalid_client"),
            ("scope", "invalid_scope"),
        ):
            yield wrong("POST", path, f"another {name}", 400, code, body=_form(**{name: "other"}), headers=FORM)
            yield wrong("POST", path, f"no {name}", 400, code, body=_form(**{name: ""}), headers=FORM)


def sandboxes() -> Iterator[Case]:
    """Which there are."""
    for path in (SANDBOXES, f"{SANDBOXES}/sandboxes"):
        yield right("GET", path, query=(("limit", "1"),))
        yield wrong("GET", path, "limit 0", 400, "SMS-400", query=(("limit", "0"),))
        yield wrong("GET", path, "offset no number", 400, "SMS-400", query=(("offset", "x"),))
        yield right("GET", path, why="a condition", query=(("property", "name==dev"), ("orderBy", "desc:name")))
        yield wrong("GET", path, "a condition on nothing", 400, "SMS-400", query=(("property", "colour==red"),))
    types, other = f"{SANDBOXES}/sandboxTypes", {"x-gw-ims-org-id": "OTHER@AdobeOrg"}
    yield right("GET", types)
    yield wrong("GET", types, "another organisation", 403, "403025", headers=other)
    one = f"{SANDBOXES}/sandboxes/{{name}}"
    yield right("GET", one, ids={"name": "dev"})
    yield wrong("GET", one, "unknown", 404, "SMS-404", ids={"name": "nowhere"})


def registry() -> Iterator[Case]:
    """Reads of every kind in both containers, writes of the four kinds, descriptors, stats."""
    yield right("GET", f"{REGISTRY}/stats")
    yield wrong("GET", f"{REGISTRY}/stats", "unknown sandbox", 404, "XDM-404", headers={"x-sandbox-name": "no"})
    for kind in ("classes", "schemas", "fieldgroups", "mixins", "datatypes"):
        for container in ("global", "tenant"):
            yield from _lists(f"{REGISTRY}/{container}/{kind}")
        yield from _writes(kind)
    for container, kind in (("global", "behaviors"), ("tenant", "unions")):
        yield from _lists(f"{REGISTRY}/{container}/{kind}")
    for kind, id in GLOBAL.items():
        yield right("GET", f"{REGISTRY}/global/{kind}/{{id}}", ids={"id": id}, headers=STORED)
    for container, kinds in (("global", [*IN_USE, "datatypes", "behaviors"]), ("tenant", ["unions"])):
        for kind in kinds:
            one = f"{REGISTRY}/{container}/{kind}/{{id}}"
            yield wrong("GET", one, "unknown", 404, ABSENT[kind], ids={"id": "_no"}, headers=STORED)
            yield wrong("GET", one, "no version", 400, "XDM-1007-400", ids={"id": "_no"}, headers=UNVERSIONED)
    yield right("GET", f"{REGISTRY}/tenant/unions/{{id}}", ids={"id": World.union}, headers=STORED)
    yield from _descriptors()
    yield from _procedures()


def _procedures() -> Iterator[Case]:
    schema = {"id": lambda w: w.kept("schema")["meta:altId"]}
    for name in ("export", "sampledata", "auditlog"):
        one = f"{REGISTRY}/rpc/{name}/{{id}}"
        yield right("GET", one, ids=schema)
        yield wrong("GET", one, "unknown", 404, "XDM-1012-404", ids={"id": "_no"})
    for name in ("import", "export"):
        every = f"{REGISTRY}/rpc/{name}"
        yield right("POST", every, body=World.exported, headers={"x-sandbox-name": "dev"})
        for why, sent in (("no array", {}), ("nothing", []), ("no JSON", b"{"), ("no $id", [{"title": "t"}])):
            yield wrong("POST", every, why, 400, "XDM-3005-400", body=sent)
        yield wrong("POST", every, "a $id taken", 400, "XDM-3005-400", body=World.exported)


def _lists(path: str) -> Iterator[Case]:
    yield right("GET", path, headers=IDS, query=(("orderby", "title"), ("limit", "5")))
    yield wrong("GET", path, "no Accept", 400, "XDM-1006-400")
    yield wrong("GET", path, "a version in Accept", 400, "XDM-1006-400", headers=STORED)
    yield wrong("GET", path, "limit 501", 400, "XDM-1500-400", headers=IDS, query=(("limit", "501"),))
    yield wrong("GET", path, "no property", 400, "XDM-1500-400", headers=IDS, query=(("property", "==x"),))


def _writes(kind: str) -> Iterator[Case]:
    every, one = f"{REGISTRY}/tenant/{kind}", f"{REGISTRY}/tenant/{kind}/{{id}}"

    def fresh(world: World) -> str:
        return world.resource(kind)

    def sent(world: World, **changed: Any) -> Any:
        return {**resource_body(world, kind), **changed}

    yield right("POST", every, body=sent, status=201)
    for why, changed in (
        ("no title", {"title": ""}),
        ("another type", {"type": "array"}),
        ("parts of no kind", {"allOf": [{}]}),
        ("an unknown $ref", {"allOf": [{"$ref": "https://ns.adobe.com/none"}]}),
    ):
        yield wrong("POST", every, why, 400, "XDM-1500-400", body=lambda w, c=changed: sent(w, **c))
    yield wrong("POST", every, "no JSON", 400, "XDM-1500-400", body=b"{")
    taken = "XDM-1521-400"
    yield wrong("POST", every, "a title taken", 400, taken, body=lambda w: sent(w, title=w.kept("schema")["title"]))
    yield right("GET", one, ids={"id": fresh}, headers=STORED)
    yield wrong("GET", one, "unknown", 404, ABSENT[kind], ids={"id": "_no"}, headers=STORED)
    yield wrong("GET", one, "no Accept", 400, "XDM-1007-400", ids={"id": fresh})
    yield wrong("GET", one, "a version to come", 406, "XDM-1007-406", ids={"id": fresh}, headers=NEWER)
    patch = [{"op": "add", "path": "/description", "value": "told"}]
    yield right("PATCH", one, ids={"id": fresh}, body=patch)
    yield wrong("PATCH", one, "unknown", 404, ABSENT[kind], ids={"id": "_no"}, body=patch)
    yield wrong("PATCH", one, "no array", 400, "XDM-1500-400", ids={"id": fresh}, body={"op": "add"})
    lost = [{"op": "remove", "path": "/none"}]
    yield wrong("PATCH", one, "a path that is not there", 400, "XDM-1500-400", ids={"id": fresh}, body=lost)
    yield right("PUT", one, ids={"id": fresh}, body=sent)
    yield wrong("PUT", one, "unknown", 404, ABSENT[kind], ids={"id": "_no"}, body=sent)
    yield wrong("PUT", one, "no object", 400, "XDM-1500-400", ids={"id": fresh}, body=[])
    yield right("DELETE", one, ids={"id": fresh}, status=204)
    yield wrong("DELETE", one, "unknown", 404, ABSENT[kind], ids={"id": "_no"})
    if kind in IN_USE:
        used = {"id": lambda w: w.kept(IN_USE[kind])["meta:altId"]}
        yield wrong("DELETE", one, "in use", 400, "XDM-1599-400", ids=used)


def _descriptors() -> Iterator[Case]:
    base, one = f"{REGISTRY}/tenant/descriptors", f"{REGISTRY}/tenant/descriptors/{{id}}"
    for path in (base, f"{REGISTRY}/global/descriptors"):
        yield right("GET", path, headers=DESCRIPTORS)
        yield wrong("GET", path, "another Accept", 400, "XDM-1008-400", headers=IDS)
    yield wrong("GET", f"{REGISTRY}/global/descriptors/{{id}}", "unknown", 404, "XDM-1014-404", ids={"id": "none"})
    yield right("POST", base, body=World.descriptor_body, status=201)
    for why, changed in (
        ("no type", {"@type": ""}),
        ("an unknown schema", {"xdm:sourceSchema": "none"}),
        ("no path", {"xdm:sourceProperty": "personalEmail"}),
        ("a path that is no field", {"xdm:sourceProperty": "/none"}),
    ):
        sent = lambda w, c=changed: {**w.descriptor_body(), **c}  # noqa: E731 - one line says it
        yield wrong("POST", base, why, 400, "XDM-1500-400", body=sent)
    yield right("GET", one, ids={"id": World.descriptor})
    yield right("GET", one, why="plain JSON", ids={"id": World.descriptor}, headers={"Accept": "application/json"})
    yield wrong("GET", one, "unknown", 404, "XDM-1014-404", ids={"id": "none"})
    yield wrong("GET", one, "another Accept", 400, "XDM-1009-400", ids={"id": World.descriptor}, headers=IDS)
    yield right("PUT", one, ids={"id": World.descriptor}, body=World.descriptor_body, status=201)
    yield wrong("PUT", one, "unknown", 404, "XDM-1014-404", ids={"id": "none"}, body=World.descriptor_body)
    yield right("DELETE", one, ids={"id": World.descriptor}, status=204)
    yield wrong("DELETE", one, "unknown", 404, "XDM-1014-404", ids={"id": "none"})


def catalog() -> Iterator[Case]:
    """Datasets in both spellings, what else Catalog keeps, several calls in one."""
    for kind in ("dataSets", "datasets"):
        yield from _data_sets(f"{CATALOG}/{kind}", f"{CATALOG}/v2/{kind}")
    there = {"dataSources": World.data_source, "batches": kept("batch"), "dataSetFiles": kept("file")}
    for kind, id in there.items():
        yield right("GET", f"{CATALOG}/{kind}")
        yield wrong("GET", f"{CATALOG}/{kind}", "limit 0", 400, "CATALOG-400", query=(("limit", "0"),))
        yield right("GET", f"{CATALOG}/{kind}/{{id}}", ids={"id": id})
        yield wrong("GET", f"{CATALOG}/{kind}/{{id}}", "unknown", 404, "CATALOG-404", ids={"id": UNKNOWN})
    part = {"id": "a", "resource": "/dataSets", "method": "GET"}
    yield right("POST", CATALOG, body=[part])
    yield wrong("POST", CATALOG, "no array", 400, "CATALOG-400", body=part)
    yield wrong("POST", CATALOG, "an id twice", 400, "CATALOG-400", body=[part, part])
    yield wrong("POST", CATALOG, "headers of no kind", 400, "CATALOG-400", body=[{**part, "headers": False}])


def _data_sets(base: str, deep: str) -> Iterator[Case]:
    one, source = f"{base}/{{id}}", (("requestDataSource", "true"),)
    fresh, bad = {"id": World.data_set}, "CATALOG-400"
    yield right("POST", base, body=World.data_set_body, query=source, status=201)
    yield right("POST", base, status=201, why="no data source", body=World.data_set_body)
    for why, changed in (
        ("no name", {"name": ""}),
        ("no schema", {"schemaRef": None}),
        ("an unknown schema", {"schemaRef": {"id": "none"}}),
        ("tags of no kind", {"tags": {"a": "b"}}),
    ):
        sent = lambda w, c=changed: {**w.data_set_body(), **c}  # noqa: E731 - one line says it
        yield wrong("POST", base, why, 400, bad, body=sent, query=source)
    yield right("GET", base, query=(("tags", "provisioner:*"), ("properties", "name,tags")))
    for name, value in (("limit", "0"), ("limit", "101"), ("start", "x"), ("orderBy", "up:name"), ("tags", "x")):
        yield wrong("GET", base, f"{name} {value}", 400, bad, query=((name, value),))
    yield right("GET", one, ids=fresh)
    yield wrong("GET", one, "unknown", 404, "CATALOG-404", ids={"id": UNKNOWN})
    for method, path, body in (
        ("PATCH", one, {"description": "told"}),
        ("PATCH", f"{deep}/{{id}}", {"description": "told"}),
        ("PUT", one, World.data_set_body),
    ):
        yield right(method, path, ids=fresh, body=body)
        yield wrong(method, path, "unknown", 404, "CATALOG-404", ids={"id": UNKNOWN}, body=body)
        yield wrong(method, path, "no object", 400, bad, ids=fresh, body=[])
        stale = {"If-Match": '"stale"'}
        yield wrong(method, path, "a stale etag", 412, "CATALOG-412", ids=fresh, body=body, headers=stale)
    yield right("DELETE", one, ids=fresh)
    yield wrong("DELETE", one, "unknown, which is 200 with []", 200, "", ids={"id": UNKNOWN})


def export() -> Iterator[Case]:
    """The files of the tutorial's batch."""
    batch, file = {"id": kept("batch")}, {"id": kept("file")}
    yield right("GET", f"{EXPORT}/batches/{{id}}/files", ids=batch)
    yield right("GET", f"{EXPORT}/datasets/{{id}}/preview", ids={"id": kept("dataSet")})
    for method in ("GET", "HEAD"):
        yield right(method, f"{EXPORT}/files/{{id}}", ids=file)
        yield right(method, f"{EXPORT}/batches/{{id}}/failed", ids=batch)
        meta, inputs = f"{EXPORT}/batches/{{id}}/meta", (("path", "input_files"),)
        yield right(method, meta, ids=batch, query=inputs)
        yield right(method, meta, why="no path", ids=batch)
        said = "" if method == "HEAD" else "EXPORT-400"
        yield wrong(method, meta, "limit 0", 400, said, ids=batch, query=(("limit", "0"),))
    templates = [
        "batches/{id}/files",
        "batches/{id}/failed",
        "batches/{id}/meta",
        "files/{id}",
        "datasets/{id}/preview",
    ]
    for template in templates:
        for method in ("GET", "HEAD") if not template.endswith(("/files", "/preview")) else ("GET",):
            said = "" if method == "HEAD" else "EXPORT-404"
            ids, asked = {"id": UNKNOWN}, (("path", "x"),)
            yield wrong(method, f"{EXPORT}/{template}", "unknown", 404, said, ids=ids, query=asked)
    missing = (("path", "part-9.json"),)
    yield wrong("GET", f"{EXPORT}/batches/{{id}}/failed", "no such part", 404, "EXPORT-404", ids=batch, query=missing)
    part = (("path", "part-0.parquet"),)
    span, beyond = {"Range": "bytes=0-3"}, {"Range": "bytes=99999999-"}
    files = f"{EXPORT}/files/{{id}}"
    yield right("GET", files, why="a range", status=206, ids=file, query=part, headers=span)
    yield wrong("GET", files, "a range beyond the end", 416, "", ids=file, query=part, headers=beyond)
    yield wrong(
        "GET", f"{EXPORT}/batches/{{id}}/files", "limit 0", 400, "EXPORT-400", ids=batch, query=(("limit", "0"),)
    )
