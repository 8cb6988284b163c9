"""core.markdown: whatever a reader writes comes out as harmless HTML that keeps the words."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

from django.test import SimpleTestCase

from core.markdown import render

# Written out again on purpose: a tag added to the renderer must be added here too.
TAGS = {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "ul"}
ATTRIBUTES = {"a": {"href", "title", "rel"}, "ol": {"start"}}
SCHEMES = {"", "http", "https", "mailto"}
REL = "nofollow ugc noopener"
BODY_LENGTH = 10_000  # characters a post may have

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)//",
    '<svg/onload=alert(1)><svg><animate onbegin=alert(1) attributeName=x dur=1s>',
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<object data=data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==></object>",
    "<style>body{background:url(javascript:alert(1))}</style>",
    "<p style=position:fixed>x</p>",
    "<form action=/conta/sair/ method=post><button>x</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    '<a href="javascript:alert(1)">x</a>',
    "<a href=x onclick=alert(1)>x</a>",
    "<!-- <script>alert(1)</script> -->",
    "<!--><script>alert(1)</script>-->",
    "<!-- --!><img src=x onerror=alert(1)> -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo '<script>alert(1)</script>' ?>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<textarea></textarea><img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](java&Tab;script:alert(1))",
    "[x](<java\tscript:alert(1)>)",
    "[x](%6aavascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](\u00a0javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](blob:https://a.example/1)",
    "[x](view-source:javascript:alert(1))",
    "[x][y]\n\n[y]: javascript:alert(1)",
    "[x][y]\n\n[y]: <javascript:alert(1)> \"t\"",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "[<img src=x onerror=alert(1)>](https://a.example)",
    "[a](https://a.example \"x\" onmouseover=\"alert(1)\")",
    "[a](https://a.example \"&quot; onmouseover=&quot;alert(1)\")",
    "[a](https://a.example/\"onmouseover=\"alert(1))",
    "[a](<https://a.example/ onmouseover=alert(1)>)",
    "https://a.example/\"onmouseover=alert(1)",
    "https://a.example/<script>alert(1)</script>",
    "![x](x \"onerror=alert(1)\")",
    "![x\" onerror=\"alert(1)](x)",
    "```\"onload=\"alert(1)\n<script>alert(1)</script>\n```",
    "``` <img/src=x/onerror=alert(1)>\nx\n```",
    "    <script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    "> <script>\n> alert(1)\n> </script>",
    "- <img src=x onerror=alert(1)>\n  - <b onmouseover=alert(1)>x</b>",
    "**<img src=x onerror=alert(1)>**",
    "**[x](javascript:alert(1) 'a') <i onclick=alert(1)>** *[y](<javascript:alert(2)>)*",
    "\\<script>alert(1)\\</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "＜script＞alert(1)＜/script＞",
    "<a\x00href=javascript:alert(1)>x</a>",
    "[x](java\x00script:alert(1))",
    "{{ 7|add:7 }} {% load static %} ${7*7} #{7*7}",
]  # fmt: skip


class Reader(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.oddities: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data

    def handle_comment(self, data):
        self.oddities.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def faults(html: str) -> list[str]:
    """Everything in ``html`` that a reader must not be able to write."""
    read = Reader(html)
    found = [f"not text: {oddity}" for oddity in read.oddities]
    for tag, attributes in read.tags:
        if tag not in TAGS:
            found.append(f"tag {tag}")
        found += [
            f"attribute {tag}.{name}" for name in attributes.keys() - ATTRIBUTES.get(tag, set())
        ]
        if tag == "a":
            href = attributes.get("href") or ""
            if urlsplit(href).scheme not in SCHEMES:
                found.append(f"address {href}")
            if attributes.get("rel") != REL:
                found.append(f"rel {attributes.get('rel')}")
    return found


class SafetyTests(SimpleTestCase):
    def test_nothing_hostile_comes_through(self):
        for text in HOSTILE:
            for form in (text, f"Olá {text} mundo", f"> - {text}", f"{text}\n\n{text}"):
                with self.subTest(form):
                    assert faults(render(form)) == []

    def test_the_check_sees_what_it_looks_for(self):
        for html in (
            "<script>x</script>", "<img src=x>", "<p onclick=x>y</p>", "<!-- x -->", "<p class=x>",
            f'<a href="javascript:x" rel="{REL}">y</a>', '<a href="https://a.example">y</a>',
            f'<a href="https://a.example" rel="{REL}" target="_blank">y</a>', "<?x?>", "<!x>",
            f'<a href="data:x" rel="{REL}">y</a>', f'<a href="JAVASCRIPT:x" rel="{REL}">y</a>',
        ):  # fmt: skip
            with self.subTest(html):
                assert faults(html)

    def test_raw_html_is_shown_as_the_text_it_is(self):
        for text in (
            "<script>alert(1)</script>",
            "<b>oi</b>",
            "<img src=x onerror=y>",
            "a<!--b-->c",
        ):
            with self.subTest(text):
                read = Reader(render(text))
                assert read.words.strip() == text
                assert [tag for tag, _attributes in read.tags] == ["p"]

    def test_a_refused_link_stays_as_words(self):
        assert "javascript:alert(1)" in Reader(render("[x](javascript:alert(1))")).words


class LinkTests(SimpleTestCase):
    def links(self, text):
        return [attributes for tag, attributes in Reader(render(text)).tags if tag == "a"]

    def test_every_link_is_marked_as_a_readers_own(self):
        for text in (
            "[x](https://a.example)", "[x](/livros/)", "<https://a.example>", "https://a.example",
            "[x][y]\n\n[y]: https://a.example", "<ana@a.example>", "mailto:ana@a.example",
        ):  # fmt: skip
            with self.subTest(text):
                assert [link["rel"] for link in self.links(text)] == [REL]

    def test_a_reader_cannot_say_rel_or_target(self):
        (link,) = self.links('[x](https://a.example "título")')
        assert link == {"href": "https://a.example", "title": "título", "rel": REL}

    def test_a_bare_name_is_a_word(self):
        # "acabou.No" is a missing space, and looking for names is quadratic
        assert self.links("acabou.No dia, www.a.example, node.js, ana@a.example") == []


class ShapeTests(SimpleTestCase):
    def test_what_readers_use(self):
        for text, html in (
            ("*a* **b** ~~c~~ `d`", "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d</code></p>"),
            ("a\nb", "<p>a<br>\nb</p>"),
            ("a\n\nb", "<p>a</p>\n<p>b</p>"),
            ("> a", "<blockquote>\n<p>a</p>\n</blockquote>"),
            ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
            ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
            ("---", "<hr>"),
            ("```\na < b\n```", "<pre><code>a &lt; b\n</code></pre>"),
            ("", ""),
        ):
            with self.subTest(text):
                assert render(text).strip() == html

    def test_headings_stay_text_so_that_the_pages_outline_is_its_own(self):
        for text in ("# Título", "###### Título", "Título\n======", "Título\n------\nx"):
            html = render(text)
            with self.subTest(text):
                assert "<h" not in html.replace("<hr>", "")
                assert "Título" in html
                assert faults(html) == []

    def test_a_picture_is_a_link_at_most_and_calls_no_other_host(self):
        html = render("![capa](https://a.example/x.png)")
        assert "<img" not in html
        assert "capa" in html


class PathologicalTests(SimpleTestCase):
    """The longest text allowed, in the shapes that are known to be slow. They end, or this hangs."""

    UNITS = (
        "[", "]", "(", "*", "_", "`", "~", "<", ">", "\\", "&", "!", "|", "\t", "\n", "\r", "\x00",
        "> ", "- ", "1. ", "![", "[a](", "[a](<", "[a][", "[[]](", "[a]: b\n", "[a]:\n", "*a ",
        "**a _b ", "*_*_", "`a``", "~~a", "<a ", "<!--", "&#x", "&amp;", "  - a\n", "- a\n\n",
        "> a\n\n", "    a\n", "```\n", "a\n===\n", "a  \n", "http://", "http://[", "[http://",
        "http://a.b/(", "//a.b?", "#//a.b", "www.|", "|www.", "a@b.c ", "mailto:a@b.c ", "a.b.",
        "é", "🦊", "\u202e", "a",
    )  # fmt: skip
    PAIRS = (
        ("[", "](x)"), ("![", "](x)"), ("*", "*"), ("**", "**"), ("~~", "~~"), ("`", "`"),
        ("(", ")"), ("<", "> "), ("> ", "\n"), ("http://a.b/(", ")"),
    )  # fmt: skip

    def texts(self):
        for unit in self.UNITS:
            yield (unit * BODY_LENGTH)[:BODY_LENGTH]
        for before, after in self.PAIRS:
            count = BODY_LENGTH // len(before + after)
            yield before * count + after * count
        for mark in ("- ", "1. ", "> "):
            yield "".join(f"{' ' * len(mark) * n}{mark}a\n" for n in range(80))[:BODY_LENGTH]

    def test_they_end_harmless_and_not_much_longer_than_they_came(self):
        for text in self.texts():
            with self.subTest(text[:12]):
                html = render(text)
                assert len(html) <= 12 * BODY_LENGTH
                assert faults(html) == []
