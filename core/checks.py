"""What `manage.py check --deploy` says about this site beyond Django's own checks."""

from __future__ import annotations

from celery import current_app
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import OperationalError
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from . import redis
from .database import Server, ask_server
from .queues import NAMES, ROUTES

WORKERS_ANSWER_SECONDS = 1.0


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


@register(Tags.urls, deploy=True)
def mails_know_where_the_site_is(app_configs, **kwargs):
    """A mail is written by a worker, which has no request to tell the site's name."""
    if settings.HTTPS:
        return []
    return [
        Error(
            "SITE_URL is not an https:// address: links in mails would lead to the reader's own "
            "machine, and no mail program offers the one-click unsubscription.",
            hint="Set SITE_URL=https://… to the public address.",
            id="core.E018",
        )
    ]


@register("connections", deploy=True)
def the_server_is_as_the_site_needs_it(app_configs, **kwargs):
    """Timeouts in force, room for every process, extensions in sight. Asks Postgres, three queries.

    Not tagged ``database``, which would need ``--database`` too: nobody would ask.
    """
    try:
        server = ask_server()
    except OperationalError as error:
        return [
            Warning(
                f"Postgres did not answer, so its timeouts and limits were not checked: {error}",
                hint="Run this where the site will run.",
                id="core.W010",
            )
        ]
    return [*_timeouts(server), *_connections(server), *_extensions(server)]


def _timeouts(server: Server) -> list[CheckMessage]:
    wanted = {
        "statement_timeout": (server.statement_timeout_ms, settings.STATEMENT_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": (
            server.idle_in_transaction_timeout_ms,
            settings.IDLE_IN_TRANSACTION_TIMEOUT_MS,
        ),
    }
    return [
        Error(
            f"{name} of a fresh connection is {found} ms{' (none)' if not found else ''}; "
            f"the site needs at most {most} ms.",
            hint="Run `python manage.py set_role_defaults`, then RECONNECT the pooler.",
            id="core.E011",
        )
        for name, (found, most) in wanted.items()
        if not 0 < found <= most
    ]


def _connections(server: Server) -> list[CheckMessage]:
    budget = settings.CONNECTION_BUDGET
    if settings.DATABASE_POOLER == "transaction" or budget.total <= server.connections:
        return []  # such a pooler shares few connections among many clients: its own numbers count
    return [
        Warning(
            f"The site may hold {budget} connections; Postgres allows this role "
            f"{server.connections}.",
            hint="Fewer WEB_WORKERS, WEB_THREADS or CELERY_CONCURRENCY, a larger max_connections, "
            "or a pooler: docs/connections.md.",
            id="core.W012",
        )
    ]


def _extensions(server: Server) -> list[CheckMessage]:
    if not server.search_path:
        return []
    return [
        Warning(
            "pg_trgm is in a schema that the role's search_path does not name.",
            hint="Run `python manage.py set_role_defaults`, which adds it.",
            id="core.W013",
        )
    ]


@register("queues", deploy=True)
def every_queue_has_a_worker(app_configs, **kwargs):
    """What waits in a queue that nobody serves waits for ever. Asks the workers, one second."""
    try:
        answers = current_app.control.inspect(timeout=WORKERS_ANSWER_SECONDS).active_queues() or {}
    except (KombuError, RedisError, OSError) as error:
        return [
            Warning(
                f"The broker did not answer, so its workers were not asked: {error}",
                hint="Run this where the site will run.",
                id="core.W015",
            )
        ]
    served = {queue["name"] for queues in answers.values() for queue in queues}
    routed = {*NAMES, *(route["queue"] for route in ROUTES.values())}
    return [
        Warning(
            f"No worker serves the queue {name}.",
            hint="Start the workers of the Procfile, or one without -Q, which serves all.",
            id="core.W016",
        )
        for name in sorted(routed - served)
    ]


@register("redis", deploy=True)
def nothing_evicts_what_must_stay(app_configs, **kwargs):
    """The queue, the sessions' copies and the counters share no eviction with the cache.

    Asks each server once; a hosted one that answers no CONFIG is not judged.
    """
    urls = {settings.CELERY_BROKER_URL, settings.REDIS_SESSIONS_URL, settings.REDIS_LIMITS_URL}
    evicting = sorted({where for url in urls if (where := redis.evicting_server(url))})
    return [
        Warning(
            f"The Redis at {where} evicts any key when it is full: queued tasks and counters too.",
            hint="Give REDIS_URL, the cache, a server of its own with maxmemory-policy allkeys-lru, "
            "and the others one with noeviction.",
            id="core.W014",
        )
        for where in evicting
    ]


@register("metrics", deploy=True)
def processes_add_up(app_configs, **kwargs):
    """Whoever scrapes one of several processes sees a part of the site, each time another."""
    if settings.METRICS_DIR or not (settings.METRICS_TOKEN or settings.METRICS_NETWORKS):
        return []
    return [
        Warning(
            "/metrics is open, but METRICS_DIR is not set: each process answers for itself.",
            hint="Set METRICS_DIR to one folder for all processes of this machine.",
            id="core.W017",
        )
    ]
