"""Who listens to whom: from the flow of an execution to the flow triggers that may fire for it. Rebuilt when flows change.

A thousand flows that listen to flows of their own cost the end of an execution nothing: see benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import tzinfo

from podium.base.errors import FlowNotFound
from podium.base.ports import FlowRevision
from podium.conductor.chains.gates import Listener, Place, listener_of
from podium.conductor.library import Library
from podium.flows.model import Flow
from podium.flows.triggers import FlowTrigger

Key = tuple[str, str | None]


class Index:
    """Reads are synchronous: asked in the middle of a decision. vanished: told of a trigger that is no longer written anywhere."""

    def __init__(self, library: Library, zone: tzinfo, vanished: Callable[[Place], None]) -> None:
        self._library = library
        self._zone = zone
        self._vanished = vanished
        self._listeners: dict[Place, Listener] = {}
        self._of: dict[Key, list[Listener]] = {}
        self.complete = True
        """False while the texts of some flows cannot be read: who listens is not known yet."""
        self._any: dict[str, list[Listener]] = {}
        """State → those of whom the upstream flow cannot be told."""

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def at(self, place: Place) -> Listener | None:
        """The trigger at this place, if it is enabled and its flow too."""
        return self._listeners.get(place)

    def find(self, namespace: str, flow_id: str, state: str) -> Iterator[Listener]:
        """Those that may fire when an execution of this flow reaches this state."""
        for listeners in (self._of.get((namespace, flow_id)), self._of.get((namespace, None)), self._any.get(state)):
            for each in listeners or ():
                if each.may(namespace, flow_id, state):
                    yield each

    def rebuild(self) -> None:
        """Take up the flows as they are deployed now."""
        before, self._listeners, self._of, self._any = self._listeners, {}, {}, {}
        for revision in self._library.mentioning(".Flow"):
            for trigger in _enabled(revision):
                place = (revision.namespace, revision.flow_id, trigger.id)
                known = before.get(place)
                listener = known if known is not None and known.revision is revision else listener_of(revision, trigger, self._zone)
                self._listeners[place] = listener
                upstreams = listener.upstreams()
                for state in listener.states if upstreams is None else ():
                    self._any.setdefault(state, []).append(listener)
                for key in upstreams or ():
                    self._of.setdefault(key, []).append(listener)
        self.complete = not self._library.waits_for_text()
        for place in before.keys() - self._listeners.keys():
            if self._is_gone(place):
                self._vanished(place)

    def _is_gone(self, place: Place) -> bool:
        """A flow that cannot be read just now, or is disabled, is not gone."""
        known = self._library.known().get(place[:2])
        if known is None or known.deleted:
            return True
        try:
            model: Flow = self._library.newest(*place[:2]).model
        except FlowNotFound:
            return False
        return all(trigger.id != place[2] for trigger in model.triggers)


def _enabled(revision: FlowRevision) -> list[FlowTrigger]:
    flow: Flow = revision.model
    if flow.disabled or flow.draft or flow.deleted:
        return []
    return [each for each in flow.triggers if isinstance(each, FlowTrigger) and not each.disabled]
