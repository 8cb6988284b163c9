"""The catalogue: authors, categories, books."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ..querysets import AuthorQuerySet, BookQuerySet
from ..row_urls import row_url
from ..text import SLUG_LENGTH, fold

CLOTHS = 8  # colours of generated covers: .cover--cloth-0 to -7 in the stylesheet
HALF_STARS = 10  # a rating is 1 to 10 halves of a star


def empty_histogram() -> list[int]:
    return [0] * HALF_STARS


class Author(models.Model):
    name = models.CharField(_("nome"), max_length=200)
    slug = models.SlugField(_("endereço"), max_length=SLUG_LENGTH, unique=True)
    folded_name = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(_("criado em"), auto_now_add=True)

    objects = AuthorQuerySet.as_manager()

    class Meta:
        verbose_name = _("autor")
        verbose_name_plural = _("autores")
        indexes = [
            models.Index(fields=["folded_name", "id"], name="author_by_name"),
            GinIndex(fields=["folded_name"], opclasses=["gin_trgm_ops"], name="author_search"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, **kwargs) -> None:
        self.derive()
        super().save(**_with(kwargs, "name", "folded_name"))

    def get_absolute_url(self) -> str:
        return row_url("core:author_detail", self.slug)

    def derive(self) -> None:
        """Set what follows from the name; for ``bulk_create``, which skips ``save``."""
        self.folded_name = fold(self.name)[:200]


class Category(models.Model):
    name = models.CharField(_("nome"), max_length=80, unique=True)
    slug = models.SlugField(_("endereço"), max_length=100, unique=True)

    class Meta:
        verbose_name = _("categoria")
        verbose_name_plural = _("categorias")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return row_url("core:category_detail", self.slug)


class Book(models.Model):
    """One work of the catalogue.

    ``byline``, ``search_text``, ``reviews_count`` and ``rating_histogram`` are derived:
    ``core.services.sync_byline`` and ``accounts.services.sync_reviews`` recompute them.
    """

    title = models.CharField(_("título"), max_length=300)
    slug = models.SlugField(_("endereço"), max_length=SLUG_LENGTH, unique=True)
    original_title = models.CharField(_("título original"), max_length=300, blank=True)
    series = models.CharField(
        _("série"),
        max_length=300,
        blank=True,
        help_text=_("Com o número: As Crônicas de Nárnia, #2"),
    )
    authors = models.ManyToManyField(
        Author, through="BookAuthor", related_name="books", verbose_name=_("autores")
    )
    categories = models.ManyToManyField(
        Category, related_name="books", blank=True, verbose_name=_("categorias")
    )
    year = models.SmallIntegerField(
        _("ano"),
        null=True,
        blank=True,
        help_text=_("Da primeira publicação; negativo: antes de Cristo."),
    )
    language = models.CharField(
        _("língua"), max_length=8, blank=True, help_text="ISO 639-1: pt, en, es"
    )
    pages = models.PositiveIntegerField(_("páginas"), null=True, blank=True)
    description = models.TextField(_("descrição"), blank=True, max_length=5000)
    isbn13 = models.CharField("ISBN-13", max_length=13, null=True, blank=True, unique=True)

    # Where an import found it: recommendations will need these.
    source = models.CharField(_("fonte"), max_length=30, blank=True)
    source_id = models.BigIntegerField(_("id na fonte"), null=True, blank=True)
    work_id = models.BigIntegerField(_("id da obra na fonte"), null=True, blank=True)
    average_rating = models.DecimalField(
        _("média na fonte"), max_digits=3, decimal_places=2, null=True, blank=True
    )
    ratings_count = models.PositiveIntegerField(_("avaliações na fonte"), default=0)

    byline = models.CharField(_("autoria"), max_length=500, blank=True, editable=False)
    folded_title = models.CharField(max_length=300, editable=False)
    search_text = models.TextField(blank=True, editable=False)
    reviews_count = models.PositiveIntegerField(_("resenhas"), default=0, editable=False)
    rating_histogram = ArrayField(
        models.PositiveIntegerField(), size=HALF_STARS, default=empty_histogram, editable=False
    )
    created_at = models.DateTimeField(_("no acervo desde"), auto_now_add=True)

    objects = BookQuerySet.as_manager()

    class Meta:
        verbose_name = _("livro")
        verbose_name_plural = _("livros")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "source_id"],
                condition=Q(source_id__isnull=False),
                name="book_once_per_source",
            ),
            models.CheckConstraint(condition=~Q(title=""), name="book_has_title"),
            models.CheckConstraint(
                condition=Q(isbn13__isnull=True) | Q(isbn13__regex=r"^97[89][0-9]{10}$"),
                name="book_isbn13_is_one",
            ),
            models.CheckConstraint(
                condition=Q(average_rating__isnull=True) | Q(average_rating__range=(0, 5)),
                name="book_average_in_range",
            ),
        ]
        indexes = [
            models.Index(F("ratings_count").desc(), F("id").desc(), name="book_popular"),
            models.Index(fields=["folded_title", "id"], name="book_by_title"),
            models.Index(fields=["-created_at", "-id"], name="book_newest"),
            models.Index(
                fields=["language", "-ratings_count", "-id"], name="book_language_popular"
            ),
            models.Index(fields=["work_id"], name="book_work", condition=Q(work_id__isnull=False)),
            GinIndex(fields=["search_text"], opclasses=["gin_trgm_ops"], name="book_search"),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, **kwargs) -> None:
        self.derive()
        super().save(**_with(kwargs, "title", "folded_title", "search_text"))

    def get_absolute_url(self) -> str:
        return row_url("core:book_detail", self.slug)

    @property
    def cloth(self) -> int:
        """Which of the cover colours this book wears."""
        return self.pk % CLOTHS

    @property
    def rating_average(self) -> float | None:
        """The community's average in stars, 0.5 to 5; ``None`` without a review."""
        total = sum(self.rating_histogram)
        if not total:
            return None
        halves = sum(rating * count for rating, count in enumerate(self.rating_histogram, start=1))
        return halves / total / 2

    def derive(self, authors: Iterable[str] | None = None) -> None:
        """Set what follows from the row's own fields; for bulk writes, which skip ``save``.

        ``authors`` are the names in the order of the cover; ``None`` leaves the byline.
        """
        if authors is not None:
            self.byline = ", ".join(authors)[:500]
        self.folded_title = fold(self.title)[:300]
        self.search_text = fold(f"{self.title} {self.original_title} {self.series} {self.byline}")


class BookAuthor(models.Model):
    """One name on a cover, in its order."""

    book = models.ForeignKey(
        Book, models.CASCADE, related_name="credits", db_index=False, verbose_name=_("livro")
    )
    author = models.ForeignKey(
        Author, models.PROTECT, related_name="credits", verbose_name=_("autor")
    )
    position = models.PositiveSmallIntegerField(_("ordem"), default=0)

    class Meta:
        verbose_name = _("autoria")
        verbose_name_plural = _("autorias")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["book", "author"], name="book_author_once"),
        ]

    def __str__(self) -> str:
        return f"{self.book_id}: {self.author_id}"


def _with(kwargs: dict, source: str, *derived: str) -> dict:
    """Add ``derived`` to ``update_fields`` when ``source`` is among them."""
    named = kwargs.get("update_fields")
    if named is not None and source in named:
        kwargs["update_fields"] = {*named, *derived}
    return kwargs
