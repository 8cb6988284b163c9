"""Who writes and what there is to read: ``python -m drills.prepare FOLDER [--hasty]``.

A process of its own, because it is the only part that needs the site's models. Writes
``known.json``. ``--hasty`` has Beat send what it sends every minute every few seconds, for a
drill that is over in two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import django

from benchmarks.prepare import log_in

MEMBERS = 240  # so many that no limit of settings.RATES is reached in a quarter of an hour
FORGETFUL = 1_500  # who ask for a new password, one a second: each of them once
PASSWORD = "so-para-o-ensaio-2026"  # noqa: S105  of accounts that live as long as the drill
FOLLOWERS = 3  # of every debate; the first one of two only, and with a mail at once
HASTY_SECONDS = 4


def people(name: str, number: int):
    """``number`` new accounts with an address and a password, called ``name`` and a number."""
    from django.contrib.auth.hashers import make_password

    from accounts.models import User

    hashed = make_password(PASSWORD)
    names = [f"{name}{place:04}" for place in range(number)]
    User.objects.bulk_create(
        [User(username=each, email=f"{each}@example.com", password=hashed) for each in names]
    )
    return User.objects.filter(username__in=names).order_by("pk")


def members() -> list[dict]:
    """Those who write: already logged in."""
    found = log_in(people("ensaio", MEMBERS))
    return [{"pk": pk, "session": key, "token": token} for pk, key, token in found]


def places() -> dict[str, list]:
    """Open debates, replies that can be voted on, and books."""
    from core.models import Book
    from debates.models import DebatePost, DebateTopic

    topics = DebateTopic.objects.filter(is_deleted=False, is_locked=False).order_by("pk")
    posts = DebatePost.objects.filter(is_deleted=False, is_locked=False, topic__in=topics)
    return {
        "topics": list(topics.values("pk", "slug", "views_count")),
        "posts": list(posts.order_by("pk").values_list("pk", flat=True)),
        "books": list(Book.objects.order_by("pk").values("pk", "slug")),
    }


def follow(topics: list[dict]) -> str:
    """Let some follow what is debated; the address of the one who gets a mail of each reply."""
    from accounts.models import User
    from debates.models import Follow

    first, *others = people("seguidora", FOLLOWERS)
    User.objects.filter(pk=first.pk).update(mail_frequency=User.MailFrequency.AT_ONCE)
    pairs = [(first, topic) for topic in topics[:2]]
    pairs += [(user, topic) for user in others for topic in topics]
    Follow.objects.bulk_create(
        [
            Follow(user=user, topic_id=topic["pk"], state=Follow.State.FOLLOW)
            for user, topic in pairs
        ]
    )
    return first.email


def hasten(everything: bool) -> None:
    """Have Beat ask for heartbeats every few seconds, so that a recovery is seen when it happens.

    With ``everything`` all that it sends every minute goes out so often, sweeps too.
    """
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    from core.beat import create_missing_rows

    create_missing_rows()
    often, _made = IntervalSchedule.objects.get_or_create(
        every=HASTY_SECONDS, period=IntervalSchedule.SECONDS
    )
    rows = PeriodicTask.objects.filter(crontab__minute="*", crontab__hour="*")
    if not everything:
        rows = rows.filter(task="core.tasks.heartbeat")
    if not rows.update(crontab=None, interval=often):
        raise LookupError("the schedule has nothing that runs every minute")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hasty", action="store_true")
    asked = parser.parse_args(words)
    os.environ["DJANGO_SETTINGS_MODULE"] = "cgbookstore.settings"
    django.setup()
    forgetful = list(people("esquecida", FORGETFUL).values_list("email", flat=True))
    known = {**places(), "members": members(), "forgetful": forgetful}
    known["at once"] = follow(known["topics"])
    hasten(everything=asked.hasty)
    (asked.folder / "known.json").write_text(json.dumps(known))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
