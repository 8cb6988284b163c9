"""What readers put on the catalogue's pages."""

from __future__ import annotations

from django.conf import settings
from django.db.models import FilteredRelation, Q
from django.template.loader import render_to_string

from core.models import HALF_STARS, Book
from core.paging import page
from core.sections import section, section_marks

from .cache import PEOPLE
from .forms import ProgressForm, ShelfForm
from .models import BookReview, ReadingProgress, User

OWN = ("shelf", "progress", "reviews")  # what a reader has at most one of for a book
FACTS = ("percent", "page", "pages")


@section("book_detail", PEOPLE)
def reviews(request, *, book):
    """Reviews, newest first. One query."""
    rows = BookReview.objects.filter(book=book).select_related("user").defer("text")
    total = sum(book.rating_histogram)
    return {
        "reviews": page(rows, ("-created_at", "-id"), request.GET, size=settings.ROWS_PER_PAGE),
        "histogram": [
            {
                "stars": rating / 2,
                "count": book.rating_histogram[rating - 1],
                "percent": round(100 * book.rating_histogram[rating - 1] / total) if total else 0,
            }
            for rating in range(HALF_STARS, 0, -1)
        ],
    }


@section("book_detail")
def own_reading(request, *, book):
    """The reader's shelf, progress and review. One query for a member, none for others."""
    return {"own": _own(request.user, book) if request.user.is_authenticated else None}


@section_marks("book_detail")
def own_reading_marks(request, note, csrf_token):
    """What a member has of the book on its kept page, which is that of somebody who has nothing.

    One query.
    """
    book = Book(**note["book"])
    own, marks = _own(request.user, book), {}
    if own["shelf"] or own["progress"]:
        context = {"book": book, "own": own, "request": None, "csrf_token": csrf_token}
        marks["own"] = render_to_string("accounts/_own_reading.html", context)
    if own["review"]:
        marks["review-label"] = render_to_string("accounts/_review_label.html", {"own": own})
        marks[f"review-{own['review'].pk}"] = render_to_string(
            "accounts/_review_tools.html", {"book_url": book.get_absolute_url()}
        )
    return marks


def _own(user, book):
    """Shelf, progress and review of ``user`` with their forms; the stand-in, id 0, has none. One query."""
    status, progress, review = "", None, None
    if user.pk:
        own = {name: FilteredRelation(name, condition=Q(**{f"{name}__book": book})) for name in OWN}
        found = User.objects.filter(pk=user.pk).annotate(
            **{f"own_{name}": relation for name, relation in own.items()}
        )
        status, review_id, *facts = found.values_list(
            "own_shelf__status", "own_reviews__pk", *(f"own_progress__{name}" for name in FACTS)
        )[0]
        if facts[0] is not None:
            progress = ReadingProgress(**dict(zip(FACTS, facts, strict=True)))
        review = review_id and BookReview(pk=review_id)
    return {
        "shelf": status,
        "progress": progress,
        "review": review,
        "shelf_form": ShelfForm(initial={"status": status or ""}),
        "progress_form": ProgressForm(instance=progress),
    }
