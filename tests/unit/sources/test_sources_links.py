"""Addresses of commits and merge requests at forges."""

from __future__ import annotations

import pytest

from podium.sources.links import forge_at


@pytest.mark.parametrize(("url", "commit", "review"), [
    ("git@github.com:acme/flows.git", "https://github.com/acme/flows/commit/abc", "https://github.com/acme/flows/compare/main...try/it?expand=1"),
    ("https://user:secret@github.com/acme/flows", "https://github.com/acme/flows/commit/abc", "https://github.com/acme/flows/compare/main...try/it?expand=1"),
    (
        "ssh://git@gitlab.example.org:2222/a/b/flows.git", "https://gitlab.example.org/a/b/flows/-/commit/abc",
        "https://gitlab.example.org/a/b/flows/-/merge_requests/new?merge_request%5Bsource_branch%5D=try%2Fit&merge_request%5Btarget_branch%5D=main",
    ),
    ("https://codeberg.org/acme/flows.git", "https://codeberg.org/acme/flows/commit/abc", "https://codeberg.org/acme/flows/compare/main...try/it"),
    ("https://gitea.example.org:3000/acme/flows", "https://gitea.example.org:3000/acme/flows/commit/abc", "https://gitea.example.org:3000/acme/flows/compare/main...try/it"),
    ("git@bitbucket.org:acme/flows.git", "https://bitbucket.org/acme/flows/commits/abc", "https://bitbucket.org/acme/flows/pull-requests/new?source=try%2Fit&dest=main"),
])
def test_links_of_known_forges(url: str, commit: str, review: str) -> None:
    forge = forge_at(url)
    assert forge is not None
    assert (forge.commit("abc"), forge.review("try/it", "main")) == (commit, review)


@pytest.mark.parametrize("url", ["/srv/git/github/flows.git", "file:///srv/gitlab/x.git", "../github.com/x", "https://git.example.org/acme/flows.git", "git@git.example.org:x.git", "", "https://github.com", "https://github.com:no/x/y"])
def test_no_link_is_made_up(url: str) -> None:
    assert forge_at(url) is None


def test_a_forge_that_is_said() -> None:
    forge = forge_at("git@git.example.org:acme/flows.git", "forgejo")
    assert forge is not None
    assert forge.commit("abc") == "https://git.example.org/acme/flows/commit/abc"
