"""A reader and a book: shelf, progress, review; and the public profile."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import services
from accounts.decorators import member_required
from accounts.forms import ProgressForm, ReviewForm, ShelfForm
from accounts.models import BookReview, ShelfItem, User
from core.answers import answer, posted
from core.models import Book
from core.paging import page
from core.ratelimit import limit
from core.refusals import refused
from core.sections import collect


@require_POST
@member_required
@limit("shelve_book")
def shelve_book(request: HttpRequest, slug: str) -> HttpResponse:
    """Put a book on a shelf, or take it off."""
    book = get_object_or_404(Book, slug=slug)
    form = ShelfForm(request.POST)
    if not form.is_valid():
        return refused(request, _("Esta estante não existe."), status=400)
    services.shelve_book(user=request.user, book=book, **form.cleaned_data)
    context = {"book": book, "form": form, "saved": True}
    return answer(request, "accounts/_shelf_form.html", context, else_to=book)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("shelve_book")
def record_progress(request: HttpRequest, slug: str) -> HttpResponse:
    """Record a page or a percentage; a form with errors comes back on a page of its own."""
    book = get_object_or_404(Book, slug=slug)
    form = ProgressForm(posted(request))
    if request.method == "POST" and form.is_valid():
        services.record_progress(user=request.user, book=book, **form.cleaned_data)
        messages.success(request, _("Progresso guardado."))
        return redirect(book)
    status = 422 if form.is_bound else 200
    context = {"book": book, "form": form}
    return render(request, "accounts/record_progress.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("edit_post")
def edit_review(request: HttpRequest, slug: str) -> HttpResponse:
    """Write or rewrite one's review."""
    book = get_object_or_404(Book, slug=slug)
    review = BookReview.objects.filter(user=request.user, book=book).first()
    form = ReviewForm(posted(request), instance=review)
    if request.method == "POST" and form.is_valid():
        services.write_review(user=request.user, book=book, **form.cleaned_data)
        messages.success(request, _("Resenha publicada."))
        return redirect(f"{book.get_absolute_url()}#resenhas")
    status = 422 if form.is_bound else 200
    context = {"book": book, "form": form, "review": review}
    return render(request, "accounts/edit_review.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("edit_post")
def delete_review(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask, then delete one's review."""
    book = get_object_or_404(Book, slug=slug)
    if request.method == "POST":
        if services.delete_review(user=request.user, book=book):
            messages.success(request, _("Resenha apagada."))
        return redirect(book)
    review = get_object_or_404(BookReview, user=request.user, book=book)
    return render(request, "accounts/delete_review.html", {"book": book, "review": review})


@require_safe
def profile(request: HttpRequest, username: str) -> HttpResponse:
    """A reader in public, one list at a time. Queries: the reader, the rows of the tab."""
    reader = get_object_or_404(User.objects.with_login(username), is_active=True)
    if reader.username != username:
        return redirect(reader, permanent=True)
    reviews = BookReview.objects.filter(user=reader).select_related("book", "user").defer("text")
    tabs = {
        "estante": (
            ShelfItem.objects.filter(user=reader).select_related("book"),
            ("-updated_at", "-id"),
        ),
        "resenhas": (reviews, ("-created_at", "-id")),
        **collect("profile", request, reader=reader),
    }
    tab = request.GET.get("aba", "estante")
    if tab not in tabs:
        raise Http404
    rows, order = tabs[tab]
    context = {
        "reader": reader,
        "tab": tab,
        "page": page(rows, order, request.GET, size=settings.ROWS_PER_PAGE),
    }
    return render(request, "accounts/profile.html", context)
