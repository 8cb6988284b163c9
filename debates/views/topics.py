"""Debates: the list, one debate, opening, changing and removing one."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.decorators import member_required, staff_required
from core.answers import posted, vary_on_htmx
from core.member_pages import no_marks, public_page
from core.models import Book
from core.paging import NUMBER, page
from core.querysets import BookQuerySet
from core.ratelimit import limit
from core.refusals import refused
from core.services import Refused
from core.text import excerpt
from debates import cache, rows, services, visibility
from debates.forms import (
    BookSearchForm,
    NewTopicForm,
    ReplyForm,
    TopicFilterForm,
    TopicForm,
    TopicModerationForm,
)
from debates.marks import topic_marks, topic_note, topic_read
from debates.models import DebatePost, DebateTopic
from debates.querysets import PostQuerySet, TopicQuerySet, attach_own

BOOK_CHOICES = 12
EXCERPT_LENGTH = 160  # characters that search engines show of a description


@require_safe
@limit("debates_list")
@public_page("livro", NUMBER, scopes=cache.list_scopes, marks=no_marks)
def debates_list(request: HttpRequest) -> HttpResponse:
    """Debates, pinned first, then latest activity. Queries: debates, and the filter's book."""
    form = TopicFilterForm(request.GET)
    if not form.is_valid():
        raise Http404
    topics, book = DebateTopic.objects.published().for_list(), form.cleaned_data["livro"]
    if book:
        topics = topics.filter(book=book)
    topics_page = page(
        topics,
        TopicQuerySet.ACTIVE_FIRST,
        request.GET,
        size=settings.TOPICS_PER_PAGE,
        first=None if book else cache.newest_topics,
    )
    context = {"book": book, "page": topics_page}
    return render(request, "debates/debates_list.html", context)


@require_safe
@public_page(NUMBER, scopes=cache.topic_scopes, on_read=topic_read, marks=topic_marks)
def topic_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """A debate and 20 consecutive posts in thread order. Queries: debate, posts; a member's own."""
    topic = get_topic(request, slug)
    posts = DebatePost.objects.filter(topic=topic).in_thread(request.user).for_page()
    posts_page = page(posts, PostQuerySet.THREAD, request.GET, size=settings.POSTS_PER_PAGE)
    for post in attach_own(topic, posts_page.rows, request.user):
        post.topic = topic
        post.shows_words = visibility.shows_words(post, request.user)
        post.is_folded = visibility.is_folded(post, topic)
    is_open = not (topic.is_locked or topic.is_deleted)
    request.note = topic_note(topic, posts_page.rows, is_open=is_open)
    context = {
        "topic": topic,
        "page": posts_page,
        "reply_form": ReplyForm(topic=topic),
        "is_open": is_open,
        "excerpt": _excerpt(topic),
        "state": topic.my_state,
    }
    return render(request, "debates/topic_detail.html", context)


def get_topic(request: HttpRequest, slug: str) -> DebateTopic:
    """Return the debate if this viewer may see it; raise ``Http404`` otherwise. One query."""
    topic = rows.topic_seen_by(is_staff=request.user.is_staff).first(slug)
    if topic is None:
        raise Http404
    return topic


def _excerpt(topic: DebateTopic) -> str:
    """The opening's first words without Markdown, or ``""`` when they may not be quoted."""
    if not visibility.excerpt_allowed(topic):
        return ""
    return excerpt(topic.description_html, EXCERPT_LENGTH)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("create_topic")
def create_topic(request: HttpRequest) -> HttpResponse:
    """Open a debate: choose the book first, then write."""
    if request.method == "POST":
        return _open_topic(request)
    if "livro" not in request.GET:
        return choose_book(request)
    book = get_object_or_404(Book, slug=request.GET["livro"].replace("\x00", ""))
    form = NewTopicForm(initial={"livro": book.slug})
    return render(request, "debates/create_topic.html", {"form": form, "book": book})


def _open_topic(request: HttpRequest) -> HttpResponse:
    form = NewTopicForm(request.POST)
    if form.is_valid():
        book = form.cleaned_data.pop("livro")
        topic = services.create_topic(creator=request.user, book=book, **form.cleaned_data)
        messages.success(request, _("Debate aberto."))
        return redirect(topic)
    context = {"form": form, "book": form.cleaned_data.get("livro")}
    return render(request, "debates/create_topic.html", context, status=422)


@limit("search")
def choose_book(request: HttpRequest) -> HttpResponse:
    """The first step of opening a debate: find the book. One query once something is typed."""
    form = BookSearchForm(request.GET)
    query = form.cleaned_data["q"] if form.is_valid() else ""
    found = Book.objects.matching(query).for_cards()
    context = {
        "form": form,
        "query": query,
        "page": page(found, BookQuerySet.POPULAR, request.GET, size=BOOK_CHOICES),
    }
    part = "debates/_book_choices.html" if request.htmx else "debates/choose_book.html"
    return vary_on_htmx(render(request, part, context))


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("edit_post")
def edit_topic(request: HttpRequest, slug: str) -> HttpResponse:
    """Change the opening words; only the creator, only while it is open."""
    topic = get_topic(request, slug)
    if topic.creator_id != request.user.pk:
        raise Http404
    if request.method != "POST" and (why := services.closed_because(topic)):
        messages.error(request, why)
        return redirect(topic)
    form = TopicForm(posted(request), instance=topic)
    if request.method == "POST" and form.is_valid():
        try:
            topic = services.edit_topic(topic=topic, editor=request.user, **form.cleaned_data)
        except Refused as refusal:
            form.add_error(None, refusal.message)
        else:
            return redirect(topic)
    status = 422 if form.is_bound else 200
    context = {"form": form, "topic": topic, "book": topic.book}
    return render(request, "debates/edit_topic.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("edit_post")
def delete_topic(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask, then remove a debate; only the creator."""
    topic = get_topic(request, slug)
    if topic.creator_id != request.user.pk:
        raise Http404
    if request.method == "POST":
        try:
            services.delete_topic(topic=topic, actor=request.user)
        except Refused as refusal:
            messages.error(request, refusal.message)
            return redirect(topic)
        messages.success(request, _("Debate removido."))
        return redirect("debates:debates_list")
    return render(request, "debates/delete_topic.html", {"topic": topic})


@require_POST
@member_required
@staff_required
@limit("moderate")
def moderate_topic(request: HttpRequest, slug: str) -> HttpResponse:
    """Pin, unpin, lock, unlock, hide or restore a debate."""
    topic = get_topic(request, slug)
    form = TopicModerationForm(request.POST)
    if not form.is_valid():
        return refused(request, _("Esta ação não existe."), status=400)
    services.moderate_topic(topic=topic, actor=request.user, action=form.cleaned_data["action"])
    messages.success(request, _("Feito."))
    return redirect(topic)
