"""What this is, the trained nets that come with it, one picture of real results, three ways on."""

from pages.ui import frame

frame.require()

import dataclasses
from html import escape

import pandas as pd
import streamlit as st

from core import presets, ribbon, store, words
from core.analyses import fourier
from core.analyses._pictures import domain, over_depth
from core.chart import family_token
from core.run import Run
from core.size import count
from core.spec import layout
from pages.ui import figure, measured, parts, pickers, states
from pages.ui.measured import Answer

_CLAIM = "A paper says that attention blurs what it sees and convolution sharpens it."
#: panels side by side, and cards in a row
_ROW = 3


def _picture(found: list[Answer], sentence: str) -> None:
    named = measured.tables(found)
    rows = {title: fourier.points(table, title) for title, table in named.items()}
    both = pd.concat([r.assign(net=title) for title, r in rows.items()], ignore_index=True)
    scale = domain(pd.concat([both["low"], both["high"]]))
    runs = {title: answer.run for title, answer in zip(named, found, strict=True)}

    def panel(number: int, title: str):
        return lambda theme: over_depth(
            rows[title],
            title=fourier.TITLE,
            theme=theme,
            heading=title,
            family=pickers.family(runs[title]),
            scale=scale,
            ticks=number == 0,
            select=False,
            height=190,
        )

    seeds = sorted({answer.run.seed for answer in found})
    trained = f"one training seed a net ({seeds[0]})" if len(seeds) == 1 else f"training seeds {words.seq([str(s) for s in seeds])}"
    foot = (
        f"{measured.images_said(found)} {trained[0].upper()}{trained[1:]}. Relative to each unit’s own zero frequency. "
        "Hatched: the unit that halves the map; its jump is a change of resolution and counts in no mean. Whiskers: 95 % over images."
    )
    columns = [
        "net",
        "unit",
        "kind",
        "form",
        "stage",
        "depth",
        "resampling",
        "frequency",
        "value",
        "low",
        "high",
        "change",
        "images",
        "seed",
    ]
    figure.panels([panel(i, t) for i, t in enumerate(rows)], sentence, foot, both[columns], "alterlab-frequency-over-depth", "start_depth")


def _ways() -> None:
    with st.container(horizontal=True, key="start_ways"):
        if st.button("Build your own net", key="way_build", type="primary"):
            frame.go("build")
        if frame.exists("train") and st.button("Train a net", key="way_train"):
            frame.go("train")
        if frame.exists("frequency") and st.button("See what blocks do to frequencies", key="way_frequency"):
            frame.go("frequency")


def _gallery(runs: list[Run]) -> None:
    shown: list[tuple[str, Run | None]] = [(preset, None) for preset in presets.SHIPPED]
    if runs:
        named = {presets.resolve(preset).notation: preset for preset in presets.SHIPPED}
        shown = [(named[run.arch], run) for run in runs if run.arch in named]
    numbers = {1: "One", 2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}
    parts.h2(f"{numbers.get(len(shown), str(len(shown)))} {'trained ' if runs else ''}net{'s' if len(shown) > 1 else ''} to start from")
    parts.key(
        {"c": "Conv reads neighbours", "m": "MSA reads the whole map", "w": "Windowed MSA reads its window", "t": "MLP reads one position"}
    )
    for first in range(0, len(shown), _ROW):
        row = shown[first : first + _ROW]
        for column, (preset, run) in zip(st.columns(_ROW, gap="medium"), row, strict=False):
            with column:
                _card(preset, run)
    if runs:
        st.html(f'<div class="lab-foot">{escape(_trained_on(runs))}</div>')


def _trained_on(runs: list[Run]) -> str:
    """What the accuracies of the gallery stand on: images, steps and seeds, from the runs themselves."""
    sentences = []
    for run in runs:
        final = store.final(run.id) or {}
        images = pickers.set_title(run.data)
        images = f"{words.count(final['n_train'])} images of {images}" if "n_train" in final else images
        test = f" on {words.count(final['n_test'])} test images" if "n_test" in final else ""
        steps = f" in {words.count(final['steps'])} steps" if "steps" in final else ""
        sentences.append(f"Accuracy{test}, trained on {images}{steps}, seed {run.seed}.")
    return " ".join(dict.fromkeys(sentences))


def _card(preset: str, run: Run | None) -> None:
    made, arch = presets.PRESETS[preset], presets.resolve(preset)
    size, classes = (run.image_size, run.classes) if run else (made.image_size, 10)
    share = pickers.accuracy(run) if run else None
    facts = (
        f"{words.percent(share) if share is not None else 'not trained here'} · {words.millions(count(arch, size, classes)['parameters'])}"
    )
    colour = f"var(--lab-{family_token(made.family)})"
    st.html(
        f'<div class="lab-card" style="border-color:{colour}"><div class="lab-chip"><b>{escape(made.title)}</b>'
        f"<i>{escape(facts)}</i></div></div>"
        f"{parts.img(ribbon.draw(layout(arch, size), side=11))}"
    )
    with st.container(horizontal=True, gap="small"):
        if run and frame.exists("frequency"):
            st.page_link(frame.PAGES / "frequency.py", label="Open", query_params={"m": [run.id]})
        st.page_link(frame.PAGES / "build.py", label="Change a block", query_params={"arch": arch.notation})


def _page() -> None:
    parts.header("See how vision transformers work")
    nets = pickers.gallery()
    found = list(measured.answers(fourier.ANALYSIS, nets[:_ROW], dataclasses.asdict(fourier.Params(of="output"))).values())
    if found:
        sentence = fourier.takeaway(measured.tables(found))
        parts.take(f"{_CLAIM} {sentence}")
        _ways()
        _picture(found, sentence)
        if stale := measured.stale_said(found):
            parts.sub(stale)
    else:
        parts.take(f"{_CLAIM} Build nets of both, train them on real images, and see **what each block does**.")
        _ways()
        states.empty(
            "**No measured net yet.** Here stands what each block of the trained nets does to fine detail, as soon as one is measured."
        )
    _gallery(nets)


with states.guard():
    _page()
