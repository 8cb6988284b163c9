"""Home, catalogue, search: HTTP only. Each docstring counts the page's queries."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.utils.translation import check_for_language
from django.views.decorators.http import require_safe

from . import scopes
from .answers import safe_next
from .forms import BookFilterForm, SearchForm
from .member_pages import no_marks, public_page
from .models import Author, Book, Category
from .paging import NUMBER, page
from .querysets import BookQuerySet
from .ratelimit import limit
from .sections import collect, marks_of, scopes_of

HOME_BOOKS = 12
SEARCH_PREVIEW = 6
ORDERS = {
    "": BookQuerySet.POPULAR,
    "populares": BookQuerySet.POPULAR,
    "titulo": BookQuerySet.BY_TITLE,
    "novidades": BookQuerySet.NEWEST,
}


def _catalogue_scopes(params: QueryDict, **kwargs) -> list[str]:
    return [scopes.CATALOGUE]


def _home_scopes(params: QueryDict) -> list[str]:
    return [scopes.CATALOGUE, *scopes_of("home")]


def _book_scopes(params: QueryDict, *, slug: str) -> list[str]:
    return [scopes.CATALOGUE, scopes.book(slug), *scopes_of("book_detail")]


@require_safe
@public_page(scopes=_home_scopes, marks=no_marks)
def home(request: HttpRequest) -> HttpResponse:
    """What is being debated, what is new. Queries: books, categories; sections: debates."""
    context = {
        "books": Book.objects.for_cards().newest()[:HOME_BOOKS],
        "categories": Category.objects.all(),
        **collect("home", request),
    }
    return render(request, "core/home.html", context)


@require_safe
@public_page(
    "categoria", "lingua", "ordem", NUMBER,
    scopes=_catalogue_scopes, never=("de", "ate"), marks=no_marks,
)  # fmt: skip
def book_list(request: HttpRequest) -> HttpResponse:
    """The catalogue with its filters. Queries: books, categories (and the chosen one)."""
    form = BookFilterForm(request.GET)
    books, order, status = Book.objects.for_cards(), BookQuerySet.POPULAR, 200
    params = request.GET
    if form.is_valid():
        chosen = form.cleaned_data
        order = ORDERS[chosen["ordem"]]
        books = books.filtered(
            category=chosen["categoria"],
            language=chosen["lingua"],
            first_year=chosen["de"],
            last_year=chosen["ate"],
        )
    else:
        books, params, status = books.none(), QueryDict(), 400
    context = {
        "form": form,
        "page": page(books, order, params, size=settings.BOOKS_PER_PAGE),
    }
    return render(request, "core/book_list.html", context, status=status)


@require_safe
@public_page(NUMBER, scopes=_book_scopes, marks=marks_of("book_detail"))
def book_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """A book. Queries: book, authors, categories; sections: debates, reviews, the reader's own."""
    book = get_object_or_404(Book, slug=slug)
    request.note["book"] = {"id": book.pk, "slug": book.slug}
    context = {
        "book": book,
        "authors": [credit.author for credit in book.credits.select_related("author")],
        "categories": book.categories.all(),
        **collect("book_detail", request, book=book),
    }
    return render(request, "core/book_detail.html", context)


@require_safe
@public_page(NUMBER, scopes=_catalogue_scopes, marks=no_marks)
def author_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """An author's books, most read first. Queries: author, books."""
    author = get_object_or_404(Author, slug=slug)
    books = Book.objects.for_cards().filter(credits__author=author)
    context = {
        "author": author,
        "page": page(books, BookQuerySet.POPULAR, request.GET, size=settings.BOOKS_PER_PAGE),
    }
    return render(request, "core/author_detail.html", context)


@require_safe
@public_page(NUMBER, scopes=_catalogue_scopes, marks=no_marks)
def category_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """A category's books, most read first. Queries: category, books."""
    category = get_object_or_404(Category, slug=slug)
    books = Book.objects.for_cards().filter(categories=category)
    context = {
        "category": category,
        "page": page(books, BookQuerySet.POPULAR, request.GET, size=settings.BOOKS_PER_PAGE),
    }
    return render(request, "core/category_detail.html", context)


@require_safe
@limit("search")
def search(request: HttpRequest) -> HttpResponse:
    """Titles, authors and debates that hold every word. One query a kind shown."""
    form = SearchForm(request.GET)
    context: dict = {"form": form, "query": "", "kind": ""}
    if not form.is_valid():
        return render(request, "core/search.html", context, status=400)
    query, kind = form.cleaned_data["q"], form.cleaned_data["tipo"]
    context |= {"query": query, "kind": kind}
    if query:
        found = {
            "livros": (Book.objects.matching(query).for_cards(), BookQuerySet.POPULAR),
            "autores": (Author.objects.matching(query), ("folded_name", "id")),
            **collect("search", request, query=query),
        }
        size = settings.ROWS_PER_PAGE if kind else SEARCH_PREVIEW
        context["results"] = {
            name: page(rows, order, request.GET, size=size)
            for name, (rows, order) in found.items()
            if kind in {"", name}
        }
    return render(request, "core/search.html", context)


@require_safe
def set_language(request: HttpRequest, code: str) -> HttpResponse:
    """Remember a language in a cookie and go back to ``next``, a path on this site.

    A GET, so that no page for anonymous readers needs a token.
    """
    if not check_for_language(code) or code not in dict(settings.LANGUAGES):
        raise Http404
    response = safe_next(request, request.GET.get("next", ""))
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        code,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite=settings.LANGUAGE_COOKIE_SAMESITE,
    )
    return response
