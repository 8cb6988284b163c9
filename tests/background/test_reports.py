"""The weekly report through a real worker and a real mail server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from core.enqueue import publish
from core.models import OutgoingMail
from debates.models import WeeklyReport
from debates.reports import WEEK, WEEKS_SHOWN, current_week
from debates.tasks import weekly_report
from tests.factories import make_post, make_staff, make_topic

from .processes import worker

pytestmark = pytest.mark.usefixtures("queues_of_ones_own")


def test_sent_twice_it_is_one_row_a_week_and_one_mail_a_person(sink, tmp_path):
    staff = [make_staff(display_name="Ação").email for _n in range(2)]
    make_post(make_topic())
    User.objects.update(date_joined=timezone.now() - timedelta(days=100))
    with worker(tmp_path / "worker.log", EMAIL_URL=sink.url) as running:
        for times in (1, 2):
            assert publish(weekly_report)
            running.wait_for("Task debates.tasks.weekly_report", times=2 * times)  # and succeeded
            sink.wait_for(len(staff))
        running.wait_for("Task core.tasks.send_mail", times=2 * len(staff))
    assert WeeklyReport.objects.count() == WEEKS_SHOWN
    assert WeeklyReport.objects.first().week == current_week() - WEEK
    assert sorted(mail["To"] for mail in sink.mails) == sorted(staff)
    assert not OutgoingMail.objects.filter(sent_at=None).exists()
    kinds = [part.get_content_type() for part in sink.mails[0].walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    plain, html = (part.get_content() for part in sink.mails[0].iter_parts())
    assert "Até a primeira resposta: –" in plain
    assert '<td align="right">–</td>' in html
