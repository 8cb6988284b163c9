"""The bell, the page of notifications, marking as read, and the links of the mails."""

from __future__ import annotations

from django.core.signing import Signer
from django.test import TestCase

from accounts.models import User
from core.paging import after
from debates import mail_links, services
from debates.models import Follow, Notification
from debates.tests.test_notifying import assert_count_is_right, settle_all

from .factories import make_post, make_staff, make_topic, make_user

PAGE, READ, WORDS = "/conta/avisos/", "/conta/avisos/lidos/", "o mordomo é o assassino"


class PageTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.reader = make_user(username="leitora")
        cls.ana = make_user(username="ana", display_name="Ana <b>")
        cls.topic = make_topic(creator=cls.reader, title="O primeiro")
        cls.post = make_post(cls.topic, author=cls.ana, content="Palavras **dela**.")
        settle_all()

    def setUp(self):
        self.client.force_login(self.reader)

    def bell(self, path="/", user=None) -> str:
        client = self.client_class()
        client.force_login(user or self.reader)
        text = client.get(path).text
        return text.partition('<span class="bell__count">')[2].partition("</span>")[0]

    def unread(self) -> int:
        self.reader.refresh_from_db()
        assert_count_is_right()
        return self.reader.unread_count


class BellTests(PageTestCase):
    def test_it_counts_on_kept_pages_and_on_others(self):
        for path in ("/", "/debates/", self.topic.get_absolute_url(), PAGE, "/conta/", "/busca/"):
            for _look in ("built", "kept"):
                assert self.bell(path) == "1", path
                assert self.bell(path, self.ana) == "", path
        User.objects.filter(pk=self.reader.pk).update(unread_count=100)
        assert self.bell() == "99+"

    def test_who_hears_the_pages_hears_what_is_counted_and_what_a_button_is_of(self):
        self.client.force_login(self.reader)
        for number, words in ((0, ""), (1, "não lido"), (2, "não lidos")):
            User.objects.filter(pk=self.reader.pk).update(unread_count=number)
            for path in ("/", "/conta/avisos/"):  # one is kept for all members
                bell = self.client.get(path).text.partition('class="bell__count"')[2]
                said = bell.partition('<span class="visually-hidden">')[2].partition("</span>")[0]
                assert said == words, (path, number)
        page = self.client.get("/conta/avisos/").text
        assert f'aria-labelledby="avisos-{self.topic.pk}"' in page
        assert f'id="avisos-{self.topic.pk}"' in page
        for subject, what in (
            (self.topic, "este debate"), (self.topic.book, "os debates deste livro")
        ):  # fmt: skip
            page = self.client.get(subject.get_absolute_url()).text
            for label in ("Seguir", "Silenciar"):
                assert f'>{label}<span class="visually-hidden"> {what}</span>' in page

    def test_a_visitor_has_none(self):
        self.client.logout()
        assert 'class="bell' not in self.client.get("/").text


