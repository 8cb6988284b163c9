"""Rules about what the site is told from outside: variables, requirements."""

from __future__ import annotations

import ast
import re

from . import python

OWNERS_PACKAGES = {
    "django", "django-redis", "redis", "celery", "django-celery-beat", "django-celery-results",
    "django-ratelimit", "django-debug-toolbar", "dj-database-url", "python-decouple",
    "psycopg2-binary",
}  # fmt: skip


def names_read(settings: str) -> set[str]:
    """Every variable that ``config(...)`` asks for; ``RATE_{name}`` once a row of ``RATES``."""
    rows = {
        key.value.upper()
        for node in ast.walk(python.parse(settings))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        if any(python.last_name(target) == "RATES" for target in node.targets)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    }
    found: set[str] = set()
    for call in python.calls(settings):
        if python.last_name(call.func) != "config" or not call.args:
            continue
        name = call.args[0]
        if isinstance(name, ast.Constant):
            found.add(name.value)
        elif isinstance(name, ast.JoinedStr):
            prefix = getattr(name.values[0], "value", "")
            found |= {f"{prefix}{row}" for row in rows}
        else:
            found.add(ast.unparse(name))
    return found


def names_in_procfile(procfile: str) -> set[str]:
    lines = [line for line in procfile.splitlines() if not line.lstrip().startswith("#")]
    return set(re.findall(r"\$\{?([A-Z_][A-Z0-9_]*)", "\n".join(lines)))


def names_in_example(example: str) -> list[str]:
    return re.findall(r"^#?([A-Z_][A-Z0-9_]*)=", example, re.MULTILINE)


def every_variable_is_named(settings: str, procfile: str, example: str) -> list[str]:
    read, named = names_read(settings) | names_in_procfile(procfile), names_in_example(example)
    found = [f"{name} is read and not in .env.example" for name in sorted(read - set(named))]
    found += [f"{name} is in .env.example and read by nobody" for name in sorted(set(named) - read)]
    return found + [f"{name} stands twice" for name in sorted(set(named)) if named.count(name) > 1]


def requirements_of(text: str) -> dict[str, str]:
    """Each package, folded and without its extras, with what follows its name."""
    found = {}
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line and not line.startswith("-"):
            name = re.match(r"[A-Za-z0-9._-]+", line)
            found[re.sub(r"[-_.]+", "-", name[0]).lower() if name else line] = line
    return found


def every_requirement_is_pinned(path: str, text: str) -> list[str]:
    exact = r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==[0-9][A-Za-z0-9.]*(\s*;.+)?"
    found = [
        f"{path}: {line}"
        for line in requirements_of(text).values()
        if not re.fullmatch(exact, line)
    ]
    odd = [
        line for line in text.splitlines() if line.startswith("-") and not line.startswith("-r ")
    ]
    return found + [f"{path}: {line}" for line in odd]


def the_owners_packages_are_there(text: str) -> list[str]:
    return sorted(OWNERS_PACKAGES - requirements_of(text).keys())
