"""Brings books from a CSV file into the catalogue; safe to run again, also with a newer file.

For an operator with the goodbooks-10k file or a table of their own: docs/import.md.
"""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from core.imports.progress import Progress
from core.imports.reading import Reader, UnusableFile
from core.imports.remarks import Note, Report
from core.imports.running import Import


class Command(BaseCommand):
    """A thin shell over ``core.imports``."""

    help = "Imports books from a CSV file: goodbooks-10k, or title,authors,isbn,year,language,description."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, where to report, and whether to write."""
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument(
            "--report",
            type=Path,
            metavar="FILE",
            help="where to list refused rows and notes (default: import-report-<name>.csv here)",
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and write nothing")

    def handle(self, *args, file: Path, report: Path | None, dry_run: bool, **options) -> None:
        """Import, then say what was done and where the rest is listed."""
        path = report or Path(f"import-report-{file.stem}.csv")
        if path.resolve() == file.resolve():
            raise CommandError("The report would replace the file to import.")
        try:
            reader = Reader(file)
            with Report(path) as remarks:
                self._run(Import(reader, remarks, dry_run=dry_run))
        except UnusableFile as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or file}: {error.strerror}") from error
        for reason, count in sorted(remarks.counts.items()):
            kind = "note" if isinstance(reason, Note) else "refused"
            self.stdout.write(f"  {count:6} {kind}: {reason}")
        self.stdout.write(f"Listed in {path}")
        if dry_run:
            self.stdout.write(self.style.WARNING("Dry run: nothing was written."))

    def _run(self, job: Import) -> None:
        progress = Progress(self.stderr, job.survey(), "rows")
        self.stdout.write(self.style.SUCCESS(str(job.run(progress.advance))))
