"""Fields of KubeletConfiguration and KubeProxyConfiguration, as ``kubelet:`` and ``kubeProxy:`` take them.

Names and types are those of the published API types k8s.io/kubelet v0.37.2 (``kubelet.config.k8s.io/v1beta1``) and
k8s.io/kube-proxy v0.37.2 (``kubeproxy.config.k8s.io/v1alpha1``), listed by reflection. Closed sets of values are those
of https://kubernetes.io/docs/reference/config-api/. What kgen sets by itself is refused with the field to use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgen.config import values
from kgen.config.kinds import Boolean, Choice, Integer, Kind, Number, Text
from kgen.config.objects import Field, Foreign, ListOf, MapOf, Object

TEXT = Text()
BOOLEAN = Boolean()
INTEGER = Integer()
NUMBER = Number()
DURATION = Text(values.duration_text, "a duration like 1m30s", is_unambiguous=True)
QUANTITY = Text(values.quantity, "a quantity like 500m or 1Gi", is_unambiguous=True)
TEXTS = ListOf(TEXT)

_KUBEADM_SETS = "is set by kgen, as kubeadm sets it"
_DOCUMENT = Foreign("remove it: the fields stand directly below", "is not needed here")
FOREIGN: Mapping[str, Mapping[str, Foreign]] = {
    "kubelet": {
        "apiVersion": _DOCUMENT,
        "kind": _DOCUMENT,
        "staticPodPath": Foreign("remove it: the runner puts the manifests there", _KUBEADM_SETS, "K110"),
        "containerRuntimeEndpoint": Foreign("use nodeRegistration.criSocket", "comes from another field", "K110"),
        "registerWithTaints": Foreign("use `taints:` of the machine or pool", "comes from another field", "K110"),
    },
    "kubelet.authentication.x509": {
        "clientCAFile": Foreign("remove it: the file comes from the bundle", _KUBEADM_SETS, "K110"),
    },
    "kubeProxy": {
        "apiVersion": _DOCUMENT,
        "kind": _DOCUMENT,
        "hostnameOverride": Foreign("remove it: each pod takes its Node's name", _KUBEADM_SETS, "K110"),
    },
    "kubeProxy.clientConnection": {
        "kubeconfig": Foreign("remove it: the file comes with the add-on", _KUBEADM_SETS, "K110"),
    },
}

_LOGGING: Mapping[str, Any] = {
    "format": TEXT,
    "flushFrequency": DURATION,
    "verbosity": INTEGER,
    "vmodule": [
        {
            "filePattern": TEXT,
            "verbosity": INTEGER,
        }
    ],
    "options": {
        "text": {
            "splitStream": BOOLEAN,
            "infoBufferSize": QUANTITY,
        },
        "json": {
            "splitStream": BOOLEAN,
            "infoBufferSize": QUANTITY,
        },
    },
}

_KUBELET: Mapping[str, Any] = {
    "enableServer": BOOLEAN,
    "podLogsDir": TEXT,
    "syncFrequency": DURATION,
    "fileCheckFrequency": DURATION,
    "httpCheckFrequency": DURATION,
    "staticPodURL": TEXT,
    "staticPodURLHeader": MapOf(TEXTS),
    "address": TEXT,
    "port": INTEGER,
    "readOnlyPort": INTEGER,
    "tlsCertFile": TEXT,
    "tlsPrivateKeyFile": TEXT,
    "tlsCipherSuites": TEXTS,
    "tlsCurvePreferences": ListOf(INTEGER),
    "tlsMinVersion": TEXT,
    "rotateCertificates": BOOLEAN,
    "serverTLSBootstrap": BOOLEAN,
    "authentication": {
        "x509": {},
        "webhook": {
            "enabled": BOOLEAN,
            "cacheTTL": DURATION,
        },
        "anonymous": {
            "enabled": BOOLEAN,
        },
    },
    "authorization": {
        "mode": TEXT,
        "webhook": {
            "cacheAuthorizedTTL": DURATION,
            "cacheUnauthorizedTTL": DURATION,
        },
    },
    "registryPullQPS": INTEGER,
    "registryBurst": INTEGER,
    "imagePullCredentialsVerificationPolicy": Choice(
        ("NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify")
    ),
    "preloadedImagesVerificationAllowlist": TEXTS,
    "eventRecordQPS": INTEGER,
    "eventBurst": INTEGER,
    "enableDebuggingHandlers": BOOLEAN,
    "enableContentionProfiling": BOOLEAN,
    "healthzPort": INTEGER,
    "healthzBindAddress": TEXT,
    "oomScoreAdj": INTEGER,
    "clusterDomain": TEXT,
    "clusterDNS": TEXTS,
    "streamingConnectionIdleTimeout": DURATION,
    "nodeStatusUpdateFrequency": DURATION,
    "nodeStatusReportFrequency": DURATION,
    "nodeLeaseDurationSeconds": INTEGER,
    "imageMinimumGCAge": DURATION,
    "imageMaximumGCAge": DURATION,
    "imageGCHighThresholdPercent": INTEGER,
    "imageGCLowThresholdPercent": INTEGER,
    "volumeStatsAggPeriod": DURATION,
    "kubeletCgroups": TEXT,
    "systemCgroups": TEXT,
    "cgroupRoot": TEXT,
    "cgroupsPerQOS": BOOLEAN,
    "cgroupDriver": Choice(("systemd", "cgroupfs")),
    "cpuManagerPolicy": Choice(("none", "static")),
    "singleProcessOOMKill": BOOLEAN,
    "cpuManagerPolicyOptions": MapOf(TEXT),
    "cpuManagerReconcilePeriod": DURATION,
    "memoryManagerPolicy": Choice(("None", "Static")),
    "topologyManagerPolicy": Choice(("none", "best-effort", "restricted", "single-numa-node")),
    "topologyManagerScope": Choice(("container", "pod")),
    "topologyManagerPolicyOptions": MapOf(TEXT),
    "qosReserved": MapOf(QUANTITY),
    "runtimeRequestTimeout": DURATION,
    "hairpinMode": Choice(("promiscuous-bridge", "hairpin-veth", "none")),
    "maxPods": INTEGER,
    "podCIDR": TEXT,
    "podPidsLimit": INTEGER,
    "resolvConf": TEXT,
    "runOnce": BOOLEAN,
    "cpuCFSQuota": BOOLEAN,
    "cpuCFSQuotaPeriod": DURATION,
    "nodeStatusMaxImages": INTEGER,
    "maxOpenFiles": INTEGER,
    "contentType": TEXT,
    "kubeAPIQPS": INTEGER,
    "kubeAPIBurst": INTEGER,
    "serializeImagePulls": BOOLEAN,
    "maxParallelImagePulls": INTEGER,
    "evictionHard": MapOf(QUANTITY),
    "evictionSoft": MapOf(QUANTITY),
    "evictionSoftGracePeriod": MapOf(DURATION),
    "evictionPressureTransitionPeriod": DURATION,
    "evictionMaxPodGracePeriod": INTEGER,
    "evictionMinimumReclaim": MapOf(QUANTITY),
    "mergeDefaultEvictionSettings": BOOLEAN,
    "podsPerCore": INTEGER,
    "enableControllerAttachDetach": BOOLEAN,
    "protectKernelDefaults": BOOLEAN,
    "makeIPTablesUtilChains": BOOLEAN,
    "iptablesMasqueradeBit": INTEGER,
    "iptablesDropBit": INTEGER,
    "featureGates": MapOf(BOOLEAN),
    "failSwapOn": BOOLEAN,
    "memorySwap": {
        "swapBehavior": Choice(("NoSwap", "LimitedSwap")),
    },
    "containerLogMaxSize": TEXT,
    "containerLogMaxFiles": INTEGER,
    "containerLogMaxWorkers": INTEGER,
    "containerLogMonitorInterval": DURATION,
    "configMapAndSecretChangeDetectionStrategy": Choice(("Get", "Cache", "Watch")),
    "systemReserved": MapOf(QUANTITY),
    "kubeReserved": MapOf(QUANTITY),
    "reservedSystemCPUs": TEXT,
    "showHiddenMetricsForVersion": TEXT,
    "systemReservedCgroup": TEXT,
    "kubeReservedCgroup": TEXT,
    "enforceNodeAllocatable": TEXTS,
    "allowedUnsafeSysctls": TEXTS,
    "defaultPodSysctls": MapOf(TEXT),
    "volumePluginDir": TEXT,
    "providerID": TEXT,
    "kernelMemcgNotification": BOOLEAN,
    "logging": _LOGGING,
    "enableSystemLogHandler": BOOLEAN,
    "enableSystemLogQuery": BOOLEAN,
    "shutdownGracePeriod": DURATION,
    "shutdownGracePeriodCriticalPods": DURATION,
    "shutdownGracePeriodByPodPriority": [
        {
            "priority": INTEGER,
            "shutdownGracePeriodSeconds": INTEGER,
        }
    ],
    "crashLoopBackOff": {
        "maxContainerRestartPeriod": DURATION,
    },
    "reservedMemory": [
        {
            "numaNode": INTEGER,
            "limits": MapOf(QUANTITY),
        }
    ],
    "enableProfilingHandler": BOOLEAN,
    "enableDebugFlagsHandler": BOOLEAN,
    "seccompDefault": BOOLEAN,
    "memoryThrottlingFactor": NUMBER,
    "memoryReservationPolicy": TEXT,
    "registerNode": BOOLEAN,
    "tracing": {
        "endpoint": TEXT,
        "samplingRatePerMillion": INTEGER,
    },
    "localStorageCapacityIsolation": BOOLEAN,
    "imageServiceEndpoint": TEXT,
    "failCgroupV1": BOOLEAN,
    "userNamespaces": {
        "idsPerPod": INTEGER,
    },
}

_KUBE_PROXY: Mapping[str, Any] = {
    "featureGates": MapOf(BOOLEAN),
    "clientConnection": {
        "acceptContentTypes": TEXT,
        "contentType": TEXT,
        "qps": NUMBER,
        "burst": INTEGER,
    },
    "logging": _LOGGING,
    "bindAddress": TEXT,
    "healthzBindAddress": TEXT,
    "metricsBindAddress": TEXT,
    "bindAddressHardFail": BOOLEAN,
    "enableProfiling": BOOLEAN,
    "showHiddenMetricsForVersion": TEXT,
    "mode": Choice(("", "iptables", "ipvs", "nftables")),
    "iptables": {
        "masqueradeBit": INTEGER,
        "masqueradeAll": BOOLEAN,
        "localhostNodePorts": BOOLEAN,
        "syncPeriod": DURATION,
        "minSyncPeriod": DURATION,
    },
    "ipvs": {
        "syncPeriod": DURATION,
        "minSyncPeriod": DURATION,
        "scheduler": TEXT,
        "excludeCIDRs": TEXTS,
        "strictARP": BOOLEAN,
        "tcpTimeout": DURATION,
        "tcpFinTimeout": DURATION,
        "udpTimeout": DURATION,
    },
    "nftables": {
        "masqueradeBit": INTEGER,
        "masqueradeAll": BOOLEAN,
        "syncPeriod": DURATION,
        "minSyncPeriod": DURATION,
    },
    "winkernel": {
        "networkName": TEXT,
        "sourceVip": TEXT,
        "enableDSR": BOOLEAN,
        "rootHnsEndpointName": TEXT,
        "forwardHealthCheckVip": BOOLEAN,
    },
    "detectLocalMode": Choice(("", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")),
    "detectLocal": {
        "bridgeInterface": TEXT,
        "interfaceNamePrefix": TEXT,
    },
    "clusterCIDR": TEXT,
    "nodePortAddresses": TEXTS,
    "oomScoreAdj": INTEGER,
    "conntrack": {
        "maxPerCore": INTEGER,
        "min": INTEGER,
        "tcpEstablishedTimeout": DURATION,
        "tcpCloseWaitTimeout": DURATION,
        "tcpBeLiberal": BOOLEAN,
        "udpTimeout": DURATION,
        "udpStreamTimeout": DURATION,
    },
    "configSyncPeriod": DURATION,
    "portRange": TEXT,
    "windowsRunAsService": BOOLEAN,
}


def _kind(spec: Any, path: str) -> Kind:
    if isinstance(spec, Kind):
        return spec
    if isinstance(spec, list):
        return ListOf(_kind(spec[0], path))
    fields = tuple(Field(key, _kind(below, f"{path}.{key}"), "") for key, below in spec.items())
    return Object(fields, foreign=FOREIGN.get(path, {}), is_plain=True)


KUBELET = _kind(_KUBELET, "kubelet")
KUBE_PROXY = _kind(_KUBE_PROXY, "kubeProxy")
