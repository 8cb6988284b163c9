"""What was acknowledged against what is stored: nothing lost, nothing twice.

Plain SQL and not the site's own models: a second pair of eyes. Each check returns sentences
about what is wrong, and none when all is well.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .ledger import NO, NO_ANSWER, YES, Ledger, Write
from .sink import Sink
from .stage import Stage

RESET = "Senha nova"  # begins the subject of that mail
LATE_SECONDS = 3
RESENT_MOST = 2  # times that one mail may be handed over


@dataclass
class Evidence:
    """What the checks look at. ``disturbed`` are the spans (begin, end) in which mail may come twice."""

    stage: Stage
    ledger: Ledger
    sink: Sink
    disturbed: Sequence[tuple[float, float]]


def replies(seen: Evidence) -> list[str]:
    """Each acknowledged reply is there once, where the answer led."""
    rows = seen.stage.sql(
        "SELECT content, id FROM debates_debatepost WHERE content LIKE 'Ensaio resposta %'"
    )
    stored: dict[tuple, list[str]] = defaultdict(list)
    for content, pk in rows:
        stored[(content,)].append(f"/debates/post/{pk}/")
    return _once("reply", seen.ledger, stored)


def debates(seen: Evidence) -> list[str]:
    """Each acknowledged debate is there once."""
    rows = seen.stage.sql(
        "SELECT title, slug FROM debates_debatetopic WHERE title LIKE 'Ensaio debate %'"
    )
    stored: dict[tuple, list[str]] = defaultdict(list)
    for title, slug in rows:
        stored[(title,)].append(f"/debates/topico/{slug}/")
    return _once("debate", seen.ledger, stored)


def sign_ups(seen: Evidence) -> list[str]:
    """Each acknowledged account is there once."""
    rows = seen.stage.sql("SELECT username FROM accounts_user WHERE username LIKE 'novata%'")
    stored: dict[tuple, list[str]] = defaultdict(list)
    for (name,) in rows:
        stored[(name,)].append("")
    return _once("sign-up", seen.ledger, stored)


def _once(kind: str, ledger: Ledger, stored: dict[tuple, list[str]]) -> list[str]:
    """Acknowledged: once, at its place; refused: not at all; no answer: at most once."""
    wrong, known = [], set()
    for write in ledger.of(kind):
        known.add(write.key)
        places = stored.get(write.key, [])
        least, most = {YES: (1, 1), NO: (0, 0), NO_ANSWER: (0, 1)}[write.said]
        if not least <= len(places) <= most:
            wrong.append(f"{kind} {write.key[0]!r} was {write.said} and is stored {len(places)} ×")
        elif places and write.place and write.place.partition("#")[0] not in places:
            wrong.append(f"{kind} {write.key[0]!r} led to {write.place} and is at {places[0]}")
    strange = set(stored) - known
    return wrong + [f"{kind} {key[0]!r} is stored and nobody asked for it" for key in strange]


def votes(seen: Evidence) -> list[str]:
    """The last word on each vote counts."""
    rows = seen.stage.sql(
        "SELECT post_id, user_id, value FROM debates_debatevote"
        " JOIN accounts_user u ON u.id = user_id WHERE username LIKE 'ensaio%'"
    )
    stored = {(post, user): value for post, user, value in rows}
    return _last_word("vote", seen.ledger, stored, default=0)


def shelves(seen: Evidence) -> list[str]:
    """The last word on each book of each reader counts."""
    rows = seen.stage.sql(
        "SELECT book_id, user_id, status FROM accounts_shelfitem"
        " JOIN accounts_user u ON u.id = user_id WHERE username LIKE 'ensaio%'"
    )
    stored = {(book, user): status for book, user, status in rows}
    return _last_word("shelf", seen.ledger, stored, default="")


def _last_word(kind: str, ledger: Ledger, stored: dict, default: object) -> list[str]:
    wrong = []
    asked = ledger.by_key(kind)
    for key, writes in asked.items():
        allowed = possible(writes, default)
        if stored.get(key, default) not in allowed:
            wrong.append(
                f"{kind} {key} is {stored.get(key, default)!r}, not {sorted(map(repr, allowed))}"
            )
    return wrong + [
        f"{kind} {key} is stored and nobody gave it" for key in set(stored) - set(asked)
    ]


def possible(writes: Sequence[Write], default: object) -> set:
    """What may be stored after ``writes`` in their order: one without an answer may have been done."""
    allowed = {default}
    for write in writes:
        if write.said == YES:
            allowed = {write.value}
        elif write.said == NO_ANSWER:
            allowed.add(write.value)
    return allowed


COUNTERS = {
    "the score of a reply": """
        SELECT p.id, p.score, coalesce(sum(v.value), 0) FROM debates_debatepost p
        LEFT JOIN debates_debatevote v ON v.post_id = p.id
        GROUP BY p.id HAVING p.score <> coalesce(sum(v.value), 0)""",
    "the answers to a reply": """
        SELECT p.id, p.replies_count, count(r.id) FROM debates_debatepost p
        LEFT JOIN debates_debatepost r ON r.parent_id = p.id
        GROUP BY p.id HAVING p.replies_count <> count(r.id)""",
    "the replies of a debate": """
        SELECT t.id, t.posts_count, count(p.id) FROM debates_debatetopic t
        LEFT JOIN debates_debatepost p ON p.topic_id = t.id AND NOT p.is_deleted
        GROUP BY t.id HAVING t.posts_count <> count(p.id)""",
    "the last reply of a debate": """
        SELECT t.id, t.last_post_id, p.id FROM debates_debatetopic t
        LEFT JOIN LATERAL (
            SELECT id, created_at FROM debates_debatepost
            WHERE topic_id = t.id AND NOT is_deleted ORDER BY created_at DESC, id DESC LIMIT 1
        ) p ON true
        WHERE t.last_post_id IS DISTINCT FROM p.id
           OR t.updated_at <> coalesce(p.created_at, t.created_at)""",
}


def counters(seen: Evidence) -> list[str]:
    """What is counted on the rows is what the rows are."""
    return [
        f"{what} {pk} says {said}, and the rows say {real}"
        for what, statement in COUNTERS.items()
        for pk, said, real in seen.stage.sql(statement)
    ]


def views(seen: Evidence) -> list[str]:
    """No debate was read oftener than its page was asked for."""
    before = {topic["slug"]: topic["views_count"] for topic in seen.stage.known["topics"]}
    rows = seen.stage.sql("SELECT slug, views_count FROM debates_debatetopic")
    return [
        f"{slug} counts {count - before.get(slug, 0)} readings of {seen.ledger.reads[slug]}"
        for slug, count in rows
        if count - before.get(slug, 0) > seen.ledger.reads[slug]
    ]


def resets(seen: Evidence) -> list[str]:
    """Each acknowledged mail came once, and none that nobody asked for."""
    came: dict[tuple, set[str]] = defaultdict(set)
    for mail in seen.sink.mails():
        if RESET in mail.subject:
            came[(mail.to,)].add(mail.message_id)
    return _once("reset", seen.ledger, {key: [""] * len(ids) for key, ids in came.items()})


def mails_once(seen: Evidence) -> list[str]:
    """No mail came twice, but for those whose handing over was cut off: these at most twice."""
    deliveries: dict[tuple, list[float]] = defaultdict(list)
    for mail in seen.sink.mails():
        deliveries[mail.to, mail.message_id].append(mail.at)
    wrong = []
    for (to, message), times in deliveries.items():
        excused = any(begin <= min(times) <= end for begin, end in seen.disturbed)
        if len(times) > (RESENT_MOST if excused else 1):
            wrong.append(f"{message} came to {to} {len(times)} ×")
    return wrong


NOT_TOLD = """
    SELECT p.id, f.user_id FROM debates_debatepost p
    JOIN debates_follow f ON f.topic_id = p.topic_id AND f.state = 'segue'
     AND f.created_at < p.created_at AND f.user_id <> p.author_id
    WHERE p.content LIKE 'Ensaio resposta %' AND p.created_at <= to_timestamp({until})
      AND NOT EXISTS (
        SELECT 1 FROM debates_notification n WHERE n.post_id = p.id AND n.user_id = f.user_id)"""
TOLD_WRONGLY = {
    "twice": """
        SELECT post_id, user_id FROM debates_notification WHERE post_id IS NOT NULL
        GROUP BY post_id, user_id HAVING count(*) > 1""",
    "of their own reply": """
        SELECT p.id, n.user_id FROM debates_notification n
        JOIN debates_debatepost p ON p.id = n.post_id AND p.author_id = n.user_id""",
    "and do not follow it": """
        SELECT n.post_id, n.user_id FROM debates_notification n
        JOIN debates_debatepost p ON p.id = n.post_id
        LEFT JOIN debates_debatepost parent ON parent.id = p.parent_id
        WHERE p.content LIKE 'Ensaio resposta %' AND n.user_id IS DISTINCT FROM parent.author_id
          AND NOT EXISTS (
            SELECT 1 FROM debates_follow f WHERE f.topic_id = p.topic_id AND f.user_id = n.user_id)""",
}
UNREAD = """
    SELECT u.id, u.unread_count, count(n.id) FROM accounts_user u
    LEFT JOIN debates_notification n ON n.user_id = u.id AND n.read_at IS NULL
    GROUP BY u.id HAVING u.unread_count <> count(n.id)"""


def not_told(stage: Stage, until: float) -> list[tuple[int, int]]:
    """Replies written until that second of the wall clock, and followers who know nothing of them."""
    return stage.sql(NOT_TOLD.format(until=until))


def notices(seen: Evidence) -> list[str]:
    """Each follower is told of each reply once, and what is unread is counted right."""
    wrong = [
        f"{user} follows the debate of reply {post} and was not told"
        for post, user in not_told(seen.stage, time.time())
    ]
    for how, statement in TOLD_WRONGLY.items():
        wrong += [
            f"{user} was told of reply {post} {how}" for post, user in seen.stage.sql(statement)
        ]
    return wrong + [
        f"{user} has {said} unread, and the rows say {real}"
        for user, said, real in seen.stage.sql(UNREAD)
    ]


def notice_mails(seen: Evidence) -> list[str]:
    """Whoever wants a mail at once gets one for each notification."""
    address = seen.stage.known["at once"]
    told = seen.stage.sql(
        "SELECT count(*) FROM debates_notification n JOIN accounts_user u ON u.id = n.user_id"  # noqa: S608  ours
        f" WHERE u.email = '{address}'"
    )[0][0]
    came = len({mail.message_id for mail in seen.sink.mails() if mail.to == address})
    return [] if came == told else [f"{address} was told {told} × and got {came} mails"]


CHECKS: list[Callable[[Evidence], list[str]]] = [
    replies, debates, sign_ups, votes, shelves, counters, views, resets, mails_once,
    notices, notice_mails,
]  # fmt: skip


def compare(seen: Evidence) -> list[str]:
    """Every sentence of every check."""
    return [sentence for check in CHECKS for sentence in check(seen)]


def mails_on_their_way(
    ledger: Ledger, sink: Sink, *, after: float = 0.0, before: float
) -> tuple[int, float]:
    """How many mails acknowledged between the two seconds have not come; when the last late one came.

    Late is what took more than ``LATE_SECONDS``; 0 when none did.
    """
    came: dict[str, float] = {}
    for mail in sink.mails():
        if RESET in mail.subject:
            came.setdefault(mail.to, mail.at)
    promised = [
        write for write in ledger.of("reset") if write.said == YES and after <= write.at <= before
    ]
    missing = sum(write.key[0] not in came for write in promised)
    times = [
        came[write.key[0]]
        for write in promised
        if came.get(write.key[0], 0.0) > write.at + LATE_SECONDS
    ]
    return missing, max(times, default=0.0)


def tally(seen: Evidence) -> dict[str, int]:
    """How much was compared, for the report."""
    found = {}
    for kind in ("reply", "debate", "vote", "shelf", "sign-up", "reset"):
        said = Counter(write.said for write in seen.ledger.of(kind))
        found[f"{kind} acknowledged"] = said[YES]
        found[f"{kind} without an answer"] = said[NO_ANSWER]
    mails = seen.sink.mails()
    found["mails"] = len(mails)
    found["mails twice"] = len(mails) - len({(mail.to, mail.message_id) for mail in mails})
    found["notifications"] = seen.stage.sql("SELECT count(*) FROM debates_notification")[0][0]
    before = sum(topic["views_count"] for topic in seen.stage.known["topics"])
    now = seen.stage.sql("SELECT sum(views_count) FROM debates_debatetopic")[0][0]
    found["readings asked for"] = sum(seen.ledger.reads.values())
    found["readings counted"] = int(now) - before
    return found
