"""Rows that strain every page, and the list of all pages."""

from __future__ import annotations

from typing import NamedTuple

from django.test import Client
from django.utils import timezone

from accounts.models import ShelfItem, User
from accounts.services import record_progress, shelve_book, write_review
from core.models import CLOTHS, HALF_STARS
from debates import mail_links, notices, notifying, services
from debates.models import DebatePost, DebateTopic, DriftReport, Notification, WeeklyReport
from debates.reports import DAY, WEEK, current_week
from tests.factories import (
    make_author,
    make_book,
    make_category,
    make_post,
    make_staff,
    make_topic,
    make_user,
)

DEEPEST = 9
POSTS_BESIDE = 22  # with the thread, more than one page


class Words(NamedTuple):
    """What readers and staff typed."""

    title: str  # of a debate
    book: str
    person: str
    short: str  # a city, a category
    text: str  # Markdown


_LONG = "Incomensurabilissimamente"
STRAINED = Words(
    title=_LONG * 8,  # 200 letters and no place to break
    book=_LONG * 12,
    person="Vozdiferente" * 5,
    short="K" * 80,
    text=f"""{_LONG * 12}

```
{"bloco_de_codigo_sem_espaco_" * 12}
```

> {_LONG * 5}
> > [um endereço](https://example.com/{"caminho" * 40}), ~~riscado~~

1. **{_LONG * 6}** e `{"y" * 120}`
   - *{_LONG * 6}*

https://example.com/{"caminho" * 40}
""",
)
PLAIN = Words(
    title="O que o narrador não conta",
    book="A incomensurável casa d'água",
    person="Outra Voz",
    short="Recife",
    text="""Discordo *em parte*, e **muito**:

> A casa é a [personagem](https://example.com/casa).

1. Leia o `capítulo 7`
   - ~~ou não~~
""",
)


class Visit(NamedTuple):
    """A page to look at: where it is, who asks for it, what is done there, what is answered."""

    path: str
    who: str = ""  # "", "member" or "staff"
    deed: str = ""  # "", or a name in tests.browser.visiting.DEEDS
    status: int = 200


