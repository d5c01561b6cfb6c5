"""The deck: the list of views that a presentation goes through, each a link of this lab, kept in the data folder.

A link is `page?key=value&…` without host or path; what a file or an address says is bound to known pages and plain values before use.
"""

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from core import io
from core.errors import StoreError

#: views that a deck holds, characters of a link, parameters of a link, characters of a value
MOST, LONGEST, FIELDS, VALUE = 60, 4000, 40, 600
_KEY = re.compile(r"[a-z][a-z0-9_]{0,24}")
#: what is of a visit and not of a view
_DROPPED = ("present", "tour", "embed", "embed_options")
#: the deck that comes with the lab: page, and which view of it
_DEFAULT: tuple[tuple[str, dict[str, str]], ...] = (
    ("start", {}), ("frequency", {}), ("features", {"show": "variance"}), ("lesion", {}), ("landscape", {}),
    ("curvature", {"phase": "warmup"}), ("robustness", {}), ("lens", {}), ("compare", {}), ("scorecard", {}),
)  # fmt: skip


def link(page: str, query: Sequence[tuple[str, str]]) -> str:
    """A view as text."""
    return f"{page}?{urlencode(list(query))}" if query else page


def parted(text: str) -> tuple[str, dict[str, list[str]]]:
    """Page and parameters of a link that `checked` has let through."""
    page, _, query = text.partition("?")
    found: dict[str, list[str]] = {}
    for key, value in parse_qsl(query):
        found.setdefault(key, []).append(value)
    return page, found


def checked(text: object, pages: Collection[str]) -> str:
    """A link as it is kept.  StoreError unless it leads to one of `pages` of this lab with plain, bounded parameters."""
    if not isinstance(text, str) or not text.isprintable() or len(text) > LONGEST:
        raise StoreError(f"A link is one line of at most {LONGEST:,} characters.")
    try:
        parts = urlsplit(text)
        fields = parse_qsl(parts.query, max_num_fields=FIELDS, errors="strict")
    except ValueError:
        raise StoreError("This link cannot be read.") from None
    page = parts.path.removeprefix("/") or "start"
    if parts.scheme or parts.netloc or page not in pages:
        raise StoreError(f"{text[:60]!r} is no view of this lab. Known pages: {', '.join(sorted(pages))}.")
    fields = [(key, value) for key, value in fields if key not in _DROPPED]
    for key, value in fields:
        if not _KEY.fullmatch(key) or len(value) > VALUE or not unquote(value).isprintable():
            raise StoreError(f"The link holds something that is no choice of a view: {key[:30]!r}.")
    return link(page, fields)


def default(pages: Collection[str], nets: Sequence[str] = (), data: str = "") -> list[str]:
    """The deck that comes with the lab, on these nets (run ids) and images, as far as its pages exist."""
    on = [("m", net) for net in nets] + ([("d", data)] if data else [])
    return [link(page, [*(on if page != "start" else []), *query.items()]) for page, query in _DEFAULT if page in pages]


def own(pages: Collection[str]) -> list[str]:
    """The visitor's own deck; empty if there is none.  What cannot be read, or is no view of this lab, is left out."""
    try:
        held = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    found = []
    for text in held[: 2 * MOST] if isinstance(held, list) else []:
        try:
            found.append(checked(text, pages))
        except StoreError:
            continue
    return found[:MOST]


def keep(links: Sequence[str], pages: Collection[str]) -> None:
    """Makes these links the visitor's own deck; none brings the lab's own back.  StoreError for too many or an odd one."""
    if len(links) > MOST:
        raise StoreError(f"A deck holds at most {MOST} views; remove one first.")
    if links:
        io.write_json(_file(), [checked(one, pages) for one in links])
    else:
        _file().unlink(missing_ok=True)


def _file() -> Path:
    return io.home() / "deck.json"
