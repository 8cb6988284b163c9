"""nginx with the files of ``deploy/nginx``, moved into a folder and to ports of the test's own."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from core.embedded import throwaway
from tests.faults.servers import program, wait_for
from tests.faults.tls import make_certificate
from tests.servers import free_port

SOURCE = settings.BASE_DIR / "deploy/nginx"
SITE = "livros.example.com"


class Answer:
    """What came back, with its body as bytes."""

    def __init__(self, response: http.client.HTTPResponse):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    def __repr__(self) -> str:
        return f"{self.status} {dict(self.headers)} {self.body[:200]!r}"


class Nginx:
    """One running nginx in ``folder``, before one or two web processes at ``ports``."""

    def __init__(self, folder: Path, ports: list[int]):
        self.folder, self.port, self.plain_port = folder, free_port(), free_port()
        self.web_ports = (*ports, free_port())[:2]  # nobody is at the second if one was given
        self.program = program("nginx", "nginx")
        for name in ("tls", "logs", "acme", "var/static"):
            (folder / name).mkdir(parents=True)
        (folder / "tls").chmod(0o755)
        certificate, key = make_certificate(folder / "tls", SITE)
        certificate.rename(folder / "tls/fullchain.pem")
        key.rename(folder / "tls/privkey.pem")
        shutil.copytree(SOURCE, folder / "cgbookstore")
        for path in (folder / "cgbookstore").glob("*.conf"):
            path.write_text(self.moved(path.read_text()))
        for name in ("upstream.conf", "traffic.conf"):
            path = folder / "cgbookstore" / name
            path.write_text(self.moved_ports(path.read_text()))
        shutil.copy("/etc/nginx/mime.types", folder)
        (folder / "cgbookstore/nginx.conf").rename(folder / "nginx.conf")
        self.check()
        self.process = subprocess.Popen(
            [*self.words, "-g", "daemon off;"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self.listens, "nginx did not start")

    @property
    def words(self) -> list[str]:
        return [self.program, "-e", "stderr", "-p", f"{self.folder}/", "-c", "nginx.conf"]

    def moved(self, text: str) -> str:
        """The same text with the paths and ports of this folder."""
        for old, new in (
            (r"/etc/nginx/", f"{self.folder}/"),
            (r"/var/lib/cgbookstore", f"{self.folder}/var"),
            (r"/var/log/nginx/", f"{self.folder}/logs/"),
            (r"/var/www/acme", f"{self.folder}/acme"),
            (r"/run/nginx.pid", f"{self.folder}/nginx.pid"),
            (r"/run/cgbookstore/", f"{self.folder}/"),
            (r"(?m)^ *listen \[::\].*\n", ""),
            (r"listen 80 ", f"listen 127.0.0.1:{self.plain_port} "),
            (r"listen 443 ", f"listen 127.0.0.1:{self.port} "),
            (r"(?m)^user .*$", "user root;" if os.geteuid() == 0 else ""),
            (r"(?m)^worker_processes .*$", "worker_processes 1;"),
        ):
            text = re.sub(old, new, text)
        return text

    def moved_ports(self, text: str) -> str:
        """The same text with the ports of these web processes, which are their names too."""
        moved = dict(zip(("8000", "8001"), map(str, self.web_ports), strict=True))
        return re.sub(r"800[01]\b", lambda found: moved[found[0]], text)

    def check(self) -> None:
        """`nginx -t`, without a warning."""
        said = subprocess.run([*self.words, "-t"], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        assert "[warn]" not in said.stderr, said.stderr

    def listens(self) -> bool:
        assert self.process.poll() is None, f"nginx ended with {self.process.returncode}"
        with contextlib.suppress(OSError):
            return self.ask("/nginx/").status == 404
        return False

    def line(self) -> http.client.HTTPSConnection:
        """A TLS connection that believes this nginx's certificate and no other. The caller closes it."""
        trust = ssl.create_default_context(cafile=str(self.folder / "tls/fullchain.pem"))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=trust)

    def ask(self, path: str, method: str = "GET", body=None, **headers: str) -> Answer:
        """One request by TLS under the site's own name; ``_`` in a header's name is ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(self.line()) as line:
            line.request(method, path, body, {"Host": SITE, **named})
            return Answer(line.getresponse())

    def ask_plainly(self, path: str) -> Answer:
        line = http.client.HTTPConnection("127.0.0.1", self.plain_port, timeout=30)
        with contextlib.closing(line):
            line.request("GET", path, headers={"Host": SITE})
            return Answer(line.getresponse())

    def log(self) -> str:
        return (self.folder / "logs/access.log").read_text()

    def errors(self) -> list[str]:
        """What went wrong between nginx and the web processes, a line each."""
        said = (self.folder / "logs/error.log").read_text()
        return [line for line in said.splitlines() if "upstream" in line]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def nginx(*addresses: str) -> Iterator[Nginx]:
    """Yield nginx before the one or two web servers at ``addresses`` (``http://127.0.0.1:port``)."""
    with throwaway.folder() as folder:
        found = Nginx(folder, [int(address.rpartition(":")[2]) for address in addresses])
        try:
            yield found
        finally:
            found.stop()
