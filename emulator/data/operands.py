"""What operations on columns take and give: values by row, with flags for those that are computed one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

TEXT: Final = pa.string()
WHOLE: Final = pa.int64()
FRACTION: Final = pa.float64()
TRUTH: Final = pa.bool_()
MOMENT: Final = pa.timestamp("us", tz="UTC")
PLAIN: Final = (TEXT, WHOLE, FRACTION, TRUTH)

ODD_SPACE: Final = r"[\x1c-\x1f]"  # Python takes these for white space, Arrow does not
MOST_BYTES: Final = 256 * 2**20  # of a column that is made at once


class Unsupported(Exception):
    """No column operation computes this, or not for columns of these types."""


@dataclass(frozen=True, slots=True)
class Values:
    """One value a row, and true for the rows that are to be computed one by one (None: not one)."""

    array: pa.Array
    flags: pa.Array | None = None
    written: Callable[[], Values] | None = None  # the texts that the source has for the values; None: as they are

    @property
    def type(self) -> pa.DataType:
        """The type of the values."""
        return self.array.type

    @property
    def is_null(self) -> bool:
        """Whether there is nothing but null, of no type."""
        return bool(pa.types.is_null(self.array.type))


def of(values: Values, *types: pa.DataType) -> Values:
    """The values, if they are of one of the types. Raises Unsupported."""
    if values.type not in types:
        raise Unsupported(str(values.type))
    return values


def room_for(size: int) -> None:
    """Raises Unsupported for a column of more bytes than are made at once: row by row, each value is bounded."""
    if size > MOST_BYTES:
        raise Unsupported(f"a column of {size} bytes")
