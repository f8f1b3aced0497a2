"""Files as people look at them: which kind they are, pages of rows, text of other encodings, hostile content."""

from __future__ import annotations

import json

import pytest

from podium.web.api.looks.previews import ROWS_A_PAGE, csv_page, decoded, is_text, kind_of, lines_page, tree_of


@pytest.mark.parametrize(("name", "head", "kind"), [
    ("a.csv", b"x,y\n1,2\n", "csv"), ("a.CSV", b"x", "csv"), ("a.jsonl", b"{}\n", "lines"), ("a.ion", b"{a:1}\n", "lines"), ("a.parquet", b"PAR1", "parquet"),
    ("rows", b"PAR1\x15\x04", "parquet"), ("a.json", b"{}", "tree"), ("a.md", b"# x", "markdown"), ("a.png", b"\x89PNG\r\n\x1a\n\0", "picture"),
    ("a.txt", b"hello", "text"), ("a", b"hello", "text"), ("a.zip", b"PK\x03\x04\0\0\0", "other"), ("a.csv", b"\0\0\0\1", "other"), ("a.txt", b"", "text"),
])
def test_a_file_has_a_kind_by_its_name_and_its_first_bytes(name: str, head: bytes, kind: str) -> None:
    assert kind_of(name, head) == kind


def test_rows_of_a_csv_come_by_pages() -> None:
    data = b"n,name\n" + b"".join(b"%d,row %d\n" % (number, number) for number in range(250))
    first, last, beyond = (csv_page(data, "utf-8", page, cut=False) for page in (1, 3, 9))
    assert first.columns == ["n", "name"]
    assert len(first.rows) == ROWS_A_PAGE
    assert first.more
    assert first.total == 250
    assert last.rows[-1] == ["249", "row 249"]
    assert not last.more
    assert beyond.rows == []
    assert not beyond.more
    assert beyond.total == 250
    assert csv_page(data, "utf-8", 1, cut=True).total is None


def test_a_csv_may_be_parted_otherwise_and_have_lines_in_its_cells() -> None:
    table = csv_page('a;b\n"x\ny";2\n'.encode("utf-16"), "utf-16", 1, cut=False)
    assert table.columns == ["a", "b"]
    assert table.rows == [["x\ny", "2"]]
    assert csv_page(b"", "utf-8", 1, cut=False).columns == []
    assert csv_page(b'a,b\n"' + b"x" * 200_000, "utf-8", 1, cut=False).rows == [], "a cell that is too long is no table"


def test_rows_of_json_lines_and_ion_have_a_column_a_key() -> None:
    data = b'{"a": 1, "b": {"c": [1]}}\n\n{a: 2, d: "x"}\nnonsense {{\n'
    table = lines_page(data, "utf-8", 1, cut=False)
    assert table.columns == ["a", "b", "d", "value"]
    assert table.total == 3
    assert table.rows[0] == [1, '{"c": [1]}', "", ""]
    assert table.rows[1][0] == 2
    assert table.rows[2][3] == "nonsense {{"


def test_text_is_read_in_its_encoding() -> None:
    assert decoded("größe".encode("latin-1"), "latin-1") == "größe"
    assert decoded(b"\xef\xbb\xbfx", "utf-8") == "x"
    assert decoded(b"\xff\xfe", "utf-8") == "\ufffd\ufffd"
    assert not is_text(bytes(range(256)))
    assert is_text("größe".encode("utf-16"))


def test_a_tree_that_is_none_is_said_so() -> None:
    assert tree_of(b'{"a": [1]}', "utf-8") == {"a": [1]}
    for broken in (b"{", b"[" * 100_000):
        with pytest.raises(ValueError, match=r"."):
            tree_of(broken, "utf-8")


def test_a_row_with_very_many_columns_is_cut() -> None:
    table = lines_page(json.dumps({f"k{number}": "x" * 5_000 for number in range(500)}).encode(), "utf-8", 1, cut=False)
    assert len(table.columns) == 200
    assert len(table.rows[0][0]) == 2_000