VISITS = {
    "home": Visit("/"),
    "debates_list": Visit("/debates/"),
    "debates_list_of_book": Visit("/debates/?livro={book}"),
    "topic_detail": Visit("/debates/topico/{topic}/"),
    "topic_detail_page_2": Visit("/debates/topico/{topic}/?pagina=2"),
    "topic_detail_locked": Visit("/debates/topico/{locked}/"),
    "book_list": Visit("/livros/"),
    "book_list_nothing": Visit("/livros/?de=2100"),
    "book_list_refused": Visit("/livros/?de=ontem", status=400),
    "book_detail": Visit("/livros/{book}/"),
    "author_detail": Visit("/autores/{author}/"),
    "category_detail": Visit("/categorias/{category}/"),
    "search_empty": Visit("/busca/"),
    "search": Visit("/busca/?q=incomens"),
    "search_one_kind": Visit("/busca/?q=incomens&tipo=debates"),
    "profile": Visit("/leitores/{reader}/"),
    "profile_reviews": Visit("/leitores/{reader}/?aba=resenhas"),
    "profile_topics": Visit("/leitores/{reader}/?aba=debates"),
    "profile_posts": Visit("/leitores/{reader}/?aba=respostas"),
    "login": Visit("/conta/entrar/"),
    "login_refused": Visit("/conta/entrar/", "", "send"),
    "login_forged": Visit("/conta/entrar/", "", "lose the token and send", status=403),
    "sign_up": Visit("/conta/criar/"),
    "sign_up_refused": Visit("/conta/criar/", "", "send", status=422),
    "password_reset": Visit("/conta/senha/nova/"),
    "password_reset_done": Visit("/conta/senha/enviada/"),
    "password_reset_confirm": Visit("/conta/senha/MQ/nenhum-token/"),
    "not_found": Visit("/nada/", status=404),
    "topic_detail_member": Visit("/debates/topico/{topic}/", "member"),
    "topic_detail_own": Visit("/debates/topico/{own}/", "member"),
    "topic_detail_replying": Visit("/debates/post/{post}/", "member", "open the reply form"),
    "topic_detail_voted": Visit("/debates/post/{post}/", "member", "vote"),
    "book_detail_member": Visit("/livros/{book}/", "member"),
    "book_detail_menu": Visit("/livros/{book}/", "member", "open the menu"),
    "profile_own": Visit("/leitores/{reader}/", "member"),
    "edit_profile": Visit("/conta/", "member"),
    "edit_profile_refused": Visit("/conta/", "member", "empty and send", status=422),
    "notifications": Visit("/conta/avisos/", "member"),
    "notifications_page_2": Visit("/conta/avisos/?pagina=2", "member"),
    "unsubscribe": Visit("/conta/avisos/sair/?t={stop}"),
    "unsubscribe_done": Visit("/conta/avisos/sair/?t={mute}", "", "send"),
    "unsubscribe_refused": Visit("/conta/avisos/sair/?t=nada", status=400),
    "password_change": Visit("/conta/senha/", "member"),
    "choose_book": Visit("/debates/novo/", "member"),
    "choose_book_found": Visit("/debates/novo/?q=incomens", "member"),
    "create_topic": Visit("/debates/novo/?livro={book}", "member"),
    "create_topic_refused": Visit("/debates/novo/?livro={book}", "member", "send", status=422),
    "create_topic_logged_out": Visit(
        "/debates/novo/?livro={book}", "member", "lose the session and send", status=403
    ),
    "edit_topic": Visit("/debates/topico/{own}/editar/", "member"),
    "delete_topic": Visit("/debates/topico/{own}/apagar/", "member"),
    "create_post": Visit("/debates/topico/{topic}/responder/", "member"),
    "create_post_answer": Visit("/debates/topico/{topic}/responder/?parent={post}", "member"),
    "create_post_refused": Visit(
        "/debates/topico/{topic}/responder/?parent={post}", "member", "send", status=422
    ),
    "edit_post": Visit("/debates/post/{own_post}/editar/", "member"),
    "delete_post": Visit("/debates/post/{own_post}/apagar/", "member"),
    "record_progress": Visit("/livros/{book}/progresso/", "member"),
    "record_progress_refused": Visit("/livros/{book}/progresso/", "member", "send", status=422),
    "edit_review": Visit("/livros/{book}/resenha/", "member"),
    "edit_review_new": Visit("/livros/{other_book}/resenha/", "member"),
    "delete_review": Visit("/livros/{book}/resenha/apagar/", "member"),
    "staff_overview": Visit("/equipe/", "staff"),
    "topic_detail_staff": Visit("/debates/topico/{topic}/", "staff", "open the menu"),
}


