"""``import_books``: what is taken, what is refused, and that a second run changes nothing."""

import csv
import io
import os
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from unittest import SkipTest, mock

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase
from django.test.utils import CaptureQueriesContext

from core.database import without_statement_timeout
from core.imports import running, writing
from core.imports.names import split_authors, without_series
from core.imports.reading import Reader
from core.imports.remarks import Note, Refusal
from core.models import Author, Book, BookAuthor

SAMPLE = Path(__file__).parent / "data" / "books-sample.csv"
REAL = settings.BASE_DIR.parent / "shared" / "data" / "goodbooks-10k-books.csv"
PLAIN = "title,authors,isbn,year,language,description"


class Run:
    """One call of the command: its last words and its report."""

    def __init__(self, file, *options, stderr=None):
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.csv")
            stdout, self.stderr = io.StringIO(), stderr or io.StringIO()
            call_command(
                "import_books", str(file), "--report", str(report), *options,
                stdout=stdout, stderr=self.stderr,
            )  # fmt: skip
            self.text = stdout.getvalue()
            with report.open(encoding="utf-8", newline="") as lines:
                self.report = list(csv.DictReader(lines))
        self.totals = self.text.splitlines()[0]

    def kind(self, kind):
        """(line, reason without its particulars) of each remark of this kind, by line."""
        found = [(int(row["line"]), row["reason"]) for row in self.report if row["kind"] == kind]
        return sorted((line, _reason(text)) for line, text in found)


def _reason(text):
    return next(reason for reason in [*Refusal, *Note] if text.startswith(reason))


def counts(remarks):
    found = {}
    for _, reason in remarks:
        found[reason] = found.get(reason, 0) + 1
    return found


class ImportTestCase(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))

    def file(self, content, name="books.csv"):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def plain(self, *rows, name="books.csv"):
        return self.file("\n".join([PLAIN, *rows, ""]), name)

    def goodbooks(self, **cells):
        """A file of one row of the sample's shape."""
        with SAMPLE.open(encoding="utf-8", newline="") as lines:
            header = csv.DictReader(lines).fieldnames
        text = io.StringIO()
        writer = csv.DictWriter(text, header, restval="")
        writer.writeheader()
        writer.writerow(cells)
        return self.file(text.getvalue(), "goodbooks.csv")


def reversed_rows(path, folder):
    """The same rows last first; rows that are broken come first as they are."""
    with path.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    target = Path(folder) / "reversed.csv"
    with target.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([header, *reversed(rows)])
    return target


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


class DryRunTests(ImportTestCase):
    def test_counts_as_the_real_one_and_writes_nothing(self):
        dry = Run(SAMPLE, "--dry-run")
        self.assertEqual(dry.totals, "21 new, 0 changed, 0 unchanged, 8 refused")
        self.assertIn("nothing was written", dry.text)
        self.assertEqual((Book.objects.count(), Author.objects.count()), (0, 0))
        self.assertEqual(Run(SAMPLE).report, dry.report)


