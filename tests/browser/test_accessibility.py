"""Every page by keyboard, by ear and for weak eyes: axe-core, and what it cannot judge."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

from axe_playwright_python.sync_playwright import Axe
from django.urls import Resolver404, resolve
from playwright.sync_api import Page, expect

import accounts.urls
import core.urls
import debates.urls

from .measures import CONTRAST, INVISIBLE_FOCUS
from .site import VISITS
from .visiting import DESKTOP, PHONE, SCHEMES, every_page

TAP = 44  # of a thumb, for what is pressed again and again
AXE = {
    "resultTypes": ["violations"],
    # Contrast is measured by CONTRAST: axe gives up on a gradient, and threads stand on one.
    "rules": {"target-size": {"enabled": True}, "color-contrast": {"enabled": False}},
}
# Two navigations with the same links carry the same name (ARIA practices): the two pagers.
ACCEPTED = {("landmark-unique", "pager")}
NOT_PAGES = {
    "logout", "shelve_book", "vote_post", "moderate_topic", "moderate_post",
    "follow_topic", "follow_book", "open_notification", "read_notifications",  # POST only
    "set_language", "healthz", "metrics", "readyz",
}  # fmt: skip
OUTLINE = """() => {
  const found = [];
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((h) => +h.localName[1]);
  if (levels.filter((level) => level === 1).length !== 1) found.push(`h1: ${levels}`);
  levels.forEach((level, n) => { if (level > (levels[n - 1] ?? 0) + 1) found.push(`skips: ${levels}`); });
  const count = (selector) => document.querySelectorAll(selector).length;
  if (count("main") !== 1) found.push("not one main");
  if (document.documentElement.lang !== "pt-br") found.push(document.documentElement.lang);
  const first = document.querySelector("a[href], button, input, select, textarea, summary");
  if (first?.hash !== "#" + document.querySelector("main")?.id) found.push("no skip link first");
  // A placeholder goes away with the first letter: axe takes it for a name, we do not.
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!field.labels.length && !field.ariaLabel) found.push(`no label: ${field.outerHTML}`);
  return found;
}"""


def test_no_page_is_left_out():
    names = {
        pattern.name
        for app in (core.urls, accounts.urls, debates.urls)
        for pattern in app.urlpatterns
    }
    visited = set()
    for visit in VISITS.values():
        with suppress(Resolver404):
            path = visit.path.format_map(defaultdict(lambda: "123")).partition("?")[0]
            visited.add(resolve(path).url_name)
    assert names - visited == NOT_PAGES


def test_every_page_is_sound(site, open_page):
    """One round of all pages, because going there costs more than looking."""
    found = {}
    for name, page in every_page(site, open_page):
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found[name, "contrast", scheme] = page.evaluate(CONTRAST)
        page.set_viewport_size(PHONE)
        found[name, "outline"] = page.evaluate(OUTLINE)
        found[name, "axe"] = _violations(page)
        for size in (PHONE, DESKTOP):
            page.set_viewport_size(size)
            page.keyboard.press("Tab")
            found[name, "focus", size["width"]] = page.evaluate(INVISIBLE_FOCUS)
    assert {where: what for where, what in found.items() if what} == {}


def _violations(page: Page) -> list[str]:
    return [
        f"{rule['id']}: {node['html'][:120]} {node['failureSummary']}"
        for rule in Axe().run(page, options=AXE).response["violations"]
        for node in rule["nodes"]
        if not any(rule["id"] == known and part in node["html"] for known, part in ACCEPTED)
    ]


def test_skip_link_leads_past_the_header(site, open_page):
    page = open_page()
    page.goto(site.path(VISITS["book_list"]))
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Pular para o conteúdo")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Categoria")).to_be_focused()


def test_keyboard_reaches_vote_and_reply_in_reading_order(site, open_page):
    page = open_page(site.sessions["member"])
    page.goto(site.post_path(site.deepest))
    reply = page.locator("article:target")
    author = site.other.name
    reply.get_by_role("heading").get_by_role("link").focus()
    names = []
    while len(names) < 10 and "Responder" not in names:
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.innerText")
        )
    assert names[-3:] == [
        f"Votar a favor da resposta de {author}; -2 pontos",
        f"Votar contra a resposta de {author}",
        "Responder",
    ]
    page.keyboard.press("Enter")
    expect(reply.get_by_label("Sua resposta")).to_be_focused()


def test_vote_buttons_say_what_they_did(site, open_page):
    """The reader voted against this reply before; now changes to a vote for it, by keyboard."""
    page = open_page(site.sessions["member"])
    page.goto(site.post_path(site.deepest))
    reply = page.locator("article:target")
    up = reply.get_by_role("button", name=f"Votar a favor da resposta de {site.other.name}")
    down = reply.get_by_role("button", name=f"Votar contra a resposta de {site.other.name}")
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(up).to_have_attribute("aria-pressed", "false")
    up.press("Enter")
    expect(up).to_have_attribute("aria-pressed", "true")
    expect(down).to_have_attribute("aria-pressed", "false")
    expect(up).to_have_accessible_name(f"Votar a favor da resposta de {site.other.name}; 0 pontos")
    expect(up).to_be_focused()
    expect(page.locator("#status")).to_have_text("Voto guardado: 0 pontos.")


def test_vote_and_reply_are_wide_enough_for_a_thumb(site, open_page):
    page = open_page(site.sessions["member"], viewport=PHONE, has_touch=True, is_mobile=True)
    page.goto(site.post_path(site.deepest))
    reply = page.locator("article:target")
    for button in reply.get_by_role("button").all():
        box = button.bounding_box()
        assert box["width"] >= TAP
        assert box["height"] >= TAP
    link = reply.get_by_role("link", name="Responder")
    assert link.bounding_box()["height"] >= TAP
    link.tap()
    send = reply.get_by_role("button", name="Responder a")
    assert send.bounding_box()["height"] >= TAP
