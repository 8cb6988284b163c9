"""core.metrics: what is counted is exported once, whoever counted it and whatever became of them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from django.test import SimpleTestCase, TestCase, override_settings
from prometheus_client.parser import text_string_to_metric_families

from core.addresses import metrics_networks
from core.metrics import counting, names, page, shared

START_TIMER = counting._start_timer
NOBODY = 65534


@pytest.fixture(autouse=True)
def of_our_own(monkeypatch, tmp_path, settings):
    """Numbers, a file and a folder of this test's own."""
    if counting._timer is not None:
        counting._timer.cancel()
    monkeypatch.setattr(counting, "_start_timer", lambda: None)  # nobody hands over but the test
    monkeypatch.setattr(counting, "counts", counting.Counts())
    monkeypatch.setattr(shared, "_ours", shared.Ours())
    settings.METRICS_DIR = str(tmp_path / "metrics")
    for gathered in (counting._requests, counting._events, counting._times):
        gathered.clear()
    yield
    shared._ours.forget()


def read(totals: shared.Totals) -> dict[str, float]:
    """Each exported number by its name and labels."""
    text = page.render(totals, {}).decode()
    return {
        sample.name
        + "".join(f" {value}" for _key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def in_child(work, *, ends_by: int = 0) -> None:
    """Run ``work`` in a forked process, which then ends without any ceremony."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            if ends_by:
                os.kill(os.getpid(), ends_by)
            os._exit(0)
    os.waitpid(child, 0)


@contextlib.contextmanager
def powerless(folder: str) -> Iterator[None]:
    """As an account that may open no file of root's; ``folder`` is its own."""
    if os.geteuid():
        yield
        return
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def serve(view: str = "core:home", *times: float) -> None:
    for seconds in times or (0.002,):
        counting.answered(view, 200, seconds, 1)
    counting.flush()


class TestNumbers:
    def test_a_request_is_counted_by_view_and_status_with_its_time_and_statements(self):
        serve("core:home", 0.0005, 0.03, 20.0)
        counting.answered("core:home", 503, 0.03, 0)
        found = read(shared.totals())
        assert found["cgbookstore_requests_total 200 core:home"] == 3
        assert found["cgbookstore_requests_total 503 core:home"] == 1
        assert found["cgbookstore_request_seconds_bucket 0.001 core:home"] == 1
        assert found["cgbookstore_request_seconds_bucket 0.05 core:home"] == 3
        assert found["cgbookstore_request_seconds_bucket +Inf core:home"] == 4
        assert found["cgbookstore_request_seconds_sum core:home"] == pytest.approx(20.0605)
        assert found["cgbookstore_request_queries_bucket 0.0 core:home"] == 1

    def test_what_has_no_labels_begins_at_zero(self):
        assert read(shared.totals())["cgbookstore_counters_drifted_total"] == 0

    def test_labels_that_run_away_end_somewhere(self):
        with mock.patch.object(counting, "MOST_SERIES", 3):
            for number in range(10):
                serve(f"view-{number}")
        assert len(counting.counts.counters) == 3

    def test_what_was_asked_for_stays_as_it_was(self):
        serve()
        asked = counting.current()
        serve("core:another", 1.0)
        serve()
        assert set(asked.counters.items()) == {(("requests", "core:home", "200"), 1)}
        assert sum(asked.histograms["request_seconds", "core:home"].counts) == 1

    def test_the_timer_hands_it_over_by_itself(self, monkeypatch):
        monkeypatch.setattr(counting, "_start_timer", START_TIMER)
        monkeypatch.setattr(counting, "_timer", None)
        with mock.patch.object(counting, "GATHER_SECONDS", 0.01):
            counting.answered("core:home", 200, 0.1, 0)
        deadline = time.monotonic() + 10
        while not list(Path(shared.folder() or "").glob("*-*.json")):
            assert time.monotonic() < deadline
            time.sleep(0.01)


class TestProcesses:
    def test_all_are_added_up(self):
        serve()
        ready, go = os.pipe(), os.pipe()

        def live():
            serve()
            os.write(ready[1], b".")
            os.read(go[0], 1)

        child = os.fork()
        if not child:
            live()
            os._exit(0)
        os.read(ready[0], 1)
        try:
            found = read(shared.totals())
            assert found["cgbookstore_requests_total 200 core:home"] == 2
            assert found["cgbookstore_processes"] == 2
        finally:
            os.write(go[1], b".")
            os.waitpid(child, 0)
        found = read(shared.totals())
        assert found["cgbookstore_requests_total 200 core:home"] == 2
        assert found["cgbookstore_processes"] == 1

    def test_what_the_killed_counted_stays_and_what_they_held_goes(self):
        def work():
            counting.hold(1, "redis_breaker_open", "here:6379")
            serve()

        serve()
        for time_ in range(3):
            in_child(work, ends_by=signal.SIGKILL)
            found = read(shared.totals())
            assert found["cgbookstore_requests_total 200 core:home"] == 2 + time_
            assert "cgbookstore_redis_breaker_open here:6379" not in found

    def test_a_year_of_releases_is_one_file(self):
        for _release in range(5):
            in_child(serve)
        shared.totals()
        folder = shared.folder()
        assert len(list(folder.glob("*.json"))) == 2  # ours and the archive
        assert len(list(folder.glob("*.lock"))) == 2

    def test_nobody_is_buried_twice(self):
        in_child(serve)
        unlink = Path.unlink
        with (
            mock.patch.object(Path, "unlink", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            shared.totals()  # cut off between the archive and the files
        assert Path.unlink is unlink
        for _again in range(2):
            assert read(shared.totals())["cgbookstore_requests_total 200 core:home"] == 1

    def test_a_child_counts_from_nothing_and_leaves_the_parents_lock_to_it(self):
        serve()
        parent = shared._ours.name
        ready = os.pipe()
        child = os.fork()
        if not child:
            os.write(ready[1], b".")
            time.sleep(60)
            os._exit(0)
        os.read(ready[0], 1)
        try:
            os.close(shared._ours.lock)  # as if the parent had ended
            shared._ours.lock = -1
            shared._ours.name = ""
            found = read(shared.totals())
            assert not (shared.folder() / f"{parent}.lock").exists()
            assert found["cgbookstore_processes"] == 1
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def test_other_buckets_of_another_release_fall_into_todays(self):
        totals = shared.Totals()
        key = ("request_seconds", "core:home")
        totals.add(
            {"counters": [], "held": [], "histograms": [[key, {"0.003": 2, "99": 1, "inf": 1}, 9]]}
        )
        totals.add(
            {
                "counters": [[["gone_metric", "x"], 1], [["requests", "one label"], 1]],
                "held": [],
                "histograms": [],
            }
        )
        found = read(totals)
        assert found["cgbookstore_request_seconds_bucket 0.0025 core:home"] == 0
        assert found["cgbookstore_request_seconds_bucket 0.005 core:home"] == 2
        assert found["cgbookstore_request_seconds_bucket 10.0 core:home"] == 2
        assert found["cgbookstore_request_seconds_count core:home"] == 4
        assert not [name for name in found if "gone" in name or "one label" in name]

    @override_settings(METRICS_DIR="")
    def test_without_a_folder_each_counts_for_itself(self):
        serve()
        in_child(serve)
        assert read(shared.totals())["cgbookstore_requests_total 200 core:home"] == 1


class TestTroubles:
    def test_a_full_disk_is_said_once_and_counting_goes_on(self, caplog):
        with mock.patch.object(
            Path, "write_text", side_effect=OSError(errno.ENOSPC, "No space left on device")
        ):
            for _time in range(3):
                serve()
        assert [record.message for record in caplog.records if "not shared" in record.message] == [
            f"metrics are not shared folder={shared.folder()}: No space left on device"
        ]
        assert read(shared.totals())["cgbookstore_requests_total 200 core:home"] == 3

    def test_a_folder_nobody_may_write_takes_nothing_down(self, settings, tmp_path):
        (tmp_path / "file").write_text("")
        settings.METRICS_DIR = str(tmp_path / "file" / "metrics")
        serve()
        with pytest.raises(OSError):
            shared.totals()

    def test_a_broken_file_is_said_and_passed_over(self, caplog):
        serve()
        (shared.folder() / "broken.json").write_text("{")
        assert read(shared.totals())["cgbookstore_requests_total 200 core:home"] == 1
        assert "metrics were lost file=broken.json" in caplog.text

    def test_a_file_of_another_account_is_said_once_and_left_out(self, caplog, settings):
        with tempfile.TemporaryDirectory() as home:  # pytest's own folder lets nobody else in
            settings.METRICS_DIR = f"{home}/metrics"
            with powerless(home):
                serve()
            strangers = [shared.folder() / f"root-1-2.{kind}" for kind in ("lock", "json")]
            for path in strangers:
                path.write_text("{}")
                path.chmod(0o600 if os.geteuid() == 0 else 0)
            with powerless(home):
                for _time in range(3):
                    found = read(shared.totals())
                    assert found["cgbookstore_requests_total 200 core:home"] == 1
            said = [record.message for record in caplog.records if "another" in record.message]
            assert len(said) == len(strangers)
            assert all(path.exists() for path in strangers)

    def test_what_the_killed_wrote_half_goes_with_them(self):
        def work():
            serve()
            (shared.folder() / f"{shared._ours.name}.{os.getpid()}.new").write_text("{")
            (shared.folder() / f"archive.{os.getpid()}.new").write_text("{")

        in_child(work, ends_by=signal.SIGKILL)
        shared.totals()
        assert not list(shared.folder().glob("*.new"))

    def test_somebody_who_adds_up_for_too_long_is_not_waited_for(self):
        serve()
        with mock.patch.object(shared, "LOCK_SECONDS", 0.05), shared._archive_lock(shared.folder()):
            begun = time.monotonic()
            with pytest.raises(shared.Busy):
                shared.totals()
            assert time.monotonic() - begun < 5


class ViewTests(TestCase):
    databases = {"default"}

    def ask(self, **headers) -> int:
        address = headers.pop("REMOTE_ADDR", "192.0.2.1")
        response = self.client.get("/metrics", headers=headers, REMOTE_ADDR=address)
        if response.status_code == 200:
            assert response["Content-Type"].startswith("text/plain")
            assert "no-store" in response["Cache-Control"]
        return response.status_code

    def test_without_token_and_networks_there_is_no_such_page(self):
        assert self.ask() == 404
        assert self.ask(authorization="Bearer ") == 404

    @override_settings(METRICS_TOKEN="uma-ficha", METRICS_DIR="")
    def test_the_token_opens_it(self):
        assert self.ask() == 404
        for wrong in (
            "Bearer outra",
            "Bearer ",
            "Basic uma-ficha",
            "uma-ficha",
            "Bearer uma-fichá",
        ):
            assert self.ask(authorization=wrong) == 404
        assert self.ask(authorization="Bearer uma-ficha") == 200

    @override_settings(METRICS_NETWORKS=metrics_networks("10.0.0.0/8, ::1/128"), METRICS_DIR="")
    def test_a_network_opens_it(self):
        assert self.ask(REMOTE_ADDR="192.0.2.1") == 404
        assert self.ask(REMOTE_ADDR="10.1.2.3") == 200
        assert self.ask(REMOTE_ADDR="::1") == 200
        assert self.ask(REMOTE_ADDR="::2") == 404
        assert self.ask(REMOTE_ADDR="") == 404

    @override_settings(METRICS_NETWORKS=metrics_networks("10.0.0.0/8,0.0.0.0/0"), METRICS_DIR="")
    def test_an_address_that_is_none_is_in_no_network(self):
        assert self.ask(REMOTE_ADDR="") == 404

    @override_settings(METRICS_NETWORKS=metrics_networks("10.0.0.0/8"), METRICS_DIR="")
    def test_only_who_holds_the_connection_counts_and_no_header(self):
        for hops in (0, 1, 2):
            with self.subTest(hops=hops), override_settings(TRUSTED_PROXY_HOPS=hops):
                assert self.ask(REMOTE_ADDR="10.1.2.3") == 200
                for forged in ("", "10.1.2.3", "192.0.2.1, 10.1.2.3", "10.1.2.3, 10.1.2.3"):
                    for remote in ("192.0.2.1", "10.1.2.3"):
                        forwarded = {"x-forwarded-for": forged}
                        assert self.ask(**forwarded, REMOTE_ADDR=remote) == 404
                assert self.ask(forwarded="for=10.1.2.3", REMOTE_ADDR="10.1.2.3") == 404

    @override_settings(METRICS_TOKEN="uma-ficha")
    def test_it_is_not_counted_not_limited_and_says_when_it_cannot(self):
        with override_settings(METRICS_DIR=""):
            for _time in range(80):
                assert self.ask(authorization="Bearer uma-ficha") == 200
            text = self.client.get(
                "/metrics", headers={"authorization": "Bearer uma-ficha"}
            ).content
            assert b'view="core:metrics"' not in text
        with override_settings(METRICS_DIR="/dev/null/metrics"):
            assert self.ask(authorization="Bearer uma-ficha") == 503


class CountedTests(TestCase):
    """The lines that count stand where things happen."""

    def found(self) -> dict[str, float]:
        totals = shared.Totals()
        totals.add(json.loads(json.dumps(shared.dump(counting.current()))))
        return read(totals)

    @override_settings(METRICS_DIR="")
    def test_views_statements_kept_pages_and_limits(self):
        for _time in range(3):
            self.client.get("/")
        self.client.get("/livros/nenhum/")
        self.client.get("/nada/")
        for _time in range(80):
            self.client.get("/busca/?q=dom")
        found = self.found()
        assert found["cgbookstore_requests_total 200 core:home"] == 3
        assert found["cgbookstore_requests_total 404 core:book_detail"] == 1
        assert found["cgbookstore_requests_total 404 none"] == 1
        assert found["cgbookstore_limits_hit_total search"] > 0
        assert found["cgbookstore_request_queries_sum core:home"] > 0
        assert found["cgbookstore_cache_reads_total missing pages core.catalogue"] >= 1
        near = found["cgbookstore_cache_reads_total near pages core.catalogue"]
        fresh = found.get("cgbookstore_cache_reads_total fresh pages core.catalogue", 0)
        assert near + fresh == 2


class NamesTests(SimpleTestCase):
    def test_they_are_prometheus_names_and_each_counter_has_its_end(self):
        for name in names.exported():
            assert re.fullmatch(r"cgbookstore_[a-z_]+", name)
        assert "cgbookstore_requests_total" in names.exported()

    def test_a_wrong_network_ends_the_start_with_a_sentence(self):
        with pytest.raises(SystemExit, match="METRICS_NETWORKS"):
            metrics_networks("10.0.0.0/8, here")
