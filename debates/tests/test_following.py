"""Following and muting: services, buttons on the kept pages, who follows without asking."""

from __future__ import annotations

from django.test import TestCase

from debates import following
from debates.models import Follow
from tests.factories import make_book, make_post, make_staff, make_topic, make_user

FOLLOW, MUTE = Follow.State.FOLLOW, Follow.State.MUTE


def state_of(user, **subject) -> str:
    return Follow.objects.filter(user=user, **subject).values_list("state", flat=True).first() or ""


class ServiceTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.book = make_book()
        cls.topic, cls.reader = make_topic(book=cls.book), make_user()

    def test_a_state_replaces_the_one_before_and_nothing_takes_it_back(self):
        for subject in ({"topic": self.topic}, {"book": self.book}):
            for state in (FOLLOW, FOLLOW, MUTE, FOLLOW, "", ""):
                following.set_state(user=self.reader, state=state, **subject)
                assert state_of(self.reader, **subject) == state
                assert Follow.objects.filter(user=self.reader).count() == bool(state)

    def test_opening_and_replying_follow(self):
        assert state_of(self.topic.creator, topic=self.topic) == FOLLOW
        make_post(self.topic, author=self.reader)
        make_post(self.topic, author=self.reader)
        assert state_of(self.reader, topic=self.topic) == FOLLOW

    def test_nobody_follows_by_writing_what_they_muted(self):
        following.set_state(user=self.reader, state=MUTE, topic=self.topic)
        make_post(self.topic, author=self.reader)
        assert state_of(self.reader, topic=self.topic) == MUTE
        other = make_user()
        following.set_state(user=other, state=MUTE, book=self.book)
        make_post(self.topic, author=other)
        assert state_of(other, topic=self.topic) == ""
        assert make_topic(book=self.book, creator=other)
        assert Follow.objects.filter(user=other).count() == 1


class ButtonTests(TestCase):
    """What the buttons say, on the page that is kept for all members and on one of their own."""

    @classmethod
    def setUpTestData(cls):
        cls.book = make_book()
        cls.topic = make_topic(book=cls.book)
        cls.reader, cls.other = make_user(), make_user()

    def setUp(self):
        for path in (self.topic.get_absolute_url(), self.book.get_absolute_url()):
            self.seen(path, self.other)  # which keeps the page

    def seen(self, path: str, user) -> dict[str, tuple[str, str]]:
        """Of each button the value that it sends, and whether it is pressed."""
        client = self.client_class()
        client.force_login(user)
        text = client.get(path).text
        found = {}
        for label in ("Seguir", "Silenciar"):
            tag = text[: text.index(f">{label}<span")].rpartition("<button")[2]
            value, pressed = tag.partition('value="')[2], tag.partition('aria-pressed="')[2]
            found[label] = (value.partition('"')[0], pressed.partition('"')[0])
        return found

    def choose(self, path: str, state: str, user=None):
        client = self.client_class()
        client.force_login(user or self.reader)
        return client.post(f"{path}seguir/", {"state": state})

    NOTHING = {"Seguir": ("segue", "false"), "Silenciar": ("silencia", "false")}
    FOLLOWS = {"Seguir": ("", "true"), "Silenciar": ("silencia", "false")}
    MUTES = {"Seguir": ("segue", "false"), "Silenciar": ("", "true")}

    def test_a_debate_and_a_book(self):
        for path in (self.topic.get_absolute_url(), self.book.get_absolute_url()):
            assert self.seen(path, self.reader) == self.NOTHING
            for state, expected in (
                ("segue", self.FOLLOWS), ("silencia", self.MUTES), ("", self.NOTHING)
            ):  # fmt: skip
                response = self.choose(path, state)
                assert (response.status_code, response.url) == (302, path)
                assert self.seen(path, self.reader) == expected
                assert self.seen(path, self.other) == self.NOTHING

    def test_muting_a_book_says_what_it_leaves(self):
        for subject, leaves in ((self.topic, False), (self.book, True)):
            client = self.client_class()
            client.force_login(self.reader)
            path = subject.get_absolute_url()
            page = client.post(f"{path}seguir/", {"state": "silencia"}, follow=True).text
            assert "Silenciado: você não recebe mais avisos daqui" in page
            assert ("exceto dos debates que você segue" in page) == leaves

    def test_the_creator_and_staff_have_them_too(self):
        path = self.topic.get_absolute_url()
        assert self.seen(path, self.topic.creator) == self.FOLLOWS
        self.choose(path, "silencia", self.topic.creator)
        assert self.seen(path, self.topic.creator) == self.MUTES
        staff = make_staff()
        self.choose(path, "segue", staff)
        assert self.seen(path, staff) == self.FOLLOWS
        assert self.seen(self.book.get_absolute_url(), staff) == self.NOTHING

    def test_a_visitor_has_none_and_a_profile_tells_nothing(self):
        following.set_state(user=self.reader, state=FOLLOW, topic=self.topic)
        for path in (self.topic.get_absolute_url(), self.book.get_absolute_url()):
            assert "seguir/" not in self.client.get(path).text
        assert self.topic.title not in self.client.get(self.reader.get_absolute_url()).text

    def test_what_is_no_choice_or_not_there_is_said(self):
        path = self.topic.get_absolute_url()
        refused = self.choose(path, "ignora")
        self.assertContains(refused, "Esta escolha não existe.", status_code=400)
        assert self.choose("/debates/topico/nao-ha/", "segue").status_code == 404
        assert self.choose("/livros/nao-ha/", "segue").status_code == 404
        assert not Follow.objects.filter(user=self.reader).exists()

    def test_a_limit_holds(self):
        client = self.client_class()
        client.force_login(self.reader)
        path = f"{self.topic.get_absolute_url()}seguir/"
        answers = [client.post(path, {"state": "segue"}).status_code for _n in range(61)]
        assert set(answers[:60]) == {302}
        assert answers[60] == 429
