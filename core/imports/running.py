"""One import from the first row to the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import DataError, IntegrityError

from core import scopes
from core.database import analyze
from core.models import Author, Book, BookAuthor

from .reading import Reader, RefusedRow
from .records import Record
from .remarks import Refusal, Remark, Report
from .repeats import Repeats, choose
from .writing import write_batch

BATCH = 500
_ATTEMPTS = 3


@dataclass
class Totals:
    """What an import did; ``str`` is the line for the operator."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0

    def __str__(self) -> str:
        return (
            f"{self.new} new, {self.changed} changed, "
            f"{self.unchanged} unchanged, {self.refused} refused"
        )


class Import:
    """Reads the file twice: once for the rows that share a book, once to write.

    Each batch is a transaction, so a run that was interrupted is taken up by the next one.
    """

    def __init__(self, reader: Reader, report: Report, *, dry_run: bool = False):
        self._reader = reader
        self._report = report
        self._dry_run = dry_run
        self._repeats = Repeats()
        self._claims: dict[int, int] = {}
        self.totals = Totals()

    def survey(self) -> int:
        """Read the file for the first time; return its number of rows."""
        rows = 0
        for row in self._reader:
            rows += 1
            if isinstance(row, Record):
                self._repeats.see(row)
        return rows

    def run(self, advance: Callable[[int], None]) -> Totals:
        """Write every row; ``advance`` is told how many more are done."""
        batch: list[Record] = []
        waiting: list[Record] = []
        for row in self._reader:
            if isinstance(row, RefusedRow):
                self._refuse(row.line, row.remark, row.title)
                advance(1)
                continue
            (waiting if self._repeats.touch(row) else batch).append(row)
            if len(batch) == BATCH:
                self._take(batch, advance)
                batch = []
        self._take(batch, advance)
        self._take_chosen(waiting, advance)
        if not self._dry_run and self.totals.new + self.totals.changed:
            analyze(Author, Book, BookAuthor)
            scopes.catalogue_changed()
        return self.totals

    def _take_chosen(self, waiting: list[Record], advance: Callable[[int], None]) -> None:
        taken, repeated = choose(waiting)
        for record, remark in repeated:
            self._refuse(record.line, remark, record.title)
        advance(len(repeated))
        for start in range(0, len(taken), BATCH):
            self._take(taken[start : start + BATCH], advance)

    def _take(self, batch: list[Record], advance: Callable[[int], None]) -> None:
        if not batch:
            return
        try:
            self._write(batch)
        except (IntegrityError, DataError):  # another writer was faster, or one row is odd
            for record in batch:
                self._take_one(record)
        advance(len(batch))

    def _take_one(self, record: Record) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._write([record])
                return
            except (IntegrityError, DataError) as error:
                if attempt == _ATTEMPTS:
                    words = str(error).partition("\n")[0]
                    self._refuse(record.line, Remark(Refusal.DATABASE, words), record.title)

    def _write(self, batch: list[Record]) -> None:
        written = write_batch(batch, self._claims, dry_run=self._dry_run)
        self.totals.new += written.new
        self.totals.changed += written.changed
        self.totals.unchanged += written.unchanged
        self._claims |= written.claims
        for record, remark in written.refused:
            self._refuse(record.line, remark, record.title)
        refused = {record.line for record, _ in written.refused}
        for record in batch:
            for remark in () if record.line in refused else record.remarks:
                self._report.add(record.line, remark, record.title)

    def _refuse(self, line: int, remark: Remark, title: str) -> None:
        self.totals.refused += 1
        self._report.add(line, remark, title)
