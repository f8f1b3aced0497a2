"""Conversions between CSV, JSON and records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podium.plugin import TaskFailed

Run = Callable[..., Any]
CSV, JSON = "serdes.csv.", "serdes.json."


def records(bench: Any, done: Any) -> list[Any]:
    return [json.loads(line) for line in bench.text(done.outputs["uri"]).splitlines()]


def test_csv_becomes_records_of_texts(bench: Any, run: Run) -> None:
    uri = bench.store('\ufeffid,name,note\n1,"Smith, ""J""",\\N\n2,"two\nlines",\n', "in.csv")
    done = run(CSV + "CsvToIon", **{"from": uri})
    assert records(bench, done) == [{"id": "1", "name": 'Smith, "J"', "note": None}, {"id": "2", "name": "two\nlines", "note": ""}]
    assert done.outputs["uri"].endswith(".ion")
    assert done.outputs["size"] == 2
    assert [(each.name, each.value) for each in done.result.metrics] == [("records", 2)]
    assert list(bench.work.iterdir()) == []


def test_csv_with_options(bench: Any, run: Run) -> None:
    uri = bench.store("a;b\n\n'x;1';2\n3;4\n".encode("latin-1") + "é;ü\n".encode("latin-1"), "in.csv")
    more = {"from": uri, "fieldSeparator": ";", "textDelimiter": "'", "charset": "ISO-8859-1", "skipEmptyRows": True}
    assert records(bench, run(CSV + "CsvToIon", **more)) == [{"a": "x;1", "b": "2"}, {"a": "3", "b": "4"}, {"a": "é", "b": "ü"}]
    assert records(bench, run(CSV + "CsvToIon", **more, skipRows=2)) == [{"a": "é", "b": "ü"}]
    assert records(bench, run(CSV + "CsvToIon", **more, header=False))[0] == ["a", "b"]
    assert run(CSV + "CsvReader", **more).outputs["size"] == 3


def test_bad_lines_fail_or_are_left_out(bench: Any, run: Run) -> None:
    uri = bench.store("a,b\n1,2\n3\n4,5,6\n7,8\n", "in.csv")
    with pytest.raises(TaskFailed, match="line 3 has 1 fields, 2 are expected"):
        run(CSV + "CsvToIon", **{"from": uri})
    warned = run(CSV + "CsvToIon", **{"from": uri}, onBadLines="WARN")
    assert [row["a"] for row in records(bench, warned)] == ["1", "7"]
    assert "line 4 has 3 fields" in warned.log
    assert run(CSV + "CsvToIon", **{"from": uri}, onBadLines="SKIP").log.lines == []
    quoted = bench.store('a,b\n1,"x"y\n', "q.csv")
    with pytest.raises(TaskFailed, match="line 2"):
        run(CSV + "CsvToIon", **{"from": quoted})
    assert records(bench, run(CSV + "CsvToIon", **{"from": quoted}, allowExtraCharsAfterClosingQuote=True)) == [{"a": "1", "b": "xy"}]
    with pytest.raises(TaskFailed, match="line 1: field larger"):
        run(CSV + "CsvToIon", **{"from": uri}, maxFieldSize=1, header=False, fieldSeparator="\t")


def test_columns_without_a_name_are_dropped_or_named(bench: Any, run: Run) -> None:
    uri = bench.store("a,,c\n1,2,3\n", "in.csv")
    assert records(bench, run(CSV + "CsvToIon", **{"from": uri})) == [{"a": "1", "c": "3"}]
    assert records(bench, run(CSV + "CsvToIon", **{"from": uri}, onEmptyHeader="RENAME")) == [{"a": "1", "column_2": "2", "c": "3"}]


def test_wrong_text_and_wrong_options_are_named(bench: Any, run: Run) -> None:
    uri = bench.store(b"a\n\xff\xfe\n", "in.csv")
    with pytest.raises(TaskFailed, match="no UTF-8 text"):
        run(CSV + "CsvToIon", **{"from": uri})
    with pytest.raises(TaskFailed, match="charset: 'UTF-99' is not known"):
        run(CSV + "CsvToIon", **{"from": uri}, charset="UTF-99")
    with pytest.raises(TaskFailed, match="fieldSeparator: a single character"):
        run(CSV + "CsvToIon", **{"from": uri}, fieldSeparator=";;")


ROWS = (
    '{n:1,t:"a,b",f:1.5e0,d:10.50,b:true,z:null,day:2026-01-05,at:2026-01-05T08:09:10.123Z,local:LocalDateTime::"2026-01-05T08:09:10.5",'
    'zoned:ZonedDateTime::"2026-01-05T09:00:00+01:00[Europe/Paris]",time:LocalTime::"08:00:00",raw:{{AP8=}},list:[1,2]}\n'
)


