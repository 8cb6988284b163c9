"""Deleting what is old, a piece at a time: one big DELETE holds its rows and runs out of time."""

from __future__ import annotations

from django.db import models

CHUNK_ROWS = 1_000


def delete_in_chunks(rows: models.QuerySet, *, chunk: int = CHUNK_ROWS) -> int:
    """Delete ``rows`` and return how many went. Two queries and one short transaction a chunk.

    Repeatable, and two at once share the work. Rows that others point at go by what the
    models say of that.
    """
    gone = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:chunk]):
        rows.model._default_manager.filter(pk__in=ids).delete()
        gone += len(ids)
    return gone
