"""Names of tables and columns as SQL of PostgreSQL. Pure."""

from __future__ import annotations

import re
from string import ascii_lowercase, ascii_uppercase

from podium.plugin import TaskFailed

_NAME = r'(?:[A-Za-z_\u0080-\U0010ffff][\w$]*|"(?:[^"]|"")+")'
_PLAIN = re.compile(r"[A-Za-z_\u0080-\U0010ffff][\w$]*")
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_QUOTED = re.compile(r'"(?:[^"]|"")+"')
_TABLE = re.compile(rf"{_NAME}(?:\.{_NAME}){{0,2}}")


def table_name(text: str) -> str:
    """The name of a table as SQL: `name`, `schema.name`, parts in quotes where they need it. Raises TaskFailed for anything else."""
    name = text.strip()
    if _TABLE.fullmatch(name) is None:
        raise TaskFailed(f'table: {text!r} is not a name; write name, schema.name, or with quotes "My Table"')
    return name


def column_name(text: str) -> str:
    """The name of a column as SQL. As everywhere in PostgreSQL a plain name is the one in lower case; it may be a word of SQL."""
    name = text.strip()
    if _QUOTED.fullmatch(name):
        return name
    return quoted(name.translate(_LOWER) if _PLAIN.fullmatch(name) else name)


def quoted(name: str) -> str:
    """A name exactly as it is."""
    return '"' + name.replace('"', '""') + '"'
