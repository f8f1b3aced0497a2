"""What the daemon knows of people: a broken text changes nothing, what was good outlives a restart, a file is followed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from podium.app.settings import load_settings
from podium.app.wiring.people import PeopleKeeper, as_yaml, calls_of
from podium.base.access.people import Role, digest_of
from podium.base.errors import SettingsError
from podium.sources.reading.access import parse_access
from podium.web.people.access import require_safe

GOOD = f"""users: [{{name: ann, email: a@b, password: "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQxMjM${'A' * 43}"}}, {{name: bob, disabled: true}}]
groups: {{all: ["*"]}}
roles: {{admin: [ann], viewer: {{company.team: [all]}}}}
tokens: [{{name: ci, hash: "{digest_of('x')}", role: editor, namespaces: [a.b], expires: 2027-01-01T00:00:00Z, user: ann}}]
"""


def keeper(tmp_path: Path, **security: object) -> PeopleKeeper:
    made = PeopleKeeper(load_settings(None, {}, {
        "home": str(tmp_path), "sources.main.url": "/srv/x.git", **{f"security.{name}": value for name, value in security.items()},
    }))
    made.open()
    return made


def test_rules_read_back_as_they_were_written() -> None:
    people = parse_access(GOOD.encode(), path="p").people
    assert people is not None
    again = parse_access(as_yaml(people).encode(), path="p").people
    assert again is not None
    assert (again.persons, again.groups, again.grants, again.tokens) == (people.persons, people.groups, people.grants, people.tokens)


def test_a_broken_commit_changes_nothing_and_is_told(tmp_path: Path) -> None:
    keeps = keeper(tmp_path, access_source="main")
    keeps.taken("c1", parse_access(GOOD.encode(), path="podium.yaml"))
    keeps.taken("c2", parse_access(b"users: [{name: '!'}]", path="podium.yaml"))
    assert keeps.roster.people.commit == "c1"
    assert keeps.roster.people.roles_of("ann")[""] is Role.ADMIN
    (problem,) = keeps.roster.problems
    assert (problem["file"], problem["line"], problem["column"]) == ("podium.yaml", 1, 16)
    keeps.taken("c3", parse_access(b"users: []", path="podium.yaml"))
    assert keeps.roster.problems == ()
    assert not keeps.roster.people.anybody


def test_what_was_last_good_outlives_a_restart_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    keeper(tmp_path, access_source="main").taken("c1", parse_access(GOOD.encode(), path="podium.yaml"))
    again = keeper(tmp_path, access_source="main").roster
    assert again.people.roles_of("ann") == {"": Role.ADMIN, "company.team": Role.VIEWER}
    assert again.people.commit == "c1"
    assert stat.S_IMODE((tmp_path / "access.json").stat().st_mode) == 0o600


def test_of_another_place_nothing_is_remembered(tmp_path: Path) -> None:
    """The settings say now that somebody else defines access."""
    keeper(tmp_path, access_source="main").taken("c1", parse_access(GOOD.encode(), path="podium.yaml"))
    empty = tmp_path / "access.yaml"
    empty.write_text("users: [{name: '!'}]")
    assert not keeper(tmp_path, access_file=str(empty)).roster.people.anybody
    assert not keeper(tmp_path).roster.people.anybody


def test_a_damaged_memory_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "access.json").write_text("[")
    assert not keeper(tmp_path, access_source="main").roster.people.anybody


def test_a_file_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "access.yaml"
    file.write_text(GOOD)
    keeps = keeper(tmp_path, access_file=str(file))
    assert keeps.roster.people.find("ann") is not None
    file.write_text("users: [")
    keeps.look()
    assert keeps.roster.people.find("ann") is not None
    assert keeps.roster.problems[0]["file"] == str(file)
    file.write_text("users: [{name: cid}]")
    keeps.look()
    assert (keeps.roster.people.find("ann"), keeps.roster.problems) == (None, ())
    file.unlink()
    keeps.look()
    assert keeps.roster.people.find("cid") is not None
    assert "cannot be read" in str(keeps.roster.problems[0]["message"])


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"security.access_source": "other"}, "is no source"), ({"security.access_source": "main", "security.access_file": "/x"}, "both set"),
        ({"security.local_login": True}, "something to log in with"), ({"server.host": "0.0.0.0"}, "beyond loopback"),
        ({"server.cors_origins": "portal.example.org"}, "is no origin"), ({"server.cors_origins": "https://a.example/path"}, "is no origin"),
        ({"server.trusted_proxies": "proxy"}, "is no address"), ({"server.public_url": "podium.example.org"}, "must be an address"),
        ({"server.rate_limit": -1}, "greater than or equal"), ({"security.session_hours": 0}, "greater than 0"),
    ],
)
def test_settings_that_would_let_in_nobody_or_anybody_are_refused(wanted: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(None, {}, {"sources.main.url": "/srv/x.git", **wanted})


def test_people_with_accounts_let_a_server_listen_for_others() -> None:
    settings = load_settings(None, {}, {"sources.main.url": "/x.git", "server.host": "0.0.0.0", "security.access_source": "main"})
    assert settings.security.accounts
    require_safe("0.0.0.0", token=None, accounts=True)
    with pytest.raises(SettingsError, match="shorter"):
        require_safe("0.0.0.0", token="short", accounts=True)


def test_a_rate_of_nothing_is_no_limit() -> None:
    assert calls_of(load_settings(None, {}, {"server.rate_limit": 0})) is None
    buckets = calls_of(load_settings(None, {}, {"server.rate_limit": 2}))
    assert buckets is not None
    assert [buckets.take("a", 0.0) for _ in range(11)].count(0) == 10


def test_a_file_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A slip such as `usres` must not take everybody's account away."""
    file = tmp_path / "access.yaml"
    file.write_text(GOOD)
    keeps = keeper(tmp_path, access_file=str(file))
    file.write_text("usres: [{name: ann}]\n")
    keeps.look()
    assert keeps.roster.people.find("ann") is not None
    assert "'usres' is not known" in str(keeps.roster.problems[0]["message"])
