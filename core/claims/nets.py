"""The nets that claims are judged on: what part each plays, told by its architecture; which of them compare; what is stored of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import Any

import numpy as np

from core import analyses, data, store
from core.presets import PRESETS, name_of
from core.recipe import Recipe, from_dict
from core.run import Run
from core.spec import BLOCKS, Architecture, parse

#: Phases of a training that nets are compared at; at its start a net has learned nothing.
PHASES = ("warmup", "third", "twothirds", "end")
WHEN = {
    "init": "start", "warmup": "end of warm-up", "third": "a third of training", "twothirds": "two thirds of training",
    "end": "end of training",
}  # fmt: skip
#: Two nets are called equally accurate within so many points of test accuracy.  Origin: ours.
EQUAL = 3.0
#: What a question may differ in and still be the same question, answered more or less exactly.
FREE = ("images", "precision")
ROLES = {
    "conv": "a conv net", "vit": "a ViT with a plain patch stem", "vit-cls": "a ViT with a CLS token", "pit": "a ViT in stages (PiT)",
    "swin": "a ViT with windows in stages (Swin)", "hybrid": "a conv net with MSA at its stage ends (AlterNet)",
    "reversed": "a conv net with MSA elsewhere than at its stage ends", "local": "a ViT with local MSA",
    "mix": "a ViT with fixed mixing in place of MSA", "depthwise": "a ViT with depthwise convs in place of MSA",
}  # fmt: skip


def role(arch: Architecture) -> str:
    """The part a net plays in the claims, by its units alone; "" for one that plays none."""
    spatial = [letter for letter in arch.letters if BLOCKS[letter].kind in ("conv", "msa", "mix", "pool")]
    held, mlp = set(spatial), "t" in arch.letters
    if not mlp:
        if held and held <= set("cb"):
            return "conv"
        if held & set("cb") and held & set("mwsl") and held <= set("cbmwsl"):
            ends = {_ends_in_msa(stage.letters) for stage in arch.stages if set(stage.letters) & set("mwsl")}
            return "" if len(ends) > 1 else "hybrid" if ends == {True} else "reversed"
        return ""
    if not arch.stem.startswith("patch"):
        return ""
    if len(arch.stages) > 1:
        return "pit" if held == {"m"} else "swin" if held & set("ws") and held <= set("mws") else ""
    if held == {"m"}:
        return "vit-cls" if arch.head == "cls" else "vit"
    return {"l": "local", "x": "mix", "d": "depthwise"}.get("".join(held), "")


def _ends_in_msa(letters: str) -> bool:
    return letters.rstrip("o")[-1] in "mwsl"


def skeleton(arch: Architecture) -> tuple[Any, ...]:
    """What is left of a net when the kind of its spatial units is not looked at: twins share it."""
    blank = str.maketrans(dict.fromkeys("cbdmwslx", "*"))
    return arch.stem, arch.mlp, *((stage.letters.translate(blank), stage.width) for stage in arch.stages)


@dataclass(frozen=True, kw_only=True, eq=False)
class Net:
    """A finished run with what is stored of it: `manifests` gives those of an analysis, `load` a result by its manifest."""

    run: Run
    final: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    manifests: Callable[[str], Sequence[Mapping[str, Any]]]
    load: Callable[[Mapping[str, Any]], store.Stored | None]

    @cached_property
    def arch(self) -> Architecture:
        """Its architecture."""
        return parse(self.run.arch)

    @cached_property
    def role(self) -> str:
        """The part that it plays."""
        return role(self.arch)

    @cached_property
    def title(self) -> str:
        """Its name on screen."""
        return self.run.name or name_of(self.run.arch) or self.run.arch

    @cached_property
    def setting(self) -> tuple[Any, ...]:
        """What has to be equal before two nets compare: images, how many of them, and recipe."""
        run = self.run
        return run.data, run.fraction, run.limit, run.image_size, tuple(sorted(changed(run.recipe).items()))

    @property
    def images(self) -> int:
        """Training images."""
        return int(self.final["n_train"])

    def accuracy(self, phase: str) -> float:
        """Test accuracy [0 to 1] at a phase, between epochs on a straight line; NaN where it is not known."""
        rows, steps = self.history, int(self.final.get("steps", 0))
        if phase == "end":
            return float(self.final["accuracy"])
        recipe = from_dict(self.run.recipe)
        warm = min(steps * recipe.warmup // recipe.total_epochs, steps // 3)
        at = {"warmup": warm, "third": steps // 3, "twothirds": 2 * steps // 3}.get(phase)
        known = [row for row in rows if "step" in row]
        if not at or not known:
            return float("nan")
        return float(np.interp(at, [row["step"] for row in known], [row["accuracy"] for row in known]))

    def results(self, analysis_id: str, **fixed: Any) -> list[Mapping[str, Any]]:
        """Manifests that answer a question with the analysis' own settings but for `fixed`; most images first.

        Answers of a former method, of other weights, or not yet whole are left out.
        """
        analysis = analyses.get(analysis_id)
        wanted = {f.name: f.default for f in fields(analysis.params)} | fixed
        found = []
        for manifest in self.manifests(analysis_id):
            params, notes = manifest.get("params") or {}, manifest.get("notes") or {}
            same = all(params.get(name) == value for name, value in wanted.items() if name not in FREE)
            old = manifest.get("version") != analysis.version or manifest.get("error")
            other = manifest.get("phase") == "end" and manifest.get("weights") not in (None, self.final.get("digest"))
            whole = "rows" not in notes or notes["rows"] == notes.get("of")
            if same and whole and not old and not other:
                found.append(manifest)
        return sorted(found, key=lambda m: (_many(m), str(m.get("created", ""))), reverse=True)


def _many(manifest: Mapping[str, Any]) -> float:
    """How many images a measurement took; 0 asks for all of them."""
    return manifest["params"].get("images") or float("inf")


def changed(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe has that the usual one has not; its name is only a label."""
    usual = {f.name: f.default for f in fields(Recipe)}
    return {name: value for name, value in recipe.items() if name != "name" and value != usual.get(name)}


