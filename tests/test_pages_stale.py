"""Read, write, read: after each kind of write every kept page is the page that would be built."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import pytest
from django.core.management import call_command

from accounts.models import BookReview, User
from accounts.services import delete_review, write_review
from core import cache, scopes
from core.models import Author, Book, Category
from debates.models import DebatePost, DebateTopic
from debates.tasks import reconcile_counters

from .factories import (
    make_category,
    make_user,
)
from .keeping import another_process
from .small_world import StaleTestCase

# Django's admin leans on missing variables, and one of the writes goes through it.
pytestmark = pytest.mark.lenient_templates


class DebateWritesTests(StaleTestCase):
    def test_a_reply(self):
        data = {"content": "Mais uma.", "spoiler_percent": "0"}
        self.assert_seen(
            lambda: self.post(f"{self.w.of_topic}responder/", self.w.writer, **data),
            *self.w.lists, self.w.of_topic,
        )  # fmt: skip

    def test_an_edited_reply(self):
        data = {"content": "Outras palavras.", "spoiler_percent": "0"}
        url = self.w.post.get_absolute_url()
        self.assert_seen(lambda: self.post(f"{url}editar/", self.w.writer, **data), self.w.of_topic)

    def test_a_deleted_reply(self):
        url = self.w.post.get_absolute_url()
        self.assert_seen(
            lambda: self.post(f"{url}apagar/", self.w.writer), *self.w.lists, self.w.of_topic
        )

    def test_a_vote(self):
        voter, url = make_user(), self.w.post.get_absolute_url()
        for value in ("1", "-1", "0"):
            self.assert_seen(
                lambda value=value: self.post(f"{url}votar/", voter, value=value), self.w.of_topic
            )

    def test_ones_own_vote_shows_on_ones_own_page(self):
        url = self.w.post.get_absolute_url()
        self.assert_seen(
            lambda: self.post(f"{url}votar/", self.w.reader, value="1"), self.w.of_topic
        )
        page = self.client_of(self.w.reader).get(self.w.of_topic).text
        assert f'id="up-{self.w.post.pk}" aria-pressed="true"' in page

    def test_a_new_debate(self):
        data = {
            "title": "Novo",
            "description": "x",
            "spoiler_percent": "0",
            "livro": self.w.book.slug,
        }
        self.assert_seen(lambda: self.post("/debates/novo/", self.w.writer, **data), *self.w.lists)

    def test_an_edited_debate(self):
        data = {"title": "Mudado", "description": "Outra.", "spoiler_percent": "20"}
        self.assert_seen(
            lambda: self.post(f"{self.w.of_topic}editar/", self.w.writer, **data),
            *self.w.lists, self.w.of_topic,
        )  # fmt: skip

    def test_a_deleted_debate_is_gone_for_everybody(self):
        self.assert_seen(
            lambda: self.post(f"{self.w.of_topic}apagar/", self.w.writer),
            *self.w.lists, self.w.of_topic,
        )  # fmt: skip

    def test_moderated_debates(self):
        for action, *changed in (
            ("pin", *self.w.lists, self.w.of_topic), ("lock", *self.w.lists, self.w.of_topic),
            ("unlock", *self.w.lists, self.w.of_topic), ("unpin", *self.w.lists, self.w.of_topic),
            ("hide", *self.w.lists, self.w.of_topic), ("restore", *self.w.lists, self.w.of_topic),
        ):  # fmt: skip
            with self.subTest(action=action):
                self.assert_seen(
                    lambda action=action: self.post(
                        f"{self.w.of_topic}moderar/", self.w.staff, action=action
                    ),
                    *changed,
                )

    def test_moderated_replies(self):
        url = self.w.answer.get_absolute_url()
        for action, *changed in (
            ("lock", self.w.of_topic), ("unlock", self.w.of_topic),
            ("hide", *self.w.lists, self.w.of_topic), ("restore", *self.w.lists, self.w.of_topic),
        ):  # fmt: skip
            with self.subTest(action=action):
                self.assert_seen(
                    lambda action=action: self.post(f"{url}moderar/", self.w.staff, action=action),
                    *changed,
                )

    def test_counters_that_the_night_repairs(self):
        DebateTopic.objects.filter(pk=self.w.topic.pk).update(posts_count=7)
        cache._bump_now([cache.EVERYTHING])
        self.assert_seen(reconcile_counters, *self.w.lists, self.w.of_topic)

    def test_a_reply_that_is_deleted_for_good(self):
        theirs = DebatePost.objects.get(pk=self.w.theirs.pk)
        self.assert_seen(theirs.delete, self.w.of_topic)

    def test_a_debate_that_is_deleted_for_good(self):
        def delete():
            self.w.answer.delete()
            DebatePost.objects.filter(topic=self.w.topic).delete()
            DebateTopic.objects.get(pk=self.w.topic.pk).delete()

        self.assert_seen(delete, *self.w.lists, self.w.of_topic)


class PeopleAndBooksTests(StaleTestCase):
    def test_a_review(self):
        data = {"rating": "3", "text": "Mudei de ideia."}
        for user in (self.w.reader, self.w.writer, self.w.writer):
            self.assert_seen(
                lambda user=user: self.post(f"{self.w.of_book}resenha/", user, **data),
                self.w.of_book,
            )
            data["text"] += " De novo."
        self.assert_seen(
            lambda: self.post(f"{self.w.of_book}resenha/apagar/", self.w.writer), self.w.of_book
        )

    def test_ones_shelf_shows_on_ones_own_page_alone(self):
        before = self.pages()
        for path, data in (
            ("estante/", {"status": "lendo"}),
            ("progresso/", {"percent": "40"}),
        ):
            self.client_of(self.w.reader).post(f"{self.w.of_book}{path}", data)
            with another_process():
                found, built = self.pages(), self.pages(built=True)
            for page in found:
                if page != (self.w.of_book, self.w.reader) and page[1] is None:
                    assert found[page] == before[page]
            assert (
                found[self.w.of_book, self.w.reader][1] != before[self.w.of_book, self.w.reader][1]
            )
            page = self.client_of(self.w.reader)
            assert found[self.w.of_book, self.w.reader] == built[self.w.of_book, self.w.reader]

    def test_a_changed_name(self):
        data = {"display_name": "Ana Maria", "email": self.w.writer.email, "city": "", "bio": ""}
        self.assert_seen(
            lambda: self.post("/conta/", self.w.writer, **data), *self.w.lists, self.w.of_topic
        )

    def test_somebody_who_is_deactivated(self):
        def deactivate():
            user = User.objects.get(pk=self.w.writer.pk)
            user.is_active = False
            user.save()

        self.assert_seen(deactivate, self.w.of_book, self.w.of_topic)  # no link any more

    def test_a_log_in_makes_nothing_stale(self):
        self.pages()
        with mock.patch.object(cache, "_set_tokens") as told:
            self.client_of(self.w.writer)
        assert not told.called

    def test_a_book_an_author_and_a_category_that_staff_change(self):
        def rename(model, row, field, name):
            changed = model.objects.get(pk=row.pk)
            setattr(changed, field, name)
            changed.save()

        home = ["/", "/livros/"]
        for model, row, field, changed in (
            (Book, self.w.book, "title", [*self.w.lists, *self.w.catalogue, self.w.of_topic]),
            (Author, self.w.author, "name", [self.w.of_book, self.w.of_author]),
            (Category, self.w.category, "name", [*home, self.w.of_book, self.w.of_category]),
        ):
            with self.subTest(model=model.__name__):
                self.assert_seen(
                    lambda m=model, r=row, f=field: rename(m, r, f, "Mudado"), *changed
                )

    def test_a_book_through_the_admin_itself(self):
        client = self.client_of(self.w.staff)
        address = f"/admin/core/author/{self.w.author.pk}/change/"
        self.assert_seen(
            lambda: client.post(address, {"name": "Lispector"}),
            *self.w.lists, *self.w.catalogue, self.w.of_topic,
        )  # fmt: skip

    def test_the_categories_of_a_book(self):
        new = make_category(name="Novela")
        for change in (self.w.book.categories.add, self.w.book.categories.remove):
            self.assert_seen(lambda change=change: change(new), self.w.of_book)
        changed = [self.w.of_book, self.w.of_category]
        self.assert_seen(lambda: self.w.book.categories.clear(), *changed)

    def test_an_import(self):
        def run():
            with tempfile.TemporaryDirectory() as folder:
                rows = Path(folder, "livros.csv")
                rows.write_text(
                    "title,authors,isbn,year,language,description\nDe fora,Gil,,1980,pt,x\n"
                )
                report = str(Path(folder, "report.csv"))
                call_command("import_books", str(rows), "--report", report, stdout=mock.Mock())

        self.assert_seen(run, "/", "/livros/")

    def test_emptying_the_cache(self):
        def unseen():
            Book.objects.filter(pk=self.w.book.pk).update(title="Sem sinal")
            cache.retire_derived()

        self.assert_seen(unseen, *self.w.lists, *self.w.catalogue, self.w.of_topic)


class DeletingTests(StaleTestCase):
    """What goes with something else says nothing of itself: that would be a query a row."""

    def test_reviews_that_go_with_their_book_or_reader(self):
        users = [make_user() for _number in range(5)]
        BookReview.objects.bulk_create(
            BookReview(user=user, book=self.w.other_book, rating=4) for user in users
        )
        with mock.patch.object(scopes, "book_changed") as changed:
            users[0].delete()
            Book.objects.filter(pk=self.w.other_book.pk).delete()
        assert not changed.called
        with mock.patch.object(scopes, "book_changed") as changed:
            delete_review(user=self.w.writer, book=self.w.book)
            make = BookReview.objects.create(user=self.w.writer, book=self.w.book, rating=2)
            make.delete()
        assert changed.call_count == 3

    def test_a_deleted_reader_is_on_no_page(self):
        extra = make_user(display_name="De saída")
        write_review(user=extra, book=self.w.book, rating=2, text="x", has_spoiler=False)
        cache._bump_now([cache.EVERYTHING])

        def leave():
            User.objects.get(pk=extra.pk).delete()

        self.assert_seen(leave, self.w.of_book)
