"""A migration after the baseline is one that the release before survives, and says so if it is not."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

from tests.conventions import migrations
from tests.faults.servers import ask
from tests.faults.visitor import Visitor
from tests.servers import web_server

POST = "debatepost"
BAD = {
    "removed field": operations.RemoveField(POST, "content"),
    "renamed field": operations.RenameField(POST, "content", "text"),
    "removed model": operations.DeleteModel("DebatePost"),
    "renamed model": operations.RenameModel("DebatePost", "Post"),
    "new column without a value": operations.AddField(POST, "mood", models.IntegerField(default=0)),
    "no longer null": operations.AlterField(POST, "note", models.CharField(max_length=80)),
    "shorter": operations.AlterField(POST, "note", models.CharField(max_length=8, null=True)),
    "another type": operations.AlterField(POST, "note", models.TextField(null=True)),
    "unique": operations.AlterField(
        POST, "note", models.CharField(max_length=80, null=True, unique=True)
    ),
    "SQL": operations.RunSQL("SELECT 1"),
    "hidden in a pair": operations.SeparateDatabaseAndState(
        database_operations=[operations.RunSQL("SELECT 1")]
    ),
    "index under a lock": operations.AddIndex(POST, models.Index(fields=["note"], name="x")),
    "constraint under a lock": operations.AddConstraint(
        POST, models.UniqueConstraint(fields=["note"], name="x")
    ),
    "new column with a CHECK": operations.AddField(
        POST, "mood", models.PositiveIntegerField(null=True)
    ),
    "new column with an index": operations.AddField(
        POST, "mood", models.IntegerField(null=True, db_index=True)
    ),
}
GOOD = {
    "new table": operations.CreateModel("Mark", [("id", models.BigAutoField(primary_key=True))]),
    "null": operations.AddField(POST, "mood", models.IntegerField(null=True)),
    "a value of the database": operations.AddField(
        POST, "mood", models.IntegerField(default=0, db_default=0)
    ),
    "index without a lock": AddIndexConcurrently(POST, models.Index(fields=["note"], name="x")),
    "constraint that looks at new rows": AddConstraintNotValid(
        POST, models.CheckConstraint(condition=~models.Q(note=""), name="x")
    ),
    "constraint looked at later": ValidateConstraint(POST, "x"),
    "small table": operations.AddIndex("mark", models.Index(fields=["id"], name="x")),
    "longer": operations.AlterField(POST, "note", models.CharField(max_length=90, null=True)),
    "data": operations.RunPython(operations.RunPython.noop),
}


def state() -> ProjectState:
    found = ProjectState()
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("content", models.TextField()),
        ("note", models.CharField(max_length=80, null=True)),
    ]
    found.add_model(ModelState("debates", "DebatePost", fields))
    return found


def judged(*found: operations.base.Operation, source: str = "") -> list[str]:
    migration = Migration("0099_x", "debates")
    migration.operations = list(found)
    before = state()
    return migrations.offences(migration, before, source)


class TestRule:
    def test_the_tree_keeps_it(self):
        loader = MigrationLoader(None)
        found, seen = [], set()
        for (app, name), migration in sorted(loader.disk_migrations.items()):
            seen.add(app)
            if migrations.is_after_baseline(app, name):
                before = loader.project_state((app, name), at_end=False)
                found += migrations.offences(migration, before)
        assert set(migrations.BASELINE) <= seen
        assert found == []

    @pytest.mark.parametrize("what", BAD)
    def test_it_finds_what_it_is_for(self, what):
        assert len(judged(BAD[what])) == 1
        why = "# contract: gone from the code since 1.4\n"
        assert judged(BAD[what], source=why) == []
        assert judged(BAD[what], source="# contract:\n") != []

    @pytest.mark.parametrize("what", GOOD)
    def test_it_lets_the_rest_pass(self, what):
        first = [GOOD["new table"]] if what == "small table" else []
        assert judged(*first, GOOD[what]) == []

    def test_the_baseline_begins_where_it_says(self):
        newest = migrations.BASELINE["debates"]
        assert not migrations.is_after_baseline("debates", f"{newest:04}_x")
        assert migrations.is_after_baseline("debates", f"{newest + 1:04}_x")
        assert not migrations.is_after_baseline("auth", "0999_x")

    def test_every_big_table_exists(self):
        assert {model._meta.label_lower for model in apps.get_models()} >= migrations.BIG


EXPANDED = [
    "ALTER TABLE debates_debatepost ADD COLUMN mood integer NOT NULL DEFAULT 0",
    "ALTER TABLE debates_debatetopic ADD COLUMN summary text",
    "CREATE TABLE debates_mark (id bigint PRIMARY KEY, post_id bigint REFERENCES debates_debatepost)",
    "CREATE INDEX CONCURRENTLY debates_by_mood ON debates_debatepost (mood)",
]
BROKEN = "ALTER TABLE debates_debatepost ALTER COLUMN mood DROP DEFAULT"
OPEN_TOPIC = "SELECT slug FROM debates_debatetopic WHERE NOT is_locked AND NOT is_deleted LIMIT 1"


def test_this_code_runs_on_the_schema_of_a_release_to_come(pair):
    """What the rule lets pass is survived by running code; what it refuses is not."""
    url = pair.new_site("expanded")
    ((slug,),) = ask(url, OPEN_TOPIC)
    with web_server(
        DATABASE_URL=url, REDIS_URL=pair.redis_url, CACHE_KEY_PREFIX="expanded"
    ) as address:
        member = Visitor(address).log_in()

        def reply(words: str) -> int:
            path = f"/debates/topico/{slug}/responder/"
            return member.post(path, content=words, spoiler_percent=0).status

        assert reply("Antes.") == 302
        for statement in EXPANDED:
            ask(url, statement)
        assert reply("Depois.") == 302
        assert member.get(f"/debates/topico/{slug}/").status == 200
        ask(url, BROKEN)
        assert reply("Nunca.") == 500
