"""Writes the site's timeouts into its Postgres role; for an operator with a connection pooler.

A pooler refuses or forgets what a client asks for, so the role has to carry it: docs/connections.md.
Safe to repeat. `check --deploy` says whether it is in force.
"""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand
from django.db import connection

from core.database import ask_server, role_defaults


class Command(BaseCommand):
    """A thin shell over ``core.database.role_defaults``."""

    help = "Sets statement_timeout and what else the site relies on for its role in its database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether to write."""
        parser.add_argument("--dry-run", action="store_true", help="print the statements only")

    def handle(self, *args, dry_run: bool, **options) -> None:
        """Print and run one ALTER ROLE a setting, all or none."""
        values = role_defaults(ask_server())
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user, current_database()")
            role, database = map(connection.ops.quote_name, cursor.fetchone())
            statements = [
                f"ALTER ROLE {role} IN DATABASE {database} SET {name} = {value};"
                for name, value in values.items()
            ]
            if not dry_run:
                cursor.execute("\n".join(statements))  # one message, one transaction
        self.stdout.write("\n".join(statements))
        if dry_run:
            self.stdout.write(self.style.WARNING("Dry run: nothing was written."))
            return
        self.stdout.write(
            self.style.SUCCESS("Written. It holds for new connections:")
            + " restart the site, and tell PgBouncer RECONNECT; then `check --deploy` agrees."
        )
