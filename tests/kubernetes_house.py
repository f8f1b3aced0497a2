"""A real Kubernetes for tests: the one that tools/kubernetes/cluster.sh has started, used with no more rights than docs/runners.md gives the daemon.

`make kubernetes` starts it and runs the tests marked `kubernetes`; other runs leave them out, as building Kubernetes takes longer than CI has.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
ADMIN = ROOT / ".podium/kubernetes/admin.conf"
NAMES = ROOT / "tools/kubernetes/names.sh"
BUSYBOX = "podium.local/busybox:latest"
"""What cluster.sh brings to the node."""
NAMESPACE, ACCOUNT = "podium-tests", "podium"


class Kubernetes:
    """The cluster. kubeconfig: of a service account with the Role of the docs. host_address: this machine, for Pods. image: one the node has."""

    def __init__(self, home: Path, image: str) -> None:
        from kubernetes import client, config

        api = config.new_client_from_config(config_file=str(ADMIN))
        self.core, self.batch, self.rbac = client.CoreV1Api(api), client.BatchV1Api(api), client.RbacAuthorizationV1Api(api)
        self.kubeconfig = home / "daemon.conf"
        self.host_address = dict(re.findall(r"^(\w+)=(\S+)$", NAMES.read_text(), flags=re.MULTILINE))["OUTSIDE"]
        self.namespace = NAMESPACE
        self.image = image

    def prepare(self) -> None:
        """A namespace, and an account with the rights of the docs."""
        self._anew("namespace", lambda: self.core.create_namespace({"metadata": {"name": NAMESPACE}}))
        self._anew("account", lambda: self.core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": ACCOUNT}}))
        role, binding = documented_rights()
        for each in (role, binding):
            each["metadata"]["namespace"] = NAMESPACE
        binding["subjects"] = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]
        self._anew("role", lambda: self.rbac.create_namespaced_role(NAMESPACE, role))
        self.rbac.replace_namespaced_role(role["metadata"]["name"], NAMESPACE, role)
        self._anew("binding", lambda: self.rbac.create_namespaced_role_binding(NAMESPACE, binding))
        order = {"spec": {"expirationSeconds": 7200}}
        token = self.core.create_namespaced_service_account_token(ACCOUNT, NAMESPACE, order).status.token
        given = yaml.safe_load(ADMIN.read_text())
        given["users"][0]["user"] = {"token": token}
        given["contexts"][0]["context"]["namespace"] = NAMESPACE
        self.kubeconfig.write_text(yaml.safe_dump(given))

    def traces(self, attempt_id: str) -> list[str]:
        """Jobs, Pods and Secrets of an attempt."""
        label = f"podium.attempt={attempt_id}"
        kinds: dict[str, Callable[..., Any]] = {
            "job": self.batch.list_namespaced_job, "pod": self.core.list_namespaced_pod, "secret": self.core.list_namespaced_secret,
        }
        return [f"{kind} {each.metadata.name}" for kind, found in kinds.items() for each in found(NAMESPACE, label_selector=label).items]

    def pod(self, attempt_id: str) -> Any:
        """The Pod of an attempt, once it is there."""
        return self.until(lambda: next(iter(self.core.list_namespaced_pod(NAMESPACE, label_selector=f"podium.attempt={attempt_id}").items), None))

    def until(self, what: Callable[[], Any], *, seconds: float = 60) -> Any:
        """What `what` answers, once that is something."""
        limit = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < limit, "it did not happen"
            time.sleep(0.1)
        return found

    def _anew(self, what: str, create: Callable[[], Any]) -> None:
        from kubernetes.client.exceptions import ApiException

        try:
            create()
        except ApiException as error:
            if error.status != 409:
                raise RuntimeError(f"no {what} can be made: {error.body}") from error


def documented_rights() -> list[dict[str, Any]]:
    """The Role and RoleBinding that docs/runners.md tells operators to make."""
    block = re.findall(r"```yaml\n(apiVersion: v1\nkind: List.*?)```", (ROOT / "docs/runners.md").read_text(), flags=re.DOTALL)[0]
    return [dict(each) for each in yaml.safe_load(block)["items"]]
