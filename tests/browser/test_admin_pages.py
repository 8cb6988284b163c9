"""The admin under the site's content security policy: its own scripts must get by without inline."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.factories import PASSWORD, make_author, make_book, make_staff, make_topic


@pytest.fixture
def catalogue(transactional_db):
    make_staff(username="equipe", password=PASSWORD)
    make_author(name="Lygia Fagundes Telles")
    book = make_book(title="As Meninas", authors=[make_author(name="Autoria Errada")])
    make_topic(book=book, title="Quem narra?")
    return book


def test_staff_corrects_a_book_with_autocomplete(catalogue, open_page):
    page = open_page()
    page.goto("/admin/")
    page.get_by_label("Usuário").fill("equipe")
    page.get_by_label("Senha").fill(PASSWORD)
    page.get_by_role("button", name="Acessar").click()

    page.goto("/admin/debates/debatetopic/")
    expect(page.get_by_role("link", name="Quem narra?")).to_be_visible()

    page.goto(f"/admin/core/book/{catalogue.pk}/change/")
    page.get_by_title("Autoria Errada").click()
    page.get_by_role("searchbox").last.fill("lygia")
    page.get_by_role("option", name="Lygia Fagundes Telles").click()
    page.get_by_role("button", name="Salvar e continuar editando").click()
    expect(page.get_by_title("Lygia Fagundes Telles")).to_be_visible()
    expect(page.get_by_title("Autoria Errada")).to_have_count(0)

    page.goto(catalogue.get_absolute_url())
    expect(page.get_by_role("link", name="Lygia Fagundes Telles")).to_be_visible()
