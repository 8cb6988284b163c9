"""Two readers and a book that was imported: everything a member does, with and without scripts."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.core.management import call_command
from playwright.sync_api import Locator, Page, expect

from tests.factories import PASSWORD, make_user

SAMPLE = settings.BASE_DIR / "core" / "tests" / "data" / "books-sample.csv"
BOOK = "Os Três Sufixos"
TITLE = "O terceiro sufixo existe?"
AT_A_POST = re.compile(r"/debates/topico/.+/#post-\d+$")


@pytest.fixture
def imported(transactional_db, tmp_path) -> None:
    call_command("import_books", SAMPLE, report=tmp_path / "report.csv")


@pytest.fixture
def bento(transactional_db) -> None:
    make_user(username="bento", email="bento@example.com", password=PASSWORD)


class Reader:
    """Somebody at a browser, and what they do there."""

    def __init__(self, page: Page, name: str):
        self.page, self.name = page, name
        page.goto("/")

    def press(self, name: str, within: Locator | None = None) -> None:
        (within or self.page).get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str, within: Locator | None = None) -> None:
        (within or self.page).get_by_role("link", name=name, exact=True).click()

    def sign_up(self) -> None:
        self.follow("Criar conta")
        self.page.get_by_label("Nome de usuário").fill(self.name)
        self.page.get_by_label("E-mail").fill(f"{self.name}@example.com")
        self.page.get_by_label("Senha").fill(PASSWORD)
        self.press("Criar conta")
        self.sees("Boas-vindas! A sua conta está aberta.")

    def log_in(self) -> None:
        self.follow("Entrar")
        self.page.get_by_label("Nome de usuário ou e-mail").fill(f"{self.name}@example.com")
        self.page.get_by_label("Senha").fill(PASSWORD)
        self.press("Entrar")
        expect(self.menu).to_be_visible()

    def log_out(self) -> None:
        self.menu.click()
        self.press("Sair")
        expect(self.page.get_by_role("link", name="Entrar", exact=True)).to_be_visible()

    @property
    def menu(self) -> Locator:
        return self.page.get_by_role("banner").locator("summary", has_text=self.name)

    def sees(self, message: str) -> None:
        expect(self.page.get_by_role("status").filter(has_text=message)).to_be_visible()

    def find_book(self) -> None:
        box = self.page.get_by_label("Buscar livros, autores e debates")
        box.fill("TRES sufixos")
        box.press("Enter")
        self.page.get_by_role("link", name=BOOK).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(BOOK)

    def open_debate(self) -> None:
        self.follow("Abrir debate", self.page.get_by_role("main"))
        self.page.get_by_label("Título").fill(TITLE)
        self.page.get_by_label("Abertura").fill("Li duas vezes e **não achei**.")
        self.press("Abrir debate")
        self.sees("Debate aberto.")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(TITLE)
        expect(self.page.get_by_role("strong")).to_have_text("não achei")

    def open_home_topic(self) -> None:
        self.page.goto("/")
        self.follow(TITLE)

    def post(self, words: str) -> Locator:
        return self.page.get_by_role("article").filter(has_text=words)

    def write_reply(self, words: str, button: str) -> None:
        """Fill the form that the button ends: there are two, once a reader answers a post."""
        form = self.page.locator("form").filter(
            has=self.page.get_by_role("button", name=button, exact=True)
        )
        form.get_by_label("Sua resposta").fill(words)
        self.press(button, form)
        expect(self.page).to_have_url(AT_A_POST)
        expect(self.page.locator("article:target")).to_contain_text(words)


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no_scripts"])
def test_debate_story(imported, bento, open_page, javascript):
    ana = Reader(open_page(java_script_enabled=javascript), "ana")
    ana.sign_up()
    ana.find_book()
    ana.open_debate()

    bento = Reader(open_page(java_script_enabled=javascript), "bento")
    bento.log_in()
    bento.open_home_topic()
    bento.write_reply("Está na última página.", "Responder")
    bento.log_out()

    ana.page.reload()
    _vote_and_change_it(ana, ana.post("Está na última página."), javascript)
    _answer_and_regret(ana, ana.post("Está na última página."))
    ana.follow(BOOK, ana.page.locator("#abertura"))
    _read_the_book(ana, javascript)
    ana.log_out()


def _vote_and_change_it(reader: Reader, post: Locator, javascript: bool) -> None:
    page = reader.page
    up = post.get_by_role("button", name="Votar a favor da resposta de bento")
    down = post.get_by_role("button", name="Votar contra a resposta de bento")
    if javascript:
        page.evaluate("window.notReloaded = true")
    for button, other, score in ((up, down, "1 ponto"), (down, up, "-1 pontos")):
        expect(button).to_have_attribute("aria-pressed", "false")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(other).to_have_attribute("aria-pressed", "false")
        expect(up).to_have_accessible_name(f"Votar a favor da resposta de bento; {score}")
        if javascript:
            expect(page.locator("#status")).to_have_text(f"Voto guardado: {score}.")
            expect(button).to_be_focused()
        else:
            expect(page).to_have_url(AT_A_POST)
            expect(page.locator("article:target")).to_contain_text("Está na última página.")
    if javascript:
        assert page.evaluate("window.notReloaded")
    down.click()  # pressed again, it is taken back
    expect(down).to_have_attribute("aria-pressed", "false")
    expect(up).to_have_accessible_name("Votar a favor da resposta de bento; 0 pontos")


def _answer_and_regret(reader: Reader, post: Locator) -> None:
    page = reader.page
    reader.follow("Responder", post)
    reader.write_reply("Procurei lá também.", "Responder a bento")
    own = reader.post("Procurei lá também.")
    expect(own.get_by_role("button", name="Votar")).to_have_count(0)
    reader.follow("Editar", own)
    page.get_by_label("Sua resposta").fill("Procurei lá, e *achei*.")
    reader.press("Guardar")
    expect(page).to_have_url(AT_A_POST)
    own = page.locator("article:target")
    expect(own).to_contain_text("Procurei lá, e achei.")
    expect(own).to_contain_text("editada")
    reader.follow("Apagar", own)
    expect(page.get_by_role("heading", level=1)).to_have_text("Apagar a resposta?")
    reader.press("Apagar")
    reader.sees("Resposta removida.")
    expect(page.locator("article:target")).to_contain_text("Está na última página.")
    expect(reader.post("Procurei lá")).to_have_count(0)
    expect(page.get_by_role("heading", name="1 resposta", exact=True)).to_be_visible()


def _read_the_book(reader: Reader, javascript: bool) -> None:
    page = reader.page
    shelf = page.get_by_label("Na estante")
    if javascript:
        page.evaluate("window.notReloaded = true")
    shelf.select_option("Quero ler")
    page.locator("form").filter(has=shelf).get_by_role("button", name="Guardar").click()
    if javascript:
        expect(page.locator("#status")).to_have_text("Estante guardada.")
        assert page.evaluate("window.notReloaded")
    expect(shelf).to_have_value("quero-ler")

    page.get_by_label("Página", exact=True).fill("50")
    page.get_by_label("de quantas páginas").fill("200")
    reader.press("Marcar página")
    reader.sees("Progresso guardado.")
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 25)
    expect(shelf).to_have_value("lendo")

    reader.follow("Escrever resenha")
    page.get_by_label("Nota").select_option("4,5 ★")
    page.get_by_label("Resenha").fill("Vale pelos **sufixos**.")
    page.get_by_label("Conta o enredo").check()
    reader.press("Publicar")
    reader.sees("Resenha publicada.")
    review = reader.post("mostrar a resenha")
    expect(review.get_by_role("img", name="4,5 de 5 estrelas")).to_be_visible()
    review.locator("summary").click()
    expect(review).to_contain_text("Vale pelos sufixos.")
