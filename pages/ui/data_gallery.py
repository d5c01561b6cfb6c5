"""The pictures of a set, by class or all of one class; and all sets as cards."""

import base64
import io as bytes_io
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from core import data, words
from core.chart import LIGHT, SANS
from core.data import fetched, imported
from core.data.dataset import DatasetSpec
from pages.ui import data_jobs, data_shelf, figure, frame, parts, pickers, states
from pages.ui.data_shelf import SPLITS

QUESTION = "What is in these images?"
#: classes on a page and images of each; images of one class on a page; images on a card
ROWS, EACH, PAGE, STRIP = 10, 10, 60, 6
#: a draw of images of each class, again and again
DRAWS = 10_000
CSS = """<style>
.data-rows{display:grid;grid-template-columns:112px repeat(10,minmax(0,1fr));gap:6px;align-items:center}
.data-all{display:grid;grid-template-columns:repeat(10,minmax(0,1fr));gap:6px}
.data-rows img,.data-all img,.data-strip img{display:block;width:100%;aspect-ratio:1;border-radius:3px;background:var(--lab-wash)}
.data-small img{image-rendering:pixelated}
.data-rows b{font-size:14px;line-height:18px;font-weight:400;color:var(--lab-ink);overflow-wrap:anywhere;grid-column:1}
.data-rows b small{display:block;font-size:12px;line-height:16px;color:var(--lab-muted)}
.data-strip,.data-none{margin-top:8px}
.data-strip{display:grid;grid-template-columns:repeat(6,minmax(0,1fr));gap:4px}
.data-none{aspect-ratio:6.4;border:1px dashed var(--lab-faint);border-radius:3px;font-size:13px;line-height:18px;color:var(--lab-muted);
display:flex;align-items:center;justify-content:center}
.data-card{border-top:2px solid var(--lab-line);padding-top:12px;margin-bottom:2px}
.data-card.now{border-top-color:var(--lab-ink)}
.data-card b{font-size:15px;font-weight:650}
dl.data-facts{display:grid;grid-template-columns:112px minmax(0,1fr);gap:6px 16px;font-size:14px;line-height:20px;
margin:0!important;padding:0!important}
.st-key-data_cards [data-testid="stPageLink-NavLink"] p{font-weight:400}
dl.data-facts dt{color:var(--lab-muted)}
dl.data-facts dd{margin:0;color:var(--lab-ink);overflow-wrap:anywhere}
@media(max-width:640px){
.data-rows{grid-template-columns:repeat(5,minmax(0,1fr))}
.data-rows b{grid-column:1/-1;margin-top:8px}
.data-rows b small{display:inline;margin-left:8px}
.data-all{grid-template-columns:repeat(5,minmax(0,1fr))}
dl.data-facts{grid-template-columns:minmax(0,1fr);gap:0}
dl.data-facts dd{margin-bottom:8px}
}
</style>"""
METHOD = """**What is shown.** Images as nets get them before random cropping and mirroring: squares of the set's own size. With all
classes, a few of each are drawn with a seed, the same for everybody; *Others* draws again. With one class, all of its images stand in the
order of the set.

**How to read it.** A picture in the wrong row is a wrong label, and no net can do better than its labels. Look for borders, captions and
backgrounds that give a class away: a net learns those too.

**What it cannot say.** A few pictures are no statistics; Balance and Frequencies count all, or a sample that is drawn."""


def sentence(spec: DatasetSpec, rows: Sequence[dict[str, Any]]) -> str:
    """How many images of what, and how large; from the set itself."""
    colour = "grey" if spec.channels == 1 else "in colour"
    size = f"{spec.image_size} × {spec.image_size} pixels, {colour}"
    return f"**{spec.title}** holds **{data_shelf.number(spec)}** of {words.some(len(rows), 'class', 'classes')}, {size}."


