"""The kinds of sources that flowledger knows, read from `sources.yaml` when first asked for, and those it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from flowledger.steps.source_kind import AuthSpec, Param, SourceKind

if TYPE_CHECKING:
    from flowledger.steps.spec import Source

__all__ = [
    "REFUSED",
    "SOURCES",
    "AuthSpec",
    "Param",
    "SourceKind",
    "delta_format",
    "known_kinds",
    "secret_names",
    "secret_variables",
    "source_kind",
]

_REST: Final = (
    "is a REST template, not a source of tables: it is explored by objectType=rest, sends JSON by a resource path "
    "instead of a table, and has a flow spec of its own, which flowledger does not drive"
)
_FILES: Final = (
    "is a source of files, not of tables: its dataflows read paths without a delta column and follow the flow spec "
    "CloudStorageToAEP, which flowledger does not drive"
)
_STREAM: Final = (
    "is a streaming source: rows are pushed, so there is no table, no schedule and no delta column for flowledger "
    "to provision"
)

_REST_KINDS: Final = ("stripe", "generic-rest", "mailchimp", "mixpanel", "sugarcrm", "zendesk")
_FILE_KINDS: Final = (
    "amazon-s3", "azure-blob", "azure-data-lake-storage-gen2", "azure-file-storage", "data-landing-zone", "ftp",
    "google-cloud-storage", "hdfs", "oracle-object-storage", "sftp",
)  # fmt: skip
_STREAM_KINDS: Final = (
    "amazon-kinesis", "azure-event-hubs", "google-pubsub", "http-api", "shopify-streaming", "snowflake-streaming",
)  # fmt: skip

# Sources that the platform has and flowledger does not provision, with the reason (platform-api.md §14).
REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(_REST_KINDS, _REST),
        **dict.fromkeys(_FILE_KINDS, _FILES),
        **dict.fromkeys(_STREAM_KINDS, _STREAM),
    }
)


@cache
def known_kinds() -> Mapping[str, SourceKind]:
    """Every kind of `sources.yaml`, by name, in the file's order."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = files(__package__).joinpath("sources.yaml").read_text(encoding="utf-8")
    kinds = [SourceKind.model_validate(entry) for entry in yaml.load(text, Loader=loader)]  # noqa: S506 - a safe loader
    return MappingProxyType({kind.kind: kind for kind in kinds})


class _Known(Mapping[str, SourceKind]):
    """`known_kinds()` as a mapping that reads the file no sooner than it must."""

    def __getitem__(self, kind: str) -> SourceKind:
        return known_kinds()[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(known_kinds())

    def __len__(self) -> int:
        return len(known_kinds())


SOURCES: Final[Mapping[str, SourceKind]] = _Known()


def source_kind(source: Source | str) -> SourceKind:
    """What is known of the kind of a spec's source, its own definition first; or of a kind by name.

    Raises KeyError for a kind that nobody defines.
    """
    if isinstance(source, str):
        return known_kinds()[source]
    return source.definition or known_kinds()[source.kind]


def delta_format(source: Source) -> str:
    """The pattern of the delta column's values: as the spec says, else as the source's kind writes them."""
    written = source.delta.date_format if source.delta is not None else None
    return written or source_kind(source).delta_format


def secret_names(source: Source) -> frozenset[str]:
    """Names of connection parameters that are secrets: as the kind says, and those that the spec refers to."""
    kind = source.definition or known_kinds().get(source.kind)
    names = {name for auth in kind.auths for name in auth.secret_params} if kind is not None else set()
    return frozenset(names) | {name for name, value in source.connection.params.items() if not isinstance(value, str)}


def secret_variables(source: Source) -> frozenset[str]:
    """Environment variables that a spec's parameters refer to."""
    params = source.connection.params.values()
    return frozenset(value.env for value in params if not isinstance(value, str) and value.env)
