"""What language 2.0 does not have any more, and what to write instead. Called by the checks of dialect 2.0 and by flows/migrate.

Source: flow-language-2 1, 5 and 7. Keys are types without `io.kestra.plugin.core.`, or whole types of other plug-ins.
"""

from __future__ import annotations

_API = "use the tasks of io.kestra.plugin.kestra, or the API of Podium with an http.Request"
GONE_TASKS: dict[str, str] = {
    "execution.Count": _API,
    "execution.Resume": _API,
    "trigger.Toggle": "disable the trigger in the flow, or call the API of Podium with an http.Request",
    "log.Fetch": "use io.kestra.plugin.kestra.logs.Fetch with `auth`, or the API of Podium with an http.Request",
    "storage.LocalFiles": "use inputFiles and outputFiles of the tasks that need the files",
    "io.kestra.plugin.git.Push": "use io.kestra.plugin.git.PushFlows or PushNamespaceFiles",
    "io.kestra.plugin.scripts.nashorn.Eval": "use io.kestra.plugin.scripts.groovy.Eval, or a script task",
    "io.kestra.plugin.scripts.nashorn.FileTransform": "use io.kestra.plugin.scripts.groovy.FileTransform, or a script task",
}
"""Tasks that 2.0 does not have and that nothing simply replaces."""
REPLACED_TASKS: dict[str, str] = {
    "flow.ForEach": "flow.Loop", "flow.EachSequential": "flow.Loop with concurrencyLimit: 1", "flow.EachParallel": "flow.Loop",
    "flow.ForEachItem": "storage.Split, flow.Loop and flow.Subflow", "flow.Template": "flow.Subflow", "debug.Echo": "log.Log",
    "state.Get": "kv.Get", "state.Set": "kv.Set", "state.Delete": "kv.Delete",
}
"""Tasks that another one replaces."""

TRIGGER: dict[str, str] = {
    "conditions": "use 'when', and 'dependsOn' of a Flow trigger",
    "preconditions": "use 'dependsOn' with 'window' and 'mode'",
    "multipleConditions": "use 'dependsOn' with 'window' and 'mode'",
    "scheduleConditions": "use 'when'",
    "minLogLevel": "use 'logLevel'",
    "backfill": "leave it out",
    "backfills": "leave it out",
    "workerGroup": "use 'workerSelector'",
}
"""Properties of triggers that 2.0 does not have → what to do instead."""
_DEFAULTS = "write the values into the tasks; defaults of all flows stand in podium.yaml"
FLOW: dict[str, str] = {
    "pluginDefaults": _DEFAULTS,
    "taskDefaults": _DEFAULTS,
    "listeners": "use 'afterExecution', or a flow of its own with a Flow trigger",
    "workerGroup": "use 'workerSelector'",
}
"""The same of a flow."""
TASK: dict[str, dict[str, str]] = {
    "": {"workerGroup": "use 'workerSelector'"},
    "core.flow.Pause": {"delay": "use 'pauseDuration'", "tasks": "put the tasks behind the Pause"},
    "core.flow.Subflow": {"outputs": "declare 'outputs' in the flow that is started"},
    "core.http.": {"sslOptions": "use 'options.ssl'"},
    "scripts.": {"runner": "use 'taskRunner'", "docker": "use 'taskRunner' and 'containerImage'"},
}
"""The same of tasks, by the beginning of their type without `io.kestra.plugin.`."""
_BASIC = "use 'auth: {type: BASIC, username: …, password: …}'"
HTTP_OPTIONS: dict[str, str] = {"basicAuthUser": _BASIC, "basicAuthPassword": _BASIC, "connectionPoolIdleTimeout": "leave it out"}
"""The same of the `options` of an HTTP task."""
INPUT: dict[str, str] = {"name": "use 'id'", "options": "use 'values'", "extension": "use 'allowedFileExtensions'"}
"""The same of inputs."""
INPUT_TYPES: dict[str, str] = {"BOOLEAN": "BOOL", "ENUM": "SELECT"}
"""Input types of 1.x → those of 2.0."""
EXPRESSIONS: tuple[tuple[str, str, str], ...] = (
    (r"\|\s*json\b", "the filter 'json'", "write | toJson"),
    (r"(?<![\w.|])(?<!\bis )json\s*\(", "the function 'json'", "write fromJson(…)"),
    (r"(?<![\w.])currentEachOutput\s*\(", "the function 'currentEachOutput'", "write outputs.<task>, in the iteration itself"),
    (r"(?<![\w.])parentOutput\s*\(", "the function 'parentOutput'", "write outputs.<task>"),
    (r"(?<![\w.])iterationOutput\s*\(", "the function 'iterationOutput'", "write outputs.<task>, in the iteration itself"),
    (r"(?<![\w.])schedule\.\w", "the variable 'schedule'", "write trigger.date, trigger.next, trigger.previous"),
    (r"\b(?:read|fileURI)\s*\([^)]{0,300}\bversion\s*=", "the argument 'version'", "write revision="),
)
"""What expressions of 2.0 do not have: a pattern, what it finds, and what to write."""
