"""Two real servers side by side: what one is told the other shows, and they count together."""

from __future__ import annotations

import gzip
import http.client
import re
import time
from urllib.parse import urlencode, urlsplit

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.test import Client

from tests.factories import make_post, make_topic, make_user
from tests.servers import web_server

TWO_SECONDS = 2.0


class Browser:
    """A browser that knows both servers; cookies do not care for ports."""

    def __init__(self, user=None):
        self.cookies: dict[str, str] = {}
        if user:
            client = Client()
            client.force_login(user)
            assert SESSION_KEY in client.session
            self.cookies["sessionid"] = client.cookies["sessionid"].value

    def ask(self, url: str, method="GET", data=None, **headers):
        """Return the answer with ``body``; no redirect is followed."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            headers["Cookie"] = "; ".join(
                f'{k}="{v}"' if " " in v else f"{k}={v}" for k, v in self.cookies.items()
            )
        body = None
        if data is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(data)
        address = urlsplit(url)
        server = http.client.HTTPConnection(address.netloc, timeout=10)
        server.request(method, f"{address.path}?{address.query}", body, headers)
        answer = server.getresponse()
        answer.body = answer.read()
        server.close()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _equals, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        return answer

    def text(self, url: str) -> str:
        return self.ask(url).body.decode()


@pytest.fixture
def servers(transactional_db):
    # with the key of the sessions that the test writes
    same = {"RATE_DEBATES_LIST": "200/d,6/d", "SECRET_KEY": settings.SECRET_KEY}
    with web_server(**same) as one, web_server(**same) as two:
        yield one, two


def test_two_servers(servers):
    """One story: two servers cost more to start than all the questions."""
    one, two = servers
    writer, reader = make_user(), make_user()
    topic = make_topic(creator=reader)
    make_post(topic, author=reader)
    path = topic.get_absolute_url()
    nobody, member, author = Browser(), Browser(reader), Browser(writer)
    for server in servers:
        for browser in (nobody, member, author):
            assert browser.ask(server + path).status == 200

    text = author.text(one + path)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
    assert token, text
    form = {"csrfmiddlewaretoken": token[1], "content": "De um servidor.", "spoiler_percent": "0"}
    answer = author.ask(f"{one}{path}responder/", "POST", form)
    written = time.monotonic()
    assert answer.status == 302
    assert "De um servidor." in author.text(two + path)  # at once, from the other one
    assert "De um servidor." in author.text(one + path)
    waiting = {(server, browser) for server in servers for browser in (nobody, member)}
    while waiting and time.monotonic() - written < TWO_SECONDS:
        waiting = {(s, b) for s, b in waiting if "De um servidor." not in b.text(s + path)}
    assert not waiting

    page = nobody.ask(one + path)
    packed = nobody.ask(two + path, Accept_Encoding="gzip")
    assert packed.headers["ETag"] == page.headers["ETag"]
    assert gzip.decompress(packed.body) == page.body
    assert nobody.ask(two + path, If_None_Match=page.headers["ETag"]).status == 304
    head = nobody.ask(one + path, "HEAD")
    assert head.headers["Content-Length"] == str(len(page.body))
    assert head.body == b""

    statuses = [nobody.ask(f"{server}/debates/").status for _time in range(4) for server in servers]
    assert statuses == [200] * 6 + [429] * 2
    assert settings.RATES["debates_list"].burst != "6/d"  # that was theirs alone
