"""The OpenAPI 3.1 document of everything that the emulator serves, from what is written beside each service."""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator import (
    openapi_catalog,
    openapi_conversion,
    openapi_export,
    openapi_flow,
    openapi_parts,
    openapi_platform,
    openapi_registry,
)
from flowledger.emulator.options import Options

TITLE: Final = (
    "flowledger's emulator of IMS, Schema Registry, Catalog, Flow Service, Conversion and Data Access of Adobe "
    "Experience Platform, built from Adobe's documents; not Adobe's own document"
)
DESCRIPTION: Final = (
    "What this emulator answers with its default options. Adobe publishes documents of its own, which say less and in "
    "places something else; where they are silent the answers here are the emulator's. Never compared with Adobe's "
    "servers. `Accept` stands among the parameters because the registry's calls cannot be made without it."
)
TAGS: Final = {
    "/ims/": "IMS",
    "/data/foundation/sandbox-management": "Sandbox management",
    "/data/foundation/schemaregistry/": "Schema Registry",
    "/data/foundation/catalog": "Catalog",
    "/data/foundation/conversion/": "Conversion",
    "/data/foundation/flowservice/": "Flow Service",
    "/data/foundation/export/": "Data Access",
}
PARTS: Final = (openapi_platform, openapi_registry, openapi_catalog, openapi_conversion, openapi_flow, openapi_export)


def document(options: Options | None = None) -> dict[str, Any]:
    """The document of an emulator with these options: its keys, organisation, sandboxes and kinds of sources."""
    chosen = options or Options()
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = dict(openapi_parts.FAULTS)
    for part in PARTS:
        schemas.update(part.SCHEMAS)
        for (method, path), operation in part.operations(chosen).items():
            paths.setdefault(path, {})[method.lower()] = {
                "operationId": _name_of(method, path),
                "tags": [next(tag for base, tag in TAGS.items() if path.startswith(base))],
                **operation,
            }
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "0.1.0", "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in TAGS.values()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": openapi_parts.gateway_answers(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "From IMS."}},
        },
    }


def _name_of(method: str, path: str) -> str:
    """`getCatalogDataSetsById` and the like: one name for each method and path."""
    words = path.removeprefix("/data/foundation").replace("{", "by-").replace("}", "").replace("/", "-").split("-")
    return method.lower() + "".join(word[:1].upper() + word[1:] for word in words if word)
