"""Where settings come from: file, environment and flags as layers that remember the origin of every key.

Called by app/settings. What always holds: a mistake is reported with the key, where it was written and the nearest right name;
the value of a secret is never part of a message.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr, ValidationError

from podium.base.errors import SettingsError
from podium.base.redact import MASK, redact_url

PREFIX = "PODIUM_"
FILE_NAME = "podium.toml"
_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)i?b?", re.IGNORECASE)
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]#]+?)\s*\]\]?\s*(#.*)?$")
_ENTRY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Nested values, and for each written key where that was. kind: flag, environment, file or default."""

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[Key, str] = field(default_factory=dict)


# ---- types of values: what a file or a variable may hold


def parse_bytes(value: Any) -> Any:
    """A number of bytes from `65536`, `64k`, `512m` or `2GiB` (powers of 1024)."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("should be a number of bytes such as 65536, 64k, 512m or 2g")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _positive(value: int) -> int:
    if value < 1:
        raise ValueError("should be at least 1 byte")
    return value


def _known_zone(value: str) -> str:
    if value:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError) as exc:
            raise ValueError("is no time zone (write a name such as Europe/Paris or UTC)") from exc
    return value


Bytes = Annotated[int, BeforeValidator(parse_bytes), AfterValidator(_positive)]
Zone = Annotated[str, AfterValidator(_known_zone)]


def ItemsText(value: Any) -> Any:  # noqa: N802 - reads as a type where it is used
    """A list; text is split at commas or read as a JSON list."""
    if isinstance(value, str):
        text = value.strip()
        return json.loads(text) if text.startswith("[") else [part.strip() for part in text.split(",") if part.strip()]
    return value


def TableText(value: Any) -> Any:  # noqa: N802 - reads as a type where it is used
    """A table; text is `name=value,name=value` or a JSON object."""
    if isinstance(value, str):
        text = value.strip()
        return json.loads(text) if text.startswith("{") else dict(_pair(part) for part in text.split(",") if part.strip())
    return value


def any_table(value: Any) -> Any:
    """A table of any values; text is a JSON object."""
    return json.loads(value) if isinstance(value, str) else value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("should be name=value,name=value or a JSON object")
    return name.strip(), value.strip()


def user_path(value: Any) -> Any:
    """A path; `~` is the home directory."""
    return Path(value).expanduser() if isinstance(value, str) and value else value


def first_line(path: Path, *, key: str) -> str:
    """The first line of a file that holds a token. Raises SettingsError naming the key."""
    try:
        lines = path.read_text("utf-8").split("\n", 1)
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{key}: {path} cannot be read", hint="make the file readable for the daemon's user only", key=key) from exc
    if not lines[0].strip():
        raise SettingsError(f"{key}: {path} is empty", hint="write the token on its first line", key=key)
    return lines[0].strip()


# ---- layers


def default_home(environ: Mapping[str, str]) -> Path:
    """Home when no setting names one: systemd's state directory, else the XDG one, else below the user's home."""
    if state := environ.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0])
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".local" / "state")
    return Path(base) / "podium"


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where things are kept that can be made again."""
    return Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home()) / ".cache") / "podium"


def config_places(environ: Mapping[str, str]) -> list[Path]:
    """Where a settings file is looked for, in order, when none is named."""
    user = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".config")
    return [Path(FILE_NAME), Path(".podium") / FILE_NAME, Path(user) / "podium" / FILE_NAME, Path("/etc/podium") / FILE_NAME]


def find_config(environ: Mapping[str, str]) -> Path | None:
    """The settings file: `$PODIUM_CONFIG` (which must exist), else the first of config_places that exists, else None."""
    if named := environ.get("PODIUM_CONFIG"):
        return Path(named)
    return next((place for place in config_places(environ) if place.is_file()), None)


def from_machine(environ: Mapping[str, str]) -> Layer:
    """Defaults that depend on the machine."""
    return Layer(kind="default", values={"home": str(default_home(environ))}, origins={("home",): "default"})


def from_file(path: Path | None) -> Layer:
    """The layer of a TOML file. Raises SettingsError when it cannot be read or parsed."""
    if path is None:
        return Layer(kind="file")
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text)
    except FileNotFoundError as exc:
        raise SettingsError(f"{path}: there is no such settings file", hint="check --config and PODIUM_CONFIG") from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"{path}: not valid TOML: {exc}", hint="quote texts; see docs/settings.md for an example") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path}: cannot be read: {exc}", hint="check the file's owner and mode") from exc
    names: dict[str, str] = {}
    if isinstance(values.get("sources"), list):
        values["sources"] = _named_sources(values["sources"], path)
        names = {str(index): name for index, name in enumerate(values["sources"])}
    origins = {key: str(path) for key, _ in leaves(values)}
    for key, line in _positions(text).items():
        listed = len(key) > 1 and key[0] == "sources" and key[1] in names
        origins[("sources", names[key[1]], *key[2:]) if listed else key] = f"{path}:{line}"
    return Layer(kind="file", values=values, origins=origins)


def _named_sources(items: list[Any], path: Path) -> dict[str, Any]:
    """`[[sources]] name = "main"` means `[sources.main]`."""
    named: dict[str, Any] = {}
    for index, item in enumerate(items):
        name = item.pop("name", "main" if index == 0 else None) if isinstance(item, dict) else None
        if not isinstance(name, str) or name in named:
            raise SettingsError(f"{path}: sources[{index}] has no name of its own", hint="write [sources.<name>] tables", key="sources")
        named[name] = item
    return named


