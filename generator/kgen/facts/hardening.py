"""The table of ``hardening: cis``: each check of the CIS Kubernetes Benchmark, and what kgen does about it.

The numbers are those of version 1.12 of the benchmark, as kube-bench has them (``cfg/cis-1.12`` of
github.com/aquasecurity/kube-bench); the titles are our own. kgen switches on what the table says, refuses what
contradicts it, and docs/reference/hardening.md shows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kgen.facts import names
from kgen.facts.apiserver_files import AUDIT_DEFAULTS

By = Literal["kubeadm", "kgen", "image", "otherwise", "no", "you"]
"""Who does what a check asks for.

``kubeadm``: kubeadm's files have it in every cluster, and kgen's too. ``kgen``: ``hardening: cis`` adds it. ``image``:
``hardening: cis`` adds it to the image of `kgen bake`. ``otherwise``: kgen reaches the purpose in another way. ``no``:
nobody, for the reason in the note. ``you``: only people can decide or do it.
"""

CIPHERS = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
)
"""Suites of TLS 1.2 that both lists of the benchmark have, with the names that etcd knows, too.

TLS 1.3 has its own suites, which Go does not let anyone choose.
"""

_ACCEPTED_CIPHERS = ",".join(
    (
        *CIPHERS,
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    )
)
_FEW = 5
"""The number of values that documentation shows."""

_GO_BOOLEANS = {"1": "true", "t": "true", "T": "true", "0": "false", "f": "false", "F": "false"}


@dataclass(frozen=True, slots=True)
class Expect:
    """The values that a check takes. ``or_absent``: no value is right, too, because the program's default is."""

    op: Literal["is", "is not", "has", "has not", "at least", "only", "given", "absent"]
    value: str = ""
    or_absent: bool = False

    def holds(self, found: str | None) -> bool:
        """Return whether the check takes ``found``, a value as a flag has it; None: there is none."""
        if found is None:
            return self.or_absent or self.op == "absent"
        value = _GO_BOOLEANS.get(found, found) if self.value in ("true", "false") else found
        if self.op in ("is", "is not"):
            return (value.lower() == self.value.lower()) == (self.op == "is")
        if self.op in ("has", "has not"):
            return (self.value in value.split(",")) == (self.op == "has")
        if self.op == "at least":
            return value.isdecimal() and int(value) >= int(self.value)
        if self.op == "only":
            return set(value.split(",")) <= set(self.value.split(","))
        return self.op == "given"

    def __str__(self) -> str:
        """Return the wish as the end of a sentence: "the check wants …"."""
        items = [item for item in self.value.split(",") if item]
        words = {
            "given": "a value",
            "absent": "none",
            "is": self.value,
            "only": "strong suites only" if len(items) > _FEW else " or ".join(items),
        }
        wish = words.get(self.op, f"{self.op} {self.value}")
        return f"{wish}, or none" if self.or_absent else wish


