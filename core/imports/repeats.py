"""Rows of one file that mean one book: one is taken, the same one whatever their order."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from .records import Record
from .remarks import Refusal, Remark


class Repeats:
    """Which rows of a file may share a book. Holds a hash a row, not the rows.

    Rows are one book when they share an ISBN or an id of the source. Title, author and year
    make them one only when a row has nothing better: two editions may share all three.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._shared: set[int] = set()
        self._shared_works: set[int] = set()
        self._weak_works: set[int] = set()

    def see(self, record: Record) -> None:
        """Remember what ``record`` could share with another row."""
        for key in map(hash, _strong_keys(record)):
            (self._shared if key in self._seen else self._seen).add(key)
        work = hash(record.work_key)
        (self._shared_works if work in self._seen else self._seen).add(work)
        if record.is_weak:
            self._weak_works.add(work)

    def touch(self, record: Record) -> bool:
        """Whether ``record`` must wait for the end of the file, and ``choose``."""
        if any(hash(key) in self._shared for key in _strong_keys(record)):
            return True
        work = hash(record.work_key)
        return work in self._shared_works and work in self._weak_works


def choose(waiting: list[Record]) -> tuple[list[Record], list[tuple[Record, Remark]]]:
    """Split ``waiting`` into the rows to take and the ones that repeat a taken row.

    The row with an ISBN wins, then the one with more ratings, then with more columns, then
    by its text: never by its line, so that the same file in another order gives the same books.
    """
    taken: list[Record] = []
    repeated: list[tuple[Record, Remark]] = []
    lines: dict[Hashable, int] = {}
    works: dict[Hashable, int] = {}
    for record in sorted(waiting, key=_rank):
        found = [lines[key] for key in _strong_keys(record) if key in lines]
        if record.is_weak and record.work_key in works:
            found.append(works[record.work_key])
        if found:
            repeated.append((record, Remark(Refusal.REPEATED, f"line {found[0]}")))
            continue
        taken.append(record)
        lines.update(dict.fromkeys(_strong_keys(record), record.line))
        works.setdefault(record.work_key, record.line)
    return taken, repeated


def _strong_keys(record: Record) -> list[Hashable]:
    return [key for key in (record.isbn13, record.source_key) if key is not None]


def _rank(record: Record) -> tuple[Any, ...]:
    columns = record.columns
    text = sorted((name, str(value)) for name, value in columns.items())
    ratings = columns.get("ratings_count", 0)
    return record.isbn13 is None, -ratings, -len(columns), text, record.authors
