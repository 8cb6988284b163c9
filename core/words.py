"""Numbers in the reader's language, where Django has no filter for them."""

from __future__ import annotations

from django.utils.translation import gettext as _


def span(seconds: float | None) -> str:
    """How long ``seconds`` are, in two units at the most; a dash for ``None``."""
    if seconds is None:
        return "–"
    minutes = round(seconds / 60)
    if minutes < 1:
        return _("menos de 1 min")
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return _("%(minutes)d min") % {"minutes": minutes}
    if hours < 48:
        return _("%(hours)d h %(minutes)02d min") % {"hours": hours, "minutes": minutes}
    days, hours = divmod(hours, 24)
    return _("%(days)d dias %(hours)d h") % {"days": days, "hours": hours}
