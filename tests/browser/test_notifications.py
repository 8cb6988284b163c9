"""From the bell to the reply and back, with scripts and without."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

MOUSE_TAP = 36  # pixels; --tap of a fine pointer


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_from_the_bell_to_the_reply_and_to_silence(site, open_page, scripts):
    page = open_page(site.sessions["member"], java_script_enabled=scripts)
    page.goto("/debates/")
    bell = page.locator(".bell")
    before = int(page.locator(".bell__count").inner_text())
    bell.click()
    expect(page).to_have_title(re.compile("Avisos"))
    for button in page.locator(".link-button").all():
        assert button.bounding_box()["height"] >= MOUSE_TAP
    page.get_by_role("button", name=re.compile("mencionou você")).first.click()
    expect(page).to_have_url(re.compile("/debates/topico/"))
    expect(page.locator(".bell__count")).to_have_text(str(before - 1))

    bell.click()
    group = page.locator(".notices", has_text=site.topic.title)
    group.get_by_role("button", name=re.compile("Marcar como lidos")).click()
    expect(page.locator(".message")).to_contain_text("marcados como lidos")
    page.get_by_role("button", name="Marcar tudo como lido").click()
    expect(page.locator(".bell__count")).to_be_hidden()
    expect(page.get_by_role("button", name="Marcar tudo como lido")).to_have_count(0)

    for subject, name in (
        (site.own, "Silenciar este debate"), (site.book, "Silenciar os debates deste livro")
    ):  # fmt: skip
        page.goto(subject.get_absolute_url())
        mute = page.get_by_role("button", name=name, exact=True)
        mute.click()
        expect(mute).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".message")).to_contain_text("Silenciado")
        mute.click()
        expect(mute).to_have_attribute("aria-pressed", "false")
