"""The vocabulary of expressions for people: every function, filter and variable with its parameters and one line about it.

Called by web for the editor. What always holds (a test): each function and filter that templates can call has its line, and no other has one.
"""

from __future__ import annotations

from typing import Any

from podium.expressions.calls import BOTH, VARIADIC, Filter, Function
from podium.expressions.filters.table import FILTERS
from podium.expressions.functions.table import FUNCTIONS

FILTER_WORDS: dict[str, str] = {
    "abbreviate": "Shortens a text to so many characters, with `...` at its end.",
    "abs": "The number without its sign.",
    "base64decode": "The text that a base64 text stands for.",
    "base64encode": "The text as base64.",
    "capitalize": "The text with its first letter in upper case.",
    "chunk": "Cuts a list into lists of so many items.",
    "className": "The name of the value's type.",
    "date": "Formats a date: a pattern of Java's, or a name like `iso_local_date`.",
    "dateAdd": "Adds an amount of a unit (`DAYS`, `HOURS`, …) to a date.",
    "default": "Another value in place of one that is missing, null or empty.",
    "distinct": "The list with each value once.",
    "endsWith": "Whether the text ends with another.",
    "escapeChar": "Escapes quotes: `single`, `double` or `shell`.",
    "first": "The first item of a list, or the first character.",
    "flatten": "Lists in a list as one list.",
    "format": "Formats a text with `%s`, `%d` and the like.",
    "indent": "Indents every line but the first.",
    "join": "The items of a list as one text.",
    "jq": "Applies a jq expression; gives a list of all results.",
    "json": "The value as JSON (older name of `toJson`).",
    "keys": "The keys of a map, or the positions of a list.",
    "last": "The last item of a list, or the last character.",
    "length": "How many items or characters there are.",
    "lower": "The text in lower case.",
    "md5": "The MD5 digest of a text.",
    "merge": "Two maps or lists as one.",
    "nindent": "Begins a new line and indents every line.",
    "nl2br": "Line breaks as `<br />`.",
    "number": "The text as a number; `type`: `INT`, `FLOAT`, `LONG`, `DOUBLE`, `BIGDECIMAL`, `BIGINTEGER`.",
    "numberFormat": "Formats a number with a pattern like `#,##0.00`.",
    "regexExtract": "What a pattern finds in the text, or one group of it.",
    "regexMatch": "Whether a pattern is found in the text.",
    "regexReplace": "Replaces what a pattern finds.",
    "replace": "Replaces texts by others: `{'old': 'new'}`; with `regexp=true` patterns.",
    "reverse": "A list from last to first.",
    "rsort": "A list sorted downwards.",
    "sha1": "The SHA-1 digest of a text.",
    "sha256": "The SHA-256 digest of a text.",
    "sha512": "The SHA-512 digest of a text.",
    "slice": "A part of a list or text, from one position up to another.",
    "slugify": "The text as a part of an address: lower case, digits and dashes.",
    "sort": "A list sorted upwards.",
    "split": "Cuts a text at a delimiter (a pattern).",
    "startsWith": "Whether the text begins with another.",
    "string": "The value as text.",
    "substringAfter": "What follows the first separator.",
    "substringAfterLast": "What follows the last separator.",
    "substringBefore": "What stands before the first separator.",
    "substringBeforeLast": "What stands before the last separator.",
    "timestamp": "A date as seconds since 1970.",
    "timestampMicro": "A date as microseconds since 1970.",
    "timestampMilli": "A date as milliseconds since 1970.",
    "timestampNano": "A date as nanoseconds since 1970.",
    "title": "The text with every word in upper case at its beginning.",
    "toIon": "The value as Ion text.",
    "toJson": "The value as JSON text.",
    "trim": "The text without blanks at both ends.",
    "upper": "The text in upper case.",
    "urldecode": "Undoes `urlencode`.",
    "urlencode": "The text as a part of a URL.",
    "values": "The values of a map.",
    "yaml": "The value as YAML text.",
}
FUNCTION_WORDS: dict[str, str] = {
    "currentEachOutput": "The outputs of the current value, in loops within loops (older flows).",
    "dayOfMonth": "The day of the month of a date.",
    "dayOfWeek": "The day of the week of a date.",
    "decrypt": "Undoes `encrypt`.",
    "encrypt": "Encrypts a text with a key.",
    "env": "A variable of the environment.",
    "errorLogs": "The error entries of this execution's log.",
    "fetchContext": "Everything that expressions can name here, as a map.",
    "fileEmpty": "Whether a file is empty.",
    "fileExists": "Whether a file is there.",
    "fileSize": "The size of a file in bytes.",
    "fileURI": "The address of a namespace file.",
    "fromIon": "The value that an Ion text stands for.",
    "fromJson": "The value that a JSON text stands for.",
    "hourOfDay": "The hour of a date.",
    "http": "Calls a URL and gives what it answers.",
    "i18n": "A text of a translation bundle.",
    "id": "A new, random id.",
    "isDateAfter": "Whether a date is after another.",
    "isDateBefore": "Whether a date is before another.",
    "isDateBetween": "Whether a date is between two others.",
    "isDayWeekInMonth": "Whether a date is the first, second, …, last such weekday of its month.",
    "isFileEmpty": "Whether a file is empty.",
    "isLastWorkingDay": "Whether a date is the last working day of its month.",
    "isPublicHoliday": "Whether a date is a public holiday of a country.",
    "isWeekend": "Whether a date is a Saturday or Sunday.",
    "json": "The value that a JSON text stands for (older name of `fromJson`).",
    "ksuid": "A new id that sorts by time.",
    "kv": "A value of the namespace's key-value store.",
    "loopOutputs": "The outputs of a loop, by name.",
    "max": "The largest of its arguments.",
    "min": "The smallest of its arguments.",
    "monthOfYear": "The month of a date.",
    "nanoId": "A new, short, random id.",
    "now": "This moment, formatted if a format is given.",
    "parent": "What a block of a parent template has; nothing here.",
    "printContext": "Everything that expressions can name here, as text.",
    "randomInt": "A random number, from the lower one up to the upper.",
    "randomPort": "A network port that is free now.",
    "range": "Numbers from one to another, by an increment.",
    "read": "The text of a file: of the namespace, or of the execution by its URI.",
    "render": "Renders a text that holds expressions itself, again and again.",
    "renderOnce": "Renders a text that holds expressions itself, once.",
    "secret": "A secret by its name; it is masked wherever it would be shown.",
    "subflow": "Runs another flow and gives what it ended with.",
    "tasksWithState": "The task runs that are in a state.",
    "uuid": "A new UUID.",
    "yaml": "The value that a YAML text stands for.",
}
VARIABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "inputs": ("The inputs of the execution.", ()),
    "outputs": ("The outputs of the tasks that have ended, by task id.", ()),
    "vars": ("The variables of the flow. What they hold is not rendered: `render(vars.name)`.", ()),
    "trigger": ("What the trigger, or the execution that started this one, brought along.", ()),
    "flow": ("The flow.", ("id", "namespace", "revision")),
    "execution": ("The execution.", ("id", "startDate", "originalId", "state")),
    "task": ("The task.", ("id", "type")),
    "taskrun": ("The task run.", ("id", "startDate", "attemptsCount", "parentId", "value", "iteration")),
    "tasks": ("The state of other tasks: `tasks.<id>.state`.", ()),
    "labels": ("The labels of the execution.", ()),
    "parent": ("The value and outputs of the loop around this one.", ("taskrun", "outputs")),
    "parents": ("Every loop around this one, the nearest first.", ()),
    "envs": ("Variables of the environment that begin with the configured prefix, in lower case.", ()),
    "globals": ("The variables that the instance sets.", ()),
    "namespace": ("The variables that podium.yaml gives the flow's namespace.", ()),
    "workingDir": ("The working directory of a script.", ()),
    "outputDir": ("The directory whose files a script gives back.", ()),
}
TRIGGER_MEMBERS: dict[str, tuple[str, ...]] = {
    "io.kestra.plugin.core.trigger.Schedule": ("date", "next", "previous"),
    "io.kestra.plugin.core.trigger.ScheduleOnDates": ("date", "next", "previous"),
    "io.kestra.plugin.core.trigger.Webhook": ("body", "headers", "parameters"),
    "io.kestra.plugin.core.trigger.Flow": ("executionId", "namespace", "flowId", "flowRevision", "state", "outputs"),
}
"""Type of a trigger → what `trigger` holds, where the type's own words do not list it."""


def vocabulary() -> dict[str, Any]:
    """{functions, filters: [{name, parameters, about, dialects}], variables: [{name, about, members}], triggers: {type: members}}."""
    return {
        "functions": [_called(each, FUNCTION_WORDS) for each in _all(FUNCTIONS).values()],
        "filters": [_called(each, FILTER_WORDS) for each in _all(FILTERS).values()],
        "variables": [{"name": name, "about": about, "members": list(members)} for name, (about, members) in VARIABLES.items()],
        "triggers": {name: list(members) for name, members in TRIGGER_MEMBERS.items()},
    }


def _all(table: Any) -> dict[str, Filter | Function]:
    """By name, whatever the dialect."""
    found: dict[str, Filter | Function] = {}
    for dialect in BOTH:
        found |= table[dialect]
    return dict(sorted(found.items()))


def _called(each: Filter | Function, words: dict[str, str]) -> dict[str, Any]:
    parameters = ["…" if name == VARIADIC else name for name in each.parameters]
    return {"name": each.name, "parameters": parameters, "about": words[each.name], "dialects": list(each.dialects)}
