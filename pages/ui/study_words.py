"""What is said of a study: its answer in a sentence, what it costs, how far it is, what its figure stands on.  Draws nothing."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from core import jobs, words
from core.claims import CLAIMS, Verdict
from core.jobs import shards
from core.studies import MEASURES, Setting, Study
from pages.ui import measured, pickers, verdict_words
from pages.ui.study_known import Known

#: above so many seconds hours are also said in days, and a warning is due
LONG_S = 12 * 3600
#: a measure at the beginning of a sentence
SUBJECT = {
    "accuracy": "Test accuracy", "train_loss": "The training loss", "corrupted": "Accuracy under corruption", "gap": "Overconfidence",
    "ape": "The mean of positive eigenvalues", "ape_end": "The mean of positive eigenvalues", "nep": "The share of negative eigenvalues",
}  # fmt: skip


def hours(seconds: float) -> str:
    """`28 min`, or for what nobody waits for `3,239 h (135 days)`."""
    if seconds < LONG_S:
        return words.duration(seconds)
    whole = seconds / 3600
    return f"{words.count(round(whole))} h" + (f" ({words.count(round(whole / 24))} days)" if whole >= 48 else "")


# ---- the answer


def answer(study: Study, known: Known) -> str:
    """The takeaway: what was found, and what became of the claims; or how far it is."""
    if not known.nets[study.shows[0]].notna().any():
        most = "at most " if study.most else ""
        price = f" It takes {most}about **{hours(known.cost.seconds)}** on this machine." if known.cost.seconds is not None else ""
        return f"**Not done yet.**{price}"
    said = _grown(study, known.nets) if study.most else _found(study, known.nets)
    if known.done:
        return f"{said} {_judged(known.verdicts)}".strip()
    many = words.some(len(known.table), "net")
    more = "" if known.measured == known.trained else f" trained, {known.measured} measured"
    return f"**{known.trained} of {many}{more} so far.** {said}"


def _found(study: Study, nets: pd.DataFrame) -> str:
    """The first measure at the ends of each line, or of the lowest and the highest net where there is no order."""
    name = study.shows[0]
    known, title = nets[nets[name].notna()], SUBJECT[name]
    ordered = bool(nets["x"].notna().all())
    lines = list(dict.fromkeys(known["line"]))
    if len(lines) > 1:
        if not ordered and known["label"].nunique() > 2:
            each = [f"{_line(line)} **{_range(known[known['line'] == line][name], name)}**" for line in lines]
            return f"{title}: {', '.join(each)}."
        said = []
        for label in dict.fromkeys(known["label"]):
            here = known[known["label"] == label]
            if len(here) > 1 and (not ordered or here["at"].iloc[0] in (known["at"].min(), known["at"].max())):
                each = [f"{_line(row['line'])} **{_short(row[name], name)}**" for _, row in here.iterrows()]
                said.append(f"{label}: {', '.join(each)}")
        return f"{title}, {'; '.join(said)}." if said else _one(known.iloc[0], title, name)
    if len(known) < 2:
        return _one(known.iloc[0], title, name)
    ends = known.iloc[[0, -1]] if ordered else known.loc[[known[name].idxmin(), known[name].idxmax()]]
    (at, to), (first, last) = ends["label"], (_short(value, name) for value in ends[name])
    if ordered:
        verb = "rises" if ends[name].iloc[1] > ends[name].iloc[0] else "falls"
        return f"{title} {verb} from **{first}** ({at}) to **{last}** ({to})."
    what = title.removeprefix("The ")
    return f"{study.axis}: **{to}** has the highest {what[0].lower()}{what[1:]}, **{last}**, {at} the lowest, {first}."


def _line(line: str) -> str:
    """`conv net` within a sentence, and still `ViT`."""
    return line.lower() if line[1:].islower() else line


def _range(values: pd.Series, name: str) -> str:
    low, high = _short(values.min(), name), _short(values.max(), name)
    return high if low == high else f"{low.partition(' ')[0]} to {high}"


def _one(row: pd.Series, title: str, name: str) -> str:
    return f"{title}, {' '.join(part for part in (_line(row['line']), row['label']) if part)}: **{_short(row[name], name)}**."


def _grown(study: Study, nets: pd.DataFrame) -> str:
    """What a rule has kept, and what that has brought."""
    name = study.shows[0]
    known = nets[nets[name].notna()]
    kept = known[known["said"].str.startswith("kept")]
    first = known.iloc[0]
    if not len(kept):
        tried = len(known) - 1
        said = f"none of {words.some(tried, 'MSA')} tried has raised it" if tried else "no MSA was tried yet"
        return f"The conv net has **{_short(first[name], name)}**; {said}."
    places = words.seq([label.partition(". ")[2] for label in kept["label"]])
    many = f"{len(kept)} MSA{'s' if len(kept) > 1 else ''}"
    return f"**{many}** kept ({places}): from {_short(first[name], name)} to **{_short(kept.iloc[-1][name], name)}**."


def _judged(verdicts: Sequence[Verdict]) -> str:
    """`“Heads convexify and flatten” is **undecided**.`; of several claims, how each came out."""
    by: dict[str, list[str]] = {}
    for one in verdicts:
        by.setdefault(one.verdict, []).append(f"“{CLAIMS[one.id].title}”")
    return "; ".join(f"{words.seq(titles)}: **{verdict}**" for verdict, titles in by.items()) + "." if by else ""


def _short(value: float, name: str) -> str:
    unit = MEASURES[name].unit
    if not unit:
        return f"{value:.3g}"
    said = words.signed(value, 1) if unit == "points" else words.plain(value, 2 if unit == "nats" else 1)
    return f"{said} {unit}"


# ---- the cost


def price(study: Study, setting: Setting, known: Known, on_cpu: bool) -> str:
    """What is left to do and what that costs, before it is started."""
    cost = known.cost
    if known.done:
        short = len(known.table) - known.measured
        said = f" But {short} came without the weights that a measurement needs." if short else ""
        return f"{words.some(len(known.table), 'net')} trained and measured; nothing is left to do.{said}"
    there = f"{cost.shared} {'is' if cost.shared == 1 else 'are'} there already" if cost.shared else "none is there yet"
    most = "At most " if not known.ended and study.most else ""
    what = f"{most}{words.some(cost.nets, 'net')} to train, {there}" if cost.nets else "All its nets are trained"
    what += f"; {words.some(cost.measurements, 'measurement')}"
    disk = f"{math.ceil(cost.bytes / 1e6):,} MB on disk"
    if cost.seconds is None:
        return f"{what}: time unknown until a first run was timed here, {disk}. You can close this tab."
    said = f"{what}: about **{hours(cost.seconds)}**{f' ({known.timed})' if known.timed else ''}, {disk}."
    if cost.seconds > LONG_S and on_cpu:
        usual = "Full has the nets of the paper and is meant for a GPU" if setting.size == "full" else "So much is meant for a GPU"
        return f"{said} **{usual}.**"
    return f"{said} You can close this tab."


# ---- how far it is


def progress(job: jobs.Job, study: Study, known: Known) -> tuple[str, float]:
    """(words, share done) of a live job: `Net 3 of 5: ViT, epoch 2 of 6, about 9 min left`."""
    told, total = job.progress, known.rows
    most = "at most " if study.most else ""
    if job.state == "waiting" and job.rows:
        done = shards.done(job.folder)
        return f"{done} of {words.some(total, 'net')} done; several at a time", done / max(total, 1)
    if job.state not in jobs.STARTED or told is None or not told.total:
        return measured.progress(job)
    number = min(int(told.step * total // told.total), total - 1)
    what = told.message
    if number < len(known.table) and what.startswith(str(known.table["label"][number])):
        line, label = (str(known.table[name][number]) for name in ("line", "label"))
        seed = f", seed {known.table['seed'][number]}" if known.table["seed"].nunique() > 1 and "seed" not in label else ""
        what = f"{line}{' ' if line else ''}{label}{seed}, {what.removeprefix(label).lstrip(': ')}"
    left = f", {measured.left(told.eta_s)}" if told.eta_s else ""
    stopping = "Stopping. " if job.state == "cancelling" else ""
    return f"{stopping}Net {number + 1} of {most}{total}: {what.replace(' · ', ', ')}{left}", told.step / told.total


def kept(known: Known) -> str:
    """What a study that was stopped or failed has."""
    nets = words.some(len(known.table), "net")
    return f"{known.trained} of {nets} are trained and kept, {known.measured} measured; one that was under way goes on where it was saved."


# ---- what the figure stands on


def foot(study: Study, setting: Setting, known: Known) -> str:
    """What, n, seeds, images, recipe, hardware, caveat."""
    seeds = known.table["seed"].nunique()
    text = [f"{words.some(len(known.nets), 'net')}, {words.some(seeds, 'seed')}, {pickers.set_title(setting.data)}, {known.recipe}."]
    text.append(f"Accuracy on {words.count(known.tested)} test images." if known.tested else "")
    several = known.table.groupby(["label", "line"])["seed"].nunique().max() > 1
    over = "over seeds and images" if several else "over test images"
    over += ", or mini-batches for eigenvalues" if {"ape", "nep", "ape_end"} & set(study.shows) else ""
    text.append(f"Whiskers: 95 %, {over}." if known.measured else "")
    text.append("Pale dots: one a seed." if several and known.measured else "")
    text.append("Each panel has its own scale." if len(study.shows) > 1 else "")
    missing = any((known.nets[name].isna() & known.nets[f"{name}_asked"]).any() for name in study.shows)
    text.append("Dashed: not measured yet." if missing else "")
    text.append(f"Trained on {words.seq(known.hardware)}." if known.hardware else "")
    return " ".join(part for part in text if part)


def state(row: pd.Series, table: pd.DataFrame, busy: bool) -> str:
    """`ready`, `2 of 3 seeds ready`, `trained, not measured`, `begun`, `not trained`."""
    own = table[(table["label"] == row["label"]) & (table["line"] == row["line"])]["state"]
    named = {"new": "not trained", "started": "under way" if busy else "begun", "trained": "trained, not measured", "ready": "ready"}
    if own.nunique() == 1 or len(own) == 1:
        return named[own.iloc[0]]
    ready = int((own == "ready").sum())
    under = [named[one] for one in ("started", "trained") if (own == one).any()]
    return f"{ready} of {words.some(len(own), 'seed')} ready{', ' + words.seq(under) if under else ''}"


def statements(verdict: Verdict) -> list[str]:
    """What each statement of a claim came to, and why that decides or does not."""
    said = []
    for one in verdict.parts:
        several, number = len(verdict.parts) > 1, f"{verdict_words.effect(one)} ({verdict_words.limits(one)}), "
        text = f"{one.title}: {number}{one.why}" if several else one.why
        said.append(f"{text[:1].upper()}{text[1:]}; {words.count(one.effect.n)} {one.effect.of}, {words.some(one.seeds, 'seed')}.")
    return said


def numbers(study: Study, known: Known) -> pd.DataFrame:
    """The table under the figure: what each run is and each measure with its interval."""
    measures = [f"{name}{end}" for name in study.shows for end in ("", "_low", "_high")]
    columns = ["label", "line", "seed", "state", "said", "arch", "parameters", "images", "steps", "seconds", *measures, "run"]
    table = known.table[columns]
    return table.loc[:, [bool(np.any(table[name] != "")) for name in columns]]
