"""Data Prep's expression language over HTTP: its functions, its operators, whether a text is one (platform-api.md §5).

What is listed is what this emulator computes, or takes without computing it. Names, arities and the shape of an entry
are Adobe's; the texts are the emulator's own.
"""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator import expressions
from flowledger.emulator.expressions import BINDING, WORDS, Malformed, parse
from flowledger.emulator.functions import ALIASES, ANY, FUNCTIONS, NOT_COMPUTED, Function
from flowledger.emulator.mapping_rules import bad
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

Json = dict[str, Any]

BASE: Final = "/data/foundation/conversion/languages/el"
CATEGORIES: Final = {  # as Adobe's list of functions groups them
    "String": """concat explode split join instr replacestr substr lower upper lcase ucase lpad rpad left right trim
        ltrim rtrim equals equalsIgnoreCase length replace to_string toString""",
    "Regular Expression": "extract_regex matches_regex",
    "Hashing": "sha1 sha256 sha512 md5 crc32",
    "URL": """get_url_protocol get_url_host get_url_port get_url_path get_url_query_str get_url_encoded
        get_url_decoded""",
    "Date / Time": """now timestamp date format dformat date_part set_date_part make_date_time make_timestamp
        zone_date_to_utc zone_date_to_zone date_diff format_date""",
    "Hierarchies - Objects": """size_of is_empty to_object str_to_object contains_key is_set nullify get_keys get_values
        to_map object_to_map array_to_map map_get_values map_has_keys add_to_map json_to_object size empty""",
    "Hierarchies - Arrays": """coalesce first last add_to_array join_arrays to_array arrays_to_object
        upsert_array_append upsert_array_replace""",
    "Logical": "decode iif nvl",
    "Aggregation": "min max sum",
    "Type Conversions": "to_bigint to_decimal to_float to_integer to_double",
    "Numeric": "round floor ceil abs",
    "Special": "uuid guid",
    "User Agent": """ua_os_name ua_os_version_major ua_os_version ua_os_name_version ua_agent_version
        ua_agent_version_major ua_agent_name ua_device_class""",
}
METHODS: Final = {  # sign: (name, what it does, example)
    "||": ("or", "True when one of the two is", "a || b"),
    "&&": ("and", "True when both are", "a && b"),
    "==": ("equals", "True when both are equal", "a == b"),
    "!=": ("notEquals", "True when both differ", "a != b"),
    "<": ("lessThan", "True when the first is less", "1 < 2"),
    ">": ("greaterThan", "True when the first is greater", "2 > 1"),
    "<=": ("lessThanOrEqual", "True when the first is not greater", "1 <= 2"),
    ">=": ("greaterThanOrEqual", "True when the first is not less", "2 >= 1"),
    "+": ("add", "Addition", "1 + 2"),
    "-": ("subtract", "Subtraction", "2 - 1"),
    "*": ("multiply", "Multiplication", "2 * 3"),
    "/": ("divide", "Division", "1 / 2"),
    "%": ("mod", "The rest of a division", "7 % 2"),
}
SIGNS: Final = {"-": ("negate", "The number with its other sign", "-12"), "!": ("not", "True when it is false", "!a")}


def validate_expression(call: Call) -> Response:
    """POST /languages/el/validate: bare true or false. The community client sends the text itself, not nested."""
    outer = call.body.get("expression") if isinstance(call.body, dict) else None
    text = outer.get("expression") if isinstance(outer, dict) else outer
    if not isinstance(text, str):
        bad('The body must be {"expression":{"expression":"..."}}')
    try:
        wrong = expressions.faults_of(parse(text), unpublished=call.world.options.unpublished_functions)
    except Malformed:
        return json_response(200, False)
    return json_response(200, not wrong)


def list_functions(call: Call) -> Response:
    """GET /languages/el/functions: every function that validation accepts, in a bare array."""
    unpublished = call.world.options.unpublished_functions
    known = {name: function for name, function in FUNCTIONS.items() if function.published or unpublished}
    shown = [_function(name, known.get(name)) for name in sorted({*known, *NOT_COMPUTED}, key=str.lower)]
    return json_response(200, shown)


def list_operators(_call: Call) -> Response:
    """GET /languages/el/operators: every operator that the parser knows, in a bare array."""
    words = {sign: word for word, sign in WORDS.items()}
    shown = [_operator(sign, METHODS[sign], 2, words.get(sign)) for sign in BINDING]
    return json_response(
        200, shown + [_operator(sign, said, 1, "not" if sign == "!" else None) for sign, said in SIGNS.items()]
    )


def _operator(sign: str, said: tuple[str, str, str], operands: int, word: str | None) -> Json:
    method, description, example = said
    also = f"; may be written as the word {word}" if word else ""
    return {
        "operatorSymbol": sign,
        "methodName": method,
        "numberOfOperands": operands,
        "description": f"{description}{also}",
        "example": example,
    }


def _function(name: str, function: Function | None) -> Json:
    """One entry; `function` is None for those that are accepted and not computed."""
    names = _arguments(function)
    said = ["Accepted here, and not computed." if function is None else "Computed in previews and runs."]
    if name in ALIASES:
        said.append(f"Another name of {ALIASES[name]}.")
    if function is not None and function.most and not function.takes_null:
        said.append("Null when an argument is null.")
    return {
        "category": next((group for group, members in CATEGORIES.items() if name in members.split()), "Other"),
        "function": name,
        "description": " ".join(said),
        "syntax": f"{name}({', '.join(names)})",
        "returns": "",
        "returnType": "java.lang.Object",
        "example": "",
        "result": "",
        "params": [
            {"name": argument, "description": "", "type": "object", "dataType": "java.lang.Object", "position": place}
            for place, argument in enumerate(names, 1)
        ],
        "since": 1,
    }


def _arguments(function: Function | None) -> list[str]:
    """The arguments as the syntax shows them: those that may be left out in brackets, any number of more as `...`."""
    if function is None:
        return ["..."]
    needed = [f"argument{number}" for number in range(1, function.least + 1)]
    if function.most == ANY:
        return [*needed, "..."]
    return needed + [f"[argument{number}]" for number in range(function.least + 1, function.most + 1)]


ROUTES: list[Route] = [
    ("POST", f"{BASE}/validate", validate_expression),
    ("GET", f"{BASE}/functions", list_functions),
    ("GET", f"{BASE}/operators", list_operators),
]
