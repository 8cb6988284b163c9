"""Where a reader keeps a book."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models import Book


class ShelfItem(models.Model):
    class Status(models.TextChoices):
        WANT = "quero-ler", _("Quero ler")
        READING = "lendo", _("Lendo")
        READ = "lido", _("Lido")
        REREADING = "relendo", _("Relendo")
        ABANDONED = "abandonei", _("Abandonei")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="shelf",
        db_index=False,
        verbose_name=_("leitor"),
    )
    book = models.ForeignKey(Book, models.CASCADE, related_name="+", verbose_name=_("livro"))
    status = models.CharField(_("estante"), max_length=12, choices=Status)
    created_at = models.DateTimeField(_("desde"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("mudou em"), default=timezone.now)

    class Meta:
        verbose_name = _("livro na estante")
        verbose_name_plural = _("livros na estante")
        constraints = [
            models.UniqueConstraint(fields=["user", "book"], name="shelf_once_per_book"),
            models.CheckConstraint(
                condition=models.Q(
                    status__in=["quero-ler", "lendo", "lido", "relendo", "abandonei"]
                ),
                name="shelf_status_is_known",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-updated_at", "-id"], name="shelf_user_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.book_id} {self.get_status_display()}"
