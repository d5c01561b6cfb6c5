"""What an entry of the glossary is."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Term:
    """An entry: `plain` is its label, `name` the technical name, `what` one or two sentences for a tooltip.

    A measure also says `how` it is computed, how to `read` it and what it `cannot` say; `figure` is where the paper shows it.
    """

    plain: str
    what: str
    name: str = ""
    unit: str = ""
    how: str = ""
    read: str = ""
    cannot: str = ""
    figure: str = ""
