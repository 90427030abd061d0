"""The whole tutorial over a socket by a client that is not ours, in every manner that the contract allows."""

from __future__ import annotations

import pytest

from tests.contract.plain import Plain
from tests.contract.tutorial import Manner, Tutorial

MANNERS = {
    "as in 2020": Manner(),
    "as in 2020, old spellings": Manner(groups="mixins", data_sets="datasets", encoded_ids=True),
    "as in 2020, the reference's dialect": Manner(dialect="reference"),
    "as now": Manner(current=True, dialect="reference"),
    "as now, the guides' dialect": Manner(current=True, encoded_ids=True),
    "as now, old spellings": Manner(current=True, groups="mixins", data_sets="datasets", dialect="reference"),
}


@pytest.mark.parametrize("manner", list(MANNERS.values()), ids=list(MANNERS))
def test_the_whole_tutorial_can_be_made_by_hand_and_taken_back(plain: Plain, manner: Manner) -> None:
    tutorial = Tutorial(plain, manner)
    tutorial.up_to_the_flow()
    tutorial.flow()
    tutorial.runs_and_batches()
    tutorial.undo()


def test_a_second_pass_needs_other_titles_but_may_have_equal_names(plain: Plain) -> None:
    """T20, §9: titles are unique across kinds, names of Flow Service and Catalog are not."""
    first, second = Tutorial(plain, Manner(current=True)), Tutorial(plain, Manner(current=True), mark="9c1e")
    first.up_to_the_flow()
    again = plain.call(
        "POST",
        "/data/foundation/schemaregistry/tenant/schemas",
        {"title": first.kept["schema"]["title"], "type": "object", "allOf": first.kept["schema"]["allOf"]},
    )
    assert (again.status, again.code) == (400, "XDM-1521-400")
    assert first.kept["schema"]["$id"] in again.json["detail"]
    second.up_to_the_flow()
    first.flow()
    second.mark = first.mark
    second.flow()
    assert first.kept["flow"] != second.kept["flow"]
