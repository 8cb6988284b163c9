"""The owner's validation script: is what makes the site fast in force, here and now?

    python test_performance.py                       every check
    python test_performance.py test_celery           only this one
    python manage.py shell < test_performance.py     every check

Needs Postgres, Redis and a worker; writes one report and ends with 1 if a line of it says
FALHOU. What it writes is never committed or is taken away again, and no mail is sent, so that
it may run beside readers. Pages come through the whole stack of middleware and views, asked
in this process by Django's test client. No test runner collects it.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import secrets
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple
from unittest import mock

import django
from django.apps import apps

if not apps.ready:  # models can be imported once Django is set up
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cgbookstore.settings")
    django.setup()

from celery.exceptions import TimeoutError as NoAnswer
from django.conf import settings
from django.core.cache import caches
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings

from accounts.models import BookReview, ReadingProgress, User
from accounts.services import write_review
from core import ratelimit
from core.limits import Limit
from core.models import Author, Book, BookAuthor, Category
from core.services import sync_byline
from core.tasks import test_async_task
from debates.models import DebatePost, DebateTopic
from debates.services import create_post, create_topic

__test__ = False  # no test case, whatever its names look like

SENTENCE = "Limite de requisições excedido. Tente novamente mais tarde."
MOST_QUERIES, MOST_QUERIES_OF_MEMBERS = 5, 10  # of a page that no cache answers
MOST_MS = 200
FEW, MANY = 3, 40  # rows in every list
REQUESTS = 5  # whose median is a response time
WORKER_SECONDS = 10
BOTH = "429 no fim"

PAGES = {
    "início": "/",
    "lista de debates": "/debates/",
    "debates de um livro": "/debates/?livro={book}",
    "um debate": "/debates/topico/{topic}/",
    "catálogo": "/livros/",
    "um livro": "/livros/{book}/",
    "um autor": "/autores/{author}/",
    "uma categoria": "/categorias/{category}/",
    "busca": "/busca/?q={word}",
    "um perfil": "/leitores/{word}/",
}

# One request for each row of settings.RATES that the view counts and then turns away, or
# answers without a write.
ASKED = {
    "debates_list": "/debates/",
    "search": "/busca/",
    "create_topic": "/debates/novo/",
    "create_post": "/debates/topico/{topic}/responder/",
    "edit_post": "/debates/post/{post}/editar/",
    "vote_post": "/debates/post/{post}/votar/",
    "shelve_book": "/livros/{book}/estante/",
    "moderate": "/debates/topico/{topic}/moderar/",
    "login": "/conta/entrar/",
    "sign_up": "/conta/criar/",
    "password_change": "/conta/senha/",
    "password_reset": "/conta/senha/nova/",
    "edit_profile": "/conta/",
    "follow": "/debates/topico/{topic}/seguir/",
    "read_notifications": "/conta/avisos/lidos/",
    "unsubscribe": "/conta/avisos/sair/",
}

# The order that each index keeps, which no other index of its table does.
INDEXES = {
    "idx_topic_date": (DebateTopic, ["-created_at"]),
    "idx_topic_book_date": (DebateTopic, ["book_id", "-created_at"]),
    "idx_post_topic_date": (DebatePost, ["topic_id", "-created_at"]),
    "idx_progress_user_date": (ReadingProgress, ["user_id", "-updated_at"]),
    "idx_progress_book_date": (ReadingProgress, ["book_id", "-updated_at"]),
    "idx_review_book_date": (BookReview, ["book_id", "-created_at"]),
    "idx_review_user_date": (BookReview, ["user_id", "-created_at"]),
    "idx_review_book_rating": (BookReview, ["book_id", "rating"]),
}


class Check(NamedTuple):
    """One line of the report."""

    name: str
    value: object  # what was measured
    target: str
    ok: bool


# --- what is asked, by whom, and how nothing of it stays -----------------------------


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction that ends undone, whose rows no cache ever holds."""
    with override_settings(PAGE_CACHE=False), transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def counters_removed() -> Iterator[dict[str, tuple[int, int]]]:
    """Take away, by their keys, the rate counters that are moved inside; yields key → (most, seconds)."""
    moved: dict[str, tuple[int, int]] = {}
    make_key = ratelimit._key

    def remember(group, end, rate, value, method):
        key = make_key(group, end, rate, value, method)
        moved[key] = ratelimit._split(rate)
        return key

    with mock.patch.object(ratelimit, "_key", remember):
        try:
            yield moved
        finally:
            caches[settings.RATELIMIT_USE_CACHE].delete_many(list(moved))


