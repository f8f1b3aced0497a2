"""Text for people: descriptions (Markdown), flow sources with colours, differences between two sources, log messages.

Called by the pages. What always holds: everything that comes out is escaped markup; a description can hold no HTML, no picture
and no link but to http, https, mailto or a place of ours; work is bounded by the length of the text.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from markupsafe import Markup, escape

_MARKDOWN_CHARS_MAX = 100_000
_COLOUR_CHARS_MAX = 300_000
_DIFF_LINES_MAX = 4_000
_LINK_SCHEMES = frozenset({"http", "https", "mailto", ""})
_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_EXPRESSION = re.compile(r"\{\{[^{}\n]{0,500}\}\}|\{%[^{}\n]{0,500}%\}")
_FILE_URI = re.compile(r"kestra:///[^\s\"'<>&\\]{1,2000}")


def markdown(text: str | None) -> Markup:
    """A description as HTML. Written HTML is shown as text."""
    if not text:
        return Markup()
    return Markup(_parser().render(text[:_MARKDOWN_CHARS_MAX]))  # noqa: S704  # the parser escapes everything: html is off


@lru_cache(maxsize=1)
def _parser() -> Any:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])
    parser.validateLink = _may_link  # type: ignore[method-assign]  # the documented way to choose links
    parser.add_render_rule("link_open", _link_open)
    return parser


def _may_link(url: str) -> bool:
    try:
        return urlsplit(url.strip()).scheme.lower() in _LINK_SCHEMES and not url.strip().startswith("//")
    except ValueError:
        return False


def _link_open(self: Any, tokens: Sequence[Any], index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return str(self.renderToken(tokens, index, options, env))


def first_line(text: str | None) -> str:
    """The first line of a description, without its marks."""
    return markdown((text or "").strip()[:1_000]).striptags()[:200] if text else ""


def breakable(name: str) -> Markup:
    """A dotted name that a narrow column may break after its dots."""
    return Markup("<wbr>").join(Markup("{}").format(part) for part in re.split(r"(?<=[._/-])", str(name)))


def plain(text: str) -> str:
    """A log message without terminal colours and other control characters."""
    return _CONTROL.sub("\ufffd", _ANSI.sub("", text)) if "\x1b" in text or _CONTROL.search(text) else text


def with_files(text: str, execution_id: str) -> Markup:
    """`text` escaped, with its kestra:// URIs as links to download."""
    parts: list[Markup] = []
    at = 0
    for match in _FILE_URI.finditer(text):
        uri = match[0].rstrip(".,;)]}")
        parts.append(escape(text[at : match.start()]))
        href = f"/api/v1/executions/{quote(execution_id, safe='')}/file?path={quote(uri, safe='')}"
        parts.append(Markup('<a href="{}" download>{}</a>').format(href, uri))
        at = match.start() + len(uri)
    return Markup().join([*parts, escape(text[at:])])


@lru_cache(maxsize=256)
def coloured(text: str, name: str = "flow.yaml") -> tuple[Markup, ...]:
    """A file as lines of markup, each with spans for keys, strings, numbers, comments. Long texts, and of unknown kinds, stay plain.

    name: of the file; it tells the language. Expressions are marked in YAML.
    """
    lexer = _lexer(name) if len(text) <= _COLOUR_CHARS_MAX else None
    if lexer is None:
        return tuple(escape(line) for line in text.splitlines())
    text, yaml = text.replace("\r\n", "\n").replace("\r", "\n"), lexer.name == "YAML"
    edges = [edge for match in _EXPRESSION.finditer(text) for edge in match.span()] if yaml else []
    kinds = _KINDS if yaml else _CODE_KINDS
    lines: list[list[tuple[str, str]]] = [[]]
    at = 0
    for kind, value in lexer.get_tokens(text):
        for piece, inside in _pieces(value, at, edges):
            mark = "y-expression" if inside else _mark(str(kind), kinds)
            for index, part in enumerate(piece.split("\n")):
                if index:
                    lines.append([])
                if part and lines[-1] and lines[-1][-1][0] == mark:
                    lines[-1][-1] = (mark, lines[-1][-1][1] + part)
                elif part:
                    lines[-1].append((mark, part))
        at += len(value)
    if lines and not lines[-1]:
        lines.pop()
    return tuple(Markup().join(_span(mark, part) for mark, part in line) for line in lines)


