"""Goes round the pages of the site, in the state each is to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from playwright.sync_api import Page, expect

from .site import VISITS, Site

SCHEMES = ("light", "dark")
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1440, "height": 900}

# Past the browser's own checks, so that the server's answer is seen.
SEND = """() => {
  const form = [...document.querySelectorAll("main form[method=post]")].at(-1);
  form.noValidate = true;
  form.requestSubmit();
}"""
EMPTY = """() => {
  for (const field of document.querySelectorAll("main form input[type=email]")) field.value = "";
}"""


def _send(page: Page) -> int:
    with page.expect_navigation() as answer:
        page.evaluate(SEND)
    return answer.value.status


def _empty_and_send(page: Page) -> int:
    page.evaluate(EMPTY)
    return _send(page)


def _lose_the_token_and_send(page: Page) -> int:
    page.context.clear_cookies(name="csrftoken")
    return _send(page)


def _lose_the_session_and_send(page: Page) -> int:
    page.get_by_label("Título").fill("Não quero perder isto")
    page.get_by_label("Abertura").fill("Nem isto.")
    page.context.clear_cookies(name="sessionid")
    return _send(page)


def _open_the_menu(page: Page) -> None:
    for summary in page.locator("[data-menu] > summary").all()[:2]:
        summary.click()


def _open_the_reply_form(page: Page) -> None:
    page.locator("article:target").get_by_role("link", name="Responder").click()
    expect(page.locator("[data-reply] textarea")).to_be_focused()


def _vote(page: Page) -> None:
    button = page.locator("article:target").get_by_role("button", name="Votar a favor")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")


DEEDS: dict[str, Callable[[Page], int | None]] = {
    "send": _send,
    "empty and send": _empty_and_send,
    "lose the token and send": _lose_the_token_and_send,
    "lose the session and send": _lose_the_session_and_send,
    "open the menu": _open_the_menu,
    "open the reply form": _open_the_reply_form,
    "vote": _vote,
}


def every_page(site: Site, open_page: Callable) -> Iterator[tuple[str, Page]]:
    """Yield the name and the open page of each visit; wide and light, one browser a person."""
    pages = {who: open_page(session) for who, session in site.sessions.items()}
    for name, visit in VISITS.items():
        page = pages[visit.who]
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
        status = page.goto(site.path(visit)).status
        assert name.startswith("login") or "/conta/entrar/" not in page.url, f"{name}: logged out"
        cookies = page.context.cookies()
        if visit.deed:
            status = DEEDS[visit.deed](page) or status
        assert status == visit.status, f"{name} answered {status}"
        yield name, page
        page.context.add_cookies(cookies)  # of whoever lost one on purpose
