"""compose.yaml, parsed: who is there, what they run, what they are told, how they stop."""

from __future__ import annotations

import ipaddress
import re

import pytest
import yaml
from django.conf import settings

from core import heartbeat
from core.embedded import procfile
from tests.conventions import tree
from tests.conventions.settings import names_in_example

FILE = "deploy/compose.yaml"
COMPOSE = yaml.safe_load(tree.read(FILE))
SERVICES: dict[str, dict] = COMPOSE["services"]
OURS = ["migrate", "web-1", "web-2", "worker", "bulk", "beat"]
DAEMONS = [name for name in SERVICES if name not in {"migrate", "backup"}]
NOT_THE_SITES = {"PID_FILE", "PORT"}  # deploy/run
PORTS = {"web-1": "8000", "web-2": "8001"}


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * (60 if unit == "m" else 1)


def environment(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


def test_who_is_there():
    assert set(SERVICES) == {
        *OURS, "postgres", "redis-cache", "redis-broker", "nginx", "backup",
    }  # fmt: skip
    processes = [SERVICES[name]["command"][0] for name in OURS if name != "migrate"]
    assert processes == ["web", "web", "worker", "bulk", "beat"]
    assert set(processes) == set(procfile.commands(settings.BASE_DIR))  # deploy/run runs its line
    assert SERVICES["migrate"]["entrypoint"] == ["deploy/release", "/srv/static"]
    assert SERVICES["beat"]["deploy"]["replicas"] == 1


def test_images_are_pinned():
    for name, service in SERVICES.items():
        image, _colon, tag = service["image"].rpartition(":")
        assert image, name
        if name in OURS:
            assert tag == "?}" or service["image"] == "cgbookstore:${RELEASE:?}"
        else:
            assert re.fullmatch(r"\d+\.\d+(\.\d+)?", tag), name
    postgres = {SERVICES[name]["image"] for name in ("postgres", "backup")}
    assert len(postgres) == 1  # pg_dump is the server's own
    assert postgres.pop().startswith("postgres:18.")


def test_no_secret_has_a_default_and_each_is_named():
    asked = re.findall(r"\$\{(\w+)([^}]*)\}", tree.read(FILE))
    assert {rest for _name, rest in asked} == {":?"}  # refuses to start without
    named = names_in_example(tree.read("deploy/compose.env.example"))
    assert sorted(set(named)) == sorted({name for name, _rest in asked})
    values = re.findall(r"(?m)^\w+=(.*)$", tree.read("deploy/compose.env.example"))
    assert set(values) == {""}


@pytest.mark.parametrize("name", OURS)
def test_the_site_knows_what_it_is_told(name):
    known = set(names_in_example(tree.read(".env.example")))
    assert set(environment(name)) - NOT_THE_SITES <= known
    own = {"PORT"} if name in PORTS else set()
    same = {key: value for key, value in environment(name).items() if key not in own}
    assert same == environment("worker")  # one environment: who is told what is no riddle
    assert environment(name).get("PORT") == PORTS.get(name)


def test_each_room_of_redis_is_where_it_may_be_evicted_or_not():
    words = environment("web-1")
    assert "@redis-cache:6379/1" in words["REDIS_URL"]
    rooms = ("CELERY_BROKER_URL", "REDIS_SESSIONS_URL", "REDIS_LIMITS_URL")
    assert [words[room].rpartition("@")[2] for room in rooms] == [
        f"redis-broker:6379/{number}" for number in (0, 2, 3)
    ]
    for name, conf in (("redis-cache", "cache.conf"), ("redis-broker", "broker.conf")):
        assert SERVICES[name]["entrypoint"] == ["/etc/cgbookstore/start.sh"]
        assert SERVICES[name]["command"][0] == conf
        assert f"deploy/redis/{conf}" in tree.paths()
        assert "./redis:/etc/cgbookstore:ro" in SERVICES[name]["volumes"]
    assert "broker:/data" in SERVICES["redis-broker"]["volumes"]
    assert SERVICES["redis-broker"]["command"][1:] == ["--dir", "/data"]
    # two servers, two secrets; and both by the user who may not flush
    assert environment("redis-cache") != environment("redis-broker")
    assert all(words[room].startswith("redis://cgbookstore:") for room in ("REDIS_URL", *rooms))


def test_each_starts_after_what_it_needs_and_is_watched():
    for name in OURS[1:]:
        needs = SERVICES[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["postgres"]["condition"] == "service_healthy"
    assert {need["condition"] for need in SERVICES["nginx"]["depends_on"].values()} == {
        "service_healthy"
    }
    for name in DAEMONS:
        assert SERVICES[name]["restart"] == "unless-stopped", name
        if name != "beat":  # a clock has no door to knock at
            assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
    for name in ("web-1", "web-2"):
        health = SERVICES[name]["healthcheck"]
        assert health["test"] == ["CMD", "deploy/heal", "web"]
        assert seconds(health["timeout"]) > 3 * 3 + 2 + 10  # it asks, waits and ends


def test_the_health_of_a_worker_is_that_it_hears():
    for name in ("worker", "bulk"):
        line = procfile.commands(settings.BASE_DIR)[name]
        queues = re.search(r"-Q (\S+)", line)[1].split(",")
        _kind, program, *words = SERVICES[name]["healthcheck"]["test"]
        assert program == "deploy/heal"
        assert words[: len(queues)] == queues
        assert seconds(SERVICES[name]["healthcheck"]["timeout"]) > 60  # it looks twice
        assert environment(name)["PID_FILE"].startswith("/tmp/")  # noqa: S108  a tmpfs
    longest = heartbeat.STALE_SECONDS["bulk"]
    assert longest > settings.CELERY_TASK_TIME_LIMIT


def test_a_stop_waits_for_what_is_being_done():
    granian = int(
        re.search(r"--workers-kill-timeout (\d+)", procfile.commands(settings.BASE_DIR)["web"])[1]
    )
    assert seconds(SERVICES["web-1"]["stop_grace_period"]) >= 2 * granian
    for name in ("worker", "bulk", "postgres"):
        assert seconds(SERVICES[name]["stop_grace_period"]) >= 60, name
    shutdown = int(
        re.search(r"worker_shutdown_timeout (\d+)s", tree.read("deploy/nginx/nginx.conf"))[1]
    )
    assert seconds(SERVICES["nginx"]["stop_grace_period"]) > shutdown
    for name in DAEMONS:
        assert "stop_grace_period" in SERVICES[name], name


def test_what_must_stay_is_on_a_volume():
    used = {
        volume.partition(":")[0]: volume.partition(":")[2]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume[0] not in "./$"
    }
    assert set(used) == set(COMPOSE["volumes"])
    assert used["postgres"] == "/var/lib/postgresql"  # 18's image refuses .../data
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, _colon, rest = volume.partition(":")
            if source.startswith("./"):
                path = f"deploy/{source[2:]}"
                assert any(each == path or each.startswith(f"{path}/") for each in tree.paths()), (
                    path
                )
                assert rest.endswith(":ro")


def test_what_they_count_is_in_one_folder_in_memory():
    options = COMPOSE["volumes"]["run"]["driver_opts"]
    (user,) = set(re.findall(r"--uid (\d+)", tree.read("deploy/Dockerfile")))
    assert options["type"] == "tmpfs"
    assert f"uid={user}" in options["o"]
    assert "mode=0751" in options["o"]  # nginx passes through to away/
    for name in OURS:
        assert "run:/run/cgbookstore" in SERVICES[name]["volumes"], name
        for variable in ("METRICS_DIR", "DRAIN_FILE"):
            assert environment(name)[variable].startswith("/run/cgbookstore/")


def test_who_reaches_whom():
    networks = COMPOSE["networks"]
    assert networks["inside"]["internal"] is True
    for name in ("postgres", "redis-cache", "redis-broker", "backup"):
        assert SERVICES[name]["networks"] == ["inside"], name
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["nginx"]
    (pool,) = networks["inside"]["ipam"]["config"]
    fixed = [SERVICES[name]["networks"]["inside"]["ipv4_address"] for name in ("web-1", "web-2")]
    assert len(set(fixed)) == 2
    for address in map(ipaddress.ip_address, fixed):
        assert address in ipaddress.ip_network(pool["subnet"])
        assert address not in ipaddress.ip_network(pool["ip_range"])  # given to nobody else


def test_nginx_finds_both_and_its_files():
    upstream = tree.read("deploy/nginx/upstream.compose.conf")
    assert dict(re.findall(r"server (\S+):(\d+)", upstream)) == PORTS
    on_a_server = tree.read("deploy/nginx/upstream.conf")  # the one that the tests run
    for words in (r"server \S+ (.*);", r"keepalive\S* .*;", r"map .*", r"default .*;"):
        assert re.findall(words, upstream) == re.findall(words, on_a_server)
    # who is away is the port of the one, and asked is the address of the other
    where = {name: SERVICES[name]["networks"]["inside"]["ipv4_address"] for name in PORTS}
    assert dict(re.findall(r"(?m)^ +(\d+) +(\S+);", upstream)) == {
        PORTS["web-1"]: f"{where['web-2']}:{PORTS['web-2']}",
        PORTS["web-2"]: f"{where['web-1']}:{PORTS['web-1']}",
    }
    assert "run:/run/cgbookstore:ro" in SERVICES["nginx"]["volumes"]
    mounted = dict(
        reversed(volume.removesuffix(":ro").rsplit(":", 1))
        for volume in SERVICES["nginx"]["volumes"]
    )
    said = "".join(tree.texts(tree.named("deploy/nginx/*.conf")).values())
    for folder in ("/etc/nginx/tls", "/var/www/acme", "/var/lib/cgbookstore/static"):
        assert folder in mounted
        assert folder in said or f"{folder.rpartition('/')[0]};" in said
    assert mounted["/etc/nginx/cgbookstore/upstream.conf"] == "./nginx/upstream.compose.conf"
    assert "static:/srv/static" in SERVICES["migrate"]["volumes"]


@pytest.mark.parametrize("name", [*OURS, "redis-cache", "redis-broker"])
def test_nobody_may_more_than_they_need(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert "privileged" not in service
