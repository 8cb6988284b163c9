"""What readers put on the catalogue's pages."""

from __future__ import annotations

from django.conf import settings

from core.models import HALF_STARS
from core.paging import page
from core.sections import section

from .cache import PEOPLE
from .forms import ProgressForm, ShelfForm
from .models import BookReview, ReadingProgress, ShelfItem


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
    """The reader's shelf, progress and review. Three queries for a member, none for others."""
    if not request.user.is_authenticated:
        return {"own": None}
    mine = {"user": request.user, "book": book}
    shelf = ShelfItem.objects.filter(**mine).first()
    progress = ReadingProgress.objects.filter(**mine).first()
    return {
        "own": {
            "shelf": shelf,
            "progress": progress,
            "review": BookReview.objects.filter(**mine).first(),
            "shelf_form": ShelfForm(initial={"status": shelf.status if shelf else ""}),
            "progress_form": ProgressForm(instance=progress),
        }
    }
