"""A hosted Postgres by its address: TLS, three ports, extensions in a schema of their own."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests.servers import web_server

from .servers import ask, pgbouncer
from .tls import make_certificate, tls_before
from .visitor import Visitor

OWNER, PASSWORD = "hosted", "uma-senha-de-teste"
TLS = """\
client_tls_sslmode = require
client_tls_cert_file = {folder}/server.crt
client_tls_key_file = {folder}/server.key
"""
INDEX = "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%extensions.gin_trgm_ops%'"


def found_by(check) -> list[str]:
    """What `check --deploy` says of the server."""
    return re.findall(r"core\.[EW]01\d", check.stderr)


@pytest.fixture
def hosted(pair, tmp_path):
    """Addresses of one database by port: ``direct``, ``session``, ``transaction``; all want TLS.

    Its owner is no superuser, and does not look into the schema of the extensions.
    """
    pair.ask("DROP DATABASE IF EXISTS hosted WITH (FORCE)")
    pair.ask(f"DROP ROLE IF EXISTS {OWNER}")
    pair.ask(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}'")
    pair.ask(f"CREATE DATABASE hosted OWNER {OWNER}")
    pair.ask("CREATE SCHEMA extensions", database="hosted")
    pair.ask(f"GRANT USAGE ON SCHEMA extensions TO {OWNER}", database="hosted")
    pair.ask("CREATE EXTENSION pg_trgm SCHEMA extensions", database="hosted")
    certificate, key = make_certificate(tmp_path, "server")
    files = {"server.crt": certificate.read_text(), "server.key": key.read_text()}
    files["users"] = f'"{OWNER}" "{PASSWORD}"\n'
    modes = {
        f"{mode}_port": f"dbname=hosted pool_mode={mode}" for mode in ("session", "transaction")
    }
    here = f"postgresql://{OWNER}:{PASSWORD}@localhost"
    with (
        pgbouncer(pair, more=TLS, files=files, **modes) as bouncer,
        tls_before(urlsplit(pair.database_url).port, certificate, key) as direct,
    ):
        yield {
            "": f"{here}:{direct}/hosted",
            **{mode: f"{here}:{bouncer.port}/{mode}_port" for mode in ("session", "transaction")},
        }


def test_the_site_works_on_every_port(pair, hosted, tmp_path):
    def manage(pooler: str, *words: str):
        url = f"{hosted[pooler]}?sslmode=verify-full&sslrootcert={tmp_path}/server.crt"
        return pair.manage("hosted", *words, DATABASE_URL=url, DATABASE_POOLER=pooler)

    for pooler in ("transaction", ""):  # nothing to do the second time
        migrated = manage(pooler, "migrate", "-v0")
        assert migrated.returncode == 0, migrated.stderr
    assert pair.ask(INDEX, database="hosted")[0][0] >= 3
    check = ["check", "--deploy", "--tag", "connections"]
    assert found_by(manage("", *check)) == ["core.W013"]

    written = manage("transaction", "set_role_defaults")
    assert 'search_path = "$user", public, "extensions"' in written.stdout, written.stderr
    assert found_by(manage("", *check)) == []
    pair.ask(f"ALTER ROLE {OWNER} CONNECTION LIMIT 14")
    assert found_by(manage("", *check)) == ["core.W012"]
    pair.ask(f"ALTER ROLE {OWNER} CONNECTION LIMIT -1")

    for pooler, url in hosted.items():
        site = {"DATABASE_URL": f"{url}?sslmode=require", "DATABASE_POOLER": pooler}
        if pooler == "transaction":
            site["DATABASE_URL"] += "&pgbouncer=true"  # as Supabase writes it for Prisma
        with web_server(REDIS_URL=pair.redis_url, **site) as address:
            visitor = Visitor(address)
            for path in ("/readyz", "/debates/", f"/busca/?q=dom+{pooler}"):
                answer = visitor.get(path)
                assert answer.status == 200, answer


def test_no_port_takes_what_is_not_encrypted_or_not_trusted(hosted, tmp_path):
    make_certificate(tmp_path, "stranger")
    for url in hosted.values():
        assert ask(f"{url}?sslmode=verify-full&sslrootcert={tmp_path}/server.crt", "SELECT 1")
        for words in ("disable", f"verify-full&sslrootcert={tmp_path}/stranger.crt"):
            with pytest.raises(psycopg2.OperationalError):
                ask(f"{url}?sslmode={words}", "SELECT 1")
