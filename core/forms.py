"""Shape of what comes in: filters, search, and the fields every form shares."""

from __future__ import annotations

from django import forms
from django.utils.html import strip_tags
from django.utils.translation import gettext_lazy as _

from .languages import LANGUAGE_CHOICES
from .markdown import render
from .models import Category
from .text import has_visible

QUERY_LENGTH = 100
EARLIEST_YEAR, LATEST_YEAR = -3000, 2100


class SlugChoiceField(forms.ModelChoiceField):
    """One row by its slug; the widget holds the slug and never the whole table."""

    widget = forms.HiddenInput

    def __init__(self, queryset, **kwargs):
        super().__init__(queryset, to_field_name="slug", **kwargs)


class VisibleWords:
    """A form whose fields ``visible``, when filled, must show something to a reader.

    Zero-width and direction marks alone would make a link that nobody can click; Markdown
    that only defines or rules (``markdown`` names such fields) would make a post of nothing.
    """

    visible: tuple[str, ...] = ()
    markdown: tuple[str, ...] = ()

    def clean(self):
        data = super().clean()
        for name in self.visible:
            text = data.get(name) or ""
            shown = strip_tags(render(text)) if name in self.markdown else text
            if text and not has_visible(shown):
                self.add_error(name, _("Escreva algo que se possa ler."))
        return data


class BookFilterForm(forms.Form):
    """The catalogue's filters; an empty field does not filter."""

    ORDERS = [
        ("populares", _("mais lidos")),
        ("titulo", _("título")),
        ("novidades", _("novidades")),
    ]

    categoria = forms.ModelChoiceField(
        Category.objects.all(),
        to_field_name="slug",
        required=False,
        label=_("Categoria"),
        empty_label=_("todas"),
    )
    lingua = forms.ChoiceField(
        choices=[("", _("todas")), *LANGUAGE_CHOICES], required=False, label=_("Língua original")
    )
    de = forms.IntegerField(
        required=False, min_value=EARLIEST_YEAR, max_value=LATEST_YEAR, label=_("De (ano)")
    )
    ate = forms.IntegerField(
        required=False, min_value=EARLIEST_YEAR, max_value=LATEST_YEAR, label=_("Até (ano)")
    )
    ordem = forms.ChoiceField(choices=ORDERS, required=False, label=_("Ordem"))

    def clean(self):
        data = super().clean()
        if data.get("de") is not None and data.get("ate") is not None and data["de"] > data["ate"]:
            self.add_error("ate", _("O segundo ano vem antes do primeiro."))
        return data


class SearchForm(forms.Form):
    KINDS = [
        ("", _("tudo")),
        ("livros", _("livros")),
        ("autores", _("autores")),
        ("debates", _("debates")),
    ]

    q = forms.CharField(max_length=QUERY_LENGTH, required=False, label=_("Buscar"))
    tipo = forms.ChoiceField(choices=KINDS, required=False, widget=forms.HiddenInput)
