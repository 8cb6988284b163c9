"""Files that are broken as files, names as catalogues write them, and the progress shown."""

import io
import os
from pathlib import Path
from unittest import mock

from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.test import SimpleTestCase

from core.imports import running
from core.imports.names import split_authors, split_series
from core.imports.progress import Progress
from core.imports.reading import Reader
from core.imports.remarks import Refusal
from core.models import Book

from .importing import PLAIN, ImportTestCase, Run


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
        path = self.plain(*(f"Livro {number},A,,,," for number in range(100)))
        opened = _Counted(path.read_text().splitlines(True))
        with mock.patch.object(Path, "open", return_value=opened):
            reader = Reader(path)
            opened.given = 0
            next(iter(reader))
        self.assertEqual(opened.given, 2)


class _Counted:
    """An open file that counts the lines it gave."""

    def __init__(self, lines):
        self._lines = iter(lines)
        self.given = 0

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        pass

    def __iter__(self):
        return self

    def __next__(self):
        self.given += 1
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
        for text, parts in {
            "The Hunger Games (The Hunger Games, #1)": ("The Hunger Games", "The Hunger Games, #1"),
            "Ranma ½, Vol. 1 (Ranma ½ (US 2nd), #1)": ("Ranma ½, Vol. 1", "Ranma ½ (US 2nd), #1"),
            "Magician  (Raymond's Magician #1)": ("Magician", "Raymond's Magician #1"),
            "Box (A, #1-3; B, #2.5)": ("Box", "A, #1-3; B, #2.5"),
            "I Am America (And So Can You!)": ("I Am America (And So Can You!)", ""),
            "Saga #1": ("Saga #1", ""),
            "Tags (the #best)": ("Tags (the #best)", ""),
            "(Only, #1)": ("(Only, #1)", ""),
            "Odd) (A, #1": ("Odd) (A, #1", ""),
            "": ("", ""),
        }.items():
            with self.subTest(text):
                self.assertEqual(split_series(text), parts)

    def test_a_book_is_found_by_its_series(self):
        book = Book(title="O Leão", series="As Crônicas de Nárnia, #2")
        book.derive()
        self.assertIn("narnia", book.search_text)


class ProgressTests(ImportTestCase):
    def test_plain_lines_where_nobody_watches(self):
        path = self.plain(*(f"Livro {n},A,,,," for n in range(20)))
        with mock.patch.object(running, "BATCH", 10):
            self.assertEqual(Run(path).stderr.getvalue(), "10/20 rows\n20/20 rows\n")

    def test_a_bar_on_a_terminal_in_no_colour_of_errors(self):
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        stderr = OutputWrapper(terminal)
        stderr.style_func = str.upper
        progress = Progress(stderr, 20, "rows")
        for count in (10, 0, 10):
            progress.advance(count)
        self.assertEqual(
            terminal.getvalue(),
            f"\r[{'#' * 20}{'.' * 20}] 10/20 rows\r[{'#' * 40}] 20/20 rows\n",
        )

    def test_a_file_without_rows_says_nothing(self):
        found = Run(self.plain())
        self.assertEqual(found.totals, "0 new, 0 changed, 0 unchanged, 0 refused")
        self.assertEqual(found.stderr.getvalue(), "")
