"""What staff see of the site as a whole."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.decorators import member_required, staff_required
from core import operations
from debates import overview


@never_cache
@require_safe
@member_required
@staff_required
def staff_overview(request: HttpRequest) -> HttpResponse:
    """How the community and the machinery are; for staff.

    Queries: this week so far and the debates that wait, four, none while they are kept; reports,
    recounts, the last drift; the four of ``core.operations``.
    """
    context = {**overview.community(), "system": operations.overview()}
    return render(request, "debates/staff_overview.html", context)
