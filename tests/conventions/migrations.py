"""Rules about migrations: the release before must run on the new schema, and big tables stay writable.

While a release is rolled out both versions run side by side, and after a rollback the older one does
alone. So a release only expands the schema; what it no longer uses goes with a later one, whose
migration says so in a line `# contract: why nobody uses it any more`. docs/operations.md has the steps.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import models
from django.db.migrations import Migration
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.fields import NOT_PROVIDED, PositiveIntegerRelDbTypeMixin

# The newest migration of each app before the first release that was rolled out beside another.
BASELINE = {"accounts": 1, "core": 3, "debates": 3}
# Where a lock that lasts as long as a scan is felt.
BIG = {
    "accounts.readingprogress", "accounts.shelfitem", "accounts.user", "accounts.bookreview",
    "core.book", "core.outgoingmail", "debates.debatepost", "debates.debatetopic",
    "debates.debatevote",
}  # fmt: skip
CONTRACT = re.compile(r"^\s*# contract: \S.*$", re.MULTILINE)
GONE_FOR_THE_OLD_CODE = (
    ops.RemoveField, ops.DeleteModel, ops.RenameField, ops.RenameModel, ops.AlterModelTable,
)  # fmt: skip


def is_after_baseline(app: str, name: str) -> bool:
    return app in BASELINE and int(name[:4]) > BASELINE[app]


def offences(migration: Migration, before: ProjectState, source: str | None = None) -> list[str]:
    """What in ``migration`` breaks the release before it or locks a big table; nothing if it says why.

    ``before`` is the state it starts from and is changed by this.
    """
    text = inspect.getsource(inspect.getmodule(type(migration))) if source is None else source
    app, found, new = migration.app_label, [], set()
    for operation in migration.operations:
        found += [f"{app}.{migration.name}: {what}" for what in _judge(operation, app, before, new)]
        operation.state_forwards(app, before)
        if isinstance(operation, ops.CreateModel):
            new.add(f"{app}.{operation.name_lower}")
    return [] if CONTRACT.search(text) else found


def _judge(operation: Operation, app: str, before: ProjectState, new: set[str]) -> Iterable[str]:
    said = operation.describe()
    if isinstance(operation, GONE_FOR_THE_OLD_CODE):
        yield f"{said}: the release before still asks for it"
    if isinstance(operation, ops.RunSQL):
        yield f"{said}: nobody can judge SQL; say `# contract: …` and why it is harmless"
    if isinstance(operation, ops.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from _judge(inner, app, before, new)
    model = getattr(operation, "model_name_lower", "")
    if not model or f"{app}.{model}" in new:
        return
    if isinstance(operation, ops.AddField):
        yield from _added(operation, said)
    if isinstance(operation, ops.AlterField):
        old = before.models[app, model].fields[operation.name]
        yield from _altered(old, operation.field, said)
    if f"{app}.{model}" in BIG:
        yield from _locks(operation, said)


def _added(operation: ops.AddField, said: str) -> Iterable[str]:
    field = operation.field
    has_value = field.null or field.db_default is not NOT_PROVIDED or field.generated
    if not (has_value or field.many_to_many):
        yield f"{said}: the release before inserts without it; null=True or db_default"


def _altered(old: models.Field, new: models.Field, said: str) -> Iterable[str]:
    if old.null and not new.null and new.db_default is NOT_PROVIDED:
        yield f"{said}: the release before may still write NULL"
    if old.get_internal_type() != new.get_internal_type():
        yield f"{said}: another type rewrites the table and breaks the release before"
    if new.max_length and (old.max_length or 0) > new.max_length:
        yield f"{said}: shorter than what the release before writes"
    if new.unique and not old.unique:
        yield f"{said}: the release before may write it twice"


def _locks(operation: Operation, said: str) -> Iterable[str]:
    if isinstance(operation, ops.AddIndex) and not isinstance(operation, AddIndexConcurrently):
        yield f"{said}: locks a big table; AddIndexConcurrently"
    if isinstance(operation, ops.AddConstraint) and not isinstance(
        operation, AddConstraintNotValid
    ):
        yield f"{said}: scans a big table under a lock; NOT VALID first, then VALIDATE"
    if isinstance(operation, ops.AddField) and isinstance(
        operation.field, PositiveIntegerRelDbTypeMixin
    ):
        yield f"{said}: its CHECK scans a big table; IntegerField and a constraint NOT VALID"
    if isinstance(operation, ops.AddField) and (
        operation.field.db_index or operation.field.unique or operation.field.generated
    ):
        yield f"{said}: builds an index or rewrites a big table; the column first, then the index"
