"""``/metrics``: for a watcher who is known, and for nobody else."""

from __future__ import annotations

import ipaddress
import secrets

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from ..ratelimit import UNKNOWN_ADDRESS, socket_address
from . import asked, page, shared


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything that is measured; 404 for a stranger, 503 while the folder cannot be read."""
    if not _is_known(request):
        raise Http404
    try:
        totals = shared.totals()
    except OSError:
        return HttpResponse("the numbers cannot be read\n", "text/plain", status=503)
    return HttpResponse(page.render(totals, asked.now()), CONTENT_TYPE_LATEST)


def _is_known(request: HttpRequest) -> bool:
    """Whether the token is shown, or a machine of a known network asks us directly.

    What came through a proxy is the proxy's question: whose it was stands in a header that
    whoever asks may have written.
    """
    kind, _space, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and kind.lower() == "bearer":
        return secrets.compare_digest(
            token.strip().encode(errors="replace"), settings.METRICS_TOKEN.encode()
        )
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    address = socket_address(request)
    return address != UNKNOWN_ADDRESS and any(
        ipaddress.ip_address(address) in network for network in settings.METRICS_NETWORKS
    )
