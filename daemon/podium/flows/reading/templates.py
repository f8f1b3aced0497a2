"""The texts of a flow that hold expressions, and what is wrong in them. A flow with an unreadable template is accepted, as it always was:
it fails where it is rendered. So this gives warnings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from podium.base.errors import PodiumError
from podium.flows.reading.problems import Place, Report, join
from podium.flows.reading.yaml import Fields, Items, Node, Scalar

_QUOTED = re.compile(r" in the expression `.*` at line \d+, column \d+$", re.DOTALL)
"""The template itself, at the end of the error: the warning says where it stands."""
_NOT_RENDERED = frozenset({"description", "displayName"})


def texts(root: Fields, source: str) -> list[tuple[Scalar, str]]:
    """Every text with an expression or a tag, and its path; descriptions are left out. source: the text of the file, for speed."""
    if "{{" not in source and "{%" not in source:
        return []
    return [(node, path) for node, path in _walk(root, "") if "{{" in node.text or "{%" in node.text]


def _walk(node: Node, path: str) -> Iterator[tuple[Scalar, str]]:
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            yield node, path
    elif isinstance(node, Items):
        for index, each in enumerate(node.items):
            yield from _walk(each, f"{path}[{index}]")
    elif isinstance(node, Fields):
        for key, entry in node.entries.items():
            if key not in _NOT_RENDERED:
                yield from _walk(entry.node, join(path, key))


def check_templates(found: Sequence[tuple[Scalar, str]], lines: Sequence[str], dialect: str, report: Report) -> None:
    """Warn of every template that cannot be read. lines: those of the file, to find the place inside a block of text."""
    from podium.expressions.compile import compile_template

    for node, path in found:
        try:
            compile_template(node.text, dialect=dialect)
        except PodiumError as error:
            at = _place(node, lines, error.facts.get("line"), error.facts.get("column"))
            hint = error.hint or "this fails when it is rendered; {% raw %}…{% endraw %} keeps braces as they are"
            what = " ".join(_QUOTED.sub("", error.what).split())
            report.warning(at, path, "expression-invalid", f"the expression cannot be read: {what}", hint)


def _place(node: Scalar, lines: Sequence[str], line: object, column: object) -> Place:
    """Where in the file line and column of a template are (both from 1); the beginning of the text when that cannot be told."""
    start = Place(node.line, node.column)
    if not isinstance(line, int) or not isinstance(column, int) or node.given:
        return start
    if node.block:
        number, written = node.line + line, node.text.split("\n")
        if number > len(lines) or line > len(written) or not lines[number - 1].endswith(written[line - 1]):
            return start  # folded text
        return Place(number, len(lines[number - 1]) - len(written[line - 1]) + column)
    if line == 1 and "\n" not in node.text and node.line <= len(lines):
        at = node.column + column - 1 + (0 if node.plain else 1)
        return Place(node.line, at) if at <= len(lines[node.line - 1]) else start
    return start
