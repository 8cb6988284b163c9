"""The debate's page: 20 consecutive posts in thread order, and a place for every post."""

from __future__ import annotations

import re

from django.conf import settings
from django.db import connection
from django.test import TestCase

from debates.models import PATH_LEVELS, DebatePost
from debates.services import delete_post, delete_topic
from tests.factories import make_post, make_staff, make_topic, make_user

POST_ID = re.compile(r'id="post-(\d+)"')


def shown(response) -> list[int]:
    """The ids of the posts on a page, from top to bottom."""
    return [int(pk) for pk in POST_ID.findall(response.content.decode())]


def bulk_roots(topic, author, number: int) -> list[DebatePost]:
    """``number`` posts at the root, without the service's queries."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('debates_debatepost', 'id')) FROM generate_series(1, %s)",
            [number],
        )
        ids = [row[0] for row in cursor.fetchall()]
    return DebatePost.objects.bulk_create(
        DebatePost(
            pk=pk, topic=topic, author=author, path=[pk], content="x", content_html="<p>x</p>"
        )
        for pk in ids
    )


class HiddenVoteTests(TestCase):
    """What a vote tells of posts that its reader may not see: nothing, whatever is wrong with it."""

    def test_what_is_removed_is_not_there_but_for_staff(self):
        removed, of_removed = make_post(), make_post()
        staff = make_staff()
        delete_post(post=removed, actor=staff)
        delete_topic(topic=of_removed.topic, actor=staff)
        for user, answers in ((make_user(), (404, 404)), (staff, (302, 400))):
            self.client.force_login(user)
            for post in (removed, of_removed):
                for value, answer in zip((1, 9), answers, strict=True):
                    with self.subTest(f"{post.pk} {value} staff={user.is_staff}"):
                        url = f"/debates/post/{post.pk}/votar/"
                        assert self.client.post(url, {"value": value}).status_code == answer
                        if answer == 404:
                            htmx = {"HX-Request": "true"}
                            again = self.client.post(url, {"value": value}, headers=htmx)
                            assert again.status_code == 404
            for value in (1, 9):
                gone = self.client.post("/debates/post/999999999/votar/", {"value": value})
                assert gone.status_code == 404


class TopicDetailTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.author = make_user(display_name="Autora das Respostas")
        cls.topic = make_topic(title="Um debate")
        cls.url = cls.topic.get_absolute_url()

    def walk(self) -> list[list[int]]:
        """Every page from the first to the last, by its links."""
        pages, url = [], self.url
        while url:
            response = self.client.get(url)
            assert response.status_code == 200
            pages.append(shown(response))
            following = response.context["page"].next
            url = self.url + following if following else ""
        return pages

    def test_replies_stand_under_what_they_answer(self):
        first = make_post(self.topic)
        second = make_post(self.topic)
        answer = make_post(self.topic, parent=first)
        deeper = make_post(self.topic, parent=answer)
        late = make_post(self.topic, parent=first)
        expected = [post.pk for post in (first, answer, deeper, late, second)]
        assert shown(self.client.get(self.url)) == expected

    def test_every_depth_is_shown_and_the_indent_stops_at_the_cap(self):
        chain = [make_post(self.topic)]
        for _level in range(10):
            chain.append(make_post(self.topic, parent=chain[-1]))
        assert [post.depth for post in chain] == list(range(11))
        assert max(len(post.path) for post in chain) == PATH_LEVELS + 1
        assert max(post.indent for post in chain) == PATH_LEVELS
        assert shown(self.client.get(self.url)) == [post.pk for post in chain]

    def test_pages_of_twenty_show_every_post_once(self):
        for root in bulk_roots(self.topic, self.author, 230):
            if root.pk % 10 == 0:
                make_post(self.topic, parent=root)
        pages = self.walk()
        assert all(len(page) == settings.POSTS_PER_PAGE for page in pages[:-1])
        in_order = list(self.topic.posts.order_by("path").values_list("pk", flat=True))
        assert [pk for page in pages for pk in page] == in_order

    def test_the_permalink_opens_a_page_with_the_post(self):
        posts = bulk_roots(self.topic, self.author, 230)
        for post in (posts[0], posts[19], posts[20], posts[199], posts[200], posts[229]):
            with self.subTest(post=posts.index(post)):
                response = self.client.get(f"/debates/post/{post.pk}/")
                assert response.url.endswith(f"#post-{post.pk}")
                assert post.pk in shown(self.client.get(response.url))

    def test_the_permalink_of_an_early_post_is_its_numbered_page(self):
        posts = bulk_roots(self.topic, self.author, 45)
        assert (
            self.client.get(f"/debates/post/{posts[3].pk}/").url == f"{self.url}#post-{posts[3].pk}"
        )
        assert "?pagina=3#" in self.client.get(f"/debates/post/{posts[44].pk}/").url

    def test_a_reply_to_a_removed_post_stands_under_its_place(self):
        post = make_post(self.topic, author=self.author, content="Palavras que saem")
        answer = make_post(self.topic, parent=post, content="Palavras que ficam")
        delete_post(post=post, actor=self.author)
        response = self.client.get(self.url)
        assert shown(response) == [post.pk, answer.pk]
        self.assertContains(response, "Palavras que ficam")
        self.assertNotContains(response, "Palavras que saem")
        self.assertNotContains(response, self.author.name)
        assert self.client.get(f"/debates/post/{answer.pk}/").status_code == 302

    def test_a_removed_post_that_nobody_answered_is_gone(self):
        post = make_post(self.topic, author=self.author)
        delete_post(post=post, actor=self.author)
        assert shown(self.client.get(self.url)) == []
        assert self.client.get(f"/debates/post/{post.pk}/").status_code == 404

    def test_staff_still_read_what_was_removed(self):
        post = make_post(self.topic, author=self.author, content="Palavras que saem")
        delete_post(post=post, actor=self.author)
        self.client.force_login(make_staff())
        response = self.client.get(self.url)
        self.assertContains(response, "Palavras que saem")

    def test_a_page_of_twenty_stays_light(self):
        for _n in range(settings.POSTS_PER_PAGE):
            make_post(self.topic, content="Uma resposta de tamanho comum. " * 20)
        self.client.force_login(make_user())
        assert len(self.client.get(self.url).content) <= 60 * 1024

    def test_what_tells_more_of_the_book_than_the_debate_says_is_folded(self):
        topic = make_topic(spoiler_percent=50)
        make_post(topic, content="Meio do livro", spoiler_percent=50)
        make_post(topic, content="O mordomo", spoiler_percent=51)
        html = self.client.get(topic.get_absolute_url()).content.decode()
        folded = html.index('class="spoiler"')
        assert html.index("Meio do livro") < folded < html.index("O mordomo")


class VoteTests(TestCase):
    def setUp(self):
        self.post, self.user = make_post(), make_user()
        self.url = f"/debates/post/{self.post.pk}/votar/"
        self.client.force_login(self.user)

    def score(self) -> int:
        self.post.refresh_from_db()
        return self.post.score

    def test_the_request_says_which_vote_is_wanted(self):
        for value, score in ((1, 1), (1, 1), (-1, -1), (-1, -1), (0, 0), (0, 0), (1, 1)):
            assert self.client.post(self.url, {"value": value}).status_code == 302
            assert self.score() == score

    def test_htmx_gets_the_vote_part_only(self):
        response = self.client.post(self.url, {"value": 1}, headers={"HX-Request": "true"})
        assert response.status_code == 200
        assert "HX-Request" in response["Vary"]
        self.assertNotContains(response, "<html")
        self.assertContains(response, 'aria-pressed="true"')

    def test_htmx_without_a_login_is_led_to_it(self):
        self.client.logout()
        page = f"http://testserver{self.post.topic.get_absolute_url()}"
        headers = {"HX-Request": "true", "Referer": page}
        response = self.client.post(self.url, {"value": 1}, headers=headers)
        assert response["HX-Redirect"] == (
            f"/conta/entrar/?next={self.post.topic.get_absolute_url()}"
        )
        assert self.score() == 0

    def test_a_refused_vote_says_why(self):
        self.client.force_login(self.post.author)
        response = self.client.post(self.url, {"value": 1}, follow=True)
        self.assertContains(response, "Não se vota na própria resposta.")
        response = self.client.post(self.url, {"value": 1}, headers={"HX-Request": "true"})
        self.assertContains(response, "Não se vota na própria resposta.")
        assert self.score() == 0
