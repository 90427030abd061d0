"""The rows of a run's dataset: as files, as rows one by one, or as one Arrow table (extra `data`)."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from flowledger.engine.aside import Aside
from flowledger.engine.discretion import without_secrets
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, refuse_destroyed
from flowledger.engine.place import refuse_another_place
from flowledger.engine.reader import Reader
from flowledger.errors import FlowledgerError, NotThere, Unreachable, UsageError
from flowledger.steps.client.clock import Clock, SystemClock, fresh_random
from flowledger.steps.client.config import platform_from_env
from flowledger.steps.client.platform import Platform
from flowledger.steps.data_access import Part, batch_of, batches_of, bytes_of, parts_of, require_dataset
from flowledger.steps.dataset import CreateDataset

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 8192  # rows that are taken from a file at once


class Dataset:
    """A run's dataset, to be read. Nothing of it is journaled; each call asks the platform anew."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        platform: Platform | None = None,
        halt: Halt | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """Raises NotThere if the run has no dataset yet, UsageError if it is (being) destroyed with its dataset."""
        if not ledger.keep_dataset:
            refuse_destroyed(ledger)
        outputs = ledger.step(CreateDataset.name).outputs
        if outputs is None or ledger.spec is None:
            raise NotThere(f"run {ledger.run} has no dataset yet", hint=f"flowledger resume {ledger.run}")
        self.id = str(outputs["id"])
        self.run = ledger.run
        self._ledger = ledger
        self._retry = ledger.spec.retry
        self._platform = platform
        self._halt = halt or Halt()
        self._clock = clock or (platform.clock if platform else SystemClock())
        self._chance = chance or fresh_random()

    async def batches(self) -> list[str]:
        """The ids of the batches whose rows are in it, the oldest first."""
        async with self._reading() as reader:
            found = await batches_of(reader.ask, self.id)
            if not found:
                await self._require(reader)
            return found

    async def _require(self, reader: Reader) -> None:
        """Tell an empty dataset from one that is gone. Raises NotThere."""
        try:
            await require_dataset(reader.ask, self.id)
        except NotThere as error:
            error.hint = f"flowledger drift {self.run} shows what else is gone"
            raise

    async def save(self, folder: Path, *, batches: Sequence[str] = ()) -> list[Path]:
        """Write the Parquet files as they are into `folder`, of all batches or of those named; returns their paths.

        Needs no pyarrow. Each is written under another name first, so that a file that is there is whole; one that is
        there is replaced.
        """
        written = []
        async with self._reading() as reader:
            for number, part in enumerate(await self._parts(reader, batches)):
                path = folder / f"{quote(part.batch, safe='')}-{number:04}.parquet"
                with _whole_file(path) as file:
                    await _fetch(reader, part, file)
                written.append(path)
        return written

    async def tables(self, *, batches: Sequence[str] = (), limit: int | None = None) -> AsyncGenerator[pa.Table, None]:
        """Its rows as Arrow tables of some thousand rows, oldest batch first; one file at a time is held, on disk
        if it is a large one.

        `limit`: rows at most. Raises UsageError without pyarrow, Unreachable for a file that is no Parquet.
        """
        parquet = _parquet()
        left = limit
        async with self._reading() as reader:
            for part in await self._parts(reader, batches):
                if left == 0:
                    return
                with Aside() as file:
                    await _fetch(reader, part, file)
                    file.seek(0)
                    try:
                        source = parquet.ParquetFile(file)
                    except ValueError as error:  # pyarrow's errors of broken files are such
                        raise Unreachable(
                            f"{part.name} of batch {part.batch} is no Parquet file: {error}",
                            hint=f"flowledger read {self.run} --format parquet --to DIR saves it as it is",
                        ) from None
                    import pyarrow as pa

                    for batch in source.iter_batches(batch_size=AT_ONCE):
                        taken = batch if left is None else batch.slice(0, left)
                        left = None if left is None else left - taken.num_rows
                        yield pa.Table.from_batches([taken], schema=source.schema_arrow)
                        if left == 0:
                            break

    async def rows(
        self, *, batches: Sequence[str] = (), limit: int | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Its rows one by one, as `tables`."""
        async with aclosing(self.tables(batches=batches, limit=limit)) as tables:
            async for table in tables:
                for row in table.to_pylist():
                    yield row

    async def to_arrow(self, *, batches: Sequence[str] = (), limit: int | None = None) -> pa.Table:
        """All of it as one Arrow table in memory, as `tables`; what only some batches have is null elsewhere."""
        _parquet()
        import pyarrow as pa

        found = [table async for table in self.tables(batches=batches, limit=limit)]
        return pa.concat_tables(found, promote_options="permissive") if found else pa.table({})

    async def _parts(self, reader: Reader, batches: Sequence[str]) -> list[Part]:
        if batches:
            chosen = [await batch_of(reader.ask, id, self.id) for id in dict.fromkeys(batches)]
        else:
            chosen = await batches_of(reader.ask, self.id)
            if not chosen:
                await self._require(reader)
        return [part for id in chosen for part in await parts_of(reader.ask, id)]

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Reader]:
        platform = self._platform or platform_from_env(os.environ, clock=self._clock)
        reader = Reader(platform, retry=self._retry, clock=self._clock, chance=self._chance, halt=self._halt)
        try:
            refuse_another_place(self._ledger, platform)
            with reader:
                yield reader
        except FlowledgerError as error:
            without_secrets(error, platform.redactor)
            raise
        finally:
            if self._platform is None:
                await platform.close()


@contextmanager
def _whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that stands at `path` once the block is through, and not before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".flowledger-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


async def _fetch(reader: Reader, part: Part, file: IO[bytes]) -> None:
    """Write a part's bytes into an open file."""
    async for piece in bytes_of(reader.ask, part):
        file.write(piece)
    file.flush()


def _parquet() -> Any:
    """pyarrow's Parquet reader. Raises UsageError, which says what to install."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise UsageError(
            "reading rows needs pyarrow, which is not installed",
            hint="pip install 'pyarrow>=18'; without it, --format parquet --to DIR saves the files as they are",
        ) from None
    return pyarrow.parquet
