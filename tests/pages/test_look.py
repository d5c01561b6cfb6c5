"""The look held as numbers: one set of tokens, contrast, and words written one way."""

import tomllib
from pathlib import Path

import pytest

from core import chart, glossary, words
from core.analyses import fourier

ROOT = Path(__file__).resolve().parents[2]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_keep_their_contrast(theme: str) -> None:
    c = chart.tokens(theme)
    for ground in ("bg", "side", "card"):
        assert min(contrast(c[t], c[ground]) for t in ("ink", "ink2", "muted")) >= 4.5
    assert min(contrast(c[t], c["bg"]) for t in ("conv", "msa", "hyb", "you", "ref", "mlp")) >= 3.0
    assert contrast(c["onink"], c["ink"]) >= 7


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_served_theme_is_made_of_the_same_tokens(theme: str) -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][theme]
    c = chart.tokens(theme)
    pairs = {
        "primaryColor": "ink", "backgroundColor": "bg", "secondaryBackgroundColor": "wash", "textColor": "ink", "borderColor": "line",
        "linkColor": "ink",
    }  # fmt: skip
    assert {key: config[key] for key in pairs} == {key: c[token] for key, token in pairs.items()}
    assert config["sidebar"]["backgroundColor"] == c["side"]
    assert config["chartCategoricalColors"] == [c[t] for t in ("conv", "msa", "hyb", "you", "ref")]


def test_nothing_is_sent_out_and_no_traceback_is_shown() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showErrorDetails"] == "none" and config["client"]["showErrorLinks"] is False
    assert config["server"]["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (words.percent(0.906), "90.6 %"), (words.signed(-0.17), "−0.17"), (words.signed(0.021), "+0.02"), 
        (words.signed(-0.0001), "0.00"),
        (words.millions(541_344), "0.54 M"), (words.mflop(85.2e6), "85"), 
        (words.mflop(2.34e6), "2.3"),
        (words.duration(0.2), "under 1 s"), (words.duration(40.4), "40 s"), (words.duration(185), "3 min"), 
        (words.duration(7500), "2 h 5 min"),
        (words.duration(89.6), "90 s"), (words.duration(7200), "2 h"), (words.count(20000), "20,000"), (words.some(1, "unit"), "1 unit"),
        (words.seq(["a", "b", "c"]), "a, b and c"), (words.seq(["a"]), "a"), (words.seq([]), ""),
    ],
)  # fmt: skip
def test_numbers_are_written_one_way(value: str, text: str) -> None:
    assert value == text


def test_every_column_of_the_first_analysis_has_its_term() -> None:
    assert {column.term for column in fourier.COLUMNS if column.term} <= set(glossary.TERMS)


def test_a_tip_says_name_and_unit_first() -> None:
    assert glossary.tip("delta_log_amplitude").startswith("Δ log amplitude, [ln]. The log amplitude")
    assert all(term.what.endswith(".") for term in glossary.TERMS.values())