def visitor() -> Client:
    """A browser at one of 192.0.2.0/24, whatever proxies the site counts on.

    That network is nobody's. It says that it is a bot: nobody's reading is counted for one.
    """
    address = f"192.0.2.{random.randrange(1, 255)}"  # noqa: S311  no secret
    return Client(
        SERVER_NAME="localhost",
        REMOTE_ADDR=address,
        HTTP_X_FORWARDED_FOR=", ".join([address] * max(1, settings.TRUSTED_PROXY_HOPS)),
        HTTP_USER_AGENT="Mozilla/5.0 (compatible; cgbookstore-validation-bot/1.0)",
    )


@contextmanager
def logged_in(member: User) -> Iterator[Client]:
    """A browser with a session of ``member``'s; the session is ended, row and cached copy."""
    client = visitor()
    client.force_login(member)
    try:
        yield client
    finally:
        client.logout()


def ask(client: Client, path: str, method: str = "GET", **headers: str):
    """One request, as HTTPS where the site insists on it."""
    return client.generic(
        method,
        path,
        content_type="application/x-www-form-urlencoded",
        secure=getattr(settings, "SECURE_SSL_REDIRECT", False),
        headers=headers,
    )


class Rows:
    """A throw-away member, their book and their debate; for use inside ``rolled_back()``."""

    def __init__(self, **flags: bool):
        self.word = word = f"validacao{secrets.token_hex(4)}"
        # Far above any real id: the counter of a member goes by it.
        self.member = User.objects.create(
            pk=2**48 + secrets.randbits(40), username=word, email=f"{word}@example.invalid",
            password="!", **flags,
        )  # fmt: skip
        self.author = Author.objects.create(name=word, slug=word, folded_name=word)
        self.category = Category.objects.create(name=word, slug=word)
        self.book = self.add_books(1)[0]
        self.topic = self.add_topic(0)
        self.post = create_post(topic=self.topic, author=self.member, content="Uma resposta.")
        write_review(user=self.member, book=self.book, rating=9, text=self.word, has_spoiler=False)

    def add_books(self, number: int) -> list[Book]:
        books = Book.objects.bulk_create(
            Book(
                title=self.word, slug=f"{self.word}-{secrets.token_hex(4)}", language="pt",
                folded_title=self.word, search_text=self.word,
            )
            for _number in range(number)
        )  # fmt: skip
        BookAuthor.objects.bulk_create(BookAuthor(book=book, author=self.author) for book in books)
        self.category.books.add(*books)
        sync_byline([book.pk for book in books])
        return books

    def add_topic(self, number: int) -> DebateTopic:
        return create_topic(
            creator=self.member, book=self.book, title=f"{self.word} {number}", description="Texto."
        )

    def grow(self, number: int) -> None:
        """Add ``number`` rows to every list of ``PAGES``."""
        people = User.objects.bulk_create(
            User(username=f"{self.word}-{secrets.token_hex(4)}", password="!")
            for _number in range(number)
        )
        books = self.add_books(number)
        BookReview.objects.bulk_create(
            [BookReview(user=person, book=self.book, rating=8, text_html="x") for person in people]
            + [BookReview(user=self.member, book=book, rating=8, text_html="x") for book in books]
        )
        for count, person in enumerate(people):
            topic = self.add_topic(count)
            create_post(topic=topic, author=person, content="Uma resposta.")
            parent = self.post if count % 3 else None
            create_post(topic=self.topic, author=person, content="Outra.", parent=parent)

    def path(self, template: str) -> str:
        return template.format(
            word=self.word, book=self.book.slug, topic=self.topic.slug, post=self.post.pk,
            author=self.author.slug, category=self.category.slug,
        )  # fmt: skip