class NotificationsTests(PageTestCase):
    def test_who_did_what_where_and_the_words(self):
        page = self.client.get(PAGE)
        self.assertContains(page, "Ana &lt;b&gt; respondeu")
        self.assertContains(page, "Palavras dela.")
        self.assertContains(page, "O primeiro")
        self.assertContains(page, "(não lido)")
        assert "no-store" in page.headers["Cache-Control"]

    def test_one_of_nothing(self):
        self.client.force_login(make_user())
        page = self.client.get(PAGE)
        self.assertContains(page, "Nenhum aviso.")
        self.assertNotContains(page, "Marcar")

    def test_they_are_gathered_by_debate_newest_first(self):
        other = make_topic(creator=self.reader, title="O segundo")
        for topic in (other, self.topic):
            make_post(topic, author=self.ana)
            settle_all()
        groups = self.client.get(PAGE).context["groups"]
        assert [group.topic for group in groups] == [self.topic, other]
        assert [len(group.rows) for group in groups] == [2, 1]

    def test_pages_by_number_and_by_key(self):
        for _n in range(24):
            make_post(self.topic, author=self.ana)
        settle_all()
        first = self.client.get(PAGE).context["page"]
        second = self.client.get(PAGE + first.next).context["page"]
        assert (len(first.rows), len(second.rows)) == (20, 5)
        assert not {row.pk for row in first.rows} & {row.pk for row in second.rows}
        last = first.rows[-1]
        deep = self.client.get(PAGE + after(last, ("-created_at", "-id"))).context["page"]
        assert deep.rows == second.rows
        for odd in ("?pagina=0", "?pagina=x", "?depois=x", "?pagina=3"):
            assert self.client.get(PAGE + odd).status_code == 404

    def test_nothing_of_a_spoiler_and_nothing_of_what_was_removed(self):
        make_post(self.topic, author=self.ana, content=WORDS, spoiler_percent=80)
        told = make_topic(creator=self.reader, spoiler_percent=50)
        make_post(told, author=self.ana, content=WORDS)
        make_topic(creator=self.ana, description=f"@leitora {WORDS}", spoiler_percent=1)
        gone = make_post(self.topic, author=self.ana, content=WORDS)
        settle_all()
        services.delete_post(post=gone, actor=make_staff())  # nobody settled it yet
        page = self.client.get(PAGE)
        assert page.context["page"].rows
        assert {row.post for row in page.context["page"].rows} >= {self.post}
        assert gone not in {row.post for row in page.context["page"].rows}
        self.assertNotContains(page, "mordomo")

    def test_a_visitor_is_sent_to_the_login_and_back(self):
        self.client.logout()
        assert self.client.get(PAGE).url == "/conta/entrar/?next=/conta/avisos/"


class ReadingTests(PageTestCase):
    def test_reading_the_page_writes_nothing(self):
        before = list(Notification.objects.values())
        self.client.get(PAGE)
        assert list(Notification.objects.values()) == before
        assert self.unread() == 1

    def test_opening_one_marks_it_and_leads_to_its_post(self):
        row = Notification.objects.get(user=self.reader)
        for _time in range(2):
            response = self.client.post(f"{PAGE}{row.pk}/")
            assert response.url == self.post.get_absolute_url()
            assert self.unread() == 0
        assert self.client.get(response.url).url.endswith(f"#post-{self.post.pk}")
        assert self.client.get(f"{PAGE}{row.pk}/").status_code == 405
        self.assertNotContains(self.client.get(PAGE), "(não lido)")

    def test_nobody_opens_anothers(self):
        row = Notification.objects.get(user=self.reader)
        self.client.force_login(self.ana)
        assert self.client.post(f"{PAGE}{row.pk}/").status_code == 404
        assert self.client.post(f"{PAGE}{10**15}/").status_code == 404
        assert self.unread() == 1

    def test_the_debate_itself_offers_it_and_keeps_the_reader_there(self):
        path = self.topic.get_absolute_url()
        label = "Marcar 1 aviso deste debate como lido"
        for _look in ("built", "kept"):
            self.assertContains(self.client.get(path), label)
        data = {"topic": self.topic.pk, "next": path}
        assert self.client.post(READ, data).url == path
        assert self.unread() == 0
        self.assertNotContains(self.client.get(path), "deste debate como")
        data["next"] = "https://example.com/"
        assert self.client.post(READ, data).url == PAGE
        for guest in (make_staff(), make_user()):
            self.client.force_login(guest)
            self.assertNotContains(self.client.get(path), "deste debate como")
            make_post(self.topic, author=self.ana, content=f"@{guest.username}")
            settle_all()
            self.assertContains(self.client.get(path), label)

    def test_a_debate_or_all(self):
        other = make_topic(creator=self.reader)
        make_post(other, author=self.ana)
        settle_all()
        response = self.client.post(READ, {"topic": other.pk}, follow=True)
        self.assertContains(response, "1 aviso marcado como lido.")
        assert self.unread() == 1
        self.client.post(READ, {"topic": ""})
        assert self.unread() == 0
        for odd in ("x", "-1", "0", str(2**64), "\x00"):
            assert self.client.post(READ, {"topic": odd}).status_code == 400


