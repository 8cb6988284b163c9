"""The admin: what its pages cost and find, who may act, and derived data after every save."""

from __future__ import annotations

import re
from unittest import mock

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group, Permission
from django.core.cache import caches
from django.db import connection
from django.test import RequestFactory, TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import BookReview, ReadingProgress, ShelfItem, User
from core import big_tables
from core.models import Author, Book, BookAuthor, Category, OutgoingMail
from debates import services
from debates.models import (
    DebatePost,
    DebateTopic,
    DebateVote,
    DriftReport,
    Follow,
    Notification,
    WeeklyReport,
)

from .factories import (
    make_author,
    make_book,
    make_category,
    make_staff,
    make_topic,
    make_user,
)
from .world import World

pytestmark = pytest.mark.lenient_templates

FEW, MANY = 10, 300
BUDGET = 12
OURS = [
    model
    for model in admin.site._registry
    if model._meta.app_label in {"core", "accounts", "debates"}
]
READ_ONLY = {DriftReport, Follow, Notification, OutgoingMail, WeeklyReport}
NEVER_ADDED = {DebateTopic, DebatePost, DebateVote, *READ_ONLY}
NEVER_DELETED = {User, DebateTopic, DebatePost, *READ_ONLY}
SEARCHES = {
    User: "Leitora.do", ShelfItem: "leitora.DO.mundo", ReadingProgress: "leitora.do.mundo",
    BookReview: "leitora.do.mundo", Author: "autora", Category: "Categoria", Book: "Livro do m",
    DebateTopic: "debate do Mundo", DebatePost: "leitora.do.mundo", DebateVote: "gente1",
    WeeklyReport: "2026-11-16", DriftReport: "2026-11-16",
    Follow: "gente1", Notification: "leitora.do.mundo",
    OutgoingMail: "leitora.do.mundo@example.com",
}  # fmt: skip
INLINE = re.compile(r"<style|\sstyle=|<script(?![^>]*\ssrc=)(?![^>]*application/json)|\son[a-z]+=")


