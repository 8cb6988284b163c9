"""What readers are told."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.text import excerpt

from .. import visibility
from ..querysets import NotificationQuerySet
from .debate import DebatePost, DebateTopic

EXCERPT_LENGTH = 200  # characters


class Notification(models.Model):
    """One reader is told of one post once, or of a debate's opening (no ``post``).

    Written and removed by ``debates.notices`` alone, which moves ``User.unread_count`` with it.
    """

    class Reason(models.TextChoices):
        MENTION = "mencao", _("Menção")
        REPLY = "resposta", _("Resposta")
        FOLLOWED = "debate", _("Debate seguido")
        BOOK = "livro", _("Livro seguido")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        db_index=False,
        verbose_name=_("leitor"),
    )
    topic = models.ForeignKey(
        DebateTopic, models.CASCADE, related_name="+", verbose_name=_("debate")
    )
    post = models.ForeignKey(
        DebatePost,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("resposta"),
    )
    reason = models.CharField(_("motivo"), max_length=10, choices=Reason)
    created_at = models.DateTimeField(_("avisado em"), default=timezone.now, editable=False)
    read_at = models.DateTimeField(_("lido em"), null=True, blank=True, editable=False)
    mailed_at = models.DateTimeField(_("por e-mail em"), null=True, blank=True, editable=False)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("aviso")
        verbose_name_plural = _("avisos")
        constraints = [
            models.UniqueConstraint(fields=["post", "user"], name="notice_once_per_post"),
            models.UniqueConstraint(
                fields=["topic", "user"],
                condition=Q(post__isnull=True),
                name="notice_once_per_opening",
            ),
            models.CheckConstraint(
                condition=Q(reason__in=["mencao", "resposta", "debate", "livro"]),
                name="notice_reason_is_known",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"], name="notice_user_recent"),
            models.Index(
                fields=["user", "topic"], condition=Q(read_at__isnull=True), name="notice_unread"
            ),
            models.Index(
                fields=["read_at"], condition=Q(read_at__isnull=False), name="notice_read_by_age"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.reason} {self.post_id or self.topic_id}"

    @property
    def who(self):
        """Whose words they are; the author of the post, or who opened the debate."""
        return self.post.author if self.post else self.topic.creator

    @property
    def headline(self) -> str:
        """What happened, in a sentence without its full stop."""
        if self.reason == self.Reason.MENTION:
            words = gettext("%(name)s mencionou você")
        elif self.reason == self.Reason.REPLY:
            words = gettext("%(name)s respondeu a você")
        elif self.post_id is None:
            words = gettext("%(name)s abriu um debate")
        else:
            words = gettext("%(name)s respondeu")
        return words % {"name": self.who.name}

    @property
    def target_url(self) -> str:
        return (self.post or self.topic).get_absolute_url()

    @property
    def is_folded(self) -> bool:
        """Whether what was said may not be quoted away from its debate: it tells the plot."""
        if self.post:
            return not visibility.excerpt_of_post_allowed(self.post, self.topic)
        return not visibility.excerpt_allowed(self.topic)

    def words(self, length: int) -> str:
        """The beginning of what was said on one line, ``""`` where that is folded."""
        if self.is_folded:
            return ""
        html = self.post.content_html if self.post else self.topic.description_html
        return excerpt(html, length)

    @property
    def excerpt(self) -> str:
        """As many words as the page of notifications quotes."""
        return self.words(EXCERPT_LENGTH)
