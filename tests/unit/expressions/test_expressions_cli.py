"""`podium expr`, run as a command."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from podium.cli.main import cli


@pytest.fixture
def run():
    """run(*arguments, input="") -> result"""
    return lambda *arguments, **options: CliRunner().invoke(cli, ["expr", *arguments], **options)


def test_a_template_is_rendered_over_a_context(run, tmp_path):
    file = tmp_path / "context.json"
    file.write_text('{"who": "file"}')
    assert run("{{ who | upper }}", "--context", '{"who": "ada"}').output == "ADA\n"
    assert run("{{ who }}", "--context", str(file)).output == "file\n"
    assert run("{{ '10' - 1 }}", "--dialect", "2.0").output == "9\n"


def test_typed_prints_the_value_as_json(run):
    assert run("{{ [1, 'a'] }}", "--typed").output == '[1,"a"]\n'
    assert run("{{ null }}", "--typed").output == "null\n"


def test_errors_go_to_standard_error_with_an_exit_code(run):
    failed = run("{{ gone }}")
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "Unable to find `gone`" in failed.stderr
    assert run().exit_code == 2
    assert run("{{ 1 }}", "--context", "/no/such/file").exit_code == 2
    assert run("{{ 1 }}", "--context", "{bad").exit_code == 2


@pytest.mark.parametrize("template", ["{{ secret('x') }}", "{{ kv('x') }}", "{{ read('x') }}", "{{ fileSize('x') }}", "{{ fileExists('x') }}", "{{ http('http://x') }}", "{{ errorLogs() }}", "{{ subflow(namespace='a', id='b') }}", "{{ fileURI('x') }}"])
def test_what_needs_an_execution_says_so(run, template):
    failed = run(template)
    assert failed.exit_code == 1
    assert "outside of an execution" in failed.stderr


def test_a_batch_answers_each_line_in_order(run):
    cases = [
        {"id": "a", "template": "{{ x + 1 }}", "context": {"x": 1}},
        {"id": "b", "template": "{{ gone }}", "context": {}},
        {"id": "c", "template": "{{ '7' / 2 }}", "context": {}, "dialect": "2.0"},
        {"id": "d", "template": "{{ fileURI('/dir/a') }} {{ kv('x', errorOnMissing=false) }}|", "context": {"flow": {"namespace": "a.b"}}},
        {"id": "e"},
    ]
    lines = [*map(json.dumps, cases), "not json", ""]
    answers = [json.loads(line) for line in run("--batch", input="\n".join(lines)).output.splitlines()]
    assert answers[0] == {"id": "a", "result": "2"}
    assert answers[1]["error"].startswith("Unable to find `gone`")
    assert answers[2:4] == [{"id": "c", "result": "3"}, {"id": "d", "result": "kestra:///a/b/_files/dir/a |"}]
    assert "error" in answers[4]
    assert answers[5]["id"] is None
    assert len(answers) == 6


def test_a_batch_reads_markers_of_types(run):
    context = {
        "i": {"$instant": "2024-03-05T14:07:00Z"}, "z": {"$zoned": "2024-03-05T14:07:00+01:00[Europe/Paris]"}, "d": {"$date": "2024-03-05"},
        "dt": {"$datetime": "2024-03-05T14:07:00"}, "t": {"$time": "14:07"}, "du": {"$duration": "PT90M"}, "f": {"$float": 1}, "b": {"$bigdecimal": "1.10"},
        "l": [{"$long": 5}],
    }  # fmt: skip
    line = json.dumps({"id": 1, "template": "{{ i }} {{ z }} {{ d }} {{ dt }} {{ t }} {{ du }} {{ f }} {{ b }} {{ l }}", "context": context})
    answer = json.loads(run("--batch", input=line).output)
    assert answer["result"] == (
        "2024-03-05T14:07:00Z 2024-03-05T14:07+01:00[Europe/Paris] 2024-03-05 2024-03-05T14:07 14:07 PT1H30M 1.0 1.10 [5]"
    )


def test_chance_and_clock_are_real(run):
    output = run("{{ uuid() | length }} {{ id() | length }} {{ randomInt(5, 6) }} {{ randomPort() > 1023 }} {{ now('yyyy') > '2000' }}", "--dialect", "2.0").output
    assert output == "36 22 5 true true\n"
