"""The words of the lab: each term in plain words; of a measure also how it is computed, how to read it, what it cannot say.

One place feeds tooltips, table headings and the help drawer; a test holds that every column of every analysis has its term.
"""

from core.glossary.measures import MEASURES
from core.glossary.plain import PLAIN
from core.glossary.term import Term as Term

TERMS: dict[str, Term] = PLAIN | MEASURES


def tip(term: str) -> str:
    """The tooltip of a term: technical name and unit, then what it is.  KeyError for an unknown term."""
    found = TERMS[term]
    head = ", ".join(part for part in (found.name, f"[{found.unit}]" if found.unit else "") if part)
    return f"{head}. {found.what}" if head else found.what
