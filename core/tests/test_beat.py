"""core.beat and Celery's settings: one schedule, told once, and nothing that holds a request."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

from celery.schedules import crontab
from celery.schedules import schedule as every
from django.conf import settings
from django.test import SimpleTestCase, TestCase, TransactionTestCase
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import ModelEntry
from django_celery_beat.utils import aware_now

from cgbookstore.celery import SCHEDULE, app
from core.beat import Scheduler, create_missing_rows


def rows() -> dict[str, PeriodicTask]:
    return {row.name: row for row in PeriodicTask.objects.all()}


class CreateMissingRowsTests(TestCase):
    def test_it_creates_a_row_an_entry_with_its_expiry(self):
        assert set(create_missing_rows()) == set(SCHEDULE)
        made = rows()
        assert set(made) == set(SCHEDULE)
        for name, entry in SCHEDULE.items():
            row = made[name]
            assert row.task == entry["task"]
            assert row.expire_seconds == entry["expire_seconds"]
            assert row.enabled
            assert row.expires is None
            assert row.schedule == entry["schedule"]

    def test_the_hours_are_those_of_sao_paulo(self):
        create_missing_rows()
        assert {str(row.timezone) for row in CrontabSchedule.objects.all()} == {"America/Sao_Paulo"}

    def test_a_second_start_creates_and_changes_nothing(self):
        create_missing_rows()
        before = list(PeriodicTask.objects.order_by("pk").values())
        assert create_missing_rows() == []
        assert list(PeriodicTask.objects.order_by("pk").values()) == before

    def test_another_beat_that_is_faster_is_no_error(self):
        create_missing_rows()
        before = list(PeriodicTask.objects.order_by("pk").values())
        with mock.patch.object(PeriodicTask.objects, "values_list", return_value=[]):
            assert create_missing_rows() == []  # it saw none, and finds each made
        assert list(PeriodicTask.objects.order_by("pk").values()) == before

    def test_what_staff_changed_stays(self):
        create_missing_rows()
        hourly = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.HOURS)
        row = PeriodicTask.objects.get(name="clear-expired-cache")
        row.enabled, row.expire_seconds, row.description = False, 99, "parado por enquanto"
        row.crontab, row.interval = None, hourly
        row.save()
        PeriodicTask.objects.create(name="da-equipe", task="x", interval=hourly)
        before = list(PeriodicTask.objects.order_by("pk").values())
        Scheduler(app=app)
        assert list(PeriodicTask.objects.order_by("pk").values()) == before

    def test_a_row_that_is_gone_comes_back_alone(self):
        create_missing_rows()
        PeriodicTask.objects.get(name="reconcile-counters").delete()
        assert create_missing_rows() == ["reconcile-counters"]


class SchedulerTests(TransactionTestCase):  # Beat closes and commits as it likes
    def entries_of_a_day(self) -> dict[str, ModelEntry]:
        """What Beat has in mind: it loads an entry only in the hours around its run."""
        found = {}
        for hour in range(24):
            at = aware_now().replace(hour=hour)
            with mock.patch("django_celery_beat.schedulers.aware_now", return_value=at):
                found |= Scheduler(app=app).schedule
        return found

    def test_the_effective_schedule_is_the_one_in_celery_py(self):
        found = self.entries_of_a_day()
        assert set(found) == set(SCHEDULE)
        for name, entry in found.items():
            assert entry.task == SCHEDULE[name]["task"]
            assert entry.schedule == SCHEDULE[name]["schedule"]
            # what Beat sends; the parent's own set-up loses it
            assert entry.options["expires"] == SCHEDULE[name]["expire_seconds"]

    def test_no_clean_up_of_the_packages_own_is_installed(self):
        Scheduler(app=app)
        assert "celery.backend_cleanup" not in rows()
        assert "celery.backend_cleanup" not in {row.task for row in rows().values()}

    def test_a_run_survives_a_restart_of_beat(self):
        create_missing_rows()
        ran = timezone.now() - timedelta(minutes=5)
        PeriodicTask.objects.filter(name="clear-expired-cache").update(last_run_at=ran)
        Scheduler(app=app)
        assert rows()["clear-expired-cache"].last_run_at == ran

    def test_there_is_no_second_schedule(self):
        assert not app.conf.beat_schedule
        assert not hasattr(settings, "CELERY_BEAT_SCHEDULE")
        assert app.conf.beat_scheduler == "core.beat:Scheduler"


class ScheduleTests(SimpleTestCase):
    def test_every_task_is_registered(self):
        app.loader.import_default_modules()
        for name, entry in SCHEDULE.items():
            assert entry["task"] in app.tasks, name

    def test_every_entry_expires_before_its_next_run(self):
        for name, entry in SCHEDULE.items():
            with self.subTest(name):
                assert 0 < entry["expire_seconds"] < interval(entry["schedule"]).total_seconds()

    def test_the_interval_of_a_schedule(self):
        assert interval(crontab(minute="0", hour="*/6")) == timedelta(hours=6)
        assert interval(crontab(minute="20", hour="4")) == timedelta(days=1)
        assert interval(every(60)) == timedelta(minutes=1)

    def test_the_owners_clean_up_runs_every_six_hours(self):
        entry = SCHEDULE["clear-expired-cache"]
        assert entry["task"] == "core.tasks.clear_expired_cache"
        assert interval(entry["schedule"]) == timedelta(hours=6)

    def test_the_owners_tasks_have_the_owners_names(self):
        app.loader.import_default_modules()
        for name in (
            "cgbookstore.celery.debug_task",
            "core.tasks.clear_expired_cache",
            "core.tasks.test_async_task",
        ):
            assert name in app.tasks

    def test_a_task_keeps_no_result_unless_somebody_waits_for_it(self):
        app.loader.import_default_modules()
        ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
        keeping = {name for name, task in ours.items() if not task.ignore_result}
        assert keeping == {"core.tasks.test_async_task"}


class SettingsTests(SimpleTestCase):
    """The owner's list, as the application reads it and not as settings.py spells it."""

    def test_json_and_nothing_else(self):
        assert app.conf.accept_content == ["json"]
        assert app.conf.task_serializer == app.conf.result_serializer == "json"

    def test_results(self):
        assert app.conf.result_backend == "django-db"
        assert app.conf.result_expires in (3600, timedelta(hours=1))
        assert app.conf.task_ignore_result is True
        assert app.conf.task_track_started is True

    def test_half_an_hour_at_most_and_a_word_before(self):
        assert app.conf.task_time_limit == 30 * 60
        assert 0 < app.conf.task_soft_time_limit < app.conf.task_time_limit
        # an unfinished task is handed out again after this: not while it may still run
        assert app.conf.broker_transport_options["visibility_timeout"] > app.conf.task_time_limit

    def test_times_are_utc_on_the_wire_and_sao_paulo_on_the_clock(self):
        assert app.conf.timezone == "America/Sao_Paulo" == settings.TIME_ZONE
        assert app.conf.enable_utc is True
        assert settings.USE_TZ is True

    def test_a_dead_broker_holds_no_request(self):
        assert app.conf.task_publish_retry_policy["max_retries"] <= 1
        options = app.conf.broker_transport_options
        assert options["socket_connect_timeout"] <= 1
        assert options["socket_timeout"] <= 5

    def test_nothing_runs_in_the_request_not_even_here(self):
        assert app.conf.task_always_eager is False

    def test_the_broker_is_a_room_of_its_own(self):
        assert app.conf.broker_url == settings.CELERY_BROKER_URL
        assert app.conf.broker_url not in {room["LOCATION"] for room in settings.CACHES.values()}


def interval(schedule: every) -> timedelta:
    """The shortest time between two runs of ``schedule`` within a week."""
    if not isinstance(schedule, crontab):
        return schedule.run_every
    runs = [
        minute
        for minute in range(7 * 24 * 60)
        if minute % 60 in schedule.minute
        and minute // 60 % 24 in schedule.hour
        and minute // 1440 in schedule.day_of_week
    ]
    gaps = [after - before for before, after in zip(runs, runs[1:], strict=False)]
    return timedelta(minutes=min(gaps))