class Site:
    """One of everything that a page can show; ``sessions`` of those who look at it."""

    def __init__(self, words: Words):
        self.words = words
        self.reader = make_user(
            username="r" * 30,
            display_name=words.person[:60],
            city=words.short,
            bio=words.text[:600],
        )
        self.other = make_user(username="outro", display_name=words.person[:50] + " 2")
        self.staff = make_staff(username="equipe", display_name=words.person[:50] + " 3")
        self.author = make_author(name=words.book[:200])
        self.category = make_category(name=words.short)
        self.book = make_book(
            title=words.book, original_title=words.title, description=words.text, year=-725,
            pages=1200, isbn13="9788535902779", language="pt", average_rating="4.21",
            ratings_count=4_780_653, authors=[self.author, make_author(name=words.title)],
        )  # fmt: skip
        self.other_book = make_book(authors=[self.author])
        self.book.categories.add(self.category, make_category(), make_category())
        for _ in range(CLOTHS):
            make_book(authors=[self.author])  # covers of every colour
        self._debates()
        self._reading()
        self._reports()
        self._notices()
        self.sessions = {"": "", "member": _session(self.reader), "staff": _session(self.staff)}

    def _debates(self) -> None:
        reader, book, words = self.reader, self.book, self.words
        self.topic = make_topic(
            creator=self.other, book=book, title=words.title, description=words.text,
            spoiler_percent=10, is_pinned=True,
        )  # fmt: skip
        post = self.post = make_post(self.topic, author=self.other, content=words.text)
        self.own_post = make_post(self.topic, author=reader, parent=post, content=words.text)
        for percent in (60, 90):
            make_post(self.topic, author=self.staff, parent=post, spoiler_percent=percent)
        post = make_post(self.topic, author=self.other)
        services.moderate_post(post=post, actor=self.staff, action="lock")
        removed = post = make_post(self.topic, author=self.other)
        for _ in range(DEEPEST):
            post = make_post(self.topic, author=self.other, parent=post, content=words.text)
        self.deepest = post
        services.delete_post(post=removed, actor=self.other)
        for voter in (reader, self.staff):
            services.vote_post(post=post, user=voter, value=-1)
        for _ in range(POSTS_BESIDE):
            make_post(self.topic, author=self.other)
        self.own = make_topic(book=book, creator=reader, title="חוות החיות ומה שנשאר ממנה")
        self.locked = make_topic(book=book, title="!!!", is_locked=True)

    def _reading(self) -> None:
        shelve_book(user=self.reader, book=self.book, status=ShelfItem.Status.ABANDONED)
        record_progress(user=self.reader, book=self.book, percent=47, page=564, pages=1200)
        for reader, rating in ((self.reader, 1), (self.other, HALF_STARS), (self.staff, 7)):
            write_review(
                user=reader, book=self.book, rating=rating, text=self.words.text,
                has_spoiler=rating == HALF_STARS,
            )  # fmt: skip

    def _reports(self) -> None:
        """What staff see: long numbers, a week that is missing, a night with drift."""
        this, today = current_week(), timezone.localdate()
        for n in {*range(1, 13)} - {4}:
            WeeklyReport.objects.create(
                week=this - n * WEEK, new_members=10**n % 99_999_999, new_topics=n, new_posts=0,
                unanswered_topics=n, first_reply_seconds=400_000 * n,
            )  # fmt: skip
        lines = [{"topic": 1, "counter": self.words.title, "stored": 1, "real": 2}]
        for n in range(30):
            DriftReport.objects.create(night=today - n * DAY, runs=2, drifted=n, lines=lines)

    def _notices(self) -> None:
        """The member follows the debate and was told of all of it, and read a part."""
        named = f"@{self.reader.username} {self.words.text}"
        make_post(self.topic, author=self.other, content=named, spoiler_percent=20)
        for topic in (self.own, make_topic(book=self.book, description=named)):
            make_post(topic, author=self.other, content=named)
        for model in (DebateTopic, DebatePost):
            for row in model.objects.filter(notified_at=None):
                notifying.settle(model, row.pk)
        oldest = Notification.objects.filter(user=self.reader).order_by("pk")
        for notification in oldest[:10]:
            notices.mark_read(self.reader, notification_id=notification.pk)

    def path(self, visit: Visit) -> str:
        return visit.path.format(
            book=self.book.slug, other_book=self.other_book.slug, author=self.author.slug,
            category=self.category.slug, topic=self.topic.slug, own=self.own.slug,
            locked=self.locked.slug, post=self.post.pk, own_post=self.own_post.pk,
            reader=self.reader.username, stop=_token(mail_links.stop_mails(self.other.pk)),
            mute=_token(mail_links.mute_topic(self.other.pk, self.own.pk)),
        )  # fmt: skip

    def post_path(self, post: DebatePost) -> str:
        return f"/debates/post/{post.pk}/"


def _token(link: str) -> str:
    return link.partition("?t=")[2]


def _session(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.session.session_key
