"""debates.0004: a site with a million replies gets notifications and tells nobody of the past."""

from __future__ import annotations

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import TransactionTestCase

from debates import notifying
from debates.models import DebatePost, DebateTopic
from tests.factories import make_post

TABLES = ("debates_debatepost", "debates_debatetopic")


def migrate(*targets: tuple[str, str]) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets) or executor.loader.graph.leaf_nodes())


def files() -> list[int]:
    """Where the tables' rows lie; another place when they were written anew."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_filenode(t::regclass) FROM unnest(%s) t", [list(TABLES)])
        return [number for (number,) in cursor.fetchall()]


class NotificationsMigrationTests(TransactionTestCase):
    def setUp(self):
        self.addCleanup(migrate)

    def test_what_was_there_is_dated_without_being_written_and_what_comes_is_owed(self):
        post = make_post()
        migrate(("debates", "0003_view_batch"))
        before = files()
        migrate()
        assert files() == before
        assert DebatePost.objects.get(pk=post.pk).notified_at
        assert DebateTopic.objects.get(pk=post.topic_id).notified_at
        assert notifying.sweep() == 0
        # as the release before writes it, which does not know the column
        assert make_post(post.topic).notified_at is None

    def test_the_release_before_opens_accounts_meanwhile(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO accounts_user (password, is_superuser, is_staff, is_active, username,"
                " email, display_name, city, bio, date_joined)"
                " VALUES ('!', false, false, true, 'antes', '', '', '', '', now())"
                " RETURNING unread_count, mail_frequency"
            )
            assert cursor.fetchone() == (0, "diario")
