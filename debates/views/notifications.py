"""What a reader is told, and of what they want to hear: HTTP only."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.core.signing import BadSignature
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.decorators import member_required
from core.answers import safe_next
from core.models import Book
from core.paging import page
from core.ratelimit import limit
from core.refusals import refused
from debates import following, mail_links, notice_mails, notices
from debates.forms import FollowForm, ReadForm
from debates.models import DebateTopic, Notification
from debates.querysets import NotificationQuerySet

from .topics import get_topic


@never_cache
@require_safe
@member_required
def notifications(request: HttpRequest) -> HttpResponse:
    """The reader's notifications, newest first, gathered by debate. One query."""
    rows = Notification.objects.filter(user=request.user).told().for_page()
    found = page(rows, NotificationQuerySet.NEWEST, request.GET, size=settings.ROWS_PER_PAGE)
    context = {"page": found, "groups": notices.by_topic(found.rows)}
    return render(request, "debates/notifications.html", context)


@require_POST
@member_required
@limit("read_notifications")
def open_notification(request: HttpRequest, notification_id: int) -> HttpResponse:
    """Mark one as read and go where it leads."""
    rows = Notification.objects.filter(user=request.user).told().for_page()
    row = get_object_or_404(rows, pk=notification_id)
    notices.mark_read(request.user, notification_id=row.pk)
    return redirect(row.target_url)


@require_POST
@member_required
@limit("read_notifications")
def read_notifications(request: HttpRequest) -> HttpResponse:
    """Mark the notifications of one debate, or all of them, as read."""
    form = ReadForm(request.POST)
    if not form.is_valid():
        return refused(request, _("Este debate não existe."), status=400)
    read = notices.mark_read(request.user, topic_id=form.cleaned_data["topic"])
    told = ngettext("%(n)d aviso marcado como lido.", "%(n)d avisos marcados como lidos.", read)
    messages.success(request, told % {"n": read})
    default = reverse("debates:notifications")
    return safe_next(request, form.cleaned_data["next"], default=default)


@require_POST
@member_required
@limit("follow")
def follow_topic(request: HttpRequest, slug: str) -> HttpResponse:
    """Follow or mute a debate, or take either back."""
    topic = get_topic(request, slug)
    return _follow(request, topic, topic=topic)


@require_POST
@member_required
@limit("follow")
def follow_book(request: HttpRequest, slug: str) -> HttpResponse:
    """Follow or mute the debates on a book, or take either back."""
    book = get_object_or_404(Book.objects.only("title", "slug"), slug=slug)
    return _follow(request, book, book=book)


def _follow(request: HttpRequest, subject: Book | DebateTopic, **named) -> HttpResponse:
    form = FollowForm(request.POST)
    if not form.is_valid():
        return refused(request, _("Esta escolha não existe."), status=400)
    state = form.cleaned_data["state"]
    following.set_state(user=request.user, state=state, **named)
    messages.success(request, following.told(state, of_book="book" in named))
    return redirect(subject)


@csrf_exempt  # the signature is the authority: a mail program's one click has neither cookie nor token
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@limit("unsubscribe")
def unsubscribe(request: HttpRequest) -> HttpResponse:
    """Ask, then end the mails or mute a debate or book, for the reader whom the link names (RFC 8058)."""
    try:
        user_id, topic_id, book_id = mail_links.read(request.GET.get("t", ""))
    except BadSignature:
        sentence = _("Este link não vale: talvez o programa de e-mail o tenha cortado.")
        return refused(request, sentence, status=400)
    topic = book = None
    if topic_id is not None:
        topics = DebateTopic.objects.published().only("title", "slug")
        topic = get_object_or_404(topics, pk=topic_id)
    if book_id is not None:
        book = get_object_or_404(Book.objects.only("title", "slug"), pk=book_id)
    is_done = request.method == "POST"
    if is_done and not notice_mails.stop(user_id, topic, book):
        raise Http404
    context = {"topic": topic, "book": book, "is_done": is_done}
    return render(request, "debates/unsubscribe.html", context)
