"""What an import says about rows: why one is refused, what of another could not be used."""

from __future__ import annotations

import csv
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Refusal(StrEnum):
    """Why a row is not taken."""

    COLUMNS = "wrong number of columns"
    CSV = "broken CSV"
    UTF8 = "not UTF-8"
    NUL = "NUL byte"
    NO_TITLE = "no title"
    TOO_LONG = "too long"
    SOURCE_ID = "no usable id of the source"
    REPEATED = "same book as another row"
    TWO_BOOKS = "ISBN and source id belong to two known books"
    ISBN_TAKEN = "ISBN belongs to another id of the same source"
    AMBIGUOUS = "several known books have this title, author and year"
    DATABASE = "refused by the database"


class Note(StrEnum):
    """What of a taken row was left out."""

    ISBN_BAD = "no ISBN: isbn is none or has a wrong check digit"
    ISBN_DAMAGED = "no ISBN: isbn13 has lost digits and there is no ISBN-10"
    ISBN_DIFFERS = "no ISBN: isbn and isbn13 are of two books"
    ISBN13_ALIEN = "isbn13 not used: a number of another kind"
    YEAR = "no year: not one that can be stored"
    NUMBER = "left out: no such number"


class Refused(Exception):
    """Raised for a row that cannot be taken."""

    def __init__(self, reason: Refusal, detail: str = ""):
        self.remark = Remark(reason, detail)
        super().__init__(str(self.remark))


class Remark(NamedTuple):
    """One reason and the particulars of this row."""

    reason: Refusal | Note
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


class Report:
    """The file of remarks: one line each with ``line, kind, reason, title``; counts them too."""

    def __init__(self, path: Path):
        # A refused title may hold bytes that are no UTF-8: they are shown as \udcXX.
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["line", "kind", "reason", "title"])
        self.counts: Counter[Refusal | Note] = Counter()

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_exc) -> None:
        self._file.close()

    def add(self, line: int, remark: Remark, title: str) -> None:
        """Write one remark; control characters of the title are shown as spaces."""
        self.counts[remark.reason] += 1
        kind = "refused" if isinstance(remark.reason, Refusal) else "note"
        shown = "".join(char if char.isprintable() or _is_raw(char) else " " for char in title)
        self._writer.writerow([line, kind, remark, shown[:300].strip()])


def _is_raw(char: str) -> bool:
    return "\udc80" <= char <= "\udcff"
