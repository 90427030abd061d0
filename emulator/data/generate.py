"""Made-up tables of payments for source files: the same seed gives the same rows, however many are asked for.

The data is believable and awkward on purpose: nulls, names in many scripts, line ends and quotes inside of texts,
currencies without decimals and with three, moments in other zones, equal ones, rows that come late, numbers as text.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import IO, Any, Final

import orjson

from flowledger.emulator import dates

BLOCK: Final = 1000  # rows drawn from one seed
BATCH: Final = 50_000  # rows written at a time
LATE: Final = timedelta(hours=2)  # how far back the time of a late row lies
FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)
SUFFIXES: Final = (".csv", ".jsonl", ".parquet")
CURRENCIES: Final = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KRW": 0, "KWD": 3, "BRL": 2, "INR": 2}
ZONES: Final = (0, 0, 0, 0, 0, 0, 0, 60, 120, -300, 330, 540)  # minutes east of UTC
PEOPLE: Final = ("ada", "grace", "alan", "edsger", "barbara", "søren", "zoë", "müller", "田中", "o'neil")
HOSTS: Final = ("example.com", "example.org", "mail.example.net")
NAMES: Final = (
    "Video streaming", "Coffee, 1 kg", "Café table", 'Desk "Oslo", oak', "Thé vert 緑茶", "🎁 Gift card", "Ünïcode mug",
    "Борщ to go", "مصباح", "Desk lamp", "Concert ticket", "Hosting, 12 months",
)  # fmt: skip
TEXTS: Final = (
    "A monthly subscription", "Roasted beans", "Round, oak", "Two lines:\nthis is the second", "Says \"hello\"",
    "Für drinnen und draußen", " with blanks around ", "100 % cotton; 2 pieces",
)  # fmt: skip
REASONS: Final = ("MERCHANDISE_OR_SERVICE_NOT_RECEIVED", "UNAUTHORISED", "DUPLICATE_TRANSACTION", "OTHER")
CITIES: Final = ("San Jose", "Paris", "Kyoto", "São Paulo", "Łódź", "İstanbul")

Row = dict[str, Any]


class TableInvalid(ValueError):
    """What was asked for cannot be generated. The text says why, and what can."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was written: how many rows now, and how many the file has."""

    rows: int
    total: int


