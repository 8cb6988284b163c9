"""ISBNs: what is one, and what can be made of a damaged one."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from .remarks import Note, Remark

_SEPARATORS = re.compile(r"[\s\u00ad\u2010-\u2015\u2212-]+")
_TEN = re.compile(r"[0-9]{9}[0-9X]")
_THIRTEEN = re.compile(r"97(?:8|9(?!0))[0-9]{10}")  # 979-0 is printed music: an ISMN
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?")
_SHORTEST_TEN = 6  # digits; as a number an ISBN-10 loses its leading zeros, rarely more than four


class Found(NamedTuple):
    """The ISBN-13 of a row or ``None``, and what to say about the columns."""

    isbn13: str | None
    remark: Remark | None = None


def is_isbn10(text: str) -> bool:
    """Ten digits, the last perhaps X, that add up."""
    if not _TEN.fullmatch(text):
        return False
    digits = [10 if char == "X" else int(char) for char in text]
    return sum(digit * (10 - place) for place, digit in enumerate(digits)) % 11 == 0


def is_isbn13(text: str) -> bool:
    """Thirteen digits of the book trade that add up."""
    return bool(_THIRTEEN.fullmatch(text)) and text[-1] == _check_digit(text[:-1])


def to_isbn13(isbn10: str) -> str:
    """The same ISBN in its long form."""
    body = f"978{isbn10[:9]}"
    return body + _check_digit(body)


def from_text(text: str) -> Found:
    """Read one column that may hold either form, with hyphens, spaces or lost leading zeros."""
    if not text.strip():
        return Found(None)
    bare = _SEPARATORS.sub("", text).upper()
    if is_isbn13(bare):
        return Found(bare)
    isbn10 = _padded(bare)
    if isbn10:
        return Found(to_isbn13(isbn10))
    return Found(None, Remark(Note.ISBN_BAD, text.strip()[:40]))


def from_columns(isbn: str, isbn13: str) -> Found:
    """Read an ISBN-10 that a spreadsheet took for a number, and an ISBN-13 that became a float.

    ``439023483`` and ``9.78043902348e+12`` are 9780439023481: the float has lost its last
    digit, so the ISBN-10 with its own check digit says which book it is and the float only
    whether that can be. Alone the float is used when all thirteen digits are there. A lost
    digit is never worked out from the others: then nothing would be left to check it with.
    """
    short = from_text(isbn)
    if not isbn13.strip():
        return short
    number = _book_number(isbn13)
    if number is None:
        return short if short.remark else Found(short.isbn13, _remark(Note.ISBN13_ALIEN, isbn13))
    if short.isbn13:
        if _agrees(short.isbn13, number):
            return short
        return Found(None, _remark(Note.ISBN_DIFFERS, f"{short.isbn13}, {isbn13}"))
    restored = _whole(number) or _without_prefix(isbn, number)
    if restored:
        return Found(restored)
    return short if short.remark else Found(None, _remark(Note.ISBN_DAMAGED, isbn13))


def _remark(note: Note, detail: str) -> Remark:
    return Remark(note, detail.strip()[:60])


def _padded(text: str) -> str:
    """The ISBN-10 ``text`` stands for once its leading zeros are back, or ``""``."""
    isbn10 = text.zfill(10)
    return isbn10 if len(text) >= _SHORTEST_TEN and is_isbn10(isbn10) else ""


def _check_digit(body: str) -> str:
    total = sum(int(char) * (3 if place % 2 else 1) for place, char in enumerate(body))
    return str(-total % 10)


def _book_number(text: str) -> Decimal | None:
    """The number in ``text`` when it has the size and prefix of an ISBN-13, else ``None``."""
    bare = text.strip() if "e" in text.lower() else _SEPARATORS.sub("", text)
    if not _NUMBER.fullmatch(bare):
        return None
    number = Decimal(bare)
    digits = f"{number:f}".partition(".")[0]
    return number if _THIRTEEN.fullmatch(digits) else None


def _last_place(number: Decimal) -> int:
    """The power of ten of the last digit that was written."""
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _agrees(isbn13: str, number: Decimal) -> bool:
    """Whether ``isbn13``, rounded as ``number`` is, is ``number``."""
    return abs(Decimal(isbn13) - number) * 2 <= Decimal(10) ** _last_place(number)


def _whole(number: Decimal) -> str:
    """The ISBN-13 that ``number`` spells in full, or ``""``."""
    if _last_place(number) > 0 or number != number.to_integral_value():
        return ""
    text = str(int(number))
    return text if is_isbn13(text) else ""


def _without_prefix(text: str, number: Decimal) -> str:
    """The ISBN-13 whose last ten digits are ``text``, when ``number`` agrees, or ``""``.

    Some columns named isbn hold that: as an ISBN-10 its check digit is wrong.
    """
    isbn13 = f"978{_SEPARATORS.sub('', text).zfill(10)}"
    return isbn13 if is_isbn13(isbn13) and _agrees(isbn13, number) else ""
