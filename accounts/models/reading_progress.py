"""How far a reader has come in a book."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models import Book


class ReadingProgress(models.Model):
    """``percent`` is what the rest of the site reads; pages are the reader's own edition."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="progress",
        db_index=False,
        verbose_name=_("leitor"),
    )
    book = models.ForeignKey(
        Book, models.CASCADE, related_name="+", db_index=False, verbose_name=_("livro")
    )
    percent = models.PositiveSmallIntegerField(_("porcentagem"))
    page = models.PositiveIntegerField(_("página"), null=True, blank=True)
    pages = models.PositiveIntegerField(_("páginas da edição"), null=True, blank=True)
    updated_at = models.DateTimeField(_("mudou em"), default=timezone.now)

    class Meta:
        verbose_name = _("progresso de leitura")
        verbose_name_plural = _("progressos de leitura")
        constraints = [
            models.UniqueConstraint(fields=["user", "book"], name="progress_once_per_book"),
            models.CheckConstraint(
                condition=Q(percent__range=(0, 100)), name="progress_percent_range"
            ),
            models.CheckConstraint(
                condition=Q(page__isnull=True) | Q(pages__isnull=False, page__lte=F("pages")),
                name="progress_page_within_pages",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-updated_at"], name="idx_progress_user_date"),
            models.Index(fields=["book", "-updated_at"], name="idx_progress_book_date"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.book_id} {self.percent} %"