class Draw:
    """One row's chance and time."""

    __slots__ = ("_random", "moment", "number")

    def __init__(self, random: Random, number: int, moment: datetime) -> None:
        self._random = random
        self.number = number
        self.moment = moment

    def one_of(self, values: tuple[Any, ...]) -> Any:
        """One of the values, each as likely."""
        return values[int(self._random.random() * len(values))]

    def maybe(self, value: Any, *, null: float = 0.05) -> Any:
        """The value, or null with that likelihood."""
        return None if self._random.random() < null else value

    def chance(self, likely: float) -> bool:
        """True with that likelihood."""
        return self._random.random() < likely

    def whole(self, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        return least + int(self._random.random() * (most - least + 1))

    def amount(self, currency: str) -> float:
        """An amount of money with as many decimals as the currency has; seldom nothing, seldom much."""
        decimals = CURRENCIES[currency]
        if self.chance(0.01):
            return 0.0
        return round(self._random.random() ** 3 * (5_000 if decimals else 500_000) + 0.5, decimals)

    def currency(self) -> str:
        """A currency's code."""
        return str(self.one_of(tuple(CURRENCIES)))

    def email(self) -> str:
        """Somebody's address."""
        return f"{self.one_of(PEOPLE)}{self.whole(1, 400)}@{self.one_of(HOSTS)}"

    def written(self, moment: datetime | None = None) -> str:
        """A moment as ISO 8601, now and then in another zone than UTC."""
        zone = self.one_of(ZONES)
        return dates.iso((moment or self.moment).astimezone(timezone(timedelta(minutes=zone)) if zone else UTC))

    def later(self) -> str:
        """A moment some days after the row's."""
        return self.written(self.moment + timedelta(seconds=self.whole(0, 400_000)))


def _product(draw: Draw) -> Row:
    return {
        "Product_Id": f"PROD-{draw.number:08d}",
        "Product_Name": draw.one_of(NAMES),
        "Description": draw.maybe(draw.one_of(TEXTS), null=0.1),
        "Type": draw.one_of(("SERVICE", "PHYSICAL", "DIGITAL")),
        "Sku": f"{draw.whole(0, 99_999):06d}",
        "Create_Time": draw.written(),
    }


def _transaction(draw: Draw) -> Row:
    currency = draw.currency()
    amount = draw.amount(currency)
    return {
        "Transaction_Id": f"TX{draw.number:010d}",
        "Payer_Email": draw.maybe(draw.email()),
        "Status": draw.one_of(("S", "S", "S", "P", "D", "V")),
        "Amount": amount,
        "Fee": f"{amount * 0.029:.{CURRENCIES[currency]}f}",
        "Currency": currency,
        "Is_Refund": draw.maybe(draw.chance(0.1), null=0.02),
        "Invoice_Number": draw.maybe(f"{draw.whole(1, 99_999):07d}", null=0.2),
        "Create_Time": draw.written(),
        "Update_Time": draw.maybe(draw.later(), null=0.1),
    }


def _dispute(draw: Draw) -> Row:
    currency = draw.currency()
    return {
        "Dispute_Id": f"PP-D-{draw.number:07d}",
        "Transaction_Id": f"TX{draw.whole(1, 100_000):010d}",
        "Reason": draw.one_of(
            ("MERCHANDISE_OR_SERVICE_NOT_RECEIVED", "UNAUTHORISED", "DUPLICATE_TRANSACTION", "OTHER")
        ),
        "Status": draw.one_of(("OPEN", "RESOLVED", "UNDER_REVIEW")),
        "Amount": draw.maybe(draw.amount(currency), null=0.02),
        "Currency": currency,
        "Create_Time": draw.written(),
        "Update_Time": draw.later(),
    }


def _payout(draw: Draw) -> Row:
    currency = draw.currency()
    return {
        "Payout_Batch_Id": f"PO{draw.number:09d}",
        "Receiver": draw.email(),
        "Status": draw.one_of(("SUCCESS", "SUCCESS", "PENDING", "DENIED")),
        "Amount": draw.amount(currency),
        "Currency": currency,
        "Note": draw.maybe(draw.one_of(TEXTS), null=0.6),
        "Create_Time": draw.written(),
    }


def _square_payment(draw: Draw) -> Row:
    currency = draw.currency()
    return {
        "Payment_Id": f"sq{draw.number:012x}",
        "Order_Id": draw.maybe(f"ord-{draw.whole(1, 1_000_000)}"),
        "Status": draw.one_of(("COMPLETED", "COMPLETED", "APPROVED", "FAILED", "CANCELED")),
        "Amount": draw.amount(currency),
        "Currency": currency,
        "Buyer_Email": draw.maybe(draw.email(), null=0.3),
        "Updated_At": draw.written(),
    }


def _order(draw: Draw) -> Row:
    return {
        "order_id": f"{draw.number:08d}",
        "customer_email": draw.maybe(draw.email()),
        "status": draw.one_of(("new", "paid", "shipped", "returned")),
        "quantity": draw.whole(1, 12),
        "total": draw.maybe(draw.amount("EUR"), null=0.02),
        "paid": draw.maybe(draw.chance(0.7)),
        "city": draw.one_of(CITIES),
        "postal_code": draw.maybe(f"{draw.whole(0, 99_999):05d}"),
        "updated_at": draw.written(),
    }


TABLES: Final[Mapping[str, Callable[[Draw], Row]]] = {
    "PayPal.Catalog_Products": _product,
    "PayPal.Transactions": _transaction,
    "PayPal.Disputes": _dispute,
    "PayPal.Payouts": _payout,
    "Square.Payments": _square_payment,
    "public.orders": _order,
}
MOMENTS: Final = frozenset({"Create_Time", "Update_Time", "Updated_At", "updated_at"})


def rows_of(
    table: str, *, count: int, seed: int = 0, first: int = 1, begin: datetime = FIRST, every_s: float = 60.0
) -> Iterator[Row]:
    """Rows `first` to `first + count - 1` of a table. Row n depends on seed, n, `begin` and `every_s` only.

    A row's time is about `every_s` seconds after that of the row before; some share it, some lie up to two hours back.
    Raises TableInvalid.
    """
    make = TABLES.get(table)
    if make is None:
        raise TableInvalid(f"there is no table {table!r} to generate; there are {', '.join(TABLES)}")
    number, last = first, first + count - 1
    while number <= last:
        block = (number - 1) // BLOCK
        for drawn in _block(table, make, block, seed, begin, every_s):
            if number > last:
                return
            if drawn[0] >= number:
                yield drawn[1]
                number += 1


def _block(
    table: str, make: Callable[[Draw], Row], block: int, seed: int, begin: datetime, every_s: float
) -> Iterator[tuple[int, Row]]:
    random = Random(f"{seed}:{table}:{block}")  # noqa: S311 - made-up rows, no secrets
    earlier = begin + timedelta(seconds=block * BLOCK * every_s)
    for number in range(block * BLOCK + 1, (block + 1) * BLOCK + 1):
        lot = random.random()
        due = begin + timedelta(seconds=(number - 1) * every_s)
        moment = earlier if lot < 0.1 else due - LATE * random.random() if lot < 0.13 else due
        earlier = due if lot >= 0.1 else earlier
        yield number, make(Draw(random, number, moment))


def generate(
    table: str,
    path: Path,
    *,
    rows: int,
    seed: int = 0,
    begin: datetime = FIRST,
    every_s: float = 60.0,
    append: bool = False,
) -> Made:
    """Write rows of a table to a CSV, JSON Lines or Parquet file, told by its ending.

    A new file appears whole or not at all. With `append`, the rows after those that the file has are added to it.
    Raises TableInvalid, OSError; ImportError for Parquet without pyarrow.
    """
    if path.suffix not in SUFFIXES:
        raise TableInvalid(f"{path.name}: the name ends in .csv, .jsonl or .parquet")
    if append and path.suffix == ".parquet":
        raise TableInvalid("Parquet files do not grow: generate a longer one in its place")
    if append and path.exists():
        there = _count(path)
        found = rows_of(table, count=rows, seed=seed, first=there + 1, begin=begin, every_s=every_s)
        with path.open("ab") as file:
            _write(found, path.suffix, file, header=False)
        return Made(rows, there + rows)
    found = rows_of(table, count=rows, seed=seed, begin=begin, every_s=every_s)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.suffix == ".parquet":
            _write_parquet(table, found, part)
        else:
            with part.open("wb") as file:
                _write(found, path.suffix, file, header=True, columns=_columns(table))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return Made(rows, rows)


def _columns(table: str) -> list[str]:
    return list(next(rows_of(table, count=1)))


def _count(path: Path) -> int:
    """How many rows a file of ours has. Raises TableInvalid when it ends in the middle of a row."""
    with path.open("rb") as file:
        if file.seek(0, io.SEEK_END) > 0:
            file.seek(-1, io.SEEK_END)
            if file.read() != b"\n":
                raise TableInvalid(f"{path.name} ends in the middle of a line: nothing can be appended to it")
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    with path.open(encoding="utf-8", newline="") as text:
        return max(0, sum(1 for _ in csv.reader(text)) - 1)


def _batches(found: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in found:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(
    found: Iterator[Row], suffix: str, file: IO[bytes], *, header: bool, columns: list[str] | None = None
) -> None:
    """Whole lines in each write, so that a reader never sees half of one that it could take for a whole."""
    if header and columns and suffix == ".csv":
        file.write((",".join(columns) + "\n").encode())
    for batch in _batches(found):
        if suffix == ".jsonl":
            file.write(b"".join(orjson.dumps(row) + b"\n" for row in batch))
        else:
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerows([_cell(value) for value in row.values()] for row in batch)
            file.write(text.getvalue().encode())
        file.flush()


def _cell(value: Any) -> Any:
    """A value in a CSV: whole amounts without a point, and truths as JSON writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _write_parquet(table: str, found: Iterator[Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    seen: dict[str, Any] = {}
    for row in rows_of(table, count=BLOCK):
        seen.update({name: value for name, value in row.items() if value is not None})
    schema = pa.schema(
        [
            (name, pa.timestamp("us", tz="UTC") if name in MOMENTS else kinds[type(seen[name])])
            for name in _columns(table)
        ]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for batch in _batches(found):
            for row in batch:
                for name in MOMENTS & row.keys():
                    row[name] = None if row[name] is None else dates.parsed_iso(row[name])
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