class FileTests(ImportTestCase):
    """Files that are broken as files."""

    def assertRefusedFile(self, path, words):
        with self.assertRaisesMessage(CommandError, words):
            Run(path)

    def test_an_unknown_header_names_what_was_found_and_what_fits(self):
        path = self.file("titulo;autor\nA;B\n")
        self.assertRefusedFile(path, "does not know: 'titulo;autor'")
        self.assertRefusedFile(path, "authors,description,isbn,language,title,year")

    def test_a_column_twice_or_one_more_is_unknown_too(self):
        self.assertRefusedFile(self.file(f"{PLAIN},title\n"), "does not know")
        self.assertRefusedFile(self.file(f"{PLAIN},pages\n"), "does not know")

    def test_no_file_a_folder_and_an_empty_file(self):
        self.assertRefusedFile(self.folder / "nothing.csv", "is no file")
        self.assertRefusedFile(self.folder, "is no file")
        self.assertRefusedFile(self.file(b""), "is empty")

    def test_the_report_may_not_replace_the_file(self):
        path = self.plain("A,B,,,,")
        with self.assertRaisesMessage(CommandError, "replace"):
            call_command("import_books", str(path), "--report", str(path))

    def test_a_report_that_cannot_be_written_stops_before_the_first_book(self):
        path = self.plain("A,B,,,,")
        with self.assertRaisesMessage(CommandError, "No such file"):
            call_command("import_books", str(path), "--report", str(self.folder / "no" / "r.csv"))
        self.assertFalse(Book.objects.exists())

    def test_the_report_is_named_after_the_file_and_lies_here(self):
        path = self.plain("A,B,,,,", name="mine.csv")
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            call_command("import_books", str(path), stdout=io.StringIO(), stderr=io.StringIO())
        finally:
            os.chdir(here)
        text = (self.folder / "import-report-mine.csv").read_text()
        self.assertEqual(text.strip(), "line,kind,reason,title")

    def test_a_byte_order_mark_and_the_order_of_columns_do_not_matter(self):
        header = ",".join(reversed(PLAIN.split(",")))
        path = self.file(b"\xef\xbb\xbf" + f"{header.upper()}\r\n,pt,1999,,B,A\r\n".encode())
        self.assertEqual(Run(path).totals, "1 new, 0 changed, 0 unchanged, 0 refused")
        self.assertEqual(Book.objects.get().year, 1999)

    def test_bytes_that_are_no_text_cost_their_row_only(self):
        rows = [b"Caf\xe9,A,,,,", b"Nul\0a,A,,,,", b"Bom,A,,,,", b""]
        found = Run(self.file(b"\n".join([PLAIN.encode(), *rows])))
        self.assertEqual(found.totals, "1 new, 0 changed, 0 unchanged, 2 refused")
        self.assertEqual(found.kind("refused"), [(2, Refusal.UTF8), (3, Refusal.NUL)])
        self.assertEqual([row["title"] for row in found.report], ["Caf\\udce9", "Nul a"])

    def test_a_quote_never_closed_costs_its_row_only(self):
        found = Run(self.plain('"Aberta,A,,,,', "Um,A,,,,", "Dois,A,,,,"))
        self.assertEqual(found.totals, "2 new, 0 changed, 0 unchanged, 1 refused")
        self.assertEqual(found.kind("refused"), [(2, Refusal.CSV)])

    def test_a_field_beyond_all_bounds_costs_its_row_only(self):
        found = Run(self.plain(f"Um,A,,,,{'x' * 200_000}", "Dois,A,,,,"))
        self.assertEqual(found.totals, "1 new, 0 changed, 0 unchanged, 1 refused")
        self.assertEqual(found.kind("refused"), [(2, Refusal.CSV)])

    def test_line_numbers_count_lines_and_not_rows(self):
        found = Run(self.plain('Um,A,,,,"duas\nlinhas"', "", ",A,,,,"))
        self.assertEqual(found.kind("refused"), [(5, Refusal.NO_TITLE)])
        self.assertEqual(Book.objects.get().description, "duas\nlinhas")

    def test_an_overlong_description_is_refused(self):
        found = Run(self.plain(f"Um,A,,,,{'x' * 5001}", f"Dois,A,,,,{'x' * 5000}"))
        self.assertEqual(found.kind("refused"), [(2, Refusal.TOO_LONG)])

    def test_rows_are_read_one_at_a_time(self):
        path = self.plain(*(f"Livro {number},A,,,," for number in range(20_000)))
        with mock.patch.object(Path, "open", lambda *_a, **_k: _Counted(path)):
            rows = iter(Reader(path))
            _Counted.lines = 0
            next(rows)
            self.assertEqual(_Counted.lines, 2)


class _Counted:
    """An open file that counts the lines it gave."""

    lines = 0

    def __init__(self, path):
        self._lines = iter(path.read_text().splitlines(True))

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        pass

    def __iter__(self):
        return self

    def __next__(self):
        _Counted.lines += 1
        return next(self._lines)


