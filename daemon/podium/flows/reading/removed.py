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