def _positions(text: str) -> dict[Key, int]:
    """Line of each key of a TOML text; the n-th table of a list has n as a part of its key. Keys inside inline tables are left out."""
    found: dict[Key, int] = {}
    table: Key = ()
    items: Counter[Key] = Counter()
    quote: str | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        if quote is not None:
            quote = None if quote in line else quote
            continue
        if header := _HEADER.match(line):
            table = _split(header[2])
            if header[1] == "[[":
                items[table] += 1
                table = (*table, str(items[table] - 1))
            found.setdefault(table, number)
        elif entry := _ENTRY.match(line):
            found[(*table, *_split(entry[1]))] = number
            quote = next((mark for mark in ('"""', "'''") if line.count(mark) == 1), None)
    return found


def _split(dotted: str) -> Key:
    return tuple(double or single or bare for double, single, bare in _PART.findall(dotted))


def from_environment(environ: Mapping[str, str], *, top_level: Collection[str]) -> Layer:
    """The layer of `PODIUM_SECTION__KEY` variables. top_level: the settings outside sections.

    A variable without `__` counts only when it names, or nearly names, one of those: a cluster may set PODIUM_PORT and the like by itself.
    """
    values: dict[str, Any] = {}
    origins: dict[Key, str] = {}
    for name in sorted(environ):
        key = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if not name.startswith(PREFIX) or not all(key):
            continue
        if len(key) == 1 and not difflib.get_close_matches(key[0], top_level, n=1, cutoff=0.85):
            continue
        _place(values, key, environ[name], where=name)
        origins[key] = f"environment {name}"
    return Layer(kind="environment", values=values, origins=origins)


def from_overrides(overrides: Mapping[str, Any]) -> Layer:
    """The layer of flags. Keys may be dotted; values that are None were not given."""
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        for key, leaf in leaves(value, (*name.split("."),)) if isinstance(value, Mapping) else [((*name.split("."),), value)]:
            if leaf is not None:
                _place(values, key, leaf, where=".".join(key))
    return Layer(kind="flag", values=values, origins={key: "flag" for key, _ in leaves(values)})


def _place(values: dict[str, Any], key: Key, value: Any, *, where: str) -> None:
    for part in key[:-1]:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{where}: {part} is given as a whole and in parts", hint="set one or the other")
        values = inner
    values[key[-1]] = value


def leaves(values: Any, path: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Every (key, value) of nested mappings; an empty mapping is a leaf."""
    if isinstance(values, Mapping) and values:
        for name, value in values.items():
            yield from leaves(value, (*path, str(name)))
    else:
        yield path, values


def copy_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that may be changed."""
    return copy.deepcopy(dict(values))


# ---- origins, mistakes


def origin_of(key: Key, stack: tuple[Layer, ...]) -> str:
    """Where the value in force of `key` was written: the strongest layer that holds it, a part of it, or the whole around it."""
    for layer in stack:
        for length in range(len(key), 0, -1):
            if key[:length] in layer.origins and _holds(layer.values, key):
                return layer.origins[key[:length]]
        below = [origin for other, origin in layer.origins.items() if other[: len(key)] == key]
        if below:
            return below[0]
    return "default"


def _holds(values: Any, key: Key) -> bool:
    for part in key:
        if not isinstance(values, Mapping):
            return True
        if part not in values:
            return False
        values = values[part]
    return True


def explain(error: ValidationError, stack: tuple[Layer, ...], model: type[BaseModel]) -> SettingsError:
    """All mistakes of a load as one SettingsError; facts["problems"] has each as {key, origin, message}."""
    problems = []
    for item in error.errors(include_url=False, include_context=False):
        key = tuple(str(part) for part in item["loc"] if part != "[key]")
        origin = origin_of(key, stack) if key else ""
        problems.append({"key": ".".join(key), "origin": origin, "message": _message(item, key, model)})
    texts = [f"{p['origin']}: {p['key']}: {p['message']}" if p["key"] else p["message"] for p in problems]
    what = texts[0] if len(texts) == 1 else f"{len(texts)} settings are wrong:\n" + "\n".join(f"  {text}" for text in texts)
    return SettingsError(what, hint="see docs/settings.md; `podium config show` names where each setting comes from", problems=problems)


def _message(item: Any, key: Key, model: type[BaseModel]) -> str:
    siblings, secret = _look_up(model, key)
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key[-1], siblings, n=1, cutoff=0.5)
        return f"no such setting; did you mean {near[0]}?" if near else f"no such setting; here are: {', '.join(sorted(siblings))}"
    if item["type"] == "missing":
        return "is needed and not given"
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "should")
    given = item["input"]
    if secret or isinstance(given, (Mapping, list, tuple, BaseModel)):
        return message
    return f"{message} (given: {redact_url(repr(given))[:80]})"


def _look_up(model: type[BaseModel], key: Key) -> tuple[list[str], bool]:
    """The setting names beside `key`, and whether its value is a secret."""
    current: Any = model
    for part in key[:-1]:
        annotation = current.model_fields[part].annotation if _is_model(current) and part in current.model_fields else current
        candidates = [each for each in (annotation, *get_args(annotation)) if _is_model(each)]
        current = candidates[0] if candidates else annotation
    if not _is_model(current):
        return [], False
    known = current.model_fields.get(key[-1]) if key else None
    return list(current.model_fields), known is not None and (SecretStr in (known.annotation, *get_args(known.annotation)))


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)


def shown(value: Any) -> Any:
    """`value` as it may be shown: JSON-ready, secrets masked."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, BaseModel):
        return {name: shown(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(name): shown(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if isinstance(value, str):
        return redact_url(value)
    return str(value) if isinstance(value, Path) else value
