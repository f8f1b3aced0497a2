"""Roles by namespace: what includes what, what a dot means, what a token of a person may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from podium.base.access.people import ApiToken, Grant, People, Person, Role, Roster, capped, digest_of, hash_trouble, is_name, is_namespace, role_in

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
GOOD = "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQxMjM$" + "A" * 43


def people(**more: object) -> People:
    return People(
        persons={name: Person(name=name, email=f"{name}@example.org") for name in ("ann", "bob", "cid")}, groups={"data": ("bob", "cid")},
        grants=(
            Grant(role=Role.ADMIN, namespace="", who="ann"), Grant(role=Role.EDITOR, namespace="company.team", who="data"),
            Grant(role=Role.VIEWER, namespace="public", who="*"), Grant(role=Role.OPERATOR, namespace="company", who="cid"),
        ),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("namespace", "role"),
    [
        ("a.b", Role.EDITOR), ("a.b.c", Role.EDITOR), ("a.bc", Role.VIEWER), ("a", Role.VIEWER), ("a.B", Role.VIEWER), ("A.b", Role.NONE), ("ab", Role.NONE),
        ("", Role.NONE), ("a.b.", Role.EDITOR), (".a.b", Role.NONE), ("a..b", Role.VIEWER),
    ],
)
def test_a_role_holds_for_its_namespace_and_those_below(namespace: str, role: Role) -> None:
    assert role_in({"a": Role.VIEWER, "a.b": Role.EDITOR}, namespace) is role


def test_a_role_of_the_instance_holds_everywhere_and_includes_the_lower_ones() -> None:
    assert role_in({"": Role.OPERATOR}, "any.thing") is Role.OPERATOR
    assert role_in({"": Role.OPERATOR, "any": Role.VIEWER}, "any") is Role.OPERATOR


def test_people_have_what_is_given_to_them_their_groups_and_everybody() -> None:
    assert people().roles_of("ann") == {"": Role.ADMIN, "public": Role.VIEWER}
    assert people().roles_of("bob") == {"company.team": Role.EDITOR, "public": Role.VIEWER}
    assert people().roles_of("cid") == {"company.team": Role.EDITOR, "company": Role.OPERATOR, "public": Role.VIEWER}


def test_people_are_found_by_name_or_address_in_any_case() -> None:
    found = people()
    assert found.find("ANN") is found.find(" ann@Example.ORG ") is found.persons["ann"]
    assert found.find("") is None
    assert found.find("data") is None
    gone = People(persons={"ann": Person(name="ann", disabled=True)})
    assert gone.find("ann") is None


def token(**more: object) -> ApiToken:
    return ApiToken(**{"name": "ci", "digest": digest_of("podium_x"), "role": Role.EDITOR, **more})  # type: ignore[arg-type]


def test_a_token_of_a_person_can_do_no_more_than_the_person() -> None:
    assert people().roles_of_token(token(user="cid", role=Role.EDITOR)) == {"company.team": Role.EDITOR, "company": Role.OPERATOR, "public": Role.VIEWER}
    assert people().roles_of_token(token(user="bob", namespaces=("company",))) == {"company.team": Role.EDITOR}
    assert people().roles_of_token(token(user="bob", namespaces=("public.x",))) == {"public.x": Role.VIEWER}
    assert people().roles_of_token(token(namespaces=("public.x",))) == {"public.x": Role.EDITOR}
    assert people().roles_of_token(token()) == {"": Role.EDITOR}


def test_capped_is_what_both_allow() -> None:
    assert capped({"": Role.ADMIN}, {"a": Role.VIEWER}) == {"a": Role.VIEWER}
    assert capped({"a": Role.ADMIN}, {"b": Role.ADMIN}) == {}


def test_a_token_ends_with_its_time_and_with_its_person() -> None:
    late = token(expires=NOW)
    assert people(tokens=(late,)).token(late.digest, NOW - timedelta(seconds=1)) is late
    assert people(tokens=(late,)).token(late.digest, NOW) is None
    assert people(tokens=(token(user="dan"),)).token(token().digest, NOW) is None
    assert people(tokens=(token(user="bob"),)).token(token().digest, NOW) is not None
    assert people(tokens=(token(),)).token(digest_of("podium_y"), NOW) is None


def test_a_roster_notices_what_changes_what_anybody_may() -> None:
    roster = Roster()
    assert roster.change(people())
    assert not roster.change(people(commit="b"))
    assert (roster.version, roster.people.commit) == (1, "b")


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        (GOOD, None), ("secret", "no argon2id"), (GOOD.replace("argon2id", "argon2i"), "no argon2id"), (GOOD.replace("65536", "1024"), "weak"),
        (GOOD.replace("65536", "9999999"), "cost"), (GOOD.replace("t=3", "t=99"), "cost"), (GOOD.replace("p=1", "p=0"), "weak"), (GOOD + "\n", "no argon2id"),
    ],
)
def test_hashes_that_are_none_too_weak_or_too_dear(text: str, trouble: str | None) -> None:
    said = hash_trouble(text)
    assert said is None if trouble is None else trouble in (said or "")


def test_names() -> None:
    assert all(is_name(text) for text in ("ann", "ann@example.org", "a.b-c_d+e"))
    assert not any(is_name(text) for text in ("", "Ann", "-a", "a b", "a\n", "x" * 65, "ä"))
    assert all(is_namespace(text) for text in ("a", "company.team", "A-b_c.d"))
    assert not any(is_namespace(text) for text in ("", ".a", "a.", "a..b", "a/b", "a b", "*", "a\n"))


def test_secrets_do_not_show() -> None:
    assert "argon2" not in repr(Person(name="ann", password=GOOD))
    assert "sha256" not in repr(token())
