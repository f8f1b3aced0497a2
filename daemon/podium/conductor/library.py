"""The deployed flows in memory: the newest revision of each, older ones when asked for. Filled from the catalog, changed by deployments."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from podium.base.errors import FlowNotFound
from podium.base.ports import Deployment, FlowRevision, KnownFlow
from podium.base.system.log import get_logger
from podium.engine.tree import FlowTree, iteration_of
from podium.flows.load import StoredTemplate, parse_flows
from podium.flows.model import Flow
from podium.flows.types import Types
from podium.store.catalog import Catalog, StoredRevision, known

log = get_logger(__name__)
Key = tuple[str, str]
TREES_MAX = 2_000


class Library:
    """Reads are synchronous: a flow is looked up in the middle of a decision."""

    def __init__(
        self, catalog: Catalog, types: Types, text_of: Callable[[str, str], str | None] | None = None,
        tree_of: Callable[[Flow], FlowTree] = FlowTree, reader: str = "",
    ) -> None:
        """text_of: (source, blob) → the text of a flow that came from the ledger of a results branch, or None. tree_of: flow tests mock tasks.

        reader: names the code and plug-ins that read flows; what these have read before is read again only when somebody wants it.
        """
        self.reader = reader
        self._trusted = False
        self._tree_of = tree_of
        self._text_of = text_of or (lambda _source, _blob: None)
        self._catalog = catalog
        self._types = types
        self._current: dict[Key, StoredRevision] = {}
        self._models: dict[Key, FlowRevision] = {}
        self._trees: OrderedDict[tuple[str, str, int, str], FlowTree] = OrderedDict()
        self._unreadable: set[Key] = set()
        self.changed: Callable[[], None] = lambda: None
        """Called when other flows are deployed than before. Set by who has to know."""
        self.commits: dict[str, str] = {}
        """source → the commit deployed last; executions of the newest revision are pinned to it."""

    def load(self, commits: Mapping[str, str]) -> None:
        """Fill from the catalog. For start-up."""
        self._current = {(each.namespace, each.flow_id): each for each in self._catalog.newest()}
        self._models.clear()
        self._trusted = bool(self.reader) and self._catalog.read_by() == self.reader
        self.commits = dict(commits)
        self.changed()

    def apply(self, deployment: Deployment) -> None:
        """Make a deployment that is on disk the current one."""
        for each in (*deployment.accepted, *deployment.moved):
            key = (each.namespace, each.flow_id)
            self._current[key] = StoredRevision(
                namespace=each.namespace, flow_id=each.flow_id, revision=each.revision, source=each.source, commit=each.commit,
                path=each.path, blob=each.blob, text=each.text, defaults=each.defaults, deployed_at=each.deployed_at, deleted=False,
                templates=each.templates,
            )
            self._models.pop(key, None)
            for stale in [kept for kept in self._trees if kept[:3] == (*key, each.revision)]:
                del self._trees[stale]
        for gone in deployment.removed:
            key = (gone.namespace, gone.flow_id)
            self._current[key] = StoredRevision(
                namespace=gone.namespace, flow_id=gone.flow_id, revision=gone.revision + 1, source=gone.source, commit=deployment.commit,
                path=gone.path, blob=gone.blob, text="", defaults=(), deployed_at=deployment.at, deleted=True,
            )
            self._models.pop(key, None)
        self.commits[deployment.source] = deployment.commit
        self.changed()

    def known(self) -> dict[Key, KnownFlow]:
        """Newest revision of every flow, deleted ones included."""
        return {key: known(each) for key, each in self._current.items()}

    def flows(self) -> list[FlowRevision]:
        """The deployed flows, sorted by namespace and id. One that can no longer be read is left out: it must not hide the others."""
        found = []
        for key in sorted(self._current):
            stored = self._current[key]
            if self._trusted and stored.text and not stored.deleted:
                found.append(self._later(key, stored))
            elif not stored.deleted:
                with contextlib.suppress(FlowNotFound):
                    found.append(self.newest(*key))
        return found

    async def read_all(self) -> bool:
        """Read every flow once, unless this reader has done so, one at a time. Whether all could be read and the catalog is to remember that."""
        if self._trusted or not self.reader:
            return False
        whole = True
        for key in list(self._current):
            await asyncio.sleep(0)
            if key in self._current and not self._current[key].deleted:
                try:
                    self.newest(*key)
                except FlowNotFound:
                    whole = False
        self._trusted = whole
        return whole

    def mentioning(self, word: str) -> list[FlowRevision]:
        """The deployed flows in whose text `word` may stand; the others need not even be read."""
        found = []
        for key, stored in self._current.items():
            if not stored.deleted and (not stored.text or word in stored.text or "\\" in stored.text):
                with contextlib.suppress(FlowNotFound):
                    found.append(self.newest(*key))
        return found

    def waits_for_text(self) -> bool:
        """Whether the text of a deployed flow cannot be had just now: it came from a ledger, and its repository is not open yet."""
        return any(
            not stored.deleted and not stored.text and key not in self._models and self._text_of(stored.source, stored.blob) is None
            for key, stored in self._current.items()
        )

    def locate(self, namespace: str) -> tuple[str, str] | None:
        """(source, newest commit) where the files of a namespace are, or None."""
        for key in self._current:
            if key[0] == namespace and not self._current[key].deleted:
                source = self._current[key].source
                return source, self.commits.get(source, self._current[key].commit)
        return None

    def __len__(self) -> int:
        return sum(1 for each in self._current.values() if not each.deleted)

    def newest(self, namespace: str, flow_id: str) -> FlowRevision:
        """Raises FlowNotFound."""
        key = (namespace, flow_id)
        stored = self._current.get(key)
        if stored is None or stored.deleted:
            raise FlowNotFound(
                f"there is no flow '{namespace}.{flow_id}'", hint="list what is deployed: podium flows list", namespace=namespace,
                flow_id=flow_id,
            )
        found = self._models.get(key) or self._revision(stored)
        _ = found.model  # raises here, not where it is looked at
        self._models[key] = found
        return found

    def _later(self, key: Key, stored: StoredRevision) -> FlowRevision:
        """The revision, read when somebody asks for its model."""
        found = self._models.get(key)
        if found is None:
            found = self._models[key] = self._revision(stored)
        return found

    def revision(self, namespace: str, flow_id: str, revision: int) -> FlowRevision:
        """A certain revision, deployed or not. Raises FlowNotFound."""
        stored = self._current.get((namespace, flow_id))
        if stored is not None and stored.revision == revision and not stored.deleted:
            return self.newest(namespace, flow_id)
        stored = self._catalog.revision(namespace, flow_id, revision)
        if stored is None or stored.deleted:
            raise FlowNotFound(
                f"flow '{namespace}.{flow_id}' has no revision {revision}", hint=f"list them: podium flows revisions {namespace}.{flow_id}",
                namespace=namespace, flow_id=flow_id, revision=revision,
            )
        found = self._revision(stored)
        _ = found.model
        return found

    def tree(self, namespace: str, flow_id: str, revision: int, *, loop: Mapping[str, Any] | None = None) -> FlowTree:
        """The engine's index over a revision; for an iteration of a Loop, over that Loop. Raises FlowNotFound."""
        key = (namespace, flow_id, revision, loop["taskId"] if loop else "")
        tree = self._trees.get(key)
        if tree is None:
            if loop is None:
                tree = self._tree_of(self.revision(namespace, flow_id, revision).model)
            else:
                tree = iteration_of(self.tree(namespace, flow_id, revision), loop["taskId"])
            self._trees[key] = tree
            if len(self._trees) > TREES_MAX:
                self._trees.popitem(last=False)
        else:
            self._trees.move_to_end(key)
        return tree

    def _revision(self, stored: StoredRevision) -> FlowRevision:
        text = stored.text or self._text_of(stored.source, stored.blob) or ""
        return FlowRevision(
            namespace=stored.namespace, flow_id=stored.flow_id, revision=stored.revision, source=stored.source, commit=stored.commit,
            path=stored.path, blob=stored.blob, text=text, parse=partial(self._parse, stored), deployed_at=stored.deployed_at,
            defaults=stored.defaults, templates=stored.templates,
        )

    def _parse(self, stored: StoredRevision) -> Flow:
        text = stored.text or self._text_of(stored.source, stored.blob) or ""
        templates = [
            StoredTemplate(**{**each, "text": each.get("text") or self._text_of(stored.source, each["blob"]) or ""}) for each in stored.templates
        ]
        for parsed in parse_flows(text, file=stored.path, types=self._types, defaults=stored.defaults, templates=templates):
            if parsed.flow is not None and (parsed.namespace, parsed.flow_id) == (stored.namespace, stored.flow_id):
                return parsed.flow
        raise FlowNotFound(
            f"flow '{stored.namespace}.{stored.flow_id}' of {stored.path} can no longer be read",
            hint="a plug-in that it uses may be missing: podium doctor", namespace=stored.namespace, flow_id=stored.flow_id,
        )
