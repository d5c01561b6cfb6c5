"""Whether two nets compare: what else than their architectures a difference may be of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from core import words
from core.claims.nets import Net, base
from core.data import set_title
from core.recipe import Recipe

#: A recipe's fields that are no part of how a net was trained: a label, and what the step count says already.
NO_MATTER = ("name", "precision")


def same_images(a: Net, b: Net) -> bool:
    """Whether both are tested on the same images."""
    return base(a.run.data) == base(b.run.data)


def unlike(a: Net, b: Net) -> list[str]:
    """Why a difference of two nets is not one of their architectures alone, in phrases; [] where nothing is known against it."""
    found = []
    if not same_images(a, b):
        found.append(f"other images ({set_title(a.run.data)} and {set_title(b.run.data)}), so no difference is shown")
    if a.run.image_size != b.run.image_size:
        found.append(f"images of {a.run.image_size} and {b.run.image_size} pixels")
    if foreign := [net.run.name or net.run.arch for net in (a, b) if net.run.outline and not net.run.recipe]:
        return [*found, f"how {words.seq(foreign)} {'were' if len(foreign) > 1 else 'was'} trained is not known here"]
    images, steps = ([net.final.get(name) for net in (a, b)] for name in ("n_train", "steps"))
    if None not in images and images[0] != images[1]:
        found.append(f"{words.count(images[0])} and {words.count(images[1])} training images")
    if changed := recipes(a.run.recipe, b.run.recipe):
        found.append(f"another recipe ({'; '.join(changed[:3])}{f'; {len(changed) - 3} more' if len(changed) > 3 else ''})")
    if None not in steps and steps[0] != steps[1]:
        found.append(f"{words.count(steps[0])} and {words.count(steps[1])} steps of training")
    return found


def recipes(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What differs in two recipes: `lr 0.001 against 0.0005`."""
    usual = {field.name: field.default for field in fields(Recipe)}
    both = [usual | dict(recipe) for recipe in (one, other)]
    return [f"{name.replace('_', ' ')} {both[0][name]} against {both[1].get(name)}"
            for name in both[0] if name not in NO_MATTER and both[0][name] != both[1].get(name)]  # fmt: skip
