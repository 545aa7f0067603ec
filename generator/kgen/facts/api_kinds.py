"""The table of Kubernetes' own kinds of objects, with the API collections they are created in.

Facts: the discovery of kube-apiserver v1.37.2 (``kubectl api-resources``); tests/control_plane compares. Kinds that
are not stored (reviews, bindings) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiKind:
    """A kind: the name of its collection, whether it lives in a namespace, and the versions that are served.

    ``versions`` is empty where it depends on the release: kinds that were not stable in every supported one.
    """

    plural: str
    namespaced: bool
    versions: tuple[str, ...] = ()


_V1 = ("v1",)
_CLUSTER, _NAMESPACED = False, True
_ROWS: tuple[tuple[str, tuple[str, ...], bool, str], ...] = (
    ("", _V1, _CLUSTER, "Namespace Node PersistentVolume"),
    (
        "",
        _V1,
        _NAMESPACED,
        "ConfigMap Endpoints:endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate ReplicationController "
        "ResourceQuota Secret Service ServiceAccount",
    ),
    (
        "admissionregistration.k8s.io",
        _V1,
        _CLUSTER,
        "MutatingWebhookConfiguration ValidatingAdmissionPolicy:validatingadmissionpolicies "
        "ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io",
        (),
        _CLUSTER,
        "MutatingAdmissionPolicy:mutatingadmissionpolicies MutatingAdmissionPolicyBinding",
    ),
    ("apiextensions.k8s.io", _V1, _CLUSTER, "CustomResourceDefinition"),
    ("apiregistration.k8s.io", _V1, _CLUSTER, "APIService"),
    ("apps", _V1, _NAMESPACED, "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet"),
    ("autoscaling", ("v1", "v2"), _NAMESPACED, "HorizontalPodAutoscaler"),
    ("batch", _V1, _NAMESPACED, "CronJob Job"),
    ("certificates.k8s.io", _V1, _CLUSTER, "CertificateSigningRequest"),
    ("certificates.k8s.io", (), _CLUSTER, "ClusterTrustBundle"),
    ("certificates.k8s.io", (), _NAMESPACED, "PodCertificateRequest"),
    ("coordination.k8s.io", _V1, _NAMESPACED, "Lease"),
    ("discovery.k8s.io", _V1, _NAMESPACED, "EndpointSlice"),
    ("events.k8s.io", _V1, _NAMESPACED, "Event"),
    ("flowcontrol.apiserver.k8s.io", _V1, _CLUSTER, "FlowSchema PriorityLevelConfiguration"),
    ("networking.k8s.io", _V1, _CLUSTER, "IngressClass:ingressclasses"),
    ("networking.k8s.io", (), _CLUSTER, "IPAddress:ipaddresses ServiceCIDR"),
    ("networking.k8s.io", _V1, _NAMESPACED, "Ingress:ingresses NetworkPolicy:networkpolicies"),
    ("node.k8s.io", _V1, _CLUSTER, "RuntimeClass:runtimeclasses"),
    ("policy", _V1, _NAMESPACED, "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", _V1, _CLUSTER, "ClusterRole ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", _V1, _NAMESPACED, "Role RoleBinding"),
    ("resource.k8s.io", (), _CLUSTER, "DeviceClass:deviceclasses DeviceTaintRule ResourceSlice"),
    ("resource.k8s.io", (), _NAMESPACED, "ResourceClaim ResourceClaimTemplate"),
    ("scheduling.k8s.io", _V1, _CLUSTER, "PriorityClass:priorityclasses"),
    ("storage.k8s.io", _V1, _CLUSTER, "CSIDriver CSINode StorageClass:storageclasses VolumeAttachment"),
    ("storage.k8s.io", (), _CLUSTER, "VolumeAttributesClass:volumeattributesclasses"),
    ("storage.k8s.io", _V1, _NAMESPACED, "CSIStorageCapacity:csistoragecapacities"),
    ("storagemigration.k8s.io", (), _CLUSTER, "StorageVersionMigration"),
)


def _built_in() -> dict[tuple[str, str], ApiKind]:
    found: dict[tuple[str, str], ApiKind] = {}
    for group, versions, namespaced, kinds in _ROWS:
        for entry in kinds.split():
            kind, _, plural = entry.partition(":")
            found[group, kind] = ApiKind(plural or f"{kind.lower()}s", namespaced, versions)
    return found


BUILT_IN: Mapping[tuple[str, str], ApiKind] = _built_in()
"""The kinds by (group, name); the core group is the empty text."""


def group_of(api_version: str) -> str:
    """Return the group of an ``apiVersion``, empty for the core group."""
    return api_version.rpartition("/")[0]


def collection(api_version: str, kind: ApiKind, namespace: str = "") -> str:
    """Return the API path that objects of ``kind`` are created in."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{namespace}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
