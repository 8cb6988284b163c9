"""core.paging: the same rows in the same order, by number and by key."""

from __future__ import annotations

import base64
import json

import pytest
from django.http import Http404, QueryDict
from django.test import TestCase

from core.models import Book
from core.paging import NUMBERED_PAGES, page, place
from core.querysets import BookQuerySet
from debates.models import DebatePost

SIZE = 2


def packed(values: list) -> str:
    """A key as a URL carries it, right or wrong."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


class PagingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        # every popularity stands three times, so that the key must break ties
        Book.objects.bulk_create(
            Book(
                title=f"Livro {n:02}",
                slug=f"l-{n}",
                folded_title=f"livro {n:02}",
                ratings_count=n // 3,
            )
            for n in range(27)
        )

    def walk(self, order, step="next", query=""):
        seen = []
        while True:
            found = page(Book.objects.all(), order, QueryDict(query.lstrip("?")), size=SIZE)
            seen.append([book.pk for book in found.rows])
            query = getattr(found, step)
            if not query:
                return seen, found

    def expected(self, order):
        pks = list(Book.objects.order_by(*order).values_list("pk", flat=True))
        return [pks[start : start + SIZE] for start in range(0, len(pks), SIZE)]

    def test_numbers_then_keys_show_every_row_once_in_order(self):
        for order in (BookQuerySet.POPULAR, BookQuerySet.BY_TITLE, BookQuerySet.NEWEST):
            with self.subTest(order=order):
                seen, last = self.walk(order)
                assert seen == self.expected(order)
                assert len(seen) > NUMBERED_PAGES
                assert last.number is None

    def test_the_way_back_from_a_deep_page_shows_the_rows_before_it(self):
        order = BookQuerySet.POPULAR
        query = ""
        for _step in range(12):
            query = page(Book.objects.all(), order, QueryDict(query.lstrip("?")), size=SIZE).next
        deep = page(Book.objects.all(), order, QueryDict(query[1:]), size=SIZE)
        back = page(Book.objects.all(), order, QueryDict(deep.previous[1:]), size=SIZE)
        pages = self.expected(order)
        assert [book.pk for book in deep.rows] == pages[12]
        assert [book.pk for book in back.rows] == pages[11]
        forth = page(Book.objects.all(), order, QueryDict(back.next[1:]), size=SIZE)
        assert [book.pk for book in forth.rows] == pages[12]

    def test_filters_stay_in_the_links(self):
        found = page(
            Book.objects.all(), BookQuerySet.POPULAR, QueryDict("lingua=pt&pagina=2"), size=SIZE
        )
        assert found.previous == "?lingua=pt"
        assert found.next == "?lingua=pt&pagina=3"

    def test_each_page_is_one_query(self):
        deep = self.walk(BookQuerySet.POPULAR)[1].previous[1:]
        for query in ("", "pagina=10", deep):
            with self.subTest(query=query), self.assertNumQueries(1):
                page(Book.objects.all(), BookQuerySet.POPULAR, QueryDict(query), size=SIZE)

    def test_a_page_that_is_none_is_404(self):
        bad = (
            "pagina=0", "pagina=11", "pagina=01", "pagina=00019999", "pagina=0001" + "9" * 20, "pagina=-1", "pagina=x", "pagina=", "pagina=²", "depois=",
            "depois=x", "depois=W10", "depois=bnVsbA", "antes=WzEsMl0x", "depois=%00",
            "depois=WyJhIiwiYiJd", "depois=WyI5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5IiwiMSJd",
            "depois=" + "W1tb" * 5000,
        )  # fmt: skip
        for query in bad:
            with self.subTest(query=query[:40]), pytest.raises(Http404):
                page(Book.objects.all(), BookQuerySet.POPULAR, QueryDict(query), size=SIZE)

    def test_a_key_of_the_wrong_kind_is_404(self):
        order, posts = BookQuerySet.NEWEST, DebatePost.objects.all()
        for values in (
            ["True", 5], ["1", 2], [None, None], [{}, []], ["x", "1"], ["2026-01-01T00:00:00", "1"],
            ["2026-01-01", "1"], [float("inf"), "1"], ["2026-01-01T00:00:00+00:00", "9" * 30],
        ):  # fmt: skip
            with self.subTest(values=values), pytest.raises(Http404):
                page(Book.objects.all(), order, QueryDict(f"depois={packed(values)}"), size=SIZE)
        for path in ("5", "[[1]]", "[Infinity]", '["a"]', f"[{'9' * 30}]", "null", 5, [5]):
            with self.subTest(path=path), pytest.raises(Http404):
                page(posts, ("path",), QueryDict(f"depois={packed([path])}"), size=SIZE)
        with pytest.raises(Http404):
            key = base64.urlsafe_b64encode(b'["\\ud800","1"]').decode()
            page(Book.objects.all(), BookQuerySet.BY_TITLE, QueryDict(f"depois={key}"), size=SIZE)

    def test_a_first_page_without_rows_is_a_page(self):
        found = page(Book.objects.none(), BookQuerySet.POPULAR, QueryDict(), size=SIZE)
        assert found.rows == []
        assert not found.has_neighbours

    def test_an_order_of_two_directions_is_a_mistake(self):
        with pytest.raises(ValueError, match="one direction"):
            page(Book.objects.all(), ("-ratings_count", "id"), QueryDict(), size=SIZE)

    def test_the_place_of_a_row_is_the_page_it_stands_on(self):
        order = BookQuerySet.BY_TITLE
        for book in Book.objects.all():
            query = place(Book.objects.all(), order, book, size=SIZE)
            found = page(Book.objects.all(), order, QueryDict(query.lstrip("?")), size=SIZE)
            assert book in found.rows
