"""Posts: permalink, reply, change, remove, vote."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.decorators import member_required, staff_required
from core.answers import answer, posted, vary_on_htmx
from core.converters import as_id
from core.paging import place
from core.ratelimit import limit
from core.refusals import refused
from core.services import Refused
from debates import rows, services, visibility
from debates.forms import PostForm, PostModerationForm, ReplyForm, VoteForm
from debates.models import DebatePost, DebateTopic
from debates.querysets import PostQuerySet

from .topics import get_topic


@require_safe
def post_permalink(request: HttpRequest, post_id: int) -> HttpResponse:
    """Go to the page of the debate on which the post stands. Two queries, three if deep."""
    known = DebatePost.objects.with_permalink(request.user).select_related("topic")
    post = get_object_or_404(known, pk=post_id)
    posts = DebatePost.objects.filter(topic=post.topic).in_thread(request.user)
    query = place(posts, PostQuerySet.THREAD, post, size=settings.POSTS_PER_PAGE)
    return redirect(f"{post.topic.get_absolute_url()}{query}#post-{post.pk}")


def get_post(request: HttpRequest, post_id: int) -> DebatePost:
    """Return the post with its debate if this viewer may read it; one query, else ``Http404``."""
    post = rows.post_seen_by(is_staff=request.user.is_staff).first(post_id)
    if post is None:
        raise Http404
    return post


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("create_post")
def create_post(request: HttpRequest, slug: str) -> HttpResponse:
    """Reply to a debate, or to the post named by ``parent``."""
    topic = get_topic(request, slug)
    if request.method != "POST":
        form = ReplyForm(initial={"parent": request.GET.get("parent")}, topic=topic)
        return _reply_page(request, topic, form, request.GET.get("parent"))
    form = ReplyForm(request.POST, topic=topic)
    if form.is_valid():
        try:
            post = services.create_post(topic=topic, author=request.user, **form.cleaned_data)
        except Refused as refusal:
            form.add_error(None, refusal.message)
        else:
            return redirect(post)
    return _reply_page(request, topic, form, request.POST.get("parent"), status=422)


def _reply_page(request, topic, form, parent_id, status: int = 200) -> HttpResponse:
    """The form on a page of its own, under the post it answers; for htmx the form alone."""
    parent = _visible_parent(request, topic, parent_id) if parent_id else None
    if not form.is_bound and (why := services.closed_because(topic, parent)):
        messages.error(request, why)
        return redirect(topic)
    if parent is not None:
        parent.is_folded = visibility.is_folded(parent, topic)
        form.auto_id = f"id_{parent.pk}_%s"  # the page already holds the form for the whole debate
    elif parent_id and not form.is_bound:
        raise Http404
    elif parent_id:
        # what was typed stays; sent again, it answers the debate itself
        form.data = {**form.data.dict(), "parent": ""}
    context = {
        "topic": topic,
        "form": form,
        "parent": parent,
    }
    part = request.htmx and status == 200
    template = "debates/_reply_form.html" if part else "debates/create_post.html"
    return vary_on_htmx(render(request, template, context, status=status))


def _visible_parent(request: HttpRequest, topic: DebateTopic, text: str) -> DebatePost | None:
    if (pk := as_id(text)) is None:
        return None
    posts = DebatePost.objects.filter(topic=topic).visible_to(request.user)
    return posts.select_related("author").filter(pk=pk).first()


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("edit_post")
def edit_post(request: HttpRequest, post_id: int) -> HttpResponse:
    """Change one's own words while the debate is open."""
    post = _own_post(request, post_id)
    if request.method != "POST" and (why := services.closed_because(post.topic, post)):
        messages.error(request, why)
        return redirect(post)
    form = PostForm(posted(request), instance=post)
    if request.method == "POST" and form.is_valid():
        try:
            post = services.edit_post(post=post, editor=request.user, **form.cleaned_data)
        except Refused as refusal:
            form.add_error(None, refusal.message)
        else:
            return redirect(post)
    status = 422 if form.is_bound else 200
    context = {"form": form, "post": post, "topic": post.topic}
    return render(request, "debates/edit_post.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("edit_post")
def delete_post(request: HttpRequest, post_id: int) -> HttpResponse:
    """Ask, then remove one's own reply."""
    post = _own_post(request, post_id)
    if request.method == "POST":
        try:
            services.delete_post(post=post, actor=request.user)
        except Refused as refusal:
            messages.error(request, refusal.message)
            return redirect(post)
        messages.success(request, _("Resposta removida."))
        # back to the place in the thread, or to what it answered
        return redirect(post if post.replies_count else post.parent or post.topic)
    return render(request, "debates/delete_post.html", {"post": post, "topic": post.topic})


def _own_post(request: HttpRequest, post_id: int) -> DebatePost:
    post = get_post(request, post_id)
    if post.author_id != request.user.pk:
        raise Http404
    return post


@require_POST
@member_required
@limit("vote_post")
def vote_post(request: HttpRequest, post_id: int) -> HttpResponse:
    """Make the reader's vote on a post be what the form says."""
    form = VoteForm(request.POST)
    if not form.is_valid():
        get_post(request, post_id)  # who may not see it does not learn that it is there
        return refused(request, _("Este voto não existe."), status=400)
    refusal = ""
    try:
        # it reads the post under its lock; nobody needs it before
        post = services.vote_post(
            post=DebatePost(pk=post_id), user=request.user, value=form.cleaned_data["value"]
        )
    except DebatePost.DoesNotExist as error:
        raise Http404 from error
    except Refused as error:
        post = get_post(request, post_id)
        refusal, post.my_vote = error.message, 0
        if not request.htmx:
            messages.error(request, refusal)
    context = {"post": post, "is_open": not refusal, "refusal": refusal}
    return answer(request, "debates/_vote.html", context, else_to=post)


@require_POST
@member_required
@staff_required
@limit("moderate")
def moderate_post(request: HttpRequest, post_id: int) -> HttpResponse:
    """Lock, unlock, hide or restore a reply."""
    post = get_post(request, post_id)
    form = PostModerationForm(request.POST)
    if not form.is_valid():
        return refused(request, _("Esta ação não existe."), status=400)
    services.moderate_post(post=post, actor=request.user, action=form.cleaned_data["action"])
    messages.success(request, _("Feito."))
    return redirect(post)
