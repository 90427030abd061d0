"""Data Prep's commonest functions and operators as operations on whole columns.

The meaning is that of `expressions.value_of`. An operation computes the rows of which it is sure and flags the others,
which are then looked at one by one; what no column operation computes at all is Unsupported. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator import dates
from flowledger.emulator.data import date_operations, leaves, operands
from flowledger.emulator.data.leaves import either
from flowledger.emulator.data.operands import FRACTION, MOMENT, PLAIN, TEXT, TRUTH, WHOLE, Unsupported, Values, of
from flowledger.emulator.expressions import Node
from flowledger.emulator.functions import FUNCTIONS

SMALL: Final = 2**31  # products of two of these are far from the end of 64 bits
LONGEST: Final = 1_000_000  # what a function may make, in characters


class ColumnReader:
    """Computes expressions over one table."""

    def __init__(self, table: pa.Table, *, now_ms: int, texts: Callable[..., pa.Array | None] | None = None) -> None:
        """`now_ms` is what now() says, milliseconds since the epoch.

        `texts` gives the texts that the source has for a column, or for what is nested in it at a path; None where the
        values are texts.
        """
        self._table = table
        self._texts = texts
        self._now_ms = now_ms
        self._read: dict[str, Values] = {}

    def values(self, node: Node) -> Values:
        """The value of an expression for every row. Raises Unsupported."""
        match node.kind:
            case "literal":
                return self._constant(node.value)
            case "path":
                return self._path(node.value)
            case "choice":
                return _choice(*(self.values(part) for part in node.parts))
            case "sign":
                return _signed(node.value, self.values(node.parts[0]))
            case "operator":
                return _operated(node.value, *(self.values(part) for part in node.parts))
            case "call":
                return self._called(node)
        raise Unsupported(node.kind)

    def _called(self, node: Node) -> Values:
        if node.value == "nullify" and not node.parts:
            return self._constant(None)
        if node.value == "now" and not node.parts:
            return self._constant(dates.from_ms(self._now_ms))
        if node.value == "timestamp" and not node.parts:
            return self._constant(self._now_ms)
        operation = OPERATIONS.get(node.value)
        function = FUNCTIONS.get(node.value)
        if operation is None or function is None or not function.least <= len(node.parts) <= function.most:
            raise Unsupported(node.value)
        given = [self.values(part) for part in node.parts]
        if operation.takes_literals:
            return operation.compute(given[0], *(_literal(part) for part in node.parts[1:]))
        return operation.compute(*given)

    def _constant(self, value: Any) -> Values:
        rows = self._table.num_rows
        if value is None:
            return Values(pa.nulls(rows))
        types = {str: TEXT, bool: TRUTH, int: WHOLE, float: FRACTION, datetime: MOMENT}
        return Values(pa.repeat(pa.scalar(value, types[type(value)]), rows))

    def _path(self, path: str) -> Values:
        if path not in self._read:
            self._read[path] = self._column(path)
        return self._read[path]

    def _column(self, path: str) -> Values:
        names = self._table.column_names
        if path in names:
            column = self._table.column(path).combine_chunks()
            return self._written(_sure(column), column, (path,))
        if not path.replace(".", "").isidentifier():
            raise Unsupported(path)
        first, *rest = path.split(".")
        if first not in names:
            raise Unsupported(path)
        found = self._table.column(first).combine_chunks()
        flags: pa.Array | None = None
        for name in rest:
            if not pa.types.is_struct(found.type) or name not in [field.name for field in found.type]:
                raise Unsupported(path)
            flags = either(flags, pc.is_null(found))  # below nothing there is nothing: an error, not null
            found = pc.struct_field(found, name)
        inner = self._written(_sure(found), found, tuple(path.split(".")))
        return Values(inner.array, either(flags, inner.flags), inner.written)

    def _written(self, values: Values, column: pa.Array, path: tuple[str, ...]) -> Values:
        """The values with their texts. A text that is no value of the column's type is flagged: it is a text."""
        texts = None if self._texts is None else self._texts(*path)
        if texts is None:
            return values
        flags = values.flags
        if column.null_count > texts.null_count:
            unfit = pc.and_(pc.is_null(column), pc.fill_null(pc.not_equal(texts, ""), False))
            flags = either(flags, unfit) if pc.any(unfit).as_py() else flags
        return Values(values.array, flags, lambda: Values(texts))


