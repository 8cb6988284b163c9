"""Words and shapes for the catalogue's facts. Nothing here queries or caches."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from core.languages import LANGUAGE_NAMES
from core.member_pages import mark
from core.words import span

register = template.Library()
register.filter(span)


@register.simple_tag
def when(moment: datetime, style: str = "SHORT_DATE_FORMAT") -> SafeString:
    """A ``<time>`` in the reader's language; ``style`` names one of Django's date formats."""
    local = timezone.localtime(moment)
    text = date_format(local, style)
    if (get_language() or "").startswith("pt"):
        text = text.lower()  # Django writes "1 de Novembro"
    return format_html('<time datetime="{}">{}</time>', local.isoformat(timespec="seconds"), text)


@register.simple_block_tag
def spot(content: str, *name) -> SafeString:
    """What of a page differs from member to member; ``core.member_pages`` puts theirs in."""
    full = "-".join(map(str, name))
    return mark_safe(f"{mark(f'+{full}')}{content}{mark(f'-{full}')}")  # noqa: S308  a rendered part


@register.filter
def written_in(code: str) -> str:
    """The name of a book's language (Django's ``language_name`` knows other codes), ``""`` for one the catalogue does not know."""
    return str(LANGUAGE_NAMES.get(code, ""))


@register.filter
def year(number: int) -> str:
    """``1899`` as it is; ``-725`` as the 725th year before Christ."""
    if number < 0:
        return _("%(year)d a.C.") % {"year": -number}
    return str(number)


@register.filter
def halves(stars: float) -> int:
    """How many half stars to fill: 4.34 stars fill 9."""
    return round(stars * 2)
