"""What is no spec at all: one clear error each, at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from flowledger.engine import specyaml
from flowledger.engine.specfile import load_spec
from flowledger.errors import SpecError

Refused = Callable[[str | bytes], SpecError]

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
DEEP_BY_ALIASES = f"a: &a {'[' * 15}x{']' * 15}\nb: {'[' * 10}*a{']' * 10}\n"


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers: libyaml's, and its own where libyaml is not there."""
    if not hasattr(yaml, request.param):
        pytest.skip("this PyYAML was built without libyaml")
    monkeypatch.setattr(specyaml, "_LOADER", getattr(yaml, request.param))


@pytest.mark.timeout(20)  # no input may keep the reader busy
@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n\n", "is empty", id="blank"),
        pytest.param(b"\x7fELF\x00\x01", "binary file", id="binary"),
        pytest.param("name: x\n".encode("utf-16"), "binary file, or text that is not UTF-8", id="utf-16"),
        pytest.param(b"name: x\ntitle: caf\xe9\n", "line 2 holds the byte 0xe9", id="latin-1"),
        pytest.param(b"- name: x\n", "is a list", id="list at the top"),
        pytest.param(b"hello", "is a single value", id="text at the top"),
        pytest.param(b"# nothing but words\n", "is empty; it must be a mapping", id="comment"),
        pytest.param(b"a: [1, 2", "not YAML", id="unclosed"),
        pytest.param(b"a: b: c", "not YAML", id="two colons"),
        pytest.param(b"a: \x07", "U+0007", id="control character"),
        pytest.param(b"a: 1\n---\nb: 2\n", ":2:1: a second document", id="two documents"),
        pytest.param(b"a: !!python/object/apply:os.system ['true']", "the tag", id="python tag"),
        pytest.param(b"a: !!binary aGVsbG8=", "the tag", id="binary tag"),
        pytest.param(b"<<: {name: x}", "merge keys", id="merge key"),
        pytest.param(b"a: *nowhere", "an alias (`*`) without its anchor", id="alias without anchor"),
        pytest.param(b"a: &a [*a]", "an alias inside of what it stands for", id="recursive alias"),
        pytest.param(b"? [a, b]\n: c", "a key must be plain text", id="list as key"),
        pytest.param(BOMB.encode(), "once its aliases are expanded", id="alias bomb"),
        pytest.param(b"[" * 500_000, "nest", id="deep list"),
        pytest.param(b"a: {" * 100_000, "nest", id="deep mapping"),
        pytest.param(DEEP_BY_ALIASES.encode(), "levels once its aliases are expanded", id="deep by aliases"),
        pytest.param(b"a: [" + b"1," * 300_000 + b"]", "more than 20000", id="long list"),
        pytest.param(b"x" * ((1 << 20) + 1), "larger than 1 MiB", id="too large"),
    ],
)
def test_what_is_no_spec_is_refused_in_one_sentence_and_at_once(refused: Refused, content: bytes, says: str) -> None:
    error = refused(content)

    assert says in error.message
    assert "\n" not in error.message
    assert error.exit_code == 3


def test_a_long_file_is_refused_before_it_is_read_to_its_end(refused: Refused) -> None:
    error = refused("a:\n" + "- 1\n" * 100_000 + "not yaml: [")

    assert "more than 20000 keys and values" in error.message
    assert "expanded" not in error.message


def test_a_hundred_megabytes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    monkeypatch.setattr(os, "fdopen", lambda *_args, **_options: pytest.fail("it was opened for reading"))

    with pytest.raises(SpecError, match="larger than 1 MiB"):
        load_spec(path)


def test_a_directory_is_no_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is a directory"):
        load_spec(tmp_path)


def test_a_pipe_that_nobody_writes_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(SpecError, match="the spec is empty"):
        load_spec(path)


def test_an_endless_device_is_refused() -> None:
    with pytest.raises(SpecError, match="not a regular file"):
        load_spec(Path("/dev/zero"))


@pytest.mark.parametrize("name", ["nowhere.yaml", "nul\0byte", "x" * 5000])
def test_a_file_that_is_not_there_says_how_to_begin(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="cannot be read") as caught:
        load_spec(tmp_path / name)

    assert "flowledger init" in caught.value.hint


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)  # root, who runs many a test, may read everything

    with pytest.raises(SpecError, match="cannot be read: Permission denied"):
        load_spec(tmp_path / "closed.yaml")


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "loop"
    path.symlink_to(path)

    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(path)


def test_handles_are_given_back_whatever_the_file_is(tmp_path: Path) -> None:
    descriptors = Path("/dev/fd")
    before = len(list(descriptors.iterdir()))

    for _ in range(20):
        with pytest.raises(SpecError):
            load_spec(tmp_path)

    assert len(list(descriptors.iterdir())) <= before


WRONG = {
    "mappings": "mappings:\n" + "".join(f"- {{source: a, to: own.field{n}x}}\n" for n in range(4000)),
    "own fields": "target: {fields: {" + ", ".join(f"own.field{n}: strng" for n in range(8000)) + "}}\n",
    "fields and mappings": "target: {fields: {" + ", ".join(f"own.field{n}: string" for n in range(4000)) + "}}\n"
    "mappings: {" + ", ".join(f"a{n}: own.fild{n}" for n in range(4000)) + "}\n",
    "unknown keys": "".join(f"sauce{n}: x\n" for n in range(9000)),
    "keys that stand twice": "name: x\n" * 9000,
    "field groups": "target: {field_groups: [" + "x, " * 18000 + "]}\n",
    "one long name": "name: " + "A " * 500_000 + "\nmappings: {a: " + "b." * 20_000 + "}\n",
    "one long key": "k" * 100_000 + ":\n- 1\n",
}  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("what", WRONG)
def test_a_file_full_of_faults_is_refused_as_quickly_with_the_first_of_them(refused: Refused, what: str) -> None:
    error = refused(WRONG[what])

    assert 0 < len(error.faults) <= 200
    assert max(map(len, error.faults)) < 800
    assert len(error.message) < 400
    assert ("or more; these are the first" in error.message) == (len(error.faults) == 200)


def test_a_parser_error_does_not_quote_the_line_which_may_hold_a_secret(refused: Refused) -> None:
    error = refused("source:\n  clientSecret: 'hunter2\n")

    assert "hunter2" not in str(error) + "".join(error.faults) + error.hint
    assert error.__cause__ is None
    assert error.__suppress_context__
