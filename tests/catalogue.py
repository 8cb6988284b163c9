"""What tests/test_catalogue.py reads: the words a file marks for translation, and those it forgot.

Marked words are found without GNU gettext, as ``makemessages`` would find them: modules by
their syntax tree, templates by the function with which Django hands them to ``xgettext``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from django.template.base import Lexer, TokenType
from django.utils.translation import templatize

TRANSLATION = "django.utils.translation"
ARGUMENTS = {
    "gettext": ("text",),
    "ngettext": ("text", "plural"),
    "pgettext": ("context", "text"),
    "npgettext": ("context", "text", "plural"),
}
FUNCTIONS = {name + tail: parts for name, parts in ARGUMENTS.items() for tail in ("", "_lazy")} | {
    "gettext_noop": ("text",)
}

# The same in every language: names, codes, the links between the two languages.
AS_THEY_ARE = (
    "CGBookStore", "ISBN", "ISO 639-1: pt, en, es", "Ler em português", "Read in English",
    "Português",
)  # fmt: skip

READ_ALOUD = {
    "alt", "aria-description", "aria-label", "aria-roledescription", "hx-confirm", "label",
    "placeholder", "title",
}  # fmt: skip
# What Django shows to people, among keyword arguments and class attributes.
SHOWN_NAMES = {
    "choices", "description", "empty_label", "empty_value", "error_messages", "help_text",
    "help_texts", "index_title", "label", "labels", "message", "search_help_text", "site_header",
    "site_title", "title", "verbose_name", "verbose_name_plural", "violation_error_message",
}  # fmt: skip
SHOWN_ARGUMENT = {"ValidationError": 0, "add_error": 1, "message_user": 1}  # and messages.*: 1
NOT_WORDS = {"block body_class"}
SHOWN_FILTER = re.compile(r"""\|(?:default|default_if_none|yesno):("[^"]*"|'[^']*')""")
GIVEN_WORDS = re.compile(r"""\b\w+=("[^"#?/]*"|'[^'#?/]*')""")  # not an anchor, query or path


class Mark(NamedTuple):
    """One marked text; ``place`` is ``file:line`` of a module, the name of a template."""

    context: str | None
    text: str
    plural: str | None
    place: str


class Unreadable(NamedTuple):
    """A mark that ``makemessages`` does not see."""

    place: str
    why: str


def source_files(root: Path, *suffixes: str) -> Iterator[Path]:
    """Every file of the project that ends so; not those of hidden folders and copies."""
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or path.name in {"__pycache__", "staticfiles"}:
            continue
        if path.is_dir():
            yield from source_files(path, *suffixes)
        elif path.suffix in suffixes:
            yield path


# --- modules -----------------------------------------------------------------------


