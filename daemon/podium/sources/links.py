"""Where a commit and a branch are shown at the forge, from the address of the repository there. Called by publish; pure.

A forge is known by its host name (or the setting `forge` of the source); of one that is not known no link is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

_SCP = re.compile(r"(?:[^@/:\s]+@)?(?P<host>[^/:\s]+):(?!//)(?P<path>.+)")
_NAMES = (
    ("github", ("github",)), ("gitlab", ("gitlab",)), ("gitea", ("gitea", "forgejo", "codeberg")), ("bitbucket", ("bitbucket",)),
)
_COMMITS = {"github": "commit", "gitlab": "-/commit", "gitea": "commit", "bitbucket": "commits"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """A repository at a forge. kind: github, gitlab, gitea (also Forgejo) or bitbucket. page: its address, without a final slash."""

    kind: str
    page: str

    def commit(self, commit: str) -> str:
        """The page of a commit."""
        return f"{self.page}/{_COMMITS[self.kind]}/{commit}"

    def review(self, branch: str, onto: str) -> str:
        """Where a merge request (pull request) of `branch` into `onto` is opened."""
        if self.kind == "gitlab":
            asked = {"merge_request[source_branch]": branch, "merge_request[target_branch]": onto}
            return f"{self.page}/-/merge_requests/new?{urlencode(asked)}"
        if self.kind == "bitbucket":
            return f"{self.page}/pull-requests/new?{urlencode({'source': branch, 'dest': onto})}"
        compared = f"{self.page}/compare/{quote(onto)}...{quote(branch)}"
        return f"{compared}?expand=1" if self.kind == "github" else compared


def forge_at(url: str, kind: str | None = None) -> Forge | None:
    """The forge behind the URL of a repository, or None. kind: which one it is, if the host's name does not tell."""
    host, path = _place(url)
    path = path.strip("/").removesuffix(".git")
    if not host or not path:
        return None
    name = host.partition(":")[0].lower()
    found = kind or next((each for each, marks in _NAMES if any(mark in name for mark in marks)), None)
    found = "gitea" if found == "forgejo" else found
    return Forge(kind=found, page=f"https://{host}/{quote(path)}") if found in _COMMITS else None


def _place(url: str) -> tuple[str, str]:
    """Host (with the port of an https URL) and path; empty for a path on this machine."""
    if "://" not in url:
        match = _SCP.fullmatch(url)
        return (match["host"], match["path"]) if match and not url.startswith((".", "/")) else ("", "")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "ssh", "git"}:
        return "", ""
    try:
        port = parts.port if parts.scheme in {"http", "https"} else None
    except ValueError:
        return "", ""
    return f"{parts.hostname or ''}:{port}" if port else parts.hostname or "", parts.path
