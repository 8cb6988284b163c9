"""A CSV file as numbered rows; never more than one of them in memory."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .records import SHAPES, Record, Shape
from .remarks import Refusal, Refused, Remark


class UnusableFile(Exception):
    """The file as a whole cannot be read; the text says why and what would fit."""


class RefusedRow(NamedTuple):
    """A row that is no record, under the title it seems to have."""

    line: int
    remark: Remark
    title: str


class _Row(NamedTuple):
    first: int
    last: int
    cells: list[str]
    broken: str = ""


class _Lines:
    """The lines of a file, with a way back to the second line of the row being read."""

    def __init__(self, file: Iterable[str]):
        self._file = iter(file)
        self._ahead: deque[str] = deque()
        self._row: list[str] = []
        self.first = self.last = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._file)
        self.last += 1
        self._row.append(line)
        return line

    def begin_row(self) -> None:
        """Forget the lines so far: a row begins."""
        self._row.clear()
        self.first = self.last + 1

    def go_back(self) -> str:
        """Return the first line of the row; the others will be read again."""
        self._ahead.extendleft(reversed(self._row[1:]))
        self.last = self.first
        return self._row[0]


class Reader:
    """The rows of one file; the header decides its shape. Iterate as often as you like."""

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():
            raise UnusableFile(f"{path} is no file.")
        header = next(self._rows(), None)
        if header is None:
            raise UnusableFile(f"{path} is empty.")
        self._header = [name.strip().lower() for name in header.cells]
        self.shape = self._find_shape()
        self._title_at = self._header.index("title")

    def __iter__(self) -> Iterator[Record | RefusedRow]:
        rows = self._rows()
        next(rows)
        for row in rows:
            try:
                self._check(row)
                yield self.shape.read(row.first, dict(zip(self._header, row.cells, strict=True)))
            except Refused as refused:
                yield RefusedRow(row.first, refused.remark, self._seeming_title(row))

    def _find_shape(self) -> Shape:
        fitting = [shape for shape in SHAPES if shape.fits(self._header)]
        if fitting and len(set(self._header)) == len(self._header):
            return fitting[0]
        wanted = " or ".join(
            ",".join(sorted(shape.columns)) + (" (more are ignored)" if shape.may_have_more else "")
            for shape in SHAPES
        )
        found = ",".join(self._header)[:300]
        raise UnusableFile(
            f"{self.path} has a header this command does not know: {ascii(found)}. "
            f"Each of these columns must be there once: {wanted}."
        )

    def _rows(self) -> Iterator[_Row]:
        """Rows that are not blank. Bytes that are no UTF-8 stay in them as surrogates.

        A quote that is never closed would swallow the rows after it; ``strict`` notices at the
        next quote, and reading goes on one line below.
        """
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            lines = _Lines(file)
            while True:
                lines.begin_row()
                try:
                    cells = next(csv.reader(lines, strict=True))
                except StopIteration:
                    return
                except csv.Error as error:
                    yield _Row(lines.first, lines.last, [lines.go_back()], str(error))
                    continue
                if cells:
                    yield _Row(lines.first, lines.last, cells)

    def _check(self, row: _Row) -> None:
        """Raise ``Refused`` for what no shape can read."""
        if row.broken:
            raise Refused(Refusal.CSV, row.broken)
        if len(row.cells) != len(self._header):
            lines = f", lines {row.first} to {row.last}" if row.last > row.first else ""
            raise Refused(Refusal.COLUMNS, f"{len(row.cells)} of {len(self._header)}{lines}")
        text = "".join(row.cells)
        if "\0" in text:
            raise Refused(Refusal.NUL)
        if not text.isascii() and any("\udc80" <= char <= "\udcff" for char in text):
            raise Refused(Refusal.UTF8)

    def _seeming_title(self, row: _Row) -> str:
        """The title, or where nobody can say which cell that is, all there is."""
        whole = len(row.cells) == len(self._header)
        return row.cells[self._title_at] if whole else ", ".join(row.cells)
