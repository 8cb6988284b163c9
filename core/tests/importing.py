"""What the tests of the import share: a run of the command and files to run it on."""

import csv
import io
import tempfile
from pathlib import Path

from django.core.management import call_command
from django.test import TestCase

from core.imports.remarks import Note, Refusal

SAMPLE = Path(__file__).parent / "data" / "books-sample.csv"
PLAIN = "title,authors,isbn,year,language,description"


class Run:
    """One call of the command: its last words and its report."""

    def __init__(self, file, *options):
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.csv")
            stdout, self.stderr = io.StringIO(), io.StringIO()
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
