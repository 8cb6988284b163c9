"""The Dockerfile, read: its stages, what it copies, and that what it copies is a whole site."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from django.conf import settings

from core.embedded import procfile
from tests.conventions import tree
from tests.servers import child_environment

DOCKERFILE = "deploy/Dockerfile"
IGNORED = "deploy/Dockerfile.dockerignore"
NOT_THE_SITE = {
    "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "benchmarks", "conftest.py", "dev.py", "docs", "drills",
    "flowerconfig.py",
    "pyproject.toml", "test_performance.py", "tests",
}  # fmt: skip
SECRET = re.compile(r"(SECRET|PASSWORD|TOKEN|_KEY|DATABASE_URL|REDIS_URL|EMAIL_URL|DSN)", re.I)


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its words, comments gone and continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", tree.read(DOCKERFILE))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage; the last is the image."""
    found: list[list[tuple[str, str]]] = []
    for name, words in instructions():
        if name == "FROM":
            found.append([])
        found[-1].append((name, words))
    return found


def named(name: str, stage: list[tuple[str, str]]) -> list[str]:
    return [words for found, words in stage if found == name]


def copied() -> list[tuple[list[str], str]]:
    """What the last stage copies from the tree: sources and where they go."""
    found = []
    for words in named("COPY", stages()[-1]):
        if not words.startswith("--from"):
            *sources, target = words.split()
            found.append((sources, target))
    return found


def test_a_small_image_that_is_nobodys():
    assert len(stages()) == 2
    packages, image = stages()
    for stage in (packages, image):
        (base,) = named("FROM", stage)
        assert re.match(r"python:3\.1[123]\.\d+-slim-bookworm\b", base)  # a pinned one
    assert "AS packages" in named("FROM", packages)[0]
    everything = " ".join(words for _name, words in instructions())
    assert "apt" not in everything  # no compiler, in neither stage
    assert "--only-binary=:all:" in everything
    names = [name for name, _words in image]
    assert named("USER", image) == ["cgbookstore:cgbookstore"]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in {"RUN", "COPY"})
    assert named("HEALTHCHECK", image)
    assert "/healthz" in named("HEALTHCHECK", image)[0]
    assert named("ENTRYPOINT", image) == ['["deploy/run"]']
    (process,) = named("CMD", image)
    assert process.strip('[]"') in procfile.commands(settings.BASE_DIR)


def test_no_secret_stays_in_it():
    for stage in stages():
        assert not named("ARG", stage)
        for words in named("ENV", stage):
            assert [name for name in re.findall(r"(\w+)=", words) if SECRET.search(name)] == []
    ours = [path for sources, _target in copied() for path in sources]
    assert not any(path in {".", "./", "*"} or path.startswith(".env") for path in ours)


def test_the_context_has_what_is_copied_and_no_more():
    *_comment, first = [line for line in tree.read(IGNORED).splitlines() if line[:1] in {"#", "*"}][
        :2
    ]
    assert first == "*"
    let_in = {line[1:] for line in tree.read(IGNORED).splitlines() if line.startswith("!")}
    wanted = {path for sources, _target in copied() for path in sources} | {"requirements.txt"}
    assert let_in == wanted
    for path in wanted:
        assert any(each == path or fnmatch(each, f"{path}/*") for each in tree.paths()), path
    assert not any(path.startswith("tests") for path in wanted)


def test_nothing_of_the_site_is_left_out():
    top = {path.partition("/")[0] for path in tree.paths()}
    stays = {path for path in top if path.startswith((".", "requirements-"))} | NOT_THE_SITE
    ours = {path.partition("/")[0] for sources, _target in copied() for path in sources}
    assert top - stays - {"deploy", "requirements.txt"} == ours - {"deploy"}


@pytest.fixture
def image(tmp_path) -> Path:
    """A folder with exactly what the image has of the tree."""
    leave_out = shutil.ignore_patterns("tests", "__pycache__", "*.pyc")
    for sources, target in copied():
        for source in sources:
            found = settings.BASE_DIR / source
            place = tmp_path / target
            if found.is_dir():
                shutil.copytree(found, place, ignore=leave_out)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, place)
    return tmp_path


def test_what_is_copied_is_a_whole_site(image):
    """The image's own RUN collects the files, and its release script puts them where nginx reads."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "STATIC_ROOT": str(image / "staticfiles"),
    }
    (last,) = [words for words in named("RUN", stages()[-1]) if "collectstatic" in words]
    built = subprocess.run(
        ["/bin/sh", "-c", last], cwd=image, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert (image / "staticfiles/staticfiles.json").exists()
    (image / "srv").mkdir()
    (image / "srv/site.of-the-release-before.css").touch()
    released = subprocess.run(
        [image / "deploy/release", image / "srv"],
        cwd="/",
        env=child_environment(**environment | {"DATABASE_URL": "postgres://a:b@127.0.0.1:1/x"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert released.returncode != 0, "a migration failed and the release went on"
    assert not (image / "srv/staticfiles.json").exists()


@pytest.mark.django_db
def test_a_release_migrates_and_keeps_older_files(image):
    (image / "staticfiles").mkdir()
    (image / "staticfiles/new.css").touch()
    (image / "srv").mkdir()
    (image / "srv/old.css").touch()
    environment = child_environment(STATIC_ROOT=str(image / "staticfiles"))
    done = subprocess.run(
        [image / "deploy/release", image / "srv"], cwd="/", env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No migrations to apply" in done.stdout
    assert {path.name for path in (image / "srv").iterdir()} == {"new.css", "old.css"}
