"""What an error says to type next works: each way to fail is met, mended as it says, and its command is typed."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import typer.main

from flowledger.cli.app import app
from flowledger.journal import Journal

TREE: Any = typer.main.get_command(app)
RUN = "paypal-products"
ONCE = ((r"attempts: 6", "attempts: 1"), (r"first_wait: 500ms", "first_wait: 10ms"))


def commands_in(hint: str) -> list[list[str]]:
    """The commands that a hint names, as words to type: what follows their last option or argument is prose."""
    found = []
    for piece in hint.split("flowledger ")[1:]:
        words = shlex.split(re.split(r"[,;`]", piece)[0].replace("'", " "))
        command, said = TREE, []
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words[0]]
            said.append(words.pop(0))
        options = {name: param for param in command.params for name in param.opts if param.param_type_name == "option"}
        room = sum(1 for param in command.params if param.param_type_name == "argument")
        while words and (words[0] in options or (room > 0 and not words[0].startswith("-"))):
            word = words.pop(0)
            said.append(word)
            if word in options and not options[word].is_flag:
                said.append(words.pop(0))
            elif word not in options:
                room -= 1
        if said:
            found.append(said)
    return found


def test_a_command_is_found_in_a_hint_without_the_prose_around_it() -> None:
    hint = "mend it, then flowledger resume orders --journal j; flowledger drift orders shows what is gone"
    assert commands_in(hint) == [["resume", "orders", "--journal", "j"], ["drift", "orders"]]


@dataclass(frozen=True)
class Case:
    """A way to fail. `arrange` makes it so and returns the words that fail; `mend` does what the hint asks for."""

    name: str
    arrange: Callable[[Any, Any], tuple[str, ...]]
    code: int
    env: dict[str, str] = field(default_factory=dict)  # of the call that fails
    mend: Callable[[Any, Any], Any] = lambda program, emulator: None
    ends: tuple[int, ...] = (0,)  # what the named commands may end with
    names: int = 1  # commands at least


def _apply(*changes: tuple[str, str]) -> Callable[[Any, Any], tuple[str, ...]]:
    return lambda program, emulator: ("apply", program.spec(*changes))


def _after_apply(*words: str) -> Callable[[Any, Any], tuple[str, ...]]:
    def arrange(program: Any, emulator: Any) -> tuple[str, ...]:
        assert program("apply", program.spec()).code == 0
        return words

    return arrange


def _refused(route: str, *words: str, status: int = 400, **details: Any) -> Callable[[Any, Any], tuple[str, ...]]:
    """A run that the platform refused amid its steps; then the words, or the apply itself."""

    def arrange(program: Any, emulator: Any) -> tuple[str, ...]:
        emulator.fault(route, "answer", status=status, times=1, **details)
        first = ("apply", program.spec(*ONCE))
        if not words:
            return first
        assert program(*first).code != 0
        return words

    return arrange


def _drop(route: str, **details: Any) -> Callable[[Any, Any], tuple[str, ...]]:
    def arrange(program: Any, emulator: Any) -> tuple[str, ...]:
        emulator.fault(route, "drop", **details)
        return "apply", program.spec(*ONCE, (r"^settle: 1s", "settle: {window: 1s, send_within: 1s}"))

    return arrange


def _no_secret(program: Any, emulator: Any) -> tuple[str, ...]:
    spec = program.spec()
    (program.folder / "secrets" / "paypal-client-secret").unlink()
    return "apply", spec


def _destroyed(*words: str) -> Callable[[Any, Any], tuple[str, ...]]:
    def arrange(program: Any, emulator: Any) -> tuple[str, ...]:
        assert program("apply", program.spec()).code == 0
        assert program("destroy", RUN, "--yes").code == 0
        return words

    return arrange


def _edited(program: Any, emulator: Any) -> tuple[str, ...]:
    emulator.fault("POST /flows", "answer", status=403, times=1)
    assert program("apply", program.spec()).code == 4
    return "apply", program.spec((r"interval: 30", "interval: 45"))


def _edited_when_done(program: Any, emulator: Any) -> tuple[str, ...]:
    assert program("apply", program.spec()).code == 0
    return "apply", program.spec((r"interval: 30", "interval: 45"))


def _written(program: Any, emulator: Any) -> tuple[str, ...]:
    assert program("init", "paypal").code == 0
    return "init", "paypal"


def _damaged(program: Any, emulator: Any) -> tuple[str, ...]:
    assert program("apply", program.spec()).code == 0
    segment = max(program.journal.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    return "status", RUN


def _twin(program: Any, emulator: Any) -> tuple[str, ...]:
    emulator.fault("POST /dataSets", "twice")
    assert program("apply", program.spec()).code == 0
    return "drift", RUN


def _gone(program: Any, emulator: Any) -> tuple[str, ...]:
    assert program("apply", program.spec()).code == 0
    emulator.fault("GET /dataSets/{id}", "answer", status=404, shape="service", times=1)
    return "read", RUN


CASES = (
    Case("no credentials", _apply(), 4, env={"FLOWLEDGER_ORG_ID": ""}, names=0),
    Case("a wrong secret", _apply(), 4, env={"FLOWLEDGER_CLIENT_SECRET": "wrong"}),
    Case("no such organisation", _apply(), 4, env={"FLOWLEDGER_ORG_ID": "ELSE@AdobeOrg"}, ends=(0, 2)),
    Case("a secret file that is missing", _no_secret, 4, mend=lambda program, emulator: program.spec()),
    Case("a spec with faults", _apply((r"kind: paypal", "kind: paypall")), 3, names=0),
    Case("a column that the table lacks", _apply((r"Product_Name", "Product_Nam")), 3),
    Case("a table that the source lacks", _apply((r"PayPal.Catalog_Products", "PayPal.Nothing")), 3),
    Case("a call that was refused", _refused("POST /flows"), 7),
    Case("a permission that is missing", _refused("POST /flows", status=403), 4),
    Case("a call without an answer", _drop("POST /flows", when="before"), 75),
    Case("a platform that answers only errors", _refused("GET /stats", status=503), 75),
    Case("a spec that was edited amid its run", _edited, 3),
    Case("a spec that was edited after its run", _edited_when_done, 3, names=0),  # the file is to be mended
    Case("an unknown run", _after_apply("status", "nothing"), 5),
    Case(
        "no journal at all", lambda program, emulator: ("status", RUN), 5, mend=lambda program, emulator: program.spec()
    ),
    Case("an unknown event", _after_apply("history", RUN, "--event", "999"), 5),
    Case("an unknown step", _after_apply("history", RUN, "--step", "nothing"), 2),
    Case("a run without a dataset", _refused("POST /dataSets", "read", RUN, status=403), 5),
    Case("a run without a dataflow", _refused("POST /flows", "watch", RUN, status=403), 5),
    Case("a dataset that is gone", _gone, 5),
    Case("rows into files without a folder", _after_apply("read", RUN, "--format", "parquet"), 2),
    Case("a destroy without a terminal", _after_apply("destroy", RUN), 2),
    Case("an apply of a destroyed run", _destroyed("apply", "spec.yaml"), 2),
    Case("a resume of a destroyed run", _destroyed("resume", RUN), 2),
    Case("a drift of a destroyed run", _destroyed("drift", RUN), 2),
    Case("a watch of a destroyed run", _destroyed("watch", RUN), 2),
    Case("a damaged journal", _damaged, 9),
    Case("twins", _twin, 8),
    Case("a resume of no run", _after_apply("resume"), 2),
    Case("a spec that is there already", _written, 2, names=0),
    Case(
        "a sandbox that is not the run's",
        _after_apply("apply", "spec.yaml"),
        2,
        env={"FLOWLEDGER_SANDBOX": "dev"},
        names=0,
    ),
    Case("a resume elsewhere", _after_apply("resume", RUN), 2, env={"FLOWLEDGER_SANDBOX": "dev"}, names=0),
)


@pytest.fixture
def background(connected: Any) -> Iterator[None]:
    """Stops what a hint has started in the background."""
    yield
    connected("emulator", "stop")


def next_of(ran: Any) -> str:
    """What a failed call says to do next, wherever it says it."""
    said = re.findall(r"^(?:next|Next): (.*)$", ran.err + ran.out, flags=re.MULTILINE)
    return " ; ".join(said)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_next_command_is_not_refused(case: Case, connected: Any, emulator: Any, background: None) -> None:
    words = case.arrange(connected, emulator)
    failed = connected(*words, env=case.env)
    assert failed.code == case.code, failed.err + failed.out
    hint = next_of(failed)
    assert hint, f"nothing is said to do next: {failed.err}{failed.out}"
    case.mend(connected, emulator)

    commands = commands_in(hint)
    assert len(commands) >= case.names, hint
    for command in commands:
        asks = command[0] in ("destroy", "prune") or "prune" in command or "--remove-twins" in command
        confirmed = [*command, "--yes"] if asks and "--yes" not in command else command  # a terminal would ask
        filled = ["spec.yaml" if word == "SPEC" else "saved" if word == "DIR" else word for word in confirmed]
        ran = connected(*filled)
        assert ran.code in case.ends, f"{hint}\n$ flowledger {' '.join(filled)}\n{ran.err}{ran.out}"


def test_a_run_under_a_wrong_organisation_says_that_it_keeps_it_and_another_name_works(
    connected: Any, emulator: Any
) -> None:
    failed = connected("apply", connected.spec(), env={"FLOWLEDGER_ORG_ID": "ELSE@AdobeOrg"})
    assert failed.code == 4
    assert "give the spec another name" in next_of(failed)

    assert connected("apply", connected.spec((r"^name: .*$", "name: another"))).code == 0
    assert emulator.counts["flows"] == 1


def test_the_name_of_a_destroyed_run_is_free_after_what_is_said_to_do_next(connected: Any, emulator: Any) -> None:
    failed = connected(*_destroyed("apply", "spec.yaml")(connected, emulator))
    (prune,) = commands_in(next_of(failed))

    assert connected(*prune, "--yes").code == 0
    assert connected("apply", "spec.yaml").code == 0
    assert emulator.counts["flows"] == 1


EXPLAINED = tuple(case for case in CASES if case.code in (3, 4, 7, 75) and case.name != "a spec with faults")


@pytest.mark.parametrize("case", EXPLAINED, ids=lambda case: case.name)
def test_what_explain_says_to_do_next_is_not_refused(case: Case, connected: Any, emulator: Any) -> None:
    connected(*case.arrange(connected, emulator), env=case.env)
    case.mend(connected, emulator)
    explained = connected("explain", RUN)
    if explained.code == 5:  # nothing was begun
        return

    for command in commands_in(next_of(explained)):
        ran = connected(*command, *(["--yes"] if command[0] == "destroy" else []))
        assert ran.code in case.ends, f"{next_of(explained)}\n{ran.err}{ran.out}"


def test_a_journal_that_is_held_names_no_other_and_the_same_command_works_later(connected: Any) -> None:
    spec = connected.spec()
    with Journal.open(connected.journal):
        held = connected("apply", spec)
    assert held.code == 6
    assert commands_in(next_of(held)) == [] or "--journal" not in next_of(held)
    assert connected("apply", spec).code == 0


def test_where_no_emulator_runs_the_named_commands_start_one_and_go_on(connected: Any, background: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    connected.env["FLOWLEDGER_BASE_URL"] = f"http://127.0.0.1:{port}"
    failed = connected("apply", connected.spec())
    assert failed.code == 75
    start, resume = commands_in(next_of(failed))
    assert start[:3] == ["emulator", "start", "-d"]

    assert connected.apart(*start).code == 0
    assert connected(*resume).code == 0
    assert connected("status", RUN, "--json").json["state"] == "provisioned"


def test_with_local_where_credentials_are_missing_the_same_command_works(program: Any) -> None:
    spec = program.spec()
    assert "add --local" in next_of(program("apply", spec))
    assert program("apply", spec, "--local").code == 0
