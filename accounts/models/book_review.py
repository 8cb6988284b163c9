"""What a reader thought of a book."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models import HALF_STARS, Book


class BookReview(models.Model):
    """One review of a reader; ``rating`` counts half stars, 1 to 10."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="reviews",
        db_index=False,
        verbose_name=_("leitor"),
    )
    book = models.ForeignKey(
        Book, models.CASCADE, related_name="reviews", db_index=False, verbose_name=_("livro")
    )
    rating = models.PositiveSmallIntegerField(_("nota em meias estrelas"))
    text = models.TextField(_("resenha"), max_length=10_000, blank=True)
    text_html = models.TextField(blank=True, editable=False)
    has_spoiler = models.BooleanField(_("conta o enredo"), default=False)
    created_at = models.DateTimeField(_("escrita em"), default=timezone.now, editable=False)
    edited_at = models.DateTimeField(_("editada em"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("resenha")
        verbose_name_plural = _("resenhas")
        constraints = [
            models.UniqueConstraint(fields=["user", "book"], name="review_once_per_book"),
            models.CheckConstraint(
                condition=Q(rating__range=(1, HALF_STARS)), name="review_rating_range"
            ),
        ]
        indexes = [
            models.Index(fields=["book", "-created_at", "-id"], name="idx_review_book_date"),
            models.Index(fields=["user", "-created_at", "-id"], name="idx_review_user_date"),
            models.Index(fields=["book", "rating"], name="idx_review_book_rating"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.book_id} {self.stars}"

    @property
    def stars(self) -> float:
        return self.rating / 2