class NameTests(SimpleTestCase):
    def test_authors(self):
        for text, names in {
            "J.K. Rowling, Mary GrandPré": ["J.K. Rowling", "Mary GrandPré"],
            "Martin Luther King Jr.": ["Martin Luther King Jr."],
            "Alexandre Dumas, fils, Auguste Maquet": ["Alexandre Dumas, fils", "Auguste Maquet"],
            "Jr., Ana": ["Jr.", "Ana"],
            "Rui, Ana, RUI": ["Rui", "Ana"],
            " , ,Ana,": ["Ana"],
            "": [],
        }.items():
            with self.subTest(text):
                self.assertEqual(split_authors(text), names)

    def test_series(self):
        for text, title in {
            "The Hunger Games (The Hunger Games, #1)": "The Hunger Games",
            "Ranma ½, Vol. 1 (Ranma ½ (US 2nd), #1)": "Ranma ½, Vol. 1",
            "Magician  (Raymond's Magician #1)": "Magician",
            "Box (A, #1-3; B, #2.5)": "Box",
            "I Am America (And So Can You!)": "I Am America (And So Can You!)",
            "Saga #1": "Saga #1",
            "Tags (the #best)": "Tags (the #best)",
            "(Only, #1)": "(Only, #1)",
            "Odd) (A, #1": "Odd) (A, #1",
            "": "",
        }.items():
            with self.subTest(text):
                self.assertEqual(without_series(text), title)


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

    def test_a_row_that_could_be_either_edition_is_refused(self):
        Run(self.plain("Um,A,9780439023481,1999,,", "Um,A,9780812971064,1999,,"))
        found = Run(self.plain("Um,A,,1999,,"))
        self.assertEqual(found.kind("refused"), [(2, Refusal.AMBIGUOUS)])

    def test_a_row_without_an_isbn_repeats_the_one_with(self):
        rows = ["Um,A,,1999,,", "Um,A,9780439023481,1999,,"]
        found = Run(self.plain(*rows))
        self.assertEqual(found.kind("refused"), [(2, Refusal.REPEATED)])
        self.assertEqual(Book.objects.get().isbn13, "9780439023481")
        again = Run(self.plain(*reversed(rows)))
        self.assertEqual(again.totals, "0 new, 0 changed, 1 unchanged, 1 refused")

    def test_two_rows_may_not_claim_one_known_book(self):
        Run(self.plain("Um,A,9780439023481,1999,,"))
        found = Run(self.plain("Outro Título,A,9780439023481,1999,,", "Um,A,,1999,,"))
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
        found = Run(self.goodbooks(book_id="7", title="Sete", authors="A", isbn="439023483"))
        self.assertEqual(found.totals, "0 new, 0 changed, 0 unchanged, 1 refused")
        self.assertEqual(found.kind("refused"), [(2, Refusal.TWO_BOOKS)])

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


class ProgressTests(ImportTestCase):
    def test_plain_lines_where_nobody_watches(self):
        path = self.plain(*(f"Livro {n},A,,,," for n in range(20)))
        with mock.patch.object(running, "BATCH", 10):
            self.assertEqual(Run(path).stderr.getvalue(), "10/20 rows\n20/20 rows\n")

    def test_a_bar_on_a_terminal(self):
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        path = self.plain(*(f"Livro {n},A,,,," for n in range(20)))
        with mock.patch.object(running, "BATCH", 10):
            shown = Run(path, "--no-color", stderr=terminal).stderr.getvalue()
        self.assertEqual(
            shown,
            f"\r[{'#' * 20}{'.' * 20}] 10/20 rows\r[{'#' * 40}] 20/20 rows\n",
        )

    def test_a_file_without_rows_says_nothing(self):
        found = Run(self.plain())
        self.assertEqual(found.totals, "0 new, 0 changed, 0 unchanged, 0 refused")
        self.assertEqual(found.stderr.getvalue(), "")


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
        self.assertEqual(counts(self.run_.kind("note")), self.NOTES)
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
