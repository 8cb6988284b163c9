"""The site as production runs it: granian, hashed files, HTTPS settings, limits and CSRF on."""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from .servers import child_environment, web_server

SITE = "livros.example.com"
HTTPS = {"Host": SITE, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture(scope="module")
def static_root(tmp_path_factory):
    return tmp_path_factory.mktemp("static")


@pytest.fixture
def site(transactional_db, static_root):
    """A function that asks the production server one thing."""
    production = {
        "SITE_URL": f"https://{SITE}",
        "TRUSTED_PROXY_HOPS": "1",
        "STATIC_ROOT": str(static_root),
        "RATE_DEBATES_LIST": "200/d,4/d",
    }
    if not (static_root / "staticfiles.json").exists():
        subprocess.run(
            [sys.executable, "manage.py", "collectstatic", "--noinput"],
            cwd=settings.BASE_DIR,
            env=child_environment(**production),
            capture_output=True,
            check=True,
        )
    with web_server(**production) as address:

        def ask(path, method="GET", body=None, headers=HTTPS, **more) -> Answer:
            named = {name.replace("_", "-"): value for name, value in more.items()}
            peer = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
            with contextlib.closing(peer):
                peer.request(method, path, body, {**headers, **named})
                return Answer(peer.getresponse())

        yield ask


def test_production(site):
    """One server, one story: its start costs more than all the questions."""
    plain = site("/debates/", headers={"Host": SITE})
    assert plain.status == 301
    assert plain.headers["Location"] == f"https://{SITE}/debates/"
    assert site("/healthz", headers={"Host": SITE}).status == 200
    assert (
        site("/metrics", headers={"Host": SITE}).status == 404
    )  # no redirect, and not for everyone
    assert site("/", headers={**HTTPS, "Host": "evil.example"}).status == 400

    page = site("/")
    assert page.status == 200
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "Set-Cookie" not in page.headers

    (sheet,) = re.findall(r'href="(/static/css/site\.[0-9a-f]{12}\.css)"', page.text)
    style = site(sheet, Accept_Encoding="br")
    assert style.status == 200
    assert style.headers["Content-Encoding"] == "br"
    assert "immutable" in style.headers["Cache-Control"]
    for script in re.findall(r'src="(/static/[^"]+\.js)"', page.text):
        assert re.search(r"\.[0-9a-f]{12}\.js$", script), script
        assert site(script).status == 200

    login = site("/conta/entrar/")
    cookie = login.headers["Set-Cookie"]
    assert cookie.startswith("csrftoken=")
    assert "Secure" in cookie
    refused = site("/conta/entrar/", "POST", "username=a&password=b")
    assert refused.status == 403

    answers = [site("/debates/").status for _ in range(6)]
    assert answers == [200] * 4 + [429] * 2
    other_reader = {**HTTPS, "X-Forwarded-For": "203.0.113.8"}
    assert site("/debates/", headers=other_reader).status == 200
    forged = {**HTTPS, "X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    limited = site("/debates/", headers=forged, Accept="application/json")
    assert limited.status == 429
    assert limited.headers["Retry-After"]
    assert '"status": 429' in limited.text
