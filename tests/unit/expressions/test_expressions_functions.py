"""Functions: of values, of the World, of templates inside values."""

from __future__ import annotations

import pytest

from podium.base.errors import ExpressionError


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ max(1, 2.5, null) }} {{ min(null, 3) }} {{ max() }}|{{ max(-1, -2) }}", "2.5 3 |-1"),
        ("{{ range(0, 6, 3) }} {{ range(3, 1, -1) }} {{ range('a', 'c') }} {{ range(1.9, 3.9) }}", '[0,3,6] [3,2,1] ["a","b","c"] [1,2,3]'),
        ("{{ fromJson('{\"a\": [1, 2.5, null]} rest') }} {{ fromJson('1e2') }} {{ fromJson(null) }}|", '{"a":[1,2.5,null]} 100.0 |'),
        ("{{ fromIon('{a: 1, d: 2024-04-21, s: sym} {a: 2}') }}", '{"a":1,"d":"2024-04-21","s":"sym"}'),
        ("{{ fromIon('1.50 2', allRows=true) }} {{ fromIon('2024-04-21T23:00:00.000Z') }} {{ fromIon('') }}|", "[1.50,2] 2024-04-21T23:00:00Z |"),
        ("{{ fromIon('2024-04-21T01:00:00+02:00') }} {{ fromIon('ZonedDateTime::\"2024-03-05T14:07:00+01:00[Europe/Paris]\"') | date('HH') }}",
         "2024-04-21T01:00+02:00 13"),
        ("{{ yaml('a: yes\nb: 010\nc: 0x1F\nd: 1_000\ne: 2024-01-01\nf: 1e3\ng: ~\nh: \"1\"') }}",
         '{"a":true,"b":8,"c":31,"d":1000,"e":"2024-01-01","f":1000.0,"h":"1"}'),
        ("{{ yaml('a: &x 1\nb: *x') }} {{ yaml('- 1\n- {b: [2]}') }}", '{"a":1,"b":"x"} [1,{"b":[2]}]'),
        ("{% set x = 1 %}{{ printContext().a }}{{ fetchContext().x }}", "51"),
        ("{{ tasksWithState('failed') }}", '[{"state":"FAILED","taskId":"t1"},{"state":"FAILED","value":"v","taskId":"t2"}]'),
        ("{{ currentEachOutput(outputs.each).value }}", "deep"),
    ],
)  # fmt: skip
def test_functions_of_values(render, template, expected):
    context = {
        "a": 5,
        "tasks": {"t1": {"state": "FAILED"}, "t2": {"v": {"state": "FAILED"}, "w": {"state": "SUCCESS"}}},
        "outputs": {"each": {"p": {"v": {"value": "deep"}}}},
        "taskrun": {"value": "v"},
        "parents": [{"taskrun": {"value": "p"}}, {"outputs": {}}],
    }
    assert render(template, context) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ max(1, 'a') }}", "{{ range(1) }}", "{{ range(1, 5, 0) }}", "{{ range(0, 100000000) }}", "{{ fromJson('') }}", "{{ fromJson(5) }}",
        "{{ fromJson(\"{'a': 1}\") }}", "{{ fromJson('NaN') }}", "{{ fromIon('{') }}", "{{ fromIon(5) }}", "{{ fromIon('null') }}", "{{ yaml(null) }}", "{{ yaml('') }}",
        "{{ yaml('a: : b') }}", "{{ currentEachOutput('x') }}", "{{ tasksWithState() }}", "{{ render() }}", "{{ now(nope=1) }}", "{{ max(a=1) }}",
        "{{ nofun() }}", "{{ secret() }}", "{{ randomInt('1', 2) }}", "{{ randomInt(2, 1) }}", "{{ nanoId(0) }}", "{{ i18n('a', 'b') }}",
        "{{ parent() }}", "{{ read(null) }}", "{{ read('a.txt', version=1) }}", "{{ http() }}", "{{ http('x', headers='no') }}", "{{ subflow(id='x') }}",
    ],
)  # fmt: skip
def test_functions_refuse(render, template):
    with pytest.raises(ExpressionError):
        render(template)


def test_an_unknown_function_is_named(render):
    with pytest.raises(ExpressionError, match=r"Function or Macro \[nofun\] does not exist\."):
        render("{{ nofun(1) }}")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ now() }}", "2024-03-05T14:07:09.123456Z"),
        ("{{ now('sql_sec', timeZone='Asia/Tokyo') }}", "2024-03-05 23:07:09"),
        ("{{ uuid() | length }} {{ id() | length }} {{ ksuid() | length }} {{ nanoId(5, 'ab') }}", "36 22 27 bbbbb"),
        ("{{ randomInt(1, 7) }} {{ randomInt(3, 3) }} {{ randomPort() }}", "6 3 4711"),
        ("{{ secret('TOKEN') }} {{ kv('count') + 1 }} {{ kv('count', 'other') }} {{ kv('x', errorOnMissing=false) ?? 'd' }}", "s3cret 4 4 d"),
        ("{{ read('a.txt') }} {{ fileSize('a.txt') }} {{ fileExists('b') }} {{ isFileEmpty('empty.txt') }}", "héllo 6 false true"),
        ("{{ fileURI('x/y', namespace='a.b') }}", "kestra:///a/b/_files/x/y"),
        ("{{ errorLogs()[0].message }} {{ http('http://h', method='POST', body={'a': 1}).ok }} {{ subflow(namespace='n', id='f').out }}", "boom true 1"),
    ],
)
def test_functions_of_the_world(render, template, expected):
    assert render(template) == expected


