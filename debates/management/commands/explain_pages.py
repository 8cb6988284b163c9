"""Print how Postgres answers each public page; docs/queries.md tells how to read it.

For after a large import, an upgrade of Postgres or a change of a query. Writes nothing and
empties no cache; ends with 1 when a page reads all of the posts, topics or votes.
"""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError, CommandParser

from debates import plans


class Command(BaseCommand):
    help = "Print the plan of every statement that the public pages send, for their heaviest rows."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("page", nargs="?", default="", choices=["", *plans.PAGES])
        parser.add_argument(
            "--analyze", action="store_true", help="Run each statement again: times and buffers."
        )
        parser.add_argument(
            "--brief", action="store_true", help="A line a statement, without the plan."
        )

    def handle(self, *args, page: str, analyze: bool, brief: bool, **options) -> None:
        faults, shown = [], set()
        for found in plans.explain(only=page, analyze=analyze):
            shown.add(found.name)
            self.stdout.write(
                self.style.MIGRATE_HEADING(f"{found.name} {found.viewer} {found.path}")
            )
            for number, plan in enumerate(found.plans, start=1):
                faults += [
                    f"{found.name} ({found.viewer}) reads all of {table}"
                    for table in self.tell(number, plan)
                ]
                if not brief:
                    self.stdout.write("".join(f"      {line}\n" for line in plan.lines))
        if left_out := [name for name in plans.PAGES if page in {"", name} and name not in shown]:
            self.stdout.write(f"Left out, for want of rows: {', '.join(left_out)}")
        if faults:
            raise CommandError("\n".join(faults))

    def tell(self, number: int, plan: plans.Plan) -> list[str]:
        """Write a statement's line; return the tables that its plan must not read as a whole."""
        told, faults = [], []
        for table in plan.scanned:
            if table in plans.MUST_NOT_SCAN and not plans.is_small(table):
                faults.append(table)
                told.append(self.style.ERROR(f"SEQ SCAN {table}"))
            elif table in plans.WORTH_TELLING:
                told.append(self.style.WARNING(f"seq scan {table}"))
        sent = plan.statement
        line = f"  {number}. {sent.milliseconds:.1f} ms, {'?' if sent.rows < 0 else sent.rows} rows"
        self.stdout.write("  ".join([line, ", ".join(plan.indexes) or "no index", *told]))
        return faults
