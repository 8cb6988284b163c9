"""A CSV file as numbered rows; never more than one of them in memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator
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
        """Rows that are not blank. Bytes that are no UTF-8 stay in them as surrogates."""
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            while True:
                first = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:  # the next call begins at the line after
                    yield _Row(first, reader.line_num, [], str(error))
                    continue
                if cells:
                    yield _Row(first, reader.line_num, cells)

    def _check(self, row: _Row) -> None:
        """Raise ``Refused`` for what no shape can read."""
        where = f", lines {row.first} to {row.last}" if row.last > row.first else ""
        if row.broken:
            raise Refused(Refusal.CSV, row.broken + where)
        if len(row.cells) != len(self._header):
            count = f"{len(row.cells)} instead of {len(self._header)}"
            raise Refused(Refusal.COLUMNS, count + where)
        text = "".join(row.cells)
        if "\0" in text:
            raise Refused(Refusal.NUL)
        if not text.isascii() and any("\udc80" <= char <= "\udcff" for char in text):
            raise Refused(Refusal.UTF8)

    def _seeming_title(self, row: _Row) -> str:
        return row.cells[self._title_at] if len(row.cells) > self._title_at else ""
