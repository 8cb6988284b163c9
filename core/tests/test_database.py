"""The connection in use: what is in force, what lifts it, what `check --deploy` says of the server."""

from __future__ import annotations

from io import StringIO
from unittest import mock

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import TestCase, TransactionTestCase, override_settings

from core.connections import Budget
from core.database import ask_server, role_defaults, unhurried, vacuum
from core.models import Book


def show(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]


class InForceTests(TestCase):
    def test_the_timeouts_hold(self):
        assert show("statement_timeout") == "30s"
        assert show("idle_in_transaction_session_timeout") == "1min"

    def test_a_network_that_vanishes_is_noticed(self):
        connection.ensure_connection()
        given = connection.connection.info.dsn_parameters
        assert given["connect_timeout"] == "10"
        assert given["keepalives"] == "1"
        seconds = int(given["keepalives_idle"]) + 3 * int(given["keepalives_interval"])
        assert (seconds, given["keepalives_count"]) == (60, "3")
        assert given["tcp_user_timeout"] == "60000"

    def test_connections_are_kept_and_looked_at(self):
        assert settings.DATABASES["default"]["CONN_MAX_AGE"] == 600
        assert settings.DATABASES["default"]["CONN_HEALTH_CHECKS"]


class LiftedTests(TransactionTestCase):
    def seen_at(self, start: str):
        """A wrapper that notes the timeout that holds when a statement like ``start`` runs."""
        seen = []

        def wrapper(execute, sql, params, many, context):
            if sql.startswith(start):
                seen.append(show("statement_timeout"))
            return execute(sql, params, many, context)

        return seen, connection.execute_wrapper(wrapper)

    def test_vacuum_takes_its_time(self):
        seen, watching = self.seen_at("VACUUM")
        with watching:
            vacuum(Book)
        assert seen == ["0"]
        assert show("statement_timeout") == "30s"

    @override_settings(DATABASE_POOLER="transaction")
    def test_behind_a_transaction_pooler_it_is_an_analyze(self):
        seen, watching = self.seen_at("ANALYZE")
        with watching:
            vacuum(Book)
        assert seen == ["0"]
        assert show("statement_timeout") == "30s"

    def test_what_was_lifted_is_back_after_an_error(self):
        for pooler in ("", "transaction"):
            with override_settings(DATABASE_POOLER=pooler):
                with pytest.raises(LookupError), unhurried(connection):
                    raise LookupError
                assert show("statement_timeout") == "30s"
                assert show("idle_in_transaction_session_timeout") == "1min"


class CheckTests(TestCase):
    def found(self) -> list[str]:
        messages = run_checks(tags=["connections"], include_deployment_checks=True)
        return [message.id for message in messages]

    def test_a_server_that_fits_is_fine(self):
        assert self.found() == []

    def test_what_this_connection_set_does_not_count(self):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
        assert ask_server().statement_timeout_ms == 30_000

    def test_a_longer_timeout_and_none_at_all_are_errors(self):
        with override_settings(STATEMENT_TIMEOUT_MS=29_999):
            assert self.found() == ["core.E011"]
        row = settings.DATABASES["default"]
        without = {key: value for key, value in row["OPTIONS"].items() if key != "options"}
        with mock.patch.dict(connection.settings_dict, OPTIONS=without):
            assert self.found() == ["core.E011"] * 2

    def test_more_connections_than_the_server_has(self):
        allowed = ask_server().connections
        for total, expected in ((allowed, []), (allowed + 1, ["core.W012"])):
            budget = mock.Mock(spec=Budget, total=total)
            with override_settings(CONNECTION_BUDGET=budget):
                assert self.found() == expected
                with override_settings(DATABASE_POOLER="transaction"):
                    assert self.found() == []

    def test_a_server_that_does_not_answer_is_a_warning(self):
        with mock.patch("core.checks.ask_server", side_effect=OperationalError("gone")):
            assert self.found() == ["core.W010"]


class RoleTests(TestCase):
    def test_a_dry_run_says_what_it_would_write(self):
        out = StringIO()
        call_command("set_role_defaults", dry_run=True, stdout=out)
        said = out.getvalue()
        assert "SET statement_timeout = 30000;" in said
        assert "SET idle_in_transaction_session_timeout = 60000;" in said
        assert "Dry run" in said

    def test_no_search_path_where_the_extensions_are_in_sight(self):
        assert set(role_defaults(ask_server())) == {
            "statement_timeout",
            "idle_in_transaction_session_timeout",
            "timezone",
        }
