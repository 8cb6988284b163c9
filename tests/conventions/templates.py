"""Rules about templates: they format, they state what they need, and nothing in them runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import PurePosixPath

from django.template.base import Lexer, Token, TokenType

BASE = "templates/base.html"
BASE_BLOCKS = ["title", "description", "head", "body_class", "header", "main", "scripts"]
TOP_LEVEL = {"extends", "load", "block", "endblock"}
DJANGO = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}")


def tags(text: str) -> Iterator[Token]:
    return (token for token in Lexer(text).tokenize() if token.token_type == TokenType.BLOCK)


def words(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Line and words of every ``{% name ... %}``."""
    for token in tags(text):
        bits = token.split_contents()
        if bits and bits[0] == name:
            yield token.lineno, bits


def is_part(path: str) -> bool:
    return PurePosixPath(path).name.startswith("_")


def unquoted(word: str) -> str:
    """The text of a quoted word, ``""`` for a variable."""
    return word[1:-1] if word[:1] in "\"'" and word[-1:] == word[:1] else ""


class _Html(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self.feed(DJANGO.sub("", text))
        self.close()

    def handle_starttag(self, tag, attrs):
        line, names = self.getpos()[0], dict(attrs)
        if tag == "style":
            self.found.append((line, "<style>"))
        if tag == "script" and "src" not in names:
            self.found.append((line, "an inline script"))
        for name, value in names.items():
            if name == "style" or name.startswith(("on", "hx-on")):
                self.found.append((line, f"{name}="))
            if (value or "").strip().lower().startswith("javascript:"):
                self.found.append((line, f"{name}=javascript:"))


def nothing_inline(path: str, text: str) -> list[str]:
    """The content security policy would refuse it, and a reader's words could become it."""
    if not path.endswith(".html"):
        return []
    return [f"{path}:{line} has {what}" for line, what in _Html(text).found]


def parts_state_their_contract(path: str, text: str) -> list[str]:
    if not is_part(path) or re.match(r"{# \S.* #}", text):
        return []
    return [f"{path}:1 does not say what it needs: {{# name: Type #}}"]


def includes_are_parts_with_only(path: str, text: str) -> list[str]:
    found = []
    for line, bits in words(text, "include"):
        if bits[-1] != "only":
            found.append(f"{path}:{line} includes {bits[1]} without only")
        target = unquoted(bits[1])
        if target and not is_part(target):
            found.append(f"{path}:{line} includes {target}, which is no part")
    return found


def a_child_holds_only_blocks(path: str, text: str) -> list[str]:
    """What stands round a block of a child is ignored without a word, an ``{% if %}`` too."""
    if next(words(text, "extends"), None) is None:
        return []
    found, depth = [], 0
    for token in Lexer(text).tokenize():
        name = token.contents.split()[0] if token.token_type == TokenType.BLOCK else ""
        depth -= name == "endblock"
        if depth == 0 and token.token_type != TokenType.COMMENT:
            if name:
                if name not in TOP_LEVEL:
                    found.append(f"{path}:{token.lineno} {{% {name} %}} outside any block")
            elif token.contents.strip():
                found.append(f"{path}:{token.lineno} text outside any block")
        depth += name == "block"
    return found


def block_ends_are_named(path: str, text: str) -> list[str]:
    found, opened = [], []
    for token in tags(text):
        bits = token.split_contents()
        if bits[0] == "block":
            opened.append(bits[1])
        elif bits[0] == "endblock":
            name = opened.pop() if opened else ""
            if bits[1:] != [name]:
                found.append(f"{path}:{token.lineno} wants {{% endblock {name} %}}")
    return found


def base_has_its_seven_blocks(path: str, text: str) -> list[str]:
    if path != BASE:
        return []
    blocks = [bits[1] for _line, bits in words(text, "block")]
    return [] if blocks == BASE_BLOCKS else [f"{path} has the blocks {blocks}"]


def a_part_with_a_form_asks_for_its_token(path: str, text: str) -> list[str]:
    """``only`` drops context processors: without it ``{% csrf_token %}`` prints nothing."""
    if not is_part(path) or next(words(text, "csrf_token"), None) is None:
        return []
    contract = text.partition("\n")[0].partition("#}")[0]
    return [] if "csrf_token" in contract else [f"{path}:1 csrf_token is not in its contract"]


# --- rules about several files together: {path: text} --------------------------------


def every_target_exists(templates: dict[str, str]) -> list[str]:
    return [
        f"{path}:{line} {bits[0]} {target}, which is not there"
        for path, text in templates.items()
        for name in ("extends", "include")
        for line, bits in words(text, name)
        if (target := unquoted(bits[1])) and f"templates/{target}" not in templates
        and not target.startswith("admin/")
    ]  # fmt: skip


def no_block_is_lost(templates: dict[str, str]) -> list[str]:
    """A child's block that its parent does not have is never shown."""
    blocks = {
        path: {bits[1] for _line, bits in words(text, "block")} for path, text in templates.items()
    }
    found = []
    for path, text in templates.items():
        for _line, (_name, parent, *_rest) in words(text, "extends"):
            known = blocks.get(f"templates/{unquoted(parent)}")
            if known is None:
                continue
            found += [f"{path} has a block {name} that {parent} has not"
                      for name in sorted(top_blocks(text) - known)]  # fmt: skip
    return found


def top_blocks(text: str) -> set[str]:
    found, depth = set(), 0
    for token in tags(text):
        bits = token.split_contents()
        if bits[0] == "block":
            if depth == 0:
                found.add(bits[1])
            depth += 1
        depth -= bits[0] == "endblock"
    return found


def parts_with_a_form_are_given_a_token(templates: dict[str, str]) -> list[str]:
    needy = {
        path.removeprefix("templates/")
        for path, text in templates.items()
        if is_part(path) and "csrf_token" in text.partition("\n")[0]
    }
    return [
        f"{path}:{line} gives {unquoted(bits[1])} no csrf_token"
        for path, text in templates.items()
        for line, bits in words(text, "include")
        if unquoted(bits[1]) in needy
        and not any(bit.startswith("csrf_token=") for bit in bits)
    ]  # fmt: skip


def every_part_is_used(templates: dict[str, str], python: dict[str, str]) -> list[str]:
    """A part that nobody includes and no view renders is left over."""
    named = {
        unquoted(bits[1]) for text in templates.values() for _line, bits in words(text, "include")
    }
    code = "\n".join(python.values())
    return [
        f"{path} is used by nobody"
        for path in templates
        if is_part(path)
        and (name := path.removeprefix("templates/")) not in named
        and f'"{name}"' not in code
    ]
