"""Where statements end, where parameters stand, what is shown; JDBC URLs; names; intervals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.base.errors import SettingsError
from podium.plugin import TaskFailed
from podium.plugins.sql.postgres.address import Address, with_certificates
from podium.plugins.sql.postgres.copy import literal
from podium.plugins.sql.postgres.names import column_name, table_name
from podium.plugins.sql.postgres.tasks import DIALECT as PG
from podium.plugins.sql.postgres.values import interval_text
from podium.plugins.sql.sqlite import DIALECT as LITE
from podium.plugins.sql.statements import bind_named, bind_questions, pieces, shown, split

SPLITS: list[tuple[str, list[str]]] = [
    ("select 1", ["select 1"]),
    ("select 1;\n\n;; select 2;\n-- the end;\n", ["select 1", "select 2"]),
    ("select ';', \"a;b\"; select 'it''s;'", ["select ';', \"a;b\"", "select 'it''s;'"]),
    ("select E'\\';'; select 'a\\'; select 1", ["select E'\\';'", "select 'a\\'", "select 1"]),
    ("select 1 /* ; /* ; */ ; */ ; select 2", ["select 1 /* ; /* ; */ ; */", "select 2"]),
    ("do $$ begin x; end $$; do $a$ $$;$$ $a$; select $1", ["do $$ begin x; end $$", "do $a$ $$;$$ $a$", "select $1"]),
    ("begin; insert into t values (1); commit", ["begin", "insert into t values (1)", "commit"]),
    ("create rule r as on insert to t do (select 1; select 2); select 3", ["create rule r as on insert to t do (select 1; select 2)", "select 3"]),
    (
        "create function f() returns int begin atomic select case when true then 1 else 2 end; select 3; end; select 4",
        ["create function f() returns int begin atomic select case when true then 1 else 2 end; select 3; end", "select 4"],
    ),
    ("select 'never closed ; ", ["select 'never closed ;"]),
    ("", []),
    ("-- only a comment;\n/* and another; */", []),
]


@pytest.mark.parametrize(("sql", "statements"), SPLITS)
def test_statements_end_at_semicolons_that_are_none_of_a_text(sql: str, statements: list[str]) -> None:
    assert split(sql, PG) == statements


def test_the_body_of_a_trigger_is_one_statement_in_sqlite() -> None:
    body = "create temp trigger t after insert on a begin insert into b values (case new.x when 1 then 2 end); delete from c; end"
    assert split(f"{body}; begin; select [a;b], `c;d`; end; select 1", LITE) == [body, "begin", "select [a;b], `c;d`", "end", "select 1"]


@given(st.text(alphabet="ab1 ;:'\"$\\-*/()[]`?\nEe", max_size=60))
def test_pieces_lose_nothing(text: str) -> None:
    for dialect in (PG, LITE):
        assert "".join(piece.text for piece in pieces(text, dialect)) == text
        assert all(statement in text for statement in split(text, dialect))


def test_named_parameters() -> None:
    bound = bind_named("select :a, :a::text, ':a', x[1:2], \":b\", :b_1 + :other -- :a", {"a": 1, "b_1": None, "b": 2}, PG)
    assert bound.sql == "select $1, $2::text, ':a', x[1:2], \":b\", $3 + :other -- :a"
    assert bound.values == (1, 1, None)
    assert bind_named("select :a", {"a": 5}, LITE).sql == "select ?"
    assert bind_named("select :a", {}, PG).sql == "select :a"


def test_question_marks() -> None:
    assert bind_questions("insert into t values (?, '?', ?) -- ?", PG) == ("insert into t values ($1, '?', $2) -- ?", 2)
    assert bind_questions("select * from t where j ?? 'x' and a = ?", PG) == ("select * from t where j ? 'x' and a = $1", 1)


def test_what_is_shown_has_no_password() -> None:
    assert shown("alter user me\n  password 'pa''ss'") == "alter user me password '********'"
    assert shown("create secret (type s3, key_id 'AK', secret 'hush')") == "create secret (type s3, key_id '********', secret '********')"
    assert "hush" not in shown("select 1; alter user me password 'hush" + "x" * 100_000)
    assert len(shown("select " + "x" * 1000)) < 310


URLS: list[tuple[str, dict[str, Any]]] = [
    ("jdbc:postgresql://db/shop", {"host": "db", "port": "5432", "dbname": "shop"}),
    ("jdbc:postgresql://db:6000/my%20shop?user=me&password=a%26b", {"host": "db", "port": "6000", "dbname": "my shop", "user": "me", "password": "a&b"}),
    ("jdbc:postgresql://a:1,b/x?targetServerType=primary", {"host": "a,b", "port": "1,5432", "dbname": "x", "target_session_attrs": "primary"}),
    ("jdbc:postgresql://[::1]:7/x", {"host": "::1", "port": "7", "dbname": "x"}),
    ("jdbc:postgresql:shop", {"host": "localhost", "port": "5432", "dbname": "shop"}),
    ("jdbc:postgresql://db/", {"host": "db", "port": "5432"}),
    ("jdbc:postgresql://me:pw@db/x", {"host": "db", "port": "5432", "dbname": "x", "user": "me", "password": "pw"}),
    ("jdbc:postgresql://db/x?sslmode=require&connectTimeout=3&socketTimeout=2&loggerLevel=OFF", {
        "host": "db", "port": "5432", "dbname": "x", "sslmode": "require", "connect_timeout": "3", "tcp_user_timeout": "2000",
    }),
]


@pytest.mark.parametrize(("url", "parameters"), URLS)
def test_a_jdbc_url_becomes_parameters(url: str, parameters: dict[str, Any]) -> None:
    address = Address(url)
    assert address.parameters == parameters
    assert address.unknown == []
    assert "pw" not in address.shown


def test_parameters_of_the_session_and_unknown_ones() -> None:
    address = Address("jdbc:postgresql://db/x?currentSchema=a,b&readOnly=true&prepareThreshold=0&what=1")
    assert address.session == {"search_path": "a,b", "default_transaction_read_only": "on"}
    assert address.prepare_threshold is None
    assert address.unknown == ["what"]


@pytest.mark.parametrize("url", ["", "jdbc:mysql://x", "postgresql://x", "jdbc:postgresql://a:b:c/x", "jdbc:postgresql://a:70000/x"])
def test_what_is_no_such_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^url: "):
        Address(url)


def test_tls_properties() -> None:
    def mode(url: str, **given: Any) -> dict[str, Any]:
        address = Address(f"jdbc:postgresql://db/x{url}")
        with with_certificates(address, **{"ssl_on": False, "mode": None, "pems": {}, "key_password": None, **given}):
            return dict(address.parameters)

    assert "sslmode" not in mode("")
    assert mode("?ssl=true")["sslmode"] == "verify-full"
    assert mode("", ssl_on=True)["sslrootcert"]
    assert mode("?sslmode=prefer", ssl_on=True)["sslmode"] == "prefer"
    assert mode("?sslmode=prefer", ssl_on=True, mode="VERIFY_CA")["sslmode"] == "verify-ca"


def test_names_of_tables_and_columns() -> None:
    assert [table_name(name) for name in ("t", "public.t", '"My Table"', ' a."b""c" ')] == ["t", "public.t", '"My Table"', 'a."b""c"']
    for wrong in ("t; drop", "a b", "", "a.b.c.d", "t(x)", "'t'"):
        with pytest.raises(TaskFailed, match="is not a name"):
            table_name(wrong)
    assert [column_name(name) for name in ("VendorID", "order", "Mixed Name", '"Kept"', 'a"b')] == ['"vendorid"', '"order"', '"Mixed Name"', '"Kept"', '"a""b"']
    assert [literal(text) for text in ("a'b", "\\N", "\t")] == ["'a''b'", "E'\\\\N'", "'\t'"]


@pytest.mark.parametrize(("text", "duration"), [
    ("1 year 2 mons 3 days 04:05:06.7", "P1Y2M3DT4H5M6.7S"), ("00:00:00", "PT0S"), ("-1 days", "P-1D"), ("-00:00:01.5", "PT-1.5S"),
    ("1 day -02:00:00", "P1DT-2H"), ("2 mons", "P2M"), ("P1D", "P1D"), ("@ 1 hour", "@ 1 hour"), ("1-2 3 4:05:06", "1-2 3 4:05:06"),
])
def test_intervals_as_durations(text: str, duration: str) -> None:
    assert interval_text(text) == duration
