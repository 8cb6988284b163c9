"""Django's PostgreSQL backend, which asks a connection whether it lives only after a rest.

``CONN_HEALTH_CHECKS`` asks once a request; under load that is a tenth of a member's page. A
connection that answered a moment ago is as good as asked; no server restarts in between.
"""

from __future__ import annotations

import time

from django.db.backends.postgresql import base

BELIEVED_SECONDS = 0.2


class DatabaseWrapper(base.DatabaseWrapper):
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
