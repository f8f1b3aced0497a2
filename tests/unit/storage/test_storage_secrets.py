"""Secrets by name, from a file, credentials and the environment; and their encryption at rest."""

from __future__ import annotations

import base64
import os
import traceback
from pathlib import Path

import pytest

from podium.base.errors import NotFound, SettingsError, StorageError
from podium.base.redact import Redactor
from podium.storage.crypto import SEALED_TYPE, Cipher, is_sealed, load_or_make_key, reveal
from podium.storage.secrets import Secrets


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_secret_of_the_environment_is_base64() -> None:
    secrets = Secrets({"SECRET_API_KEY": _encoded("hunter2 é"), "OTHER": "x", "SECRET_": "y"})
    assert secrets.get("any.ns", "API_KEY") == "hunter2 é"
    assert secrets.get("any.ns", "api_key") == "hunter2 é"
    assert secrets.names("any.ns") == ["API_KEY"]


def test_a_missing_secret_is_not_found() -> None:
    with pytest.raises(NotFound, match="Cannot find secret for key 'NOPE'") as found:
        Secrets({}).get("ns", "NOPE")
    assert "SECRET_NOPE" in found.value.hint


def test_an_error_never_shows_the_value() -> None:
    secrets = Secrets({"SECRET_X": "not base64 topsecret!"})
    with pytest.raises(SettingsError) as found:
        secrets.get("ns", "X")
    assert "topsecret" not in "".join(traceback.format_exception(found.value))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.env", "# comment\nTOKEN=plain\nexport QUOTED='a b'\n\nEMPTY=\n"),
        ("s.yaml", "token: plain\nQUOTED: a b\nEMPTY: ''\n"),
        ("s.json", '{"TOKEN": "plain", "QUOTED": "a b", "EMPTY": ""}'),
    ],
)
def test_a_secrets_file_in_three_forms(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    secrets = Secrets({}, file=file)
    assert (secrets.get("n", "TOKEN"), secrets.get("n", "QUOTED"), secrets.get("n", "EMPTY")) == ("plain", "a b", "")
    assert secrets.names("n") == ["EMPTY", "QUOTED", "TOKEN"]


def test_sections_of_namespaces_apply_to_their_children(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("KEY: top\ncompany:\n  KEY: company\ncompany.team:\n  KEY: team\n  NUMBER: 5\n")
    secrets = Secrets({}, file=file)
    found = {namespace: secrets.get(namespace, "KEY") for namespace in ("other", "companyx", "company", "company.a", "company.team.b")}
    assert found == {"other": "top", "companyx": "top", "company": "company", "company.a": "company", "company.team.b": "team"}
    assert secrets.get("company.team", "NUMBER") == "5"
    with pytest.raises(NotFound):
        secrets.get("company", "NUMBER")


def test_the_environment_wins_over_credentials_and_these_over_the_file(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "SECRET_A").write_text("credential a\n")
    (credentials / "b").write_text("credential b")
    file = tmp_path / "s.env"
    file.write_text("A=file\nB=file\nC=file\n")
    secrets = Secrets({"SECRET_A": _encoded("env")}, credentials_directory=credentials, file=file)
    assert [secrets.get("n", name) for name in "ABC"] == ["env", "credential b", "file"]
    assert secrets.names("n") == ["A", "B", "C"]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "s.env"
    file.write_text("A=1\n")
    secrets = Secrets({}, file=file)
    file.write_text("A=2\n")
    os.utime(file, ns=(1, 1))
    assert secrets.get("n", "A") == "2"


@pytest.mark.parametrize(("name", "text"), [("s.yaml", "A: [topsecret"), ("s.json", '{"A": topsecret'), ("s.env", "topsecret"), ("s.yaml", "- a")])
def test_a_file_that_cannot_be_read_is_refused_without_showing_it(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(SettingsError) as found:
        Secrets({}, file=file)
    assert "topsecret" not in "".join(traceback.format_exception(found.value, chain=True))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        Secrets({}, file=tmp_path / "nope.env")


def test_encryption_gives_back_what_was_put_in() -> None:
    cipher = Cipher(bytes(32))
    sealed = cipher.encrypt("secret é")
    assert sealed != cipher.encrypt("secret é")
    assert cipher.decrypt(sealed) == "secret é"
    raw = base64.b64decode(sealed)
    assert len(raw) == 12 + len("secret é".encode()) + 16


def test_a_changed_value_or_another_key_is_an_error() -> None:
    cipher = Cipher(bytes(32))
    raw = bytearray(base64.b64decode(cipher.encrypt("secret")))
    raw[14] ^= 1
    for text in (base64.b64encode(raw).decode(), Cipher(b"k" * 32).encrypt("secret"), "no base64 !", "", "AAAA"):
        with pytest.raises(StorageError):
            cipher.decrypt(text)


@pytest.mark.parametrize("key", ["", "AAAA", "no base64 !", base64.b64encode(bytes(31)).decode()])
def test_a_key_of_the_wrong_shape_is_refused(key: str) -> None:
    with pytest.raises(SettingsError):
        Cipher.from_text(key)


@pytest.mark.parametrize("value", ["text", "", 5, None, {"a": [1, "x"]}, [1], True])
def test_sealed_values_keep_their_type(value: object) -> None:
    cipher = Cipher(bytes(32))
    sealed = cipher.seal(value)
    assert is_sealed(sealed)
    assert sealed["type"] == SEALED_TYPE
    assert cipher.unseal(sealed) == value


def test_revealing_decrypts_everywhere_and_tells_each_secret() -> None:
    cipher = Cipher(bytes(32))
    redactor = Redactor()
    untouched = {"b": 1}
    value = {"a": [cipher.seal("hunter2"), untouched], "c": {"type": SEALED_TYPE}}
    shown = reveal(value, cipher, lambda secret: redactor.add([secret]))
    assert shown == {"a": ["hunter2", {"b": 1}], "c": {"type": SEALED_TYPE}}
    assert shown["a"][1] is untouched
    assert redactor.text("it is hunter2") == "it is ********"
    plain = {"x": [1, {"y": 2}]}
    assert reveal(plain, cipher, redactor.add) is plain


def test_the_instance_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "instance.key"
    key = load_or_make_key(path)
    assert len(key) == 32
    assert load_or_make_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["instance.key"]


def test_a_damaged_key_file_is_not_replaced(tmp_path: Path) -> None:
    """A new key would make all stored secrets unreadable for ever."""
    path = tmp_path / "instance.key"
    path.write_text("garbage !!")
    with pytest.raises(SettingsError):
        load_or_make_key(path)
    assert path.read_text() == "garbage !!"
