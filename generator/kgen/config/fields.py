"""Every key of the cluster file: kind, default, help. The loader, the JSON Schema and the reference page read it.

Names and meaning are those of kubeadm's v1beta4 wherever the concept is the same
(https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/).
"""

from __future__ import annotations

from typing import Any

from kgen.config import network, values
from kgen.config.cloud_init_fields import CLOUD_INIT
from kgen.config.components import KUBE_PROXY, KUBELET
from kgen.config.file_fields import FILES_BY_ROLE, STATIC_PODS_BY_ROLE
from kgen.config.image_fields import IMAGE
from kgen.config.machine_fields import LOCAL_API_ENDPOINT, MACHINE, NODE_REGISTRATION, POOL
from kgen.config.shapes import (
    API_SANS,
    BOOLEAN,
    DURATION,
    EXTRA_ARGS,
    EXTRA_ENVS,
    EXTRA_VOLUMES,
    KERNEL_MODULES,
    PATCHES,
    REPOSITORY,
    SANS,
    SUBNETS,
    SYSCTLS,
    TAG,
)
from kgen.config.users import NTP, USER
from kgen.facts import apiserver_files, hardening, names, providers
from kgen.model import (
    Addon,
    ApiServer,
    BootstrapToken,
    Cluster,
    Component,
    Encryption,
    HttpProxy,
    LocalEtcd,
    Networking,
    Pki,
    Timeouts,
)
from kgen.reader.kinds import Choice, Text
from kgen.reader.objects import Field, Foreign, ListOf, MapOf, Object

API_VERSION = "kgen/v1"
FEATURE_GATES = ("RootlessControlPlane",)
"""kubeadm's own gates in v1.37 (``kubeadm init --help``)."""

_TIMEOUT = Foreign("use `timeouts.controlPlaneComponentHealthCheck`", "is not in kubeadm v1beta4 any more")
_PHASES = ("addon", "addon/coredns", "addon/kube-proxy")
_SKIPPED = {
    "preflight": "use nodeRegistration.ignorePreflightErrors: [all]",
    "mark-control-plane": "use taints: [] of the machine; the labels are always set",
    "bootstrap-token": "remove it: nodes need the token to join",
}


def _wait(key: str, what: str, default: str, attribute: str = "") -> Field:
    help_text = f"how long {what} may take; a longer time than the default makes all waits of the first boot longer"
    return Field(key, DURATION, help_text, default=default, attribute=attribute)


def _component(help_text: str, key: str, *more: Field, makes: type[Component] = Component) -> Field:
    fields = (EXTRA_ARGS, EXTRA_VOLUMES, EXTRA_ENVS, *more)
    return Field(key, Object(fields, foreign={"timeoutForControlPlane": _TIMEOUT}, makes=makes), help_text)


def _only_value(**values: Any) -> Any:
    """Return the only value of an object that has one key."""
    (value,) = values.values()
    return value


_BRING_YOUR_OWN = (
    "remove it: kgen makes one; your own goes into bootstrapTokens of the secrets bundle, in the order of this list"
)
_TOKEN = Object(
    (
        Field(
            "ttl",
            DURATION,
            "how long it is valid after the first master has started, and after `kgen token refresh`; 0: for ever",
            default="24h",
        ),
        Field("description", Text(values.one_line), "for people", default=""),
        Field(
            "usages",
            ListOf(Choice(("signing", "authentication")), may_be_empty=False),
            "what it is for",
            default=("signing", "authentication"),
        ),
        Field(
            "groups",
            ListOf(Text(values.token_group, "a group", is_unambiguous=True), may_be_empty=False),
            "groups it authenticates as",
            default=(names.GROUP_DEFAULT_NODE_TOKEN,),
        ),
    ),
    foreign={
        "token": Foreign(_BRING_YOUR_OWN, "is a secret, the cluster file is not"),
        "expires": Foreign(
            "use `ttl:`: it counts from the first start of a master", "depends on when the machines boot"
        ),
    },
    example="write {ttl: 24h}",
    makes=BootstrapToken,
)

