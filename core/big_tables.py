"""Admin pages over tables of a million rows.

A list is counted by estimate, ordered and searched by what an index serves, and ends after
``ROWS_LIMIT`` rows: beyond those a search finds what paging would not. A change writes the
columns that changed, because counters move on while a form is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import model_ngettext
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.paginator import Paginator
from django.db import connection, models
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .converters import as_id
from .text import fold

ROWS_LIMIT = 10_000  # what a list pages through, and counts one by one


def either(**lookups) -> models.Q:
    """Return the condition that one of ``lookups`` holds; empty values do not count.

    Each column needs an index of its own: one without makes Postgres read the table.
    """
    condition = models.Q(pk__in=[])
    for lookup, value in lookups.items():
        if value not in {None, ""}:
            condition |= models.Q(**{lookup: value})
    return condition


def word_begins(column: str, term: str) -> dict[str, str]:
    """Return lookups for rows in whose folded ``column`` a word begins with ``term``.

    For ``either()``, and for columns with a trigram index: titles begin with articles, and
    authors are looked for by their surnames.
    """
    folded = fold(term)
    return {f"{column}__startswith": folded, f"{column}__contains": f" {folded}"} if folded else {}


def estimated_rows(model: type[models.Model]) -> int:
    """Return about how many rows the table holds; 0 when nobody has analysed it. One query.

    The density that the last ANALYZE saw times the size of today.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples / greatest(relpages, 1)"
            " * (pg_relation_size(oid) / current_setting('block_size')::int)"
            " FROM pg_class WHERE oid = %s::regclass",
            [connection.ops.quote_name(model._meta.db_table)],
        )
        return max(0, round(cursor.fetchone()[0]))