def show(spec: DatasetSpec, place: Any) -> dict[str, list[str]]:
    """The whole view; what it puts into the address."""
    rows = data_shelf.counts(spec.id)
    with place:
        parts.take(sentence(spec, rows))
    known = {key: word for key, word in SPLITS.items() if key == "test" or spec.train_n}
    classes = {"": "All classes", **{name: name for name in spec.classes}}
    with parts.row("bottom"):
        split = data_shelf.choose("Split", "split", known, next(iter(known)))
        name = data_shelf.select("Class", "class", classes, "", width=208)
        pages = -(-len(rows) // ROWS) if not name else max(1, -(-rows[spec.classes.index(name)][split] // PAGE))
        shown = f"{spec.id} {split} {name}"
        if st.session_state.get("data_page_of", shown) != shown:
            st.session_state["data_page"] = 1
        st.session_state["data_page_of"] = shown
        page = _turn(pages) if pages > 1 else 1
        draw = data_shelf.take("draw", range(DRAWS), 0) if not name else 0
        if not name:
            st.button("Others", key="data_others", help="Draw other images", on_click=data_shelf.put, args=("draw", (draw + 1) % DRAWS))
    if name:
        label = spec.classes.index(name)
        found = data_shelf.in_order(spec.id, split, label, (page - 1) * PAGE, PAGE)
        said = f"{words.count(len(found))} of {words.some(rows[label][split], 'image')} of {name}, in the order of the set."
    else:
        labels = range((page - 1) * ROWS, min(page * ROWS, len(rows)))
        found = data_shelf.pictures(spec.id, split, labels, EACH, draw)
        said = f"Up to {EACH} {SPLITS[split].lower()} images of each class, drawn with seed {draw}."
        if pages > 1:
            said += f" Classes {labels[0] + 1} to {labels[-1] + 1} of {len(rows)}."
    files = data_shelf.files(spec.id, split)
    _grid(spec, rows, split, found, files, by_class=not name)
    table = _table(found, files, split)
    foot = f"{said} {data_shelf.named(spec)}. Licence: {spec.licence}."
    figure.foot_line(foot, table, "images", "data_images", lambda: svg(found, sentence(spec, rows), foot))
    return {
        "split": [split] if split != next(iter(known)) else [], "class": [name] if name else [],
        "page": [str(page)] if page > 1 else [], "draw": [str(draw)] if draw else [],
    }  # fmt: skip


def _turn(pages: int) -> int:
    """Which page, with one step back and on."""
    page = data_shelf.take("page", range(1, pages + 1), 1)
    st.button("Back", key="data_back", disabled=page == 1, on_click=data_shelf.put, args=("page", page - 1))
    st.button("On", key="data_on", disabled=page == pages, on_click=data_shelf.put, args=("page", page + 1))
    st.html(f'<div class="lab-sub" style="line-height:37px;white-space:nowrap">Page {page} of {pages}</div>')
    return page


def _img(row: dict[str, Any], files: Sequence[tuple[str, int, int]]) -> str:
    file, width, height = files[row["index"]] if row["index"] < len(files) else ("", 0, 0)
    told = f"{row['class']}, image {row['index']}" + (f": {file}, {width} × {height}" if file else "")
    code = base64.b64encode(row["image"]).decode()
    return f'<img src="data:image/webp;base64,{code}" alt="{escape(told, quote=True)}" title="{escape(told, quote=True)}" loading="lazy">'


def _grid(
    spec: DatasetSpec, rows: data_shelf.Counts, split: str, found: Sequence[dict[str, Any]], files: Sequence[tuple[str, int, int]], *,
    by_class: bool,
) -> None:  # fmt: skip
    small = " data-small" if spec.image_size <= 96 else ""
    if not by_class:
        st.html(f'<div class="data-all{small}">{"".join(_img(row, files) for row in found)}</div>')
        return
    body, last = "", -1
    for row in found:
        if row["label"] != last:
            last = row["label"]
            body += f"<b>{escape(row['class'])}<small>{words.count(rows[last][split])}</small></b>"
        body += _img(row, files)
    st.html(f'<div class="data-rows{small}">{body}</div>')


def _table(found: Sequence[dict[str, Any]], files: Sequence[tuple[str, int, int]], split: str) -> pd.DataFrame:
    table = pd.DataFrame([{"class": row["class"], "split": split, "image": row["index"]} for row in found])
    if files and len(found):
        told = [files[row["index"]] for row in found]
        table = table.assign(file=[f for f, _, _ in told], width=[w for _, w, _ in told], height=[h for _, _, h in told])
    return table


def svg(found: Sequence[dict[str, Any]], title: str, foot: str, side: int = 72, gap: int = 6, left: int = 128) -> bytes:
    """The pictures as a file that stands alone, a row for each class, as PNG so that every program shows them."""
    from PIL import Image

    body, y, x, last = "", 44, left, None
    for row in found:
        if row["label"] != last or x > left + 9 * (side + gap):
            y, x = (y if last is None else y + side + gap), left
            if row["label"] != last:
                body += f'<text x="0" y="{y + side / 2}" font-size="14">{escape(row["class"])}</text>'
            last = row["label"]
        out = bytes_io.BytesIO()
        Image.open(bytes_io.BytesIO(row["image"])).save(out, "PNG")
        code = base64.b64encode(out.getvalue()).decode()
        body += f'<image x="{x}" y="{y}" width="{side}" height="{side}" href="data:image/png;base64,{code}"/>'
        x += side + gap
    width, height = left + 10 * (side + gap), y + side + 40
    font = SANS.replace('"', "'")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="{font}" '
        f'fill="{LIGHT["ink"]}"><rect width="100%" height="100%" fill="{LIGHT["bg"]}"/>'
        f'<text x="0" y="22" font-size="15" font-weight="600">{escape(parts.spoken(title))}</text>{body}'
        f'<text x="0" y="{height - 12}" font-size="12" fill="{LIGHT["muted"]}">{escape(parts.spoken(foot))}</text></svg>'
    ).encode()


