"""What is kept for staff: a week of the community in figures, and what the recount found at night."""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

DRIFT_LINES = 100  # kept of one night; the log has all of them


class WeeklyReport(models.Model):
    """One ISO week of the site's time zone, as it stood when it was counted; never recounted.

    ``debates.reports`` says what each figure counts.
    """

    week = models.DateField(_("semana"), unique=True, help_text=_("A segunda-feira."))
    new_members = models.PositiveIntegerField(_("novos leitores"))
    new_topics = models.PositiveIntegerField(_("novos debates"))
    new_posts = models.PositiveIntegerField(_("novas respostas"))
    unanswered_topics = models.PositiveIntegerField(_("debates sem resposta"))
    first_reply_seconds = models.PositiveIntegerField(
        _("segundos até a primeira resposta"), null=True, blank=True
    )
    created_at = models.DateTimeField(_("contada em"), default=timezone.now)

    class Meta:
        verbose_name = _("relatório da semana")
        verbose_name_plural = _("relatórios da semana")
        ordering = ["-week"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(week__iso_week_day=1), name="weekly_report_begins_on_monday"
            ),
            models.CheckConstraint(
                condition=Q(unanswered_topics__lte=F("new_topics")),
                name="weekly_report_unanswered_are_new",
            ),
        ]

    def __str__(self) -> str:
        return date_format(self.week, "SHORT_DATE_FORMAT")


class DriftReport(models.Model):
    """What the nightly recount looked at and repaired. Runs of the same night add up in one row.

    ``lines`` holds the first ``DRIFT_LINES`` counters that were wrong, as
    ``{"topic": id, "counter": "post.7.score", "stored": 3, "real": 2}``.
    """

    night = models.DateField(_("noite"), unique=True)
    runs = models.PositiveIntegerField(_("vezes que começou"), default=0)
    finished_runs = models.PositiveIntegerField(_("vezes que terminou"), default=0)
    checked = models.PositiveBigIntegerField(_("debates recontados"), default=0)
    drifted = models.PositiveIntegerField(_("debates corrigidos"), default=0)
    lines = models.JSONField(_("contadores errados"), default=list, encoder=DjangoJSONEncoder)

    class Meta:
        verbose_name = _("recontagem")
        verbose_name_plural = _("recontagens")
        ordering = ["-night"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_runs__lte=F("runs")), name="drift_report_finished_were_begun"
            ),
        ]

    def __str__(self) -> str:
        return date_format(self.night, "SHORT_DATE_FORMAT")

    @property
    def sentences(self) -> list[str]:
        """``lines`` in the reader's words."""
        words = gettext("Debate %(topic)s: %(counter)s era %(stored)s, é %(real)s")
        return [words % line for line in self.lines]
