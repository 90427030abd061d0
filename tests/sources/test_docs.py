"""docs/sources.md says what the table of kinds says. `python tests/sources/test_docs.py` writes its tables anew."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import yaml

from flowledger.engine.kindfile import load_kind
from flowledger.engine.specfile import spec_from_mapping
from flowledger.steps.source_kind import AuthSpec, Ends, Param, SampleTable, SourceKind
from flowledger.steps.sources import REFUSED, SOURCES

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"
BEGIN, END = "<!-- from steps/sources.yaml -->\n", "<!-- end -->\n"
GUIDES = "https://github.com/AdobeDocs/experience-platform.en/blob/main/help/sources/tutorials/api/create/"


def tables() -> str:
    """The part of the page that is made from the data."""
    lines = [
        "| kind | source | connection spec | tables are named | times of the delta column | row filters | ends |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in SOURCES.values():
        lines.append(
            f"| [`{kind.kind}`](#{kind.kind}) | {kind.label} | `{kind.connection_spec_id}` | {kind.table_naming} "
            f"| `{kind.delta_format}` | {'yes' if kind.row_filters else ''} "
            f"| {kind.ends.when if kind.ends is not None else ''} |"
        )
    for family, kinds in groupby(SOURCES.values(), key=lambda kind: kind.family):
        lines += ["", f"### {family}"]
        for kind in kinds:
            lines += ["", f"#### {kind.kind}", ""]
            if kind.ends is not None:
                lines += [f"**{kind.ends.sentence(kind.label)}** ([Adobe's page]({kind.ends.source})).", ""]
            for auth in kind.auths:
                ends = f" **{auth.ends.sentence('it')}** ([Adobe's page]({auth.ends.source}))." if auth.ends else ""
                lines += [f"`{auth.name}`: {_sure(auth)}{ends}", ""]
                lines += ["| parameter | | |", "|---|---|---|"]
                lines += [f"| `{param.name}` | {_cell(param.meaning)} | {_needed(param)} |" for param in auth.params]
                lines.append("")
            lines.pop()
    lines += ["", "### Sources that are refused", "", "| kind | why |", "|---|---|"]
    for why, refused in groupby(REFUSED.items(), key=lambda item: item[1]):
        names = ", ".join(f"`{name}`" for name, _ in refused)
        lines.append(f"| {names} | {why} |")
    return "\n".join(lines) + "\n"


def _sure(auth: AuthSpec) -> str:
    guide = f"[Adobe's guide]({GUIDES}{auth.guide})" if auth.guide else ""
    text = {
        "contract": "as Adobe's guides and samples have it.",
        "guide": f"as {guide} has it.",
        "unsure": f"**not sure**, from {guide}: {auth.note}.",
    }[auth.source]
    return f"{text} {auth.note[:1].upper()}{auth.note[1:]}." if auth.note and auth.source != "unsure" else text


def _needed(param: Param) -> str:
    words = ["a secret"] if param.secret else []
    if param.default is not None:
        words.append(f"default `{param.default}`")
    elif not param.required:
        words.append("may be left out")
    if param.type != "string":
        words.append(f"sent as {param.type}")
    return ", ".join(words)


def _cell(text: str) -> str:
    before, comma, pattern = text.partition(", like ")
    if comma and "{" in pattern:
        return f"{before}, like `{pattern}`"
    return text.replace("|", r"\|")


def test_the_page_holds_the_tables_of_the_data() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.partition(BEGIN)[2].partition(END)[0] == tables(), "run: python tests/sources/test_docs.py"


def test_the_page_describes_every_key_of_a_kind() -> None:
    own = PAGE.read_text(encoding="utf-8").partition("## A kind of your own")[2]

    for part, above in ((SourceKind, ""), (Ends, "ends."), (AuthSpec, "auths[]."), (Param, "auths[].params[]."),
                        (SampleTable, "tables[].")):  # fmt: skip
        assert [key for key in part.model_fields if f"`{above}{key}`" not in own] == []


def test_the_pages_example_of_a_kind_is_one_and_its_spec_is_valid(tmp_path: Path, begun: Callable[..., Path]) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## A kind of your own")[2]
    example = text.partition("```yaml\n")[2].partition("```")[0]
    file = tmp_path / "our-ledger.yaml"
    file.write_text(example)

    kind = load_kind(file)
    spec = spec_from_mapping(yaml.safe_load(begun("", kind_file=file).read_text()), folder=tmp_path)

    assert spec.source.definition == kind
    assert kind.kind == "our-ledger"


def test_the_specs_page_shows_filters_that_compile(begun: Callable[..., Path]) -> None:
    page = (PAGE.parent / "spec.md").read_text(encoding="utf-8")
    section = page.partition("## Row filters")[2].partition("\n## ")[0]
    blocks = section.split("```yaml\n")[1:]
    path = begun("snowflake", style="current")

    assert len(blocks) >= 2
    for block in blocks:
        for written in yaml.safe_load_all(block.partition("```")[0]):
            mapping = yaml.safe_load(path.read_text())
            mapping["source"] |= written
            assert spec_from_mapping(mapping, folder=path.parent).source.filter


if __name__ == "__main__":
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + begin + tables() + END + rest.partition(END)[2], encoding="utf-8")