# --- the checks ----------------------------------------------------------------------


def test_cache() -> Iterator[Check]:
    """Set, get and delete in each room of Redis."""
    for alias in settings.CACHES:
        key = f"validacao:{secrets.token_hex(8)}"
        valor = b"valor" if alias == "pages" else "valor"  # pages are bytes
        try:
            caches[alias].set(key, valor, timeout=60)
            value = caches[alias].get(key)
            yield Check(f"{alias}: gravar e ler", value, f"{valor}", value == valor)
        finally:
            caches[alias].delete(key)
        # get() says nothing of a Redis that is gone, so ask only after it answered
        gone = value == valor and caches[alias].get(key) is None
        yield Check(f"{alias}: apagar", "apagada" if gone else "não se sabe", "apagada", gone)


def test_query_performance() -> Iterator[Check]:
    """Whole pages, past every cache, with few rows and with many: the same few statements."""
    with rolled_back(), override_settings(RATELIMIT_ENABLE=False):
        rows = Rows()
        rows.grow(FEW)
        few = dict(_queries(rows))
        rows.grow(MANY - FEW)
        many = dict(_queries(rows))
    for (name, who), count in few.items():
        most = MOST_QUERIES if who == "visitante" else MOST_QUERIES_OF_MEMBERS
        yield Check(
            f"{name}, {who}",
            f"{count} com {FEW} linhas, {many[name, who]} com {MANY}",
            f"iguais, de 1 a {most}",
            0 < count == many[name, who] <= most,  # 0: the probe saw nothing
        )


def _queries(rows: Rows) -> Iterator[tuple[tuple[str, str], int]]:
    for name, template in PAGES.items():
        with logged_in(rows.member) as member:
            for who, client in (("visitante", visitor()), ("leitor", member)):
                with CaptureQueriesContext(connection) as seen:
                    response = ask(client, rows.path(template))
                shown = "{" not in template or rows.word in response.content.decode()
                if response.status_code != 200 or not shown:
                    raise AssertionError(f"{name}: {response.status_code}, ou sem as suas linhas")
                yield (name, who), len(seen)


def test_celery() -> Iterator[Check]:
    """A task through the broker, a real worker and the result's row back."""
    started = time.monotonic()
    # expires: a worker that comes later throws it away
    sent = test_async_task.apply_async(["Performance Test"], expires=2 * WORKER_SECONDS)
    try:
        said = sent.get(timeout=WORKER_SECONDS)
    except NoAnswer:
        said = f"nenhum worker respondeu em {WORKER_SECONDS} s (celery -A cgbookstore worker)"
    finally:
        sent.forget()
    took = f"{said} em {time.monotonic() - started:.1f} s"
    yield Check("ida e volta", took, "Processed: …", said == "Processed: Performance Test")


def test_rate_limiting() -> Iterator[Check]:
    """Each row of settings.RATES is hit: its minute request by request, then its hour.

    The hour's counter has to have counted every one of those requests; it is then moved to
    one below its limit, and two more requests find the limit where it should be.
    """
    on = settings.RATELIMIT_ENABLE
    yield Check("limites", "ligados" if on else "desligados", "ligados", on)
    for name, row in settings.RATES.items():
        if name not in ASKED:
            found = "sem pedido em ASKED"
        elif row.key == "ip":  # past no cache: a page that is kept is counted, too
            found = _hit(row, visitor(), ASKED[name])
        else:
            with rolled_back():
                rows = Rows(is_staff=True)
                with logged_in(rows.member) as client:
                    found = _hit(row, client, rows.path(ASKED[name]))
        target = f"{BOTH} de {row.burst} e {row.rate}"
        yield Check(f"{name} ({row.method})", found, target, found == BOTH)


