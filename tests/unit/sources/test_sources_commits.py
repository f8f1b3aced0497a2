"""What pages say of a commit, read from Git's own object."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from podium.git.repo import Repository
from podium.sources.commits import CommitReader, facts_of


def commit(folder: Path, message: str, *, author: str = "Ann Archer <ann@example.org>") -> str:
    subprocess.run(["git", "commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--author", author, "--date", "2026-01-05T08:00:00+02:00", "-m", message], cwd=folder, check=True, env={**os.environ, "GIT_COMMITTER_NAME": "Cy"})
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_commit_says_who_when_and_why(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    first = commit(tmp_path, "First flows\n\nFor the team.\n")
    second = commit(tmp_path, "Zürich 🌍", author="Bo Ber\u0301g <bo@example.org>")
    with Repository.open(tmp_path) as repository:
        reader = CommitReader()
        found = reader.read(repository, [second, first, "0" * 40, "HEAD", "-x", ""])
        assert list(found) == [second, first]
        assert reader.read(repository, [first])[first] is found[first]
    assert (found[first].author, found[first].email, found[first].committer) == ("Ann Archer", "ann@example.org", "Cy")
    assert found[first].at == datetime(2026, 1, 5, 6, tzinfo=UTC)
    assert (found[first].subject, found[first].message) == ("First flows", "First flows\n\nFor the team.")
    assert (found[second].subject, found[second].parents) == ("Zürich 🌍", (first,))


@pytest.mark.parametrize("body", [b"", b"tree x\n\n", b"tree x\nauthor nobody\n\nhi", b"author A <a> 99999999999999999999 +0000\nencoding nope\n\n\xff", b"author <> -1 +0000\n\n"])
def test_odd_commits_are_read_all_the_same(body: bytes) -> None:
    assert isinstance(facts_of(body).message, str)


def test_an_old_encoding_is_read() -> None:
    assert facts_of("author A <a> 1 +0000\nencoding ISO-8859-1\n\nZürich".encode("latin-1")).message == "Zürich"
