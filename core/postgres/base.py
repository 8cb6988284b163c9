"""Django's PostgreSQL backend, which asks a connection whether it lives only after a rest.

``CONN_HEALTH_CHECKS`` asks once a request; under load that is a tenth of a member's page. A
connection that answered a moment ago is as good as asked; no server restarts in between.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from ..metrics import counting
from ..scrubbing import without_literals
from ..work import NO_VIEW, work

BELIEVED_SECONDS = 0.2
MOST_SQL = 2_000  # characters of a slow statement that are logged

slow = logging.getLogger("core.queries.slow")


def _watched(execute: Callable, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement, count it, and log it without its values if it was slow."""
    begun = time.perf_counter()
    try:
        return execute(sql, params, many, context)
    finally:
        work.queries += 1
        seconds = time.perf_counter() - begun
        if seconds * 1000 >= settings.SLOW_QUERY_MS:
            view = "" if work.task else work.view or NO_VIEW
            counting.count("slow_queries", view, work.task)
            fields = {"ms": round(seconds * 1000, 1), "sql": without_literals(sql)[:MOST_SQL]}
            slow.warning("slow query", extra={"fields": fields})


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(_watched)

    _answered = 0.0  # when a request that used the connection last ended without an error

    def close_if_unusable_or_obsolete(self) -> None:
        """Called by Django before and after each request."""
        if self.health_check_done and not self.errors_occurred:
            self._answered = time.monotonic()
        super().close_if_unusable_or_obsolete()

    def close_if_health_check_failed(self) -> None:
        if time.monotonic() - self._answered < BELIEVED_SECONDS:
            self.health_check_done = True
        super().close_if_health_check_failed()