_ETCD_URL = Text(
    network.etcd_endpoint, "the URL of an etcd member", examples=("https://10.0.0.31:2379",), is_unambiguous=True
)
_FILE_PATH = Text(values.file_path, "a path")
_EXTERNAL_ETCD = Object(
    (
        Field("endpoints", ListOf(_ETCD_URL, may_be_empty=False), "URLs of its members for clients", is_required=True),
        Field(
            "httpEndpoints",
            ListOf(_ETCD_URL),
            "URLs that answer HTTP, where `endpoints` speak only gRPC; for the check of its version",
            default_note="endpoints",
        ),
        Field(
            "caFile",
            _FILE_PATH,
            "the CA of its servers, PEM, relative to this file; the secrets bundle keeps the content",
            default_note="the CAs that the machine trusts",
        ),
        Field("certFile", _FILE_PATH, "the API servers' client certificate for it, likewise", default_note="none"),
        Field("keyFile", _FILE_PATH, "the key of certFile, likewise", default_note="none"),
    ),
    example="write {endpoints: [https://10.0.0.31:2379], caFile: …, certFile: …, keyFile: …}",
)
_LOCAL_ETCD = Object(
    (
        Field(
            "dataDir",
            Text(values.directory, "an absolute path", pattern="^/", is_unambiguous=True),
            "etcd's data directory",
            default=str(names.ETCD_DATA_DIR),
        ),
        Field("imageRepository", REPOSITORY, "where etcd's image is", default_note="imageRepository"),
        Field("imageTag", TAG, "the tag of etcd's image", default_note="kubeadm's for the version"),
        EXTRA_ARGS,
        EXTRA_ENVS,
        Field("serverCertSANs", SANS, "more names in etcd's server certificate", default=()),
        Field("peerCertSANs", SANS, "more names in etcd's peer certificate", default=()),
    ),
    makes=LocalEtcd,
)

_ENCRYPTION = Object(
    (
        Field(
            "provider",
            Choice(("secretbox", "aescbc", "aesgcm", "identity")),
            "how new keys encrypt; identity: not at all, to decrypt in stages",
            is_required=True,
        ),
        Field(
            "resources",
            ListOf(Text(values.api_resource, "a resource", is_unambiguous=True), may_be_empty=False),
            "what is encrypted: secrets, configmaps, or name.group",
            default=("secrets",),
        ),
    ),
    example="write {provider: secretbox}",
    makes=Encryption,
)

