"""No page is wider than its window, whatever readers write; both colour schemes are drawn."""

from __future__ import annotations

from playwright.sync_api import expect

from .visiting import DESKTOP, PHONE, SCHEMES, every_page

NARROWEST_TEXT = 240

MEASURES = """() => {
  const name = (part) => `${part.localName}.${part.className}`;
  const root = document.documentElement;
  const { backgroundColor: paper, color: ink } = getComputedStyle(document.body);
  const all = [...document.body.querySelectorAll("*")];
  const wide = root.scrollWidth <= root.clientWidth ? [] : [
    `${root.scrollWidth} of ${root.clientWidth}`,
    ...all.filter((part) => part.getBoundingClientRect().right > root.clientWidth + 1)
      .map(name).slice(-3),
  ];
  // Words that end without a sign: no ellipsis, no clamped lines, and not hidden on purpose.
  const cut = all.filter((part) => {
    if (part.scrollWidth <= part.clientWidth + 1 || part.clientWidth < 2) return false;
    const style = getComputedStyle(part);
    return style.overflowX === "hidden" && style.textOverflow !== "ellipsis"
      && style.clipPath === "none" && part.innerText.trim();
  }).map(name);
  return { paper, ink, wide, cut };
}"""


def test_every_page_fits_its_window_in_both_schemes(strained_site, open_page):
    found, colours = {}, {scheme: set() for scheme in SCHEMES}
    for name, page in every_page(strained_site, open_page):
        for size in (PHONE, DESKTOP):
            page.set_viewport_size(size)
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                seen = page.evaluate(MEASURES)
                colours[scheme].add((seen["paper"], seen["ink"]))
                if seen["wide"] or seen["cut"]:
                    found[name, size["width"], scheme] = seen["wide"], seen["cut"]
    assert found == {}
    ((paper, ink),) = colours["light"]
    assert _brightness(paper) > 200 > 100 > _brightness(ink)
    ((paper, ink),) = colours["dark"]
    assert _brightness(paper) < 50 < 150 < _brightness(ink)


def _brightness(colour: str) -> float:
    """The mean of ``rgb(1, 2, 3)``."""
    parts = [float(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(parts) / len(parts)


def test_deepest_reply_keeps_a_readable_column_on_a_phone(strained_site, open_page):
    page = open_page(strained_site.sessions["member"], viewport=PHONE)
    page.goto(strained_site.post_path(strained_site.deepest))
    reply = page.locator("article:target")
    expect(reply).to_be_in_viewport()
    text, code = reply.locator(".prose"), reply.locator("pre")
    assert text.bounding_box()["width"] >= NARROWEST_TEXT
    assert code.bounding_box()["width"] >= NARROWEST_TEXT - 1
    parents = page.get_by_role("article").filter(has_text="Resposta removida")
    assert parents.bounding_box()["x"] <= reply.bounding_box()["x"]