def _sure(column: pa.Array) -> Values:
    """A source's column; numbers that are none are flagged."""
    if pa.types.is_floating(column.type):
        return Values(*leaves.numbers_of(column))
    if pa.types.is_null(column.type) or column.type in PLAIN:
        return Values(column)
    raise Unsupported(str(column.type))


def _literal(node: Node) -> Any:
    if node.kind != "literal":
        raise Unsupported("an argument that differs by row")
    return node.value


def texts_of(values: Values) -> Values:
    """Values as texts: as the source wrote them, else as `text_of` writes them."""
    if values.written is not None:
        found = values.written()
        texts = found.array
        if values.array.null_count:  # an empty text in a column of numbers is null
            texts = pc.if_else(pc.and_(pc.is_null(values.array), pc.equal(texts, "")), pa.scalar(None, TEXT), texts)
        return Values(texts, either(values.flags, found.flags))
    if values.is_null:
        return Values(pa.nulls(len(values.array), TEXT), values.flags)
    if values.type not in PLAIN:
        raise Unsupported(str(values.type))
    texts, flags = leaves.texts_of(values.array)
    return Values(texts, either(values.flags, flags))


def _ascii(texts: Values, *, plain_space: bool = False) -> pa.Array | None:
    """Flags for texts of which Arrow and Python may think differently."""
    sound = pc.string_is_ascii(texts.array)
    flags = None if pc.all(sound).as_py() is not False else pc.fill_null(pc.invert(sound), False)
    if plain_space:
        odd = pc.match_substring_regex(texts.array, operands.ODD_SPACE)
        flags = either(flags, pc.fill_null(odd, False)) if pc.any(odd).as_py() else flags
    return either(texts.flags, flags)


def _bounded(texts: pa.Array, flags: pa.Array | None) -> Values:
    longer = pc.greater(pc.binary_length(texts), LONGEST)
    return Values(texts, either(flags, pc.fill_null(longer, False)) if pc.any(longer).as_py() else flags)


# ---- texts


def _concat(*parts: Values) -> Values:
    texts = [texts_of(part) for part in parts]
    operands.room_for(sum(text.array.nbytes for text in texts))
    joined = pc.binary_join_element_wise(
        *(text.array for text in texts), "", null_handling="replace", null_replacement=""
    )
    return _bounded(joined, either(*(text.flags for text in texts)))


def _by_text(compute: Callable[[pa.Array], pa.Array], *, plain_space: bool = False) -> Callable[[Values], Values]:
    def operation(values: Values) -> Values:
        texts = texts_of(values)
        return Values(compute(texts.array), _ascii(texts, plain_space=plain_space))

    return operation


def _equals(one: Values, other: Values) -> Values:
    here, there = texts_of(one), texts_of(other)
    return Values(pc.equal(here.array, there.array), either(here.flags, there.flags))


def _equals_ignoring_case(one: Values, other: Values) -> Values:
    here, there = texts_of(one), texts_of(other)
    same = pc.equal(pc.ascii_lower(here.array), pc.ascii_lower(there.array))
    return Values(same, either(_ascii(here), _ascii(there)))


