"""Secrets that flows ask for by name: from `SECRET_<NAME>` variables (base64), systemd credentials, and a secrets file.

Called by rendering. What always holds: a value is never logged or part of an error. Names are compared without regard to case.
The first place that has the name wins: the environment, credentials, the file (the namespace's own section, its parents', then the top).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from podium.base.errors import NotFound, PodiumError, SettingsError

_PREFIX = "SECRET_"


class Secrets:
    """See the module's docstring."""

    def __init__(self, environ: Mapping[str, str], *, credentials_directory: Path | None = None, file: Path | None = None) -> None:
        """environ: the process's. file: `NAME=value` lines, or (.json, .yaml, .yml) a map of names and of namespaces.

        Raises SettingsError when the file cannot be read.
        """
        self._environment = {
            name[len(_PREFIX) :].upper(): value for name, value in environ.items() if name.startswith(_PREFIX) and len(name) > len(_PREFIX)
        }
        self._credentials = credentials_directory
        self._file = file
        self._read_at: int | None = None
        self._sections: dict[str, dict[str, str]] = {}
        self._refresh()

    def get(self, namespace: str, key: str) -> str:
        """The secret's text. Raises NotFound, SettingsError for a variable that is not base64."""
        name = key.upper()
        if name in self._environment:
            return self._decoded(name)
        credential = self._credential(name)
        if credential is not None:
            return credential
        self._refresh()
        for section in _outwards(namespace):
            if name in self._sections.get(section, {}):
                return self._sections[section][name]
        hint = f"set {_PREFIX}{name} (base64), or put it into the secrets file"
        raise NotFound(f"Cannot find secret for key '{key}'.", hint=hint, key=key)

    def names(self, namespace: str) -> list[str]:
        """The names that `get` would find, sorted."""
        return sorted(self.places(namespace))

    def places(self, namespace: str) -> dict[str, tuple[str, str]]:
        """Name → where `get` finds it: environment, credential or file, and of a file the section (a namespace, or "" for its top)."""
        self._refresh()
        found: dict[str, tuple[str, str]] = {}
        for section in reversed(_outwards(namespace)):
            found |= dict.fromkeys(self._sections.get(section, {}), ("file", section))
        if self._credentials and self._credentials.is_dir():
            found |= {_credential_name(each.name): ("credential", "") for each in self._credentials.iterdir() if each.is_file()}
        return found | dict.fromkeys(self._environment, ("environment", ""))

    def every(self) -> dict[str, str]:
        """All secrets of all namespaces, by a name for people: to find them in what must not hold any. What cannot be read is left out."""
        self._refresh()
        found = {f"{section}: {name}" if section else name: value for section, listed in self._sections.items() for name, value in listed.items()}
        for name, (kind, _) in self.places("").items():
            if kind != "file":
                with suppress(PodiumError):
                    found[name] = self.get("", name)
        return found

    def _decoded(self, name: str) -> str:
        try:
            return base64.b64decode(self._environment[name], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise SettingsError(
                f"{_PREFIX}{name} is not base64 of a text", hint="encode it: printf %s VALUE | base64 -w0", key=name
            ) from None  # the cause shows the value

    def _credential(self, name: str) -> str | None:
        if self._credentials is None or not self._credentials.is_dir():
            return None
        for each in self._credentials.iterdir():
            if _credential_name(each.name) == name and each.is_file():
                try:
                    return each.read_text(encoding="utf-8").removesuffix("\n")
                except (OSError, UnicodeDecodeError) as error:
                    raise SettingsError(f"the credential {each.name} cannot be read", hint="it must be a UTF-8 text", key=name) from error
        return None

    def _refresh(self) -> None:
        """Read the file again when it has changed."""
        if self._file is None:
            return
        try:
            changed_at = self._file.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._sections = _parse(self._file.suffix, self._file.read_text(encoding="utf-8"))
                self._read_at = changed_at
        except OSError as error:
            raise SettingsError(f"the secrets file {self._file} cannot be read: {error.strerror}", hint="check [secrets] file") from error
        except ValueError:
            raise SettingsError(
                f"the secrets file {self._file} cannot be understood", hint="NAME=value lines; or .json or .yaml with a map of names"
            ) from None  # the cause shows values


def _credential_name(file_name: str) -> str:
    return file_name.upper().removeprefix(_PREFIX)


def _outwards(namespace: str) -> list[str]:
    """a.b.c, a.b, a, and the top."""
    parts = namespace.split(".") if namespace else []
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)] + [""]


def _parse(suffix: str, text: str) -> dict[str, dict[str, str]]:
    """Section ("" = top, else a namespace) → name → value."""
    if suffix == ".json":
        content: Any = json.loads(text)
    elif suffix in (".yaml", ".yml"):
        import yaml

        try:
            content = yaml.load(text, yaml.CSafeLoader)
        except yaml.YAMLError:
            raise ValueError("not YAML") from None
    else:
        content = _lines(text)
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ValueError("not a map")
    sections: dict[str, dict[str, str]] = {"": {}}
    for key, value in content.items():
        if isinstance(value, dict):
            sections[str(key)] = {str(name).upper(): _text(item) for name, item in value.items()}
        else:
            sections[""][str(key).upper()] = _text(value)
    return sections


def _lines(text: str) -> dict[str, str]:
    values = {}
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, found, value = line.removeprefix("export ").partition("=")
        if not found or not name.strip():
            raise ValueError("not NAME=value")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name.strip()] = value
    return values


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
