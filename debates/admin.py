"""Moderation: debates, replies, votes."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.admin import reader_id
from accounts.models import User
from core.big_tables import (
    BigTableAdmin,
    IndexFilter,
    ReadOnlyAdmin,
    either,
    excerpt,
    link_to_list,
    word_begins,
)
from core.converters import as_id
from core.markdown import render
from core.services import Refused
from core.words import span

from . import services
from .forms import PostForm, TopicForm
from .models import (
    DebatePost,
    DebateTopic,
    DebateVote,
    DriftReport,
    Follow,
    Notification,
    WeeklyReport,
)

ACTIONS = {
    "pin": _("Fixar"),
    "unpin": _("Desafixar"),
    "lock": _("Fechar"),
    "unlock": _("Reabrir"),
    "hide": _("Remover"),
    "restore": _("Restaurar"),
}


def moderation(name: str) -> Callable:
    """Return the admin action that does ``name`` to each marked row, through the service."""

    @admin.action(description=ACTIONS[name], permissions=["change"])
    def act(modeladmin: ModeratedAdmin, request: HttpRequest, queryset: QuerySet) -> None:
        modeladmin.moderate_all(request, queryset, name)

    act.__name__ = name
    return act


class ModeratedAdmin(BigTableAdmin):
    """What readers wrote: opened on the site, reworded here, closed and hidden by actions.

    Nothing is deleted: a removed row keeps its place, and the counters of others are right.
    """

    def moderate(self, row, actor: User, action: str) -> bool:
        """Do ``action`` to one row; ``True`` if it changed."""
        raise NotImplementedError

    def moderate_all(self, request: HttpRequest, rows: QuerySet, action: str) -> None:
        changed = []
        for row in rows.order_by("pk"):
            try:
                if self.moderate(row, request.user, action):
                    changed.append(row)
            except Refused as refusal:
                self.message_user(request, refusal.message, messages.ERROR)
        LogEntry.objects.log_actions(request.user.pk, changed, CHANGE, f"{ACTIONS[action]}.")
        told = ngettext("%(n)d linha mudou.", "%(n)d linhas mudaram.", len(changed))
        self.message_user(request, told % {"n": len(changed)})

    def has_add_permission(self, request):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class TopicStateFilter(IndexFilter):
    title = _("situação")
    parameter_name = "situacao"
    conditions = {
        "fixados": (_("fixados"), Q(is_pinned=True, is_deleted=False)),
        # the index holds the rows that say who removed them
        "removidos": (_("removidos"), Q(is_deleted=True, deleted_by__isnull=False)),
    }


class TopicAdminForm(TopicForm):
    class Meta(TopicForm.Meta):
        widgets: dict = {}  # the admin's own, as wide as the page


@admin.register(DebateTopic)
class DebateTopicAdmin(ModeratedAdmin):
    list_display = [
        "title", "book", "creator", "posts", "is_pinned", "is_locked", "is_deleted", "updated_at",
    ]  # fmt: skip
    list_filter = [TopicStateFilter]
    list_select_related = ["book", "creator"]
    linked_by = {"book": ("-created_at", "-pk"), "creator": ("-created_at", "-pk")}
    search_help_text = _("Começo de uma palavra do título, endereço ou número.")
    actions = [moderation(name) for name in ACTIONS]
    form = TopicAdminForm
    autocomplete_fields = ["book"]
    readonly_fields = [
        "slug", "creator", "is_pinned", "is_locked", "is_deleted", "deleted_at", "remover",
        "created_at", "edited_at", "updated_at", "posts", "views_count",
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["title", "slug", "book", "description", "spoiler_percent", "creator"]}),
        (
            _("Situação"),
            {"fields": ["is_pinned", "is_locked", "is_deleted", "deleted_at", "remover"]},
        ),
        (
            _("Atividade"),
            {"fields": ["created_at", "edited_at", "updated_at", "posts", "views_count"]},
        ),
    ]

    def get_queryset(self, request):
        return super().get_queryset(request).defer("description_html")

    def find(self, rows, term):
        return rows.filter(either(**word_begins("folded_title", term), slug=term, pk=as_id(term)))

    @admin.display(description=_("respostas"))
    def posts(self, topic: DebateTopic) -> str:
        return link_to_list(DebatePost, "topic", topic.pk, topic.posts_count)

    @admin.display(description=_("removido por"))
    def remover(self, topic: DebateTopic) -> User | str:
        return topic.deleted_by or self.get_empty_value_display()  # a bare None would read "None"

    def moderate(self, row, actor, action):
        return services.moderate_topic(topic=row, actor=actor, action=action)

    def derive(self, obj, changed):
        if not changed & {"title", "description"}:
            return set()
        obj.description_html, obj.edited_at = render(obj.description), timezone.now()
        return {"description_html", "edited_at"}


class PostStateFilter(IndexFilter):
    title = _("situação")
    parameter_name = "situacao"
    conditions = {"removidas": (_("removidas"), Q(is_deleted=True, deleted_by__isnull=False))}


class PostAdminForm(PostForm):
    class Meta(PostForm.Meta):
        labels: dict = {}
        widgets: dict = {}


@admin.register(DebatePost)
class DebatePostAdmin(ModeratedAdmin):
    list_display = [
        "beginning",
        "topic",
        "author",
        "score",
        "is_locked",
        "is_deleted",
        "created_at",
    ]
    list_filter = [PostStateFilter]
    list_select_related = ["topic", "author"]
    linked_by = {"topic": ("path",), "author": ("-created_at", "-pk")}
    search_help_text = _("Nome de usuário inteiro de quem escreveu, ou número.")
    actions = [moderation(name) for name in ("lock", "unlock", "hide", "restore")]
    form = PostAdminForm
    readonly_fields = [
        "topic", "author", "parent", "is_locked", "is_deleted", "deleted_at", "remover",
        "created_at", "edited_at", "votes", "replies_count", "depth",
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["topic", "author", "parent", "content", "spoiler_percent"]}),
        (_("Situação"), {"fields": ["is_locked", "is_deleted", "deleted_at", "remover"]}),
        (
            _("Atividade"),
            {"fields": ["created_at", "edited_at", "votes", "replies_count", "depth"]},
        ),
    ]

    def get_queryset(self, request):
        heavy = ["content_html", "topic__description", "topic__description_html"]
        return super().get_queryset(request).defer(*heavy)

    def find(self, rows, term):
        return rows.filter(either(author=reader_id(term), pk=as_id(term)))

    @admin.display(description=_("resposta"))
    def beginning(self, post: DebatePost) -> str:
        return excerpt(post.content)

    @admin.display(description=_("pontos"))
    def votes(self, post: DebatePost) -> str:
        return link_to_list(DebateVote, "post", post.pk, post.score)

    @admin.display(description=_("removida por"))
    def remover(self, post: DebatePost) -> User | str:
        return post.deleted_by or self.get_empty_value_display()

    def moderate(self, row, actor, action):
        return services.moderate_post(post=row, actor=actor, action=action)

    def derive(self, obj, changed):
        if "content" not in changed:
            return set()
        obj.content_html, obj.edited_at = render(obj.content), timezone.now()
        return {"content_html", "edited_at"}


@admin.register(DebateVote)
class DebateVoteAdmin(BigTableAdmin):
    """Votes are the readers' own; a false one can be struck out."""

    list_display = ["post", "user", "value", "created_at"]
    list_select_related = ["post", "user"]
    linked_by = {"post": ("-pk",), "user": ("-pk",)}
    search_help_text = _("Nome de usuário inteiro, ou número do voto.")
    fields = readonly_fields = ["post", "user", "value", "created_at"]

    def get_queryset(self, request):
        return super().get_queryset(request).defer("post__content", "post__content_html")

    def find(self, rows, term):
        return rows.filter(either(user=reader_id(term), pk=as_id(term)))

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def delete_model(self, request, obj):
        self.delete_queryset(request, DebateVote.objects.filter(pk=obj.pk))

    @transaction.atomic
    def delete_queryset(self, request, queryset):
        """Delete votes and recount their posts, whose rows are held in the order of their ids."""
        ids = list(queryset.values_list("pk", flat=True))
        posts = DebatePost.objects.filter(votes__in=ids).order_by("pk").distinct()
        wanted = list(posts.values_list("pk", flat=True))
        held = DebatePost.objects.filter(pk__in=wanted).order_by("pk")
        list(held.select_for_update(no_key=True).values_list("pk"))
        DebateVote.objects.filter(pk__in=ids).delete()
        for pk in wanted:
            services.sync_score(pk)


