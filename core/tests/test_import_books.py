"""``import_books``: what is taken, what is refused, and that a second run changes nothing."""

import csv
import os
from collections import Counter
from unittest import SkipTest, mock

from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.imports import running
from core.imports.remarks import Note, Refusal
from core.models import Author, Book, BookAuthor

from .importing import PLAIN, SAMPLE, ImportTestCase, Run, reversed_rows

REAL = settings.BASE_DIR.parent / "shared" / "data" / "goodbooks-10k-books.csv"


class SampleTests(ImportTestCase):
    """Every kind of dirt of the goodbooks shape, in rows of our own."""

    @classmethod
    def setUpTestData(cls):
        cls.run_ = Run(SAMPLE)

    def book(self, source_id):
        return Book.objects.get(source="goodbooks", source_id=source_id)

    def test_counts_are_exact(self):
        self.assertEqual(self.run_.totals, "21 new, 0 changed, 0 unchanged, 8 refused")
        self.assertEqual(Book.objects.count(), 21)

    def test_each_refused_row_is_reported_with_line_and_reason(self):
        self.assertEqual(
            self.run_.kind("refused"),
            [
                (3, Refusal.REPEATED),  # the ISBN of line 19, which has more ratings
                (18, Refusal.REPEATED),  # the id of line 2
                (20, Refusal.NO_TITLE),
                (21, Refusal.TOO_LONG),
                (22, Refusal.COLUMNS),
                (23, Refusal.SOURCE_ID),
                (24, Refusal.TOO_LONG),
                (29, Refusal.CSV),
            ],
        )
        by_line = {row["line"]: row for row in self.run_.report}
        self.assertEqual(by_line["18"]["reason"], "same book as another row: line 2")
        self.assertEqual(by_line["18"]["title"], "O Farol de Vidro")
        self.assertEqual(by_line["22"]["title"], "21, Colunas de menos, Rita Mar")

    def test_what_was_left_out_is_noted(self):
        self.assertEqual(
            self.run_.kind("note"),
            [
                (5, Note.ISBN_DAMAGED),
                (6, Note.ISBN_BAD),
                (8, Note.ISBN_DIFFERS),
                (9, Note.ISBN13_ALIEN),
                (12, Note.YEAR),
                (13, Note.YEAR),
                (14, Note.YEAR),
                (15, Note.NUMBER),
                (15, Note.NUMBER),
            ],
        )
        self.assertIn("  3 note: no year", self.run_.text)

    def test_isbns_are_restored_or_left_out(self):
        found = dict(Book.objects.values_list("source_id", "isbn13"))
        kept = {number: isbn for number, isbn in found.items() if isbn}
        self.assertEqual(
            kept,
            {
                1: "9780439001113",
                6: "9780385530002",
                8: "9780140300550",
                9: "9791200001232",
                18: "9780853590019",
            },
        )

    def test_years_before_christ_stay_and_missing_ones_are_none(self):
        years = {number: self.book(number).year for number in (1, 3, 4, 11, 12, 13)}
        self.assertEqual(years, {1: 2008, 3: None, 4: -44, 11: None, 12: None, 13: None})

    def test_languages_become_short_codes_and_unknown_ones_nothing(self):
        languages = {n: self.book(n).language for n in (1, 3, 4, 6, 10, 11, 12)}
        self.assertEqual(languages, {1: "pt", 3: "", 4: "la", 6: "en", 10: "fr", 11: "", 12: ""})

    def test_the_source_and_its_numbers_are_kept(self):
        book = self.book(1)
        self.assertEqual((book.work_id, book.ratings_count), (7001, 4780))
        self.assertEqual(str(book.average_rating), "4.00")
        self.assertEqual(self.book(26).original_title, "Eu Vou, E Você?")
        self.assertEqual((self.book(14).average_rating, self.book(14).ratings_count), (None, 0))

    def test_a_series_leaves_the_title_and_other_brackets_stay(self):
        self.assertEqual(self.book(1).title, "O Farol de Vidro")
        self.assertEqual(self.book(26).title, "Eu Vou (E Você?)")

    def test_volumes_with_one_title_are_books_of_their_own(self):
        volumes = Book.objects.filter(title="Ilha", year=2012).order_by("source_id")
        slugs = [book.slug for book in volumes]
        self.assertEqual(slugs[:2], ["ilha", "ilha-malu-teles"])

    def test_authors_keep_their_order_once_each_with_their_suffix(self):
        names = {
            number: list(self.book(number).credits.values_list("author__name", flat=True))
            for number in (3, 10)
        }
        self.assertEqual(names[3], ["Ana Beatriz Souto", "Rui Sá"])
        self.assertEqual(
            names[10], ["Alexandre Ramos, filho", "M. L. Reis, Jr.", "Zoé Duarte, Ph.D."]
        )

    def test_one_name_is_one_author_whatever_its_case(self):
        self.assertEqual(
            self.book(29).credits.get().author_id, self.book(1).credits.get().author_id
        )

    def test_titles_without_a_latin_letter_get_addresses(self):
        slugs = [self.book(number).slug for number in (24, 25)]
        self.assertEqual(slugs[0], "livro")
        self.assertRegex(slugs[1], r"^livro-[0-9a-f]{6}$")
        self.assertEqual(self.book(24).credits.get().author.slug, "autor")

    def test_derived_columns_are_those_of_save(self):
        for book in Book.objects.prefetch_related("credits__author"):
            before = (book.byline, book.folded_title, book.search_text)
            book.derive(credit.author.name for credit in book.credits.all())
            self.assertEqual((book.byline, book.folded_title, book.search_text), before)
        self.assertTrue(Book.objects.matching("agua ribeirao").exists())
        self.assertTrue(Author.objects.matching("duarte").exists())

    def test_a_second_run_changes_nothing(self):
        again = Run(SAMPLE)
        self.assertEqual(again.totals, "0 new, 0 changed, 21 unchanged, 8 refused")
        self.assertEqual(again.report, self.run_.report)

    def test_nor_does_one_in_the_other_order(self):
        sound = self.file(
            b"".join(
                line
                for number, line in enumerate(SAMPLE.read_bytes().splitlines(True), start=1)
                if number != 29
            )
        )
        again = Run(reversed_rows(sound, self.folder))
        self.assertEqual(again.totals, "0 new, 0 changed, 21 unchanged, 7 refused")

    def test_small_batches_give_the_same(self):
        before = list(Book.objects.order_by("source_id").values_list("source_id", "isbn13"))
        BookAuthor.objects.all().delete()
        Book.objects.all().delete()
        with mock.patch.object(running, "BATCH", 2):
            self.assertEqual(Run(SAMPLE).totals, self.run_.totals)
        after = list(Book.objects.order_by("source_id").values_list("source_id", "isbn13"))
        self.assertEqual(after, before)


