"""The `jq` filter: compiles a program and runs it over a value.

A jq of our own, because the library's reads the environment and files, cannot be stopped, and writes numbers its own way. Programs
see their input and nothing else; every step spends fuel of the rendering.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import tzinfo
from functools import cache, lru_cache
from typing import Any

from podium.expressions.jq import values
from podium.expressions.jq.bindings import Closure, Env
from podium.expressions.jq.evaluate import Break, Machine, Results, no_path
from podium.expressions.jq.functions import FUNCTIONS
from podium.expressions.jq.streams import STREAMS, Native
from podium.expressions.jq.syntax import Node, parse_definitions, parse_program
from podium.expressions.jq.texts import TEXT_STREAMS, TEXTS
from podium.expressions.jq.values import JqError
from podium.expressions.runtime import Fault, Meter

_DEFINITIONS = r"""
def map(f): [.[] | f];
def select(f): if f then . else empty end;
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type | . == "array" or . == "object");
def scalars: select(type | . != "array" and . != "object");
def finites: select(isinfinite or isnan | not);
def normals: select(isnormal);
def map_values(f): .[] |= f;
def recurse(f; cond): recurse(f | select(cond));
def recurse_down: recurse;
def to_entries: [keys_unsorted[] as $k | {key: $k, value: .[$k]}];
def from_entries: reduce .[] as $x ({};
    . + {($x | if type == "object" then (if has("key") then .key elif has("k") then .k elif has("name") then .name
        elif has("Name") then .Name elif has("Key") then .Key else .K end) else . end
        | if type == "string" then . elif type == "null" then "null" else tojson end):
        ($x | if type == "object" then (if has("value") then .value elif has("v") then .v elif has("Value") then .Value else .V end)
        else null end)});
def with_entries(f): to_entries | map(f) | from_entries;
def paths: path(..) | select(length > 0);
def paths(node_filter): . as $dollar | paths | select(. as $p | $dollar | getpath($p) | node_filter);
def leaf_paths: paths(scalars);
def del(f): delpaths([path(f)]);
def pick(f): . as $top | reduce path(f) as $p (null; setpath($p; $top | getpath($p)));
def add: reduce .[] as $x (null; . + $x);
def add(f): reduce f as $x (null; . + $x);
def in(xs): . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
def combinations: if length == 0 then [] else .[0][] as $x | (.[1:] | combinations) as $w | [$x] + $w end;
def combinations(n): . as $dot | [range(n)] | map($dot) | combinations;
def walk(f): def w: if type == "object" then map_values(w) elif type == "array" then map(w) else . end | f; w;
def first: .[0];
def last: .[-1];
def nth($n): .[$n];
def nth($n; f): if $n < 0 then error("Out of bounds negative array index") else last(limit($n + 1; f)) end;
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdate: fromdateiso8601;
def date: todate;
def dateadd(u; n): . + n;
def datesub(u; n): . - n;
def ascii: [.] | implode;
def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p)
    | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(f): {x: null, e: false} as $init
    | foreach f as $i ($init;
        if .e then $init else . end
        | if $i | length == 2
          then setpath(["e"]; $i[0] | length == 0) | setpath(["x"] + $i[0]; $i[1])
          else setpath(["e"]; $i[0] | length == 1) end;
        if .e then .x else empty end);
def truncate_stream(stream): . as $n | null | stream | . as $input
    | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;
def isvalid(f): try (f | true) catch false;
def env: {};
def input_line_number: 0;
def input_filename: null;
def halt_error: error;
def debug: .;
def debug(m): .;
def stderr: .;
def inputs: empty;
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);
def GROUP_BY(f): group_by(f);
def match(re): match(re; null);
def match(re; flags): _match(re; flags)[];
def test(re): test(re; null);
def test(re; flags): _match(re; flags) | length > 0;
def capture(re): capture(re; null);
def capture(re; flags): match(re; flags) | [.captures | .[] | select(.name != null) | {key: .name, value: .string}] | from_entries;
def scan(re): scan(re; null);
def scan(re; flags): match(re; "g" + flags) | if (.captures | length) > 0 then [.captures | .[] | .string] else .string end;
def splits(re): splits(re; null);
def splits(re; flags): split(re; flags) | .[];
def sub(re; str): sub(re; str; "");
def gsub(re; str): sub(re; str; "g");
def gsub(re; str; flags): sub(re; str; flags + "g");
def toarray: if type == "array" then . else [.] end;
def have_literal_numbers: true;
def have_decnum: false;
def error: error(.);
"""
"""Functions written in jq. Those that loop long or need speed are natives: `streams`, `functions`, `texts`."""


def run_jq(program: str, data: Any, meter: Meter, *, zone: tzinfo, dialect: str) -> list[Any]:
    """All results of the program for one input. Raises Fault for a bad program or an error that the program does not catch."""
    node = _compiled(program)
    machine = Machine(meter, _natives(), _definitions())
    try:
        value = values.plain(data, meter, zone, dialect)
        found: list[Any] = []
        try:
            for result, _ in machine.run(node, None, value):
                found.append(result)
        except Break:
            pass
        return found
    except JqError as exc:
        message = exc.value if isinstance(exc.value, str) else f"{values.dump(exc.value)} (not a string)"
        raise Fault(f"jq: {message[:300]}") from exc
    except RecursionError as exc:
        raise Fault("jq: functions are called too deeply, or the value is nested too deeply") from exc


@lru_cache(maxsize=256)
def _compiled(program: str) -> Node:
    return parse_program(program)


@cache
def _definitions() -> dict[tuple[str, int], Node]:
    return parse_definitions(_DEFINITIONS)


@cache
def _natives() -> dict[tuple[str, int], Native]:
    pure = {key: _native(run) for key, run in {**FUNCTIONS, **TEXTS}.items()}
    return {**pure, **STREAMS, **TEXT_STREAMS}


def _native(run: Callable[..., Any]) -> Native:
    """A function of values as the machine calls it: once for each combination of its arguments' results."""

    def native(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
        for arguments in _combinations(machine, args, 0, value):
            yield run(machine.meter, value, *arguments), no_path(path)

    return native


def _combinations(machine: Machine, args: tuple[Closure, ...], at: int, value: Any) -> Iterator[tuple[Any, ...]]:
    if at == len(args):
        yield ()
        return
    for found in machine.results(args[at], value):
        for rest in _combinations(machine, args, at + 1, value):
            yield (found, *rest)