def answers(asked: Sequence[tuple[Net, Mapping[str, Any]]], analysis_id: str) -> list[store.Stored] | None:
    """One answer a net to the same question with the most images that all have; None where one has none."""
    each = [net.results(analysis_id, **fixed) for net, fixed in asked]
    free = [[tuple(m["params"].get(name) for name in FREE) for m in found] for found in each]
    for question in free[0] if free else ():
        if all(question in known for known in free):
            loaded = [net.load(found[known.index(question)]) for (net, _), found, known in zip(asked, each, free, strict=True)]
            if all(one is not None for one in loaded):
                return [one for one in loaded if one is not None]
    return None


def without(asked: Sequence[tuple[Net, Mapping[str, Any]]], analysis_id: str) -> list[tuple[Net, Mapping[str, Any]]]:
    """Of nets whose answers do not compare, those that have none; all if each has one, but to another question than the others."""
    return [(net, fixed) for net, fixed in asked if not net.results(analysis_id, **fixed)] or list(asked)


def of_store(run: Run) -> Net | None:
    """A finished run of the store; None for one that is unfinished or was imported, as nothing is known of how that was trained."""
    final = store.final(run.id)
    if not final or getattr(run, "outline", None):
        return None
    held = cache(lambda analysis, key: store.load_result(run.id, analysis, key))  # several claims ask for one table
    return Net(
        run=run, final=final, history=tuple(store.history(run.id)),
        manifests=cache(lambda analysis: store.list_results(run.id, analysis)),
        load=lambda manifest: held(manifest["analysis"], manifest["key"]),
    )  # fmt: skip


# ---- which compare


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The nets of one set of images."""

    data: str
    nets: tuple[Net, ...]

    def settings(self, of: Iterable[Net] | None = None) -> list[list[Net]]:
        """Nets that were trained alike, in groups: most training images first, then most nets, then most steps."""
        groups: dict[tuple[Any, ...], list[Net]] = {}
        for net in self.nets if of is None else of:
            groups.setdefault(net.setting, []).append(net)
        order = {key: (nets[0].images, len(nets), nets[0].final.get("steps", 0)) for key, nets in groups.items()}
        return [groups[key] for key in sorted(groups, key=lambda key: (order[key], str(key)), reverse=True)]

    def together(self, *roles: str, twins: bool = False, among: Iterable[Net] | None = None) -> list[tuple[Net, ...]]:
        """Nets of these parts, one each, trained alike with one seed; a tuple a seed; none if there are no such.

        Of several architectures that play a part: twins before others (with `twins` only they count), named ones, most seeds.
        """
        for group in self.settings(among):
            ranked = []
            archs = [sorted({net.run.arch for net in group if net.role == role}) for role in roles]
            for chosen in itertools.product(*archs):
                seeds = [{net.run.seed: net for net in group if net.run.arch == arch} for arch in chosen]
                common = sorted(set.intersection(*map(set, seeds)))
                alike = len({skeleton(parse(arch)) for arch in chosen}) == 1
                if common and (alike or not twins):
                    rank = (alike, sum(bool(name_of(arch)) for arch in chosen), len(common))
                    ranked.append((rank, [tuple(by_seed[seed] for by_seed in seeds) for seed in common]))
            if ranked:
                return max(ranked, key=lambda item: item[0])[1]
        return []

    def all_alike(self, roles: Iterable[str] = tuple(ROLES)) -> list[Net]:
        """Nets trained alike that play any of these parts, one architecture a part; of several groups that with most parts."""
        best: list[Net] = []
        for group in self.settings():
            chosen = {}
            for role in {net.role for net in group} & set(roles):
                archs = [net.run.arch for net in group if net.role == role]
                chosen[role] = max(set(archs), key=lambda arch: (bool(name_of(arch)), archs.count(arch), arch))
            found = [net for net in group if chosen.get(net.role) == net.run.arch]
            if len({net.role for net in found}) > len({net.role for net in best}):
                best = sorted(found, key=lambda net: (list(ROLES).index(net.role), net.run.seed))
        return best


def ladder(nets: Iterable[Net], level: Callable[[Net], Any], but: Callable[[Net], Any], least: int = 2) -> dict[Any, dict[int, Net]]:
    """Nets that differ in one thing alone, by its level and then by seed; empty with fewer than `least` levels.

    `but` is all that has to be equal.  Of several such families the one with the most levels counts, then that with most nets.
    """
    families: dict[Any, dict[Any, dict[int, Net]]] = {}
    for net in nets:
        if (at := level(net)) is not None:
            families.setdefault(but(net), {}).setdefault(at, {})[net.run.seed] = net
    fit = [family for family in families.values() if len(family) >= least]
    best = max(fit, key=lambda f: (len(f), sum(map(len, f.values())), max(n.images for s in f.values() for n in s.values())), default={})
    return dict(sorted(best.items()))


def common(family: Mapping[Any, Mapping[int, Net]]) -> list[tuple[Net, ...]]:
    """A family's nets, one a level, for each seed that all levels have."""
    seeds = sorted(set.intersection(*(set(nets) for nets in family.values()))) if family else []
    return [tuple(family[at][seed] for at in family) for seed in seeds]


