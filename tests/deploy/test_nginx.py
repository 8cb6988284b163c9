"""nginx as deployed, before a real web server: files, limits, whose address counts, and a site that is gone."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys

import pytest
from django.conf import settings

from core.embedded import throwaway
from tests.faults.servers import wait_for
from tests.servers import child_environment, free_port, web_server

from .nginx import SITE, Nginx, nginx

PRODUCTION = {
    "SITE_URL": f"https://{SITE}",
    "TRUSTED_PROXY_HOPS": "1",
    "RATE_DEBATES_LIST": "200/d,4/d",
}


@pytest.fixture(scope="module")
def static_root():
    """Collected once, as a release does."""
    with throwaway.folder() as folder:
        subprocess.run(
            [sys.executable, "manage.py", "collectstatic", "--noinput"],
            cwd=settings.BASE_DIR,
            env=child_environment(STATIC_ROOT=str(folder)),
            capture_output=True,
            check=True,
        )
        yield folder


@contextlib.contextmanager
def site(static_root, **changes: str):
    """Yield nginx before one web server; both find ``static_root``."""
    words = {**PRODUCTION, "STATIC_ROOT": str(static_root), **changes}
    with web_server(**words) as address, nginx(address) as front:
        (front.folder / "var/static").rmdir()
        (front.folder / "var/static").symlink_to(static_root)
        yield front


def test_pages_files_and_addresses(transactional_db, static_root):
    """One server, one story: its start costs more than all the questions."""
    with site(static_root) as front:
        moved = front.ask_plainly("/debates/?pagina=2")
        assert moved.status == 301
        assert moved.headers["Location"] == f"https://{SITE}/debates/?pagina=2"
        (front.folder / "acme/.well-known/acme-challenge").mkdir(parents=True)
        (front.folder / "acme/.well-known/acme-challenge/word").write_text("yes")
        assert front.ask_plainly("/.well-known/acme-challenge/word").text == "yes"

        page = front.ask("/")
        assert page.status == 200
        assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        assert "nginx/" not in str(page.headers["Server"])
        the_page_is_compressed_once(front)
        the_files_are_served(front, page.text, static_root)
        the_address_cannot_be_forged(front)
        the_request_has_one_name(front)
        what_is_not_for_readers_is_not_there(front)
        what_is_too_large_is_refused_in_words(front)


def the_page_is_compressed_once(front: Nginx) -> None:
    for path in ("/", "/conta/entrar/"):  # one is kept compressed by the site, one is not
        packed = front.ask(path, Accept_Encoding="gzip")
        assert packed.headers.get_all("Content-Encoding") == ["gzip"], path
        assert "Accept-Encoding" in ", ".join(packed.headers.get_all("Vary"))


def the_files_are_served(front: Nginx, page: str, static_root) -> None:
    names = re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js|svg))"', page)
    assert {name.rpartition(".")[2] for name in names} == {"css", "js", "svg"}
    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    for name in names:
        plain = front.ask(name, Accept_Encoding="identity")
        assert plain.status == 200, name
        assert plain.body == (static_root / name.removeprefix("/static/")).read_bytes()
        for coding, ending in (("br", ".br"), ("gzip", ".gz"), ("gzip, deflate, br", ".br")):
            packed = front.ask(name, Accept_Encoding=coding)
            found = static_root / f"{name.removeprefix('/static/')}{ending}"
            if found.exists():  # whitenoise keeps a packed file only where it is smaller
                assert packed.headers["Content-Encoding"] == ending.strip(".").replace("gz", "gzip")
                assert packed.body == found.read_bytes()
            assert packed.headers["Content-Type"].startswith(types[name.rpartition(".")[2]])
            assert packed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert "Accept-Encoding" in packed.headers["Vary"]
    assert (static_root / f"{names[1].removeprefix('/static/')}.br").exists()
    unhashed = front.ask("/static/favicon.svg")
    assert (unhashed.status, unhashed.headers["Cache-Control"]) == (200, "public, max-age=3600")
    # what this folder has not, a web process of another release may have
    gone = front.ask("/static/css/site.000000000000.css")
    assert gone.status == 404
    assert gone.headers["X-Request-ID"], "the site was not asked"
    assert front.ask("/static/../cgbookstore/settings.py").status == 404
    assert front.ask("/static/%2e%2e/%2e%2e/etc/passwd").status in {400, 404}


def the_address_cannot_be_forged(front: Nginx) -> None:
    forged = [
        {"X_Forwarded_For": f"198.51.100.{number}", "X_Forwarded_Proto": "http"}
        for number in range(6)
    ]
    answers = [front.ask("/debates/", **headers).status for headers in forged]
    assert answers == [200] * 4 + [429] * 2  # one reader, and HTTPS whatever they say
    limited = front.ask("/debates/", X_Forwarded_For="203.0.113.1, 203.0.113.2")
    assert limited.status == 429
    assert "Limite de requisições excedido" in limited.text  # the site's own page, not ours
    assert front.ask("/", Host="evil.example").status == 400


def the_request_has_one_name(front: Nginx) -> None:
    named = front.ask("/livros/?q=segredo", X_Request_ID="a-name-of-my-own")
    (name,) = named.headers.get_all("X-Request-ID")
    assert re.fullmatch(r"[0-9a-f]{32}", name)

    def line():
        return [each for each in front.log().splitlines() if name in each]

    wait_for(line, "the request was not logged")
    row = json.loads(line()[0])
    assert (row["path"], row["status"], row["address"]) == ("/livros/", 200, "127.0.0.1")
    front.ask("/conta/senha/MQ/abc-123/")
    wait_for(lambda: '"/conta/senha/"' in front.log(), "the path was not logged")
    assert "abc-123" not in front.log()
    assert "segredo" not in front.log()


def what_is_not_for_readers_is_not_there(front: Nginx) -> None:
    assert front.ask("/metrics").status == front.ask("/readyz").status == 404
    assert "X-Request-ID" not in front.ask("/readyz").headers  # the site was not asked
    assert front.ask("/healthz").status == 200
    for path in ("/nginx/volta-ja.html", "/nginx/", "/cgbookstore/site.conf", "/tls/privkey.pem"):
        assert front.ask(path).status == 404, path


def what_is_too_large_is_refused_in_words(front: Nginx) -> None:
    for size in (1_200_000, 20_000_000):
        large = front.ask("/conta/entrar/", "POST", b"x" * 10, Content_Length=str(size))
        assert large.status == 413
        assert "Grande demais" in large.text
        assert large.headers["Content-Type"].startswith("text/html")


def test_a_flood_of_passwords_meets_a_page(transactional_db, static_root):
    generous = {"RATE_LOGIN": "10000/h,10000/m"}
    with site(static_root, **generous) as front:
        answers = [front.ask("/conta/entrar/", "POST", "username=a") for _n in range(40)]
        counted = [answer.status for answer in answers]
        assert counted[:30] == [403] * 30  # no token: the site refused each
        assert counted.count(429) >= 5
        last = answers[-1]
        assert (last.status, last.headers["Retry-After"]) == (429, "60")
        assert "Limite de requisições excedido" in last.text
        # those who only read are not counted
        assert {front.ask("/conta/entrar/").status for _n in range(40)} == {200}


def test_a_site_that_is_gone_and_comes_back(transactional_db, static_root):
    port = free_port()
    words = {**PRODUCTION, "STATIC_ROOT": str(static_root)}
    with nginx(f"http://127.0.0.1:{port}") as front:
        for method in ("GET", "POST"):
            gone = front.ask("/debates/", method)
            assert gone.status == 503
            assert gone.headers["Retry-After"] == "10"
            assert gone.headers["Cache-Control"] == "no-store"
            assert re.fullmatch(r"[0-9a-f]{32}", gone.headers["X-Request-ID"])
            assert "Voltamos já" in gone.text
        with web_server(**words, at_port=port):
            assert front.ask("/").status == 200  # with the first request
        assert front.ask("/").status == 503