def test_records_become_csv(bench: Any, run: Run) -> None:
    done = run(CSV + "IonToCsv", **{"from": bench.store(ROWS)})
    assert bench.text(done.outputs["uri"]) == (
        "n,t,f,d,b,z,day,at,local,zoned,time,raw,list\n"
        '1,"a,b",1.5,10.50,true,,2026-01-05,2026-01-05T08:09:10.123Z,2026-01-05T08:09:10.500,2026-01-05T08:00:00.000Z,08:00:00,AP8=,"[1, 2]"\n'
    )
    assert done.outputs["uri"].endswith(".csv")
    zoned = run(
        CSV + "IonToCsv", **{"from": bench.store(ROWS)}, timeZoneId="Europe/Paris", dateFormat="dd/MM/yyyy", dateTimeFormat="HH:mm[ XXX]", header=False,
        fieldSeparator=";", lineDelimiter="\r\n",
    )
    assert bench.text(zoned.outputs["uri"]).endswith(';05/01/2026;08:09 Z;08:09;09:00 +01:00;08:00:00;AP8=;[1, 2]\r\n')


def test_quotation_marks_as_asked(bench: Any, run: Run) -> None:
    uri = bench.store('{"a": 1, "b": "x\\"y", "c": null}\n')

    def text(**more: Any) -> str:
        return str(bench.text(run(CSV + "IonToCsv", **{"from": uri}, header=False, **more).outputs["uri"]))

    assert text() == '1,"x""y",\n'
    assert text(alwaysDelimitText=True) == '"1","x""y",""\n'
    assert text(quoteMode="NON_NUMERIC") == '1,"x""y",""\n'
    assert text(textDelimiter="'", quoteMode="ALWAYS") == "'1','x\"y',''\n"


def test_lists_become_csv_without_a_header_only(bench: Any, run: Run) -> None:
    uri = bench.store('["a", 1]\n["b", 2]\n')
    assert bench.text(run(CSV + "IonToCsv", **{"from": uri}, header=False).outputs["uri"]) == "a,1\nb,2\n"
    with pytest.raises(TaskFailed, match="List with header"):
        run(CSV + "IonToCsv", **{"from": uri})
    with pytest.raises(TaskFailed, match="row 1 cannot be written in ASCII"):
        run(CSV + "IonToCsv", **{"from": bench.store('["é"]\n')}, header=False, charset="ASCII")


def test_json_becomes_records(bench: Any, run: Run) -> None:
    lines = bench.store('{"a": 1.5}\n\n[1, 2]\n"x"\n', "in.jsonl")
    assert records(bench, run(JSON + "JsonToIon", **{"from": lines})) == [{"a": 1.5}, [1, 2], "x"]
    whole = bench.store('[\n {"a": 1},\n {"a": 2}\n]', "in.json")
    assert records(bench, run(JSON + "JsonToIon", **{"from": whole}, newLine=False)) == [{"a": 1}, {"a": 2}]
    assert run(JSON + "JsonToJsonl", **{"from": whole}).outputs["size"] == 2
    with pytest.raises(TaskFailed, match=r"line 1 is not JSON.*newLine: false"):
        run(JSON + "JsonToIon", **{"from": whole})
    with pytest.raises(TaskFailed, match="line 2 is not JSON"):
        run(JSON + "JsonToIon", **{"from": bench.store('1\nNaN\n')})


def test_records_become_json(bench: Any, run: Run) -> None:
    expected = (
        '{"n":1,"t":"a,b","f":1.5,"d":10.50,"b":true,"z":null,"day":"2026-01-05","at":"2026-01-05T08:09:10.123Z",'
        '"local":"2026-01-05T08:09:10.5","zoned":"2026-01-05T09:00:00+01:00","time":"08:00:00","raw":"AP8=","list":[1,2]}'
    )
    done = run(JSON + "IonToJson", **{"from": bench.store(ROWS)}, timeZoneId="Europe/Paris")
    assert bench.text(done.outputs["uri"]) == expected + "\n"
    assert done.outputs["uri"].endswith(".jsonl")
    whole = run(JSON + "IonToJson", **{"from": bench.store(ROWS * 2)}, timeZoneId="Europe/Paris", newLine=False)
    assert bench.text(whole.outputs["uri"]) == f"[{expected},{expected}]"
    assert whole.outputs == {"uri": whole.outputs["uri"], "size": 2}
    assert bench.text(run(JSON + "IonToJson", **{"from": bench.store("")}, newLine=False).outputs["uri"]) == "[]"


def test_parquet_becomes_records(bench: Any, run: Run, tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "x.parquet"
    duckdb.execute(f"copy (select range as n, date '2026-01-05' as day, [range] as l from range(2)) to '{path}'")
    done = run("serdes.parquet.ParquetToIon", **{"from": bench.store(path.read_bytes(), "x.parquet")})
    assert bench.text(done.outputs["uri"]) == "{n:0,day:2026-01-05,l:[0]}\n{n:1,day:2026-01-05,l:[1]}\n"
    with pytest.raises(TaskFailed, match="cannot be read"):
        run("serdes.parquet.ParquetToIon", **{"from": bench.store(b"no parquet")})