def _natural(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= LONGEST:
        raise Unsupported("a count that is no literal whole number")
    return value


def _substr(values: Values, start: Any, length: Any) -> Values:
    texts, begin, count = texts_of(values), _natural(start), _natural(length)
    return Values(pc.utf8_slice_codeunits(texts.array, begin, begin + count), texts.flags)


def _left(values: Values, count: Any) -> Values:
    texts = texts_of(values)
    return Values(pc.utf8_slice_codeunits(texts.array, 0, _natural(count)), texts.flags)


def _right(values: Values, count: Any) -> Values:
    texts, size = texts_of(values), _natural(count)
    if size == 0:
        return Values(pc.utf8_slice_codeunits(texts.array, 0, 0), texts.flags)
    return Values(pc.utf8_slice_codeunits(texts.array, -size, LONGEST * 1000), texts.flags)


def _replace(values: Values, old: Any, new: Any) -> Values:
    texts = texts_of(values)
    if not isinstance(old, str) or not isinstance(new, str) or not old:
        raise Unsupported("a replacement that is no text")
    more = pc.sum(pc.count_substring(texts.array, pattern=old)).as_py() or 0
    operands.room_for(texts.array.nbytes + more * max(0, len(new.encode()) - len(old.encode())))
    return _bounded(pc.replace_substring(texts.array, pattern=old, replacement=new), texts.flags)


def _pad(pad: Callable[..., pa.Array]) -> Callable[..., Values]:
    def operation(values: Values, count: Any, fill: Any) -> Values:
        texts = texts_of(values)
        if not isinstance(fill, str) or len(fill) > 1 or not fill.isascii():
            raise Unsupported("a padding of more than one plain character")
        filled = pc.fill_null(texts.array, "")
        operands.room_for(len(filled) * _natural(count))
        return _bounded(pad(filled, width=_natural(count), padding=fill or " "), texts.flags)

    return operation


def _length(values: Values) -> Values:
    texts = texts_of(values)
    return Values(pc.cast(pc.utf8_length(texts.array), WHOLE), texts.flags)


def _size_of(values: Values) -> Values:
    lengths = _length(values)
    return Values(pc.fill_null(lengths.array, 0), lengths.flags)


# ---- conditions and null


def _truths(values: Values) -> Values:
    """As a condition: null is false."""
    if values.is_null:
        return Values(pa.repeat(pa.scalar(False), len(values.array)), values.flags)
    return Values(pc.fill_null(of(values, TRUTH).array, False), values.flags)


def _alike(*values: Values) -> list[pa.Array]:
    """The values of several columns as arrays of one type; null goes with every type."""
    types = {value.type for value in values if not value.is_null}
    if len(types) > 1:
        raise Unsupported("columns of several types")
    wanted = next(iter(types), pa.null())
    return [pa.nulls(len(value.array), wanted) if value.is_null else value.array for value in values]


def _choice(condition: Values, yes: Values, no: Values) -> Values:
    chosen = _truths(condition)
    here, there = _alike(yes, no)

    def written() -> Values:
        one, other = texts_of(yes), texts_of(no)
        return Values(pc.if_else(chosen.array, one.array, other.array), either(one.flags, other.flags))

    return Values(
        pc.if_else(chosen.array, here, there),
        either(chosen.flags, yes.flags, no.flags),
        written if yes.written or no.written else None,
    )


def _coalesce(*values: Values) -> Values:
    arrays = _alike(*values)
    return Values(
        pc.coalesce(*arrays),
        either(*(value.flags for value in values)),
        _first_written(values, [pc.is_valid(array) for array in arrays]),
    )


def _first_written(values: Sequence[Values], taken: Sequence[pa.Array]) -> Callable[[], Values] | None:
    """The text of the first of the values that is taken, row by row; None where no value has a text of its own."""
    if not any(value.written for value in values):
        return None

    def written() -> Values:
        texts = [texts_of(value) for value in values]
        found = [
            pc.if_else(pc.fill_null(chosen, False), text.array, pa.scalar(None, TEXT))
            for text, chosen in zip(texts, taken, strict=True)
        ]
        return Values(pc.coalesce(*found), either(*(text.flags for text in texts)))

    return written


def _empty(values: Values) -> Values:
    nothing = pc.is_null(values.array)
    if values.type == TEXT:
        nothing = pc.or_(nothing, pc.fill_null(pc.equal(values.array, ""), False))
    return Values(nothing, values.flags)


def _signed(sign: str, values: Values) -> Values:
    if sign == "!":
        truths = _truths(values)
        return Values(pc.invert(truths.array), truths.flags)
    numbers = of(values, WHOLE, FRACTION)
    extreme = pc.fill_null(pc.equal(numbers.array, -(2**63)), False) if numbers.type == WHOLE else None
    return Values(pc.negate(numbers.array), either(numbers.flags, extreme))


def _operated(sign: str, left: Values, right: Values) -> Values:
    if sign in ("&&", "||"):
        one, other = _truths(left), _truths(right)
        joined = pc.and_(one.array, other.array) if sign == "&&" else pc.or_(one.array, other.array)
        return Values(joined, either(one.flags, other.flags))
    if sign in COMPARISONS:
        return _compared(sign, left, right)
    return _reckoned(sign, left, right)


COMPARISONS: Final = {
    "==": pc.equal, "!=": pc.not_equal, "<": pc.less, ">": pc.greater, "<=": pc.less_equal, ">=": pc.greater_equal,
}  # fmt: skip


def _compared(sign: str, left: Values, right: Values) -> Values:
    flags = either(left.flags, right.flags)
    same = sign in ("==", "!=")
    if left.is_null or right.is_null:
        if not same:
            return Values(pa.nulls(len(left.array), TRUTH), flags)
        both = pc.and_(pc.is_null(left.array), pc.is_null(right.array))
        return Values(both if sign == "==" else pc.invert(both), flags)
    if {left.type, right.type} <= {WHOLE, FRACTION}:
        here, there, more = _numbers(left, right)
        flags = either(flags, more)
    elif left.type == right.type and (left.type in (TEXT, MOMENT) or (same and left.type == TRUTH)):
        here, there = left.array, right.array
    else:
        raise Unsupported("values of different types compared")
    found = COMPARISONS[sign](here, there)
    if same:  # null is like null and like nothing else
        nulls = pc.and_(pc.is_null(here), pc.is_null(there))
        found = pc.coalesce(found, nulls if sign == "==" else pc.invert(nulls))
    return Values(found, flags)


# ---- numbers


def _numbers(left: Values, right: Values) -> tuple[pa.Array, pa.Array, pa.Array | None]:
    """Both as whole numbers, or both as doubles."""
    if left.type == right.type:
        return left.array, right.array, None
    (here, more), (there, yet_more) = leaves.numbers_of(left.array), leaves.numbers_of(right.array)
    return here, there, either(more, yet_more)


def _reckoned(sign: str, left: Values, right: Values) -> Values:
    one, other = of(left, WHOLE, FRACTION), of(right, WHOLE, FRACTION)
    here, there, more = _numbers(one, other)
    flags = either(one.flags, other.flags, more)
    whole = here.type == WHOLE
    if whole:
        large = pc.or_(*(pc.greater_equal(_size(part), SMALL) for part in (here, there)))
        if pc.any(large).as_py():
            large = pc.fill_null(large, False)
            flags = either(flags, large)
            here, there = (pc.if_else(large, pa.scalar(0, WHOLE), part) for part in (here, there))
    if sign in ("/", "%"):
        zero = pc.fill_null(pc.equal(there, 0), False)
        flags = either(flags, zero)
        there = pc.if_else(zero, pa.scalar(1, there.type), there)
    match sign:
        case "+":
            found = pc.add(here, there)
        case "-":
            found = pc.subtract(here, there)
        case "*":
            found = pc.multiply(here, there)
        case "/":
            found = pc.divide(here, there)
        case "%" if whole:
            found = pc.subtract(here, pc.multiply(pc.divide(here, there), there))
        case _:
            raise Unsupported(sign)
    if not whole:
        huge = pc.invert(pc.less(pc.abs(found), leaves.LARGEST))
        flags = either(flags, pc.fill_null(huge, False)) if pc.any(huge).as_py() else flags
    return Values(found, flags)


def _size(numbers: pa.Array) -> pa.Array:
    """The size of whole numbers; the smallest of 64 bits has none and counts as large by its bits."""
    return pc.if_else(pc.equal(numbers, -(2**63)), pa.scalar(2**62, WHOLE), pc.abs(numbers))


def _to_integer(values: Values) -> Values:
    if values.type == FRACTION:
        numbers, flags = pc.trunc(values.array), values.flags
    elif values.type in (WHOLE, TEXT):
        numbers, more = leaves.whole_numbers(values.array)
        flags = either(values.flags, more)
    else:
        raise Unsupported(str(values.type))
    fits = pc.and_(pc.greater_equal(numbers, -SMALL), pc.less(numbers, SMALL))
    if pc.all(fits).as_py() is False:
        fits = pc.fill_null(fits, False)
        flags = either(flags, pc.and_(pc.is_valid(numbers), pc.invert(fits)))
        numbers = pc.if_else(fits, numbers, pa.scalar(None, numbers.type))
    return Values(pc.cast(numbers, WHOLE), flags)


def _to_bigint(values: Values) -> Values:
    if values.type in (WHOLE, FRACTION):
        return values
    numbers, flags = leaves.whole_numbers(of(values, TEXT).array)
    return Values(numbers, either(values.flags, flags))


def _to_double(values: Values) -> Values:
    numbers, flags = leaves.numbers_of(of(values, WHOLE, FRACTION, TEXT).array)
    return Values(numbers, either(values.flags, flags))


def _extreme(choose: Callable[..., pa.Array]) -> Callable[..., Values]:
    def operation(*values: Values) -> Values:
        arrays = _alike(*values)
        if arrays[0].type not in (WHOLE, FRACTION):
            raise Unsupported("texts compared")
        found = choose(*arrays, skip_nulls=True)
        taken = [pc.equal(array, found) for array in arrays]
        return Values(found, either(*(value.flags for value in values)), _first_written(values, taken))

    return operation


@dataclass(frozen=True, slots=True)
class Operation:
    """A function over columns. With `takes_literals`, every argument but the first must be a literal."""

    compute: Callable[..., Values]
    takes_literals: bool = False


OPERATIONS: Final[Mapping[str, Operation]] = {
    "concat": Operation(_concat),
    "upper": Operation(_by_text(pc.ascii_upper)),
    "lower": Operation(_by_text(pc.ascii_lower)),
    "ucase": Operation(_by_text(pc.ascii_upper)),
    "lcase": Operation(_by_text(pc.ascii_lower)),
    "trim": Operation(_by_text(pc.ascii_trim_whitespace, plain_space=True)),
    "ltrim": Operation(_by_text(pc.ascii_ltrim_whitespace, plain_space=True)),
    "rtrim": Operation(_by_text(pc.ascii_rtrim_whitespace, plain_space=True)),
    "equals": Operation(_equals),
    "equalsIgnoreCase": Operation(_equals_ignoring_case),
    "substr": Operation(_substr, takes_literals=True),
    "left": Operation(_left, takes_literals=True),
    "right": Operation(_right, takes_literals=True),
    "replacestr": Operation(_replace, takes_literals=True),
    "replace": Operation(_replace, takes_literals=True),
    "lpad": Operation(_pad(pc.utf8_lpad), takes_literals=True),
    "rpad": Operation(_pad(pc.utf8_rpad), takes_literals=True),
    "size_of": Operation(_size_of),
    "size": Operation(_size_of),
    "length": Operation(_length),
    "iif": Operation(_choice),
    "coalesce": Operation(_coalesce),
    "nvl": Operation(_coalesce),
    "first": Operation(_coalesce),
    "is_empty": Operation(_empty),
    "empty": Operation(_empty),
    "min": Operation(_extreme(pc.min_element_wise)),
    "max": Operation(_extreme(pc.max_element_wise)),
    "to_integer": Operation(_to_integer),
    "to_bigint": Operation(_to_bigint),
    "to_decimal": Operation(_to_double),
    "to_float": Operation(_to_double),
    "to_double": Operation(_to_double),
    "to_string": Operation(texts_of),
    "toString": Operation(texts_of),
    "date": Operation(date_operations.date, takes_literals=True),
    "format": Operation(date_operations.formatted, takes_literals=True),
    "dformat": Operation(date_operations.formatted, takes_literals=True),
    "format_date": Operation(date_operations.formatted, takes_literals=True),
}
