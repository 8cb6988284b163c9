"""What readers want to hear of."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models import Book

from .debate import DebateTopic


class Follow(models.Model):
    """A reader follows or mutes one debate, or one book. What is said of a debate wins over its book."""

    class State(models.TextChoices):
        FOLLOW = "segue", _("Segue")
        MUTE = "silencia", _("Silencia")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("leitor")
    )
    topic = models.ForeignKey(
        DebateTopic,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("debate"),
    )
    book = models.ForeignKey(
        Book,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("livro"),
    )
    state = models.CharField(_("situação"), max_length=10, choices=State)
    created_at = models.DateTimeField(_("desde"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("debate ou livro seguido")
        verbose_name_plural = _("debates e livros seguidos")
        constraints = [
            # subject first: a fan-out walks the followers of one in the order of their ids
            models.UniqueConstraint(fields=["topic", "user"], name="follow_once_per_topic"),
            models.UniqueConstraint(fields=["book", "user"], name="follow_once_per_book"),
            models.CheckConstraint(
                condition=Q(topic__isnull=True, book__isnull=False)
                | Q(topic__isnull=False, book__isnull=True),
                name="follow_has_one_subject",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["segue", "silencia"]), name="follow_state_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.state} {self.topic_id or self.book_id}"
