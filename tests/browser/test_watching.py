"""The watch over the other tests sees what it is there for."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

BAD_PAGE = """<!doctype html><title>Ruim</title><h1 style="color: red">Ruim</h1>
<img src="https://example.com/espiao.gif" alt=""><script src="/static/nada.js"></script>"""


def _answer(route: Route) -> None:
    policy = "default-src 'none'; script-src 'self'; img-src *"
    route.fulfill(
        body=BAD_PAGE, headers={"Content-Security-Policy": policy}, content_type="text/html"
    )


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no_scripts"])
def test_bad_page_is_reported(open_page, watch, javascript):
    page = open_page(java_script_enabled=javascript)
    page.route("**/ruim/", _answer)
    page.route("https://example.com/**", lambda route: route.abort())
    page.goto("/ruim/")
    expect(page.get_by_role("heading")).to_be_visible()
    if javascript:
        page.evaluate("setTimeout(() => undefined.nothing)")
        page.evaluate("new Promise((done) => setTimeout(done))")
    found, watch.problems[:] = "\n".join(watch.problems), []
    assert "Content Security Policy" in found
    assert "request to another host: https://example.com/espiao.gif" in found
    if javascript:
        assert "404: " in found
        assert "script error: " in found
        assert "policy: style-src-attr refused inline" in found
