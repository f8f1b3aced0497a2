"""Descriptions, sources and differences as markup that can hold nothing foreign."""

from __future__ import annotations

import time

import pytest

from podium.web.pages.text import breakable, coloured, commit_url, difference, first_line, markdown, plain, with_files

ATTACKS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](data:text/html,<script>)",
    "![x](http://tracker.example/a.png)", "<a href='javascript:alert(1)'>x</a>", "[x](vbscript:x)", "[x](//evil.example)", "<svg/onload=alert(1)>",
    "[x](\x01javascript:alert(1))", "`<script>`", "```html\n<script>alert(1)</script>\n```", "<!-- --><script>", '[x](http://a "onmouseover=alert(1)")', "[x]: javascript:alert(1)\n\n[x]",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_a_description_holds_no_script(text: str) -> None:
    made = str(markdown(text)).lower()
    assert "<script" not in made
    assert "<img" not in made
    assert "<svg" not in made
    assert 'href="javascript' not in made
    assert 'href="vbscript' not in made
    assert 'href="data' not in made
    assert 'href="//' not in made
    assert " onerror=" not in made.replace("&lt;img src=x onerror=", "")
    assert 'onmouseover="' not in made


def test_a_description_is_markdown() -> None:
    made = str(markdown("**bold** and [a link](https://example.org)\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |"))
    assert "<strong>bold</strong>" in made
    assert 'href="https://example.org" rel="noopener noreferrer nofollow"' in made
    assert "<li>one</li>" in made
    assert "<table>" in made
    assert markdown(None) == ""


def test_the_first_line_has_no_marks() -> None:
    assert first_line("Loads **sales** of [x](https://example.org)\n\nmore") == "Loads sales of x more"
    assert first_line(None) == ""


def test_a_huge_description_is_cut_and_quick() -> None:
    started = time.process_time()
    markdown("[" * 200_000)
    markdown("*a " * 60_000)
    assert time.process_time() - started < 5


def test_source_lines_are_the_text_and_escaped() -> None:
    text = "id: a\nmessage: \"<b> {{ inputs.x }} & 'y'\"\n# <script>\nlist: [1, true]\n\nblock: |\n  two\n  lines {{ x }}\n"
    lines = coloured(text)
    assert "\n".join(_text(line) for line in lines) + "\n" == text
    assert all("<script" not in line and "<b>" not in line for line in lines)
    assert '<span class="y-key">id</span>' in lines[0]
    assert '<span class="y-expression">{{ inputs.x }}</span>' in lines[1]
    assert '<span class="y-expression">{{ x }}</span>' in lines[7]


def _text(line: object) -> str:
    import re
    from html import unescape

    return unescape(re.sub(r"</?span[^>]*>", "", str(line)))


def test_a_long_source_is_shown_plain() -> None:
    lines = coloured("a: <b>\n" * 60_000)
    assert len(lines) == 60_000
    assert lines[0] == "a: &lt;b&gt;"


def test_differences() -> None:
    lines = difference("a\nb\nc\n", "a\nx\nc\nd\n")
    assert lines is not None
    assert [(line.kind, line.old, line.new, line.text) for line in lines] == [
        ("same", 1, 1, "a"), ("removed", 2, None, "b"), ("added", None, 2, "x"), ("same", 3, 3, "c"), ("added", None, 4, "d"),
    ]
    assert difference("a", "a") == []
    assert difference("a\n" * 5_000, "a") is None


def test_the_worst_texts_to_compare_end_soon() -> None:
    started = time.process_time()
    difference("\n".join(f"{n % 90}" for n in range(4_000)), "\n".join(f"{n % 91}" for n in range(4_000)))
    assert time.process_time() - started < 10


def test_log_messages_lose_terminal_codes() -> None:
    assert plain("\x1b[31mred\x1b[0m \x1b]0;title\x07x") == "red x"
    assert plain("bell\x07 tab\tline\n") == "bell\ufffd tab\tline\n"


def test_files_are_links_and_the_rest_is_escaped() -> None:
    made = with_files('see <b> kestra:///a/b/executions/x/f.csv"><script>, done', "x/../y")
    assert "<script>" not in made
    assert "&lt;b&gt;" in made
    assert 'href="/api/v1/executions/x%2F..%2Fy/file?path=kestra%3A%2F%2F%2Fa%2Fb%2Fexecutions%2Fx%2Ff.csv"' in made


def test_names_break_after_dots() -> None:
    assert breakable("a.b<c") == "a.<wbr>b&lt;c"


def test_addresses_of_commits() -> None:
    sha = "0123456789abcdef0123456789abcdef01234567"
    assert commit_url("https://git.example.org/o/r.git", sha) == f"https://git.example.org/o/r/commit/{sha}"
    assert commit_url("git@git.example.org:o/r.git", sha) == f"https://git.example.org/o/r/commit/{sha}"
    assert commit_url("ssh://git@git.example.org:2222/o/r", sha) == f"https://git.example.org/o/r/commit/{sha}"
    assert commit_url("https://user:secret@git.example.org/o/r", sha) == f"https://git.example.org/o/r/commit/{sha}"
    for nowhere in ("/srv/git/x.git", "javascript:alert(1)", "file:///x", ""):
        assert commit_url(nowhere, sha) is None
    assert commit_url("https://git.example.org/o/r", "main; rm") is None