def module_marks(source: str, name: str) -> Iterator[Mark | Unreadable]:
    """The marked texts of a module, whatever name it imported the function under."""
    tree = ast.parse(source, name)
    functions, modules = _imports(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        holder, _, last = called.rpartition(".")
        function = functions.get(called) or (last if holder in modules else "")
        if function not in FUNCTIONS:
            continue
        place = f"{name}:{node.lineno}"
        known = last == function or (last == "_" and FUNCTIONS[function] == ("text",))
        texts = [_text(argument) for argument in node.args[: len(FUNCTIONS[function])]]
        if not known:
            yield Unreadable(place, f"makemessages does not know {function} as {last}")
        elif len(texts) < len(FUNCTIONS[function]) or None in texts:
            yield Unreadable(place, f"{called}() takes text spelt out")
        else:
            parts = dict(zip(FUNCTIONS[function], texts, strict=True))
            yield Mark(parts.get("context"), parts["text"] or "", parts.get("plural"), place)


def _imports(tree: ast.Module) -> tuple[dict[str, str], set[str]]:
    """The local names of the functions, and of the module that holds them."""
    functions: dict[str, str] = {}
    modules = {TRANSLATION}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for name in node.names:
                if node.module == TRANSLATION:
                    functions[name.asname or name.name] = name.name
                elif f"{node.module}.{name.name}" == TRANSLATION:
                    modules.add(name.asname or name.name)
        elif isinstance(node, ast.Import):
            modules |= {n.asname for n in node.names if n.name == TRANSLATION and n.asname}
    return functions, modules


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def module_plain_words(source: str, name: str) -> Iterator[str]:
    """Words a module shows without a mark: where Django shows them, or with Portuguese letters."""
    tree = ast.parse(source, name)
    marked, shown = set(), set()
    functions, modules = _imports(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            holder, _, last = called.rpartition(".")
            if called in functions or holder in modules:
                marked |= {id(argument) for argument in node.args}
            elif last in SHOWN_ARGUMENT or holder == "messages":
                at = SHOWN_ARGUMENT.get(last, 1)
                shown |= {id(argument) for argument in node.args[at : at + 1]}
        elif isinstance(node, ast.keyword) and node.arg in SHOWN_NAMES:
            shown |= {id(each) for each in _leaves(node.value)}
        elif isinstance(node, ast.Assign):
            named = {getattr(each, "attr", getattr(each, "id", "")) for each in node.targets}
            if named & SHOWN_NAMES:
                shown |= {id(each) for each in _leaves(node.value)}
        elif isinstance(node, ast.Expr):
            marked.add(id(node.value))  # a docstring
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or id(node) in marked:
            continue
        text = _text(node) or ""
        foreign = any(char.isalpha() and not char.isascii() for char in text)
        if _has_words(text) and (id(node) in shown or foreign):
            yield f"{name}:{node.lineno}: {text}"


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    """What a keyword shows: itself, the values of a dictionary, the second half of a choice."""
    if isinstance(node, ast.Dict):
        yield from node.values
    elif isinstance(node, ast.List | ast.Tuple):
        for each in node.elts:
            if isinstance(each, ast.Tuple):
                yield from each.elts[1:2]
    else:
        yield node


# --- templates ---------------------------------------------------------------------

_LITERAL = re.compile(r"""u?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_CALL = re.compile(rf"\b(_|n?p?gettext)\(((?:{_LITERAL.pattern}(?:, ?)?)+)(?:count)?\)")
_TRANSLATE_TAG = re.compile(r"""trans(?:late)?\s+(?!["'])""")


def template_marks(source: str, name: str) -> Iterator[Mark | Unreadable]:
    """The marked texts of a template."""
    for call in _CALL.finditer(templatize(source, origin=name)):
        function = "gettext" if call[1] == "_" else call[1]
        texts = [ast.literal_eval(literal[0]) for literal in _LITERAL.finditer(call[2])]
        parts = dict(zip(ARGUMENTS[function], texts, strict=True))
        yield Mark(parts.get("context"), parts["text"], parts.get("plural"), name)
    for token in Lexer(source).tokenize():
        if token.token_type == TokenType.BLOCK and _TRANSLATE_TAG.match(token.contents):
            yield Unreadable(f"{name}:{token.lineno}", f"not a text: {token.contents}")


def template_plain_words(source: str, name: str) -> Iterator[str]:
    """Words a template says outside every mark."""
    words = _Words()
    dropped = ""  # the tag whose contents are not looked at
    for token in Lexer(source).tokenize():
        contents, lines = token.contents, "\n" * token.contents.count("\n")
        tag = contents.split(None, 1)[0] if token.token_type == TokenType.BLOCK else ""
        if dropped:
            words.feed(lines)
            dropped = "" if tag == f"end{dropped}" else dropped
        elif token.token_type == TokenType.TEXT:
            words.feed(contents) if name.endswith(".html") else words.say(contents, token.lineno)
        elif token.token_type == TokenType.VAR:
            words.feed("0")  # something stands here
            words.given(SHOWN_FILTER, contents, token.lineno)
        elif tag in {"blocktranslate", "blocktrans", "comment"} or contents in NOT_WORDS:
            dropped = tag
        elif tag in {"include", "with"}:
            words.given(GIVEN_WORDS, contents, token.lineno)
    words.close()
    return (f"{name}:{line}: {text}" for line, text in words.found)


class _Words(HTMLParser):
    """Collects what is read aloud or shown."""

    def __init__(self):
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self.silent = 0  # inside script or style

    def say(self, text: str, line: int) -> None:
        if _has_words(text):
            self.found.append((line, " ".join(text.split())))

    def given(self, pattern: re.Pattern, tag: str, line: int) -> None:
        for literal in pattern.findall(tag):
            self.say(literal[1:-1], line)

    def handle_starttag(self, tag, attrs):
        self.silent += tag in {"script", "style"}
        values = dict(attrs)
        shown = set(READ_ALOUD)
        if values.get("type") in {"button", "reset", "submit"} and tag == "input":
            shown.add("value")
        if tag == "meta" and values.get("name") == "description":
            shown.add("content")
        for name in sorted(shown & values.keys()):
            self.say(values[name] or "", self.getpos()[0])

    def handle_endtag(self, tag):
        self.silent -= tag in {"script", "style"}

    def handle_data(self, data):
        if not self.silent:
            self.say(data, self.getpos()[0])


def _has_words(text: str) -> bool:
    for name in AS_THEY_ARE:
        text = text.replace(name, "")
    return any(char.isalpha() for char in text)


# --- catalogues --------------------------------------------------------------------

_PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z]|\{\w*\}|</?[a-z]+[^>]*>")


def placeholders(text: str) -> list[str]:
    """What a text leaves for values, and its HTML, in any order."""
    return sorted(_PLACEHOLDER.findall(text.replace("%%", "")))


def listed(lines: Iterable[object]) -> str:
    """One line each, for the message of a failing test."""
    return "\n" + "\n".join(str(line) for line in lines)
