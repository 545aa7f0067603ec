"""The table of configuration files that kube-apiserver reads, and that have a key of their own below ``apiServer``.

Facts: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/ and the API groups
``apiserver.config.k8s.io`` and ``audit.k8s.io`` of k8s.io/apiserver v0.37.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from kgen.facts import names

DIRECTORY = names.KUBERNETES_DIR / "kube-apiserver"
"""The directory on a master that the API server's pod sees."""

VOLUME = "apiserver-config"
AUDIT_LOG = PurePosixPath("/var/log/kubernetes/audit/audit.log")
AUDIT_LOG_VOLUME = "audit-log"
AUDIT_BACKENDS = ("audit-log-path", "audit-webhook-config-file")
"""The flags that say where audit events go."""

AUDIT_DEFAULTS: Mapping[str, str] = {
    "audit-log-path": str(AUDIT_LOG),
    "audit-log-maxage": "30",
    "audit-log-maxbackup": "10",
    "audit-log-maxsize": "100",
}
"""A log file that cannot fill the disk, where the user names no place for audit events."""

HEALTH_PATHS = ("/livez", "/readyz")
"""The paths that the kubelet probes without a credential."""

CLUSTER_INFO_PATH = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
"""What ``kubeadm join`` reads without a credential."""

ANONYMOUS_PATHS = (*HEALTH_PATHS, "/healthz", CLUSTER_INFO_PATH)
ANONYMOUS = (
    "`anonymous: {enabled: true, conditions: ["
    + ", ".join(f"{{path: {path}}}" for path in ANONYMOUS_PATHS)
    + "]}`; kubeadm join needs the last path"
)
"""How anonymous requests are limited to what the kubelet and ``kubeadm join`` need.

Every version that kgen supports has it: https://www.kubernetes.dev/resources/keps/4633/, beta in v1.32.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A file: the key below ``apiServer`` that brings it, and the flag that names it.

    ``kind`` is empty for a file that is no configuration but PEM text. ``versions`` maps each ``apiVersion`` to the
    minor of Kubernetes that has it first. ``excludes`` has flags that kube-apiserver does not take beside it, ``*``
    for any characters.
    """

    key: str
    flag: str
    name: str
    help: str
    kind: str = ""
    versions: Mapping[str, int] = field(default_factory=dict)
    excludes: tuple[str, ...] = ()

    @property
    def path(self) -> PurePosixPath:
        """Return the path of the file on a master."""
        return DIRECTORY / self.name


_GROUP = "apiserver.config.k8s.io"
ROWS: tuple[Row, ...] = (
    Row(
        "auditPolicyFile",
        "audit-policy-file",
        "audit-policy.yaml",
        "an audit Policy, relative to this file; events go to /var/log/kubernetes/audit unless extraArgs say otherwise",
        "Policy",
        {"audit.k8s.io/v1": 0},
    ),
    Row(
        "admissionControlConfigFile",
        "admission-control-config-file",
        "admission.yaml",
        "an AdmissionConfiguration, relative to this file",
        "AdmissionConfiguration",
        {f"{_GROUP}/v1": 0},
    ),
    Row(
        "authenticationConfig",
        "authentication-config",
        "authentication.yaml",
        "an AuthenticationConfiguration (OIDC issuers, anonymous requests), relative to this file",
        "AuthenticationConfiguration",
        {f"{_GROUP}/v1beta1": 0, f"{_GROUP}/v1": 34},
        excludes=("oidc-*",),
    ),
    Row(
        "authorizationConfig",
        "authorization-config",
        "authorization.yaml",
        "an AuthorizationConfiguration, relative to this file; it replaces authorization-mode",
        "AuthorizationConfiguration",
        {f"{_GROUP}/v1beta1": 0, f"{_GROUP}/v1": 0},
        excludes=("authorization-mode", "authorization-webhook-*"),
    ),
    Row(
        "oidcCAFile",
        "oidc-ca-file",
        "oidc-ca.crt",
        "the CA of the OIDC issuer in extraArgs, PEM, relative to this file",
    ),
)

ENCRYPTION_FLAG = "encryption-provider-config"
ENCRYPTION_PATH = DIRECTORY / "encryption.yaml"
