"""What DATABASES says for each address and pooler, and how many connections that may make."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.conf import settings
from django.test import SimpleTestCase

from core.connections import Budget, database, process_name
from core.embedded import SetUpMissing
from tests.servers import child_environment

URL = "postgres://ana:s%40nha@db.example.com:6543/site"


def row(url: str = URL, pooler: str = "") -> dict:
    return database(url, pooler, 600, (7, 8), ["granian"])


class DatabaseTests(SimpleTestCase):
    def test_without_a_pooler_the_timeouts_are_startup_options(self):
        found = row()
        assert (found["USER"], found["PASSWORD"]) == ("ana", "s@nha")
        assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example.com", 6543, "site")
        assert found["CONN_MAX_AGE"] == 600
        assert found["CONN_HEALTH_CHECKS"]
        assert not found["DISABLE_SERVER_SIDE_CURSORS"]
        options = found["OPTIONS"]
        words = "-c statement_timeout=7 -c idle_in_transaction_session_timeout=8"
        assert options["options"] == words
        assert options["connect_timeout"] == 10
        assert options["application_name"] == "cgbookstore web"
        assert options["keepalives"] == 1
        assert options["tcp_user_timeout"] == 60_000

    def test_a_pooler_gets_no_startup_options_and_one_kind_no_cursors_either(self):
        for pooler in ("session", "transaction"):
            with self.subTest(pooler=pooler):
                found = row(pooler=pooler)
                assert "options" not in found["OPTIONS"]
                assert found["OPTIONS"]["connect_timeout"] == 10
                assert found["DISABLE_SERVER_SIDE_CURSORS"] is (pooler == "transaction")

    def test_what_the_address_says_wins(self):
        words = "sslmode=verify-full&sslrootcert=/etc/ca.crt&connect_timeout=3&application_name=a"
        options = row(f"{URL}?{words}&options=-c%20statement_timeout%3D9")["OPTIONS"]
        assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", "/etc/ca.crt")
        assert (options["connect_timeout"], options["application_name"]) == (3, "a")
        assert options["options"].endswith(" -c statement_timeout=9")  # the last one counts

    def test_words_of_another_library_are_left_out(self):
        assert "pgbouncer" not in row(f"{URL}?pgbouncer=true")["OPTIONS"]

    def test_what_cannot_be_is_said(self):
        for url, pooler, said in (
            (URL, "Transaction", "DATABASE_POOLER"),
            ("sqlite:///site.db", "", "postgres://"),
            ("postgres://a:b@host:port/site", "", "DATABASE_URL is not an address"),
        ):
            with self.subTest(said=said), pytest.raises(SetUpMissing, match=said):
                row(url, pooler)


class ProcessNameTests(SimpleTestCase):
    def test_tells_the_processes_apart(self):
        for words, name in {
            "/x/.venv/bin/granian --interface wsgi": "cgbookstore web",
            "/x/.venv/bin/celery -A cgbookstore worker -l info": "cgbookstore worker",
            "/x/celery/__main__.py -A cgbookstore beat": "cgbookstore beat",
            "manage.py import_books livros.csv": "cgbookstore import_books",
            "./manage.py": "cgbookstore help",
            "-c": "cgbookstore",
            "": "cgbookstore",
        }.items():
            with self.subTest(words=words):
                assert process_name(words.split(" ")) == name
        assert process_name([]) == "cgbookstore"


class BudgetTests(SimpleTestCase):
    def test_says_its_arithmetic(self):
        budget = Budget(web_workers=3, web_threads=4, celery_concurrency=2, bulk_concurrency=1)
        assert budget.total == 12 + 5 + 1 + 6 + 3 + 12
        assert str(budget).endswith("= 39")

    def test_counts_what_the_procfile_starts(self):
        assert Budget(2, 2, 2, 1) == settings.CONNECTION_BUDGET
        assert settings.CONNECTION_BUDGET.total == 21


class StartTests(SimpleTestCase):
    def start(self, **changes: str) -> str:
        """What a process of the site says that cannot start."""
        words = [sys.executable, "-c", "import cgbookstore.settings"]
        done = subprocess.run(
            words, cwd=settings.BASE_DIR, env=child_environment(**changes), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done
        return done.stderr

    def test_a_broker_that_celery_cannot_reach_is_one_clear_sentence(self):
        for changes, whose in (
            ({"CELERY_BROKER_URL": "unix:///run/redis.sock?db=0"}, "CELERY_BROKER_URL must"),
            ({"CELERY_BROKER_URL": "sentinel://127.0.0.1:26379"}, "CELERY_BROKER_URL must"),
            ({"REDIS_URL": "unix:///run/redis.sock?db=1"}, "CELERY_BROKER_URL is unset, and"),
        ):
            with self.subTest(changes):
                said = self.start(**changes)
                assert whose in said
                assert "redis:// or rediss://" in said
                assert "Traceback" not in said

    def test_a_pooler_nobody_knows_is_one_clear_sentence(self):
        said = self.start(DATABASE_POOLER="statement")
        assert "DATABASE_POOLER is session, transaction or nothing, not “statement”." in said
        assert "Traceback" not in said
