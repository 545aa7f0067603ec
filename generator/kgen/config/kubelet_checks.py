"""The checks with which the kubelet refuses a configuration, as far as they need nothing but the file.

Sources: ``ValidateKubeletConfiguration`` (``k8s.io/kubernetes/pkg/kubelet/apis/config/validation``, v1.37.2) and what
the kubelet and its managers check at their start: thresholds of evictions, reserved resources, policies and their
options. tests/facts compares the verdicts with those of the kubelet's own packages.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from kgen.config.effective import Configuration
from kgen.config.quantities import quantity, seconds
from kgen.config.typed import Path
from kgen.facts import versions
from kgen.reader.report import nearest, one_of, shown


@dataclass(frozen=True, slots=True)
class Wrong:
    """A value that the program refuses: its path, what is wrong, and what to do."""

    path: Path
    message: str
    hint: str = ""


Found = Iterator[Wrong]
Check = Callable[[Configuration], Found]

_PORT = (0, 65535)
_UP_TO = 2**63
RANGES: Mapping[str, tuple[float, float]] = {
    "containerLogMaxFiles": (2, _UP_TO),
    "containerLogMaxWorkers": (1, _UP_TO),
    "eventBurst": (0, _UP_TO),
    "eventRecordQPS": (0, _UP_TO),
    "healthzPort": _PORT,
    "imageGCHighThresholdPercent": (0, 100),
    "imageGCLowThresholdPercent": (0, 100),
    "iptablesDropBit": (0, 31),
    "iptablesMasqueradeBit": (0, 31),
    "kubeAPIBurst": (0, _UP_TO),
    "kubeAPIQPS": (0, _UP_TO),
    "logging.verbosity": (0, 2**31 - 1),
    "maxOpenFiles": (0, _UP_TO),
    "maxParallelImagePulls": (1, _UP_TO),
    "maxPods": (0, _UP_TO),
    "nodeLeaseDurationSeconds": (1, _UP_TO),
    "nodeStatusMaxImages": (-1, _UP_TO),
    "oomScoreAdj": (-1000, 1000),
    "podsPerCore": (0, _UP_TO),
    "port": (1, 65535),
    "readOnlyPort": _PORT,
    "registryBurst": (0, _UP_TO),
    "registryPullQPS": (0, _UP_TO),
    "tracing.samplingRatePerMillion": (0, 1_000_000),
}
"""The least and the greatest value of fields; ``_UP_TO`` leaves the limit to the type of the field."""

_CHOICES: Mapping[str, Sequence[str]] = {
    "authorization.mode": ("AlwaysAllow", "Webhook"),
    "cpuManagerPolicy": ("none", "static"),
    "hairpinMode": ("promiscuous-bridge", "hairpin-veth", "none"),
    "memoryManagerPolicy": ("None", "Static"),
    "topologyManagerPolicy": ("none", "best-effort", "restricted", "single-numa-node"),
    "topologyManagerScope": ("container", "pod"),
}
_NEEDS_GATE: Mapping[str, str] = {
    "defaultPodSysctls": "DefaultPodSysctls",
    "enableSystemLogQuery": "NodeLogQuery",
    "imageMaximumGCAge": "ImageMaximumGCAge",
    "serverTLSBootstrap": "RotateKubeletServerCertificate",
    "shutdownGracePeriod": "GracefulNodeShutdown",
    "shutdownGracePeriodByPodPriority": "GracefulNodeShutdownBasedOnPodPriority",
    "shutdownGracePeriodCriticalPods": "GracefulNodeShutdown",
}
"""Fields that are refused with a value, while a gate is off."""

_LOGGING_NEEDS_GATE = dict.fromkeys(
    (f"logging.options.{form}.{field}" for form in ("json", "text") for field in ("infoBufferSize", "splitStream")),
    "LoggingAlphaOptions",
)
_FORMATS = ("text", "json")


def _path(field: str) -> Path:
    return tuple(field.split("."))


def ranges(config: Configuration, limits: Mapping[str, tuple[float, float]] = RANGES) -> Found:
    """Yield the numbers that are out of range."""
    for field, (low, high) in limits.items():
        value = config.get(field)
        if isinstance(value, int | float) and not low <= value <= high:
            hint = f"give a number between {low} and {high}" if high != _UP_TO else f"give at least {low}"
            yield Wrong(_path(field), f"{value} is out of range", hint)


def _choices(config: Configuration) -> Found:
    for field, values in _CHOICES.items():
        value = config.get(field)
        if value is not None and value not in values:
            near = nearest(str(value), values)
            yield Wrong(
                _path(field),
                f"{shown(str(value))} is not one of {one_of(values)}",
                f"did you mean {near}?" if near else "",
            )


def _gated(config: Configuration, fields: Mapping[str, str] = _NEEDS_GATE) -> Found:
    for field, gate in fields.items():
        value = config.get(field)
        is_given = bool(seconds(value)) if seconds(value) is not None else bool(value) and quantity(value) != 0
        if is_given and config.is_off(gate):
            yield Wrong(_path(field), f"{field} needs the feature gate {gate}, which is off", _switch_on(gate))


def _switch_on(gate: str) -> str:
    return f"add featureGates: {{{gate}: true}}, or remove it"


def _image_collection(config: Configuration) -> Found:
    low, high = config.get("imageGCLowThresholdPercent"), config.get("imageGCHighThresholdPercent")
    if low >= high:
        message = f"imageGCLowThresholdPercent {low} must be less than imageGCHighThresholdPercent {high}"
        path = config.first_given("imageGCLowThresholdPercent", "imageGCHighThresholdPercent")
        yield Wrong(path, message, "give both, the low one less than the high one")
    least, most = _seconds(config, "imageMinimumGCAge"), _seconds(config, "imageMaximumGCAge")
    if least < 0:
        yield Wrong(_path("imageMinimumGCAge"), "imageMinimumGCAge is negative", "give a duration like 2m")
    if most < 0 or 0 < most <= least:
        message = f"imageMaximumGCAge must be greater than imageMinimumGCAge {config.get('imageMinimumGCAge')}"
        yield Wrong(_path("imageMaximumGCAge"), message, "give a longer duration, or remove it")


def _seconds(config: Configuration, field: str) -> Fraction:
    return seconds(config.get(field) or "0") or Fraction(0)


def _image_pulls(config: Configuration) -> Found:
    most = config.get("maxParallelImagePulls")
    is_serial = config.get("serializeImagePulls")
    if most is not None and most > 1 and is_serial and "serializeImagePulls" in config.given:
        message = f"maxParallelImagePulls {most} needs serializeImagePulls: false"
        yield Wrong(_path("maxParallelImagePulls"), message, "write serializeImagePulls: false")


def _image_credentials(config: Configuration) -> Found:
    policy, images = (
        config.get("imagePullCredentialsVerificationPolicy"),
        config.get("preloadedImagesVerificationAllowlist"),
    )
    gate = "KubeletEnsureSecretPulledImages"
    if gate not in config.gates:
        return
    if not config.is_on(gate):
        for field in ("imagePullCredentialsVerificationPolicy", "preloadedImagesVerificationAllowlist"):
            if config.given.get(field):
                yield Wrong(_path(field), f"{field} needs the feature gate {gate}, which is off", _switch_on(gate))
    elif images and policy != "NeverVerifyAllowlistedImages":
        hint = "write imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages"
        field = "preloadedImagesVerificationAllowlist"
        yield Wrong(_path(field), f"{field} is only used with another policy than {policy}", hint)


def _shutdown(config: Configuration) -> Found:
    if not config.is_on("GracefulNodeShutdown"):
        return
    whole, critical = _seconds(config, "shutdownGracePeriod"), _seconds(config, "shutdownGracePeriodCriticalPods")
    for field, value in (("shutdownGracePeriod", whole), ("shutdownGracePeriodCriticalPods", critical)):
        if value < 0 or 0 < value < 1:
            yield Wrong(_path(field), f"{config.get(field)} is too short", "give 0, or at least 1s")
    if critical > whole:
        message = f"{config.get('shutdownGracePeriodCriticalPods')} is more than shutdownGracePeriod"
        hint = "give a shutdownGracePeriod that contains it"
        yield Wrong(_path("shutdownGracePeriodCriticalPods"), message, hint)
    by_priority = "shutdownGracePeriodByPodPriority"
    if (
        config.get(by_priority)
        and (whole > 0 or critical > 0)
        and config.is_on("GracefulNodeShutdownBasedOnPodPriority")
    ):
        yield Wrong(_path(by_priority), f"{by_priority} and shutdownGracePeriod are both given", "keep one of them")


def _restarts(config: Configuration) -> Found:
    field, gate = "crashLoopBackOff.maxContainerRestartPeriod", "KubeletCrashLoopBackOffMax"
    value = (config.given.get("crashLoopBackOff") or {}).get("maxContainerRestartPeriod")
    if value is None or gate not in config.gates:
        return
    if not config.is_on(gate):
        yield Wrong(_path(field), f"{field} needs the feature gate {gate}, which is off", _switch_on(gate))
    elif not 1 <= (seconds(value) or 0) <= 300:
        yield Wrong(_path(field), f"{value} is out of range", "give a duration between 1s and 300s")


def _cfs_quota(config: Configuration) -> Found:
    field, value = "cpuCFSQuotaPeriod", seconds(config.get("cpuCFSQuotaPeriod") or "100ms")
    gate = "CustomCPUCFSQuotaPeriod"
    if value is None or gate not in config.gates:
        return
    if not config.is_on(gate):
        if value != Fraction(1, 10):
            yield Wrong(_path(field), f"{field} needs the feature gate {gate}, which is off", _switch_on(gate))
    elif not Fraction(1, 1000) <= value <= 1:
        yield Wrong(_path(field), f"{config.get(field)} is out of range", "give a duration between 1ms and 1s")


def _log_rotation(config: Configuration) -> Found:
    if (seconds(config.get("containerLogMonitorInterval")) or 0) < 3:
        value = config.get("containerLogMonitorInterval")
        yield Wrong(_path("containerLogMonitorInterval"), f"{value} is too short", "give at least 3s")
    size = quantity(config.get("containerLogMaxSize"))
    if size is None or size < 0:
        value = config.get("containerLogMaxSize")
        yield Wrong(_path("containerLogMaxSize"), f"{shown(str(value))} is not a size", "write a quantity like 10Mi")
    directory = config.get("podLogsDir") or ""
    if not directory.startswith("/") or posixpath.normpath(directory) != directory or not directory.isascii():
        hint = "write an absolute path in ASCII, without `.`, `..` and double slashes"
        yield Wrong(_path("podLogsDir"), f"{shown(directory)} is not a path that the kubelet takes", hint)
    if config.get("enableSystemLogQuery") and not config.get("enableSystemLogHandler"):
        hint = "write enableSystemLogHandler: true"
        yield Wrong(_path("enableSystemLogQuery"), "enableSystemLogQuery needs enableSystemLogHandler", hint)


_ENFORCED = {
    "pods": "",
    "system-reserved": "systemReservedCgroup",
    "system-reserved-compressible": "systemReservedCgroup",
    "kube-reserved": "kubeReservedCgroup",
    "kube-reserved-compressible": "kubeReservedCgroup",
    "none": "",
}
"""The entries of ``enforceNodeAllocatable``, each with the field that it needs."""


def _enforcement(config: Configuration) -> Found:
    name = "enforceNodeAllocatable"
    entries = config.get(name) or []
    for index, entry in enumerate(entries):
        path: Path = (name, index) if name in config.given else (name,)
        cgroup = _ENFORCED.get(entry)
        if entry in entries[:index]:
            yield Wrong(path, f"{shown(entry)} is given twice", "keep one of them")
        elif cgroup is None:
            near = nearest(entry, _ENFORCED)
            hint = f"did you mean {near}?" if near else ""
            yield Wrong(path, f"{shown(entry)} is not one of {one_of(_ENFORCED)}", hint)
        elif entry == "none":
            if len(entries) > 1:
                yield Wrong(path, "`none` excludes every other entry", "remove `none`, or every other entry")
        else:
            if cgroup and not config.get(cgroup):
                hint = f"add {cgroup}: the slice of these processes, or remove {entry}"
                yield Wrong(path, f"{entry} needs {cgroup}", hint)
            if f"{entry}-compressible" in entries:
                yield Wrong(path, f"{entry} and {entry}-compressible exclude each other", "keep one of them")
            if not config.get("cgroupsPerQOS"):
                hint = "write enforceNodeAllocatable: [none], or remove cgroupsPerQOS"
                place = path if name in config.given else _path("cgroupsPerQOS")
                yield Wrong(place, f"{entry} needs cgroupsPerQOS: true", hint)


def _cgroups(config: Configuration) -> Found:
    if config.get("systemCgroups") and not config.get("cgroupRoot"):
        yield Wrong(_path("systemCgroups"), "systemCgroups needs cgroupRoot", "add cgroupRoot: /")
    cpus = config.get("reservedSystemCPUs")
    if not cpus:
        return
    for field in ("systemReservedCgroup", "kubeReservedCgroup"):
        if config.get(field):
            yield Wrong(_path(field), f"{field} excludes reservedSystemCPUs", "keep one of them")
    if not _is_cpu_set(cpus):
        yield Wrong(_path("reservedSystemCPUs"), f"{shown(cpus)} is not a list of CPUs", "write it like 0-1,4")


def _is_cpu_set(text: str) -> bool:
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            return False
    return True


_RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")


def _reserved(config: Configuration) -> Found:
    for field in ("kubeReserved", "systemReserved"):
        for name, value in (config.get(field) or {}).items():
            number = quantity(value)
            if name not in _RESERVABLE:
                yield Wrong((field, name), f"{shown(name)} cannot be reserved", f"use {one_of(_RESERVABLE)}")
            elif number is None or number < 0:
                hint = "give an amount, like 500m or 100Mi"
                yield Wrong((field, name), f"{shown(str(value))} is not an amount to reserve", hint)


def _reserved_memory(config: Configuration) -> Found:
    seen: set[tuple[int, str]] = set()
    for index, entry in enumerate(config.get("reservedMemory") or []):
        node = entry.get("numaNode") or 0
        for name, value in (entry.get("limits") or {}).items():
            path = ("reservedMemory", index, "limits", name)
            if name != "memory" and not name.startswith("hugepages-"):
                yield Wrong(path, f"{shown(name)} cannot be reserved", "use memory, or hugepages-<size>")
            if quantity(value) == 0:
                yield Wrong(path, "the amount is zero", "give an amount, or remove it")
            if (node, name) in seen:
                yield Wrong(path, f"{name} of the NUMA node {node} is given twice", "keep one of them")
            seen.add((node, name))


def _static_policies(config: Configuration) -> Found:
    """Policies that need reserved resources; the kubelet compares them when its managers start."""
    if config.get("cpuManagerPolicy") == "static" and not config.get("reservedSystemCPUs"):
        cpus = [
            quantity((config.get(field) or {}).get("cpu", "0")) or 0 for field in ("kubeReserved", "systemReserved")
        ]
        if sum(cpus) == 0:
            hint = "add kubeReserved: {cpu: 500m}, or reservedSystemCPUs"
            yield Wrong(_path("cpuManagerPolicy"), "the policy static needs reserved CPUs, and none is reserved", hint)
    if config.get("memoryManagerPolicy") == "Static":
        yield from _static_memory(config)


def _static_memory(config: Configuration) -> Found:
    given = [entry.get("limits") or {} for entry in config.get("reservedMemory") or []]
    total = sum((quantity(limits.get("memory", "0")) or Fraction(0) for limits in given), Fraction(0))
    path = _path("memoryManagerPolicy")
    if total == 0:
        hint = "add reservedMemory: it must add up to kubeReserved, systemReserved and evictionHard"
        yield Wrong(path, "the policy Static needs reservedMemory", hint)
        return
    evicted = (config.get("evictionHard") or {}).get("memory.available", "0")
    parts = [(config.get(field) or {}).get("memory", "0") for field in ("kubeReserved", "systemReserved")]
    amounts = [quantity(part) for part in (*parts, evicted)]
    known = [amount for amount in amounts if amount is not None]
    if len(known) == len(amounts) and sum(known) != total:
        message = f"reservedMemory adds up to {float(total) / 2**20:g}Mi"
        hint = f"make it {float(sum(known)) / 2**20:g}Mi: kubeReserved, systemReserved and evictionHard"
        yield Wrong(_path("reservedMemory"), message, hint)


_BOOLEANS = ("1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False")
_CPU_OPTIONS = {
    "full-pcpus-only": "",
    "strict-cpu-reservation": "",
    "prefer-align-cpus-by-uncorecache": "",
    "distribute-cpus-across-numa": "CPUManagerPolicyBetaOptions",
    "align-by-socket": "CPUManagerPolicyAlphaOptions",
    "distribute-cpus-across-cores": "CPUManagerPolicyAlphaOptions",
}
_TOPOLOGY_OPTIONS = ("prefer-closest-numa-nodes", "max-allowable-numa-nodes")


def _policy_options(config: Configuration) -> Found:
    name = "cpuManagerPolicyOptions"
    for option, value in (config.get(name) or {}).items():
        gate = _CPU_OPTIONS.get(option)
        if config.get("cpuManagerPolicy") != "static":
            yield Wrong((name, option), "options are only taken by the policy static", "write cpuManagerPolicy: static")
        elif gate is None:
            near = nearest(option, _CPU_OPTIONS)
            yield Wrong((name, option), f"there is no option {shown(option)}", f"did you mean {near}?" if near else "")
        elif gate and config.is_off(gate):
            yield Wrong((name, option), f"{option} needs the feature gate {gate}, which is off", _switch_on(gate))
        elif value not in _BOOLEANS:
            yield Wrong((name, option), f"{shown(str(value))} is not a truth value", 'write "true" or "false"')
    name = "topologyManagerPolicyOptions"
    for option, value in (config.get(name) or {}).items():
        if option not in _TOPOLOGY_OPTIONS:
            near = nearest(option, _TOPOLOGY_OPTIONS)
            yield Wrong((name, option), f"there is no option {shown(option)}", f"did you mean {near}?" if near else "")
        elif option == "prefer-closest-numa-nodes" and value not in _BOOLEANS:
            yield Wrong((name, option), f"{shown(str(value))} is not a truth value", 'write "true" or "false"')
        elif option == "max-allowable-numa-nodes" and not (str(value).isdigit() and int(value) >= 8):
            yield Wrong((name, option), f"{shown(str(value))} is not a number from 8 on", 'write "8" or more')


SIGNALS = (
    "allocatableMemory.available",
    "containerfs.available",
    "containerfs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "pid.available",
)


def _evictions(config: Configuration) -> Found:
    grace = config.get("evictionSoftGracePeriod") or {}
    for field in ("evictionHard", "evictionSoft", "evictionSoftGracePeriod", "evictionMinimumReclaim"):
        for signal, value in (config.get(field) or {}).items():
            if signal not in SIGNALS:
                near = nearest(signal, SIGNALS)
                hint = f"did you mean {near}?" if near else f"signals: {one_of(SIGNALS)}"
                yield Wrong((field, signal), f"there is no eviction signal {shown(signal)}", hint)
            elif field == "evictionSoftGracePeriod":
                period = seconds(value)
                if period is None or period < 0:
                    yield Wrong((field, signal), f"{shown(str(value))} is not a duration", "write it like 1m30s")
            elif _wrong_threshold(str(value), is_reclaim=field == "evictionMinimumReclaim"):
                hint = "give an amount like 100Mi, or a percentage up to 100%"
                yield Wrong((field, signal), f"{shown(str(value))} is not a threshold", hint)
            elif field == "evictionSoft" and signal not in grace and value not in ("0%", "100%"):
                hint = f"add evictionSoftGracePeriod: {{{signal}: 1m30s}}"
                yield Wrong((field, signal), f"{signal} has no evictionSoftGracePeriod", hint)


def _wrong_threshold(text: str, *, is_reclaim: bool) -> bool:
    if text.endswith("%"):
        if not is_reclaim and text in ("0%", "100%"):
            return False
        number = re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", text.rstrip("%"))
        if number is None:
            return True
        value = float(number[0])
        return value <= 0 if is_reclaim else not 0 <= value <= 100
    amount = quantity(text)
    return amount is None or amount < 0 or (not is_reclaim and amount == 0)


def _memory(config: Configuration) -> Found:
    factor = config.get("memoryThrottlingFactor")
    if factor is not None:
        is_guarded = versions.guards_memory_throttling(config.programs.version)
        if is_guarded and config.is_off("MemoryQoS") and factor != 0.9:
            message = "memoryThrottlingFactor needs the feature gate MemoryQoS, which is off"
            yield Wrong(_path("memoryThrottlingFactor"), message, _switch_on("MemoryQoS"))
        elif not 0 < factor <= 1:
            yield Wrong(_path("memoryThrottlingFactor"), f"{factor} is out of range", "give a number up to 1.0")
    policy = config.get("memoryReservationPolicy")
    if policy not in (None, "", "None", "TieredReservation"):
        hint = "use None or TieredReservation"
        yield Wrong(_path("memoryReservationPolicy"), f"{shown(policy)} is not a policy", hint)
    elif policy == "TieredReservation" and config.is_off("MemoryQoS"):
        message = "TieredReservation needs the feature gate MemoryQoS, which is off"
        yield Wrong(_path("memoryReservationPolicy"), message, _switch_on("MemoryQoS"))
    swap = config.get("memorySwap.swapBehavior")
    if swap and config.is_off("NodeSwap"):
        message = "memorySwap needs the feature gate NodeSwap, which is off"
        yield Wrong(_path("memorySwap.swapBehavior"), message, _switch_on("NodeSwap"))
    elif swap not in (None, "", "NoSwap", "LimitedSwap"):
        yield Wrong(_path("memorySwap.swapBehavior"), f"{shown(swap)} is not a behaviour", "use NoSwap or LimitedSwap")
    for name, value in (config.get("qosReserved") or {}).items():
        if name != "memory" or not re.fullmatch(r"[0-9]+%", str(value)) or int(value[:-1]) > 100:
            hint = "write qosReserved: {memory: 50%}: a whole percentage of memory"
            yield Wrong(("qosReserved", name), f"{name}: {shown(str(value))} cannot be reserved", hint)


def _others(config: Configuration) -> Found:
    if config.get("runOnce"):
        yield Wrong(_path("runOnce"), "the kubelet does not start with runOnce: true", "remove it")
    ids = config.get("userNamespaces.idsPerPod")
    if ids is not None and (ids < 65536 or ids % 65536 or ids > 2**32 - 1):
        hint = "give a multiple of 65536 below 2³²"
        yield Wrong(_path("userNamespaces.idsPerPod"), f"{ids} is not a number that the kubelet takes", hint)
    endpoint = config.get("tracing.endpoint")
    if endpoint and "//" in endpoint and endpoint.partition(":")[0] not in ("dns", "unix", "unix-abstract"):
        yield Wrong(_path("tracing.endpoint"), f"{shown(endpoint)} is not an endpoint of gRPC", "write host:port")
    yield from logging(config)
    yield from _tls(config)
    yield from _sysctls(config)


def logging(config: Configuration) -> Found:
    """Yield what is wrong with the logging of a program."""
    yield from _gated(config, _LOGGING_NEEDS_GATE)
    form = config.get("logging.format") or "text"
    if form not in _FORMATS:
        yield Wrong(_path("logging.format"), f"{shown(form)} is not one of {one_of(_FORMATS)}")
    elif form == "json" and config.is_off("LoggingBetaOptions"):
        message = "the format json needs the feature gate LoggingBetaOptions, which is off"
        yield Wrong(_path("logging.format"), message, _switch_on("LoggingBetaOptions"))
    flush = config.get("logging.flushFrequency")
    is_checked = versions.checks_flush_frequency(config.programs.version)
    if is_checked and (flush if isinstance(flush, int) else seconds(flush) or 0) <= 0:
        yield Wrong(_path("logging.flushFrequency"), f"{flush} is out of range", "give a duration like 5s")
    modules = config.get("logging.vmodule") or []
    if modules and config.get("logging.format") not in ("", "text"):
        yield Wrong(_path("logging.vmodule"), "vmodule needs the format text", "remove vmodule, or the format")
    for index, module in enumerate(modules):
        pattern = module.get("filePattern") or ""
        if not pattern or re.search("[=,]", pattern):
            hint = "give a name of source files, without `=` and comma"
            yield Wrong(("logging", "vmodule", index), f"{shown(pattern)} is not a file pattern", hint)


def _tls(config: Configuration) -> Found:
    suites, tls_versions = config.programs.tls_cipher_suites, config.programs.tls_versions
    for index, suite in enumerate(config.get("tlsCipherSuites") or []):
        if suite not in suites:
            near = nearest(suite, suites)
            hint = f"did you mean {near}?" if near else f"suites: {one_of(suites)}"
            yield Wrong(("tlsCipherSuites", index), f"{shown(suite)} is not a cipher suite of the kubelet", hint)
    version = config.get("tlsMinVersion")
    if version and version not in tls_versions:
        yield Wrong(_path("tlsMinVersion"), f"{shown(version)} is not a version of TLS", f"use {one_of(tls_versions)}")


_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_NAMESPACED = ("net.", "fs.mqueue.", "user.")
_NAMESPACED_NAMES = (
    "kernel.domainname",
    "kernel.msg",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
)


def _sysctls(config: Configuration) -> Found:
    for name in config.get("defaultPodSysctls") or {}:
        plain = name.replace("/", ".")
        if not _SYSCTL.fullmatch(name) or not (plain.startswith(_NAMESPACED) or plain in _NAMESPACED_NAMES):
            hint = "give a sysctl that each pod has its own of, such as net.core.somaxconn"
            yield Wrong(("defaultPodSysctls", name), f"{shown(name)} is not a sysctl of pods", hint)


CHECKS: tuple[Check, ...] = (
    ranges,
    _choices,
    _gated,
    _image_collection,
    _image_pulls,
    _image_credentials,
    _shutdown,
    _restarts,
    _cfs_quota,
    _log_rotation,
    _enforcement,
    _cgroups,
    _reserved,
    _reserved_memory,
    _static_policies,
    _policy_options,
    _evictions,
    _memory,
    _others,
)


def check(config: Configuration) -> Found:
    """Yield everything for which the kubelet would refuse the configuration."""
    for each in CHECKS:
        yield from each(config)
