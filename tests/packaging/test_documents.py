"""What the documents point at is there: pages, headings, files of the project; and a docstring's source can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FENCED = re.compile(r"^```.*?^```", re.S | re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.*)$", re.M)
#: A place in the tree, as prose names it: `tests/crash/test_fleet.py`, with or without a name in it behind a blank.
PLACE = re.compile(
    r"`((?:\.ci|docs|engine|steps|journal|emulator|tests|scripts|benchmarks|examples)/[\w./-]*\w)(?: \w+)?`"
)
#: A page of docs/, cited in a docstring or a comment, with the section where one is named.
CITED = re.compile(r"(?<![\w./-])(?:docs/)?([a-z][a-z-]+\.md)\b(?: §([0-9]+(?:\.[0-9]+)?))?")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    names = set()
    for heading in HEADING.findall(prose(page)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
        name = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return names


def broken_links(page: Path, root: Path) -> Iterator[str]:
    """What a page links to, within the project, that is not there."""
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not (target.exists() and target.is_relative_to(root)):
            yield f"{page.relative_to(root)}: {link}: no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{page.relative_to(root)}: {link}: no such heading"


@pytest.fixture(scope="module")
def pages(tracked: list[Path]) -> list[Path]:
    return [path for path in tracked if path.suffix == ".md"]


def test_every_link_between_the_pages_leads_somewhere(root: Path, pages: list[Path]) -> None:
    assert [fault for page in pages for fault in broken_links(page, root)] == []


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("[there](other.md#a-heading)", 0),
        ("[there](other.md#a-heading-1)", 0),
        ("[there](other.md#no-heading)", 1),
        ("[gone](gone.md)", 1),
        ("[here](#mine)\n\n## Mine\n", 0),
        ("[here](#yours)\n\n## Mine\n", 1),
        ("[outside](../../outside.md)", 1),
        ("```\n[code](gone.md)\n```\n", 0),
    ],
)
def test_a_broken_link_is_noticed(text: str, faults: int, tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Other\n\n## A heading\n\n## A *heading*\n")
    page = tmp_path / "page.md"
    page.write_text(text)
    assert len(list(broken_links(page, tmp_path))) == faults


def test_every_place_in_the_tree_that_a_page_names_is_there(root: Path, pages: list[Path]) -> None:
    gone = [
        f"{page.relative_to(root)}: {place}"
        for page in pages
        for place in PLACE.findall(prose(page))
        if not (root / place).exists()
    ]

    assert gone == []


def test_every_page_that_the_code_cites_is_in_docs_with_the_section_that_is_meant(
    root: Path, tracked: list[Path]
) -> None:
    code = [path for path in tracked if path.suffix == ".py" and path.parts[len(root.parts)] != "tests"]
    wrong = set()
    for path in code:
        for name, section in CITED.findall(path.read_text()):
            page = root / "docs" / name
            if not page.exists():
                wrong.add(f"{path.relative_to(root)}: {name}")
            elif section and not re.search(rf"^#+ {re.escape(section)}[. ]", page.read_text(), re.M):
                wrong.add(f"{path.relative_to(root)}: {name} §{section}")

    assert sorted(wrong) == []


def test_every_page_is_reached_from_the_readme(root: Path, pages: list[Path]) -> None:
    reached, left = set(), [root / "README.md"]
    while left:
        page = left.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in LINK.findall(prose(page)):
            if re.match(r"#|[a-z]+:", link):
                continue
            target = (page.parent / link.partition("#")[0]).resolve()
            left += [target] if target.suffix == ".md" else sorted(target.glob("*.md")) if target.is_dir() else []

    assert sorted(str(page.relative_to(root)) for page in set(pages) - reached) == []
