"""The glossary is complete: every analysis, every column of a result, every claim; a measure has all four answers."""

import pytest

from core import analyses, glossary
from core.claims import CLAIMS
from pages.ui import help_entries
from pages.ui.help_entries import ANSWERS

METHODS = analyses.catalogue()
#: numbers that say where or how, not what a net does
PLACES = {"depth", "frequency", "step", "band", "noise_rms", "attack_strength", "bin", "node", "interval", "attention_uniform",
          "receptive_uniform", "calibration_value"}  # fmt: skip


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_every_column_has_its_entry_and_every_number_of_a_net_its_four_answers(method: analyses.Analysis) -> None:
    for column in method.columns:
        assert column.term in glossary.TERMS, column.id
        if column.dtype == "float" and column.term not in PLACES:
            assert column.term in glossary.MEASURES, f"{column.id}: {column.term} is a measure without answers"


@pytest.mark.parametrize("key", [*(f"method:{key}" for key in METHODS), *(f"term:{key}" for key in glossary.MEASURES),
                                 *(f"claim:{key}" for key, claim in CLAIMS.items() if claim.parts)])  # fmt: skip
def test_every_method_measure_and_claim_has_four_answers(key: str) -> None:
    told = help_entries.entries()[key].answers
    assert list(told) == list(ANSWERS)
    for text in told.values():
        assert len(text) > 10 and text.endswith((".", ")")), text
        assert "**" not in text and "  " not in text


def test_the_answers_of_a_method_are_those_of_its_card() -> None:
    """One place for one thing: the drawer repeats what stands under “How this is measured”."""
    for key, method in METHODS.items():
        card = " ".join(method.card.split())
        assert all(text in card for text in help_entries.entries()[f"method:{key}"].answers.values()), key


def test_each_word_is_said_once_and_no_two_labels_of_measures_are_alike() -> None:
    assert not set(glossary.PLAIN) & set(glossary.MEASURES)
    named = [(term.plain, term.name) for term in glossary.MEASURES.values()]
    assert not {one for one in named if named.count(one) > 1}
