"""Catalogue, book, author, category, search and home as a visitor finds them."""

from __future__ import annotations

from django.db import connection
from django.test import TestCase
from django.utils import timezone

from accounts.services import write_review
from core.models import Book
from tests.factories import (
    make_author,
    make_book,
    make_category,
    make_post,
    make_staff,
    make_topic,
    make_user,
)


class SearchTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.machado = make_author(name="Machado de Assis", slug="machado")
        cls.memorias = make_book(title="Memórias Póstumas de Brás Cubas", authors=[cls.machado])
        cls.capitaes = make_book(
            title="Capitães da Areia", authors=[make_author(name="Jorge Amado")]
        )
        cls.bernardo = make_book(title="São Bernardo", original_title="St. Bernard")
        cls.it = make_book(title="It")
        cls.topic = make_topic(title="A ironia d'Os Sertões", book=cls.capitaes)

    def found(self, query: str, kind: str) -> list[str]:
        response = self.client.get("/busca/", {"q": query, "tipo": kind})
        return [str(row) for row in response.context["results"][kind].rows]

    def test_accents_case_and_punctuation_do_not_matter(self):
        for query in (
            "memorias",
            "MEMÓRIAS",
            "póstumas  bras",
            "cubas memorias",
            "machado",
            "emori",
        ):
            assert self.found(query, "livros") == [str(self.memorias)], query
        assert self.found("sao bernardo", "livros") == [str(self.bernardo)]
        assert self.found("capitaes da areia", "livros") == [str(self.capitaes)]
        assert self.found("st bernard", "livros") == [str(self.bernardo)]

    def test_short_titles_are_found_whole(self):
        assert self.found("it", "livros") == [str(self.it)]

    def test_authors_and_debates(self):
        assert self.found("assis", "autores") == ["Machado de Assis"]
        assert self.found("dos sertoes", "debates") == [str(self.topic)]

    def test_a_hidden_debate_is_not_found(self):
        from debates.services import delete_topic

        delete_topic(topic=self.topic, actor=make_staff())
        assert self.found("sertoes", "debates") == []

    def test_wildcards_of_the_database_are_letters_here(self):
        for query in ("%%%", "___", "m%s"):
            assert self.found(query, "livros") == [], query

    def test_the_overview_shows_every_kind(self):
        response = self.client.get("/busca/", {"q": "de"})
        assert set(response.context["results"]) == {"livros", "autores", "debates"}

    def test_the_words_are_looked_up_in_the_index(self):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        for query in (
            Book.objects.matching("memorias"),
            type(self.machado).objects.matching("machado"),
            type(self.topic).objects.matching("sertoes"),
        ):
            plan = query.order_by().explain()
            assert "_search" in plan, plan


class CatalogueTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.poetry = make_category(name="Poesia", slug="poesia")
        cls.odyssey = make_book(title="Odisseia", year=-725, language="el", ratings_count=50)
        cls.mensagem = make_book(title="Mensagem", year=1934, language="pt", ratings_count=10)
        cls.odyssey.categories.add(cls.poetry)
        cls.mensagem.categories.add(cls.poetry)
        cls.other = make_book(title="Áporo", ratings_count=99)

    def titles(self, query: str = "") -> list[str]:
        return [book.title for book in self.client.get(f"/livros/{query}").context["page"].rows]

    def test_filters_and_orders(self):
        assert self.titles() == ["Áporo", "Odisseia", "Mensagem"]
        assert self.titles("?ordem=titulo") == ["Áporo", "Mensagem", "Odisseia"]
        assert self.titles("?ordem=novidades") == ["Áporo", "Mensagem", "Odisseia"]
        assert self.titles("?categoria=poesia") == ["Odisseia", "Mensagem"]
        assert self.titles("?lingua=pt") == ["Mensagem"]
        assert self.titles("?de=-800&ate=0") == ["Odisseia"]
        assert self.titles("?de=1900") == ["Mensagem"]

    def test_a_wrong_filter_says_so(self):
        response = self.client.get("/livros/?de=2000&ate=1900")
        self.assertContains(response, "O segundo ano vem antes do primeiro.", status_code=400)

    def test_category_and_author_pages_hold_their_books(self):
        self.assertContains(self.client.get("/categorias/poesia/"), "Odisseia")
        author = self.odyssey.credits.get().author
        response = self.client.get(author.get_absolute_url())
        self.assertContains(response, "Odisseia")
        self.assertNotContains(response, "Mensagem")

    def test_a_year_before_christ_reads_like_one(self):
        self.assertContains(self.client.get(self.odyssey.get_absolute_url()), "725 a.C.")


class BookDetailTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.book, cls.reader = make_book(title="Um livro"), make_user(display_name="Rita")
        cls.url = cls.book.get_absolute_url()

    def test_an_empty_book_invites(self):
        response = self.client.get(self.url)
        self.assertContains(response, f"/debates/novo/?livro={self.book.slug}")

    def test_reviews_histogram_and_debates(self):
        write_review(user=self.reader, book=self.book, rating=9, text="Gostei.", has_spoiler=False)
        other = make_user()
        write_review(user=other, book=self.book, rating=4, text="O fim é triste.", has_spoiler=True)
        make_topic(book=self.book, title="Sobre o livro")
        response = self.client.get(self.url)
        for text in ("Gostei.", "Rita", "Sobre o livro"):
            self.assertContains(response, text)
        html = response.content.decode()
        assert html.index("<details") < html.index("O fim é triste.")
        self.book.refresh_from_db()
        assert self.book.rating_average == 3.25
        counts = {row["stars"]: row["count"] for row in response.context["histogram"]}
        assert counts[4.5] == counts[2.0] == 1
        assert sum(counts.values()) == 2

    def test_the_reader_finds_the_shelf_the_progress_and_the_review(self):
        self.client.force_login(self.reader)
        assert self.client.post(f"{self.url}estante/", {"status": "quero-ler"}).status_code == 302
        assert (
            self.client.post(f"{self.url}progresso/", {"page": 50, "pages": 200}).status_code == 302
        )
        page = self.client.get(self.url)
        self.assertContains(page, '<option value="lendo" selected>')  # wished for, and now begun
        self.assertContains(page, '<progress max="100" value="25"')
        self.assertContains(page, 'name="page" value="50"')
        self.client.post(f"{self.url}estante/", {"status": ""})
        self.assertNotContains(self.client.get(self.url), '<option value="lendo" selected>')

    def test_htmx_swaps_the_shelf_alone(self):
        self.client.force_login(self.reader)
        headers = {"HX-Request": "true"}
        response = self.client.post(f"{self.url}estante/", {"status": "lido"}, headers=headers)
        assert response.status_code == 200
        self.assertNotContains(response, "<html")


class HomeTests(TestCase):
    def test_an_empty_site_has_a_home(self):
        for path in ("/", "/debates/", "/livros/", "/busca/"):
            assert self.client.get(path).status_code == 200

    def test_what_is_debated_and_what_is_new(self):
        quiet, lively = make_topic(title="Quieto"), make_topic(title="Animado")
        pinned = make_topic(title="Fixado", is_pinned=True)
        make_post(lively)
        hidden = make_topic(title="Sumido")
        type(hidden).objects.filter(pk=hidden.pk).update(is_deleted=True, deleted_at=timezone.now())
        make_book(title="Chegou agora")
        response = self.client.get("/")
        assert list(response.context["topics"]) == [pinned, lively, quiet]
        self.assertContains(response, "Chegou agora")
        self.assertNotContains(response, "Sumido")
        listed = self.client.get("/debates/").context["page"].rows
        assert listed == [pinned, lively, quiet]
