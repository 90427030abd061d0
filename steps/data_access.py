"""Read a dataset back: its batches, their files, the files' parts, the bytes piece by piece (platform-api.md §6)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from flowledger.errors import NotThere, Unreachable
from flowledger.steps.answers import count_of, dig, keyed, number_of, read_by_id, text_or_none, usable_id
from flowledger.steps.client.paging import MAX_PAGES, Ask, list_catalog
from flowledger.steps.client.paths import catalog, export
from flowledger.steps.client.port import Answer, Json, Request

PAGE: Final = 100  # files of a batch that are asked for at once
PIECE: Final = 8 * 1024 * 1024  # bytes that are asked for at once: far below what one answer may hold
READABLE: Final = ("success", "active")  # a batch whose rows are in the dataset (§3.4)
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a batch. `size` in bytes, None if the platform does not tell it."""

    batch: str
    file: str
    name: str
    size: int | None


async def batches_of(ask: Ask, dataset: str) -> list[str]:
    """The ids of the batches whose rows are in the dataset, the oldest first. Raises as `list_catalog` does."""
    found = await list_catalog(
        ask,
        catalog("/batches"),
        query=(("dataSet", dataset), ("orderBy", "asc:created")),
        only=lambda batch: str(dig(batch, "status")).lower() in READABLE and _is_in(batch, dataset),
    )
    for batch in found:
        if not usable_batch(batch["id"]):
            raise _unreadable(catalog("/batches"), f"{batch['id'][:100]!r} is no id of a batch")
    return [
        str(batch["id"]) for batch in sorted(found, key=lambda batch: (number_of(batch.get("created")), batch["id"]))
    ]


async def require_dataset(ask: Ask, id: str) -> None:
    """Make sure that a dataset is there: lists of one that is gone are empty. Raises NotThere, Unreachable."""
    answer = await ask(Request(method="GET", path=catalog("/dataSets", id)), allow=(404,))
    if read_by_id(answer, keyed(answer.json, id), id) is None:
        raise NotThere(f"dataset {id} is not on the platform any more")


def usable_batch(id: str) -> bool:
    """Whether a text can be the id of a batch: it is part of paths, and of the names of files that are saved."""
    return usable_id(id) and "/" not in id and not id.startswith((".", "-"))


async def live_batch(ask: Ask, id: str) -> Json | None:
    """A batch as Catalog shows it, or None if it is not there (§3.4). Raises Unreachable if neither is proven."""
    answer = await ask(Request(method="GET", path=catalog("/batches", id)), allow=(404,))
    return read_by_id(answer, keyed(answer.json, id), id)


async def batch_of(ask: Ask, id: str, dataset: str) -> str:
    """The id of one batch, once it is certain that its rows are in the dataset. Raises NotThere if they are not."""
    if not usable_batch(id):
        raise NotThere(f"{id[:100]!r} is no id of a batch", hint="without --batch all of it is read")
    found = await live_batch(ask, id)
    status = str(dig(found, "status") or "").lower()
    if found is None or not _is_in(found, dataset):
        raise NotThere(f"dataset {dataset} has no batch {id}", hint="without --batch all of it is read")
    if status not in READABLE:
        raise NotThere(f"batch {id} is {status or 'without a status'}: none of its rows is in the dataset")
    return id


async def parts_of(ask: Ask, batch: str) -> list[Part]:
    """Every file of a batch, in the platform's order. Raises Unreachable for a list that cannot be read whole."""
    parts = []
    for file in await _files_of(ask, batch):
        path = export("/files", file)
        answer = await ask(Request(method="GET", path=path))
        for part in _data(answer, path):
            name = text_or_none(part, "name")
            if not name:
                raise _unreadable(path, "a part has no name")
            parts.append(Part(batch=batch, file=file, name=name, size=count_of(dig(part, "length"))))
    return parts


async def bytes_of(ask: Ask, part: Part, *, piece: int = PIECE) -> AsyncIterator[bytes]:
    """The bytes of a part, in pieces, each asked for by its range and so repeated alone if its answer is lost.

    A platform that knows no ranges and answers with the whole is heard too. Raises Unreachable for pieces that do not
    fit together, and for fewer or more bytes than the platform said there are.
    """
    path, got = export("/files", part.file), 0
    total = part.size
    while total is None or got < total:
        request = Request(
            method="GET",
            path=path,
            query=(("path", part.name),),
            headers={"Range": f"bytes={got}-{got + piece - 1}", "Accept-Encoding": "identity"},
            raw=True,
        )
        answer = await ask(request)
        if answer.status == 206:
            total = _total(answer, path, got, total)
        elif got:
            raise _unreadable(path, f"a piece of {part.name} was answered {answer.status}")
        else:
            if total is not None and len(answer.body) != total:
                raise _unreadable(path, f"{part.name} has {len(answer.body)} bytes, not {total}")
            total = len(answer.body)
        got += len(answer.body)
        yield answer.body


def _total(answer: Answer, path: str, got: int, known: int | None) -> int:
    """How long the whole is, from a piece that begins at `got`."""
    found = _RANGE.fullmatch(answer.headers.get("content-range", "").strip())
    if found is None:
        raise _unreadable(path, "a piece without a Content-Range")
    first, last, total = map(int, found.groups())
    if first != got or last - first + 1 != len(answer.body) or last >= total or not answer.body:
        raise _unreadable(path, f"a piece says {found[0]}, and has {len(answer.body)} bytes from {got} on")
    if known is not None and known != total:
        raise _unreadable(path, f"its length was {known}, and is {total} now")
    return total


async def _files_of(ask: Ask, batch: str) -> list[str]:
    path = export("/batches", batch, "files")
    files: list[str] = []
    for _ in range(MAX_PAGES):
        query = (("start", str(len(files))), ("limit", str(PAGE)))
        answer = await ask(Request(method="GET", path=path, query=query))
        page = _data(answer, path)
        for entry in page:
            id = text_or_none(entry, "dataSetFileId")
            if id is None or not usable_id(id) or id in files:
                raise _unreadable(path, "a file without an id of its own")
            files.append(id)
        # A platform may give less at once than it is asked for, and says so.
        limit = count_of(dig(answer.json, "_page", "limit")) or PAGE
        if len(page) < min(PAGE, limit):
            return files
    raise _unreadable(path, "it does not end")


def _data(answer: Answer, path: str) -> list[Json]:
    data = dig(answer.json, "data")
    if not answer.ok or not isinstance(data, list):
        raise _unreadable(path, "no data in it")
    return data


def datasets_of(batch: Json) -> list[str]:
    """The ids of the datasets that a batch says its rows are in; none if it does not say."""
    related = dig(batch, "relatedObjects")
    return [
        str(dig(one, "id"))
        for one in (related if isinstance(related, list) else [])
        if str(dig(one, "type")).lower() == "dataset"
    ]


def _is_in(batch: Json, dataset: str) -> bool:
    """Whether a batch belongs to the dataset. One that does not say so was asked for by it, and is believed."""
    named = datasets_of(batch)
    return not named or dataset in named


def _unreadable(path: str, why: str) -> Unreachable:
    return Unreachable(f"{path} could not be read: {why}", hint="type the command again")