class BoundedPaginator(Paginator):
    """Pages over the first ``ROWS_LIMIT`` rows; knows about how many there are."""

    @cached_property
    def count(self) -> int:
        """Exact below ``ROWS_LIMIT``; a whole table beyond it is estimated, a search is not."""
        rows = cast(models.QuerySet, self.object_list)
        whole = not rows.query.where and not rows.query.distinct
        estimate = estimated_rows(rows.model) if whole else 0
        if estimate > ROWS_LIMIT:
            return estimate
        return rows.order_by()[:ROWS_LIMIT].count()

    @cached_property
    def num_pages(self) -> int:
        return max(1, -(-min(self.count, ROWS_LIMIT) // self.per_page))


class BoundedChangeList(ChangeList):
    """A list in the order of its admin, whatever ``?o=`` says: sorting needs an index."""

    def get_ordering(self, request, queryset):
        return list(self.model_admin.get_ordering(request))

    def get_filters(self, request):
        """No filter here repeats a row, so none pays for DISTINCT."""
        specs, has_filters, rest, _repeats, has_active = super().get_filters(request)
        return specs, has_filters, rest, False, has_active


class BigTableAdmin(admin.ModelAdmin):
    """The base of every table here that may grow.

    ``linked_by`` names the relations by which other pages may narrow the list
    (``?topic__id__exact=7``), each with the order that the index for it keeps.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    sortable_by = ()
    ordering = ("-pk",)
    search_fields = ("pk",)  # shows the box and allows autocompletion; find() searches
    linked_by: dict[str, tuple[str, ...]] = {}

    # --- lists ---

    def find(self, rows: models.QuerySet, term: str) -> models.QuerySet:
        """Return the ``rows`` that ``term`` (stripped, not empty) names; an index must serve it."""
        return rows.filter(either(pk=as_id(term)))

    def get_search_results(self, request, queryset, search_term):
        term = search_term.strip()
        if not term:
            return queryset, False
        if "\x00" in term:
            return queryset.none(), False
        return self.find(queryset, term), False

    def get_changelist(self, request, **kwargs):
        return BoundedChangeList

    def get_ordering(self, request):
        for name, order in self.linked_by.items():
            if f"{name}__id__exact" in request.GET:
                return order
        return super().get_ordering(request)

    def lookup_allowed(self, lookup, value, request=None):
        """Allow the filters of the page and ``linked_by``: any other lookup may read the table."""
        filters = {each.parameter_name for each in self.list_filter}
        return lookup in filters | {f"{name}__id__exact" for name in self.linked_by}

    def response_action(self, request, queryset):
        chosen = request.POST.getlist(admin.helpers.ACTION_CHECKBOX_NAME)
        if any(across not in {"", "0"} for across in request.POST.getlist("select_across")):
            message = _(
                "Uma ação vale para o que está marcado nesta página, não para a lista toda."
            )
        elif not all(as_id(pk) for pk in chosen):
            message = _("O que está marcado não existe.")
        else:
            return super().response_action(request, queryset)
        self.message_user(request, message, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    # --- writes ---

    def save_model(self, request, obj, form, change):
        if not change:
            obj.save()
            return
        columns = {field.name for field in self.opts.concrete_fields}
        changed = columns & set(form.changed_data)
        if changed:
            obj.save(update_fields=changed | self.derive(obj, changed))

    def derive(self, obj: models.Model, changed: set[str]) -> set[str]:
        """Set the columns of ``obj`` that follow from the ``changed`` ones; return their names."""
        return set()

    def get_deleted_objects(self, objs, request):
        """Count what a deletion takes along, one level deep, at most ``ROWS_LIMIT`` of a kind.

        Django's own loads and lists every row. Models whose deletion reaches further do not
        allow it here.
        """
        rows = list(objs)
        counts = {model_ngettext(self.opts, len(rows)): len(rows)}
        lacking: set[str] = set()
        protected: list[str] = []
        for relation in _pointing_at(self.model):
            model = relation.related_model
            pointing = model._base_manager.filter(**{f"{relation.field.name}__in": rows})
            found = pointing[:ROWS_LIMIT].count()
            if not found:
                continue
            if relation.on_delete is models.PROTECT:
                protected.append(f"{found} {model_ngettext(model._meta, found)}")
            elif relation.on_delete is models.CASCADE:
                counts[_called(model, found)] = found
                if not self._may_delete(request, model):
                    lacking.add(model._meta.verbose_name)
        return [str(row) for row in rows], counts, lacking, protected

    def _may_delete(self, request: HttpRequest, model: type[models.Model]) -> bool:
        if not self.admin_site.is_registered(model):
            return True
        return self.admin_site.get_model_admin(model).has_delete_permission(request)


class ReadOnlyAdmin(BigTableAdmin):
    """What the site writes by itself: to be looked at here, and no more."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


def _pointing_at(model: type[models.Model]) -> Iterable[models.ForeignObjectRel]:
    for relation in model._meta.get_fields(include_hidden=True):
        if isinstance(relation, models.ForeignObjectRel) and not relation.many_to_many:
            yield relation


def _called(model: type[models.Model], count: int) -> str:
    """Return what ``count`` rows are called in the reader's language.

    Django names a join table of its own when it makes it: in the site's language, for good.
    """
    if model._meta.auto_created:
        return ngettext("ligação", "ligações", count)
    return model_ngettext(model._meta, count)


class IndexFilter(admin.SimpleListFilter):
    """A choice of conditions, each of which an index serves: ``conditions[value] = (label, Q)``."""

    conditions: dict[str, tuple[str, models.Q]] = {}

    def lookups(self, request, model_admin):
        return [(value, label) for value, (label, _condition) in self.conditions.items()]

    def queryset(self, request, queryset):
        if self.value() is None:
            return queryset
        if self.value() not in self.conditions:
            raise IncorrectLookupParameters(self.value())
        return queryset.filter(self.conditions[self.value()][1])


class PreloadedAutocomplete(AutocompleteSelect):
    """An autocompleting select that was told its row, so that fifty of them ask nothing."""

    row: models.Model | None = None

    def optgroups(self, name, value, attr=None):
        if self.row is None or [str(pk) for pk in value] != [str(self.row.pk)]:
            return super().optgroups(name, value, attr)
        option = self.create_option(name, self.row.pk, str(self.row), {str(self.row.pk)}, 0)
        return [(None, [option], 0)]


def link_to_list(model: type[models.Model], relation: str, pk: int, label: str | int) -> str:
    """Return a link to the list of ``model`` narrowed to one row of ``relation``."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    return format_html('<a href="{}?{}__id__exact={}">{}</a>', reverse(name), relation, pk, label)


def excerpt(text: str, length: int = 80) -> str:
    """Return the beginning of ``text`` on one line."""
    line = " ".join(text[: length * 2].split())
    return f"{line[:length]}…" if len(line) > length else line
