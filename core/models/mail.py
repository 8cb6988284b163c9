"""Mail on its way out."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..queues import BULK, CRITICAL, DEFAULT


class OutgoingMail(models.Model):
    """One mail to one person. ``core.mail`` moves it; its words are gone once it is sent.

    ``claimed_at`` is set before the mail is handed over: as long as neither ``sent_at`` nor
    ``failed_at`` follows, nobody knows whether the server took it.
    """

    # What makes it one: a second mail with the same key is not written.
    key = models.CharField(max_length=120, null=True, unique=True, editable=False)  # noqa: DJ001
    queue = models.CharField(
        _("fila"),
        max_length=10,
        choices=[(name, name) for name in (CRITICAL, DEFAULT, BULK)],
        default=DEFAULT,
    )
    to = models.EmailField(_("para"))
    subject = models.CharField(_("assunto"), max_length=250)
    text = models.TextField(_("texto"), blank=True)
    html = models.TextField("HTML", blank=True)
    headers = models.JSONField(default=dict, blank=True)
    message_id = models.CharField(max_length=120, unique=True)
    created_at = models.DateTimeField(_("escrito em"), default=timezone.now)
    due_at = models.DateTimeField(_("procurado a partir de"))
    claimed_at = models.DateTimeField(_("entregue ao servidor em"), null=True)
    handovers = models.PositiveSmallIntegerField(_("entregas sem resposta"), default=0)
    refusals = models.PositiveSmallIntegerField(_("recusas"), default=0)
    sent_at = models.DateTimeField(_("enviado em"), null=True)
    failed_at = models.DateTimeField(_("desistimos em"), null=True)
    why = models.CharField(_("motivo"), max_length=250, blank=True)

    class Meta:
        verbose_name = _("e-mail enviado pelo site")
        verbose_name_plural = _("e-mails enviados pelo site")
        constraints = [
            models.CheckConstraint(
                condition=Q(sent_at__isnull=True) | Q(failed_at__isnull=True),
                name="mail_sent_or_failed",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(sent_at__isnull=True, failed_at__isnull=True),
                name="mail_waiting",
            ),
            models.Index(fields=["-created_at", "-id"], name="mail_newest"),
            models.Index(fields=["to"], name="mail_by_address"),
            models.Index(
                fields=["-created_at", "-id"],
                condition=Q(failed_at__isnull=False),
                name="mail_failed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}: {self.queue}"
