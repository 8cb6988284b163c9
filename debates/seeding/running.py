"""From four numbers to a full database."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from accounts.models import User
from core.cache import retire_derived
from core.database import vacuum, without_statement_timeout
from core.models import Book
from core.querysets import BookQuerySet
from core.services import Refused
from debates.models import DebatePost, DebateTopic

from . import marks, people, threads, words
from .books import create_books
from .chance import Ranking, dice, spread
from .clock import DAY, END, SPAN, START
from .copying import reserve

LONGEST = 5_000  # replies of the one debate that everybody knows
LONGEST_DAYS = 60
UNANSWERED = 0.08  # the share of debates without a reply
NOTHING = 1e-9
BATCH_POSTS = 20_000
BATCH_TOPICS = 4_000
BOOKS = 500  # where the catalogue is empty
BOOKS_DEBATED = 10_000  # the most popular ones
BOOKS_ON_SHELVES = 2_000
PINNED = 3

Report = Callable[[str, int, int], None]  # what, how many, of how many


@dataclass(frozen=True)
class Plan:
    """How much to make, and which of the equally plausible sites."""

    topics: int
    posts: int
    users: int
    votes: int
    books: int | None = None  # None: only where there are none
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.topics, self.posts, self.users, self.votes, self.books or 0) < 0:
            raise Refused("Numbers below nothing.")
        if self.posts and not self.topics or self.topics and not self.users:
            raise Refused("Posts need a debate, and a debate somebody who opens it.")
        if self.votes > self.posts * (self.users - 1):
            raise Refused("More votes than one for each post by everybody but its author.")


@dataclass(frozen=True)
class Made:
    """Where to find what was made."""

    first_username: str
    longest_topic: str  # its address; "" without one
    longest_posts: int


def seed(plan: Plan, report: Report, *, reset: bool = False, force: bool = False) -> Made:
    """Make what ``plan`` says in one transaction, then let Postgres look at it.

    Raises ``Refused`` when the database holds readers or debates that were not made here,
    unless ``force``; ``reset`` takes away first what was.
    """
    with without_statement_timeout():
        if not force and (found := marks.strangers()):
            raise Refused(
                f"This database holds {found} that seed_load did not make: "
                "a database of its own is for this, or --force."
            )
        if reset:
            marks.clear()
        made = _make(plan, report)
    retire_derived()
    vacuum(*marks.TABLES)
    return made


def _make(plan: Plan, report: Report) -> Made:
    wanted = plan.books
    if wanted is None:
        wanted = 0 if Book.objects.exists() else BOOKS
    create_books(wanted, dice(plan.seed, "books"))
    texts = words.texts(dice(plan.seed, "texts"))
    readers, number = _readers(plan)
    report("readers", plan.users, plan.users)
    popular = Book.objects.order_by(*BookQuerySet.POPULAR)[:BOOKS_DEBATED]
    books = list(popular.values_list("pk", "title"))
    if plan.users and books:
        on_shelves = [pk for pk, _title in books[:BOOKS_ON_SHELVES]]
        people.fill_shelves(readers, on_shelves, texts, dice(plan.seed, "shelves"))
    longest = ("", 0)
    written = 0
    first_post = reserve(DebatePost, plan.posts)
    for number_of_batch, topics in enumerate(_batches(plan)):
        threads.write(
            threads.Batch(
                topics=topics,
                first_post=first_post + written,
                people=readers,
                books=books,
                texts=texts,
                dice=dice(plan.seed, "batch", number_of_batch),
            )
        )
        written += sum(topic.size for topic in topics)
        longest = max(longest, *((t.slug, t.size) for t in topics), key=lambda pair: pair[1])
        report("posts", written, plan.posts)
    return Made(f"{marks.PREFIX}{number:05d}", *longest)


def _readers(plan: Plan) -> tuple[Ranking, int]:
    number = marks.next_number(User, "username", marks.PREFIX)
    first = reserve(User, plan.users)
    people.create_readers(
        first,
        plan.users,
        prefix=marks.PREFIX,
        mail=marks.MAIL,
        number=number,
        dice=dice(plan.seed, "readers"),
    )
    return Ranking(first, max(1, plan.users)), number


def _batches(plan: Plan) -> Iterator[list[threads.Topic]]:
    """Yield the debates in the order of their openings, some thousands of replies at a time."""
    batch: list[threads.Topic] = []
    posts = 0
    for topic in _topics(plan):
        batch.append(topic)
        posts += topic.size
        if posts >= BATCH_POSTS or len(batch) >= BATCH_TOPICS:
            yield batch
            batch, posts = [], 0
    if batch:
        yield batch


def _topics(plan: Plan) -> Iterator[threads.Topic]:
    chance = dice(plan.seed, "topics")
    first = reserve(DebateTopic, plan.topics)
    number = marks.next_number(DebateTopic, "slug", f"{marks.PREFIX}-")
    longest = int(plan.topics * (1 - LONGEST_DAYS * DAY / SPAN))
    voted = posts = 0
    for place, size in enumerate(_sizes(plan, longest)):
        opened = START + int((SPAN - DAY) * (place + chance.random()) / plan.topics)
        quiet = END - opened
        span = min(quiet, int(DAY * chance.lognormvariate(2.0, 1.5)))
        posts += size
        votes = plan.votes * posts // plan.posts - voted if plan.posts else 0
        voted += votes
        pinned = plan.topics - place <= PINNED
        yield threads.Topic(
            id=first + place,
            slug=f"{marks.PREFIX}-{number + place}",
            opened=opened,
            size=size,
            votes=votes,
            span=quiet if place == longest else span,
            is_pinned=pinned,
            is_deleted=not pinned and place != longest and chance.random() < threads.DELETED,
        )


def _sizes(plan: Plan, longest: int) -> array:
    """Return the number of replies of each debate: one very long, most of them short."""
    if plan.topics < 2:
        return array("Q", [plan.posts] * plan.topics)
    chance = dice(plan.seed, "sizes")
    long = min(LONGEST, plan.posts // 2)
    weights = [
        NOTHING if chance.random() < UNANSWERED else chance.lognormvariate(1.8, 1.1)
        for _ in range(plan.topics - 1)
    ]
    sizes = spread(plan.posts - long, weights)
    sizes.insert(longest, long)
    return sizes