_GONE = "was removed from kubeadm: remove it here too"
_ONE_FILE = "a cluster file has kubeadm's fields at its top level"
CLUSTER = Object(
    (
        Field(
            "apiVersion",
            Choice(
                (API_VERSION,),
                hints={
                    f"kubeadm.k8s.io/{version}": f"write {API_VERSION}: {_ONE_FILE}"
                    for version in ("v1beta3", "v1beta4", "v1")
                },
            ),
            "the format of this file",
            default=API_VERSION,
            attribute=None,
        ),
        Field(
            "name",
            Text(values.dns_label, "a name", examples=("prod",)),
            "name of the cluster, of its output directory and of its bundle",
            is_required=True,
        ),
        Field(
            "kubernetesVersion",
            Text(
                values.kubernetes_version,
                "a version like v1.37.2",
                pattern=r"^v\d+\.\d+\.\d+$",
                examples=("v1.37.2",),
                is_unambiguous=True,
            ),
            "the release of Kubernetes, in full",
            is_required=True,
        ),
        Field(
            "clusterName",
            Text(values.cluster_name, "a name"),
            "name of the cluster in kubeconfigs",
            default_note="name",
        ),
        Field(
            "controlPlaneEndpoint",
            Text(network.endpoint, "host or host:port", examples=("api.example.com:6443",), is_unambiguous=True),
            "DNS name or address, and port, at which clients reach the API servers; required with more than one master",
            default_note="the only master's address",
        ),
        Field("machines", ListOf(MACHINE, may_be_empty=False), "the machines, one entry each", is_required=True),
        Field("pools", ListOf(POOL), "groups of nodes that share one document", default=()),
        Field(
            "networking",
            Object(
                (
                    Field(
                        "serviceSubnet",
                        SUBNETS,
                        "addresses of Services; two families with a comma between them, the first one's family first",
                        default=names.DEFAULT_SERVICE_SUBNET,
                        attribute="service_subnets",
                    ),
                    Field(
                        "podSubnet",
                        SUBNETS,
                        "addresses of pods, as the CNI expects them; likewise",
                        default_note="none, as in kubeadm",
                        attribute="pod_subnets",
                    ),
                    Field(
                        "dnsDomain",
                        Text(network.dns_domain, "a DNS domain"),
                        "domain of Services",
                        default=names.DEFAULT_CLUSTER_DOMAIN,
                    ),
                    Field(
                        "plugin",
                        Choice(("none", "bridge")),
                        "bridge: kgen connects the pods of listed machines on one segment; none: you bring a plugin",
                        default="none",
                    ),
                ),
                makes=Networking,
            ),
            "networks of the cluster",
        ),
        _component(
            "kube-apiserver",
            "apiServer",
            Field("certSANs", API_SANS, "more names in the API server's certificate", default=()),
            *(Field(row.key, _FILE_PATH, row.help, attribute=None) for row in apiserver_files.ROWS),
            Field("encryption", _ENCRYPTION, "encryption in etcd; its keys are in the secrets bundle"),
            makes=ApiServer,
        ),
        _component("kube-controller-manager", "controllerManager"),
        _component("kube-scheduler", "scheduler"),
        Field(
            "etcd",
            Object(
                (
                    Field("local", _LOCAL_ETCD, "a member on every master"),
                    Field("external", _EXTERNAL_ETCD, "members outside of the masters", attribute=None),
                ),
                makes=_only_value,
            ),
            "the cluster's store",
        ),
        Field(
            "dns",
            Object(
                (
                    Field("disabled", BOOLEAN, "publish no CoreDNS", default=False),
                    Field("imageRepository", REPOSITORY, "where CoreDNS's image is", default_note="imageRepository"),
                    Field("imageTag", TAG, "the tag of CoreDNS's image", default_note="kubeadm's for the version"),
                ),
                foreign={"type": Foreign("CoreDNS is the only one", _GONE)},
                makes=Addon,
            ),
            "CoreDNS",
        ),
        Field(
            "manifests",
            ListOf(Text(values.file_path, "a path")),
            "files with objects to publish at the first boot, relative to this file, such as a network plugin's",
            default=(),
            attribute=None,
        ),
        Field(
            "patches",
            PATCHES,
            "changes to static pods, kubelet configurations and add-ons that have no key of their own",
            attribute=None,
        ),
        Field(
            "proxy",
            Object((Field("disabled", BOOLEAN, "publish no kube-proxy", default=False),), makes=Addon),
            "kube-proxy",
        ),
        Field(
            "imageRepository",
            REPOSITORY,
            "registry of the control plane's images",
            default=names.DEFAULT_IMAGE_REPOSITORY,
        ),
        Field(
            "encryptionAlgorithm",
            Choice(("ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096")),
            "the kind of new keys",
            default="ECDSA-P256",
        ),
        Field(
            "certificateValidityPeriod",
            DURATION,
            "lifetime of certificates",
            default="8760h",
            attribute="certificate_validity",
        ),
        Field(
            "caCertificateValidityPeriod",
            DURATION,
            "lifetime of the CAs' certificates",
            default="87600h",
            attribute="ca_certificate_validity",
        ),
        Field("featureGates", MapOf(BOOLEAN), f"kubeadm's own gates: {', '.join(FEATURE_GATES)}"),
        Field(
            "bootstrapTokens",
            ListOf(_TOKEN, may_be_empty=False),
            "tokens nodes join with; the token itself is made by kgen",
            default_note="[{ttl: 24h}]",
        ),
        Field("localAPIEndpoint", LOCAL_API_ENDPOINT, "the API server on every master", attribute=None),
        Field("nodeRegistration", NODE_REGISTRATION, "defaults for all machines and pools", attribute=None),
        Field("sysctls", SYSCTLS, "kernel parameters of all machines", attribute=None),
        Field("kernelModules", KERNEL_MODULES, "kernel modules that all machines load", attribute=None),
        Field("files", FILES_BY_ROLE, "files on the machines, written before the kubelet starts", attribute=None),
        Field(
            "staticPods",
            STATIC_PODS_BY_ROLE,
            "your own static pods, such as kube-vip",
            attribute=None,
        ),
        Field("kubelet", KUBELET, "fields of KubeletConfiguration"),
        Field("kubeProxy", KUBE_PROXY, "fields of KubeProxyConfiguration"),
        Field(
            "httpProxy",
            Object(
                (
                    Field(
                        "httpProxy",
                        Text(network.proxy_url, "a URL", is_unambiguous=True),
                        "proxy for http, HTTP_PROXY",
                        default="",
                    ),
                    Field(
                        "httpsProxy",
                        Text(network.proxy_url, "a URL", is_unambiguous=True),
                        "proxy for https, HTTPS_PROXY",
                        default="",
                    ),
                    Field(
                        "noProxy",
                        Text(network.no_proxy, "a text", is_unambiguous=True),
                        "hosts and networks reached without it, NO_PROXY",
                        default="",
                    ),
                ),
                example="write {httpProxy: …, httpsProxy: …, noProxy: …}",
                makes=HttpProxy,
            ),
            "HTTP proxies of containerd, kubelet and static pods",
        ),
        Field(
            "hardening",
            Choice(("none", "cis")),
            "cis: what the CIS benchmark asks for, wherever that leaves a working cluster; "
            "see docs/reference/hardening.md",
            default="none",
        ),
        Field(
            "hardeningExceptions",
            ListOf(Choice(tuple(hardening.EXCEPTIONS), about=hardening.EXCEPTIONS)),
            "checks of `hardening: cis` that this cluster does not follow, by number or name",
            default=(),
        ),
        Field(
            "pki",
            Object(
                (
                    Field(
                        "shipCAKeys",
                        Choice(("all", "cluster")),
                        "CA keys that masters get: kubeadm's full set, or only the cluster CA's",
                        default="all",
                        attribute="ship_ca_keys",
                    ),
                    Field("keepSuperAdmin", BOOLEAN, "leave super-admin.conf on the first master", default=True),
                    Field(
                        "kubeletServingCertificates",
                        BOOLEAN,
                        "the cluster's CA signs the serving certificates of the listed machines' kubelets, "
                        "and the API servers verify them",
                        default=False,
                        attribute="kubelet_serving_certificates",
                    ),
                ),
                makes=Pki,
            ),
            "kgen's own settings for keys",
        ),
        Field(
            "timeouts",
            Object(
                (
                    Field(
                        "controlPlaneComponentHealthCheck",
                        DURATION,
                        "how long a component of the control plane may take to start, else the kubelet starts it again;"
                        " above 4m, the first boot also waits longer",
                        default="4m",
                    ),
                    _wait("kubeletHealthCheck", "the kubelet's start", "4m"),
                    _wait("kubernetesAPICall", "a request to the API server", "1m", "kubernetes_api_call"),
                    _wait("etcdAPICall", "a request to etcd", "2m", "etcd_api_call"),
                    _wait("tlsBootstrap", "the kubelet's first certificate", "5m"),
                    _wait("discovery", "the endpoint's first answer to a node", "5m"),
                ),
                foreign={
                    "upgradeManifests": Foreign(
                        "kubeadm upgrade takes it from its own file", "is not kgen's", harmless=("5m0s", "5m")
                    )
                },
                makes=Timeouts,
            ),
            "timeouts for slow machines",
        ),
        Field(
            "skipPhases",
            ListOf(Choice(_PHASES, hints=_SKIPPED)),
            "add-ons that are not published, by the names of kubeadm's phases; the same as their `disabled: true`",
            default=(),
            attribute=None,
        ),
        Field("image", IMAGE, "what the machines' image holds; `kgen bake` makes it"),
        Field(
            "provider",
            Choice(tuple(providers.PROVIDERS)),
            "where the machines run: limit and encoding of user-data",
            default_note="no limit",
        ),
        Field(
            "userData",
            Object(
                (
                    Field(
                        "secrets",
                        Choice(("embedded", "byReference", "sealed")),
                        "the secrets of machines: in their user-data; fetched with a stub, see `kgen publish`; or in "
                        "their user-data, encrypted for a key that each machine gets by another way",
                        default="embedded",
                    ),
                ),
                example="write {secrets: sealed}",
            ),
            "what the provider gets of the documents",
            attribute=None,
        ),
        Field(
            "metadataFence",
            BOOLEAN,
            "keep pods from the cloud's metadata service, which gives out user-data and credentials",
            default=False,
        ),
        Field(
            "metadataFenceHostNetwork",
            BOOLEAN,
            "keep pods with the machine's network from it, too",
            default=False,
        ),
        Field("hostname", BOOLEAN, "set the hostname of listed machines", default=True, attribute="set_hostname"),
        Field(
            "cloudInit",
            CLOUD_INIT,
            "cloud-init's own keys, such as packages, mounts and runcmd",
            attribute=None,
        ),
        Field("ntp", NTP, "time servers, as in cloud-init"),
        Field("users", ListOf(USER), "console users, as in cloud-init", default=()),
    ),
    example="start with `name: …`",
    makes=Cluster,
    foreign={
        "kind": Foreign(f"remove it: {_ONE_FILE}", "is not needed"),
        "metadata": Foreign("use `name:`", "is not needed"),
        "spec": Foreign(_ONE_FILE),
        "version": Foreign("use kubernetesVersion", stands_for="kubernetesVersion"),
        "nodes": Foreign("list them below `machines:` with role: node", stands_for="machines"),
        "masters": Foreign("list them below `machines:` with role: master", stands_for="machines"),
        "workers": Foreign("list them below `machines:` with role: node, or below `pools:`", stands_for="machines"),
        "certificatesDir": Foreign(
            "remove it: certificates are in /etc/kubernetes/pki",
            "cannot be changed",
            harmless=(str(names.PKI_DIR),),
        ),
        "certificateKey": Foreign("remove it: each master's document has its certificates", "is not needed"),
        "discovery": Foreign("remove it: nodes get the endpoint and the CA's hash", "is computed"),
        "controlPlane": Foreign("use `role: master` of a machine, or `localAPIEndpoint:`"),
        "caCertPath": Foreign(
            "remove it: the CA is in /etc/kubernetes/pki/ca.crt",
            "cannot be changed",
            harmless=(str(names.PKI_DIR / "ca.crt"),),
        ),
        "dryRun": Foreign("use `kgen render --check`", "is not used", harmless=(False,)),
        "useHyperKubeImage": Foreign(_GONE),
        "extraUserData": Foreign("use `cloudInit:` for cloud-init's own keys, and `files:` for files", "is not needed"),
        "podSubnet": Foreign("put it below `networking:`"),
        "serviceSubnet": Foreign("put it below `networking:`"),
        "dnsDomain": Foreign("put it below `networking:`"),
        "certSANs": Foreign("put it below `apiServer:`"),
        "labels": Foreign("put it on machines or pools"),
        "taints": Foreign("put it on machines or pools, or below `nodeRegistration:`"),
        "nodeName": Foreign("use `name:` of the machine"),
    },
)
