"""The catalogue, for staff."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from . import mail
from .big_tables import (
    BigTableAdmin,
    IndexFilter,
    PreloadedAutocomplete,
    ReadOnlyAdmin,
    either,
    link_to_list,
    word_begins,
)
from .converters import as_id
from .models import Author, Book, BookAuthor, Category, OutgoingMail
from .ratelimit import limit
from .services import sync_byline
from .text import create_with_slug

admin.site.site_header = admin.site.site_title = _("CGBookStore: equipe")
admin.site.index_title = _("O que há no site")
# The door of staff is counted like the door of readers.
admin.site.login = limit("login")(admin.site.login)

ISBN13 = re.compile(r"97[89][0-9]{10}")
LANGUAGES = {
    "pt": _("português"),
    "en": _("inglês"),
    "es": _("espanhol"),
    "fr": _("francês"),
}


class SluggedAdmin(BigTableAdmin):
    """Rows with an address: made from their name once, never changed."""

    slug_from: tuple[str, str]  # field, what stands in for an empty slug

    readonly_fields: Sequence[str] = ["slug"]

    def get_fieldsets(self, request, obj=None):
        """A new row shows what can be filled in."""
        shown = super().get_fieldsets(request, obj)
        if obj is not None:
            return shown
        given = [
            (title, [name for name in options["fields"] if name not in self.readonly_fields])
            for title, options in shown
        ]
        return [(title, {"fields": names}) for title, names in given if names]

    def save_model(self, request, obj, form, change):
        if change:
            super().save_model(request, obj, form, change)
            return
        field, fallback = self.slug_from

        def create(slug: str):
            obj.slug = slug
            obj.save(force_insert=True)
            return obj

        create_with_slug(getattr(obj, field), fallback=fallback, create=create)


@admin.register(Author)
class AuthorAdmin(SluggedAdmin):
    list_display = ["name", "slug", "books_link", "created_at"]
    ordering = ("folded_name", "pk")
    search_help_text = _("Começo de um dos nomes, ou número.")
    fields = ["name", "slug", "created_at"]
    readonly_fields = ["slug", "created_at"]
    slug_from = ("name", "autor")

    def find(self, rows, term):
        return rows.filter(either(**word_begins("folded_name", term), pk=as_id(term)))

    @admin.display(description=_("livros"))
    def books_link(self, author: Author) -> str:
        return link_to_list(Book, "authors", author.pk, _("livros"))

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        if change and "name" in form.changed_data:
            sync_byline(obj.credits.values_list("book_id", flat=True))


@admin.register(Category)
class CategoryAdmin(SluggedAdmin):
    list_display = ["name", "slug", "books_link"]
    ordering = ("name",)
    search_help_text = _("Começo do nome.")
    fields = ["name", "slug"]
    slug_from = ("name", "categoria")

    def find(self, rows, term):
        # The address is the name without accents, and has an index for prefixes.
        return rows.filter(either(slug__startswith=slugify(term)))

    @admin.display(description=_("livros"))
    def books_link(self, category: Category) -> str:
        return link_to_list(Book, "categories", category.pk, _("livros"))


class CreditForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.instance.pk and "author" in self.fields:  # it is text for who may only look
            self.fields["author"].widget.widget.row = self.instance.author


class CreditInline(admin.TabularInline):
    """The names on the cover. Whoever may write the book may write them."""

    model = BookAuthor
    form = CreditForm
    fields = ["author", "position"]
    autocomplete_fields = ["author"]
    extra = 1
    max_num = 50

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("author")

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name == "author":
            kwargs["widget"] = PreloadedAutocomplete(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_view_permission(self, request, obj=None):
        return request.user.has_perm("core.view_book") or self.has_change_permission(request, obj)

    def has_change_permission(self, request, obj=None):
        return request.user.has_perm("core.change_book" if obj else "core.add_book")

    def has_add_permission(self, request, obj=None):
        return self.has_change_permission(request, obj)

    has_delete_permission = has_change_permission


class BookForm(forms.ModelForm):
    isbn13 = forms.CharField(
        label="ISBN-13",
        max_length=20,
        required=False,
        help_text=_("13 algarismos; hífens e espaços não contam."),
    )

    def clean_isbn13(self) -> str | None:
        isbn = self.cleaned_data["isbn13"].replace("-", "").replace(" ", "")
        if isbn and not ISBN13.fullmatch(isbn):
            raise forms.ValidationError(
                _("Um ISBN-13 tem 13 algarismos e começa com 978 ou 979."), code="isbn13"
            )
        return isbn or None


class LanguageFilter(IndexFilter):
    title = _("língua")
    parameter_name = "lingua"
    conditions = {code: (name, Q(language=code)) for code, name in LANGUAGES.items()}


@admin.register(Book)
class BookAdmin(SluggedAdmin):
    list_display = ["title", "byline", "year", "language", "isbn13", "reviews_count"]
    list_filter = [LanguageFilter]
    form = BookForm
    ordering = ("folded_title", "pk")
    linked_by = {"authors": ("folded_title", "pk"), "categories": ("folded_title", "pk")}
    search_help_text = _("Começo de uma palavra do título ou da autoria, ISBN-13 ou número.")
    inlines = [CreditInline]
    autocomplete_fields = ["categories"]
    readonly_fields = [
        "slug", "byline", "source", "source_id", "work_id", "average_rating", "ratings_count",
        "reviews_count", "histogram", "created_at",
    ]  # fmt: skip
    fieldsets = [
        (
            None,
            {"fields": ["title", "slug", "original_title", "series", "byline", "categories", "description"]},
        ),
        (_("Edição"), {"fields": ["year", "language", "pages", "isbn13"]}),
        (_("Resenhas"), {"fields": ["reviews_count", "histogram"]}),
        (
            _("Importação"),
            {
                "fields": [
                    "source", "source_id", "work_id", "average_rating", "ratings_count",
                    "created_at",
                ]
            },
        ),
    ]  # fmt: skip
    slug_from = ("title", "livro")

    def find(self, rows, term):
        isbn = term.replace("-", "").replace(" ", "")
        return rows.filter(either(**word_begins("search_text", term), isbn13=isbn, pk=as_id(term)))

    @admin.display(description=_("notas, de meia a cinco estrelas"))
    def histogram(self, book: Book) -> str:
        return " · ".join(str(count) for count in book.rating_histogram)

    def save_related(self, request, form, formsets, change):
        """The credits stand now: byline and search text follow from them and the title."""
        super().save_related(request, form, formsets, change)
        sync_byline([form.instance.pk])


class MailFilter(IndexFilter):
    title = _("estado")
    parameter_name = "estado"
    conditions = {
        "esperando": (_("esperando"), mail.WAITING),
        "desistimos": (_("desistimos"), Q(failed_at__isnull=False)),
    }


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ReadOnlyAdmin):
    """Mail on its way, for whoever asks where theirs is. Nobody reads it, or writes it, here."""

    list_display = ["to", "subject", "queue", "created_at", "sent_at", "failed_at", "why"]
    list_filter = [MailFilter]
    ordering = ("-created_at", "-pk")
    search_help_text = _("Endereço inteiro, ou número.")
    fields = [
        "to", "subject", "queue", "message_id", "created_at", "claimed_at", "handovers", "refusals",
        "sent_at", "failed_at", "why",
    ]  # fmt: skip
    actions = ["send_again"]

    def find(self, rows, term):
        return rows.filter(either(to=term, pk=as_id(term)))

    @admin.action(description=_("Enviar de novo o que não foi"), permissions=["send"])
    def send_again(self, request, queryset):
        number = mail.send_again(queryset)
        self.message_user(request, _("%(n)d na fila de novo.") % {"n": number})

    def has_send_permission(self, request):
        return request.user.has_perm("core.change_outgoingmail")
