"""Rules about Python: who imports whom, what a request must not do, what nobody swallows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath

from .tree import is_test

FLOORS = {
    "core": {"core"},
    "accounts": {"core", "accounts"},
    "debates": {"core", "accounts", "debates"},
    "cgbookstore": {"core", "accounts", "debates", "cgbookstore"},
}
OURS = {*FLOORS, "tests", "conftest", "dev", "manage"}
WIRED = {("core/beat.py", "cgbookstore.celery")}  # Beat is told the schedule
METHODS = {"require_safe", "require_GET", "require_POST", "require_http_methods"}
CACHES = {"cache", "caches"}
DJANGOS_SIGNALS = {
    "pre_init", "post_init", "pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed",
    "class_prepared", "pre_migrate", "post_migrate", "request_started", "request_finished",
    "got_request_exception", "setting_changed", "connection_created", "user_logged_in",
    "user_logged_out", "user_login_failed",
}  # fmt: skip
SENDING = {"delay", "delay_on_commit", "apply_async", "apply_async_on_commit", "send_task"}
EMPTYING = {"flushdb", "flushall", "delete_pattern"}


@lru_cache(maxsize=512)
def parse(text: str) -> ast.Module:
    return ast.parse(text)


def imports(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Every module that is imported, wherever it stands, with its line; relative ones resolved."""
    package = PurePosixPath(path).parts[:-1]
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{name.name}") for name in node.names)
        elif isinstance(node, ast.Call) and last_name(node.func) in {
            "import_module", "import_string", "__import__",
        }:  # fmt: skip
            yield from (
                (node.lineno, word.value)
                for word in node.args
                if isinstance(word, ast.Constant) and isinstance(word.value, str)
            )


def last_name(node: ast.expr | None) -> str:
    """``c`` of ``a.b.c``, of ``c`` and of ``c(...)``; ``""`` of anything else."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    return getattr(node, "attr", getattr(node, "id", ""))


def calls(text: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(parse(text)) if isinstance(node, ast.Call))


def only_core_cache_imports_djangos_cache(path: str, text: str) -> list[str]:
    if is_test(path) or path in {"core/cache.py", "core/redis.py"}:
        return []
    return [
        f"{path}:{line} imports {module}"
        for line, module in imports(path, text)
        if f"{module}.".startswith("django.core.cache.")
    ]


def imports_run_one_way(path: str, text: str) -> list[str]:
    floor = PurePosixPath(path).parts[0]
    if is_test(path) or floor not in FLOORS:
        return []
    return [
        f"{path}:{line} imports {module}"
        for line, module in imports(path, text)
        if (top := module.partition(".")[0]) in OURS and top not in FLOORS[floor]
        if not any(path == who and f"{module}.".startswith(f"{whom}.") for who, whom in WIRED)
    ]


def tasks_are_queued_by_enqueue(path: str, text: str) -> list[str]:
    """``core.enqueue`` waits for the commit, and never long for the broker."""
    if is_test(path) or path in {"core/enqueue.py", "test_performance.py"}:
        return []
    return [
        f"{path}:{call.lineno} calls .{call.func.attr}()"
        for call in calls(text)
        if isinstance(call.func, ast.Attribute) and call.func.attr in SENDING
    ]


def nobody_empties_redis(path: str, text: str) -> list[str]:
    """FLUSHDB takes sessions, counters and queues; patterns walk over every key there is."""
    if is_test(path):
        return []
    found = []
    for call in calls(text):
        name, holder = last_name(call.func), getattr(call.func, "value", None)
        if isinstance(holder, ast.Subscript):
            holder = holder.value
        if name in EMPTYING:
            found.append(f"{path}:{call.lineno} calls {name}()")
        if name == "clear" and path != "core/cache.py" and last_name(holder) in CACHES:
            found.append(f"{path}:{call.lineno} empties a cache")
        if name == "execute_command" and call.args:
            word = getattr(call.args[0], "value", "")
            if isinstance(word, str) and word.upper().startswith(("FLUSH", "KEYS")):
                found.append(f"{path}:{call.lineno} sends {word}")
    return found


def receivers_name_their_sender(path: str, text: str) -> list[str]:
    """Of Django's signals and our own; Celery's are about its process and have none to name."""
    if is_test(path):
        return []
    signals = DJANGOS_SIGNALS | {
        module.rpartition(".")[2]
        for _line, module in imports(path, text)
        if ".signals." in module and not module.startswith("celery.")
    }
    return [
        f"{path}:{call.lineno} a receiver without a sender"
        for call in calls(text)
        if last_name(call.func) == "receiver"
        or (
            isinstance(call.func, ast.Attribute)
            and call.func.attr == "connect"
            and last_name(call.func.value) in signals
        )
        if not any(keyword.arg == "sender" for keyword in call.keywords)
    ]


def nothing_is_swallowed(path: str, text: str) -> list[str]:
    wide = {"Exception", "BaseException"}
    found = []
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            is_wide = any(one is None or last_name(one) in wide for one in caught)
            if is_wide and all(does_nothing(statement) for statement in node.body):
                found.append(f"{path}:{node.lineno} swallows everything")
        elif isinstance(node, ast.Call) and last_name(node.func) == "suppress":
            found += [
                f"{path}:{node.lineno} swallows everything"
                for one in node.args
                if last_name(one) in wide
            ]
    return found


def does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass | ast.Continue) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def template_tags_fetch_nothing(path: str, text: str) -> list[str]:
    if "templatetags" not in PurePosixPath(path).parts:
        return []
    managers = {"objects", "_default_manager", "connection", "cursor"}
    found = [
        f"{path}:{node.lineno} asks the database"
        for node in ast.walk(parse(text))
        if (isinstance(node, ast.Attribute) and node.attr in managers)
        or (isinstance(node, ast.Name) and node.id in managers)
    ]
    return found + [
        f"{path}:{line} imports {module}"
        for line, module in imports(path, text)
        if "cache" in module.split(".") or module.split(".")[0] in {"redis", "django_redis"}
    ]


# --- views -------------------------------------------------------------------------


def is_views_module(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return not is_test(path) and (parts[-1] in {"views.py", "health.py"} or "views" in parts[:-1])


def views_of(path: str, text: str) -> set[str]:
    """Dotted names of the views in a module: what has a method decorator, and view classes."""
    if not is_views_module(path):
        return set()
    module = path.removesuffix(".py").replace("/", ".")
    return {
        f"{module}.{node.name}"
        for node in parse(text).body
        if (
            isinstance(node, ast.FunctionDef)
            and any(last_name(decorator) in METHODS for decorator in node.decorator_list)
        )
        or (
            isinstance(node, ast.ClassDef)
            and any(last_name(base).endswith("View") for base in node.bases)
        )
    }
