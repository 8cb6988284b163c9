"""Fill an empty site with the demo content: books, readers, debates, reviews.

For a first look on one's own machine. Safe to repeat: a site that has a debate, or the
demo's readers, is left as it is. Refused where SITE_URL says that the site is public,
because the demo's logins are known to everybody.
"""

from __future__ import annotations

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from debates.demo import loading


class Command(BaseCommand):
    help = "Load the demo content into an empty site, once."

    def add_arguments(self, parser):
        parser.add_argument(
            "--logins",
            action="store_true",
            help="Only print the demo logins: role, name, password.",
        )

    def handle(self, *args, logins: bool, **options):
        if logins:
            for login in loading.LOGINS:
                self.stdout.write(f"{login.role} {login.username} {loading.PASSWORD}")
            return
        if settings.HTTPS:
            raise CommandError("SITE_URL is public: the demo's logins are known to everybody.")
        if loading.is_loaded():
            self.stdout.write("The site has content already; nothing loaded.")
            return
        loaded = loading.load()
        counts = ", ".join(f"{n} {name}" for name, n in loaded._asdict().items())
        self.stdout.write(self.style.SUCCESS(f"Loaded {counts}."))