def alike_but(*fields_: str) -> Callable[[Net], tuple[Any, ...]]:
    """All that has to be equal between nets of one architecture, but for some fields of the recipe (or `images`: how many)."""

    def key(net: Net) -> tuple[Any, ...]:
        run, rest = net.run, {k: v for k, v in changed(net.run.recipe).items() if k not in fields_}
        many = () if "images" in fields_ else (run.data, run.fraction, run.limit)
        return run.arch, run.image_size, *many, tuple(sorted(rest.items()))

    return key


def by_seed(nets: Iterable[Net]) -> dict[int, list[Net]]:
    """Nets by their seed."""
    found: dict[int, list[Net]] = {}
    for net in nets:
        found.setdefault(net.run.seed, []).append(net)
    return dict(sorted(found.items()))


def equal_accuracy(one: Net, other: Net, measured: Callable[[str, str], bool]) -> tuple[str, str] | None:
    """The phases of two nets that are nearest in accuracy among those measured; None if none is within EQUAL points."""
    near = [(abs(one.accuracy(a) - other.accuracy(b)), a, b) for a in PHASES for b in PHASES if measured(a, b)]
    best = min((item for item in near if np.isfinite(item[0])), default=None)
    return None if best is None or 100 * best[0] > EQUAL else best[1:]


# ---- commands that make what is missing


def train_command(arch: str, data_id: str, like: Net | None = None, seed: int = 0, **changes: Any) -> str:
    """The command that trains a net as `like` was trained, but for `changes` (fraction, limit or a field of the recipe)."""
    name = next((p.id for p in PRESETS.values() if parse(p.notation).notation == parse(arch).notation), arch)
    recipe = changed(like.run.recipe) if like else {}
    fraction = changes.pop("fraction", like.run.fraction if like else 1.0)
    limit = changes.pop("limit", like.run.limit if like else 0)
    recipe |= changes
    parts = [f"--arch {name}", f"--data {like.run.data if like else data_id}"]
    parts += [f"--epochs {recipe.pop('epochs')}"] if "epochs" in recipe else []
    parts += [f"--seed {seed}", *([f"--fraction {fraction:g}"] if fraction != 1 else []), *([f"--limit {limit}"] if limit else [])]
    return " ".join(["python -m core train", *parts, *(f"--set {field}={value}" for field, value in recipe.items())])


def measure_command(net: Net, analysis_id: str, **settings: Any) -> str:
    """The command that measures a net."""
    return " ".join([f"python -m core measure {net.run.id} {analysis_id}", *(f"--set {name}={value}" for name, value in settings.items())])


def base(data_id: str) -> str:
    """The set of images that a set is a part of, or itself; an unknown one (a folder that is gone) is its own."""
    known = data.DATASETS.get(data_id)
    return (known.subset_of or data_id) if known else data_id


def preset(role_name: str) -> str:
    """The notation of the usual net for a part."""
    usual = {
        "conv": "resnet-mini", "vit": "vit-mini", "pit": "pit-mini", "swin": "swin-mini", "hybrid": "alternet-mini",
        "reversed": "alternet-reversed-mini", "local": "localvit-mini", "mix": "mixer-mini",
    }  # fmt: skip
    if role_name in usual:
        return PRESETS[usual[role_name]].notation
    vit = PRESETS["vit-mini"].notation
    return f"{vit}/head=cls" if role_name == "vit-cls" else vit.replace("m", "d", vit.partition("/")[0].count("m"))
