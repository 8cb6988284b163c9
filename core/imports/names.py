"""Names as catalogues write them: several authors in one field, a series behind a title."""

from __future__ import annotations

import unicodedata

from core.text import fold

# What may follow a comma and still belong to the name before it, folded.
_SUFFIXES = {
    "jr", "junior", "sr", "ii", "iii", "iv", "filho", "neto", "fils", "pere",
    "esq", "phd", "ph d", "md", "m d", "dds", "d d s", "jd", "j d", "rn", "mba", "ed d", "edd",
}  # fmt: skip


def tidy(text: str) -> str:
    """``text`` in composed form with single spaces and none around it."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def name_key(text: str, length: int) -> str:
    """What makes two spellings one name: the folded text, or the text where that is empty."""
    return fold(text)[:length] or text


def split_authors(text: str) -> list[str]:
    """Return the names of a comma-separated field in their order, each once.

    A suffix stays with its name: ``"Alexandre Dumas, fils, Ana"`` is two people.
    """
    names: list[str] = []
    for piece in filter(None, map(tidy, text.split(","))):
        if names and fold(piece) in _SUFFIXES:
            names[-1] = f"{names[-1]}, {piece}"
        else:
            names.append(piece)
    once: dict[str, str] = {}
    for name in names:
        once.setdefault(name_key(name, 200), name)
    return list(once.values())


def split_series(title: str) -> tuple[str, str]:
    """Split a last bracket that counts volumes off: ``"Narnia (The Series, #2)"``.

    Returns the title and the series with its number, ``""`` for none. Other brackets are
    part of a title: ``"I Am America (And So Can You!)"``.
    """
    start = _last_bracket(title)
    if start < 0:
        return title, ""
    _, counts, volume = title[start:].rpartition("#")
    if not counts or not volume.lstrip()[:1].isdigit() or not title[:start].rstrip():
        return title, ""
    return title[:start].rstrip(), title[start + 1 : -1].strip()


def _last_bracket(title: str) -> int:
    """Where the bracket that ends ``title`` opens, or -1; brackets in it are counted."""
    if not title.endswith(")"):
        return -1
    depth = 0
    for place in range(len(title) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(title[place], 0)
        if depth == 0:
            return place
    return -1
