"""What the site is for: debates, posts, votes."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Func, Q
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from core.models import Book
from core.row_urls import row_url
from core.text import SLUG_LENGTH, fold

from .. import visibility
from ..querysets import PostQuerySet, TopicQuerySet

TITLE_LENGTH = 200
BODY_LENGTH = 10_000  # characters of Markdown
PATH_LEVELS = 6  # ancestors a path names; replies below stand beside the sixth's


# What must hold of every ``Moderated`` row; a constraint's name cannot be inherited.
DELETED_HAS_DATE = Q(is_deleted=False, deleted_at__isnull=True) | Q(
    is_deleted=True, deleted_at__isnull=False
)
OWED = Q(notified_at__isnull=True)  # what ``debates.notifying`` still has to do


class Moderated(models.Model):
    """A row that staff may lock, and that its author or staff may take away and staff restore."""

    is_locked = models.BooleanField(_("fechado"), default=False)
    is_deleted = models.BooleanField(_("removido"), default=False)
    deleted_at = models.DateTimeField(_("removido em"), null=True, blank=True, editable=False)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        editable=False,
    )
    # When the notifications of this row were last as they should be; null: that is still owed.
    notified_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Whom that leaves to be told, by name: those an edit named; null: everybody, the first time.
    owed_names = ArrayField(models.CharField(max_length=30), null=True, blank=True, editable=False)

    class Meta:
        abstract = True


class DebateTopic(Moderated):
    """One debate on a book.

    ``updated_at`` is the last activity: the opening, or the newest visible reply. With
    ``posts_count`` and ``last_post`` it is derived; ``debates.services`` keeps the three
    under the topic's row lock and ``reconcile_counters`` recounts them at night.
    """

    book = models.ForeignKey(
        Book, models.PROTECT, related_name="topics", db_index=False, verbose_name=_("livro")
    )
    creator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="topics",
        db_index=False,
        verbose_name=_("aberto por"),
    )
    title = models.CharField(_("título"), max_length=TITLE_LENGTH)
    slug = models.SlugField(_("endereço"), max_length=SLUG_LENGTH, unique=True)
    folded_title = models.CharField(max_length=TITLE_LENGTH, editable=False)
    description = models.TextField(_("abertura"), max_length=BODY_LENGTH)
    description_html = models.TextField(blank=True, editable=False)
    spoiler_percent = models.PositiveSmallIntegerField(
        _("spoilers até"),
        default=0,
        help_text=_("Até que porcentagem do livro o debate fala; 0: nenhum spoiler."),
    )

    is_pinned = models.BooleanField(_("fixado"), default=False)
    created_at = models.DateTimeField(_("aberto em"), default=timezone.now, editable=False)
    edited_at = models.DateTimeField(_("editado em"), null=True, blank=True, editable=False)
    updated_at = models.DateTimeField(_("última atividade"), default=timezone.now, editable=False)
    posts_count = models.PositiveIntegerField(_("respostas"), default=0, editable=False)
    last_post = models.ForeignKey(
        "DebatePost", models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    views_count = models.PositiveBigIntegerField(_("leituras"), default=0, editable=False)

    objects = TopicQuerySet.as_manager()

    class Meta:
        verbose_name = _("debate")
        verbose_name_plural = _("debates")
        constraints = [
            models.CheckConstraint(condition=~Q(title="") & ~Q(slug=""), name="topic_has_title"),
            models.CheckConstraint(
                condition=Q(spoiler_percent__range=(0, 100)), name="topic_spoiler_range"
            ),
            models.CheckConstraint(condition=DELETED_HAS_DATE, name="topic_deleted_has_date"),
            models.CheckConstraint(
                condition=Q(updated_at__gte=F("created_at")), name="topic_activity_after_opening"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at"], name="idx_topic_date"),
            models.Index(fields=["book", "-created_at"], name="idx_topic_book_date"),
            models.Index(
                fields=["-is_pinned", "-updated_at", "-id"],
                condition=Q(is_deleted=False),
                name="topic_live_recent",
            ),
            models.Index(
                fields=["book", "-is_pinned", "-updated_at", "-id"],
                condition=Q(is_deleted=False),
                name="topic_live_book_recent",
            ),
            models.Index(fields=["creator", "-created_at", "-id"], name="topic_creator_recent"),
            GinIndex(fields=["folded_title"], opclasses=["gin_trgm_ops"], name="topic_search"),
            models.Index(
                fields=["deleted_by"],
                condition=Q(deleted_by__isnull=False),
                name="topic_deleted_by",
            ),
            models.Index(fields=["id"], condition=OWED, name="topic_to_notify"),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, **kwargs) -> None:
        self.folded_title = fold(self.title)[:TITLE_LENGTH]
        named = kwargs.get("update_fields")
        if named is not None and "title" in named:
            kwargs["update_fields"] = {*named, "folded_title"}
        super().save(**kwargs)

    def get_absolute_url(self) -> str:
        return row_url("debates:topic_detail", self.slug)


class DebatePost(Moderated):
    """One reply in a debate.

    ``path`` names the ancestors, at most ``PATH_LEVELS`` of them, and the post itself, so
    that thread order is ``(topic, path)`` and a page is one range over that index.
    ``depth`` is the true depth, 0 for a reply to the debate itself.
    """

    topic = models.ForeignKey(
        DebateTopic,
        models.CASCADE,
        related_name="posts",
        db_index=False,
        verbose_name=_("debate"),
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="posts",
        db_index=False,
        verbose_name=_("autor"),
    )
    parent = models.ForeignKey(
        "self",
        models.RESTRICT,  # not PROTECT: a debate that goes takes its threads with it
        null=True,
        blank=True,
        related_name="replies",
        verbose_name=_("em resposta a"),
    )
    path = ArrayField(models.BigIntegerField(), editable=False)
    depth = models.PositiveIntegerField(_("nível"), default=0, editable=False)
    content = models.TextField(_("texto"), max_length=BODY_LENGTH)
    content_html = models.TextField(blank=True, editable=False)
    spoiler_percent = models.PositiveSmallIntegerField(_("spoilers até"), default=0)

    created_at = models.DateTimeField(_("escrito em"), default=timezone.now, editable=False)
    edited_at = models.DateTimeField(_("editado em"), null=True, blank=True, editable=False)
    score = models.IntegerField(_("pontos"), default=0, editable=False)
    replies_count = models.PositiveIntegerField(_("respostas diretas"), default=0, editable=False)

    objects = PostQuerySet.as_manager()

    class Meta:
        verbose_name = _("resposta")
        verbose_name_plural = _("respostas")
        constraints = [
            models.UniqueConstraint(fields=["topic", "path"], name="post_thread_order"),
            models.CheckConstraint(
                condition=Q(path__len__range=(1, PATH_LEVELS + 1)), name="post_path_length"
            ),
            models.CheckConstraint(
                # The last name in a path is the post's own.
                condition=Q(
                    pk=Func(
                        F("path"),
                        template="(%(expressions)s)[cardinality(path)]",
                        output_field=models.BigIntegerField(),
                    )
                ),
                name="post_path_ends_in_itself",
            ),
            models.CheckConstraint(
                condition=Q(parent__isnull=True, depth=0) | Q(parent__isnull=False, depth__gt=0),
                name="post_depth_has_parent",
            ),
            models.CheckConstraint(
                condition=Q(spoiler_percent__range=(0, 100)), name="post_spoiler_range"
            ),
            models.CheckConstraint(condition=DELETED_HAS_DATE, name="post_deleted_has_date"),
        ]
        indexes = [
            models.Index(fields=["topic", "-created_at", "is_deleted"], name="idx_post_topic_date"),
            models.Index(fields=["author", "-created_at", "-id"], name="post_author_recent"),
            models.Index(fields=["created_at"], name="post_by_date"),
            # so that deleting a person does not read every post
            models.Index(
                fields=["deleted_by"],
                condition=Q(deleted_by__isnull=False),
                name="post_deleted_by",
            ),
            models.Index(fields=["id"], condition=OWED, name="post_to_notify"),
        ]

    def __str__(self) -> str:
        return f"{self.topic_id}: {self.pk}"

    def get_absolute_url(self) -> str:
        return row_url("debates:post_permalink", self.pk)

    @property
    def indent(self) -> int:
        """How far a page indents this post: its depth up to the cap."""
        return min(self.depth, PATH_LEVELS)

    @property
    def quote_is_folded(self) -> bool:
        return visibility.quote_is_folded(self)

    @cached_property
    def my_vote(self) -> int:
        raise RuntimeError("DebatePost.my_vote is set by debates.querysets.attach_own()")


class DebateVote(models.Model):
    """One reader's voice on one post: 1 up, -1 down."""

    post = models.ForeignKey(
        DebatePost,
        models.CASCADE,
        related_name="votes",
        db_index=False,
        verbose_name=_("resposta"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("leitor")
    )
    value = models.SmallIntegerField(_("voto"))
    created_at = models.DateTimeField(_("dado em"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("voto")
        verbose_name_plural = _("votos")
        constraints = [
            # value rides along so that a recount reads the index alone
            models.UniqueConstraint(
                fields=["post", "user"], include=["value"], name="vote_once_per_post"
            ),
            models.CheckConstraint(condition=Q(value__in=[-1, 1]), name="vote_is_up_or_down"),
        ]

    def __str__(self) -> str:
        return f"{self.post_id}: {self.user_id} {self.value:+d}"


class ViewBatch(models.Model):
    """A batch of view counts that was added to the debates: inserted with them, so only once."""

    id = models.UUIDField(primary_key=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()  # nobody's to see or change
        indexes = [models.Index(fields=["created_at"], name="view_batch_by_age")]

    def __str__(self) -> str:
        return str(self.id)
