"""What `manage.py check --deploy` says about this site beyond Django's own checks."""

from __future__ import annotations

from django.conf import settings
from django.core.checks import Tags, Warning, register


@register(Tags.staticfiles, deploy=True)
def static_files_are_collected(app_configs, **kwargs):
    """Unhashed static files cannot be cached for long."""
    if settings.STATIC_COLLECTED:
        return []
    return [
        Warning(
            "No static files are collected in STATIC_ROOT.",
            hint="Run `python manage.py collectstatic` before the web process starts.",
            id="core.W001",
        )
    ]


@register(Tags.security, deploy=True)
def proxies_are_counted(app_configs, **kwargs):
    """Behind a proxy that is not counted every reader shares the proxy's address."""
    if settings.TRUSTED_PROXY_HOPS or not settings.HTTPS:
        return []
    return [
        Warning(
            "SITE_URL is https:// but TRUSTED_PROXY_HOPS is 0: the rate limits would count "
            "every reader as the proxy that ends TLS, and the redirect to https would loop.",
            hint="Set TRUSTED_PROXY_HOPS to the number of proxies in front of the site.",
            id="core.W002",
        )
    ]