def _hit(row: Limit, client: Client, path: str) -> str:
    """``BOTH``, or what is wrong with a limit of ``row``."""
    for _attempt in range(3):
        with counters_removed() as moved:
            found = _spend(row, client, path, moved)
        if len(moved) <= 2:
            return found
        # a minute or an hour ended meanwhile, and with it a count: anew
    return "o relógio não deixou contar"


def _spend(row: Limit, client: Client, path: str, moved: dict[str, tuple[int, int]]) -> str:
    """The same, as long as no window of time ends meanwhile: ``moved`` then has two keys."""
    redis = caches[settings.RATELIMIT_USE_CACHE]
    (minute, _period), (hour, longest) = map(ratelimit._split, (row.burst, row.rate))
    ask(client, path, row.method)
    if not moved:
        return f"não contado: {row.burst}, {row.rate}"
    redis.delete_many(list(moved))  # an earlier run may have been killed at this address

    most, sent = min(minute, hour), 1
    while (answer := ask(client, path, row.method)).status_code != 429 and sent <= most:
        sent += 1
    if sent != most + 1 or answer.status_code != 429:
        return f"{answer.status_code} no pedido {sent}"
    hours_key = next((key for key, rate in moved.items() if rate == (hour, longest)), "")
    if redis.get(hours_key) != sent:
        return f"{redis.get(hours_key)} contados no Redis, {sent} pedidos"

    refused = [answer]
    if hour > minute:
        redis.incr(hours_key, hour - 1 - sent)
        for nth, limited in ((hour, False), (hour + 1, True)):
            redis.delete_many([key for key in moved if key != hours_key])
            answer = ask(client, path, row.method)
            if (answer.status_code == 429) is not limited:
                return f"{answer.status_code} no pedido {nth} da hora"
        refused.append(answer)
    for page in refused:
        if (
            not 0 < int(page.get("Retry-After", 0)) <= longest
            or SENTENCE not in page.content.decode()
        ):
            return "429 sem Retry-After ou sem a frase"
    script = ask(client, path, row.method, accept="application/json")
    if script.status_code != 429 or script.json() != {"error": SENTENCE, "status": 429}:
        return "429 sem o JSON para scripts"
    return BOTH


def test_indexes() -> Iterator[Check]:
    """Each is there, valid, and what Postgres takes for its order where it may not sort."""
    for name, (model, order) in INDEXES.items():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indisvalid AND indisready FROM pg_index JOIN pg_class ON oid = indexrelid "
                "WHERE relname = %s AND pg_table_is_visible(oid)",
                [name],
            )
            row = cursor.fetchone()
        if row is None or not row[0]:
            yield Check(name, "falta" if row is None else "inválido", "usado", False)
            continue
        with rolled_back():
            with connection.cursor() as cursor:
                # where rows are few, sorting them costs as little as reading them in order
                cursor.execute(
                    "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; "
                    "SET LOCAL enable_incremental_sort = off"
                )
            plan = model.objects.order_by(*order)[:20].explain()
        used = name in plan and "Sort" not in plan
        yield Check(name, "usado" if used else "não usado", "usado", used)


