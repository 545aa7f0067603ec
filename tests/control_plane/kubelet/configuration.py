"""What the rendered files tell the kubelet: config.yaml, kubeadm-flags.env."""

from __future__ import annotations

import shlex
import socket
from dataclasses import dataclass
from pathlib import Path

import yaml

CONFIG = "var/lib/kubelet/config.yaml"
INSTANCE_CONFIG = "var/lib/kubelet/instance-config.yaml"
FLAGS = "var/lib/kubelet/kubeadm-flags.env"
API_VERSION = "kubelet.config.k8s.io/v1beta1"
KNOWN_FLAGS = ("hostname-override", "node-ip", "node-labels", "register-with-taints", "v")


@dataclass(frozen=True)
class Settings:
    """The part of the kubelet's configuration that the stand-in acts on."""

    node_name: str
    node_ips: list[str]
    labels: dict[str, str]
    taints: list[dict[str, str]]
    static_pod_path: Path
    healthz_address: str
    healthz_port: int
    rotate_certificates: bool
    client_ca: Path
    port: int
    certificate: Path | None
    key: Path | None
    requests_certificate: bool


def load(root: Path) -> Settings:
    """Return the settings of the files below ``root``. Raises ValueError for what the real kubelet would refuse."""
    config = yaml.safe_load((root / CONFIG).read_text(encoding="utf-8"))
    if (config.get("apiVersion"), config.get("kind")) != (API_VERSION, "KubeletConfiguration"):
        raise ValueError(f"{CONFIG} is not a KubeletConfiguration of {API_VERSION}")
    instance = yaml.safe_load((root / INSTANCE_CONFIG).read_text(encoding="utf-8"))  # kubeadm writes it without a kind
    if not instance.get("containerRuntimeEndpoint", "").startswith("unix://"):
        raise ValueError("no containerRuntimeEndpoint in instance-config.yaml")
    if not (root / config["authentication"]["x509"]["clientCAFile"].lstrip("/")).is_file():
        raise ValueError("clientCAFile is missing")
    flags = _flags(root / FLAGS)
    pair = [_below(root, config.get(field)) for field in ("tlsCertFile", "tlsPrivateKeyFile")]
    if missing := [path for path in pair if path and not path.is_file()]:
        raise ValueError(f"failed to load TLS cert file: {missing}")
    return Settings(
        node_name=flags.get("hostname-override", socket.gethostname().lower()),
        node_ips=list(_listed(flags.get("node-ip"))),
        labels=dict(pair.split("=", 1) for pair in _listed(flags.get("node-labels"))),
        taints=[_taint(text) for text in _listed(flags.get("register-with-taints"))],
        static_pod_path=root / config["staticPodPath"].lstrip("/"),
        healthz_address=config["healthzBindAddress"],
        healthz_port=int(config["healthzPort"]),
        rotate_certificates=bool(config.get("rotateCertificates")),
        client_ca=root / config["authentication"]["x509"]["clientCAFile"].lstrip("/"),
        port=int(config.get("port") or 10250),
        certificate=pair[0],
        key=pair[1],
        requests_certificate=bool(config.get("serverTLSBootstrap")),
    )


def _below(root: Path, path: str | None) -> Path | None:
    return root / path.lstrip("/") if path else None


def _flags(path: Path) -> dict[str, str]:
    """Return the flags of KUBELET_KUBEADM_ARGS, read as systemd reads an EnvironmentFile and splits ``$NAME``."""
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name == "KUBELET_KUBEADM_ARGS":
            words = "".join(shlex.split(value)).split()
            flags = dict(word.removeprefix("--").split("=", 1) for word in words)
            unknown = sorted(set(flags) - set(KNOWN_FLAGS))
            if unknown:
                raise ValueError(f"unknown flags: {unknown}")
            return flags
    raise ValueError(f"{path.name} sets no KUBELET_KUBEADM_ARGS")


def _listed(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _taint(text: str) -> dict[str, str]:
    """Return the taint of ``key[=value]:Effect``."""
    head, effect = text.rsplit(":", 1)
    key, _, value = head.partition("=")
    return {"key": key, "effect": effect, **({"value": value} if value else {})}