@dataclass(frozen=True, slots=True)
class Flag:
    """An argument of a static pod; ``component`` is its key in the cluster file.

    ``value`` is what kgen gives where the cluster file gives none; empty: kubeadm's value, or none. ``is_item``: the
    value is one item of a list with commas, which several checks fill.
    """

    component: Literal["apiServer", "controllerManager", "scheduler", "etcd"]
    name: str
    expect: Expect
    value: str = ""
    is_item: bool = False

    def __str__(self) -> str:
        """Return the argument as documentation shows it."""
        return f"`--{self.name}={self.value}`" if self.value else f"`--{self.name}`: {self.expect}"


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A field of KubeletConfiguration or KubeProxyConfiguration, and the program's flag of the same meaning.

    ``value`` is what kgen gives where the cluster file gives none; None: kubeadm's value, or none. ``on_machines``:
    kgen gives it to the machines of the cluster file, and not to those that join with kubeadm.
    """

    key: Literal["kubelet", "kubeProxy"]
    path: str
    flag: str
    expect: Expect
    value: Any = None
    on_machines: bool = False

    def __str__(self) -> str:
        """Return the field as documentation shows it."""
        given = ", ".join(self.value) if isinstance(self.value, tuple) else str(self.value)
        given = given.lower() if isinstance(self.value, bool) else given
        return f"`{self.path}: {given}`" if self.value is not None else f"`{self.path}`: {self.expect}"


@dataclass(frozen=True, slots=True)
class Files:
    """Files and directories on a machine, by patterns of ``fnmatch``; their mode is ``mode`` or less.

    Without ``mode``, the setting is their owner: root.
    """

    patterns: tuple[str, ...]
    mode: int | None = None

    def __str__(self) -> str:
        """Return the mode or owner as documentation shows it."""
        return "root:root" if self.mode is None else f"{self.mode:04o}"


@dataclass(frozen=True, slots=True)
class ServerFile:
    """A configuration file of kube-apiserver that kgen writes where the cluster file names none; ``key`` names it."""

    key: str
    about: str

    def __str__(self) -> str:
        """Return the key and the content as documentation shows them."""
        return f"`apiServer.{self.key}`: {self.about}"


@dataclass(frozen=True, slots=True)
class EncryptedSecrets:
    """``apiServer.encryption`` with one of ``providers``; kgen takes the first."""

    providers: tuple[str, ...]

    def __str__(self) -> str:
        """Return the key as documentation shows it."""
        return f"`apiServer.encryption.provider: {self.providers[0]}`"


@dataclass(frozen=True, slots=True)
class Sysctls:
    """The kernel parameters without which the kubelet does not start if it may not set them itself."""

    def __str__(self) -> str:
        """Return the parameters as documentation shows them."""
        return ", ".join(f"`{name}: {value}`" for name, value in names.KUBELET_SYSCTLS.items())


@dataclass(frozen=True, slots=True)
class ServingCertificates:
    """``pki.kubeletServingCertificates``, where kgen knows the address of every machine."""

    def __str__(self) -> str:
        """Return the key as documentation shows it."""
        return "`pki.kubeletServingCertificates: true`"


Setting = Flag | ConfigField | Files | ServerFile | EncryptedSecrets | Sysctls | ServingCertificates


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table: the number or name of a check, who does what it asks for, and how.

    ``note`` is what people should know beside that: the reason where ``by`` is ``no``.
    """

    number: str
    title: str
    by: By
    settings: tuple[Setting, ...] = ()
    note: str = ""


def _manifest(name: str) -> tuple[Files, ...]:
    return (Files((f"{names.MANIFESTS_DIR}/{name}.yaml",), 0o600),)


def _kubeconfig(*stems: str) -> tuple[Files, ...]:
    return (Files(tuple(f"{names.KUBERNETES_DIR}/{stem}.conf" for stem in stems), 0o600),)


def _both(numbers: tuple[str, str], what: str, settings: tuple[Files, ...], by: By = "kubeadm") -> Iterator[Check]:
    """Yield the two rows about a file: its mode, and its owner."""
    yield Check(numbers[0], f"mode of {what}", by, settings)
    yield Check(numbers[1], f"owner of {what}", "kubeadm", tuple(Files(each.patterns) for each in settings))


_GIVEN, _ABSENT, _FALSE = Expect("given"), Expect("absent"), Expect("is", "false")
_PLUGINS = "enable-admission-plugins"
_NOT_DISABLED = "kube-apiserver's default"
_PKI = str(names.PKI_DIR)
_STRONG = Expect("only", _ACCEPTED_CIPHERS)
_LOOPBACK = Expect("only", "127.0.0.1,::1")
_SUITES = ",".join(CIPHERS)
_NO_FILE = "kube-proxy runs in a pod: it has no kubeconfig on the machine"
_CNI = "where kgen connects the pods (`networking.plugin: bridge`); otherwise look at your network plugin's files"
_AUTHORIZERS = "with `apiServer.authorizationConfig`, look at your file"
_SERVING = (
    "only if the file has no pools, and every machine an address. Elsewhere see "
    "[serving certificates](../how-to/kubelet-serving-certificates.md)"
)
_ISSUER = "name an issuer in `apiServer.authenticationConfig`; keep `admin.conf` for emergencies"


