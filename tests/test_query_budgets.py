"""Two query tests a page: it costs what the table says, and the same with 300 rows as with 10."""

from __future__ import annotations

from django.conf import settings
from django.core.cache import caches
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from core import cache

from .keeping import another_process
from .query_budgets import BUDGETS
from .world import World

FEW, MANY = 10, 300
WRITES = ("INSERT", "UPDATE", "DELETE")


class QueryBudgetTests(TestCase):
    def queries(self, path: str, *, member=None) -> tuple[list[str], list[str]]:
        """The statements of a cold GET of ``path``, and of a second one by another process."""
        client = self.client_class()
        if member:
            client.force_login(member)
        for alias in settings.CACHES:
            caches[alias].clear()
        cache.forget()
        cold = self.ask(client, path)
        with another_process():
            return cold, self.ask(client, path)

    def ask(self, client, path: str) -> list[str]:
        with CaptureQueriesContext(connection) as seen:
            response = client.get(path)
        assert response.status_code in {200, 302}, f"{path} answered {response.status_code}"
        return [query["sql"] for query in seen.captured_queries]

    def measure(self, world: World) -> dict[str, tuple[int | None, int, int]]:
        costs = {}
        for name, budget in BUDGETS.items():
            path = world.path(budget.path)
            anonymous = None
            if budget.anonymous is not None:
                cold, warm = self.queries(path)
                anonymous = len(cold)
                self.assert_reads_only(name, cold + warm)
            cold, warm = self.queries(path, member=world.reader)
            self.assert_reads_only(name, cold + warm)
            costs[name] = (anonymous, len(cold), len(warm))
        return costs

    def assert_reads_only(self, name: str, statements: list[str]) -> None:
        for sql in statements:
            assert not sql.lstrip("( ").upper().startswith(WRITES), f"{name} writes: {sql}"

    def test_every_page_costs_what_the_table_says_with_few_rows_and_with_many(self):
        world = World(60)  # two pages of every list
        few = self.measure(world)
        assert few == {
            name: (budget.anonymous, budget.member, budget.warm) for name, budget in BUDGETS.items()
        }
        world.grow(MANY)
        assert self.measure(world) == few

    def test_ten_rows_cost_the_same_as_three_hundred(self):
        world = World(FEW)
        first_pages = {k: v for k, v in BUDGETS.items() if "pagina=" not in v.path}
        for name, budget in first_pages.items():
            path = world.path(budget.path)
            cold, warm = self.queries(path, member=world.reader)
            assert (len(cold), len(warm)) == (budget.member, budget.warm), name

    def test_the_table_keeps_the_promise(self):
        for name, budget in BUDGETS.items():
            anonymous = budget.anonymous if budget.anonymous is not None else 0
            assert anonymous <= 5, name
            assert budget.member - anonymous <= 5, name
            assert budget.warm <= 5, name
