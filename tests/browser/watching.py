"""What a browser complains about while a test uses it."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response

# The browser logs most refusals of the policy by itself; the event also names the rule.
REPORT_POLICY = """
document.addEventListener("securitypolicyviolation", (event) => console.error(
  `policy: ${event.effectiveDirective} refused ${event.blockedURI} ${event.sample}`));
"""


class Watch:
    """Collects ``problems`` of every page of the contexts it is put over."""

    def __init__(self, home: str):
        self.host = urlsplit(home).netloc
        self.problems: list[str] = []

    def over(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"script error: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)
        context.add_init_script(REPORT_POLICY)

    def _console(self, message: ConsoleMessage) -> None:
        # An answer of 404 or 422 is logged as an error too; _response judges those.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob", "about"} and address.netloc != self.host:
            self.problems.append(f"request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        is_part = not response.request.is_navigation_request()
        if response.status >= 500 or (is_part and response.status >= 400):
            self.problems.append(f"{response.status}: {response.url}")