def _audit(number: str, name: str, title: str, least: str = "") -> Check:
    expect = Expect("at least", least) if least else _GIVEN
    return Check(number, title, "kgen", (Flag("apiServer", name, expect, AUDIT_DEFAULTS[name]),))


CHECKS: tuple[Check, ...] = (
    *_both(("1.1.1", "1.1.2"), "the API server's manifest", _manifest("kube-apiserver")),
    *_both(("1.1.3", "1.1.4"), "the controller manager's manifest", _manifest("kube-controller-manager")),
    *_both(("1.1.5", "1.1.6"), "the scheduler's manifest", _manifest("kube-scheduler")),
    *_both(("1.1.7", "1.1.8"), "etcd's manifest", _manifest("etcd")),
    Check("1.1.9", "mode of network plugins' files", "kgen", (Files(("/etc/cni/net.d/*",), 0o600),), _CNI),
    Check("1.1.10", "owner of network plugins' files", "kubeadm", (Files(("/etc/cni/net.d/*",)),), _CNI),
    Check("1.1.11", "mode of etcd's data directory", "kubeadm", (Files((str(names.ETCD_DATA_DIR),), 0o700),)),
    Check(
        "1.1.12",
        "etcd's data directory belongs to a user etcd",
        "no",
        note="etcd is a static pod that runs as root, as with kubeadm: root owns the directory, mode 0700",
    ),
    *_both(("1.1.13", "1.1.14"), "the administrators' kubeconfigs", _kubeconfig("admin", "super-admin")),
    *_both(("1.1.15", "1.1.16"), "the scheduler's kubeconfig", _kubeconfig("scheduler")),
    *_both(("1.1.17", "1.1.18"), "the controller manager's kubeconfig", _kubeconfig("controller-manager")),
    Check("1.1.19", "owner of the PKI directory and its files", "kubeadm", (Files((f"{_PKI}/*",)),)),
    Check("1.1.20", "mode of certificates", "kubeadm", (Files((f"{_PKI}/*.crt",), 0o644),)),
    Check("1.1.21", "mode of keys", "kubeadm", (Files((f"{_PKI}/*.key",), 0o600),)),
    Check(
        "1.2.1",
        "the API server refuses anonymous requests",
        "otherwise",
        (
            ServerFile("authenticationConfig", "anonymous requests only for health paths and cluster-info"),
            Flag("apiServer", "anonymous-auth", _ABSENT),
        ),
        "the kubelet's probes have no credential, and `kubeadm join` reads cluster-info without one; kube-bench looks "
        "for the argument and reports a failure",
    ),
    Check("1.2.2", "no file of tokens", "kubeadm", (Flag("apiServer", "token-auth-file", _ABSENT),)),
    Check(
        "1.2.3",
        "Services take no external IPs",
        "kgen",
        (Flag("apiServer", _PLUGINS, Expect("has", "DenyServiceExternalIPs"), "DenyServiceExternalIPs", is_item=True),),
        "new values of `spec.externalIPs` are refused",
    ),
    Check(
        "1.2.4",
        "the API server has a client certificate for kubelets",
        "kubeadm",
        (
            Flag("apiServer", "kubelet-client-certificate", _GIVEN),
            Flag("apiServer", "kubelet-client-key", _GIVEN),
        ),
    ),
    Check(
        "1.2.5",
        "the API server verifies kubelets",
        "kgen",
        (ServingCertificates(), Flag("apiServer", "kubelet-certificate-authority", _GIVEN)),
        _SERVING,
    ),
    *(
        Check(number, title, "kubeadm", (Flag("apiServer", "authorization-mode", expect),), _AUTHORIZERS)
        for number, title, expect in (
            ("1.2.6", "the API server does not allow everything", Expect("has not", "AlwaysAllow")),
            ("1.2.7", "the API server uses the authorizer Node", Expect("has", "Node")),
            ("1.2.8", "the API server uses RBAC", Expect("has", "RBAC")),
        )
    ),
    Check(
        "1.2.9",
        "the rate of events is limited",
        "kgen",
        (
            Flag("apiServer", _PLUGINS, Expect("has", "EventRateLimit"), "EventRateLimit", is_item=True),
            ServerFile("admissionControlConfigFile", "each API server takes 5,000 events a second, bursts of 20,000"),
        ),
        "not with an admission configuration of your own, which then has the plugin's limits",
    ),
    Check(
        "1.2.10",
        "the admission plugin AlwaysAdmit is off",
        "kubeadm",
        (Flag("apiServer", _PLUGINS, Expect("has not", "AlwaysAdmit", or_absent=True)),),
    ),
    Check(
        "1.2.11",
        "images are pulled at each start of a pod",
        "no",
        note="no pod would start without its registry, not even CoreDNS from the machine's image. From v1.35 the "
        "kubelet itself checks that a pod may use an image which another pod pulled",
    ),
    *(
        Check(
            number,
            f"the admission plugin {plugin} is on",
            "kubeadm",
            (Flag("apiServer", "disable-admission-plugins", Expect("has not", plugin, or_absent=True)),),
            _NOT_DISABLED,
        )
        for number, plugin in (("1.2.12", "ServiceAccount"), ("1.2.13", "NamespaceLifecycle"))
    ),
    Check(
        "1.2.14",
        "the admission plugin NodeRestriction is on",
        "kubeadm",
        (Flag("apiServer", _PLUGINS, Expect("has", "NodeRestriction"), "NodeRestriction", is_item=True),),
    ),
    Check("1.2.15", "the API server has no profiling", "kgen", (Flag("apiServer", "profiling", _FALSE, "false"),)),
    _audit("1.2.16", "audit-log-path", "there is an audit log"),
    _audit("1.2.17", "audit-log-maxage", "the audit log is kept for 30 days", "30"),
    _audit("1.2.18", "audit-log-maxbackup", "the audit log has 10 old files", "10"),
    _audit("1.2.19", "audit-log-maxsize", "a file of the audit log has 100 MB", "100"),
    Check(
        "1.2.20",
        "the time limit of requests fits",
        "you",
        note="kube-apiserver's default is one minute; set `request-timeout` if your requests take longer",
    ),
    Check(
        "1.2.21",
        "tokens of deleted service accounts are refused",
        "kubeadm",
        (Flag("apiServer", "service-account-lookup", Expect("is", "true", or_absent=True)),),
        _NOT_DISABLED,
    ),
    Check(
        "1.2.22",
        "tokens of service accounts have their own key",
        "kubeadm",
        (Flag("apiServer", "service-account-key-file", _GIVEN),),
    ),
    Check(
        "1.2.23",
        "the API server has a client certificate for etcd",
        "kubeadm",
        (Flag("apiServer", "etcd-certfile", _GIVEN), Flag("apiServer", "etcd-keyfile", _GIVEN)),
    ),
    Check(
        "1.2.24",
        "the API server has a serving certificate",
        "kubeadm",
        (Flag("apiServer", "tls-cert-file", _GIVEN), Flag("apiServer", "tls-private-key-file", _GIVEN)),
    ),
    Check("1.2.25", "the API server has a CA of clients", "kubeadm", (Flag("apiServer", "client-ca-file", _GIVEN),)),
    Check("1.2.26", "the API server verifies etcd", "kubeadm", (Flag("apiServer", "etcd-cafile", _GIVEN),)),
    Check(
        "1.2.27",
        "Secrets are encrypted in etcd",
        "kgen",
        (EncryptedSecrets(("secretbox", "aescbc")), Flag("apiServer", "encryption-provider-config", _GIVEN)),
    ),
    Check("1.2.28", "the encryption is strong", "kgen", (EncryptedSecrets(("secretbox", "aescbc")),)),
    Check(
        "1.2.29",
        "the API server uses strong ciphers only",
        "kgen",
        (Flag("apiServer", "tls-cipher-suites", _STRONG, _SUITES),),
    ),
    Check(
        "1.2.30",
        "tokens of service accounts live no longer than asked for",
        "kgen",
        (Flag("apiServer", "service-account-extend-token-expiration", _FALSE, "false"),),
        "a client that reads its token once, at its start, is refused after an hour",
    ),
    Check(
        "1.3.1",
        "finished pods are collected",
        "kgen",
        (Flag("controllerManager", "terminated-pod-gc-threshold", Expect("at least", "1"), "12500"),),
        "the program's own default, so that it can be seen",
    ),
    Check(
        "1.3.2",
        "the controller manager has no profiling",
        "kgen",
        (Flag("controllerManager", "profiling", _FALSE, "false"),),
    ),
    Check(
        "1.3.3",
        "each controller has its own service account",
        "kubeadm",
        (Flag("controllerManager", "use-service-account-credentials", Expect("is", "true")),),
    ),
    Check(
        "1.3.4",
        "the controller manager signs tokens with the service accounts' key",
        "kubeadm",
        (Flag("controllerManager", "service-account-private-key-file", _GIVEN),),
    ),
    Check(
        "1.3.5",
        "pods get the CA of the API server",
        "kubeadm",
        (Flag("controllerManager", "root-ca-file", _GIVEN),),
    ),
    Check(
        "1.3.6",
        "kubelets may rotate serving certificates",
        "kubeadm",
        (
            Flag(
                "controllerManager",
                "feature-gates",
                Expect("has not", "RotateKubeletServerCertificate=false", or_absent=True),
            ),
        ),
        "the gate is on by default",
    ),
    Check(
        "1.3.7",
        "the controller manager listens on loopback only",
        "kubeadm",
        (Flag("controllerManager", "bind-address", _LOOPBACK),),
    ),
    Check("1.4.1", "the scheduler has no profiling", "kgen", (Flag("scheduler", "profiling", _FALSE, "false"),)),
    Check(
        "1.4.2",
        "the scheduler listens on loopback only",
        "kubeadm",
        (Flag("scheduler", "bind-address", _LOOPBACK),),
    ),
    Check(
        "2.1",
        "etcd has a serving certificate",
        "kubeadm",
        (Flag("etcd", "cert-file", _GIVEN), Flag("etcd", "key-file", _GIVEN)),
    ),
    Check("2.2", "etcd verifies clients", "kubeadm", (Flag("etcd", "client-cert-auth", Expect("is", "true")),)),
    Check(
        "2.3",
        "etcd does not make its own certificate for clients",
        "kubeadm",
        (Flag("etcd", "auto-tls", Expect("is", "false", or_absent=True)),),
    ),
    Check(
        "2.4",
        "etcd has a certificate for its peers",
        "kubeadm",
        (Flag("etcd", "peer-cert-file", _GIVEN), Flag("etcd", "peer-key-file", _GIVEN)),
    ),
    Check("2.5", "etcd verifies its peers", "kubeadm", (Flag("etcd", "peer-client-cert-auth", Expect("is", "true")),)),
    Check(
        "2.6",
        "etcd does not make its own certificate for peers",
        "kubeadm",
        (Flag("etcd", "peer-auto-tls", Expect("is", "false", or_absent=True)),),
    ),
    Check("2.7", "etcd has a CA of its own", "kubeadm", (Flag("etcd", "trusted-ca-file", _GIVEN),)),
    Check("3.1.1", "people have no client certificates", "you", note=_ISSUER),
    Check("3.1.2", "people have no tokens of service accounts", "you", note=_ISSUER),
    Check("3.1.3", "people have no bootstrap tokens", "you", note=f"{_ISSUER}. Bootstrap tokens expire after a day"),
    Check(
        "3.2.1",
        "there is an audit policy",
        "kgen",
        (ServerFile("auditPolicyFile", "see [the audit policy](#the-audit-policy)"),),
    ),
    Check(
        "3.2.2",
        "the audit policy covers what matters",
        "kgen",
        (ServerFile("auditPolicyFile", "see [the audit policy](#the-audit-policy)"),),
        "with a policy of your own, look at it yourself",
    ),
    *_both(
        ("4.1.1", "4.1.2"),
        "the kubelet's unit",
        (Files(("/usr/lib/systemd/system/kubelet.service*",), 0o600),),
        "image",
    ),
    Check("4.1.3", "mode of kube-proxy's kubeconfig", "kubeadm", note=_NO_FILE),
    Check("4.1.4", "owner of kube-proxy's kubeconfig", "kubeadm", note=_NO_FILE),
    *_both(("4.1.5", "4.1.6"), "the kubelet's kubeconfig", _kubeconfig("kubelet", "bootstrap-kubelet")),
    *_both(("4.1.7", "4.1.8"), "the CA that kubelets trust", (Files((f"{_PKI}/ca.crt",), 0o644),)),
    *_both(
        ("4.1.9", "4.1.10"),
        "the kubelet's configuration",
        (Files((str(names.KUBELET_CONFIG), str(names.KUBELET_INSTANCE_CONFIG)), 0o600),),
        "kgen",
    ),
    Check(
        "4.2.1",
        "the kubelet refuses anonymous requests",
        "kubeadm",
        (ConfigField("kubelet", "authentication.anonymous.enabled", "anonymous-auth", _FALSE),),
    ),
    Check(
        "4.2.2",
        "the kubelet does not allow everything",
        "kubeadm",
        (ConfigField("kubelet", "authorization.mode", "authorization-mode", Expect("is not", "AlwaysAllow")),),
    ),
    Check(
        "4.2.3",
        "the kubelet has a CA of clients",
        "kubeadm",
        (ConfigField("kubelet", "authentication.x509.clientCAFile", "client-ca-file", _GIVEN),),
    ),
    Check(
        "4.2.4",
        "the kubelet has no open port to read",
        "kubeadm",
        (ConfigField("kubelet", "readOnlyPort", "read-only-port", Expect("is", "0", or_absent=True)),),
    ),
    Check(
        "4.2.5",
        "idle connections to pods end",
        "kgen",
        (
            ConfigField(
                "kubelet",
                "streamingConnectionIdleTimeout",
                "streaming-connection-idle-timeout",
                Expect("is not", "0s"),
                "4h0m0s",
            ),
        ),
        "the kubelet's own default, so that it can be seen",
    ),
    Check(
        "4.2.6",
        "the kubelet sets its chains of iptables",
        "kubeadm",
        (
            ConfigField(
                "kubelet",
                "makeIPTablesUtilChains",
                "make-iptables-util-chains",
                Expect("is", "true", or_absent=True),
            ),
        ),
    ),
    Check(
        "4.2.7",
        "the kubelet's name is the machine's",
        "kubeadm",
        note="with `hostname: false` a machine keeps its own hostname, and its kubelet needs the name of its Node",
    ),
    Check(
        "4.2.8",
        "the kubelet records enough events",
        "kubeadm",
        (ConfigField("kubelet", "eventRecordQPS", "event-qps", Expect("at least", "0", or_absent=True)),),
        "its default is 50 a second",
    ),
    Check(
        "4.2.9",
        "the kubelet has a serving certificate of the CA",
        "kgen",
        (
            ServingCertificates(),
            ConfigField("kubelet", "tlsCertFile", "tls-cert-file", _GIVEN),
            ConfigField("kubelet", "tlsPrivateKeyFile", "tls-private-key-file", _GIVEN),
        ),
        _SERVING,
    ),
    Check(
        "4.2.10",
        "the kubelet renews its client certificate",
        "kubeadm",
        (ConfigField("kubelet", "rotateCertificates", "rotate-certificates", Expect("is", "true")),),
    ),
    Check(
        "4.2.11",
        "the kubelet may rotate its serving certificate",
        "kubeadm",
        (
            ConfigField(
                "kubelet",
                "featureGates.RotateKubeletServerCertificate",
                "",
                Expect("is", "true", or_absent=True),
            ),
        ),
        "the gate is on by default",
    ),
    Check(
        "4.2.12",
        "the kubelet uses strong ciphers only",
        "kgen",
        (ConfigField("kubelet", "tlsCipherSuites", "tls-cipher-suites", _STRONG, CIPHERS),),
    ),
    Check(
        "4.2.13",
        "a pod has a limit of processes",
        "kgen",
        (ConfigField("kubelet", "podPidsLimit", "pod-max-pids", Expect("at least", "1"), 4096),),
    ),
    Check(
        "4.2.14",
        "pods have a seccomp profile by default",
        "kgen",
        (ConfigField("kubelet", "seccompDefault", "seccomp-default", Expect("is", "true"), value=True),),
    ),
    Check(
        "4.3.1",
        "kube-proxy shows its metrics on loopback only",
        "kubeadm",
        (
            ConfigField(
                "kubeProxy",
                "metricsBindAddress",
                "",
                Expect("only", ",127.0.0.1:10249,localhost:10249,[::1]:10249,127.0.0.1,::1", or_absent=True),
            ),
        ),
    ),
)
"""The checks of the benchmark's sections 1 to 4, in its order."""