def _lexer(name: str) -> Any:
    if name.lower().endswith((".yaml", ".yml")):
        from pygments.lexers.data import YamlLexer

        lexer: Any = YamlLexer
        return lexer(stripnl=False, ensurenl=False)
    from pygments import lexers
    from pygments.util import ClassNotFound

    found: Any = lexers
    try:
        return found.get_lexer_for_filename(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _span(mark: str, text: str) -> Markup:
    return Markup('<span class="{}">{}</span>').format(mark, text) if mark else escape(text)


def _pieces(value: str, at: int, edges: list[int]) -> Iterator[tuple[str, bool]]:
    """A token cut where expressions begin and end, and whether each piece is inside one. edges: begins and ends by turns."""
    end = at + len(value)
    start = at
    index = bisect_right(edges, at)
    while index < len(edges) and edges[index] < end:
        yield value[start - at : edges[index] - at], index % 2 == 1
        start = edges[index]
        index += 1
    yield value[start - at :], index % 2 == 1


_KINDS = (
    ("Token.Comment", "y-comment"), ("Token.Name.Tag", "y-key"), ("Token.Name.Constant", "y-text"), ("Token.Name.Variable", ""),
    ("Token.Literal.String", "y-text"), ("Token.Literal.Number", "y-number"), ("Token.Name", "y-name"), ("Token.Punctuation", "y-mark"),
    ("Token.Literal.Scalar.Plain", ""), ("Token.Keyword", "y-name"),
)


_CODE_KINDS = (
    ("Token.Comment", "y-comment"), ("Token.Literal.String", "y-text"), ("Token.Literal.Number", "y-number"), ("Token.Keyword", "y-key"),
    ("Token.Name.Tag", "y-key"), ("Token.Name.Function", "y-name"), ("Token.Name.Class", "y-name"), ("Token.Name.Builtin", "y-name"),
    ("Token.Name.Decorator", "y-name"),
)


def _mark(kind: str, kinds: Sequence[tuple[str, str]] = _KINDS) -> str:
    return next((mark for prefix, mark in kinds if kind.startswith(prefix)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """A line of a comparison. kind: same, added, removed or gap. Numbers are those of the old and the new text."""

    kind: str
    old: int | None = None
    new: int | None = None
    text: str = ""


def difference(old: str, new: str) -> list[DiffLine] | None:
    """The lines that differ with three around them; empty when nothing differs, None when the texts are too long to compare."""
    before, after = old.splitlines(), new.splitlines()
    if max(len(before), len(after)) > _DIFF_LINES_MAX:
        return None
    found: list[DiffLine] = []
    for group in difflib.SequenceMatcher(None, before, after).get_grouped_opcodes(3):
        if group[0][1] or group[0][3]:
            found.append(DiffLine(kind="gap"))
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                pairs = zip(range(old_from, old_to), range(new_from, new_to), strict=True)
                found += [DiffLine(kind="same", old=at + 1, new=to + 1, text=before[at]) for at, to in pairs]
                continue
            found += [DiffLine(kind="removed", old=at + 1, text=before[at]) for at in range(old_from, old_to)]
            found += [DiffLine(kind="added", new=at + 1, text=after[at]) for at in range(new_from, new_to)]
    return found


def commit_url(repository: str, commit: str) -> str | None:
    """The page of a commit at the forge that holds `repository` (https or ssh address), or None for a path."""
    ssh = re.fullmatch(r"(?:ssh://)?(?:[\w.-]+@)(?P<host>[\w.-]+)(?::\d+)?[:/](?P<path>[\w./~-]+)", repository)
    if ssh:
        host, path = ssh["host"], ssh["path"]
    else:
        parts = urlsplit(repository)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return None
        host, path = parts.hostname + (f":{parts.port}" if parts.port else ""), parts.path
    path = path.strip("/").removesuffix(".git")
    return f"https://{host}/{quote(path)}/commit/{quote(commit)}" if path and re.fullmatch(r"[0-9a-f]{7,64}", commit) else None
