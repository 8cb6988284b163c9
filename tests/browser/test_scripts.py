"""What static/js/site.js and htmx add to pages that work without them."""

from __future__ import annotations

from playwright.sync_api import expect

from .site import VISITS


def test_reply_form_put_away_keeps_the_draft(site, open_page):
    page = open_page(site.sessions["member"])
    page.goto(site.post_path(site.post))
    reply = page.locator("article:target")
    answer = reply.get_by_role("link", name="Responder")
    answer.click()
    box = reply.get_by_label("Sua resposta")
    box.fill("Meia frase")
    reply.get_by_role("link", name="Cancelar").click()
    expect(box).to_be_hidden()
    expect(answer).to_be_focused()
    answer.press("Enter")
    expect(box).to_be_focused()
    expect(box).to_have_value("Meia frase")


def test_menus_close_by_escape_and_by_a_click_elsewhere(site, open_page):
    page = open_page(site.sessions["member"])
    page.goto("/")
    summary = page.get_by_role("banner").locator("summary")
    inside = page.get_by_role("link", name="Meu perfil")
    summary.press("Enter")
    inside.focus()
    page.keyboard.press("Escape")
    expect(inside).to_be_hidden()
    expect(summary).to_be_focused()
    summary.click()
    expect(inside).to_be_visible()
    page.get_by_role("heading", level=1).click()
    expect(inside).to_be_hidden()


def test_all_spoilers_open_at_once(site, open_page):
    page = open_page()
    page.goto(site.path(VISITS["topic_detail"]))
    folded = page.locator("details.spoiler")
    assert folded.count() > 1
    page.get_by_role("button", name="Abrir todos os spoilers").click()
    for spoiler in folded.all():
        expect(spoiler).to_have_attribute("open", "")
    expect(folded.first.locator("summary")).to_be_focused()


def test_book_of_a_debate_is_found_while_typing(site, open_page):
    page = open_page(site.sessions["member"])
    page.goto(site.path(VISITS["choose_book"]))
    page.evaluate("window.notReloaded = true")
    page.get_by_label("Livro", exact=True).press_sequentially("incomens")
    link = page.get_by_role("link", name=site.book.title).first
    expect(link).to_be_visible()
    assert page.evaluate("window.notReloaded")
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Abrir debate")


def test_vote_without_an_answer_is_said_and_loses_nothing(site, open_page, watch):
    page = open_page(site.sessions["member"])
    page.goto(site.post_path(site.deepest))
    page.locator("#responder").get_by_label("Sua resposta").fill("Meia frase")
    up = page.locator("article:target").get_by_role("button", name="Votar a favor")
    page.context.set_offline(True)
    up.click()
    expect(page.locator("#status")).to_contain_text("O site não respondeu.")
    expect(up).to_have_attribute("aria-pressed", "false")
    page.context.set_offline(False)
    up.click()
    expect(page.locator("#status")).to_have_text("Voto guardado: 0 pontos.")
    expect(page.locator("#responder").get_by_label("Sua resposta")).to_have_value("Meia frase")
    assert all("htmx:" in problem for problem in watch.problems), watch.problems
    watch.problems.clear()


def test_vote_on_a_reply_that_was_closed_meanwhile_says_why(site, open_page):
    member, staff = open_page(site.sessions["member"]), open_page(site.sessions["staff"])
    for page in (member, staff):
        page.goto(site.post_path(site.deepest))
    reply = staff.locator("article:target")
    reply.locator("summary", has_text="Moderar").click()
    reply.get_by_role("button", name="Fechar").click()
    expect(staff.locator("article:target")).to_contain_text("Fechada")

    reply = member.locator("article:target")
    reply.get_by_role("button", name="Votar a favor").click()
    expect(reply.get_by_role("alert")).to_be_visible()
    expect(reply.get_by_role("button", name="Votar")).to_have_count(0)
