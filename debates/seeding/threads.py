"""Debates, replies and votes, a batch of neighbouring debates at a time.

Within a batch the replies of all debates are written in the order of their times, as on a
real site: a debate's replies lie on many pages of the table, not on one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from core.text import fold
from debates.models import PATH_LEVELS, TITLE_LENGTH, DebatePost, DebateTopic, DebateVote

from . import words
from .chance import Ranking
from .clock import DAY, END
from .copying import NULL, check_foreign_keys, copy, moment, text

ANSWERS_DEBATE = 0.4  # the share of replies to the debate itself
ANSWERS_LAST = 0.35  # and to the reply just before; the rest answers one of the last thirty
DELETED = 0.01
EDITED = 0.05
LOCKED = 0.005
UP = 0.85  # the share of votes that are up

_TOPIC = (
    "id", "book_id", "creator_id", "title", "slug", "folded_title", "description",
    "description_html", "spoiler_percent", "is_pinned", "is_locked", "is_deleted", "deleted_at",
    "deleted_by_id", "created_at", "edited_at", "updated_at", "posts_count", "last_post_id",
    "views_count", "notified_at",
)  # fmt: skip
_POST = (
    "id", "topic_id", "author_id", "parent_id", "path", "depth", "content", "content_html",
    "spoiler_percent", "is_locked", "is_deleted", "deleted_at", "deleted_by_id", "created_at",
    "edited_at", "score", "replies_count", "notified_at",
)  # fmt: skip
_VOTE = ("post_id", "user_id", "value", "created_at")


@dataclass(slots=True)
class Topic:
    """One debate to be made: what was decided before its replies are."""

    id: int
    slug: str
    opened: int
    size: int  # replies
    votes: int
    span: int  # from the opening to the last reply
    is_pinned: bool = False
    is_deleted: bool = False
    visible: int = 0
    last: Post | None = None


class Post:
    """One reply to be made; ``prefix`` is how the paths of its own replies begin."""

    __slots__ = (
        "author", "depth", "id", "is_deleted", "parent", "path", "prefix", "replies", "score",
        "topic", "voters", "when",
    )  # fmt: skip

    def __init__(self, topic: Topic, parent: Post | None, when: int, author: int):
        self.topic, self.parent, self.when, self.author = topic, parent, when, author
        self.id = self.score = self.replies = self.voters = 0
        self.depth: int = parent.depth + 1 if parent else 0
        self.is_deleted = False
        self.path = self.prefix = ""
        if parent:
            parent.replies += 1


@dataclass(frozen=True)
class Batch:
    """What the debates of one batch are made from."""

    topics: Sequence[Topic]
    first_post: int
    people: Ranking
    books: Sequence[tuple[int, str]]  # id, title
    texts: Sequence[words.Text]
    dice: Random


def write(batch: Batch) -> None:
    """Copy the debates of ``batch``, their replies and the votes on them."""
    posts = [post for topic in batch.topics for post in _thread(topic, batch)]
    posts.sort(key=lambda post: post.when)  # stable: an answer stays behind what it answers
    votes: list[str] = []
    for number, post in enumerate(posts, start=batch.first_post):
        _place(post, number)
        if post.voters:
            votes.extend(_votes(post, batch))
    copy(DebateTopic, _TOPIC, _topic_lines(batch))
    copy(DebatePost, _POST, _post_lines(posts, batch))
    copy(DebateVote, _VOTE, votes)
    check_foreign_keys()


def _thread(topic: Topic, batch: Batch) -> list[Post]:
    """Return the replies of ``topic`` in the order of their times, with their voters counted."""
    random, people, dice = batch.dice.random, batch.people, batch.dice
    posts: list[Post] = []
    for place in range(topic.size):
        when = topic.opened + int(topic.span * (place + random()) / topic.size)
        chance, parent = random(), None
        if posts and chance >= ANSWERS_DEBATE:
            back = 1 if chance < ANSWERS_DEBATE + ANSWERS_LAST else 1 + int(random() * 30)
            parent = posts[-min(back, len(posts))]
        post = Post(topic, parent, when, people.draw(dice))
        if random() < DELETED:
            post.is_deleted = True
        else:
            topic.visible += 1
            topic.last = post
        posts.append(post)
    most = people.count - 1  # everybody but the author
    for _vote in range(topic.votes):
        place = int(topic.size * random() ** 2)  # early replies are read by more people
        while posts[place].voters >= most:
            place = (place + 1) % topic.size
        posts[place].voters += 1
    return posts


def _place(post: Post, number: int) -> None:
    """Give ``post`` its id and its path: the first six ancestors' ids and its own."""
    post.id = number
    prefix = post.parent.prefix if post.parent else ""
    post.path = f"{prefix}{number}"
    post.prefix = f"{post.path}," if post.depth < PATH_LEVELS else prefix


def _votes(post: Post, batch: Batch) -> Iterator[str]:
    """Yield a vote of each voter, who are as many different readers, none of them the author."""
    people, random = batch.people, batch.dice.random
    place = int(random() * people.count)
    when = moment(min(END, post.when + int(random() * DAY)))
    for _voter in range(post.voters):
        if place % people.count == post.author:
            place += 1
        value = 1 if random() < UP else -1
        post.score += value
        yield f"{post.id}\t{people.id(place)}\t{value}\t{when}\n"
        place += 1


def _topic_lines(batch: Batch) -> Iterator[str]:
    dice, people = batch.dice, batch.people
    for topic in batch.topics:
        book, book_title = batch.books[int(len(batch.books) * dice.random() ** 3)]
        title = dice.choice(words.TITLES).format(book=book_title)[:TITLE_LENGTH].strip()
        creator = people.id(people.draw(dice))
        opened, last = moment(topic.opened), topic.last
        spoiler = 0 if dice.random() < 0.6 else 10 * dice.randint(1, 10)
        locked = "t" if dice.random() < LOCKED else "f"
        edited = opened if dice.random() < EDITED else NULL
        removed = f"t\t{opened}\t{creator}" if topic.is_deleted else f"f\t{NULL}\t{NULL}"
        views = int(topic.size * (5 + 40 * dice.random())) + dice.randrange(20)
        yield (
            f"{topic.id}\t{book}\t{creator}\t{text(title)}\t{topic.slug}"
            f"\t{fold(title)[:TITLE_LENGTH]}\t{dice.choice(batch.texts).columns}\t{spoiler}"
            f"\t{'t' if topic.is_pinned else 'f'}\t{locked}\t{removed}\t{opened}\t{edited}"
            f"\t{moment(last.when) if last else opened}\t{topic.visible}"
            f"\t{last.id if last else NULL}\t{views}\t{opened}\n"
        )


def _post_lines(posts: Sequence[Post], batch: Batch) -> Iterator[str]:
    random, people = batch.dice.random, batch.people
    texts, different = batch.texts, len(batch.texts)
    for post in posts:
        when, author, chance = moment(post.when), people.id(post.author), random()
        removed = f"t\t{when}\t{author}" if post.is_deleted else f"f\t{NULL}\t{NULL}"
        yield (
            f"{post.id}\t{post.topic.id}\t{author}\t{post.parent.id if post.parent else NULL}"
            f"\t{{{post.path}}}\t{post.depth}\t{texts[int(random() * different)].columns}"
            f"\t{0 if chance < 0.8 else int(chance * 100)}\t{'t' if chance < LOCKED else 'f'}"
            f"\t{removed}\t{when}\t{when if random() < EDITED else NULL}\t{post.score}"
            f"\t{post.replies}\t{when}\n"
        )