class LinkTests(PageTestCase):
    """The links of the mails act without a log-in, for the reader whom they name."""

    def setUp(self):
        self.client = self.client_class(enforce_csrf_checks=True)
        self.stop = mail_links.stop_mails(self.reader.pk).removeprefix("http://localhost:8000")
        self.mute = mail_links.mute_topic(self.reader.pk, self.topic.pk).removeprefix(
            "http://localhost:8000"
        )

    def frequency(self) -> str:
        return User.objects.get(pk=self.reader.pk).mail_frequency

    def test_looking_changes_nothing_and_one_click_ends_the_mails(self):
        self.assertContains(self.client.get(self.stop), "Não receber mais")
        assert self.frequency() == "diario"
        # as a mail program sends it: no cookie, no token (RFC 8058)
        for _time in range(2):
            done = self.client.post(self.stop, {"List-Unsubscribe": "One-Click"})
            self.assertContains(done, "Pronto")
            assert self.frequency() == "nunca"
        assert not User.objects.exclude(pk=self.reader.pk).filter(mail_frequency="nunca").exists()

    def test_a_debate_is_muted(self):
        self.assertContains(self.client.get(self.mute), self.topic.title)
        self.assertContains(self.client.post(self.mute), "Debate silenciado")
        assert Follow.objects.get(user=self.reader, topic=self.topic).state == "silencia"
        assert self.frequency() == "diario"

    def test_a_link_that_is_none(self):
        token = self.stop.partition("?t=")[2]
        for odd in ("", "x", token[:-1], f"{token}x", token.replace(":", "."), "\x00", "é" * 5_000):
            for send in (self.client.get, self.client.post):
                with self.subTest(odd=odd[:40], send=send.__name__):
                    response = send(f"{PAGE}sair/", query_params={"t": odd})
                    self.assertContains(response, "Este link não vale", status_code=400)
        other = Signer(salt="outra").sign_object([self.reader.pk])
        assert self.client.post(f"{PAGE}sair/", query_params={"t": other}).status_code == 400
        assert self.frequency() == "diario"

    def test_a_reader_or_a_debate_that_is_gone(self):
        nobody = mail_links.stop_mails(10**9).removeprefix("http://localhost:8000")
        assert self.client.post(nobody).status_code == 404
        services.delete_topic(topic=self.topic, actor=self.reader)
        for send in (self.client.get, self.client.post):
            assert send(self.mute).status_code == 404

    def test_the_path_that_is_logged_holds_no_token(self):
        with self.assertLogs("core.requests", "INFO") as logged:
            self.client.get(self.stop)
        assert self.stop.partition("?t=")[2] not in "".join(logged.output)


class ChoiceTests(PageTestCase):
    def test_the_account_page_offers_the_four_and_keeps_the_choice(self):
        page = self.client.get("/conta/")
        for value in ("na-hora", "diario", "semanal", "nunca"):
            self.assertContains(page, f'<option value="{value}"')
        data = {"display_name": "", "email": self.reader.email, "mail_frequency": "semanal"}
        assert self.client.post("/conta/", data).status_code == 302
        self.reader.refresh_from_db()
        assert self.reader.mail_frequency == "semanal"
        # a form of the release before does not name it
        del data["mail_frequency"]
        assert self.client.post("/conta/", data).status_code == 302
        self.reader.refresh_from_db()
        assert self.reader.mail_frequency == "semanal"
        odd = self.client.post("/conta/", {**data, "mail_frequency": "sempre"})
        assert odd.status_code == 422
