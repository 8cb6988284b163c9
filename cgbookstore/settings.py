"""One settings file for every machine; production is this file plus its environment.

Sections, always in this order: paths, core, apps, middleware, templates, database,
cache & sessions, celery, rate limits, auth, i18n, static & media, mail, security,
logging, watching, ours. Every variable read here is named in ``.env.example``.
"""

import os
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from csp.constants import NONE, SELF
from decouple import Config, Csv, RepositoryEmpty, RepositoryEnv

from core import connections, embedded, logs, queues, sentry
from core.addresses import broker_address, metrics_networks, redis_database
from core.limits import Limit, parse_limit
from core.rooms import room

# --- paths -------------------------------------------------------------------------

BASE_DIR = Path(__file__).resolve().parent.parent
ENV_FILE = Path(os.environ.get("CGB_ENV_FILE", BASE_DIR / ".env"))

config = Config(RepositoryEnv(ENV_FILE) if ENV_FILE.is_file() else RepositoryEmpty())

# --- core --------------------------------------------------------------------------

SECRET_KEY = config("SECRET_KEY", default="")
if not SECRET_KEY:
    raise embedded.SetUpMissing(
        "SECRET_KEY is not set: run `python3 dev.py setup`, which writes a .env with a fresh one, "
        "or set it in the environment."
    )
TESTING = "PYTEST_VERSION" in os.environ or "pytest" in sys.modules
DEBUG = config("DEBUG", default=False, cast=bool)

# The one address of the site. https:// switches on redirect, HSTS and secure cookies;
# unset means plain HTTP on this machine.
SITE_URL = config("SITE_URL", default="").rstrip("/")
_site = urlsplit(SITE_URL)
HTTPS = _site.scheme == "https"
if SITE_URL and (_site.scheme not in {"http", "https"} or not _site.hostname or _site.path):
    raise embedded.SetUpMissing("SITE_URL is a scheme and a host: https://livros.example.com")
# This machine's own names stay: health probes use them.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS += [_site.hostname] if _site.hostname else []
ALLOWED_HOSTS += config("ALLOWED_HOSTS", default="", cast=Csv())

ROOT_URLCONF = "cgbookstore.urls"
WSGI_APPLICATION = "cgbookstore.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- apps --------------------------------------------------------------------------

INSTALLED_APPS = [
    "core",  # first: its templates and commands win over Django's
    "accounts",
    "debates",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_celery_beat",
    "django_celery_results",
    "csp",
]
# Never in tests or production: the runner forces DEBUG off after this line is read.
DEBUG_TOOLBAR = DEBUG and not TESTING
if DEBUG_TOOLBAR:
    INSTALLED_APPS += ["debug_toolbar"]

# --- middleware --------------------------------------------------------------------

MIDDLEWARE = [
    "core.requests.RequestMiddleware",  # first: everything else happens under its name
    "core.serving.PagesMiddleware",  # before the others: what it keeps has passed them all
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",  # before anything that may cost a query
    "core.middleware.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",  # after the session, before the URLs
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "core.middleware.DatabaseMiddleware",
    "core.middleware.RateLimitMiddleware",  # last: the two map what a view raises
]
if DEBUG_TOOLBAR:
    MIDDLEWARE.insert(4, "debug_toolbar.middleware.DebugToolbarMiddleware")
INTERNAL_IPS = ["127.0.0.1", "::1"]

# --- templates ---------------------------------------------------------------------

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "core.member_pages.csrf_mark",  # last: it stands in for Django's token
            ],
        },
    }
]

# --- database ----------------------------------------------------------------------

_embedded = embedded.addresses(BASE_DIR / ".local")
DATABASE_URL = config("DATABASE_URL", default="") or (_embedded and _embedded.database_url)
REDIS_URL = config("REDIS_URL", default="") or (_embedded and _embedded.redis_url)
if not DATABASE_URL or not REDIS_URL:
    raise embedded.ServicesMissing

# For web and workers; core/database.py lifts both for what may take longer. Whoever stops in
# the middle of a transaction keeps its rows locked, and a pooler's server.
STATEMENT_TIMEOUT_MS, IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000, 60_000
# Seconds. Behind a pooler too: an idle client costs it nothing, a new one TLS and a password.
CONN_MAX_AGE = config("CONN_MAX_AGE", default=600, cast=int)
DATABASE_POOLER = config("DATABASE_POOLER", default="")
_timeouts_ms = STATEMENT_TIMEOUT_MS, IDLE_IN_TRANSACTION_TIMEOUT_MS
DATABASES = {
    "default": connections.database(
        DATABASE_URL, DATABASE_POOLER, CONN_MAX_AGE, _timeouts_ms, sys.argv
    )
}
# 2 web x 2 threads + (2 + 1) + (1 + 1) celery + 1 beat + 4 watching + 3 commands + 4 for a release
# that overlaps the last one = 21; Postgres allows 100 - 3. `check --deploy` compares (core.W012).
CONNECTION_BUDGET = connections.Budget(
    web_workers=config("WEB_WORKERS", default=2, cast=int),
    web_threads=config("WEB_THREADS", default=2, cast=int),
    celery_concurrency=config("CELERY_CONCURRENCY", default=2, cast=int),
    bulk_concurrency=config("BULK_CONCURRENCY", default=1, cast=int),
)

