"""People and what they read, for staff."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.big_tables import BigTableAdmin, either, excerpt
from core.converters import as_id

from . import services
from .forms import ProgressForm, ReviewForm
from .models import BookReview, ReadingProgress, ShelfItem, User


class NewUserForm(AdminUserCreationForm):
    def clean_username(self) -> str:
        """Leave it to the constraint on LOWER(username): Django's own compares UPPER(username)."""
        return self.cleaned_data["username"]


def reader_id(name: str) -> int | None:
    """Return the id of the reader whose username is ``name``, in any case. One query."""
    named = User.objects.alias(login=Lower("username")).filter(login=name.lower())
    return named.values_list("pk", flat=True).first()


class GroupFilter(admin.SimpleListFilter):
    title = _("grupo")
    parameter_name = "grupo"

    def lookups(self, request, model_admin):
        return Group.objects.order_by("name").values_list("pk", "name")

    def queryset(self, request, queryset):
        if self.value() is None:
            return queryset
        return queryset.filter(groups=as_id(self.value()) or 0)


@admin.register(User)
class UserAdmin(BigTableAdmin, DjangoUserAdmin):
    """Nobody is deleted here: votes and reviews would go, and the counts of others with them."""

    list_display = ["username", "display_name", "email", "is_active", "is_staff", "date_joined"]
    list_filter = [GroupFilter]
    search_help_text = _("Começo do nome de usuário, e-mail inteiro ou número.")
    readonly_fields = ["last_login", "date_joined"]
    add_form = NewUserForm
    add_fieldsets = [
        (
            None,
            {
                "classes": ["wide"],
                "fields": ["username", "email", "usable_password", "password1", "password2"],
            },
        )
    ]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Perfil"), {"fields": ["display_name", "email", "mail_frequency", "city", "bio"]}),
        (
            _("Permissões"),
            {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]},
        ),
        (_("Datas"), {"fields": ["last_login", "date_joined"]}),
    ]

    def find(self, rows, term):
        if "@" in term:  # the index on addresses leaves the empty ones out
            return rows.alias(login=Lower("email")).filter(~Q(email=""), login=term.lower())
        named = either(login__startswith=term.lower(), pk=as_id(term))
        return rows.alias(login=Lower("username")).filter(named).order_by(Lower("username"))

    def get_readonly_fields(self, request, obj=None):
        """Rights are given by superusers: whoever may give rights has them all."""
        fixed = super().get_readonly_fields(request, obj)
        if request.user.is_superuser:
            return fixed
        return [*fixed, "is_staff", "is_superuser", "groups", "user_permissions"]

    def has_change_permission(self, request, obj=None):
        """A superuser's account, and with it the password, is changed by superusers."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request, obj=None):
        return False


class OfReaderAdmin(BigTableAdmin):
    """Rows of one reader about one book; both stay as they were."""

    list_select_related = ["user", "book"]
    autocomplete_fields = ["user", "book"]
    search_help_text = _("Nome de usuário inteiro, ou número.")

    def find(self, rows, term):
        return rows.filter(either(user=reader_id(term), pk=as_id(term)))

    def get_readonly_fields(self, request, obj=None):
        fixed = super().get_readonly_fields(request, obj)
        return [*fixed, "user", "book"] if obj else fixed


@admin.register(ShelfItem)
class ShelfItemAdmin(OfReaderAdmin):
    list_display = ["user", "book", "status", "updated_at"]
    linked_by = {"user": ("-updated_at", "-pk"), "book": ("-pk",)}
    fields = ["user", "book", "status", "created_at", "updated_at"]
    readonly_fields = ["created_at", "updated_at"]

    def derive(self, obj, changed):
        obj.updated_at = timezone.now()
        return {"updated_at"}


class ProgressAdminForm(ProgressForm):
    class Meta(ProgressForm.Meta):
        fields = ["user", "book", "page", "pages", "percent"]


@admin.register(ReadingProgress)
class ReadingProgressAdmin(OfReaderAdmin):
    list_display = ["user", "book", "percent", "page", "pages", "updated_at"]
    linked_by = {"user": ("-updated_at", "-pk"), "book": ("-updated_at", "-pk")}
    form = ProgressAdminForm
    fields = ["user", "book", "page", "pages", "percent", "updated_at"]
    readonly_fields = ["updated_at"]

    def derive(self, obj, changed):
        """The form reckons the percentage from the page."""
        obj.updated_at = timezone.now()
        return {"updated_at", "page", "pages", "percent"}


class ReviewAdminForm(ReviewForm):
    class Meta(ReviewForm.Meta):
        widgets: dict = {}


@admin.register(BookReview)
class BookReviewAdmin(OfReaderAdmin):
    list_display = ["beginning", "user", "book", "rating", "has_spoiler", "created_at"]
    linked_by = {"user": ("-created_at", "-pk"), "book": ("-created_at", "-pk")}
    form = ReviewAdminForm
    fields = ["user", "book", "rating", "text", "has_spoiler", "created_at", "edited_at"]
    readonly_fields = ["created_at", "edited_at"]

    @admin.display(description=_("resenha"), empty_value=_("(só a nota)"))
    def beginning(self, review: BookReview) -> str | None:
        return excerpt(review.text) or None

    def save_model(self, request, obj, form, change):
        """Through the service, which renders the text and recounts the book."""
        if change and not form.changed_data:
            return
        review = services.write_review(
            user=obj.user,
            book=obj.book,
            rating=obj.rating,
            text=obj.text,
            has_spoiler=obj.has_spoiler,
        )
        obj.pk, obj._state.adding = review.pk, False

    def delete_model(self, request, obj):
        services.delete_review(user=obj.user, book=obj.book)

    @transaction.atomic
    def delete_queryset(self, request, queryset):
        # Each holds its book's row: in one order, so that two deletions do not wait for each other.
        for review in queryset.select_related("user", "book").order_by("book_id", "pk"):
            services.delete_review(user=review.user, book=review.book)
