"""The core plug-in: every runnable task of `io.kestra.plugin.core`, and the polling HTTP trigger. Entry point `core`.

Heavy libraries are imported by the tasks that use them, when they run. Source: flow-language 6.
"""

from __future__ import annotations

from podium.plugin import Task, Trigger
from podium.plugins.core import basic, execution, kv, log, state, templating
from podium.plugins.core.files import batches, items, namespace, storage
from podium.plugins.core.http import tasks as http

TASKS: list[type[Task]] = [
    log.Log, log.Fetch, log.PurgeLogs,
    basic.Return, basic.Echo, basic.OutputValues, basic.Publish, basic.Sleep, basic.Toggle, templating.TemplatedTask,
    execution.Fail, execution.Labels, execution.Count, execution.Resume, execution.Exit, execution.Assert, execution.SetVariables,
    execution.UnsetVariables, execution.Kill, execution.PurgeExecutions,
    http.Request, http.Download, http.SseRequest,
    kv.Get, kv.Set, kv.Delete, kv.GetKeys, kv.PurgeKV, state.Get, state.Set, state.Delete,
    storage.Concat, storage.Delete, storage.LocalFiles, storage.PurgeCurrentExecutionFiles, storage.Reverse, storage.Size, storage.Split,
    storage.Write, items.DeduplicateItems, items.FilterItems, batches.ForEachItem,
    namespace.UploadFiles, namespace.DownloadFiles, namespace.DeleteFiles, namespace.PurgeFiles,
]
TRIGGERS: list[type[Trigger]] = [http.HttpTrigger]
CONDITIONS: list[type] = []
RUNNERS: list[type] = []
