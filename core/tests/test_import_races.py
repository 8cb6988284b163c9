"""What other writers do while an import runs, with real transactions."""

import threading
import time
from contextlib import contextmanager
from unittest import mock

from django.db import connection, transaction
from django.test import TransactionTestCase

from core.database import without_statement_timeout
from core.imports import running, writing
from core.imports.remarks import Refusal
from core.models import Author, Book

from .importing import SAMPLE, Run


class RaceTests(TransactionTestCase):
    """With real transactions, since what is tested is what other writers do meanwhile."""

    def in_thread(self, work):
        failures = []

        def run():
            try:
                work()
            except BaseException as error:  # noqa: BLE001  shown by the test that waits for it
                failures.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread, failures

    @contextmanager
    def another_writer(self, **columns):
        """Somebody creates a book between the look for free slugs and the insert."""
        give, done = writing._give_slugs, []

        def wrapped(rows, wishes):
            give(rows, wishes)
            if not done and any(isinstance(row, Book) for row in rows):
                done.append(True)
                thread, failures = self.in_thread(lambda: Book.objects.create(**columns))
                thread.join()
                self.assertEqual(failures, [])

        with mock.patch.object(writing, "_give_slugs", wrapped):
            yield

    def test_a_slug_taken_meanwhile_costs_nobody_a_book(self):
        with self.another_writer(title="Quatro", slug="quatro-ventos"):
            self.assertEqual(Run(SAMPLE).totals, "21 new, 0 changed, 0 unchanged, 8 refused")
        self.assertEqual(Book.objects.get(source_id=3).slug, "quatro-ventos-ana-beatriz-souto")

    def test_an_isbn_taken_meanwhile_is_that_book(self):
        with self.another_writer(title="Farol", slug="farol", isbn13="9780439001113"):
            self.assertEqual(Run(SAMPLE).totals, "20 new, 1 changed, 0 unchanged, 8 refused")
        self.assertEqual(Book.objects.get(source_id=1).slug, "farol")

    def test_a_row_the_database_refuses_is_reported_and_the_others_taken(self):
        with mock.patch.object(writing, "slug_base", _too_long_for("Quatro Ventos")):
            found = Run(SAMPLE)
        self.assertEqual(found.totals, "20 new, 0 changed, 0 unchanged, 9 refused")
        self.assertIn((4, Refusal.DATABASE), found.kind("refused"))

    def test_two_imports_at_once_take_each_book_once(self):
        found = []
        with mock.patch.object(running, "BATCH", 3):
            waiting = [self.in_thread(lambda: found.append(Run(SAMPLE).totals)) for _ in range(2)]
            for thread, failures in waiting:
                thread.join()
                self.assertEqual(failures, [])
        self.assertEqual(Book.objects.count(), 21)
        self.assertEqual(sum(int(totals.split()[0]) for totals in found), 21)
        names = Author.objects.values_list("folded_name", flat=True)
        self.assertEqual(len(names), len(set(names)))

    def test_one_import_waits_for_another(self):
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [writing.ONE_IMPORT_AT_A_TIME])
            thread, failures = self.in_thread(lambda: Run(SAMPLE))
            deadline = time.monotonic() + 20
            while thread.is_alive() and time.monotonic() < deadline:
                cursor.execute(waiting)
                if cursor.fetchone()[0]:
                    break
            self.assertTrue(thread.is_alive())
            self.assertEqual(Book.objects.count(), 0)
        thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(Book.objects.count(), 21)

    def test_an_interrupted_run_is_taken_up_by_the_next(self):
        batches = []

        def stop(records, claims, **options):
            if len(batches) == 3:
                raise KeyboardInterrupt
            batches.append(records)
            return writing.write_batch(records, claims, **options)

        with (
            mock.patch.object(running, "BATCH", 3),
            mock.patch.object(running, "write_batch", stop),
            self.assertRaises(KeyboardInterrupt),
        ):
            Run(SAMPLE)
        self.assertEqual(Book.objects.count(), 9)
        self.assertEqual(Run(SAMPLE).totals, "12 new, 0 changed, 9 unchanged, 8 refused")


def _too_long_for(title):
    def slug_base(text, *, fallback):
        return "x" * 300 if text == title else text.lower().replace(" ", "-") or fallback

    return slug_base


class StatementTimeoutTests(TransactionTestCase):
    def timeout(self):
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            return cursor.fetchone()[0]

    def test_is_lifted_for_one_transaction_only(self):
        before = self.timeout()
        self.assertNotEqual(before, "0")
        with without_statement_timeout():
            self.assertEqual(self.timeout(), "0")
        self.assertEqual(self.timeout(), before)

    def test_is_back_after_an_error(self):
        before = self.timeout()
        with self.assertRaises(LookupError), without_statement_timeout():
            raise LookupError
        self.assertEqual(self.timeout(), before)

    def test_is_not_lifted_inside_another_transaction(self):
        with transaction.atomic(), self.assertRaises(RuntimeError), without_statement_timeout():
            pass

    def test_every_batch_is_written_without_it(self):
        seen, write = [], writing._write

        def look(records, claims):
            seen.append(self.timeout())
            return write(records, claims)

        with mock.patch.object(running, "BATCH", 10), mock.patch.object(writing, "_write", look):
            Run(SAMPLE)
        self.assertEqual(seen, ["0", "0", "0"])