class ReportAdmin(ReadOnlyAdmin):
    """What the site noted about itself: read here, written by its tasks."""

    day: str  # the column that makes a row one
    search_help_text = _("Dia, como em 2026-11-16.")

    def find(self, rows, term):
        try:
            day = parse_date(term)
        except ValueError:  # the 31st of February
            day = None
        return rows.filter(either(**{self.day: day}))


class OfReaderAdmin(ReadOnlyAdmin):
    """What a reader follows and is told: to be looked at, changed by the reader alone."""

    search_help_text = _("Nome de usuário inteiro, ou número.")

    def find(self, rows, term):
        return rows.filter(either(user=reader_id(term), pk=as_id(term)))


@admin.register(WeeklyReport)
class WeeklyReportAdmin(ReportAdmin):
    day = "week"
    ordering = ("-week",)
    list_display = fields = [
        "week", "new_members", "new_topics", "new_posts", "unanswered_topics", "first_reply",
        "created_at",
    ]  # fmt: skip

    @admin.display(description=_("até a primeira resposta"))
    def first_reply(self, report: WeeklyReport) -> str:
        return span(report.first_reply_seconds)


@admin.register(DriftReport)
class DriftReportAdmin(ReportAdmin):
    day = "night"
    ordering = ("-night",)
    list_display = ["night", "checked", "drifted", "runs", "finished_runs"]
    fields = [*list_display, "told"]

    @admin.display(description=_("contadores errados"))
    def told(self, report: DriftReport) -> str:
        words = ((sentence,) for sentence in report.sentences)
        return format_html_join("", "<p>{}</p>", words) or self.get_empty_value_display()


@admin.register(Follow)
class FollowAdmin(OfReaderAdmin):
    list_display = ["user", "state", "topic", "book", "created_at"]
    list_select_related = ["user", "topic", "book"]
    linked_by = {"user": ("-pk",), "topic": ("user_id",), "book": ("user_id",)}
    fields = ["user", "state", "topic", "book", "created_at"]


@admin.register(Notification)
class NotificationAdmin(OfReaderAdmin):
    """Deleted by their age, and with what they tell of: the reader's count moves with them."""

    list_display = ["user", "reason", "topic", "created_at", "read_at", "mailed_at"]
    list_select_related = ["user", "topic"]
    linked_by = {"user": ("-created_at", "-pk"), "topic": ("-pk",)}
    fields = ["user", "reason", "topic", "post", "created_at", "read_at", "mailed_at"]