def test_the_world_is_asked_with_the_arguments_as_written(render, world):
    render("{{ secret('TOKEN', namespace='n', subkey='k') }}{{ http('http://h', contentType='text/plain', query={'q': 1}) }}")
    render("{{ secret('TOKEN', full=true) }}", dialect="2.0")
    assert world.asked == [
        ("secret", "TOKEN", "n", "k", False),
        ("http", "http://h", {"content_type": "text/plain", "query": {"q": 1}}),
        ("secret", "TOKEN", None, None, True),
    ]


def test_an_error_of_the_world_becomes_one_of_the_expression(render):
    with pytest.raises(ExpressionError) as caught:
        render("{{ secret('GONE') }}")
    assert "Cannot find secret for key 'GONE'." in caught.value.what
    assert caught.value.hint == "set it"
    with pytest.raises(ExpressionError):
        render("{{ secret('TOKEN', subkey='k', full=true) }}", dialect="2.0")


def test_encrypt_and_decrypt(render):
    context = {"key": "I6EGNzRESu3X3pKZidrqCGOHQFUFC0yK"}
    assert render("{{ decrypt(key, encrypt(key, 'plain é')) }}|{{ encrypt(key, '') }}|{{ decrypt(key, null) }}", context) == "plain é||"
    for template in ("{{ decrypt(key, 'AAAA') }}", "{{ encrypt('short', 'x') }}", "{{ decrypt('AAAAAAAAAAAAAAAAAAAAAA==', encrypt(key, 'x')) }}"):
        with pytest.raises(ExpressionError):
            render(template, context)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ render(c) }} {{ render(c, false) }} {{ renderOnce(c) }}", "1 {{ a }} {{ a }}"),
        ("{{ render({'{{ a }}': ['{{ c }}', 5]}) }} {{ render(5) }} {{ render(null) }}|", '{"1":["1",5]} 5 |'),
        ("{% set loc = 'L' %}{{ render('{{ loc }}') }}{% for i in [1] %}{{ render('{{ i }}') }}{% endfor %}", "L1"),
        ("{{ render(raw) }} {{ render('{{ 1 }}') + 1 }}", "{{ a }} 11"),
    ],
)
def test_render(render, template, expected):
    assert render(template, {"a": 1, "b": "{{ a }}", "c": "{{ b }}", "raw": "{% raw %}{{ a }}{% endraw %}"}) == expected


@pytest.mark.parametrize("template", ["{{ render('{{ gone }}') ?? 'd' }}", "{{ render('{{ x') }}", "{{ render(l)[0] }}", "{{ render('x', 'y') }}", "{{ render(self) }}"])
def test_render_fails_like_its_template(render, template):
    with pytest.raises(ExpressionError):
        render(template, {"l": "{{ [1] }}", "self": "{{ render(self) }}"})


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ dayOfWeek(d) }} {{ dayOfMonth(d) }} {{ monthOfYear(d) }} {{ hourOfDay(d) }} {{ isWeekend(d) }}", "SATURDAY 2 3 10 true"),
        ("{{ hourOfDay('2024-03-03T23:30:00+02:00') }} {{ isWeekend('2024-03-03T23:30:00Z') }}", "23 true"),
        ("{{ isLastWorkingDay('2024-03-29') }} {{ isLastWorkingDay('2024-03-31', 'sunday') }}", "true true"),
        ("{{ isDayWeekInMonth('2024-03-04', 'MONDAY', 'FIRST') }} {{ isDayWeekInMonth('2024-03-25', 'monday', 'last') }}", "true true"),
        ("{{ isPublicHoliday('2024-07-14', 'FR') }} {{ isPublicHoliday('2024-07-15', 'FR') }}", "true false"),
        ("{{ isDateBetween('2024-03-05T01:00:00+02:00', '2024-03-04T22:59:59Z', '2024-03-04T23:00:01Z') }}", "true"),
        ("{{ isDateAfter('2024-03-05', '2024-03-04') }} {{ isDateBefore('2024-03-05T00:00:00Z', '2024-03-05') }}", "true false"),
        ("{{ env('home') }} {{ env('blank', 'd') }} {{ env('gone') }}|", "/root d |"),
        ("{{ loopOutputs(o, 'r') }}", "[1,null,null]"),
    ],
)
def test_functions_of_the_new_dialect(render, template, expected):
    context = {"d": "2024-03-02T10:30:00Z", "envs": {"home": "/root", "blank": ""}, "o": [{"outputs": {"r": 1}}, {"outputs": {}}, 5]}
    assert render(template, context, "2.0") == expected
    with pytest.raises(ExpressionError, match="does not exist"):
        render(template, context)


@pytest.mark.parametrize(
    "template",
    ["{{ dayOfWeek(null) }}", "{{ dayOfWeek('x') }}", "{{ hourOfDay('2024-03-05') }}", "{{ isLastWorkingDay('2024-03-05', 'x') }}",
     "{{ isLastWorkingDay('2024-03-05', ', ') }}", "{{ isDayWeekInMonth('2024-03-05', 'MONDAY', 'FIFTH') }}", "{{ isPublicHoliday('2024-03-05', 'ZZ') }}",
     "{{ isDateBetween('2024-03-05', '2024-03-05T00:00:00Z', '2024-03-05T00:00:00Z') }}", "{{ loopOutputs('x', 'r') }}", "{{ env() }}"],
)  # fmt: skip
def test_functions_of_the_new_dialect_refuse(render, template):
    with pytest.raises(ExpressionError):
        render(template, {}, "2.0")
