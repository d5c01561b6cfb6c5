"""What this is, which of the paper's headline claims hold on the nets that come with it, those nets, three ways on."""

from pages.ui import frame

frame.require()

from html import escape

import streamlit as st

from core import presets, ribbon, store, words
from core.chart import family_token
from core.claims import CLAIMS
from core.run import Run
from core.size import count
from core.spec import layout
from pages.ui import parts, pickers, states, tour, verdict_found, verdict_rows, verdict_words
from pages.ui.verdict_found import Found

_CLAIM = "A paper says that attention and convolution do opposite things."
#: cards in a row
_ROW = 3


def _verdicts(found: Found) -> None:
    """The headline claims, each with its picture, and what the drawings mean."""
    pictures = verdict_found.headline_pictures(found)
    with st.container(gap=None, key="start_strip"):
        verdict_rows.legend(strip=True)
        for one in found.verdicts:
            verdict_rows.strip(one, pictures[one.id])
        st.html('<div class="lab-rule"></div>')
    with st.container(horizontal=True, vertical_alignment="top", key="start_strip_foot"):
        with st.container(width="stretch", key="lab_says_start"):
            text = (
                "Bar: 95 % interval, each on its own scale; to the right is the way of the claim. Dashed: a threshold fixed before "
                f"measuring. ◇ what the paper reports. {_basis(found)}"
            )
            st.html(f'<div class="lab-foot">{parts.rich(text)}</div>')
        st.page_link(frame.PAGES / "scorecard.py", label=f"All {len(CLAIMS)} claims")


def _basis(found: Found) -> str:
    """What the verdicts stand on: nets, seeds, images."""
    return f"{verdict_words.nets_said(found)[0].upper()}{verdict_words.nets_said(found)[1:]}, trained on {pickers.set_title(found.data)}."


def _ways(toured: bool = False) -> None:
    """Three ways on; the tour is one of them where there are results for it to show."""
    with st.container(horizontal=True, key="start_ways"):
        if toured:
            st.button("Take the tour, 3 minutes", key="way_tour", type="primary", on_click=tour.begin)
        if st.button("Build your own net", key="way_build", type="secondary" if toured else "primary"):
            frame.go("build")
        if not toured and st.button("Train a net", key="way_train"):
            frame.go("train")
        if frame.exists("lens") and st.button("Put an image under the Lens", key="way_lens"):
            frame.go("lens")


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
    with st.container(gap="medium"):  # as wide as between cards side by side, and under each other on a phone
        for first in range(0, len(shown), _ROW):
            row = shown[first : first + _ROW]
            for column, (preset, run) in zip(st.columns(_ROW, gap="medium"), row, strict=False):
                with column:
                    _card(preset, run)
    said = f"Hatched units halve the map. {_trained_on(runs)}".strip()
    st.html(f'<div class="lab-foot">{escape(said)}</div>')


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
    st.html(verdict_rows.STYLE)
    nets = pickers.gallery()
    found = verdict_found.headlines() if nets else None
    if found:
        parts.take(f"{_CLAIM} {verdict_words.opening(found)}")
        _ways(toured=True)
        _verdicts(found)
    else:
        parts.take(f"{_CLAIM} Build nets of both, train them on real images, and see **which claims hold**.")
        _ways()
        states.empty("**No measured net yet.** Here stands which of the paper’s claims hold, as soon as nets are trained and measured.")
    _gallery(nets)


with states.guard():
    _page()
