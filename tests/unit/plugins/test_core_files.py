"""storage and namespace tasks, and files of records."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from podium.base.errors import NotFound, StorageError
from podium.plugin import TaskFailed
from podium.plugins.core.files.records import read_records, record_line, write_records
from podium.plugins.core.files.workfiles import byte_count, split_file

Run = Callable[..., Any]
FOREIGN = "kestra:///company/team/etl/executions/OTHER/tasks/t/r/x.txt"


def _parts(bench: Any, done: Any) -> list[str]:
    return [bench.text(uri) for uri in done.outputs["uris"]]


@pytest.mark.parametrize("as_json", [False, True])
def test_concat_writes_the_separator_after_each_file(bench: Any, run: Run, as_json: bool) -> None:
    one, two = bench.store("1", "a.txt"), bench.store("2", "b.txt")
    files: Any = json.dumps([one, two, one]) if as_json else [one, "{{ two }}", one]
    done = run("storage.Concat", {"two": two}, files=files, separator="\n", extension=".csv")
    assert bench.text(done.outputs["uri"]) == "1\n2\n1\n"
    assert done.outputs["uri"].endswith(".csv")
    plain = run("storage.Concat", files=[one, two])
    assert bench.text(plain.outputs["uri"]) == "12"
    assert plain.outputs["uri"].endswith(".tmp")
    assert list(bench.work.iterdir()) == []


def test_concat_of_a_list_that_an_expression_gives(bench: Any, run: Run) -> None:
    uris = [bench.store("1", "a"), bench.store("2", "b")]
    assert bench.text(run("storage.Concat", {"l": uris}, files="{{ l }}").outputs["uri"]) == "12"


@pytest.mark.parametrize("files", ["no json", '{"a": 1}', "[1]", ["/etc/passwd"], ["http://x/y"]])
def test_concat_of_what_is_no_list_of_files_fails(run: Run, files: Any) -> None:
    with pytest.raises(TaskFailed):
        run("storage.Concat", files=files)


def test_files_of_other_executions_cannot_be_taken(bench: Any, run: Run) -> None:
    bench.files.put(FOREIGN, b"secret")
    for task, properties in (
        ("storage.Concat", {"files": [FOREIGN]}), ("storage.Reverse", {"from": FOREIGN}), ("storage.Size", {"uri": FOREIGN}),
        ("storage.Split", {"from": FOREIGN, "rows": 1}), ("storage.Delete", {"uri": FOREIGN}), ("storage.LocalFiles", {"inputs": {"x": FOREIGN}}),
        ("storage.FilterItems", {"from": FOREIGN, "filterCondition": "true"}), ("storage.DeduplicateItems", {"from": FOREIGN, "expr": "x"}),
        ("namespace.UploadFiles", {"filesMap": {"x": FOREIGN}}),
    ):
        with pytest.raises(StorageError):
            run(task, **properties)
    assert bench.files.exists(FOREIGN)


def test_delete_tells_whether_the_file_was_there(bench: Any, run: Run) -> None:
    uri = bench.store("x")
    assert run("storage.Delete", {"u": uri}, uri="{{ u }}").outputs == {"uri": uri, "deleted": True}
    assert run("storage.Delete", uri=uri).outputs == {"uri": uri, "deleted": False}
    with pytest.raises(TaskFailed, match="Unable to find the file"):
        run("storage.Delete", uri=uri, errorOnMissing=True)


def test_local_files_are_written_and_collected(bench: Any, run: Run) -> None:
    stored = bench.store(b"\x00\xff", "bin")
    done = run(
        "storage.LocalFiles", {"x": "rendered"},
        inputs={"out/stay.txt": "{{ x }}", "{{ 'copy' }}.bin": stored, "gone": None, "n.txt": 5}, outputs=["out/*", "*.bin"],
    )
    assert sorted(done.outputs["uris"]) == ["copy.bin", "out/stay.txt"]
    assert bench.text(done.outputs["uris"]["out/stay.txt"]) == "rendered"
    assert bench.files.get(done.outputs["uris"]["copy.bin"]) == b"\x00\xff"
    assert (bench.work / "n.txt").read_text() == "5"
    assert run("storage.LocalFiles", outputs=["**"]).outputs["uris"].keys() == {"copy.bin", "n.txt", "out/stay.txt"}
    assert run("storage.LocalFiles", inputs='{"j.txt": "json"}', outputs=["j.txt"]).outputs["uris"].keys() == {"j.txt"}


@pytest.mark.parametrize("name", ["../x", "/../x", "a/../../x", "link/x"])
def test_local_files_stay_in_the_working_directory(bench: Any, run: Run, name: str, tmp_path: Path) -> None:
    bench.work.mkdir()
    (bench.work / "link").symlink_to(tmp_path)
    with pytest.raises((TaskFailed, StorageError)):
        run("storage.LocalFiles", inputs={name: "x"})
    assert not (tmp_path / "x").exists()


def test_links_are_not_collected(bench: Any, run: Run, tmp_path: Path) -> None:
    bench.work.mkdir()
    (tmp_path / "secret").write_text("s")
    (bench.work / "a.txt").symlink_to(tmp_path / "secret")
    assert run("storage.LocalFiles", outputs=["*"]).outputs == {"uris": {}}


def test_purging_removes_only_the_files_of_the_execution(bench: Any, run: Run) -> None:
    bench.files.put(FOREIGN, b"x")
    uris = sorted([bench.store("1", "a"), bench.store("2", "b")])
    assert run("storage.PurgeCurrentExecutionFiles").outputs == {"uris": uris}
    assert run("storage.PurgeCurrentExecutionFiles").outputs == {"uris": []}
    assert bench.files.exists(FOREIGN)


@pytest.mark.parametrize(
    ("content", "properties", "expected"),
    [
        ("1\n2\n3\n", {}, "3\n2\n1\n"), ("1\n2\n3", {}, "3\n2\n1\n"), ("", {}, ""), ("a||b||", {"separator": "||"}, "b||a||"),
        ("é\nü", {}, "ü\né\n"), ("\n\nx\n", {}, "x\n\n\n"),
    ],
)
def test_reverse(bench: Any, run: Run, content: str, properties: dict[str, str], expected: str) -> None:
    done = run("storage.Reverse", **{"from": bench.store(content, "in.txt")}, **properties)
    assert bench.text(done.outputs["uri"]) == expected
    assert done.outputs["uri"].endswith(".txt")


def test_reverse_in_another_charset(bench: Any, run: Run) -> None:
    uri = bench.store("a\nb\n".encode("utf-16-le"), "x")
    assert bench.files.get(run("storage.Reverse", **{"from": uri, "charset": "UTF-16LE"}).outputs["uri"]).decode("utf-16-le") == "b\na\n"
    with pytest.raises(TaskFailed, match="charset: 'nope'"):
        run("storage.Reverse", **{"from": uri, "charset": "nope"})


def test_size(bench: Any, run: Run) -> None:
    assert run("storage.Size", uri=bench.store("12345")).outputs == {"size": 5}
    assert run("storage.Size", uri="kestra:///company/team/_files/sql/a.sql").outputs == {"size": 8}
    with pytest.raises(TaskFailed, match="not an internal storage URI"):
        run("storage.Size", uri="/etc/passwd")
    with pytest.raises(NotFound):
        run("storage.Size", uri="kestra:///company/team/etl/executions/EXEC1/none")


@pytest.mark.parametrize(
    ("properties", "parts"),
    [
        ({"rows": 2}, ["1\n2\n", "3\n4\n", "5\n"]), ({"rows": "{{ 5 }}"}, ["1\n2\n3\n4\n5\n"]), ({"partitions": 2}, ["1\n3\n5\n", "2\n4\n"]),
        ({"partitions": 9}, ["1\n", "2\n", "3\n", "4\n", "5\n"]), ({"bytes": 4}, ["1\n2\n", "3\n4\n", "5\n"]), ({"bytes": "1KB"}, ["1\n2\n3\n4\n5\n"]),
        ({"bytes": 1}, ["1\n", "2\n", "3\n", "4\n", "5\n"]), ({"bytes": 4, "partitions": 9, "rows": 1}, ["1\n2\n", "3\n4\n", "5\n"]),
        ({"partitions": 1, "rows": 1}, ["1\n2\n3\n4\n5\n"]),
    ],
)
def test_split(bench: Any, run: Run, properties: dict[str, Any], parts: list[str]) -> None:
    done = run("storage.Split", **{"from": bench.store("1\n2\n3\n4\n5", "in.csv")}, **properties)
    assert _parts(bench, done) == parts
    assert all(uri.endswith(".csv") for uri in done.outputs["uris"])
    assert len(set(done.outputs["uris"])) == len(parts)


def test_split_with_another_separator_and_of_nothing(bench: Any, run: Run) -> None:
    assert _parts(bench, run("storage.Split", **{"from": bench.store("a;b;c;")}, rows=2, separator=";")) == ["a;b;", "c;"]
    for how in ({"rows": 1}, {"partitions": 2}, {"bytes": 5}):
        assert run("storage.Split", **{"from": bench.store("")}, **how).outputs == {"uris": []}


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({}, "Either `bytes`, `partitions` or `rows`"), ({"rows": 0}, "at least 1"), ({"partitions": -1}, "at least 1"), ({"bytes": "ten"}, "bytes: 'ten'"),
        ({"rows": 1, "separator": ""}, "separator"), ({"partitions": 10**9}, "partitions: at most"),
    ],
)
def test_split_says_what_is_wrong(bench: Any, run: Run, properties: dict[str, Any], why: str) -> None:
    with pytest.raises(TaskFailed, match=why):
        run("storage.Split", **{"from": bench.store("1\n2\n")}, **properties)


@pytest.mark.parametrize(("text", "expected"), [("10MB", 10 * 1024**2), ("200 kb", 200 * 1024), (7, 7), ("1.5K", 1536), ("5B", 5), ("1GB", 1024**3)])
def test_sizes(text: Any, expected: int) -> None:
    assert byte_count(text, "bytes") == expected


def test_splitting_a_file_larger_than_a_read_keeps_rows_whole(tmp_path: Path) -> None:
    source = tmp_path / "big.txt"
    rows = [f"row {number} " + "x" * (number % 97) for number in range(40_000)]
    source.write_text("\n".join(rows))
    parts = split_file(source, tmp_path, bytes_max=300_000)
    assert all(0 < part.stat().st_size <= 300_000 for part in parts)
    assert "".join(part.read_text() for part in parts) == "\n".join(rows) + "\n"


def test_write_stores_a_text(bench: Any, run: Run) -> None:
    done = run("storage.Write", {"x": "é"}, content="a {{ x }}\r\n", extension="md")
    assert bench.text(done.outputs["uri"]) == "a é\r\n"
    assert done.outputs["uri"].endswith(".md")
    assert bench.text(run("storage.Write", content="").outputs["uri"]) == ""
    assert run("storage.Write", content="x", extension="../../x").outputs["uri"].startswith("kestra:///company/team/etl/executions/EXEC1/tasks/t/RUN1/")


ITEMS = '{"id":1,"v":"a"}\n{"id":2,"v":"b"}\n{"id":1,"v":"c"}\n\n{"id":3,"v":"d"}\n'


def test_deduplicate_keeps_the_last_item_of_each_key_in_order(bench: Any, run: Run) -> None:
    done = run("storage.DeduplicateItems", **{"from": bench.store(ITEMS)}, expr="{{ id }}")
    assert {key: value for key, value in done.outputs.items() if key != "uri"} == {"numKeys": 3, "processedItemsTotal": 4, "droppedItemsTotal": 1}
    assert bench.text(done.outputs["uri"]) == '{"id":2,"v":"b"}\n{"id":1,"v":"c"}\n{"id":3,"v":"d"}\n'


def test_deduplicate_of_ion_and_by_several_fields(bench: Any, run: Run) -> None:
    ion = "{id:1,kind:sym}\n{id:1,kind:\"sym\"}\n{id:1, t:2024-01-01T00:00:00Z, kind:other}\n{id:1}\n"
    done = run("storage.DeduplicateItems", **{"from": bench.store(ion)}, expr="{{ id }}-{{ kind ?? '' }}")
    assert (done.outputs["processedItemsTotal"], done.outputs["numKeys"]) == (4, 3)
    assert "2024-01-01T00:00:00" in bench.text(done.outputs["uri"])


@pytest.mark.parametrize(
    ("properties", "kept"),
    [
        ({"filterCondition": "{{ id == 1 }}"}, "ac"), ({"filterCondition": "{{ id == 1 }}", "filterType": "EXCLUDE"}, "bd"),
        ({"filterCondition": " {{ v == 'd' ? 1 : 0 }} "}, "d"), ({"filterCondition": "{{ missing }}", "errorOrNullBehavior": "INCLUDE"}, "abcd"),
        ({"filterCondition": "{{ missing }}", "errorOrNullBehavior": "EXCLUDE"}, ""),
        ({"filterCondition": "{{ null }}", "errorOrNullBehavior": "INCLUDE", "filterType": "EXCLUDE"}, "abcd"),
        ({"filterCondition": "{{ id is odd and flow.id == 'etl' }}"}, "acd"),
    ],
)
def test_filter(bench: Any, run: Run, properties: dict[str, str], kept: str) -> None:
    done = run("storage.FilterItems", **{"from": bench.store(ITEMS)}, **properties)
    lines = bench.text(done.outputs["uri"]).splitlines()
    assert "".join(json.loads(line)["v"] for line in lines) == kept
    assert (done.outputs["processedItemsTotal"], done.outputs["droppedItemsTotal"]) == (4, 4 - len(kept))


@pytest.mark.parametrize("condition", ["{{ missing }}", "{{ null }}", "{{ v + }}"])
def test_filter_fails_on_an_item_without_answer(bench: Any, run: Run, condition: str) -> None:
    with pytest.raises(TaskFailed, match=r"Failed to evaluate `filterCondition` on the item .*\"v\": \"a\""):
        run("storage.FilterItems", **{"from": bench.store(ITEMS)}, filterCondition=condition)


def test_a_file_that_holds_no_records_is_named_by_line(bench: Any, run: Run) -> None:
    with pytest.raises(StorageError, match="line 2 is neither JSON nor Ion"):
        run("storage.FilterItems", **{"from": bench.store('{"a":1}\n}{ nonsense\n')}, filterCondition="true")


def test_records_survive_being_written_and_read(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"a": 1, "b": 1.5, "n": None, "t": True, "é": ["x", {"y": "\u2028"}]}, "text", [1, 2], 5,
        {"at": datetime(2026, 1, 5, 8, tzinfo=UTC), "day": date(2026, 1, 5), "dec": Decimal("1.50"), "raw": b"\x00\xff"}, {"z": float("inf")},
        {"local": datetime.fromisoformat("2026-01-05T08:00:00.000005"), "zoned": datetime(2026, 1, 5, 8, tzinfo=ZoneInfo("Europe/Paris")), "clock": time(8, 30)},
        {"fine": datetime(2026, 1, 5, 8, 0, 0, 123456, tzinfo=UTC), "long": timedelta(minutes=90), "digits": Decimal("0.1234567890123456789012")},
    ]
    path = tmp_path / "r.ion"
    assert write_records(path, rows) == 8
    assert [value for value, _ in read_records(path)] == rows
    assert path.read_bytes().splitlines()[0] == '{"a":1,"b":1.5,"n":null,"t":true,"é":["x",{"y":"\u2028"}]}'.encode()
    assert record_line({"d": timedelta(minutes=90)}) == b'{d:Duration::"PT1H30M"}\n'


def test_binary_ion_and_values_over_several_lines_are_read(tmp_path: Path) -> None:
    from amazon.ion import simpleion

    path = tmp_path / "r.ion"
    path.write_bytes(simpleion.dumps([{"a": 1}, {"a": "x"}], sequence_as_stream=True))
    assert [value for value, _ in read_records(path)] == [{"a": 1}, {"a": "x"}]
    path.write_text('{"a": 1}\n{a: sym, b: Duration::"PT1H"}\n{a:\n  [1,\n 2]}\n{"a": 4}\n')
    found = list(read_records(path))
    assert [value for value, _ in found] == [{"a": 1}, {"a": "sym", "b": timedelta(hours=1)}, {"a": [1, 2]}, {"a": 4}]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for _, line in found)


def test_uploads_lie_over_the_repository(bench: Any, run: Run) -> None:
    bench.work.mkdir()
    (bench.work / "out").mkdir()
    (bench.work / "out" / "a.txt").write_text("a")
    (bench.work / "b.md").write_text("b")
    stored = bench.store("mapped")
    done = run("namespace.UploadFiles", {"u": stored}, files=["out/*.txt", "/b.md"], filesMap={"m/{{ 'c' }}.txt": "{{ u }}"}, destination="/up")
    assert done.outputs["files"] == {
        path: f"kestra:///company/team/_files/{path}" for path in ("up/b.md", "up/out/a.txt", "up/m/c.txt")
    }
    assert "it is not in Git" in done.log
    found = run("namespace.DownloadFiles", files=["up/**", "sql/a.sql"], destination="got")
    assert {path: bench.text(uri) for path, uri in found.outputs["files"].items()} == {
        "sql/a.sql": "select 1", "up/b.md": "b", "up/m/c.txt": "mapped", "up/out/a.txt": "a",
    }
    assert found.outputs["files"]["sql/a.sql"].endswith("/RUN1/got/sql/a.sql")
    assert [(each.name, each.value) for each in found.result.metrics] == [("downloaded", 4)]


def test_conflicts_of_uploads(bench: Any, run: Run) -> None:
    new = {"filesMap": {"sql/a.sql": bench.store("new"), "n.txt": bench.store("n", "n")}}
    with pytest.raises(TaskFailed, match=r"File sql/a\.sql already exists"):
        run("namespace.UploadFiles", **new, conflict="ERROR")
    assert list(run("namespace.UploadFiles", **new, conflict="SKIP").outputs["files"]) == ["n.txt"]
    assert bench.text(run("namespace.DownloadFiles", files="sql/a.sql").outputs["files"]["sql/a.sql"]) == "select 1"
    assert "over the one in Git" in run("namespace.UploadFiles", **new, conflict="{{ 'OVERWRITE' }}").log
    assert bench.text(run("namespace.DownloadFiles", files="sql/a.sql").outputs["files"]["sql/a.sql"]) == "new"


def test_deleting_leaves_what_is_in_git(bench: Any, run: Run) -> None:
    run("namespace.UploadFiles", filesMap=json.dumps({"x/a.sql": bench.store("a"), "run.py": bench.store("over")}))
    done = run("namespace.DeleteFiles", files=["**/*.sql", "run.py"])
    assert sorted(done.outputs["files"]) == ["run.py", "x/a.sql"]
    assert [(each.name, each.value) for each in done.result.metrics] == [("deleted", 2)]
    assert ("WARN", "File sql/a.sql is in Git and stays: remove it with a commit") in done.log.lines
    assert bench.text(run("namespace.DownloadFiles", files="run.py").outputs["files"]["run.py"]) == "print(1)"


def test_other_namespaces_have_uploads_of_their_own(bench: Any, run: Run) -> None:
    run("namespace.UploadFiles", namespace="other.ns", filesMap={"x.txt": bench.store("x")})
    assert run("namespace.DownloadFiles", files="x.txt").outputs["files"] == {}
    assert list(run("namespace.DownloadFiles", namespace="other.ns", files="x.txt").outputs["files"]) == ["x.txt"]


@pytest.mark.parametrize(
    ("properties", "why"),
    [({"files": ["none*"]}, "No files to upload"), ({}, "No files to upload"), ({"filesMap": "[1]"}, "filesMap"), ({"filesMap": "nojson"}, "filesMap")],
)
def test_uploading_nothing_fails(bench: Any, run: Run, properties: dict[str, Any], why: str) -> None:
    with pytest.raises(TaskFailed, match=why):
        run("namespace.UploadFiles", **properties)


def test_an_upload_cannot_leave_its_namespace(bench: Any, run: Run) -> None:
    for path in ("../other/x", "a/../../x"):
        with pytest.raises(StorageError):
            run("namespace.UploadFiles", filesMap={path: bench.store("x")})


def test_no_matching_file_is_a_warning(run: Run) -> None:
    done = run("namespace.DownloadFiles", files=["nothing*"])
    assert done.outputs == {"files": {}}
    assert done.log.lines[0][0] == "WARN"


def test_older_versions_of_files_are_in_git(run: Run) -> None:
    assert run("namespace.PurgeFiles", namespaces=["a"], behavior={"type": "version", "keepAmount": 2}).outputs == {"size": 0}
