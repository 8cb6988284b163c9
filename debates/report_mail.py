"""The weekly report in the mail of staff."""

from __future__ import annotations

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from accounts.models import User
from core import mail
from core.database import without_statement_timeout
from core.queues import BULK

from . import reports
from .models import WeeklyReport


def tell_staff() -> int:
    """Keep the full weeks that are missing and mail the last one; return how many mails.

    The row of a week and its mails commit together: whoever finds the row has nothing to send.
    """
    with without_statement_timeout():
        report = reports.write_missing()
        return 0 if report is None else _post(report)


def _post(report: WeeklyReport) -> int:
    """Write one mail to each active member of staff with an address; two queries each."""
    staff = User.objects.filter(is_staff=True, is_active=True).exclude(email="").order_by("pk")
    with translation.override(settings.LANGUAGE_CODE):
        lines = reports.lines(report)
        context = {
            "report": report,
            "last_day": report.week + reports.WEEK - reports.DAY,
            "lines": lines,
            "is_compared": any(line.change for line in lines),
            "url": settings.SITE_URL and settings.SITE_URL + reverse("staff_overview"),
        }
        subject, text, html = (
            render_to_string(f"emails/weekly_report{part}", context)
            for part in ("_subject.txt", ".txt", ".html")
        )
    posted = [
        mail.post(
            to=person.email,
            subject=subject,
            text=text,
            html=html,
            queue=BULK,
            key=f"weekly-report:{report.week}:{person.pk}",
        )
        for person in staff
    ]
    return len([one for one in posted if one is not None])
