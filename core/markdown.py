"""Markdown as readers write it, made safe HTML once, at write time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import nh3
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt
from markdown_it.token import Token

# Headings would break the page's outline, pictures would call other hosts.
_parser = (
    MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True})
    .enable(["linkify", "strikethrough"])
    .disable(["heading", "lheading", "image"])
)
# Only what starts with a scheme becomes a link. Looking for bare names is quadratic (3.6 s of
# CPU for 10,000 characters of "www.|"), and makes links of a missing space: "acabou.No dia".
_parser.linkify = LinkifyIt(options={"fuzzy_link": False, "fuzzy_email": False})
# The same, but what was escaped stays a token of its own.
_words = (
    MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True})
    .enable(["linkify", "strikethrough"])
    .disable(["heading", "lheading", "image", "text_join"])
)
_words.linkify = _parser.linkify
_TAGS = {
    "a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}


def render(text: str) -> str:
    """Return ``text`` (Markdown) as sanitised HTML, links marked as readers' own."""
    return nh3.clean(
        _parser.render(text),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow ugc noopener",
    )


def plain_runs(text: str) -> Iterator[str]:
    """The runs of ``text`` (Markdown) that are the writer's words: no code, link or quotation.

    An escaped ``@`` is still escaped in them.
    """
    quoted = 0
    for block in _words.parse(text):
        if block.type in {"blockquote_open", "blockquote_close"}:
            quoted += block.nesting
        if not quoted:
            yield from _runs(block.children or ())


def _runs(tokens: Iterable[Token]) -> Iterator[str]:
    depth, run = 0, ""
    for token in tokens:
        if token.type in {"link_open", "link_close"}:
            depth += token.nesting
        if token.type in {"text", "text_special"} and not depth:
            is_escaped = token.type == "text_special" and token.content == "@"
            run += token.markup if is_escaped else token.content
        elif run:
            yield run
            run = ""
    if run:
        yield run
