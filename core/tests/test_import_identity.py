"""Which book a row is, and what a changed row writes."""

import csv
import io
from unittest import mock

from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.imports import running
from core.imports.remarks import Refusal
from core.models import Author, Book

from .importing import PLAIN, SAMPLE, ImportTestCase, Run


class PlainTests(ImportTestCase):
    """The shape of one's own table."""

    ROW = 'Água Viva,"Clara Lins, Zé Sá",978-0-439-02348-1,1973,pt-BR,Um monólogo.'

    def test_takes_every_column(self):
        self.assertEqual(Run(self.plain(self.ROW)).totals[:5], "1 new")
        book = Book.objects.get()
        self.assertEqual(
            (book.title, book.byline, book.isbn13, book.year, book.language, book.description),
            ("Água Viva", "Clara Lins, Zé Sá", "9780439023481", 1973, "pt", "Um monólogo."),
        )
        self.assertEqual((book.source, book.source_id), ("", None))

    def test_one_isbn_twice_is_one_book(self):
        found = Run(self.plain(self.ROW, "Outra,X,0439023483,1999,,"))
        self.assertEqual(found.totals, "1 new, 0 changed, 0 unchanged, 1 refused")

    def test_without_an_isbn_title_author_and_year_say_which_book_it_is(self):
        Run(self.plain("Água Viva,Clara Lins,,1973,,"))
        again = Run(self.plain("agua viva!,CLARA LINS,,1973,pt,", "Água Viva,Clara Lins,,1974,,"))
        self.assertEqual(again.totals, "1 new, 1 changed, 0 unchanged, 0 refused")

    def test_titles_of_signs_only_are_told_apart(self):
        rows = ["!!!,Clara Lins,,1973,,", "???,Clara Lins,,1973,,"]
        self.assertEqual(Run(self.plain(*rows)).totals[:5], "2 new")
        self.assertEqual(Run(self.plain(*rows)).totals[:29], "0 new, 0 changed, 2 unchanged")

    def test_editions_with_isbns_of_their_own_are_two_books(self):
        rows = ["Um,A,9780439023481,1999,,", "Um,A,9780812971064,1999,,"]
        self.assertEqual(Run(self.plain(*rows)).totals[:5], "2 new")
        self.assertEqual(Run(self.plain(*rows)).totals[:14], "0 new, 0 chang")

    def test_a_known_edition_is_not_the_next_one(self):
        Run(self.plain("Um,A,9780439023481,1999,,"))
        found = Run(self.plain("Um,A,9780812971064,1999,,"))
        self.assertEqual(found.totals, "1 new, 0 changed, 0 unchanged, 0 refused")

    def test_a_row_that_could_be_either_edition_is_refused(self):
        Run(self.plain("Um,A,9780439023481,1999,,", "Um,A,9780812971064,1999,,"))
        found = Run(self.plain("Um,A,,1999,,"))
        self.assertEqual(found.kind("refused"), [(2, Refusal.AMBIGUOUS)])

    def test_a_row_without_an_isbn_repeats_the_one_with(self):
        rows = ["Um,A,,1999,pt,Bom.", "Um,A,9780439023481,1999,,"]
        found = Run(self.plain(*rows))
        self.assertEqual(found.kind("refused"), [(2, Refusal.REPEATED)])
        self.assertEqual(Book.objects.get().isbn13, "9780439023481")
        again = Run(self.plain(*reversed(rows)))
        self.assertEqual(again.totals, "0 new, 0 changed, 1 unchanged, 1 refused")

    def test_it_leaves_editions_with_isbns_of_their_own_alone(self):
        rows = ["Um,A,9780812971064,1999,,", "Um,A,,1999,,", "Um,A,9780439023481,1999,,"]
        found = Run(self.plain(*rows))
        self.assertEqual(found.totals, "2 new, 0 changed, 0 unchanged, 1 refused")
        self.assertEqual(found.kind("refused"), [(3, Refusal.REPEATED)])

    def test_two_rows_may_not_claim_one_known_book(self):
        for batch in (500, 1):
            Book.objects.all().delete()
            Run(self.plain("Um,A,9780439023481,1999,,"))
            with self.subTest(batch=batch), mock.patch.object(running, "BATCH", batch):
                found = Run(self.plain("Um,,9780439023481,1999,pt,", "Um,A,,1999,en,"))
                self.assertEqual(found.totals, "0 new, 1 changed, 0 unchanged, 1 refused")
                self.assertEqual(found.kind("refused"), [(3, Refusal.REPEATED)])

    def test_an_empty_cell_takes_nothing_away(self):
        Run(self.plain(self.ROW))
        again = Run(self.plain("Água Viva,,9780439023481,,,"))
        self.assertEqual(again.totals, "0 new, 0 changed, 1 unchanged, 0 refused")

    def test_the_books_of_the_other_shape_are_known(self):
        Run(SAMPLE)
        rows = [
            [
                book.title, book.byline, book.isbn13 or "",
                "" if book.year is None else book.year, book.language, "",
            ]
            for book in Book.objects.exclude(title="Ilha").exclude(source_id=29)
        ]  # fmt: skip
        text = io.StringIO()
        csv.writer(text).writerows([PLAIN.split(","), *rows])
        path = self.file(text.getvalue())
        self.assertEqual(Run(path).totals, "0 new, 0 changed, 18 unchanged, 0 refused")
        self.assertEqual(Run(SAMPLE).totals, "0 new, 0 changed, 21 unchanged, 8 refused")


