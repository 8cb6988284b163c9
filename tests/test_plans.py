"""How Postgres answers the public pages at 20,000 posts: by the indexes that docs/queries.md names."""

from __future__ import annotations

import re
from datetime import date
from io import StringIO
from unittest import mock

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import InternalError, connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from core.database import vacuum
from core.models import Book, Category
from debates import plans, reports
from debates.seeding import marks, running

from . import plan_expectations as expected

PLAN = running.Plan(topics=2_000, posts=20_000, users=1_000, votes=20_000, books=2_000, seed=1)
VIEWERS = ("anonymous", "member")
DOCUMENT = settings.BASE_DIR / "docs" / "queries.md"


def is_read(index: str | tuple[str, ...], read: set[str]) -> bool:
    """Whether ``index``, one of several or a name that Django completes, is among those ``read``."""
    return any(name.startswith(index) for name in read)


class PlanTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        running.seed(PLAN, lambda what, done, whole: None)
        categories = [Category(name=f"Assunto {n}", slug=f"assunto-{n}") for n in range(20)]
        Category.objects.bulk_create(categories)
        link = Book.categories.through
        link.objects.bulk_create(
            link(book_id=pk, category=categories[n % 20])
            for n, pk in enumerate(Book.objects.values_list("pk", flat=True))
        )
        with connection.cursor() as cursor:
            cls.tell(cursor, plans.keenest_voter())
            cursor.execute(
                "ANALYZE core_book_categories, core_category, debates_follow, debates_notification"
            )
            # what VACUUM does, which runs in no transaction: rows written just now wait beside a
            # trigram index, and while they are many a scan is cheaper
            for index in ("topic_search", "book_search", "author_search"):
                cursor.execute("SELECT gin_clean_pending_list(%s::regclass)", [index])
        cls.found = {(page.name, page.viewer): page for page in plans.explain()}

    @classmethod
    def tell(cls, cursor, reader: User) -> None:
        """Everybody follows where they wrote; ``reader`` was told of every fourth reply."""
        cursor.execute(
            "INSERT INTO debates_follow (user_id, topic_id, state, created_at)"
            " SELECT DISTINCT author_id, topic_id, 'segue', now() FROM debates_debatepost"
        )
        cursor.execute(
            "INSERT INTO debates_notification"
            " (user_id, topic_id, post_id, reason, created_at, read_at)"
            " SELECT CASE WHEN id %% 4 = 0 THEN %s ELSE author_id END, topic_id, id, 'debate',"
            " created_at, CASE WHEN id %% 3 > 0 THEN created_at END FROM debates_debatepost",
            [reader.pk],
        )

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        # the rows are rolled back, but Postgres remembers how many it counted
        vacuum(*marks.TABLES, Category, Book.categories.through)

    def viewer(self, name: str) -> str:
        return "member" if name in plans.FOR_MEMBERS else "anonymous"

    def test_every_page_is_explained_for_a_visitor_and_for_a_member(self):
        assert self.found.keys() == {
            (name, viewer)
            for name in plans.PAGES
            for viewer in VIEWERS
            if viewer == "member" or name not in plans.FOR_MEMBERS
        }
        assert expected.INDEXES.keys() == plans.PAGES.keys()
        for (name, _viewer), page in self.found.items():
            assert page.plans, name

    def test_no_page_reads_all_posts_topics_or_votes(self):
        assert not any(plans.is_small(table) for table in plans.MUST_NOT_SCAN)
        for (name, viewer), page in self.found.items():
            for plan in page.plans:
                scanned = plans.MUST_NOT_SCAN.intersection(plan.scanned)
                assert not scanned, f"{name} ({viewer}):\n" + "\n".join(plan.lines)

    def test_each_page_reads_the_indexes_that_are_there_for_it(self):
        unread = {}
        for (name, viewer), page in self.found.items():
            read = {index for plan in page.plans for index in plan.indexes}
            wanted = list(expected.INDEXES[name])
            if viewer == "member":
                wanted += [*expected.MEMBER, *expected.OF_MEMBERS.get(name, [])]
            if missing := [index for index in wanted if not is_read(index, read)]:
                unread[name, viewer] = missing, sorted(read)
        assert unread == {}

    def test_deep_pages_are_a_range_of_their_index_and_not_a_walk_to_their_place(self):
        for name in plans.PAGES:
            if "_deep" not in name or name == "post_permalink_deep":
                continue
            lines = "\n".join(
                line for plan in self.found[name, self.viewer(name)].plans for line in plan.lines
            )
            assert re.search(r"Index Cond: .*(ROW\(|path > )", lines), f"{name}:\n{lines}"

    def test_the_week_that_staff_see_is_a_range_of_debates_and_of_replies(self):
        with CaptureQueriesContext(connection) as seen:
            reports.figures(reports.week_of(date(2026, 10, 19)))
        topics, _members, posts = (query["sql"] for query in seen.captured_queries)
        with connection.cursor() as cursor:
            for sql, index in ((topics, "idx_topic_date"), (posts, "post_by_date")):
                cursor.execute(f"EXPLAIN {sql}")
                lines = "\n".join(line for (line,) in cursor.fetchall())
                assert re.search(rf"{index}\b.*\n.*Index Cond: \(+created_at >=", lines), lines
                assert "Seq Scan on debates_debatepost" not in lines, lines

    def test_a_lost_index_ends_the_command_with_an_error_that_names_page_and_table(self):
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX topic_live_recent")
        out = StringIO()
        with self.assertRaisesMessage(
            CommandError, "debates_list (anonymous) reads all of debates_debatetopic"
        ):
            call_command("explain_pages", "debates_list", stdout=out)
        assert "SEQ SCAN debates_debatetopic" in out.getvalue()

    def test_the_command_tells_page_time_rows_indexes_and_plan(self):
        out = StringIO()
        call_command("explain_pages", "topic_detail", analyze=True, stdout=out)
        told = out.getvalue()
        assert re.search(r"^topic_detail anonymous /debates/topico/carga-\d+/$", told, re.MULTILINE)
        assert re.search(r"^  2\. [0-9.]+ ms, 21 rows  .*post_thread_order", told, re.MULTILINE)
        assert re.search(r"^ +(-> +)?Index Scan using post_thread_order", told, re.MULTILINE)
        assert "actual time" in told
        assert "Buffers: " in told

    def test_explaining_writes_nothing_and_asks_no_redis(self):
        with mock.patch("core.redis.Breaker.call", side_effect=AssertionError("Redis was asked")):
            for name in ("debates_list", "topic_detail", "search"):
                assert [page.viewer for page in plans.explain(only=name)] == [*VIEWERS]
        with self.assertRaisesMessage(InternalError, "read-only transaction"), plans._read_only():
            User.objects.create(username="ninguem")

    def test_the_document_names_each_page_with_its_queries_and_indexes(self):
        rows = dict(re.findall(r"^\| `(\w+)` \|(.+)\|$", DOCUMENT.read_text(), re.MULTILINE))
        assert rows.keys() >= expected.INDEXES.keys()
        for name, wanted in expected.INDEXES.items():
            member = len(self.found[name, "member"].plans)
            page = self.found.get((name, "anonymous"))
            anonymous = len(page.plans) if page else 0
            assert rows[name].startswith(f" {anonymous} + {member - anonymous} |"), name
            for index in wanted:
                for one in [index] if isinstance(index, str) else index:
                    assert f"`{one}" in rows[name], f"{name} needs {one}"

    def test_the_document_names_every_index_of_ours(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
                " AND tablename ~ '^(core|accounts|debates)_'"
            )
            # what Django names ends in a hash: the document leaves that out
            ours = {re.sub(r"_[0-9a-f]{8}(_\w+)?$", "", name) for (name,) in cursor.fetchall()}
        text = DOCUMENT.read_text().partition("## Every index")[2]
        rows = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
        assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == ours


class EmptySiteTests(TestCase):
    def test_a_site_without_debates_is_explained_as_far_as_it_goes(self):
        out = StringIO()
        call_command("explain_pages", stdout=out)
        assert "debates_list anonymous /debates/\n" in out.getvalue()
        assert re.search("^Left out.* topic_detail,", out.getvalue(), re.MULTILINE)
