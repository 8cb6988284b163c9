"""A statement written once gives the rows that its queryset gives, and no others."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F
from django.db.transaction import TransactionManagementError
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from core.models import Book, BookAuthor, OutgoingMail
from core.statements import OneRow
from tests.factories import make_author, make_book


def credits_of(book_id: int, place: int):
    credits = BookAuthor.objects.select_related("author", "book").defer("book__description")
    return credits.filter(book_id=book_id).filter(position=place)


class OneRowTests(TestCase):
    def setUp(self):
        self.author = make_author(name="Clarice Lispector")
        self.book = make_book(title="A hora da estrela", authors=[self.author])
        make_book(title="Perto do coração selvagem", authors=[self.author])

    def test_the_row_is_that_of_the_queryset_with_what_was_joined_and_put_off(self):
        statement = OneRow(credits_of, 1, 2)
        for book in Book.objects.all():
            wanted = credits_of(book.pk, 0).get()
            with self.assertNumQueries(1):
                found = statement.get(book.pk, 0)
                assert found.author.name == "Clarice Lispector"
                assert found.book.title == book.title
            assert (found, found.author, found.book) == (wanted, wanted.author, wanted.book)
            for row, same in ((found, wanted), (found.author, wanted.author)):
                assert row._state.db == same._state.db and not row._state.adding
                assert {**vars(row), "_state": 0} == {**vars(same), "_state": 0}
            assert found.book.get_deferred_fields() == {"description"}
            with self.assertNumQueries(1):
                assert found.book.description == book.description

    def test_django_writes_it_once(self):
        asked = []
        statement = OneRow(lambda pk: asked.append(pk) or Book.objects.filter(pk=pk), 0)
        assert {statement.get(self.book.pk), statement.get(self.book.pk)} == {self.book}
        assert asked == [0]

    def test_no_row_is_none_or_does_not_exist(self):
        statement = OneRow(lambda pk: Book.objects.filter(pk=pk), 0)
        assert statement.first(-1) is None
        with self.assertRaises(Book.DoesNotExist):
            statement.get(-1)

    def test_values_are_turned_into_what_the_fields_hold(self):
        mail = OutgoingMail.objects.create(
            to="ana@example.com", due_at=timezone.now(), headers={"List-Unsubscribe": "<x>"}
        )
        found = OneRow(lambda pk: OutgoingMail.objects.filter(pk=pk), 0).get(mail.pk)
        assert found.headers == {"List-Unsubscribe": "<x>"}

    def test_what_would_be_frozen_into_the_statement_is_refused(self):
        for rows in (
            lambda pk: Book.objects.filter(pk=pk, title="A hora da estrela"),
            lambda pk: Book.objects.filter(pk=self.book.pk),
            lambda pk: Book.objects.filter(pk=pk + 1),
            lambda pk: Book.objects.filter(pk=pk).annotate(other=F("pk")),
            lambda pk: Book.objects.filter(pk=pk).values("title"),
        ):
            with self.assertRaises(ImproperlyConfigured):
                OneRow(rows, 0).first(self.book.pk)
        with self.assertRaises(ImproperlyConfigured):  # the other way round
            OneRow(lambda place, book_id: credits_of(book_id, place), 1, 2).first(0, self.book.pk)


class LockTests(TransactionTestCase):
    def test_a_lock_outside_of_a_transaction_is_refused_the_second_time_too(self):
        book = make_book()
        statement = OneRow(lambda pk: Book.objects.select_for_update().filter(pk=pk), 0)
        with self.assertRaises(TransactionManagementError):
            statement.get(book.pk)
        with transaction.atomic():
            assert statement.get(book.pk) == book
        with self.assertRaises(TransactionManagementError):
            statement.get(book.pk)
