"""Django's ``migrate`` with all the time it needs; behind a transaction pooler too.

For an operator as ever. A change of a large table may take longer than a page's statement
may, and pg_trgm may live in a schema that the role does not look into.
"""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from core.database import unhurried


class Command(migrate.Command):
    """Django's, inside ``core.database.unhurried``."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Lift the timeouts, migrate, and put them back."""
        with unhurried(connections[options["database"]]):
            super().handle(*args, **options)