class IdentityTests(ImportTestCase):
    """A goodbooks row meets books that are known."""

    def test_a_plain_book_gets_the_source_by_its_isbn(self):
        Run(self.plain("Um,A,9780439023481,1999,,"))
        row = self.goodbooks(book_id="7", title="Um", authors="A", isbn="439023483", work_id="70")
        self.assertEqual(Run(row).totals, "0 new, 1 changed, 0 unchanged, 0 refused")
        book = Book.objects.get()
        self.assertEqual((book.source, book.source_id, book.work_id), ("goodbooks", 7, 70))

    def test_a_plain_book_gets_isbn_and_source_by_its_title(self):
        Run(self.plain("Um,A,,1999,,"))
        row = self.goodbooks(
            book_id="7", title="Um", authors="A", isbn="439023483", original_publication_year="1999"
        )
        self.assertEqual(Run(row).totals, "0 new, 1 changed, 0 unchanged, 0 refused")
        self.assertEqual(Book.objects.get().isbn13, "9780439023481")
        self.assertEqual(Run(row).totals, "0 new, 0 changed, 1 unchanged, 0 refused")

    def test_an_isbn_and_an_id_of_two_books_are_refused(self):
        Run(self.goodbooks(book_id="7", title="Sete", authors="A"))
        Run(self.plain("Oito,B,9780439023481,1999,,"))
        row = {"book_id": "7", "title": "Sete", "authors": "A", "isbn": "439023483"}
        found = Run(self.goodbooks(**row, original_publication_year="MM"))
        self.assertEqual(found.totals, "0 new, 0 changed, 0 unchanged, 1 refused")
        self.assertEqual(found.kind("refused"), [(2, Refusal.TWO_BOOKS)])
        self.assertEqual(found.kind("note"), [])

    def test_an_isbn_does_not_move_to_another_id(self):
        Run(self.goodbooks(book_id="7", title="Sete", authors="A", isbn="439023483"))
        found = Run(self.goodbooks(book_id="8", title="Oito", authors="A", isbn="439023483"))
        self.assertEqual(found.kind("refused"), [(2, Refusal.ISBN_TAKEN)])

    def test_an_isbn_may_be_learnt_and_put_right(self):
        for isbn in ("", "439023483", "081297106X"):
            found = Run(self.goodbooks(book_id="7", title="Sete", authors="A", isbn=isbn))
            self.assertEqual(found.kind("refused"), [])
        self.assertEqual(Book.objects.get().isbn13, "9780812971064")
        found = Run(self.goodbooks(book_id="7", title="Sete", authors="A"))
        self.assertEqual(found.totals, "0 new, 0 changed, 1 unchanged, 0 refused")

    def test_a_book_of_another_source_keeps_its_source(self):
        Book.objects.create(
            title="Um", slug="um", isbn13="9780439023481", source="outra", source_id=1
        )
        row = self.goodbooks(book_id="7", title="Um", authors="", isbn="439023483", work_id="70")
        self.assertEqual(Run(row).totals, "0 new, 1 changed, 0 unchanged, 0 refused")
        book = Book.objects.get()
        self.assertEqual((book.source, book.source_id, book.work_id), ("outra", 1, 70))
        self.assertEqual(Run(row).totals, "0 new, 0 changed, 1 unchanged, 0 refused")


