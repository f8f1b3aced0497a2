"""Every English text of the pages stands in web/strings.json: no template holds a word of its own, no key is missing, none is left over."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

WEB = Path(__file__).resolve().parents[2] / "daemon" / "podium" / "web"
TEMPLATES = WEB / "templates"
STILL_TO_MOVE = frozenset[str]()
"""Templates whose words are not in strings.json yet. Empty at the end."""
SAID = re.compile(r"\{#.*?#\}|\{%.*?%\}|<(script|style|pre|code|svg|kbd|textarea)\b[^>]*>.*?</\1>|<!--.*?-->", re.S)
ATTRIBUTES = re.compile(r"""\b(?:aria-label|title|placeholder|alt|data-question|data-confirm|data-yes|data-tip)="([^"]*)\"""")
EXAMPLE = re.compile(r"\S*[-./:_=]\S*|scripts|PT1H|http, csv, cron …")
"""What a field shows of what is written in it: company.team, team:data."""
TAG = re.compile(r"<[^>]*>")
PRINTED = re.compile(r"""\{\{(?:'[^']*'|"[^"]*"|(?!\}\}).)*\}\}""", re.S)
NO_WORD = re.compile(r"""&\w+;|[\w-]+="[^"]*"|\w+[-./:_=]\w\S*""")
"""What is left of a tag that a condition takes apart, and examples."""
OF_EVERY_LANGUAGE = re.compile(r"\b(?:Podium|API|Ctrl|Esc|UTC|Markdown|YAML|JSON|JSONL|CSV|Git|ISO|key|value|ms|null|curl|podium)\b")
WORD = re.compile(r"[^\W\d_]{2,}")
KEYS = re.compile(r"""\bt\(\s*["']([a-z_]+)\.([a-z0-9_]+)["']\s*[,)]""")


@cache
def strings() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((WEB / "strings.json").read_text("utf-8"))
    return found


def words(text: str) -> list[str]:
    """The words that a template prints and that are its own."""
    shown = SAID.sub(" ", PRINTED.sub(" ", text))
    attributes = [each for each in ATTRIBUTES.findall(shown) if not EXAMPLE.fullmatch(each)]
    body = NO_WORD.sub(" ", TAG.sub(" ", shown))
    return [word for part in (body, *attributes) for word in WORD.findall(OF_EVERY_LANGUAGE.sub(" ", part))]


def test_no_template_holds_words_of_its_own() -> None:
    found = {name: words(path.read_text("utf-8")) for path in sorted(TEMPLATES.rglob("*.html")) if (name := path.relative_to(TEMPLATES).as_posix()) not in STILL_TO_MOVE}
    assert {name: own for name, own in found.items() if own} == {}


def test_what_is_still_to_move_is_there_and_has_words() -> None:
    done = [name for name in STILL_TO_MOVE if not (TEMPLATES / name).exists() or not words((TEMPLATES / name).read_text("utf-8"))]
    assert done == [], "take these out of STILL_TO_MOVE"


def test_every_text_that_a_template_or_a_page_asks_for_is_there() -> None:
    sources = [*TEMPLATES.rglob("*.html"), *(WEB / "pages").rglob("*.py")]
    asked = {key for path in sources for key in KEYS.findall(path.read_text("utf-8"))}
    assert sorted(f"{section}.{name}" for section, name in asked if name not in strings().get(section, {})) == []


def test_names_of_texts_are_plain_and_places_to_fill_in_have_names() -> None:
    assert [f"{section}.{name}" for section, texts in strings().items() for name in texts if not re.fullmatch(r"[a-z][a-zA-Z0-9_]*", name)] == []
    assert [f"{section}.{name}" for section, texts in strings().items() for name, text in texts.items() if re.search(r"\{(?!\w+\})", text)] == []


def test_every_text_of_a_section_is_used() -> None:
    """By its whole key or, where the name is put together, by its beginning."""
    sources = "\n".join(path.read_text("utf-8") for place in ("templates", "pages", "islands/src", "api") for path in (WEB / place).rglob("*") if path.suffix in {".html", ".py", ".ts"})
    begun = set(re.findall(r"""["'`]?([a-z_]+)\.([a-z0-9_]*_)["'`]\s*[~+]""", sources)) | set(re.findall(r"""["']([a-z_]+)\.([a-z0-9_]*)\{""", sources))
    left = [
        f"{section}.{name}" for section, texts in strings().items() if section in ("shell", "home", "lists") for name in texts
        if not re.search(rf"\b{section}\.{name}\b", sources) and not any(section == one and name.startswith(part) for one, part in begun)
        and not re.search(rf"{section}\[`\w*\$", sources)
    ]
    assert left == []
