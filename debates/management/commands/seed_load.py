"""Fill a database with bulk data, for measuring; docs/seed.md tells what comes out.

For a database of its own: a site with readers or debates is refused, unless forced.
"""

from __future__ import annotations

from time import monotonic

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.services import Refused
from debates.seeding import people, running

BAR_CHARACTERS = 30


class Command(BaseCommand):
    help = "Make bulk readers, debates, replies and votes, shaped like a real forum."

    def add_arguments(self, parser: CommandParser) -> None:
        for name in ("topics", "posts", "users", "votes"):
            parser.add_argument(f"--{name}", type=int, required=True)
        parser.add_argument("--books", type=int, help="Default: 500 where there are none.")
        parser.add_argument("--seed", type=int, default=1, help="Which of the possible sites.")
        parser.add_argument(
            "--reset", action="store_true", help="First take away what earlier runs made."
        )
        parser.add_argument(
            "--force", action="store_true", help="Add to a site that has readers or debates."
        )

    def handle(self, *args, reset: bool, force: bool, **options) -> None:
        self.began, self.tenth = monotonic(), 0
        numbers = {
            name: options[name] for name in ("topics", "posts", "users", "votes", "books", "seed")
        }
        try:
            made = running.seed(running.Plan(**numbers), self.report, reset=reset, force=force)
        except Refused as refusal:
            raise CommandError(str(refusal.message)) from None
        self.stdout.write(
            self.style.SUCCESS(f"Made in {monotonic() - self.began:.0f} s.")
            + f"\nLongest debate: {made.longest_topic}, {made.longest_posts} replies."
            f"\nLogins: {people.WITH_PASSWORD} readers from {made.first_username} on, "
            f"password {people.PASSWORD}"
        )

    def report(self, what: str, done: int, whole: int) -> None:
        """Redraw the bar in a terminal; elsewhere write a line for each tenth."""
        took = monotonic() - self.began
        told = f"{done:,} of {whole:,} {what}, {took:.0f} s"
        if self.stderr.isatty():
            full = BAR_CHARACTERS * done // max(1, whole)
            bar = "█" * full + "░" * (BAR_CHARACTERS - full)
            self.stderr.write(f"\r{bar} {told}", ending="\n" if done == whole else "")
            self.stderr.flush()
        elif (tenth := 10 * done // max(1, whole)) != self.tenth:
            self.tenth = tenth
            self.stderr.write(told)
