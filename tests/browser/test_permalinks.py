"""Links that restore their view, each opened by the first visitor of a server that has just been started."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import PAGES, PATIENCE_MS, clean, serve, shipped, visit

pytestmark = pytest.mark.browser


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link and what is on its page: the question, chosen segments, chosen values of lists, and other words; {r}, {v}, {a} are nets."""

    to: str
    asks: str
    chosen: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    says: tuple[str, ...] = ()


LINKS = (
    Link(to="", asks="See how vision transformers work", says=("nets to start from", "claims")),
    Link(to="build?arch=ccwccw-ccmccm/width=48,96", asks="What if this block were attention?", says=("Stage 2",)),
    Link(to="build?arch=mtmtmt/stem=patch4/width=96", asks="What if this block were attention?", says=("Stage 1",)),
    Link(to="train?t_recipe=Paper&t_seeds=3", asks="Is it learning, and when is it done?", chosen=("One net", "3"), listed=("Paper",)),
    Link(to="train?study=few_images", asks="Does a hybrid win on few images?", chosen=("A study", "Mini"), listed=("Few images",)),
    Link(to="train?study=placement&size=full", asks="Is the end of a stage the place for attention?", chosen=("A study", "Full")),
    Link(to="data?show=classes", asks="Are all classes there equally often?", chosen=("Balance",)),
    Link(to="data?split=test&class=Bag&page=3", asks="What is in these images?", chosen=("Images", "Test"), listed=("Bag",)),
    Link(to="landscape?m={r}&m={v}&ls_part=L2+part", asks="How bumpy is the valley the net sits in?", chosen=("L2 part", "Linear", "3D")),
    Link(to="landscape?m={v}&ls_scale=Log&ls_view=2D", asks="How bumpy is the valley the net sits in?", chosen=("Log", "2D")),
    Link(to="landscape?m={a}&ls_along=Top+curvature", asks="How bumpy is the valley the net sits in?", chosen=("Top curvature",)),
    Link(to="landscape?m={r}&m={a}&ls_along=Between+two+nets", asks="How bumpy is the valley the net sits in?",
         chosen=("Between two nets",)),
    Link(to="curvature?m={r}&m={v}&phase=warmup&view=top", asks="How sharp is the valley, and is it one?", chosen=("Warm-up", "Top 5")),
    Link(to="curvature?m={v}&phase=end&view=density", asks="How sharp is the valley, and is it one?", chosen=("End", "Density")),
    Link(to="frequency?m={a}&f_show=All+frequencies", asks="Which blocks blur, and which sharpen?", chosen=("All frequencies",)),
    Link(to="frequency?m={v}&unit={v}~s1u5&f_look=Layer+by+layer", asks="Which blocks blur, and which sharpen?", chosen=("Layer by layer",),
         listed=("ViT-mini · Stage 1, unit 5 · MSA",)),
    Link(to="features?m={v}&show=cka&unit={v}~s1u3&column=s1u9", asks="Which layers see alike?", chosen=("CKA",),
         listed=("ViT-mini · Stage 1, unit 3 · MSA", "Stage 1, unit 9 · MSA")),
    Link(to="features?m={v}&show=receptive&unit={v}~s1u7", asks="How much of the picture does a unit see?", chosen=("Receptive field",),
         listed=("ViT-mini · Stage 1, unit 7 · MSA",)),
    Link(to="features?m={v}&show=attention&unit={v}~s1u3&image=7&at=2.3", asks="How far does attention look?", chosen=("Attention",),
         says=("Attention of row 2, column 3",)),
    Link(to="lesion?m={a}&net={a}&off=s1u3&off=s2u6", asks="Which block can this net live without?", chosen=("AlterNet-mini",)),
    Link(to="lesion?m={r}&m={v}&net={v}&off=s1u5&unit={v}~s1u7", asks="Which block can this net live without?", chosen=("ViT-mini",)),
    Link(to="robustness?m={r}&m={v}&show=corruption&kind=fog&severity=5&net={r}",
         asks="What does bad weather, blur or noise cost this net?", chosen=("Corruptions",), listed=("Fog", "ResNet-mini")),
    Link(to="robustness?m={r}&m={v}&show=band_noise", asks="Which frequencies can this net not bear noise in?",
         chosen=("Noise by frequency",)),
    Link(to="robustness?m={a}&show=adversarial&attack=fgsm&norm=l2", asks="How small a change is enough to mislead it?",
         chosen=("Attacks", "FGSM", "L2")),
    Link(to="lens?m={v}&lens=high&step=60&image=12", asks="What does each net see in this image?", chosen=("Sample", "High-pass")),
    Link(to="lens?m={r}&m={v}&lens=noise&step=20&strength=0.2&image=3", asks="What does each net see in this image?",
         chosen=("Noise", "0.2")),
    Link(to="compare?m={a}&m={r}&of=all", asks="What does B give that A does not?", listed=("AlterNet-mini", "ResNet-mini")),
    Link(to="compare?m={r}&m={v}&of=curvature", asks="What does B give that A does not?", chosen=("Curvature",), listed=("ViT-mini",)),
    Link(to="scorecard?claim=L3", asks="Which of the paper’s claims hold here?", says=("Supported if",)),
    Link(to="scorecard?show=contradicted", asks="Which of the paper’s claims hold here?", chosen=("Contradicted",)),
)  # fmt: skip


def test_there_are_thirty_and_every_page_has_one() -> None:
    assert len({link.to for link in LINKS}) == 30
    assert {link.to.partition("?")[0] or "start" for link in LINKS} == set(PAGES)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.to)
def test_a_link_restores_its_view_for_the_first_visitor(browser: Browser, tmp_path: Path, link: Link) -> None:
    nets = {short: shipped(name).id for short, name in (("r", "ResNet-mini"), ("v", "ViT-mini"), ("a", "AlterNet-mini"))}
    to = link.to.format(**nets)
    with serve(tmp_path) as server, visit(browser, server) as tab:
        page = tab.open(to)
        expect(page.get_by_role("heading", level=1)).to_have_text(link.asks, timeout=PATIENCE_MS)
        main = page.get_by_test_id("stMain")
        for name in link.chosen:
            expect(main.get_by_role("radio", name=name, checked=True).first).to_be_visible(timeout=PATIENCE_MS)
        for words in link.says:
            expect(main.get_by_text(words).first).to_be_visible(timeout=PATIENCE_MS)
        for words in link.listed:
            page.wait_for_function(
                "words => [...document.querySelectorAll('[data-testid=stMain] [role=combobox]')].some(box => box.value === words)",
                arg=words, timeout=PATIENCE_MS,
            )  # fmt: skip
        asked, held = parse_qs(urlsplit(f"/{to}").query), parse_qs(urlsplit(page.url).query)
        assert {key: held.get(key) for key in asked} == asked, "the address says something else now"
        expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(len(PAGES))
        assert page.get_by_role("dialog").count() == 0
        clean(tab)
