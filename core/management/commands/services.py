"""The project's own Postgres and Redis by hand; for an operator whose .env names no servers.

``manage.py`` answers this command before Django loads; this entry is for its ``help``.
"""

import sys

from django.core.management.base import BaseCommand, CommandParser

from core import embedded


class Command(BaseCommand):
    """A thin shell over ``core.embedded``."""

    help = "Starts, stops and shows the project's own Postgres and Redis."
    requires_system_checks: list = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take one word, or none: then they run in this terminal until Ctrl-C."""
        parser.add_argument("action", nargs="?", choices=["start", "stop", "status"])

    def handle(self, *args, action: str | None = None, **options) -> None:
        """Hand the word on."""
        sys.exit(embedded.main([action] if action else []))
