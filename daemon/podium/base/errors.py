"""The error tree: every error a person can meet, with a stable code, what happened, and what to do now.

    PodiumError
    ├── FlowError            the text of a flow, or a value for it, is wrong
    │   ├── FlowNotFound     no such flow, revision, task or trigger
    │   ├── FlowDisabled     the flow exists and may not run
    │   └── InputError       a value for an input is missing or invalid
    ├── ExpressionError      a template cannot be parsed or evaluated
    │   └── TakesLong        not on the daemon's loop: a thread must try it again
    ├── ConflictError        the thing asked is not possible in the current state
    │   ├── NothingToDo      nor in any other: the execution has nothing that the command could work on
    │   └── EditConflict     somebody else changed the same file of a repository meanwhile
    ├── NotFound             no such execution, key, file or other thing
    ├── LimitError           a limit of base/limits was reached
    ├── GitError             a repository cannot be read or written
    │   ├── GitMoved         a branch is not where we thought; fetch, and try again on its new tip
    │   └── GitRefused       the remote refuses: no such branch or repository, no access, a hook or a protected branch
    ├── StoreError           the journal cannot be read or written
    ├── RunnerError          a command cannot be run
    │   ├── RunnerRefused    a setting, the image or the engine forbids it: trying again changes nothing
    │   └── AttemptLost      it was started, and nobody can learn how it ended
    ├── StorageError         a stored file cannot be read or written
    ├── AuthError            the caller may not do this
    └── SettingsError        a setting is wrong
"""

from __future__ import annotations


class PodiumError(Exception):
    """Root of all errors. `code` is a stable slug and a heading of docs/errors.md.

    what: one sentence, what is wrong and where.  hint: what the reader can do now.  facts: values for machines.
    """

    code = "podium"
    retryable = False

    def __init__(self, what: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.facts = facts

    def as_dict(self) -> dict[str, object]:
        """The error as JSON-ready data: code, message, hint and facts."""
        return {"code": self.code, "message": self.what, "hint": self.hint, **self.facts}


class FlowError(PodiumError):
    code = "flow-invalid"


class FlowNotFound(FlowError):
    code = "flow-not-found"


class FlowDisabled(FlowError):
    code = "flow-disabled"


class InputError(FlowError):
    code = "input-invalid"


class ExpressionError(PodiumError):
    code = "expression-invalid"


class TakesLong(ExpressionError):
    pass


class ConflictError(PodiumError):
    code = "conflict"


class NothingToDo(ConflictError):
    code = "nothing-to-do"


class EditConflict(ConflictError):
    code = "edit-conflict"


class NotFound(PodiumError):
    code = "not-found"


class LimitError(PodiumError):
    code = "limit-reached"


class GitError(PodiumError):
    code = "git"
    retryable = True


class GitMoved(GitError):
    code = "git-moved"


class GitRefused(GitError):
    code = "git-refused"
    retryable = False


class StoreError(PodiumError):
    code = "store"
    retryable = True


class RunnerError(PodiumError):
    code = "runner"
    retryable = True


class RunnerRefused(RunnerError):
    code = "runner-refused"
    retryable = False


class AttemptLost(RunnerError):
    code = "attempt-lost"
    retryable = False


class StorageError(PodiumError):
    code = "storage"


class AuthError(PodiumError):
    code = "auth"


class SettingsError(PodiumError):
    code = "settings-invalid"
