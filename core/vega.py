"""A chart as the specification that draws it, its tables apart: a page sends them as Arrow, a report writes them into the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


def specification(picture: alt.TopLevelMixin) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """(specification, its tables by name) of an undressed chart; `config` is missing, `datasets` holds what is no table.

    A table that several layers share is there once, where altair would turn each layer's into rows of JSON.  A layered chart's own
    to_dict makes the chart anew first, copies of every layer included: a third of the time.
    """
    import altair as alt

    tables: dict[str, pd.DataFrame] = {}
    _name_tables(picture, tables)
    inline: dict[str, Any] = {}
    spec = alt.SchemaBase.to_dict(picture, validate=False, context={"top_level": False, "datasets": inline})
    return {"$schema": alt.SCHEMA_URL, **spec, "datasets": inline}, tables


def _name_tables(picture: Any, tables: dict[str, pd.DataFrame]) -> None:
    import altair as alt
    import pandas as pd

    table = getattr(picture, "data", None)
    if isinstance(table, pd.DataFrame):
        name = next((known for known, held in tables.items() if held is table), f"table{len(tables)}")
        tables[name], picture.data = table, alt.NamedData(name=name)
    for part in getattr(picture, "layer", ()):
        if part.data is alt.Undefined:  # the whole has it; alone, altair would write that it is empty
            part.data = picture.data
        _name_tables(part, tables)