def page(model, name: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def moderator(*permissions: str) -> User:
    """Return staff with the named permissions, all of them without a name."""
    user = make_staff(is_superuser=False)
    group = Group.objects.create(name=f"Equipe {user.pk}")
    allowed = Permission.objects.all()
    group.permissions.set(allowed.filter(codename__in=permissions) if permissions else allowed)
    user.groups.add(group)
    return user


class AdminTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.staff = make_staff()

    def setUp(self):
        self.client.force_login(self.staff)

    def save(self, row, **values):
        """Send the change form of ``row`` with ``values`` in place of what it shows."""
        path = page(type(row), "change", row.pk)
        return self.send(path, values)

    def send(self, path: str, values: dict):
        context = self.client.get(path).context
        data = dict(values)
        forms = [context["adminform"].form]
        for each in context["inline_admin_formsets"]:
            forms += [each.formset.management_form, *each.formset.forms]
        for form in forms:
            for bound in form:
                value = bound.value()
                if value is not None and value is not False:
                    data.setdefault(bound.html_name, value)
        return self.client.post(path, {name: v for name, v in data.items() if v is not None})

    def act(self, model, action: str, *rows, **values):
        data = {"action": action, ACTION_CHECKBOX_NAME: [row.pk for row in rows], **values}
        return self.client.post(page(model, "changelist"), data, follow=True)


class PageTests(TestCase):
    """Every page of every table, with few rows and with many."""

    def rows(self, world: World) -> dict:
        return {
            User: world.reader, Author: world.author, Category: world.category, Book: world.book,
            DebateTopic: world.topic, DebatePost: world.post,
            **{model: model.objects.latest("pk") for model in (ShelfItem, ReadingProgress, BookReview, DebateVote, *READ_ONLY)},
        }  # fmt: skip

    def paths(self, world: World) -> dict[str, str]:
        paths = {}
        for model, row in self.rows(world).items():
            name, listed = model._meta.model_name, page(model, "changelist")
            paths[f"{name} list"] = listed
            paths[f"{name} search"] = f"{listed}?q={SEARCHES[model]}"
            for relation in admin.site.get_model_admin(model).linked_by:
                paths[f"{name} by {relation}"] = f"{listed}?{relation}__id__exact=1"
            paths[f"{name} change"] = page(model, "change", row.pk)
            if model not in NEVER_ADDED:
                paths[f"{name} add"] = page(model, "add")
            if model not in NEVER_DELETED:
                paths[f"{name} delete"] = page(model, "delete", row.pk)
        return paths

    def measure(self, world: World) -> dict[str, int]:
        costs = {}
        for name, path in self.paths(world).items():
            for alias in settings.CACHES:
                caches[alias].clear()
            with CaptureQueriesContext(connection) as seen:
                response = self.client.get(path)
            assert response.status_code == 200, f"{name} answered {response.status_code}"
            assert not INLINE.search(response.text), f"{name} breaks the CSP"
            costs[name] = len(seen)
        return costs

    def grow(self, world: World, rows: int) -> None:
        """Everything a page of the admin repeats: rows of its list, and credits of the book."""
        world.grow(rows)
        readers = User.objects.filter(username__startswith="gente").exclude(
            progress__book=world.book
        )
        ReadingProgress.objects.bulk_create(
            ReadingProgress(user=user, book=world.book, percent=50) for user in readers
        )
        authors = Author.objects.exclude(credits__book=world.book)[: min(rows // 10, 30)]
        BookAuthor.objects.bulk_create(BookAuthor(book=world.book, author=a) for a in authors)

    def test_all_tables_of_the_site_are_here(self):
        assert set(OURS) == set(SEARCHES)

    def test_every_page_costs_at_most_twelve_queries_with_ten_rows_and_with_three_hundred(self):
        self.client.force_login(moderator())
        world = World(FEW)
        self.grow(world, FEW)
        self.measure(world)  # fills Django's own cache of content types
        few = self.measure(world)
        assert {name: cost for name, cost in few.items() if cost > BUDGET} == {}
        self.grow(world, MANY)
        assert self.measure(world) == few

    def test_members_and_visitors_are_sent_to_the_login_and_staff_need_the_permission(self):
        world = World(1)
        member, nobody = make_user(), make_staff(is_superuser=False)
        for name, path in self.paths(world).items():
            with self.subTest(name):
                self.client.logout()
                assert self.client.get(path).headers["Location"].startswith("/admin/login/")
                self.client.force_login(member)
                assert self.client.get(path).headers["Location"].startswith("/admin/login/")
                self.client.force_login(nobody)
                assert self.client.get(path).status_code == 403

    def test_what_the_site_does_is_neither_added_nor_deleted_here(self):
        self.client.force_login(make_staff())
        rows = self.rows(World(1))
        for model in NEVER_ADDED:
            assert self.client.get(page(model, "add")).status_code == 403
        for model in NEVER_DELETED:
            assert (
                self.client.post(page(model, "delete", rows[model].pk), {"post": "yes"}).status_code
                == 403
            )
            assert "delete_selected" not in admin.site.get_model_admin(model).get_actions(
                self.client.get("/admin/").wsgi_request
            )


class ListTests(AdminTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.world = World(FEW)

    def found(self, model, term: str) -> list:
        response = self.client.get(page(model, "changelist"), {"q": term})
        assert response.status_code == 200
        return list(response.context["cl"].result_list)

    def test_search_finds_the_beginning_of_words_without_case_or_accents(self):
        author = make_author(name="Érico Veríssimo")
        book = make_book(title="Incidente em Antares", authors=[author], isbn13="9788535902778")
        category = make_category(name="Ficção", slug="ficcao")
        topic = make_topic(title="É sobre o coreto?", book=book)
        reader = make_user(username="Nanda.Niteroi", email="Nanda@Example.com")
        for model, term, row in [
            (Author, "erico v", author), (Author, "VERISSIMO", author), (Author, str(author.pk), author),
            (Book, "INCIDENTE em", book), (Book, "antar", book), (Book, "veríssimo", book), (Book, "978-85-359-0277-8", book),
            (Category, "ficção", category), (DebateTopic, "e sobre O", topic),
            (DebateTopic, "coreto?", topic), (DebateTopic, topic.slug, topic), (User, "nanda.n", reader),
            (User, "nanda@example.com", reader),
        ]:  # fmt: skip
            with self.subTest(term=term):
                assert row in self.found(model, term)
                assert len(self.found(model, term)) <= 2
        for model, term in [(Author, "rissimo"), (Book, "ntares"), (DebateTopic, "oreto")]:
            assert self.found(model, term) == []

    def test_search_finds_what_a_reader_wrote_by_the_whole_name(self):
        for model in (DebatePost, BookReview, ShelfItem, ReadingProgress, DebateVote):
            rows = self.found(model, "Leitora.do.Mundo")
            assert rows
            assert {row.author if model is DebatePost else row.user for row in rows} == {
                self.world.reader
            }
            assert self.found(model, "leitora.do") == []

    def test_odd_searches_find_nothing_and_break_nothing(self):
        for model in OURS:
            for term in (
                "!!!",
                "%",
                "_",
                "9" * 40,
                "9" * 5_000,
                "²²²",
                "ninguem assim",
                "' OR 1=1 --",
            ):
                with self.subTest(model=model, term=term):
                    assert self.found(model, term) == []
            path = reverse("admin:autocomplete")
            source = {"app_label": "accounts", "model_name": "shelfitem", "field_name": "user"}
            assert self.client.get(path, {**source, "term": "a\0b"}).json()["results"] == []

    def test_autocompletion_finds_by_the_same_words(self):
        path = reverse("admin:autocomplete")
        source = {"app_label": "debates", "model_name": "debatetopic", "field_name": "book"}
        results = self.client.get(path, {**source, "term": "LIVRO do m"}).json()["results"]
        assert [result["id"] for result in results] == [str(self.world.book.pk)]

    def test_an_index_serves_every_search(self):
        request = RequestFactory().get("/")
        searches = [
            *SEARCHES.items(),
            (User, "leitora@example.com"),
            (Book, "9788535902778"),
            (DebateTopic, "a-b"),
        ]
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        for model, term in [*searches, *((model, "17") for model in OURS)]:
            with self.subTest(model=model, term=term):
                rows = admin.site.get_model_admin(model).get_search_results(
                    request, model.objects.all(), term
                )[0]
                assert "Seq Scan" not in rows.order_by().explain()

    def test_a_large_table_is_estimated_and_a_search_in_it_is_counted_to_a_limit(self):
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE debates_debatepost")
        posts = DebatePost.objects.order_by("-pk")
        real = posts.count()
        with mock.patch.object(big_tables, "ROWS_LIMIT", 5), self.assertNumQueries(3):
            whole = big_tables.BoundedPaginator(posts, 2)
            assert (whole.count, whole.num_pages) == (real, 3)
            searched = big_tables.BoundedPaginator(posts.filter(depth__gte=0), 2)
            assert (searched.count, searched.num_pages) == (5, 3)
            few = big_tables.BoundedPaginator(posts.filter(pk=posts[0].pk), 2)
        assert (few.count, few.num_pages) == (1, 1)
        assert big_tables.BoundedPaginator(posts, 2).count == real

    def test_pages_end_and_orders_without_an_index_are_ignored(self):
        path = page(DebatePost, "changelist")
        with mock.patch.object(admin.site.get_model_admin(DebatePost), "list_per_page", 5):
            assert self.client.get(path, {"p": 2}).context["cl"].page_num == 2
            assert self.client.get(path, {"p": 5_000}).headers["Location"].endswith("?e=1")
        assert self.client.get(path, {"o": "3.-1"}).context["cl"].queryset.query.order_by == (
            "-pk",
        )
        thread = self.client.get(path, {"topic__id__exact": self.world.topic.pk})
        assert thread.context["cl"].queryset.query.order_by[0] == "path"
        assert len(thread.context["cl"].result_list) == self.world.topic.posts.count()

    def test_only_the_filters_of_the_page_may_be_asked_for(self):
        path = page(DebatePost, "changelist")
        for name, value in {
            "content__icontains": "x",
            "is_locked": "1",
            "author__email": "a",
            "x": "1",
        }.items():
            assert self.client.get(path, {name: value}).status_code == 400
        for value in ("abc", "9" * 40, "-1"):
            assert self.client.get(path, {"topic__id__exact": value}).status_code in {200, 302}
        assert self.client.get(path, {"situacao": "x"}).headers["Location"].endswith("?e=1")
        assert self.client.get(page(User, "changelist"), {"grupo": "x"}).status_code == 200

    def test_filters_narrow_the_list(self):
        pinned, removed = make_topic(is_pinned=True), self.world.hide_topic()
        services.delete_post(post=self.world.post, actor=self.staff)
        group = Group.objects.create(name="Moderação")
        self.staff.groups.add(group)
        for model, choice, row in [
            (DebateTopic, {"situacao": "fixados"}, pinned),
            (DebateTopic, {"situacao": "removidos"}, removed),
            (DebatePost, {"situacao": "removidas"}, self.world.post),
            (User, {"grupo": group.pk}, self.staff),
        ]:
            assert list(
                self.client.get(page(model, "changelist"), choice).context["cl"].result_list
            ) == [row]
        english = make_book(language="en")
        listed = self.client.get(page(Book, "changelist"), {"lingua": "en"}).context["cl"]
        assert list(listed.result_list) == [english]