class NumberTests(ImportTestCase):
    """Numbers that the columns cannot hold."""

    def test_cost_the_number_only(self):
        numbers = {"work_id": 2**63, "average_rating": "5.01", "ratings_count": 2**31}
        found = Run(self.goodbooks(book_id=1, title="Um", **numbers))
        self.assertEqual(found.kind("note"), [(2, Note.NUMBER)] * 3)
        book = Book.objects.get()
        self.assertEqual((book.work_id, book.average_rating, book.ratings_count), (None, None, 0))

    def test_the_largest_that_fit_are_kept(self):
        numbers = {"work_id": 2**63 - 1, "average_rating": "5", "ratings_count": 2**31 - 1}
        found = Run(self.goodbooks(book_id=2**63 - 1, title="Um", **numbers))
        self.assertEqual(found.report, [])
        self.assertEqual(Book.objects.get().ratings_count, 2**31 - 1)

    def test_an_id_too_large_is_none(self):
        found = Run(self.goodbooks(book_id=2**63, title="Um"))
        self.assertEqual(found.kind("refused"), [(2, Refusal.SOURCE_ID)])


class DryRunTests(ImportTestCase):
    def test_counts_as_the_real_one_and_writes_nothing(self):
        with CaptureQueriesContext(connection) as seen:
            dry = Run(SAMPLE, "--dry-run")
        self.assertFalse([query for query in seen if query["sql"].startswith("ANALYZE")])
        self.assertEqual(dry.totals, "21 new, 0 changed, 0 unchanged, 8 refused")
        self.assertIn("nothing was written", dry.text)
        self.assertEqual((Book.objects.count(), Author.objects.count()), (0, 0))
        self.assertEqual(Run(SAMPLE).report, dry.report)


class RealFileTests(ImportTestCase):
    """The 10,000 books of ../shared/data, whose numbers are known."""

    NOTES = {
        Note.ISBN_BAD: 6,
        Note.ISBN_DAMAGED: 110,
        Note.ISBN_DIFFERS: 11,
        Note.ISBN13_ALIEN: 33,
    }

    @classmethod
    def setUpClass(cls):
        if not REAL.is_file():
            if os.environ.get("CI") == "true":
                raise AssertionError(f"CI is true and {REAL} is missing")
            raise SkipTest(f"{REAL} is not here; the sample has every kind of its dirt")
        super().setUpClass()

    @classmethod
    def setUpTestData(cls):
        cls.run_ = Run(REAL)

    def test_counts_are_exact(self):
        self.assertEqual(self.run_.totals, "10000 new, 0 changed, 0 unchanged, 0 refused")
        self.assertEqual(Counter(reason for _, reason in self.run_.kind("note")), self.NOTES)
        books = Book.objects.all()
        self.assertEqual(
            {
                "isbn": books.exclude(isbn13=None).count(),
                "no year": books.filter(year=None).count(),
                "before Christ": books.filter(year__lt=0).count(),
                "no language": books.filter(language="").count(),
                "no author": books.filter(credits=None).count(),
                "authors": Author.objects.count(),
                "credits": BookAuthor.objects.count(),
            },
            {
                "isbn": 9283, "no year": 21, "before Christ": 31, "no language": 1085,
                "no author": 0, "authors": 5833, "credits": 13209,
            },
        )  # fmt: skip

    def test_a_second_run_in_either_order_and_a_plain_one_change_nothing(self):
        same = "0 new, 0 changed, 10000 unchanged, 0 refused"
        self.assertEqual(Run(REAL).totals, same)
        self.assertEqual(Run(reversed_rows(REAL, self.folder)).totals, same)
        rows = Book.objects.values_list("title", "byline", "isbn13", "year", "language")
        short = [(*row, "") for row in rows if len(row[1]) < 500]
        path = self.folder / "plain.csv"
        with path.open("w", encoding="utf-8", newline="") as lines:
            csv.writer(lines).writerows([PLAIN.split(","), *short])
        self.assertEqual(Run(path).totals, f"0 new, 0 changed, {len(short)} unchanged, 0 refused")
        self.assertEqual(Run(REAL).totals, same)
