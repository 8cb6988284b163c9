"""Markdown as readers write it, made safe HTML once, at write time."""

from __future__ import annotations

from collections.abc import Iterator

import nh3
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

# Headings would break the page's outline, pictures would call other hosts.
_parser = (
    MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True})
    .enable(["linkify", "strikethrough"])
    .disable(["heading", "lheading", "image"])
)
# Only what starts with a scheme becomes a link. Looking for bare names is quadratic (3.6 s of
# CPU for 10,000 characters of "www.|"), and makes links of a missing space: "acabou.No dia".
_parser.linkify = LinkifyIt(options={"fuzzy_link": False, "fuzzy_email": False})
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
    """The runs of ``text`` (Markdown) that are words: neither code nor inside a link."""
    for block in _parser.parse(text):
        depth = 0
        for token in block.children or ():
            if token.type in {"link_open", "link_close"}:
                depth += token.nesting
            elif token.type == "text" and not depth:
                yield token.content
