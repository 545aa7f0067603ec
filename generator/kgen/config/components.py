"""Fields of KubeletConfiguration and KubeProxyConfiguration, as ``kubelet:`` and ``kubeProxy:`` take them.

Names and types are those of the published API types k8s.io/kubelet v0.37.2 (``kubelet.config.k8s.io/v1beta1``) and
k8s.io/kube-proxy v0.37.2 (``kubeproxy.config.k8s.io/v1alpha1``), listed by reflection. Closed sets of values and
defaults are those of https://kubernetes.io/docs/reference/config-api/. Fields that kgen sets itself are refused;
the hint names the field to use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kgen.config import values
from kgen.reader import scalars
from kgen.reader.kinds import Boolean, Choice, Integer, Kind, Number, Schema, Text
from kgen.reader.objects import Field, Foreign, ListOf, MapOf, Object
from kgen.reader.report import Report
from kgen.reader.tree import Node, Scalar

TEXT = Text()
BOOLEAN = Boolean()
INT32 = Integer(-(2**31), 2**31 - 1)
INT64 = Integer(-(2**63), 2**63 - 1)
UINT32 = Integer(0, 2**32 - 1)
NUMBER = Number()
DURATION = Text(values.go_duration_text, "a duration like 1m30s", is_unambiguous=True)
QUANTITY = Text(values.canonical_quantity, "a quantity like 500m or 1Gi", is_unambiguous=True)
"""Durations and quantities that kubeadm reads, and writes in their canonical form."""
DURATION_TEXT = Text(values.duration_text, "a duration like 1m30s", is_unambiguous=True)
QUANTITY_TEXT = Text(values.quantity, "a quantity like 500m, 1Gi or 5%", is_unambiguous=True)
"""Durations and quantities that are plain text to kubeadm: it writes them as they are."""
TEXTS = ListOf(TEXT)


@dataclass(frozen=True)
class DurationOrNanoseconds(Text):
    """A duration as a text, or as a number without quotes, which stands for nanoseconds."""

    def read(self, node: Node, report: Report) -> Any:
        """Return the text as Go writes it, or the number."""
        is_number = isinstance(node, Scalar) and node.is_plain and scalars.resolve(node.text) == "integer"
        return INT64.read(node, report) if is_number else super().read(node, report)

    def schema(self) -> Schema:
        """Return a string or an integer."""
        return {"type": ["string", "integer"]}


DURATION_OR_NANOSECONDS = DurationOrNanoseconds(
    values.go_duration_text, "a duration like 1m30s, or nanoseconds", is_unambiguous=True
)


@dataclass(frozen=True)
class GoField(Field):
    """A field of a configuration that kubeadm reads into a Go type and writes again.

    ``drops_empty``: kubeadm leaves the field out if its value is empty, zero or false (Go's ``omitempty``, and no
    pointer).
    """

    drops_empty: bool = False


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


def _written(key: str, kind: Kind, help_text: str, default: str = "") -> GoField:
    """Return a field that kubeadm writes even if its value is empty."""
    return GoField(key, kind, help_text, default_note=default)


def _omitempty(key: str, kind: Kind, help_text: str, default: str = "") -> GoField:
    """Return a field that kubeadm leaves out if its value is empty."""
    return GoField(key, kind, help_text, default_note=default, drops_empty=True)


def _object(*fields: GoField, path: str = "") -> Object:
    """Return an object; ``path`` finds the keys that are refused in it."""
    return Object(fields, foreign=FOREIGN.get(path, {}), is_plain=True)


_OUTPUT = _object(
    _omitempty("splitStream", BOOLEAN, "Errors go to stderr and everything else to stdout. Alpha.", "false"),
    _omitempty("infoBufferSize", QUANTITY, "The buffer for messages on stdout, in bytes. Alpha.", "0, no buffer"),
)
_LOGGING = _object(
    _omitempty("format", TEXT, "The format of log lines: text or json.", "text"),
    _written(
        "flushFrequency",
        DURATION_OR_NANOSECONDS,
        "The longest time between two flushes of the log. A number without a unit stands for nanoseconds.",
        "5s",
    ),
    _written("verbosity", UINT32, "The level of detail of the log, from 0 to about 10.", "0"),
    _omitempty(
        "vmodule",
        ListOf(
            _object(
                _written("filePattern", TEXT, "A source file's name without .go, or a pattern with *."),
                _written("verbosity", UINT32, "The level of detail for these files."),
            )
        ),
        "Levels of detail for single source files. Works only with the format text.",
    ),
    _written(
        "options",
        _object(
            _written("text", _OUTPUT, "Options of the format text."),
            _written("json", _OUTPUT, "Options of the format json."),
        ),
        "Options of the log formats.",
    ),
)

_HIDDEN_METRICS = "The minor version, such as 1.36, whose deprecated metrics are still shown."
_MACHINE_FILE = "The file must be on the machine."

_AUTHENTICATION = _object(
    _written("x509", _object(path="kubelet.authentication.x509"), "Client certificates. kgen sets the CA."),
    _written(
        "webhook",
        _object(
            _written("enabled", BOOLEAN, "The API server checks bearer tokens for the kubelet.", "true"),
            _omitempty("cacheTTL", DURATION, "The time for which an answer is remembered.", "2m"),
        ),
        "Bearer tokens.",
    ),
    _written(
        "anonymous",
        _object(_written("enabled", BOOLEAN, "Requests without credentials are accepted.", "false, set by kubeadm")),
        "Requests without credentials.",
    ),
)
_AUTHORIZATION = _object(
    _omitempty("mode", TEXT, "Webhook asks the API server. AlwaysAllow allows everything.", "Webhook"),
    _written(
        "webhook",
        _object(
            _omitempty("cacheAuthorizedTTL", DURATION, "The time for which a yes is remembered.", "5m"),
            _omitempty("cacheUnauthorizedTTL", DURATION, "The time for which a no is remembered.", "30s"),
        ),
        "Answers of the API server.",
    ),
)

KUBELET = _object(
    _written("enableServer", BOOLEAN, "The kubelet serves its API on the machine's address.", "true"),
    _omitempty("podLogsDir", TEXT, "The directory of the pods' logs.", "/var/log/pods"),
    _omitempty("syncFrequency", DURATION, "The longest time between two syncs of pods and their configuration.", "1m"),
    _omitempty("fileCheckFrequency", DURATION, "The time between two checks of the static pods' directory.", "20s"),
    _omitempty("httpCheckFrequency", DURATION, "The time between two checks of staticPodURL.", "20s"),
    _omitempty("staticPodURL", TEXT, "A URL from which the kubelet reads more static pods."),
    _omitempty("staticPodURLHeader", MapOf(TEXTS), "HTTP headers of requests to staticPodURL: name to values."),
    _omitempty("address", TEXT, "The IP address on which the kubelet serves its API.", "0.0.0.0, all addresses"),
    _omitempty("port", INT32, "The port of the kubelet's API.", "10250"),
    _omitempty("readOnlyPort", INT32, "A port for reading without authentication. 0 disables it.", "0"),
    _omitempty(
        "tlsCertFile",
        TEXT,
        f"The certificate of the kubelet's API. {_MACHINE_FILE}",
        "a self-signed certificate in /var/lib/kubelet/pki",
    ),
    _omitempty("tlsPrivateKeyFile", TEXT, f"The private key for tlsCertFile. {_MACHINE_FILE}"),
    _omitempty("tlsCipherSuites", TEXTS, "The allowed TLS cipher suites, by Go's names.", "Go's defaults"),
    _omitempty("tlsCurvePreferences", ListOf(INT32), "The allowed TLS key exchanges, by Go's numbers."),
    _omitempty("tlsMinVersion", TEXT, "The lowest accepted TLS version, such as VersionTLS13.", "VersionTLS12"),
    _omitempty(
        "rotateCertificates", BOOLEAN, "The kubelet renews its client certificate. It cannot be disabled.", "true"
    ),
    _omitempty(
        "serverTLSBootstrap",
        BOOLEAN,
        "The kubelet requests its serving certificate from the cluster. Someone must approve each request.",
        "false",
    ),
    _written("authentication", _AUTHENTICATION, "How the kubelet's API identifies clients."),
    _written("authorization", _AUTHORIZATION, "What identified clients may do at the kubelet's API."),
    _written("registryPullQPS", INT32, "Image pulls per second. 0 means no limit.", "5"),
    _omitempty("registryBurst", INT32, "Image pulls allowed in one burst above registryPullQPS.", "10"),
    _omitempty(
        "imagePullCredentialsVerificationPolicy",
        Choice(("NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify")),
        "The images on the machine that a pod may use only with credentials for them.",
        "NeverVerifyPreloadedImages",
    ),
    _omitempty(
        "preloadedImagesVerificationAllowlist",
        TEXTS,
        "Images without verification under the policy NeverVerifyAllowlistedImages. A final /* covers a path.",
    ),
    _written("eventRecordQPS", INT32, "Events created per second. 0 means no limit.", "50"),
    _omitempty("eventBurst", INT32, "Events allowed in one burst above eventRecordQPS.", "100"),
    _written("enableDebuggingHandlers", BOOLEAN, "The kubelet's API serves logs, exec and port-forward.", "true"),
    _omitempty("enableContentionProfiling", BOOLEAN, "Profiles include waits for locks.", "false"),
    _written("healthzPort", INT32, "The port of the health check. 0 disables it.", "10248"),
    _omitempty("healthzBindAddress", TEXT, "The IP address of the health check.", "127.0.0.1"),
    _written("oomScoreAdj", INT32, "The kubelet's own OOM score, from -1000 to 1000.", "-999"),
    _omitempty("clusterDomain", TEXT, "The DNS domain that pods search.", "networking.dnsDomain"),
    _omitempty(
        "clusterDNS", TEXTS, "The IP addresses of pods' DNS servers.", "the tenth address of networking.serviceSubnet"
    ),
    _omitempty("streamingConnectionIdleTimeout", DURATION, "Idle exec and attach connections end after this.", "4h"),
    _omitempty("nodeStatusUpdateFrequency", DURATION, "The time between two computations of the Node's status.", "10s"),
    _omitempty("nodeStatusReportFrequency", DURATION, "The time between two reports of an unchanged status.", "5m"),
    _omitempty("nodeLeaseDurationSeconds", INT32, "The duration of the Node's lease, in seconds.", "40"),
    _omitempty("imageMinimumGCAge", DURATION, "The age below which an unused image is kept.", "2m"),
    _omitempty("imageMaximumGCAge", DURATION, "The age above which an unused image is removed. 0s disables it.", "0s"),
    _written(
        "imageGCHighThresholdPercent", INT32, "Above this use of the disk, in percent, unused images are removed.", "85"
    ),
    _written(
        "imageGCLowThresholdPercent", INT32, "Removal of images stops below this use of the disk, in percent.", "80"
    ),
    _omitempty("volumeStatsAggPeriod", DURATION, "The time between two measurements of the volumes' sizes.", "1m"),
    _omitempty("kubeletCgroups", TEXT, "The cgroup in which the kubelet runs.", "its own"),
    _omitempty("systemCgroups", TEXT, "The cgroup for all processes that are in no container.", "none"),
    _omitempty("cgroupRoot", TEXT, "The cgroup below which pods run.", "the container runtime's"),
    _written("cgroupsPerQOS", BOOLEAN, "Pods run in one cgroup for each class of service.", "true"),
    _omitempty(
        "cgroupDriver",
        Choice(("systemd", "cgroupfs")),
        "The manager of cgroups. The container runtime must use the same one.",
        "systemd, set by kubeadm",
    ),
    _omitempty(
        "cpuManagerPolicy", Choice(("none", "static")), "static gives whole CPUs to some guaranteed pods.", "none"
    ),
    _written(
        "singleProcessOOMKill",
        BOOLEAN,
        "The kernel ends single processes instead of the whole container when memory runs out.",
        "false with cgroup v2",
    ),
    _omitempty("cpuManagerPolicyOptions", MapOf(TEXT), "Options of cpuManagerPolicy static: name to value."),
    _omitempty("cpuManagerReconcilePeriod", DURATION, "The time between two corrections of CPU assignments.", "10s"),
    _omitempty(
        "memoryManagerPolicy", Choice(("None", "Static")), "Static reserves memory of NUMA nodes for pods.", "None"
    ),
    _omitempty(
        "topologyManagerPolicy",
        Choice(("none", "best-effort", "restricted", "single-numa-node")),
        "How strictly a pod's resources must be close to each other.",
        "none",
    ),
    _omitempty(
        "topologyManagerScope", Choice(("container", "pod")), "What topologyManagerPolicy keeps together.", "container"
    ),
    _omitempty("topologyManagerPolicyOptions", MapOf(TEXT), "Options of topologyManagerPolicy: name to value."),
    _omitempty(
        "qosReserved", MapOf(QUANTITY_TEXT), "Memory, in percent, that lower classes of service may not use. Alpha."
    ),
    _omitempty("runtimeRequestTimeout", DURATION, "The time limit of requests to the container runtime.", "2m"),
    _omitempty(
        "hairpinMode",
        Choice(("promiscuous-bridge", "hairpin-veth", "none")),
        "How a pod reaches itself through its Service.",
        "promiscuous-bridge",
    ),
    _omitempty("maxPods", INT32, "The most pods on the machine.", "110"),
    _omitempty("podCIDR", TEXT, "The pods' network of a kubelet without a cluster."),
    _written("podPidsLimit", INT64, "The most processes in a pod. -1 takes the machine's limit.", "-1"),
    _written(
        "resolvConf",
        TEXT,
        "The file with the DNS servers that pods inherit. An empty text disables that.",
        "chosen on the machine: systemd-resolved's file if it runs, else /etc/resolv.conf",
    ),
    _omitempty("runOnce", BOOLEAN, "Deprecated: recent kubelets refuse true.", "false"),
    _written("cpuCFSQuota", BOOLEAN, "The kernel enforces CPU limits of containers.", "true"),
    _written("cpuCFSQuotaPeriod", DURATION, "The period of CPU limits, from 1ms to 1s.", "100ms"),
    _written("nodeStatusMaxImages", INT32, "The most images in the Node's status. -1 means all.", "50"),
    _omitempty("maxOpenFiles", INT64, "The most files that the kubelet may open.", "1000000"),
    _omitempty("contentType", TEXT, "The format of requests to the API server.", "application/vnd.kubernetes.protobuf"),
    _written("kubeAPIQPS", INT32, "Requests to the API server per second.", "50"),
    _omitempty("kubeAPIBurst", INT32, "Requests to the API server allowed in one burst.", "100"),
    _written("serializeImagePulls", BOOLEAN, "The kubelet pulls one image at a time.", "true"),
    _written(
        "maxParallelImagePulls", INT32, "The most image pulls at the same time. Needs serializeImagePulls: false."
    ),
    _omitempty(
        "evictionHard",
        MapOf(QUANTITY_TEXT),
        "Limits below which pods are evicted at once: signal to quantity or percentage.",
        "memory.available 100Mi, nodefs.available 10%, nodefs.inodesFree 5%, imagefs.available 15%",
    ),
    _omitempty(
        "evictionSoft",
        MapOf(QUANTITY_TEXT),
        "Limits below which pods are evicted after evictionSoftGracePeriod: signal to quantity or percentage.",
    ),
    _omitempty(
        "evictionSoftGracePeriod",
        MapOf(DURATION_TEXT),
        "The time for which a limit of evictionSoft must be crossed: signal to duration.",
    ),
    _omitempty(
        "evictionPressureTransitionPeriod", DURATION, "The time after which the Node reports the end of pressure.", "5m"
    ),
    _omitempty("evictionMaxPodGracePeriod", INT32, "The most seconds that a pod gets to stop in a soft eviction.", "0"),
    _omitempty("evictionMinimumReclaim", MapOf(QUANTITY_TEXT), "The least that an eviction frees: signal to quantity."),
    _written(
        "mergeDefaultEvictionSettings",
        BOOLEAN,
        "Limits that evictionHard does not name keep their defaults. Otherwise they are 0.",
        "false",
    ),
    _omitempty("podsPerCore", INT32, "The most pods for each CPU. 0 means no such limit.", "0"),
    _written(
        "enableControllerAttachDetach",
        BOOLEAN,
        "kube-controller-manager attaches volumes, not the kubelet.",
        "true",
    ),
    _omitempty(
        "protectKernelDefaults",
        BOOLEAN,
        "The kubelet refuses to start if sysctls are not as it needs them. Otherwise it sets them.",
        "false",
    ),
    _written("makeIPTablesUtilChains", BOOLEAN, "The kubelet creates its own iptables chains.", "true"),
    _written("iptablesMasqueradeBit", INT32, "Deprecated: has no effect.", "14"),
    _written("iptablesDropBit", INT32, "Deprecated: has no effect.", "15"),
    _omitempty("featureGates", MapOf(BOOLEAN), "Feature gates of the kubelet: name to true or false."),
    _written("failSwapOn", BOOLEAN, "The kubelet refuses to start on a machine with swap.", "true"),
    _written(
        "memorySwap",
        _object(
            _omitempty(
                "swapBehavior", Choice(("NoSwap", "LimitedSwap")), "Whether pods may use the machine's swap.", "NoSwap"
            )
        ),
        "Swap of pods. Needs failSwapOn: false.",
    ),
    _omitempty("containerLogMaxSize", TEXT, "The size at which a container's log is rotated, such as 10Mi.", "10Mi"),
    _written("containerLogMaxFiles", INT32, "The most log files for each container, at least 2.", "5"),
    _written("containerLogMaxWorkers", INT32, "The most rotations of logs at the same time.", "1"),
    _written("containerLogMonitorInterval", DURATION, "The time between two checks of the logs' sizes.", "10s"),
    _omitempty(
        "configMapAndSecretChangeDetectionStrategy",
        Choice(("Get", "Cache", "Watch")),
        "How the kubelet learns of changed ConfigMaps and Secrets.",
        "Watch",
    ),
    _omitempty(
        "systemReserved",
        MapOf(QUANTITY_TEXT),
        "Resources that pods may not use, for the operating system: cpu, memory, ephemeral-storage or pid to quantity.",
    ),
    _omitempty(
        "kubeReserved",
        MapOf(QUANTITY_TEXT),
        "Resources that pods may not use, for the kubelet and the runtime: the same keys as systemReserved.",
    ),
    _omitempty("reservedSystemCPUs", TEXT, "CPUs that pods may not use, as a list such as 0-1,4."),
    _omitempty("showHiddenMetricsForVersion", TEXT, _HIDDEN_METRICS),
    _omitempty("systemReservedCgroup", TEXT, "The cgroup on which systemReserved is enforced."),
    _omitempty("kubeReservedCgroup", TEXT, "The cgroup on which kubeReserved is enforced."),
    _omitempty(
        "enforceNodeAllocatable",
        TEXTS,
        "The reservations that the kubelet enforces: pods, system-reserved, kube-reserved, or none.",
        "pods",
    ),
    _omitempty("allowedUnsafeSysctls", TEXTS, "Unsafe sysctls that pods may set. A final * is a pattern."),
    _omitempty("defaultPodSysctls", MapOf(TEXT), "Sysctls of every pod that does not set them: name to value."),
    _omitempty(
        "volumePluginDir",
        TEXT,
        "The directory of flexvolume plugins.",
        "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/",
    ),
    _omitempty("providerID", TEXT, "The machine's identity at the cloud provider."),
    _omitempty("kernelMemcgNotification", BOOLEAN, "The kernel tells the kubelet when memory runs out.", "false"),
    _written("logging", _LOGGING, "The kubelet's log."),
    _written("enableSystemLogHandler", BOOLEAN, "The kubelet's API serves /var/log.", "true"),
    _written("enableSystemLogQuery", BOOLEAN, "The kubelet's API answers queries of system logs.", "false"),
    _omitempty(
        "shutdownGracePeriod", DURATION, "The time by which pods delay a shutdown of the machine. 0s disables it.", "0s"
    ),
    _omitempty("shutdownGracePeriodCriticalPods", DURATION, "The part of shutdownGracePeriod for critical pods.", "0s"),
    _omitempty(
        "shutdownGracePeriodByPodPriority",
        ListOf(
            _object(
                _written("priority", INT32, "The lowest priority of these pods."),
                _written("shutdownGracePeriodSeconds", INT64, "The seconds that these pods get to stop."),
            )
        ),
        "The time that pods get at a shutdown of the machine, by priority. Excludes shutdownGracePeriod.",
    ),
    _written(
        "crashLoopBackOff",
        _object(
            _written("maxContainerRestartPeriod", DURATION, "The longest delay of a restart, from 1s to 300s.", "300s")
        ),
        "Restarts of containers that fail.",
    ),
    _omitempty(
        "reservedMemory",
        ListOf(
            _object(
                _written("numaNode", INT32, "The number of the NUMA node."),
                _written("limits", MapOf(QUANTITY), "Reserved memory of the node: memory or hugepages to quantity."),
            )
        ),
        "Memory of NUMA nodes that pods may not use. Needs memoryManagerPolicy: Static.",
    ),
    _written("enableProfilingHandler", BOOLEAN, "The kubelet's API serves profiles.", "true"),
    _written("enableDebugFlagsHandler", BOOLEAN, "The kubelet's API can change the log's level.", "true"),
    _written(
        "seccompDefault", BOOLEAN, "Containers without a seccomp profile run with the runtime's default one.", "false"
    ),
    _written("memoryThrottlingFactor", NUMBER, "The share of a memory limit above which the kernel throttles.", "0.9"),
    _omitempty(
        "memoryReservationPolicy",
        TEXT,
        "TieredReservation protects the requested memory of pods from reclaim. Alpha.",
        "None",
    ),
    _written("registerNode", BOOLEAN, "The kubelet creates its Node.", "true"),
    _written(
        "tracing",
        _object(
            _written("endpoint", TEXT, "The collector of traces: host and port.", "localhost:4317"),
            _written("samplingRatePerMillion", INT32, "The number of traced requests in a million.", "0"),
        ),
        "Traces of the kubelet in the OpenTelemetry format.",
    ),
    _written("localStorageCapacityIsolation", BOOLEAN, "The kubelet enforces limits of local storage.", "true"),
    _omitempty(
        "imageServiceEndpoint", TEXT, "The socket of a separate image service.", "the container runtime's socket"
    ),
    _written("failCgroupV1", BOOLEAN, "The kubelet refuses to start on cgroup v1.", "true from v1.35 on"),
    _written(
        "userNamespaces",
        _object(_written("idsPerPod", INT64, "The number of user ids for each pod, a multiple of 65536.", "65536")),
        "User namespaces of pods.",
    ),
    path="kubelet",
)

_SYNC = (
    _written("syncPeriod", DURATION, "The longest time between two syncs of all rules.", "30s"),
    _written("minSyncPeriod", DURATION, "The shortest time between two syncs.", "1s"),
)
_MASQUERADE = (
    _written("masqueradeBit", INT32, "The bit of a packet's mark that asks for masquerading, from 0 to 31.", "14"),
    _written("masqueradeAll", BOOLEAN, "All traffic to Services is masqueraded.", "false"),
)

KUBE_PROXY = _object(
    _omitempty("featureGates", MapOf(BOOLEAN), "Feature gates of kube-proxy: name to true or false."),
    _written(
        "clientConnection",
        _object(
            _written("acceptContentTypes", TEXT, "The formats of answers that kube-proxy accepts."),
            _written("contentType", TEXT, "The format of requests.", "application/vnd.kubernetes.protobuf"),
            _written("qps", NUMBER, "Requests per second.", "5"),
            _written("burst", INT32, "Requests allowed in one burst.", "10"),
            path="kubeProxy.clientConnection",
        ),
        "Requests to the API server.",
    ),
    _written("logging", _LOGGING, "kube-proxy's log."),
    _written("bindAddress", TEXT, "Overrides the machine's address in kube-proxy.", "0.0.0.0, set by kubeadm"),
    _written("healthzBindAddress", TEXT, "The address and port of the health check.", "0.0.0.0:10256"),
    _written("metricsBindAddress", TEXT, "The address and port of metrics.", "127.0.0.1:10249"),
    _written("bindAddressHardFail", BOOLEAN, "kube-proxy ends if it cannot use a port.", "false"),
    _written("enableProfiling", BOOLEAN, "The metrics port serves profiles.", "false"),
    _written("showHiddenMetricsForVersion", TEXT, _HIDDEN_METRICS),
    _written("mode", Choice(("", "iptables", "ipvs", "nftables")), "How Services are implemented.", "iptables"),
    _written(
        "iptables",
        _object(
            *_MASQUERADE,
            _written("localhostNodePorts", BOOLEAN, "Node ports also work on the loopback address.", "true"),
            *_SYNC,
        ),
        "Options of the mode iptables.",
    ),
    _written(
        "ipvs",
        _object(
            *_SYNC,
            _written("scheduler", TEXT, "The IPVS scheduler.", "rr"),
            _written("excludeCIDRs", TEXTS, "Networks whose IPVS rules kube-proxy keeps."),
            _written("strictARP", BOOLEAN, "The kernel answers ARP only for the interface's own addresses.", "false"),
            _written("tcpTimeout", DURATION, "The timeout of idle TCP sessions. 0s keeps the kernel's.", "0s"),
            _written(
                "tcpFinTimeout", DURATION, "The timeout of TCP sessions after a FIN. 0s keeps the kernel's.", "0s"
            ),
            _written("udpTimeout", DURATION, "The timeout of UDP packets. 0s keeps the kernel's.", "0s"),
        ),
        "Options of the mode ipvs.",
    ),
    _written("nftables", _object(*_MASQUERADE, *_SYNC), "Options of the mode nftables."),
    _written(
        "winkernel",
        _object(
            _written("networkName", TEXT, "The HNS network."),
            _written("sourceVip", TEXT, "The source address of load-balanced traffic."),
            _written("enableDSR", BOOLEAN, "Direct server return is used.", "false"),
            _written("rootHnsEndpointName", TEXT, "The HNS endpoint of the root network."),
            _written("forwardHealthCheckVip", BOOLEAN, "Health checks of Services are forwarded.", "false"),
        ),
        "Options of Windows. kgen renders no Windows machines.",
    ),
    _written(
        "detectLocalMode",
        Choice(("", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")),
        "How kube-proxy recognises traffic of the machine's own pods.",
        "ClusterCIDR",
    ),
    _written(
        "detectLocal",
        _object(
            _written("bridgeInterface", TEXT, "The bridge of the pods, for detectLocalMode BridgeInterface."),
            _written("interfaceNamePrefix", TEXT, "The beginning of pods' interfaces, for InterfaceNamePrefix."),
        ),
        "Parameters of detectLocalMode.",
    ),
    _written("clusterCIDR", TEXT, "The pods' network.", "networking.podSubnet"),
    _written(
        "nodePortAddresses", TEXTS, "Networks of the machine on which node ports work, or primary.", "all addresses"
    ),
    _written("oomScoreAdj", INT32, "kube-proxy's own OOM score, from -1000 to 1000.", "-999"),
    _written(
        "conntrack",
        _object(
            _written("maxPerCore", INT32, "Tracked connections for each CPU. 0 keeps the machine's limit.", "32768"),
            _written("min", INT32, "The least number of tracked connections.", "131072"),
            _written(
                "tcpEstablishedTimeout", DURATION, "The timeout of idle TCP connections. 0s keeps the kernel's.", "24h"
            ),
            _written(
                "tcpCloseWaitTimeout",
                DURATION,
                "The timeout of half-closed TCP connections. 0s keeps the kernel's.",
                "1h",
            ),
            _written("tcpBeLiberal", BOOLEAN, "Packets outside the TCP window are accepted.", "false"),
            _written("udpTimeout", DURATION, "The timeout of UDP without an answer. 0s keeps the kernel's.", "0s"),
            _written("udpStreamTimeout", DURATION, "The timeout of UDP streams. 0s keeps the kernel's.", "0s"),
        ),
        "The kernel's tracking of connections.",
    ),
    _written("configSyncPeriod", DURATION, "The time between two full reads of Services and endpoints.", "15m"),
    _written("portRange", TEXT, "Deprecated: has no effect."),
    _omitempty("windowsRunAsService", BOOLEAN, "kube-proxy runs as a Windows service.", "false"),
    path="kubeProxy",
)
