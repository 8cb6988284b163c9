"""deploy/prometheus and deploy/grafana: they name what is exported, and a real Prometheus takes them."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from core import heartbeat
from core.metrics import names
from core.queues import BULK, CRITICAL, DEFAULT

from .faults.servers import program, wait_for
from .servers import free_port, web_server

FOLDER = settings.BASE_DIR / "deploy" / "prometheus"
DASHBOARD = settings.BASE_DIR / "deploy" / "grafana" / "cgbookstore.json"
OPERATIONS = settings.BASE_DIR / "docs" / "operations.md"
# What others export, by the job that asks them; ``None``: Prometheus itself makes it.
OTHERS = {
    "up": None,
    "ALERTS": None,
    "node_filesystem_avail_bytes": "node",
    "node_filesystem_size_bytes": "node",
}
TOKEN = "uma-ficha-de-teste"


def rules() -> list[dict]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> list[str]:
    """Every expression of the dashboard."""
    board = json.loads(DASHBOARD.read_text())
    asked = [variable["query"]["query"] for variable in board["templating"]["list"][1:]]
    notes = [note["expr"] for note in board["annotations"]["list"]]
    panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return [*asked, *notes, *panels]


def metrics_in(expression: str) -> set[str]:
    """Every word of an expression that names a metric: with our prefix, or before ``{`` or ``[``."""
    words = set(re.findall(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)(?=\s*[{\[])", expression))
    return {word for word in words if word not in {"by", "on"}} | set(
        re.findall(r"\bcgbookstore_[a-z0-9_]+", expression)
    )


class TestNames:
    def test_rules_and_dashboard_name_only_what_is_exported(self):
        for expression in [*(rule["expr"] for rule in rules()), *dashboard()]:
            found = metrics_in(expression)
            assert found, expression
            assert found <= names.exported() | set(OTHERS), expression

    def test_somebody_asks_for_what_others_export(self):
        config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        jobs = {job["job_name"] for job in config["scrape_configs"]}
        for expression in (rule["expr"] for rule in rules()):
            asked = {OTHERS[name] for name in metrics_in(expression) & set(OTHERS)} - {None}
            asked |= set(re.findall(r'job="([^"]+)"', expression))
            assert asked <= jobs, expression

    def test_everything_that_is_exported_is_shown_or_watched(self):
        used = set().union(*map(metrics_in, [*dashboard(), *(rule["expr"] for rule in rules())]))
        ends = r"_(total|bucket|sum|count)$"
        shown = {re.sub(ends, "", name) for name in used}
        assert {re.sub(ends, "", name) for name in names.exported()} - shown == set()

    def test_labels_are_those_of_the_metric(self):
        told = {"instance", "le", "job"}
        for expression in [*(rule["expr"] for rule in rules()), *dashboard()]:
            known = set(told)
            for name in metrics_in(expression) - set(OTHERS):
                bare = re.sub(r"_(total|bucket|sum|count)$", "", name.removeprefix(names.PREFIX))
                known |= set(names.ALL[bare].labels)
            if metrics_in(expression) & set(OTHERS):
                continue
            asked = set(re.findall(r'([a-z_]+)(?:=~|!~|!=|=)"', expression))
            for group in re.findall(r"by \(([^)]*)\)", expression):
                asked |= {word.strip() for word in group.split(",")}
            assert asked <= known, expression

    def test_each_alert_says_what_and_where_to_read_on(self):
        for rule in rules():
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert rule["annotations"]["summary"].endswith(".")
            anchor = rule["annotations"]["runbook_url"]
            assert anchor == f"docs/operations.md#{rule['alert'].lower()}"

    def test_each_alert_has_its_paragraph(self):
        headings = re.findall(r"^#+ (.+)$", OPERATIONS.read_text(), re.MULTILINE)
        known = {
            re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings
        }
        assert {rule["alert"].lower() for rule in rules()} - known == set()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Our configuration as an operator copies it, with the token beside it."""
    program("prometheus", "prometheus")
    copied = tmp_path / "prometheus"
    shutil.copytree(FOLDER, copied)
    (copied / "metrics-token").write_text(TOKEN)
    return copied


def test_promtool_takes_rules_and_configuration(folder):
    for words in (
        ["check", "rules", folder / "alerts.yml"],
        ["check", "config", folder / "prometheus.yml"],
    ):
        done = subprocess.run(
            [program("promtool", "prometheus"), *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """Debian's, with our rules, asking one site each second."""

    def __init__(self, folder: Path, target: str):
        self.address = f"127.0.0.1:{free_port()}"
        config = yaml.safe_load((folder / "prometheus.yml").read_text())
        config["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), "1s")
        config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        alerts = (folder / "alerts.yml").read_text()  # the same rules, without the patience
        (folder / "alerts.yml").write_text(re.sub(r"^( +for:) \w+$", r"\1 0s", alerts, flags=re.M))
        self.log = folder / "log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [program("prometheus", "prometheus"), f"--config.file={folder}/prometheus.yml",
                 f"--storage.tsdb.path={folder}/data", f"--web.listen-address={self.address}"],
                stdout=out, stderr=out,
            )  # fmt: skip

    def ask(self, path: str, **words: str) -> dict:
        query = urllib.parse.urlencode(words)
        url = f"http://{self.address}/api/v1/{path}?{query}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it starts
                raise
            with error:
                raise AssertionError(f"{words}: {error.read().decode()}") from error

    def firing(self) -> dict[tuple[str, str], dict]:
        """Alerts by their name and queue."""
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            alerts = self.ask("alerts")["alerts"]
            return {
                (one["labels"]["alertname"], one["labels"].get("queue", "")): one
                for one in alerts
                if one["state"] == "firing"
            }
        return {}


@contextlib.contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    found = Prometheus(folder, target)
    try:
        yield found
    finally:
        found.process.terminate()
        found.process.wait(20)


def test_a_real_prometheus_loads_the_rules_and_a_new_site_without_workers_is_told(
    transactional_db, folder
):
    heartbeat.beat(DEFAULT)  # one queue has a worker, the others and Beat never did anything
    shared = {"METRICS_DIR": str(folder / "metrics"), "METRICS_TOKEN": TOKEN}
    with web_server(WEB_WORKERS="2", **shared) as address:
        target = urllib.parse.urlsplit(address).netloc
        with prometheus(folder, target) as watcher:
            wait_for(
                lambda: {"WorkerDeaf", "BeatSilent"} <= {name for name, _queue in watcher.firing()},
                f"no alert; {watcher.log.read_text()}",
            )
            firing = watcher.firing()
            assert {queue for name, queue in firing if name == "WorkerDeaf"} == {CRITICAL, BULK}
            said = firing["WorkerDeaf", BULK]["annotations"]["summary"]
            assert said.startswith(f"Nobody has served the queue {BULK}")
            assert ("SiteDown", "") not in firing
            loaded = watcher.ask("rules")["groups"]
            assert {rule["name"] for group in loaded for rule in group["rules"]} == {
                rule["alert"] for rule in rules()
            }
            assert {rule["health"] for group in loaded for rule in group["rules"]} == {"ok"}
            (target,) = [
                one
                for one in watcher.ask("targets")["activeTargets"]
                if one["labels"]["job"] == "cgbookstore"
            ]
            assert target["health"] == "up", target
            for expression in dashboard()[1:]:
                watcher.ask("query", query=expression.replace("$instance", ".*"))


def test_a_site_that_does_not_answer_is_an_alert(folder):
    with prometheus(folder, f"127.0.0.1:{free_port()}") as watcher:
        wait_for(lambda: ("SiteDown", "") in watcher.firing(), "nobody said that the site is down")