def test_connection() -> Iterator[Check]:
    """What the settings promise holds on the connection that is open now."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        limit = cursor.fetchone()[0]
    yield Check("statement_timeout", limit, "30s", limit == "30s")
    waits = connection.connection.get_dsn_parameters().get("connect_timeout")
    yield Check("connect_timeout", waits, "10", waits == "10")
    left = 0 if connection.close_at is None else connection.close_at - time.monotonic()
    age = connection.settings_dict["CONN_MAX_AGE"]
    yield Check("CONN_MAX_AGE", age, "600", age == 600 and 0 < left <= age)
    checked = connection.settings_dict["CONN_HEALTH_CHECKS"]
    yield Check("CONN_HEALTH_CHECKS", checked, "True", checked is True)


def test_response_times() -> Iterator[Check]:
    """Pages as a visitor gets them, then pages of our own past every cache."""
    anybody = visitor()
    for name, path in _public_pages():
        yield _timed(f"{name}, visitante", anybody, path)
    with rolled_back():
        rows = Rows()
        rows.grow(MANY)
        with logged_in(rows.member) as member:
            for who, client in (("visitante", anybody), ("leitor", member)):
                for name in PAGES:
                    yield _timed(f"{name}, {who}, sem cache", client, rows.path(PAGES[name]))


def _public_pages() -> Iterator[tuple[str, str]]:
    """The main pages, by rows that are there."""
    for name in ("início", "lista de debates", "catálogo"):
        yield name, PAGES[name]
    topic = DebateTopic.objects.published().select_related("book").order_by("-updated_at").first()
    if topic is not None:
        yield "um debate", topic.get_absolute_url()
        yield "um livro", topic.book.get_absolute_url()


def _timed(name: str, client: Client, path: str) -> Check:
    times, statuses = [], set()
    for _request in range(REQUESTS + 1):
        with counters_removed():
            started = time.perf_counter()
            statuses.add(ask(client, path).status_code)
            times.append((time.perf_counter() - started) * 1000)
    median = statistics.median(times[1:])  # the first one loads templates
    value = f"{median:.1f} ms" if statuses == {200} else f"respostas {sorted(statuses)}"
    return Check(name, value, f"até {MOST_MS} ms", statuses == {200} and median <= MOST_MS)


# --- the report ----------------------------------------------------------------------

SECTIONS = {
    test_cache: "Cache no Redis",
    test_query_performance: "Consultas por página",
    test_celery: "Celery",
    test_rate_limiting: "Limites",
    test_indexes: "Índices",
    test_connection: "Conexão com o banco",
    test_response_times: "Tempo de resposta (mediana)",
}


def main(words: list[str]) -> int:
    """Print the report of the named sections, or of all; return the exit code."""
    names = [section.__name__ for section in SECTIONS]
    parser = argparse.ArgumentParser(description="Validação de desempenho do CGBookStore.")
    parser.add_argument("sections", nargs="*", metavar="SEÇÃO", help=", ".join(names))
    chosen = parser.parse_args(words).sections or names
    if unknown := set(chosen) - set(names):
        parser.error(f"não há {', '.join(sorted(unknown))}")

    database = settings.DATABASES["default"]
    print(f"Banco {database['NAME']} em {database['HOST']}, DEBUG={settings.DEBUG}")
    failed: list[str] = []
    count = 0
    for section, title in SECTIONS.items():
        if section.__name__ not in chosen:
            continue
        print(f"\n{title}")
        with closing(_all_of(section())) as checks:
            for check in checks:
                count += 1
                mark, value = "ok" if check.ok else "FALHOU", str(check.value)
                print(f"  {mark:<6}  {check.name:<42}  {value:<34}  {check.target}", flush=True)
                failed += [] if check.ok else [f"{title}: {check.name}"]
    print("\n" + "\n  ".join([f"{count} verificações, {len(failed)} com falha", *failed]))
    return 1 if failed else 0


def _all_of(section: Iterator[Check]) -> Iterator[Check]:
    try:
        yield from section
    except Exception as error:  # noqa: BLE001  a section that breaks is a line of the report, not its end
        said = " ".join(f"{type(error).__name__}: {error}".split())
        yield Check("a seção não chegou ao fim", said[:200], "nenhum erro", False)


# manage.py shell runs what it reads under its own module's name
if __name__ in {"__main__", "django.core.management.commands.shell"}:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a kill, too, leaves nothing
    logging.disable(logging.CRITICAL)  # what is wrong is in the report
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend"):
        code = main(sys.argv[1:] if __name__ == "__main__" else [])
    sys.exit(code)