class ChangeTests(ImportTestCase):
    CELLS = {"book_id": "7", "title": "Sete", "authors": "Ana Lua, Rui Sol", "ratings_count": "5"}

    def setUp(self):
        Run(self.goodbooks(**self.CELLS))

    def updates(self, **cells):
        """Import one changed row; return the UPDATE statements it took."""
        with CaptureQueriesContext(connection) as seen:
            found = Run(self.goodbooks(**{**self.CELLS, **cells}))
        self.assertEqual(found.totals, "0 new, 1 changed, 0 unchanged, 0 refused")
        return [q["sql"] for q in seen if q["sql"].startswith("UPDATE")]

    def test_only_the_column_that_changed_is_written(self):
        (sql,) = self.updates(ratings_count="6")
        written = sql.partition("WHERE")[0]
        self.assertEqual(written.count(" = (CASE"), 1, sql)
        self.assertIn('"ratings_count" = ', written)

    def test_a_new_title_takes_its_derived_columns_along(self):
        self.updates(title="Oito Ôtimo")
        book = Book.objects.get()
        self.assertEqual(book.folded_title, "oito otimo")
        self.assertTrue(Book.objects.matching("otimo lua").exists())
        self.assertEqual(book.slug, "sete")

    def test_other_authors_replace_the_old_ones_and_the_byline(self):
        self.updates(authors="Rui Sol, Eva Mar")
        book = Book.objects.get()
        self.assertEqual(book.byline, "Rui Sol, Eva Mar")
        self.assertEqual(
            list(book.credits.values_list("author__name", "position")),
            [("Rui Sol", 0), ("Eva Mar", 1)],
        )
        self.assertFalse(Book.objects.matching("lua").exists())

    def test_an_author_written_otherwise_is_no_change(self):
        again = Run(self.goodbooks(**{**self.CELLS, "authors": "ANA  LUA, Rui Sol"}))
        self.assertEqual(again.totals, "0 new, 0 changed, 1 unchanged, 0 refused")

    def test_nor_is_another_way_to_write_an_accent(self):
        Run(self.goodbooks(**{**self.CELLS, "title": "Sert\u00e3o"}))
        again = Run(self.goodbooks(**{**self.CELLS, "title": "Serta\u0303o"}))
        self.assertEqual(again.totals, "0 new, 0 changed, 1 unchanged, 0 refused")

    def test_of_two_authors_with_one_name_the_older_is_meant(self):
        older, _ = [Author.objects.create(name="Ivo Céu", slug=slug) for slug in ("ivo", "ivo-2")]
        self.updates(authors="Ivo Ceu")
        self.assertEqual(Book.objects.get().credits.get().author, older)

    def test_a_taken_slug_gets_a_tail(self):
        Run(self.plain("Sete,Ana Lua,,1990,,", "Sete,Ana Lua,,1991,,", "Sete,,,1992,,"))
        slugs = list(Book.objects.order_by("pk").values_list("slug", flat=True))
        self.assertEqual(slugs[:2], ["sete", "sete-ana-lua"])
        for slug in slugs[2:]:
            self.assertRegex(slug, r"^sete-[0-9a-f]{6}$")


class CostTests(ImportTestCase):
    def queries(self, rows):
        path = self.plain(*(f"Livro {n},Autor {n},,{n},," for n in rows))
        with CaptureQueriesContext(connection) as seen:
            Run(path)
        return len(seen)

    def test_a_batch_costs_the_same_with_10_rows_and_with_300(self):
        self.assertEqual(self.queries(range(1, 11)), self.queries(range(1000, 1300)))
        self.assertEqual(self.queries(range(1, 11)), self.queries(range(1000, 1300)))

    def test_postgres_counts_the_rows_anew_when_any_were_written(self):
        path = self.plain("Um,A,,1999,,")
        for expected in (1, 0):
            with CaptureQueriesContext(connection) as seen:
                Run(path)
            found = [query for query in seen if query["sql"].startswith("ANALYZE")]
            self.assertEqual(len(found), expected)
