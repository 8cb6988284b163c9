"""core.postgres: a connection is asked whether it lives after a rest, and not before."""

from __future__ import annotations

from unittest import mock

from django.db import close_old_connections, connection
from django.test import TransactionTestCase

from core.postgres import base


class HealthCheckTests(TransactionTestCase):
    def use(self, statement="SELECT 1") -> int:
        """A request that uses the connection; how often it was asked before."""
        with mock.patch.object(
            base.DatabaseWrapper, "is_usable", autospec=True, return_value=True
        ) as asked:
            close_old_connections()
            with connection.cursor() as cursor:
                cursor.execute(statement)
            close_old_connections()
        return asked.call_count

    def setUp(self):
        now = mock.patch.object(base.time, "monotonic", side_effect=lambda: self.now)
        self.now = 1000.0
        now.start()
        self.addCleanup(now.stop)
        connection.close_at = None
        connection.health_check_enabled = True
        self.use()

    def test_not_while_it_is_busy(self):
        for _request in range(3):
            self.now += base.BELIEVED_SECONDS / 2
            assert self.use() == 0

    def test_once_after_a_rest(self):
        self.now += base.BELIEVED_SECONDS * 2
        assert self.use() == 1

    def test_requests_that_do_not_use_it_are_no_proof(self):
        for _request in range(5):
            self.now += base.BELIEVED_SECONDS / 2
            close_old_connections()
        assert self.use() == 1

    def test_an_error_is_no_proof(self):
        connection.errors_occurred = True
        self.now += base.BELIEVED_SECONDS / 2
        assert self.use() == 1