# ---- one set and all sets in words


def about(spec: DatasetSpec) -> None:
    """What the set is, where it comes from and what may be done with it."""
    facts = {
        "Images": f"{data_shelf.number(spec)}, {len(spec.classes)} classes",
        "Size": f"{spec.image_size} × {spec.image_size}, {'grey' if spec.channels == 1 else 'colour'}",
        "Licence": spec.licence,
        "Source": source(spec),
        "Mean, deviation": f"{_three(spec.mean)}, {_three(spec.std)} of the range of pixels, taken out before a net sees an image",
        "Note": spec.note,
        "Name in links": spec.id,
    }
    if data_shelf.own(spec.id) and imported.outputs(spec.id):
        facts["ImageNet"] = "its classes are among ImageNet’s 1,000, so pretrained nets can be tested on it as they are"
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text)
    parts.h2(f"About {spec.title}")
    st.html(f'<dl class="data-facts">{rows}</dl>')


def source(spec: DatasetSpec) -> str:
    """Where a set comes from; an uploaded file has a name of ours, which tells nobody anything."""
    return "an uploaded zip file" if data_jobs.uploaded(spec.source) else spec.source


def _three(values: Sequence[float]) -> str:
    same = len({round(value, 3) for value in values}) == 1
    return words.plain(values[0], 3) if same else " / ".join(words.plain(value, 3) for value in values)


def cards(now: str) -> None:
    """All sets: their name, how many, a few pictures, the way to them."""
    sets = pickers.sets()
    mine = sum(data_shelf.own(dataset) for dataset in sets)
    parts.h2("All sets", f"{len(sets)}, {mine or 'none'} of them yours")
    with st.container(key="data_cards", gap="medium"):
        for start in range(0, len(sets), 3):
            for column, dataset in zip(st.columns(3, gap="medium"), sets[start : start + 3], strict=False):
                with column, states.guard():
                    _card(data.get(dataset), dataset == now)


def _card(spec: DatasetSpec, now: bool) -> None:
    lacks = data_jobs.lacks(spec.id)
    facts = f"{words.count(spec.train_n + spec.test_n)} · {spec.image_size} px · {words.some(len(spec.classes), 'class', 'classes')}"
    if lacks:
        offer = f"{fetched.SIZES[spec.id]} MB to get" if lacks == "get" else "to be decoded once"
        strip = f'<div class="data-none">{offer}</div>'
    else:
        found = data_shelf.pictures(spec.id, "test", range(min(STRIP, len(spec.classes))), 1, 0)
        small = " data-small" if spec.image_size <= 96 else ""
        strip = f'<div class="data-strip{small}">{"".join(_img(row, ()) for row in found)}</div>'
    st.html(
        f'<div class="data-card{" now" if now else ""}"><b>{escape(spec.title)}</b><div class="lab-sub">{escape(facts)}</div></div>{strip}'
    )
    if now:
        parts.sub("Shown above")
    else:
        st.page_link(frame.PAGES / "data.py", label="Get it" if lacks == "get" else "Look at it", query_params={"d": spec.id})
