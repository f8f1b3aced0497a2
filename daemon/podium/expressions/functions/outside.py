"""Functions that ask the World: chance, secrets, values, files, HTTP, logs, subflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podium.base.errors import NotFound
from podium.expressions.calls import Args, Function, flag_arg, int_arg, optional_text, required, text, text_arg
from podium.expressions.operators import is_number, type_name
from podium.expressions.runtime import Fault, Missing, Runtime
from podium.expressions.text import java_text

OLD, NEW = ("1.x",), ("2.0",)
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NANO_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
_KSUID_EPOCH_S = 1_400_000_000
_KSUID_CHARS = 27
_NANO_LENGTH_MAX = 1000
_NANO_ALPHABET_MAX = 256


def _uuid(rt: Runtime, args: Args) -> str:
    return rt.world.uuid()


def _id(rt: Runtime, args: Args) -> str:
    return rt.world.new_id()


def _ksuid(rt: Runtime, args: Args) -> str:
    """Seconds since its epoch in 4 bytes, then 16 random bytes, in base 62."""
    seconds = int(rt.world.now().timestamp()) - _KSUID_EPOCH_S
    number = int.from_bytes(seconds.to_bytes(4, "big") + rt.world.random_bytes(16), "big")
    digits = []
    for _ in range(_KSUID_CHARS):
        number, rest = divmod(number, 62)
        digits.append(_BASE62[rest])
    return "".join(reversed(digits))


def _nano_id(rt: Runtime, args: Args) -> str:
    length = int_arg(args, "length", 21)
    if not 1 <= length <= _NANO_LENGTH_MAX:
        raise Fault(f"the argument 'length' must be between 1 and {_NANO_LENGTH_MAX}")
    alphabet = optional_text(args, "alphabet", _NANO_ALPHABET) or ""
    if not 1 <= len(alphabet) <= _NANO_ALPHABET_MAX:
        raise Fault(f"the argument 'alphabet' must have between 1 and {_NANO_ALPHABET_MAX} characters")
    return "".join(alphabet[rt.world.random_int(0, len(alphabet))] for _ in range(length))


def _random_int(rt: Runtime, args: Args) -> int:
    lower, upper = required(args, "lower"), required(args, "upper")
    for name, value in (("lower", lower), ("upper", upper)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise Fault(f"the argument '{name}' must be a whole number, not {type_name(value)}")
    if lower > upper:
        raise Fault("the argument 'lower' must not be above 'upper'")
    return lower if lower == upper else rt.world.random_int(lower, upper)


def _random_port(rt: Runtime, args: Args) -> int:
    return rt.world.random_port()


def _secret(rt: Runtime, args: Args) -> Any:
    key = text_arg(args, "key")
    subkey, full = optional_text(args, "subkey"), flag_arg(args, "full", default=False)
    if subkey and full:
        raise Fault("the arguments 'subkey' and 'full' exclude each other")
    return rt.world.secret(key, namespace=optional_text(args, "namespace"), subkey=subkey or None, full=full)


def _kv(rt: Runtime, args: Args) -> Any:
    key = text_arg(args, "key")
    missing_fails = flag_arg(args, "errorOnMissing", default=True)
    try:
        return rt.world.kv(key, namespace=optional_text(args, "namespace"), error_on_missing=missing_fails)
    except NotFound as error:  # a key that is not there is a missing name: `??` takes its other side
        raise Missing(error.what, name=key, hint=error.hint) from error


def _path(args: Args) -> str:
    """The path argument; a revision cannot be chosen, since files are read at the commit of the execution."""
    path = required(args, "path")
    if path is None:
        raise Fault("the argument 'path' must not be null")
    if args.get("revision") is not None or args.get("version") is not None:
        raise Fault("a revision of a file cannot be chosen", hint="files are read at the commit that the execution runs")
    return java_text(path)


def _read(rt: Runtime, args: Args) -> Any:
    return rt.world.read(_path(args), namespace=optional_text(args, "namespace"))


def _file_uri(rt: Runtime, args: Args) -> str:
    return rt.world.file_uri(_path(args), namespace=optional_text(args, "namespace"))


def _file_size(rt: Runtime, args: Args) -> int:
    return rt.world.file_size(_path(args), namespace=optional_text(args, "namespace"))


def _file_exists(rt: Runtime, args: Args) -> bool:
    return rt.world.file_exists(_path(args), namespace=optional_text(args, "namespace"))


def _file_empty(rt: Runtime, args: Args) -> bool:
    return rt.world.file_size(_path(args), namespace=optional_text(args, "namespace")) == 0


def _http(rt: Runtime, args: Args) -> Any:
    uri = java_text(required(args, "uri"))
    names = {"query": "query", "body": "body", "headers": "headers", "options": "options"}
    options = {name: args[key] for key, name in names.items() if args.get(key) is not None}
    for key in ("query", "headers", "options"):
        if key in options and not isinstance(options[key], Mapping):
            raise Fault(f"the argument '{key}' must be a map, not {type_name(options[key])}")
    for key, name in (("method", "method"), ("contentType", "content_type"), ("accept", "accept")):
        if args.get(key) is not None:
            options[name] = java_text(args[key])
    return rt.world.http(uri, **options)


def _error_logs(rt: Runtime, args: Args) -> Any:
    return rt.world.error_logs()


def _subflow(rt: Runtime, args: Args) -> Any:
    for name in ("namespace", "id"):
        text(required(args, name), f"the argument '{name}'")
    revision = args.get("revision")
    if revision is not None and not is_number(revision):
        raise Fault(f"the argument 'revision' must be a number, not {type_name(revision)}")
    return rt.world.subflow(**args)


_FILE = ("path", "namespace", "revision")
FUNCTIONS = (
    Function("uuid", _uuid, pure=False, fuel=5),
    Function("id", _id, pure=False, fuel=10),
    Function("ksuid", _ksuid, pure=False, fuel=10),
    Function("nanoId", _nano_id, ("length", "alphabet"), pure=False, fuel=20),
    Function("randomInt", _random_int, ("lower", "upper"), pure=False),
    Function("randomPort", _random_port, pure=False, fuel=100),
    Function("secret", _secret, ("key", "namespace", "subkey"), OLD, pure=False, fuel=50),
    Function("secret", _secret, ("key", "namespace", "subkey", "full"), NEW, pure=False, fuel=50),
    Function("kv", _kv, ("key", "namespace", "errorOnMissing"), pure=False, fuel=100),
    Function("read", _read, ("path", "namespace", "version"), OLD, pure=False, fuel=200),
    Function("read", _read, _FILE, NEW, pure=False, fuel=200),
    Function("fileURI", _file_uri, _FILE, pure=False, fuel=20),
    Function("fileSize", _file_size, _FILE, pure=False, fuel=200),
    Function("fileExists", _file_exists, _FILE, pure=False, fuel=200),
    Function("isFileEmpty", _file_empty, _FILE, pure=False, fuel=200),
    Function("fileEmpty", _file_empty, _FILE, pure=False, fuel=200),
    Function("http", _http, ("uri", "method", "query", "body", "contentType", "headers", "options", "accept"), pure=False, fuel=1000),
    Function("errorLogs", _error_logs, pure=False, fuel=1000),
    Function("subflow", _subflow, ("namespace", "id", "inputs", "revision", "labels", "timeout"), pure=False, fuel=1000),
)
