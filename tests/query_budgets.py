"""What each page costs in queries: the one table, read by tests/test_query_budgets.py.

``anonymous`` is a visitor without a cookie. ``member`` is somebody logged in whose session is
in no cache: session and user make two of the difference, the rest is what the page shows of
the viewer. ``warm`` is the member's second look, with the session and whatever else is kept
coming from Redis. Exact numbers: a query fewer is as much news as one more.

Warm, a visitor costs nothing on the pages that are kept (tests/test_pages_served.py).
"""

from __future__ import annotations

from typing import NamedTuple


class Budget(NamedTuple):
    path: str  # with the names of tests.world.World in braces
    anonymous: int | None  # None: the page is for members
    member: int
    warm: int


BUDGETS = {
    # debates, new books, categories
    "home": Budget("/", 3, 5, 1),
    # topics with book, people and last reply in one
    "debates_list": Budget("/debates/", 1, 3, 1),
    "debates_list_page_2": Budget("/debates/?pagina=2", 1, 3, 1),
    # the book, its topics
    "debates_list_of_book": Budget("/debates/?livro={book}", 2, 4, 1),
    # topic, posts; member: own votes and following, in one
    "topic_detail": Budget("/debates/topico/{topic}/", 2, 5, 2),
    "topic_detail_page_2": Budget("/debates/topico/{topic}/?pagina=2", 2, 5, 2),
    # post with topic, its place
    "post_permalink": Budget("/debates/post/{post}/", 2, 4, 3),
    # books, categories of the filter
    "book_list": Budget("/livros/", 2, 4, 1),
    # and the chosen category
    "book_list_filtered": Budget("/livros/?categoria={category}&lingua=pt&ordem=titulo", 3, 5, 1),
    # book, authors, categories, debates, reviews; member: own reading, following
    "book_detail": Budget("/livros/{book}/", 5, 9, 3),
    "author_detail": Budget("/autores/{author}/", 2, 4, 1),
    "category_detail": Budget("/categorias/{category}/", 2, 4, 1),
    "search_empty": Budget("/busca/", 0, 2, 1),
    # books, authors, debates
    "search": Budget("/busca/?q=livro", 3, 5, 4),
    "search_debates": Budget("/busca/?q=debate&tipo=debates", 1, 3, 2),
    # the reader, the rows of the tab
    "profile": Budget("/leitores/{reader}/", 2, 4, 3),
    "profile_reviews": Budget("/leitores/{reader}/?aba=resenhas", 2, 4, 3),
    "profile_topics": Budget("/leitores/{reader}/?aba=debates", 2, 4, 3),
    "profile_posts": Budget("/leitores/{reader}/?aba=respostas", 2, 4, 3),
    "login": Budget("/conta/entrar/", 0, 2, 1),
    "sign_up": Budget("/conta/criar/", 0, 2, 1),
    "password_reset": Budget("/conta/senha/nova/", 0, 2, 1),
    # for members
    "edit_profile": Budget("/conta/", None, 2, 1),
    # one page of them with debates, posts and people
    "notifications": Budget("/conta/avisos/", None, 3, 2),
    "password_change": Budget("/conta/senha/", None, 2, 1),
    # the first step finds a book, the second writes on it
    "create_topic_book": Budget("/debates/novo/?q=livro", None, 3, 2),
    "create_topic": Budget("/debates/novo/?livro={book}", None, 3, 2),
    # topic, the post that is answered
    "create_post": Budget("/debates/topico/{topic}/responder/?parent={post}", None, 4, 3),
    "edit_topic": Budget("/debates/topico/{topic}/editar/", None, 3, 2),
    "delete_topic": Budget("/debates/topico/{topic}/apagar/", None, 3, 2),
    "edit_post": Budget("/debates/post/{post}/editar/", None, 3, 2),
    "delete_post": Budget("/debates/post/{post}/apagar/", None, 3, 2),
    "record_progress": Budget("/livros/{book}/progresso/", None, 3, 2),
    # book, own review
    "edit_review": Budget("/livros/{book}/resenha/", None, 4, 3),
    "delete_review": Budget("/livros/{book}/resenha/apagar/", None, 4, 3),
}