# --- cache & sessions --------------------------------------------------------------


REDIS_CACHE_TIMEOUT = config("REDIS_CACHE_TIMEOUT", default=300, cast=int)  # seconds
CACHE_KEY_PREFIX = config("CACHE_KEY_PREFIX", default="cgbookstore")  # two sites, one Redis
# Pages and their data; off: built each time. With DEBUG pages are, and only their data is kept.
PAGE_CACHE = config("PAGE_CACHE", default=True, cast=bool)
REDIS_SESSIONS_URL = config("REDIS_SESSIONS_URL", default="") or redis_database(REDIS_URL, 2)
REDIS_LIMITS_URL = config("REDIS_LIMITS_URL", default="") or redis_database(REDIS_URL, 3)

CACHES = {
    # derived data: may vanish
    "default": room(REDIS_URL, CACHE_KEY_PREFIX, REDIS_CACHE_TIMEOUT),
    # beside it on the same server, so that one round trip fetches a page and its generations
    "pages": room(
        REDIS_URL, f"{CACHE_KEY_PREFIX}-pages", 86_400, serializer="core.redis.BytesSerializer"
    ),
    "sessions": room(REDIS_SESSIONS_URL, f"{CACHE_KEY_PREFIX}-sessions", 60),
    "ratelimit": room(REDIS_LIMITS_URL, f"{CACHE_KEY_PREFIX}-limits", 3600),
}
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
DJANGO_REDIS_LOGGER = "core.redis.ignored"

SESSION_ENGINE = config("SESSION_ENGINE", default="core.sessions")
SESSION_CACHE_ALIAS = "sessions"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30

# --- celery ------------------------------------------------------------------------

CELERY_BROKER_URL = broker_address(config("CELERY_BROKER_URL", default=""), REDIS_URL)
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 30 * 60
CELERY_TASK_SOFT_TIME_LIMIT = 28 * 60
CELERY_RESULT_EXPIRES = 3600
CELERY_TIMEZONE = "America/Sao_Paulo"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_QUEUES = queues.QUEUES
CELERY_TASK_DEFAULT_QUEUE = queues.DEFAULT
CELERY_TASK_ROUTES = queues.ROUTES
CELERY_TASK_PUBLISH_RETRY_POLICY = queues.PUBLISH_RETRIES
CELERY_BROKER_TRANSPORT_OPTIONS = queues.TRANSPORT
# A task is taken off its queue once it is done; one at a time, so that none waits behind another
# in a worker that was killed.
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BEAT_SCHEDULER = "core.beat:Scheduler"

# --- rate limits -------------------------------------------------------------------

RATELIMIT_USE_CACHE = "ratelimit"
RATELIMIT_FAIL_OPEN = True
RATELIMIT_ENABLE = config("RATELIMIT_ENABLE", default=True, cast=bool)
RATELIMIT_IP_META_KEY = "core.ratelimit.client_address"
TRUSTED_PROXY_HOPS = config("TRUSTED_PROXY_HOPS", default=0, cast=int)

# One row a view: rate an hour, burst a minute, whose, which method. RATE_<NAME> in the
# environment replaces the two numbers, for example RATE_CREATE_POST=120/h,20/m.
RATES = {
    "debates_list": Limit("200/h", "60/m", "ip", "GET"),
    "search": Limit("300/h", "30/m", "ip", "GET"),
    "create_topic": Limit("20/h", "5/m", "user", "POST"),
    "create_post": Limit("60/h", "30/m", "user", "POST"),
    "edit_post": Limit("120/h", "30/m", "user", "POST"),
    "vote_post": Limit("100/h", "60/m", "user", "POST"),
    "follow": Limit("300/h", "60/m", "user", "POST"),
    "read_notifications": Limit("900/h", "120/m", "user", "POST"),
    # one click in a mail program comes from its provider, who has many readers
    "unsubscribe": Limit("3000/h", "300/m", "ip", "POST"),
    "shelve_book": Limit("300/h", "60/m", "user", "POST"),
    "moderate": Limit("600/h", "120/m", "user", "POST"),
    "login": Limit("60/h", "10/m", "ip", "POST"),
    "sign_up": Limit("20/h", "5/m", "ip", "POST"),
    "password_change": Limit("20/h", "5/m", "user", "POST"),
    "password_reset": Limit("10/h", "3/m", "ip", "POST"),
    "edit_profile": Limit("60/h", "20/m", "user", "POST"),
}
for _name, _row in RATES.items():
    try:
        RATES[_name] = parse_limit(config(f"RATE_{_name.upper()}", default=""), default=_row)
    except ValueError as error:
        raise embedded.SetUpMissing(f"RATE_{_name.upper()}: {error}") from error

