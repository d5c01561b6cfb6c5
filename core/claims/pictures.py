"""The picture behind a headline claim, in a few strokes: drawn from what is stored of the nets that the claim is judged on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from core.analyses import band_noise, fourier, hessian
from core.chart import family_token, kind_token
from core.claims import _drawn
from core.claims.accuracy import by_share
from core.claims.claim import mean
from core.claims.nets import Net, Shelf, answers
from core.presets import family
from core.spec import layout
from core.store import Stored

#: how far from the trained weights the loss is drawn: beyond it, nets are no nets any more
NEAR = 0.65


def picture(claim_id: str, shelf: Shelf) -> str:
    """A small SVG of the first seed's nets; a dashed outline where nothing was measured, or for a claim that has no picture."""
    draw = PICTURES.get(claim_id)
    return draw(shelf) if draw else _drawn.nothing()


def _first(shelf: Shelf, *roles: str, twins: bool = False) -> tuple[Net, ...]:
    return next(iter(shelf.together(*roles, twins=twins)), ())


def _pair(shelf: Shelf, analysis: str, **fixed: Any) -> list[tuple[str, Stored]]:
    """(colour, answer) of the ViT and the conv net that are compared; none if one lacks it."""
    nets = _first(shelf, "vit", "conv")
    found = answers([(net, fixed) for net in nets], analysis) if nets else None
    return [(family_token(family(net.arch)), one) for net, one in zip(nets, found or (), strict=bool(found))]


def _rises(shelf: Shelf) -> str:
    """The rise of the loss on both sides of the trained weights."""
    curves = []
    for token, one in _pair(shelf, "landscape"):
        if "radii" not in one.arrays:
            return _drawn.nothing()
        near = [i for i, r in enumerate(one.arrays["radii"]) if r < NEAR]
        planes = one.arrays["ring_rise"][np.isfinite(one.arrays["ring_rise"]).all((1, 2))]
        if not len(planes):
            return _drawn.nothing()
        radii, rises = [float(one.arrays["radii"][i]) for i in near], [float(planes[:, i].mean()) for i in near]
        curves.append(([-r for r in radii[::-1]] + [0.0, *radii], [*rises[::-1], 0.0, *rises], token))
    return _drawn.lines(curves)


def _eigenvalues(shelf: Shelf) -> str:
    return _drawn.humps({token: hessian.kept(one.table)["eigenvalue"] for token, one in _pair(shelf, "hessian", phase="warmup")})


def _noise(shelf: Shelf) -> str:
    curves = []
    for token, one in _pair(shelf, "band_noise"):
        rows = band_noise.rings(one.table)
        curves.append((rows["frequency"], rows["change"], token))
    return _drawn.lines(curves)


def _over_depth(role: str, analysis: str, column: str, tops: Callable[[pd.DataFrame], pd.DataFrame], *kinds: str) -> Callable[[Shelf], str]:
    """A number over the depth of a net; the steps of these kinds of units that keep the resolution stand out."""

    def draw(shelf: Shelf) -> str:
        nets = _first(shelf, role)
        found = answers([(net, {}) for net in nets], analysis) if nets else None
        if not found:
            return _drawn.nothing()
        rows = tops(found[0].table).sort_values("position")
        tokens = [kind_token(k) if k in kinds and not r else None for k, r in zip(rows["kind"], rows["resampling"], strict=True)]
        values = rows[column].to_numpy(dtype=float)
        return _drawn.steps(np.log(values) if column == "variance" else values, tokens)

    return draw


def _levels(table: pd.DataFrame) -> pd.DataFrame:
    return fourier.points(table)


def _ends(shelf: Shelf) -> str:
    """The last stage of the net with MSAs at its stage ends over that of the one with as many elsewhere."""
    nets = _first(shelf, "hybrid", "reversed")
    if not nets:
        return _drawn.nothing()
    stages = []
    for net in nets:
        slots = [slot for slot in layout(net.arch, net.run.image_size) if slot.kind != "none"]
        last = [slot for slot in slots if slot.stage == max(s.stage for s in slots)]
        stages.append([(slot.kind, slot.form, slot.resampling) for slot in last])
    return _drawn.rows(stages)


def _shares(shelf: Shelf) -> str:
    """Test accuracy over the share of the training images, hybrid and conv net."""
    known: Mapping[float, list[tuple[Net, ...]]] = dict(sorted(by_share(shelf).items()))
    x = [float(np.log(share)) for share in known]
    return _drawn.lines([(x, [mean([pair[i].final["accuracy"] for pair in pairs]) for pairs in known.values()], token)
                         for i, token in ((1, "conv"), (0, "hyb"))])  # fmt: skip


def _whole(table: pd.DataFrame) -> pd.DataFrame:
    return table


PICTURES: dict[str, Callable[[Shelf], str]] = {
    "L2": _rises, "L3": _eigenvalues, "N1": _noise, "A2": _ends, "A1": _shares,
    "F1": _over_depth("vit", "fourier", "value", _levels, "msa"), "F2": _over_depth("conv", "fourier", "value", _levels, "conv"),
    "V1": _over_depth("vit", "variance", "variance", _whole, "msa"),
}  # fmt: skip
