"""Small maps as pictures: one hue from paper to ink, one square a position, with what is drawn over them."""

import base64
import io as bytes_io
from collections.abc import Sequence
from html import escape
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from core import chart as look


def png(values: np.ndarray, theme: str) -> str:
    """Base64 PNG of a map (height, width), a pixel a position: 0 is the paper, its largest value ink."""
    from PIL import Image

    c, out = look.tokens(theme), bytes_io.BytesIO()
    paper, ink = (np.array([int(c[token][i : i + 2], 16) for i in (1, 3, 5)]) for token in ("bg", "ink"))
    largest = float(values.max())
    share = np.clip(values / largest if largest > 0 else np.zeros_like(values), 0, 1)[..., None]
    Image.fromarray((paper + share * (ink - paper)).round().astype(np.uint8)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def cell(row: int, column: int, side: int) -> str:
    """A frame round one position of a map, to lie over a picture: paper round ink, seen on any shade."""
    at = ";".join(f"{edge}:{100 * place / side:.2f}%" for edge, place in (("left", column), ("top", row), ("width", 1), ("height", 1)))
    return f'<i style="position:absolute;{at};box-shadow:0 0 0 2px var(--lab-ink),0 0 0 4px var(--lab-bg)"></i>'


def circle(radius: float, size: int) -> str:
    """A circle of `radius` pixels round the middle of a picture of `size` pixels, to lie over it."""
    wide = 200 * radius / size
    at = f"left:{50 - wide / 2:.2f}%;top:{50 - wide / 2:.2f}%;width:{wide:.2f}%;height:{wide:.2f}%"
    line = "position:absolute;border-radius:50%;border:1.5px"
    return f'<i style="{line} solid var(--lab-bg);{at}"></i><i style="{line} dashed var(--lab-ink);{at}"></i>'


def figure(picture: str, alt_text: str, caption: str, small: Sequence[str] = (), over: str = "", side: int = 120) -> str:
    """A base64 PNG at `side` px with its pixels as squares, what lies over it, and its caption."""
    frame = f"position:relative;width:{side}px;max-width:100%;aspect-ratio:1;overflow:hidden"
    frame += ";border:1px solid var(--lab-line);border-radius:3px"
    image = f'<img src="data:image/png;base64,{picture}" alt="{escape(alt_text)}" style="width:100%;height:100%;border-radius:0">'
    under = escape(caption) + "".join(f"<small>{escape(line)}</small>" for line in small)
    return (
        f'<figure style="width:{side}px;max-width:100%"><div style="{frame}">{image}{over}</div><figcaption>{under}</figcaption></figure>'
    )


def row(figures: Sequence[str], side: int = 120) -> str:
    """Figures beside each other; as many in a row as fit."""
    style = f"grid-template-columns:repeat(auto-fill,minmax(min({side}px,40%),{side}px))"
    return f'<div class="lab-flips" style="{style}">{"".join(figures)}</div>'


def chart(values: np.ndarray, theme: str, heading: str) -> Any:
    """The same map for a file."""
    c, (height, width) = look.tokens(theme), values.shape
    rows, columns = np.indices(values.shape)
    table = pd.DataFrame({"x": columns.ravel(), "y": rows.ravel(), "value": values.ravel()})
    shade = alt.Color("value:Q", scale=alt.Scale(domain=[0, float(values.max()) or 1.0], range=[c["bg"], c["ink"]]), legend=None)
    picture = alt.Chart(table).transform_calculate(x2="datum.x+1", y2="datum.y+1").mark_rect(stroke=None)
    picture = picture.encode(
        x=alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False)), x2="x2:Q",
        y=alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, height], nice=False, reverse=True)), y2="y2:Q", color=shade,
    )  # fmt: skip
    text = alt.Chart(pd.DataFrame({"text": [heading]})).mark_text(align="left", fontSize=13, fontWeight=600, color=c["ink"], clip=False)
    return alt.layer(picture, text.encode(x=alt.XValue(0), y=alt.YValue(-12), text="text:N"), width=290, height=290)
