"""What the generators send, written from a seeded database: pages, members, posts.

``python -m benchmarks.prepare FOLDER [--drop-indexes]``, a process of its own because it is the
only part that needs the site's models. Writes ``pages.json`` and the files that lua/load.lua
reads. ``--drop-indexes`` takes away what the migrations called ``…_indexes`` added.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import string
import sys
from importlib import import_module
from pathlib import Path

import django

MEMBERS = 5_000
POSTS = 2_000
ONE_POSTS = 20  # the last ones of the file, voted on one after the other
MIXED = 1_000
ORDINARY = 300
CANNOT = "!"  # how Django marks the password of those who have none
LETTERS = string.ascii_lowercase + string.digits


def write(folder: Path, name: str, rows) -> None:
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (folder / name).write_text(text)


def log_in(users) -> list[tuple[int, str, str]]:
    """Write a session a day long for each of ``users``; returns their ids, keys and CSRF tokens."""
    from datetime import timedelta

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.utils import timezone

    store = import_module(settings.SESSION_ENGINE).SessionStore()
    model, until = store.get_model_class(), timezone.now() + timedelta(days=1)
    found, rows = [], []
    for user in users:
        key = "".join(secrets.choice(LETTERS) for _ in range(32))
        data = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        rows.append(model(session_key=key, session_data=store.encode(data), expire_date=until))
        found.append((user.pk, key, secrets.token_hex(16)))
    model.objects.bulk_create(rows, batch_size=1000)
    return found


def members(folder: Path) -> None:
    """Log members in without asking them for a password: their sessions are written at once.

    Those who have one are left to log in themselves: a first log-in may hash the password
    anew, and that ends every other session.
    """
    from accounts.models import User

    readers = User.objects.filter(is_staff=False, is_active=True, password__startswith=CANNOT)
    write(folder, "members.tsv", log_in(readers.order_by("pk")[:MEMBERS]))


def targets(folder: Path, chance: random.Random) -> None:
    """Posts nobody voted on and debates that are open: what members write to."""
    from django.db.models import Exists, Max, Min, OuterRef

    from debates.models import DebatePost, DebateTopic, DebateVote

    ends = DebatePost.objects.aggregate(first=Min("pk"), last=Max("pk"))
    ids = range(ends["first"], ends["last"] + 1)
    wanted = chance.sample(ids, min(len(ids), 20 * POSTS))
    posts = (
        DebatePost.objects.filter(pk__in=wanted, is_deleted=False, is_locked=False)
        .filter(topic__is_deleted=False, topic__is_locked=False)
        .exclude(Exists(DebateVote.objects.filter(post=OuterRef("pk"))))
    )
    found = list(posts.values_list("pk", "author_id"))
    chance.shuffle(found)
    write(folder, "posts.tsv", found[: POSTS + ONE_POSTS])
    open_ones = DebateTopic.objects.filter(is_deleted=False, is_locked=False)
    topics = [topic.get_absolute_url() for topic in open_ones.only("slug")[: 10 * POSTS]]
    write(folder, "topics.tsv", [[path] for path in chance.sample(topics, min(POSTS, len(topics)))])


def pages(folder: Path, chance: random.Random) -> None:
    """The pages that are measured alone, and the thousand that a crowd reads."""
    from django.urls import reverse

    from accounts.models import User
    from core.models import Book
    from core.querysets import BookQuerySet
    from debates.models import DebateTopic
    from debates.seeding.people import PASSWORD, WITH_PASSWORD

    topics = DebateTopic.objects.filter(is_deleted=False, is_locked=False)
    # old ones too: what lies anywhere in the table
    middling = list(topics.filter(posts_count__range=(25, 60)).order_by("pk").only("slug"))
    chosen = chance.sample(middling, min(ORDINARY, len(middling)))
    ordinary = [topic.get_absolute_url() for topic in chosen]
    forty = topics.filter(posts_count__gte=40).order_by("posts_count", "-updated_at").first()
    long = topics.order_by("-posts_count").first()
    books = [book.get_absolute_url() for book in Book.objects.order_by(*BookQuerySet.POPULAR)[:100]]
    known = {
        "home": [reverse("core:home")],
        "list": [reverse("debates:debates_list")],
        "topic": [forty.get_absolute_url()],
        "book": books[:1],
        "long": [long.get_absolute_url()],
        "ordinary": ordinary,
    }
    weights = {"ordinary": 45, "list": 25, "home": 15, "books": 15}
    shelves = {**known, "books": books}
    kinds = chance.choices(list(weights), list(weights.values()), k=MIXED)
    known["mixed"] = [chance.choice(shelves[kind]) for kind in kinds]
    for name, paths in known.items():
        write(folder, f"{name}.tsv", [[path] for path in paths])
    with_one = User.objects.exclude(password__startswith=CANNOT).order_by("pk")
    logins = with_one[:WITH_PASSWORD]
    write(folder, "logins.tsv", [[user.username, PASSWORD] for user in logins])
    facts = {"topic": forty.posts_count, "long": long.posts_count, "ordinary": len(ordinary)}
    (folder / "pages.json").write_text(json.dumps({"paths": known, "posts": facts}))


def drop_indexes() -> list[str]:
    """Drop what the migrations for speed added; returns the names."""
    from django.db import connection, migrations
    from django.db.migrations.loader import MigrationLoader

    names = [
        operation.index.name
        for (app, name), migration in MigrationLoader(connection).disk_migrations.items()
        if app in {"core", "accounts", "debates"} and name.endswith("_indexes")
        for operation in migration.operations
        if isinstance(operation, migrations.AddIndex)
    ]
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP INDEX IF EXISTS {connection.ops.quote_name(name)}")
    return names


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--drop-indexes", action="store_true")
    asked = parser.parse_args(words)
    os.environ["DJANGO_SETTINGS_MODULE"] = "cgbookstore.settings"
    django.setup()
    asked.folder.mkdir(exist_ok=True)
    chance = random.Random(1)
    members(asked.folder)
    targets(asked.folder, chance)
    pages(asked.folder, chance)
    if asked.drop_indexes:
        print("\n".join(drop_indexes()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