_TLS12 = "VersionTLS12"
_MODERN = Expect("only", "VersionTLS12,VersionTLS13")
MORE: tuple[Check, ...] = (
    Check(
        "tls",
        "every program takes TLS 1.2 or newer, with strong ciphers",
        "kgen",
        (
            Flag("apiServer", "tls-min-version", _MODERN, _TLS12),
            *(
                Flag(component, name, expect, value)
                for component in ("controllerManager", "scheduler")
                for name, expect, value in (
                    ("tls-min-version", _MODERN, _TLS12),
                    ("tls-cipher-suites", _STRONG, _SUITES),
                )
            ),
            Flag("etcd", "tls-min-version", Expect("only", "TLS1.2,TLS1.3"), "TLS1.2"),
            Flag("etcd", "cipher-suites", _STRONG, _SUITES),
            ConfigField("kubelet", "tlsMinVersion", "tls-min-version", _MODERN, _TLS12),
        ),
        "kube-apiserver, kube-controller-manager, kube-scheduler, etcd and kubelets",
    ),
    Check(
        "kernel-defaults",
        "the machine's kernel parameters are right before the kubelet starts",
        "kgen",
        (
            ConfigField(
                "kubelet",
                "protectKernelDefaults",
                "protect-kernel-defaults",
                Expect("is", "true"),
                value=True,
                on_machines=True,
            ),
            Sysctls(),
        ),
        "not on machines that join with `kubeadm join`: their kubelet would not start without these parameters",
    ),
    Check(
        "pod-security",
        "pods must be of the level `baseline`",
        "kgen",
        (ServerFile("admissionControlConfigFile", "PodSecurity enforces `baseline`, except in kube-system"),),
        "a namespace with the label `pod-security.kubernetes.io/enforce` has its own level",
    ),
)
"""What ``hardening: cis`` does beside the checks of sections 1 to 4."""

ALL: tuple[Check, ...] = CHECKS + MORE
EXCEPTIONS: Mapping[str, str] = {
    check.number: check.title for check in ALL if any(not isinstance(setting, Files) for setting in check.settings)
}
"""The checks that a cluster file may leave out, with their titles: kgen does them, or refuses what contradicts them."""


def active(exceptions: Collection[str], brought: Collection[str]) -> tuple[Check, ...]:
    """Return the checks that hold: those without exception whose files of kube-apiserver kgen writes.

    ``brought`` are the keys of the files that the user brings.
    """
    return tuple(
        check
        for check in ALL
        if check.number not in exceptions
        and not any(isinstance(setting, ServerFile) and setting.key in brought for setting in check.settings)
    )