# --- auth --------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.UsernameOrEmailBackend"]
PASSWORD_HASHERS = [
    "accounts.hashers.Argon2Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "core:home"
LOGOUT_REDIRECT_URL = "core:home"

# --- i18n --------------------------------------------------------------------------

LANGUAGE_CODE = "pt-br"
LANGUAGES = [("pt-br", "Português"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "cgbookstore.formats"
TIME_ZONE = "America/Sao_Paulo"
USE_TZ = True

# --- static & media ----------------------------------------------------------------

STATIC_URL = "/static/"
_static_root = Path(config("STATIC_ROOT", default="") or BASE_DIR / "staticfiles")
STATICFILES_DIRS = [BASE_DIR / "static"]
# Hashed and compressed once collected; a fresh checkout without that step still has a
# stylesheet, and `check --deploy` says what is missing (core.W001).
STATIC_COLLECTED = (_static_root / "staticfiles.json").is_file()
_manifest = STATIC_COLLECTED or "collectstatic" in sys.argv
STATIC_ROOT = _static_root if _manifest else None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if _manifest
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = not _manifest or DEBUG
WHITENOISE_AUTOREFRESH = DEBUG

# --- mail --------------------------------------------------------------------------

# smtp+tls://user:password@host:587 or smtps://…:465 or smtp://… sends; unset prints every
# mail to the console.
_email = urlsplit(config("EMAIL_URL", default=""))
if _email.scheme in {"smtp", "smtp+tls", "smtps"}:
    EMAIL_HOST = _email.hostname
    EMAIL_USE_TLS, EMAIL_USE_SSL = _email.scheme == "smtp+tls", _email.scheme == "smtps"
    EMAIL_PORT = _email.port or (465 if EMAIL_USE_SSL else 587)
    EMAIL_HOST_USER = unquote(_email.username or "")
    EMAIL_HOST_PASSWORD = unquote(_email.password or "")
    EMAIL_TIMEOUT = 10
elif _email.scheme:
    raise embedded.SetUpMissing("EMAIL_URL starts with smtp://, smtp+tls:// or smtps://.")
else:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
DEFAULT_FROM_EMAIL = config("DEFAULT_FROM_EMAIL", default="CGBookStore <nao-responda@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- security ----------------------------------------------------------------------

if SITE_URL:
    CSRF_TRUSTED_ORIGINS = [SITE_URL]
if HTTPS:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # who watches speaks HTTP
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
if TRUSTED_PROXY_HOPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "core.refusals.csrf_failure"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 60 * 60 * 24 * 365
DATA_UPLOAD_MAX_MEMORY_SIZE = 512 * 1024  # no upload anywhere; a post has 10,000 characters

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- logging -----------------------------------------------------------------------

# json for machines, line for people; which of both decides DEBUG unless it is said.
LOG_FORMAT = config("LOG_FORMAT", default="line" if DEBUG else "json")
LOGGING = logs.configuration(LOG_FORMAT, config("LOG_LEVEL", default="INFO"))
# What takes longer is logged, with its view; milliseconds.
SLOW_REQUEST_MS = config("SLOW_REQUEST_MS", default=500, cast=int)
SLOW_QUERY_MS = config("SLOW_QUERY_MS", default=200, cast=int)

# --- watching ----------------------------------------------------------------------

# /metrics answers whoever shows the token or asks from one of the networks, and nobody without.
METRICS_TOKEN = config("METRICS_TOKEN", default="")
METRICS_NETWORKS = metrics_networks(config("METRICS_NETWORKS", default=""))
# Where the processes of this machine add up what they count; unset, each counts for itself.
METRICS_DIR = config("METRICS_DIR", default="")
# While it is there this machine gets no new readers: `manage.py drain on`, before a stop.
DRAIN_FILE = Path(config("DRAIN_FILE", default="") or BASE_DIR / ".local" / "drain")
# Off without a DSN; what people typed and who they are stays here (core/sentry.py).
SENTRY_DSN = config("SENTRY_DSN", default="")
sentry.start(
    SENTRY_DSN,
    environment=config("SENTRY_ENVIRONMENT", default="production"),
    release=config("SENTRY_RELEASE", default=""),
    traces=config("SENTRY_TRACES_SAMPLE_RATE", default=0.0, cast=float),
)

# --- ours --------------------------------------------------------------------------

POSTS_PER_PAGE = 20
TOPICS_PER_PAGE = 50
BOOKS_PER_PAGE = 48
ROWS_PER_PAGE = 20  # reviews, search results, a profile's lists
