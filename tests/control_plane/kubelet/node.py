"""The Node: registered, kept alive by its Lease, with the mirror pods of the static pods."""

from __future__ import annotations

import datetime
import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import credentials
from api import Api, ApiError
from configuration import Settings
from pods import Keeper, StaticPod

LEASE_SECONDS = 40
HEARTBEAT_SECONDS = 10.0
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MERGE = "application/strategic-merge-patch+json"
MIRROR = "kubernetes.io/config.mirror"
BUILT_IN_LABELS = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
CAPACITY = {"cpu": "2", "memory": "4Gi", "pods": "110", "ephemeral-storage": "8Gi"}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _persist(work: Callable[[], None]) -> None:
    """Call ``work`` until it returns."""
    while True:
        try:
            work()
            return
        except (OSError, http.client.HTTPException, ApiError) as error:
            logging.info("not yet: %s", error)
            time.sleep(0.5)


class Agent:
    """Talks to the API server for the node, from its first certificate to the last heartbeat; never gives up."""

    def __init__(self, root: Path, settings: Settings, version: str, keeper: Keeper) -> None:
        self.root, self.settings, self.version, self.keeper = root, settings, version, keeper

    def run(self) -> None:
        """Work until the process ends; a new certificate is asked for beside everything else."""
        _persist(self._bootstrap)
        if self.settings.rotate_certificates:
            threading.Thread(target=_persist, args=(self._rotate,), daemon=True).start()
        _persist(self._serve)

    def _bootstrap(self) -> None:
        credentials.obtain(self.root, self.settings.node_name)

    def request_serving(self) -> str:
        """Return a serving certificate with its key, which somebody has to approve."""
        api = credentials.obtain(self.root, self.settings.node_name)
        return credentials.request_serving(api, self.settings.node_name, self._addresses(api))

    def _rotate(self) -> None:
        name = self.settings.node_name
        credentials.rotate(self.root, name, credentials.obtain(self.root, name))

    def _serve(self) -> None:
        api = credentials.obtain(self.root, self.settings.node_name)
        node = self._register(api)
        beat = 0.0
        while True:
            self._mirror(api, node)
            if time.monotonic() >= beat:
                api = credentials.obtain(self.root, self.settings.node_name)  # rotated meanwhile
                self._heartbeat(api, node)
                beat = time.monotonic() + HEARTBEAT_SECONDS
            time.sleep(0.5)

    def _register(self, api: Api) -> dict[str, Any]:
        name = self.settings.node_name
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {**BUILT_IN_LABELS, "kubernetes.io/hostname": name, **self.settings.labels},
            },
            "spec": {"taints": self.settings.taints},
        }
        try:
            api.call("POST", "/api/v1/nodes", body)
            logging.info("registered %s", name)
        except ApiError as error:
            if error.status != 409:
                raise
        status = {"status": self._status(api)}
        node = api.call("PATCH", f"/api/v1/nodes/{name}/status", status, MERGE)
        return dict(node)

    def _addresses(self, api: Api) -> list[str]:
        return self.settings.node_ips or [_own_address(api)]

    def _status(self, api: Api) -> dict[str, Any]:
        reasons = {
            "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
            "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
            "PIDPressure": ("False", "KubeletHasSufficientPID"),
            "Ready": ("True", "KubeletReady"),
        }
        return {
            "addresses": [
                {"$patch": "replace"},  # as the real kubelet: their merge key, the type, is the same for both families
                *({"type": "InternalIP", "address": each} for each in self._addresses(api)),
                {"type": "Hostname", "address": self.settings.node_name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.settings.port}},
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": "stand-in",
                    "lastHeartbeatTime": _now(),
                    "lastTransitionTime": _now(),
                }
                for kind, (status, reason) in reasons.items()
            ],
            "nodeInfo": {
                "kubeletVersion": self.version,
                "kubeProxyVersion": "",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
                "kernelVersion": "test",
                "osImage": "test",
                "containerRuntimeVersion": "containerd://2.1.9",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        }

    def _heartbeat(self, api: Api, node: dict[str, Any]) -> None:
        name = self.settings.node_name
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": stamp}
        try:
            api.call("PATCH", f"{LEASES}/{name}", {"spec": spec}, "application/merge-patch+json")
        except ApiError as error:
            if error.status != 404:
                raise
            metadata = {"name": name, "namespace": "kube-node-lease", "ownerReferences": [_owner(node)]}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            api.call("POST", LEASES, lease)

    def _mirror(self, api: Api, node: dict[str, Any]) -> None:
        """Make the mirror pods of this node equal to the static pods."""
        name = self.settings.node_name
        listed = api.call("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}")["items"]
        mirrors = {pod["metadata"]["name"]: pod for pod in listed if MIRROR in pod["metadata"].get("annotations", {})}
        wanted = {f"{pod.name}-{name}": pod for pod in self.keeper.pods.values()}
        for mirror, pod in mirrors.items():
            if mirror not in wanted or pod["metadata"]["annotations"][MIRROR] != wanted[mirror].digest:
                path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{mirror}?gracePeriodSeconds=0"
                api.call("DELETE", path)
        for mirror, static in wanted.items():
            if mirror not in mirrors:
                self._create_mirror(api, mirror, static, node)
            if mirrors.get(mirror, {}).get("status", {}).get("phase") != "Running":
                self._report_running(api, mirror, static)

    def _create_mirror(self, api: Api, mirror: str, pod: StaticPod, node: dict[str, Any]) -> None:
        metadata = pod.manifest["metadata"]
        body = {
            **pod.manifest,
            "metadata": {
                **metadata,
                "name": mirror,
                "ownerReferences": [_owner(node)],
                "annotations": {
                    **metadata.get("annotations", {}),
                    "kubernetes.io/config.hash": pod.digest,
                    MIRROR: pod.digest,
                    "kubernetes.io/config.source": "file",
                },
            },
            "spec": {
                **pod.manifest["spec"],
                "nodeName": self.settings.node_name,
                "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
            },
        }
        api.call("POST", f"/api/v1/namespaces/{metadata['namespace']}/pods", body)
        logging.info("created mirror pod %s", mirror)

    def _report_running(self, api: Api, mirror: str, pod: StaticPod) -> None:
        addresses = self._addresses(api)
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": _now()}
            for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ]
        containers = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": container["image"],
                "ready": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": _now()}},
            }
            for container in pod.manifest["spec"]["containers"]
        ]
        status = {
            "phase": "Running",
            "hostIP": addresses[0],
            "podIP": addresses[0],
            "podIPs": [{"ip": each} for each in addresses],
            "conditions": conditions,
            "containerStatuses": containers,
        }
        path = f"/api/v1/namespaces/{pod.manifest['metadata']['namespace']}/pods/{mirror}/status"
        api.call("PATCH", path, {"status": status}, MERGE)


def _owner(node: dict[str, Any]) -> dict[str, Any]:
    metadata = node["metadata"]
    return {"apiVersion": "v1", "kind": "Node", "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def _own_address(api: Api) -> str:
    """Return the address this machine uses towards the API server."""
    family = socket.AF_INET6 if ":" in (api.url.hostname or "") else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((api.url.hostname, api.url.port or 443))
        return str(probe.getsockname()[0])
