"""What each property means, in words: for editors, forms and documentation. Here those of the language itself; each plug-in has its own.

WORDS and a plug-in's are keyed by property, by `Class.property`, or by type and property (`core.kv.Set.value`); the longest key wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from podium.flows.models.examples import EXAMPLES

WORDS: dict[str, str] = {
    # every plug-in
    "id": "Name, unique in the flow.",
    "type": "Which plug-in this is. The prefix `io.kestra.plugin.` may be left out.",
    "description": "Text for people, Markdown.",
    "version": "Version of the plug-in. Accepted without effect.",
    "assets": "Data assets read and made. Accepted without effect.",
    "policyRefs": "Policies to apply. Accepted without effect.",
    "pluginDefaultsRef": "Apply the plug-in defaults of this `ref` too.",
    "workerGroup": "Enterprise Edition of Kestra only; refused.",
    "workerSelector": "Which workers may run it. Checked, without effect: one daemon runs every task.",
    # flow
    "Flow.id": "Name of the flow, unique in its namespace: letters, digits, `.`, `_`, `-`.",
    "Flow.namespace": "Where the flow belongs, like `company.team`: lower case letters, digits, `.`, `_`, `-`.",
    "Flow.revision": "Set by the server; what is written here is ignored.",
    "Flow.labels": "Labels of every execution, a map or a list of {key, value}. Not rendered.",
    "Flow.inputs": "Values that an execution is started with.",
    "Flow.variables": "Values for expressions: `vars.name`. Not rendered before they are used; see `render()`.",
    "Flow.tasks": "What the flow does, one after the other.",
    "Flow.outputs": "What the flow gives back, computed when an execution ends.",
    "Flow.afterExecution": "Tasks that run once the execution has ended; `execution.state` holds how.",
    "Flow.triggers": "What starts the flow by itself.",
    "Flow.pluginDefaults": "Values for every plug-in of a type in this flow.",
    "Flow.concurrency": "How many executions may run at a time.",
    "Flow.sla": "Promises about every execution, and what happens when one is broken.",
    "Flow.checks": "What must hold before an execution is created.",
    "Flow.listeners": "Tasks after executions for which conditions hold. Deprecated: use afterExecution or a Flow trigger.",
    "Flow.disabled": "A disabled flow starts no executions.",
    "Flow.deleted": "Internal.",
    "Flow.draft": "A draft is kept, and not started by triggers.",
    "Flow.tenantId": "Internal.",
    "Flow.quotas": "Enterprise Edition of Kestra only; refused.",
    "PluginDefault.type": "A type, an alias of it, or the beginning of several types.",
    "PluginDefault.forced": "Wins over what the plug-in itself says.",
    "PluginDefault.values": "Property → value.",
    "PluginDefault.ref": "Only for plug-ins whose pluginDefaultsRef names it.",
    "Concurrency.limit": "At most so many executions at a time.",
    "Concurrency.behavior": "What happens to the next one: it waits, is cancelled or fails.",
    "Sla.behavior": "What happens when it is broken: the execution fails, is cancelled, or only gets the labels.",
    "Sla.labels": "Labels for an execution that broke it.",
    "Sla.duration": "Longest time an execution may take.",
    "Sla.assert": "Expression that must hold all the time.",
    "Check.condition": "Expression that must be true.",
    "Check.when": "Expression that must be true (2.0).",
    "Check.message": "What the person is told when it is not.",
    "Check.style": "How the message looks.",
    "Check.behavior": "No execution, a failed one, or an execution all the same.",
    # tasks
    "tasks": "The tasks inside.",
    "errors": "Tasks that run when one of the others failed.",
    "finally": "Tasks that run at the end, however it went.",
    "retry": "How often and when a failed attempt is repeated.",
    "timeout": "Longest time an attempt may take.",
    "Task.disabled": "A disabled task is left out.",
    "runIf": "Expression; when it is false the task is skipped.",
    "allowFailure": "A failure counts as a warning.",
    "allowWarning": "A warning counts as success.",
    "logLevel": "Least level of log entries that are kept.",
    "logToFile": "Keep the log in a file of internal storage.",
    "taskCache": "Reuse the outputs of an earlier run with the same properties.",
    "TaskCache.enabled": "Whether outputs are reused.",
    "WorkerSelector.tags": "Tags of the workers wanted.",
    "WorkerSelector.match": "All of the tags, or any.",
    "WorkerSelector.fallback": "What happens when there is no such worker.",
    "TaskCache.ttl": "How old such a run may be.",
    "Retry.type": "constant: always the same wait. exponential: it grows. random: between two bounds.",
    "Retry.maxAttempts": "How many attempts in all, the first included.",
    "Retry.maxDuration": "No attempt starts later than this after the first.",
    "Retry.warningOnRetry": "Success after a retry counts as a warning.",
    "Retry.behavior": "Repeat the failed task, or start a new execution.",
    "Retry.interval": "Wait before the next attempt (constant), or before the second (exponential).",
    "Retry.maxInterval": "Longest wait.",
    "Retry.minInterval": "Shortest wait.",
    "Retry.delayFactor": "By what the wait grows each time.",
    "concurrent": "At most so many at a time; 0 is no limit.",
    "concurrencyLimit": "At most so many values at a time; 0 is no limit.",
    "If.condition": "Expression that decides between `then` and `else`.",
    "If.then": "Tasks for when it holds.",
    "If.else": "Tasks for when it does not.",
    "Switch.value": "Expression whose text is looked up in `cases`.",
    "Switch.cases": "Text → tasks.",
    "Switch.defaults": "Tasks when no case fits.",
    "values": "A list, or an expression that gives a JSON list.",
    "EachSequential.value": "A list, or an expression that gives a JSON list.",
    "EachParallel.value": "A list, or an expression that gives a JSON list.",
    "Loop.values": "A list, a map, or an expression that gives one, or the URI of a stored file (one line a value).",
    "Loop.outputs": "What each iteration gives back.",
    "Loop.fetchType": "Keep the iterations' outputs in the execution (FETCH), in storage (STORE), or as fits (AUTO).",
    "Loop.breakWhen": "Expression; once it holds, no further iteration starts.",
    "transmitFailed": "A failure inside is a failure of this task.",
    "DagTask.task": "The task.",
    "DagTask.dependsOn": "Ids of the tasks of this Dag that must have ended.",
    "LoopUntil.condition": "Expression; the loop ends once it holds.",
    "LoopUntil.failOnMaxReached": "Fail when the maximum is reached.",
    "LoopUntil.checkFrequency": "How often and how long.",
    "CheckFrequency.interval": "Wait between two passes.",
    "CheckFrequency.maxIterations": "At most so many passes.",
    "CheckFrequency.maxDuration": "Longest time in all.",
    "Pause.pauseDuration": "Goes on by itself after this time.",
    "Pause.delay": "Older name of pauseDuration.",
    "Pause.behavior": "What happens when pauseDuration is over.",
    "Pause.onResume": "Inputs that are asked for when it is resumed.",
    "Pause.onPause": "A task that runs when the pause begins.",
    "Subflow.namespace": "Namespace of the flow to start.",
    "ForEachItem.namespace": "Namespace of the flow to start.",
    "flowId": "Id of a flow.",
    "Subflow.inputs": "Inputs of the started flow.",
    "ForEachItem.inputs": "Inputs of each started flow; `taskrun.items` is the batch's file.",
    "ForEachItem.items": "Expression that gives the `kestra://` URI of a file.",
    "ForEachItem.batch": "How the file is cut.",
    "inheritLabels": "Hand the labels of this execution on.",
    "wait": "Wait for the end of what was started.",
    "scheduleDate": "Start it only then.",
    "restartBehavior": "When this execution is restarted: restart the failed one, or start a new one.",
    "inputFiles": "Files to put into the working directory: name → text or `kestra://` URI.",
    "outputFiles": "Patterns of files to keep.",
    "namespaceFiles": "Files of the namespace to put into the working directory.",
    "NamespaceFiles.include": "Patterns of the files wanted; none: all.",
    "NamespaceFiles.exclude": "Patterns of the files not wanted.",
    "NamespaceFiles.enabled": "Whether there are any at all.",
    "NamespaceFiles.namespaces": "Namespaces whose files are wanted; later ones win. Otherwise the flow's own.",
    "NamespaceFiles.ifExists": "What happens to a file that is there already.",
    "NamespaceFiles.folderPerNamespace": "Put the files of each namespace into a folder named like it.",
    "WorkingDirectory.cache": "Files to keep for the next run.",
    "Cache.patterns": "Patterns of the files to keep.",
    "Cache.ttl": "How old a kept file may be.",
    # inputs
    "displayName": "Name that people see.",
    "required": "Whether there must be a value.",
    "Input.defaults": "Value when none is given.",
    "prefill": "Value that the form shows at first.",
    "dependsOn": "Only asked for when other inputs have certain values.",
    "DependsOn.inputs": "Ids of those inputs.",
    "DependsOn.condition": "Expression over those inputs that must be true.",
    "validator": "Regular expression that the whole text must match.",
    "min": "Least value.",
    "max": "Greatest value.",
    "after": "Earliest value.",
    "before": "Latest value.",
    "expression": "Expression that gives the list of values.",
    "allowCustomValue": "Other values are accepted too.",
    "itemType": "Type of each item.",
    "allowedFileExtensions": "Endings that file names may have, like `.csv`.",
    "FormInput.inputs": "The inputs of the group: `inputs.<form>.<input>`.",
    "Output.value": "Value, with expressions.",
    # triggers
    "Trigger.disabled": "A disabled trigger starts nothing.",
    "Trigger.labels": "Labels of the executions it starts.",
    "Trigger.inputs": "Inputs of the executions it starts.",
    "conditions": "All must hold.",
    "when": "Expression; false means that nothing starts.",
    "stopAfter": "Disable the trigger once an execution of it ends in one of these states.",
    "failOnTriggerError": "An error of the trigger makes a failed execution.",
    "allowConcurrent": "Fire although the execution before has not ended.",
    "Schedule.cron": "minute hour day-of-month month day-of-week, or @hourly, @daily, @weekly, @monthly, @yearly.",
    "Schedule.withSeconds": "The cron expression has a field for the second before the others.",
    "timezone": "Time zone, like Europe/Paris; otherwise that of the server.",
    "lateMaximumDelay": "Dates older than this are left out.",
    "recoverMissedSchedules": "What happens to dates missed while the daemon was away.",
    "scheduleConditions": "Older name of conditions.",
    "backfill": "Without effect; backfills are started by command.",
    "ScheduleOnDates.dates": "Date-times at which it fires.",
    "FlowTrigger.states": "States of upstream executions that count.",
    "FlowTrigger.preconditions": "What must have happened upstream within a window (1.x).",
    "FlowTrigger.dependsOn": "What must have happened upstream (2.0).",
    "FlowTrigger.window": "Within which time (2.0).",
    "FlowTrigger.mode": "All dependencies, any, or at least `minSatisfied` of them.",
    "FlowTrigger.minSatisfied": "How many, for mode AT_LEAST.",
    "FlowTrigger.onMiss": "What happens when a window ends unfulfilled.",
    "resetOnSuccess": "Begin anew once it fired.",
    "timeWindow": "Within which time.",
    "Webhook.key": "Secret part of the URL, at most 256 characters.",
    "Webhook.wait": "Answer when the execution has ended.",
    "Webhook.returnOutputs": "Answer with the flow's outputs (needs wait).",
    "Webhook.responseContentType": "Content type of the answer.",
    "Webhook.responseCode": "Status of the answer.",
    "Webhook.fetchType": "How the body reaches the flow: as a value, as a file, or not at all.",
    "Webhook.verify": "How the sender proves who it is (ours).",
    "FileTrigger.path": "Directory of the daemon's machine to watch.",
    "FileTrigger.glob": "Which files in it.",
    "FileTrigger.events": "New files, changed files, or both.",
    "FileTrigger.settleTime": "How long a file must stay the same to count as complete.",
    "FileTrigger.action": "What happens to the file once it fired.",
    "FileTrigger.moveTo": "Where it is moved.",
    "FileTrigger.recursive": "Directories below count too.",
    # approvals, batches, 2.0
    "Approval.inputs": "Fields of the review form.",
    "Approval.decisions": "What the two buttons say.",
    "Approval.commentRequired": "When the reviewer must write a comment.",
    "Approval.autoApprove": "Approve without asking.",
    "Approval.approveBehavior": "What happens after an approval.",
    "Approval.denyBehavior": "What happens after a denial.",
    "Approval.expireBehavior": "What happens when nobody decided in time.",
    "Approval.onWait": "Tasks before the wait.",
    "Approval.onApprove": "Tasks after an approval.",
    "Approval.onDeny": "Tasks after a denial.",
    "Decisions.approve": "Text of the button that approves.",
    "Decisions.deny": "Text of the button that denies.",
    "Batch.rows": "Lines in a batch.",
    "Batch.partitions": "How many batches, filled in turn.",
    "Batch.bytes": "Size of a batch, like 10MB.",
    "Batch.separator": "What separates the lines.",
    "revision": "Revision of the flow; otherwise the newest.",
    "Subflow.labels": "Labels of the started execution.",
    "ForEachItem.labels": "Labels of the started executions.",
    "Subflow.outputs": "Outputs by name; only used when the flow declares none.",
    "Template.namespace": "Namespace of the template.",
    "Template.templateId": "Id of the template.",
    "Template.args": "Values that the template reads as `parent.outputs.args`.",
    # conditions
    "date": "Date that is looked at.",
    "dayOfWeek": "MONDAY to SUNDAY.",
    "dayInMonth": "FIRST, SECOND, THIRD, FOURTH or LAST.",
    "country": "ISO code of the country.",
    "subDivision": "ISO code of the part of the country.",
    "in": "States that fit.",
    "notIn": "States that do not fit.",
    "prefix": "The namespaces below count too.",
    "namespace": "Namespace of the execution's flow.",
    "ExecutionNamespace.comparison": "Equal, beginning or end of the namespace.",
    "ExecutionLabels.labels": "Labels that the execution must have.",
    "UpstreamFlow.labels": "Labels that the execution must have.",
    "Dependency.labels": "Labels that the execution must have.",
    "UpstreamFlow.states": "States that count; otherwise those of the trigger.",
    "Dependency.states": "States that count; otherwise those of the trigger.",
    "FlowCondition.namespace": "Namespace of the flow that owns the trigger.",
    "FlowNamespaceCondition.namespace": "Namespace of the flow that owns the trigger.",
    "ReusableInputs.namespace": "Namespace of the inputs.",
    "ReusableInputs.ref": "Name of the inputs.",
    "MultipleCondition.window": "Older form of timeWindow.",
    "MultipleCondition.windowAdvance": "Older form of timeWindow.",
    "Preconditions.flows": "Upstream flows, all of which must have ended so.",
    "Preconditions.where": "Comparisons about upstream executions, all of which must hold.",
    "Filter.field": "What is compared.",
    "Filter.value": "What it is compared with; for EXPRESSION the expression itself.",
    "Where.operand": "All filters, or any of them.",
    "Where.filters": "The comparisons.",
    "TimeWindow.window": "Length of the window.",
    "TimeWindow.windowAdvance": "By what the window is shifted.",
    "deadline": "Time of day by which it must have happened.",
    "TimeWindow.startTime": "Time of day at which the window begins.",
    "TimeWindow.endTime": "Time of day at which the window ends.",
    "Window.from": "Time of day at which the window begins.",
    "Window.to": "Time of day at which the window ends.",
    "Window.every": "Length of windows one after the other.",
    "Window.offset": "By what they are shifted from midnight.",
    "Window.lookback": "How far back it may have happened.",
    "OnMiss.behavior": "FAIL makes a failed execution.",
    "OnMiss.labels": "Labels of that execution.",
    # inputs
    "options": "Older name of values.",
    "autoSelectFirst": "The first value is the default.",
    "isRadio": "Show the values as radio buttons.",
    "extension": "Without effect.",
    "ObjectInput.properties": "The keys of the map.",
    "TableInput.columns": "The keys of each row.",
    "TableInput.rows": "How many rows.",
    # webhooks
    "Verify.preset": "Whose way of signing: a forge's or service's, `standard`, or `hmac` with the properties below.",
    "Verify.secret": "Secret shared with the sender.",
    "Verify.previousSecret": "Secret before; accepted while both are in use.",
    "Verify.tolerance": "How old a signed time may be.",
    "Verify.dedupe": "Header that names a delivery; false accepts every delivery.",
    "Verify.header": "Header with the signature.",
    "Verify.algorithm": "Hash of the signature.",
    "Verify.encoding": "How the signature is written.",
    "Verify.prefix": "Text before the signature in its header.",
}
"""Property, or `Class.property` → its meaning."""

_OWN = "podium.flows."
_COMMON = frozenset({"inputFiles", "outputFiles", "namespaceFiles", "description"})
"""Properties that mean the same in every plug-in that has them."""


def _names(info: FieldInfo, field: str) -> tuple[str, ...]:
    """How a field may be written."""
    alias = info.validation_alias if info.validation_alias is not None else info.alias
    return tuple(map(str, alias.choices)) if isinstance(alias, AliasChoices) else (str(alias or field),)


@dataclass(frozen=True)
class Vocabulary:
    """Words and examples of the language and of the installed plug-ins. words: by the package that they are about, with its last dot."""

    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)

    def meaning(self, cls: type[BaseModel], name: str) -> str | None:
        """What the property `name` (as written) of `cls` means; None when nobody says.

        The class is asked before its bases; a key that is only the property counts in the package that declares it.
        """
        owners = [each for each in cls.__mro__ if issubclass(each, BaseModel) and each is not BaseModel]
        for owner in owners:
            words = self._of(owner)
            short = str(owner.__dict__.get("TYPE", "")).removeprefix("io.kestra.plugin.")
            for key in (f"{short}.{name}", f"{owner.__name__}.{name}"):
                if key in words:
                    return words[key]
        declaring = [each for each in owners if any(name in _names(info, field) for field, info in each.model_fields.items())]
        found = self._of(declaring[-1]).get(name) if declaring else None
        return found or (WORDS[name] if name in _COMMON else None)

    def example(self, cls: type[BaseModel]) -> str | None:
        """YAML of one example."""
        for key in (str(getattr(cls, "TYPE", "")), cls.__name__):
            found = self.examples.get(key) or EXAMPLES.get(key)
            if found is not None:
                return found
        return None

    def _of(self, cls: type[BaseModel]) -> Mapping[str, str]:
        if cls.__module__.startswith(_OWN):
            return WORDS
        return next((words for package, words in self.words.items() if f"{cls.__module__}.".startswith(package)), {})
