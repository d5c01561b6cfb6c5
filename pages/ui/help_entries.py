"""The entries of the help drawer: every word, every method, every claim, each from the one place that holds its text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from core import analyses, glossary
from core.claims import CLAIMS
from core.claims.limits import LIMITS

#: what an entry answers, in this order: field -> heading
ANSWERS = {"what": "What it is", "how": "How it is computed", "read": "How to read it", "cannot": "What it cannot say"}
#: the headings in a method's card
_CARD = {"what": "Idea", "how": "Formula", "read": "How to read it", "cannot": "What it cannot say"}
GROUPS = {"method": "Methods", "measure": "Measures", "claim": "Claims", "word": "Words"}

_NETS = ("conv", "msa", "mlp", "mix", "pool", "merge", "unit", "stage")
_CLAIMS = ("claim", "verdict", "claim_effect", "claim_seeds", "interval")
#: page -> the methods that it shows, and its words before those of their columns
PAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "start": ((), (*_CLAIMS, "ribbon", "conv", "msa", "mlp")),
    "build": ((), ("ribbon", *_NETS, "notation", "build-up rule", "parameters", "flops", "form", "resampling")),
    "train": ((), ("accuracy", "nll", "train_loss", "ece", "epoch", "seed", "parameters", "flops", "phase")),
    "data": ((), ("images", "class", "seed", "frequency")),
    "landscape": (("landscape",), ("rise", "step", "plane", "diverged")),
    "curvature": (("hessian", "density"), ("ape", "nep", "phase")),
    "frequency": (("fourier",), ("delta_log_amplitude", "change", "highest frequency")),
    "features": (("variance", "cka", "attention", "receptive"), ("stage_contrast",)),
    "lesion": (("lesion", "subsets"), ("accuracy_change", "ribbon")),
    "robustness": (("corruption", "band_noise", "adversarial", "calibration", "shape_texture"),
                   ("contrast", "mce", "ece", "gap", "brier", "acc90", "freq90", "unc90")),
    "lens": ((), ("filter", "flip", "frequency", "noise_rms", "confidence")),
    "compare": ((), ("accuracy", "interval", "parameters", "flops", "claim_effect", "delta_log_amplitude", "variance", "cka", "ape", "nep",
                     "rise", "accuracy_change")),
    "scorecard": ((), _CLAIMS),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry: its `group` (a key of GROUPS), label, technical name with unit, the answers that it has, the paper's figures."""

    id: str
    group: str
    title: str
    name: str
    answers: dict[str, str]
    figure: str = ""


@cache
def entries() -> dict[str, Entry]:
    """All entries by id: those of methods, measures, claims and words, in this order."""
    found = [_method(one) for one in analyses.catalogue().values()]
    terms = sorted(glossary.TERMS.items(), key=lambda item: item[1].plain.casefold())
    words = [_term(key, term) for key, term in terms]
    found += [one for one in words if one.group == "measure"]
    found += [_claim(key) for key in CLAIMS]
    found += [one for one in words if one.group == "word"]
    return {one.id: one for one in found}


def of_page(stem: str) -> list[Entry]:
    """The entries of a page: its methods, then its words and those of the columns of its results."""
    methods, words = PAGES.get(stem, ((), ()))
    columns = [column.term for method in methods for column in analyses.get(method).columns]
    claims = [f"claim:{key}" for key in CLAIMS] if stem == "scorecard" else []
    wanted = [*(f"method:{method}" for method in methods), *(f"term:{word}" for word in dict.fromkeys([*words, *columns]) if word), *claims]
    known = entries()
    return sorted((known[key] for key in wanted), key=lambda one: list(GROUPS).index(one.group))


def sections(stem: str) -> Iterable[tuple[str, list[Entry]]]:
    """The drawer's list: what the page in view shows comes first, then all the rest by group."""
    here = of_page(stem)
    if here:
        yield "On this page", here
    taken = {one.id for one in here}
    for group, title in GROUPS.items():
        if rest := [one for one in entries().values() if one.group == group and one.id not in taken]:
            yield title, rest


def card(text: str) -> dict[str, str]:
    """The four answers of a method's card, taken from under its headings."""
    parts = re.split(r"\*\*(.+?)\.\*\*", text)
    found = {heading: " ".join(body.split()) for heading, body in zip(parts[1::2], parts[2::2], strict=True)}
    return {answer: found[heading] for answer, heading in _CARD.items()}


def _method(method: analyses.Analysis) -> Entry:
    figures = dict.fromkeys(re.findall(r"Fig\. [A-F]?\.?\d+[a-d]?", method.card.partition("**Sources.**")[2]))
    return Entry(
        id=f"method:{method.id}", group="method", title=method.title, name=method.question, answers=card(method.card),
        figure=", ".join(figures),
    )  # fmt: skip


def _term(key: str, term: glossary.Term) -> Entry:
    name = ", ".join(part for part in (term.name, f"[{term.unit}]" if term.unit else "") if part)
    answers = {answer: text for answer in ANSWERS if (text := getattr(term, answer))}
    title = term.plain[0].upper() + term.plain[1:]
    return Entry(id=f"term:{key}", group="measure" if term.how else "word", title=title, name=name, answers=answers, figure=term.figure)


def _claim(key: str) -> Entry:
    claim = CLAIMS[key]
    said = claim.statistic
    if said.startswith("the same"):  # as the claim before it, which is not in view here
        before = list(CLAIMS.values())[: list(CLAIMS).index(key)]
        said = f"{next(one.statistic for one in reversed(before) if not one.statistic.startswith('the same'))}; here {said}"
    said = said[0].upper() + said[1:]
    answers = {
        "what": f"A claim of the paper ({claim.group.lower()}), judged by one number.",
        "how": f"{said}.",
        "read": f"The claim says {claim.expected}. Supported takes {claim.threshold}. The paper: {claim.paper}.",
        "cannot": LIMITS[claim.group],
    }
    if claim.parts is None:
        answers = {"what": "The authors withdrew this experiment; it is not measured and has no verdict."}
    return Entry(id=f"claim:{key}", group="claim", title=claim.title, name=key, answers=answers,
                 figure=claim.source if "Fig" in claim.source else "")  # fmt: skip
