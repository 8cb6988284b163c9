"""accounts.services: shelves, progress, reviews, and a histogram that equals its rows."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import IntegrityError, connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from accounts import services
from accounts.models import BookReview, ReadingProgress, ShelfItem
from core.models import HALF_STARS, Book
from tests.factories import make_book, make_user

Status = ShelfItem.Status


class ServicesTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user, cls.other = make_user(), make_user()
        cls.book, cls.another = make_book(), make_book()

    def shelves(self):
        return list(ShelfItem.objects.values_list("user_id", "book_id", "status"))


class ShelveBookTests(ServicesTestCase):
    def shelve(self, status, user=None):
        return services.shelve_book(user=user or self.user, book=self.book, status=status)

    def test_a_book_stands_on_one_shelf(self):
        for status in Status.values:
            assert self.shelve(status) is True
            assert self.shelves() == [(self.user.pk, self.book.pk, status)]

    def test_a_repeat_changes_nothing(self):
        self.shelve(Status.READ)
        since = ShelfItem.objects.get().updated_at
        assert self.shelve(Status.READ) is False
        assert ShelfItem.objects.get().updated_at == since

    def test_a_move_keeps_the_day_it_was_first_shelved(self):
        self.shelve(Status.WANT)
        first = ShelfItem.objects.get()
        self.shelve(Status.READING)
        moved = ShelfItem.objects.get()
        assert (moved.pk, moved.created_at) == (first.pk, first.created_at)
        assert moved.updated_at > first.updated_at

    def test_empty_takes_it_off_once_and_off_ones_own_shelf_only(self):
        self.shelve(Status.READ)
        self.shelve(Status.READ, self.other)
        assert self.shelve("") is True
        assert self.shelve("") is False
        assert self.shelves() == [(self.other.pk, self.book.pk, Status.READ)]

    def test_an_unknown_shelf_is_refused_by_the_database(self):
        with pytest.raises(IntegrityError, match="shelf_status_is_known"):
            self.shelve("emprestado")


class RecordProgressTests(ServicesTestCase):
    def record(self, percent=10, **values):
        services.record_progress(user=self.user, book=self.book, percent=percent, **values)

    def test_the_last_word_counts(self):
        self.record(24, page=120, pages=500)
        self.record(60)
        row = ReadingProgress.objects.get()
        assert (row.percent, row.page, row.pages) == (60, None, None)
        self.record(25, page=50, pages=200)
        row = ReadingProgress.objects.get()
        assert (row.percent, row.page, row.pages) == (25, 50, 200)

    def test_a_book_that_was_not_being_read_now_is(self):
        for before, after in (
            (None, Status.READING),
            (Status.WANT, Status.READING),
            (Status.READING, Status.READING),
            (Status.READ, Status.READ),
            (Status.REREADING, Status.REREADING),
            (Status.ABANDONED, Status.ABANDONED),
        ):
            with self.subTest(before):
                services.shelve_book(user=self.user, book=self.book, status=before or "")
                self.record()
                assert self.shelves() == [(self.user.pk, self.book.pk, after)]

    def test_other_readers_and_books_keep_theirs(self):
        services.record_progress(user=self.other, book=self.book, percent=90)
        services.record_progress(user=self.user, book=self.another, percent=80)
        self.record(5)
        assert sorted(ReadingProgress.objects.values_list("percent", flat=True)) == [5, 80, 90]

    def test_what_cannot_be_is_refused_by_the_database(self):
        for name, values in (
            ("progress_percent_range", {"percent": 101}),
            ("progress_page_within_pages", {"page": 11, "pages": 10}),
            ("progress_page_within_pages", {"page": 11}),
        ):
            with self.subTest(values), pytest.raises(IntegrityError, match=name):
                self.record(**values)


class WriteReviewTests(ServicesTestCase):
    def write(self, rating=8, user=None, **values):
        words = {"text": "Um *livro*.", "has_spoiler": False, **values}
        return services.write_review(user=user or self.user, book=self.book, rating=rating, **words)

    def assertDerived(self):
        book = Book.objects.get(pk=self.book.pk)
        rows = Counter(BookReview.objects.filter(book=book).values_list("rating", flat=True))
        assert book.reviews_count == rows.total()
        assert book.rating_histogram == [rows[half] for half in range(1, HALF_STARS + 1)]
        return book

    def test_a_review_is_rendered_and_counted(self):
        review = self.write(9, has_spoiler=True)
        review.refresh_from_db()
        assert review.text_html == "<p>Um <em>livro</em>.</p>\n"
        assert (review.stars, review.has_spoiler, review.edited_at) == (4.5, True, None)
        assert self.assertDerived().rating_average == 4.5

    def test_a_reader_has_one_review_a_book_and_rewrites_it(self):
        first = self.write(2)
        second = self.write(10, text="Melhor na segunda vez.")
        assert second.pk == first.pk
        again = BookReview.objects.get()
        assert (again.rating, again.text) == (10, "Melhor na segunda vez.")
        assert again.text_html == "<p>Melhor na segunda vez.</p>\n"
        assert again.created_at == first.created_at
        assert again.edited_at > first.created_at
        self.assertDerived()

    def test_the_histogram_holds_every_rating_in_its_place(self):
        for rating in (1, 10, 10, 5):
            self.write(rating, make_user())
        book = self.assertDerived()
        assert book.rating_histogram == [1, 0, 0, 0, 1, 0, 0, 0, 0, 2]
        assert book.rating_average == 3.25

    def test_a_rating_without_words_is_a_review(self):
        assert self.write(text="").text_html == ""
        self.assertDerived()

    def test_another_books_numbers_stay(self):
        services.write_review(
            user=self.user, book=self.another, rating=1, text="", has_spoiler=False
        )
        self.write(10)
        another = Book.objects.get(pk=self.another.pk)
        assert (another.reviews_count, another.rating_histogram[0]) == (1, 1)

    def test_a_rating_beyond_the_stars_is_refused_by_the_database(self):
        for rating in (0, 11):
            with pytest.raises(IntegrityError, match="review_rating_range"):
                self.write(rating)

    def test_deleting_counts_once_and_takes_ones_own_only(self):
        self.write(3)
        self.write(4, self.other)
        assert services.delete_review(user=self.user, book=self.book) is True
        assert services.delete_review(user=self.user, book=self.book) is False
        assert self.assertDerived().reviews_count == 1
        services.delete_review(user=self.other, book=self.book)
        assert self.assertDerived().rating_average is None

    def test_the_cost_does_not_grow_with_the_reviews(self):
        def queries():
            with CaptureQueriesContext(connection) as seen:
                self.write(7, make_user())
            return len(seen)

        first = queries()
        for _n in range(20):
            self.write(5, make_user())
        assert queries() == first

    def test_the_recount_repairs_what_drifted(self):
        self.write(6)
        Book.objects.filter(pk=self.book.pk).update(
            reviews_count=99, rating_histogram=[9] * HALF_STARS
        )
        services.sync_reviews(self.book.pk)
        assert self.assertDerived().reviews_count == 1
