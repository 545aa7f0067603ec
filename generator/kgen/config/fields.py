"""Every key of the cluster file: kind, default, help. The loader, the JSON Schema and the reference page read it.

Names and meaning are those of kubeadm's v1beta4 wherever the concept is the same
(https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/).
"""

from __future__ import annotations

from kgen import names, providers
from kgen.config import network, values
from kgen.config.components import KUBE_PROXY, KUBELET
from kgen.config.image_fields import IMAGE
from kgen.config.kinds import Choice, Text
from kgen.config.machine_fields import LOCAL_API_ENDPOINT, MACHINE, NODE_REGISTRATION, POOL
from kgen.config.objects import Field, Foreign, ListOf, MapOf, Object
from kgen.config.shapes import BOOLEAN, DURATION, EXTRA_ARGS, EXTRA_ENVS, EXTRA_VOLUMES, NETWORK, REPOSITORY, SANS, TAG
from kgen.config.users import NTP, USER

API_VERSION = "kgen/v1"
FEATURE_GATES = ("RootlessControlPlane",)
"""kubeadm's own gates in v1.37 (``kubeadm init --help``)."""

_TIMEOUT = Foreign("use `timeouts.controlPlaneComponentHealthCheck`", "is not in kubeadm v1beta4 any more")
_OTHER_TIMEOUT = Foreign("the first boot's waits grow with controlPlaneComponentHealthCheck", "is not needed")


def _component(help_text: str, key: str, *more: Field) -> Field:
    fields = (EXTRA_ARGS, EXTRA_VOLUMES, EXTRA_ENVS, *more)
    return Field(key, Object(fields, foreign={"timeoutForControlPlane": _TIMEOUT}), help_text)


_TOKEN = Object(
    (
        Field(
            "ttl",
            DURATION,
            "how long the token is valid after the first master has started; 0: for ever",
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
        "token": Foreign(
            "remove it: kgen makes the token and keeps it in the secrets bundle", "is a secret, the cluster file is not"
        ),
        "expires": Foreign(
            "use `ttl:`: it counts from the first start of a master", "depends on when the machines boot"
        ),
    },
    example="write {ttl: 24h}",
)

_EXTERNAL_ETCD = Foreign("etcd runs on the masters; remove `external:`", "is not supported yet", "K401")
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
    )
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
        ),
        Field(
            "name",
            Text(values.dns_label, "a name", examples=("prod",)),
            "name of the cluster, of its output directory and of its bundle",
            is_required=True,
        ),
        Field(
            "kubernetesVersion",
            Text(values.kubernetes_version, "a version like v1.37.2", pattern=r"^v\d+\.\d+\.\d+$", is_unambiguous=True),
            "the release, in full",
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
                    Field("serviceSubnet", NETWORK, "addresses of Services", default=names.DEFAULT_SERVICE_SUBNET),
                    Field(
                        "podSubnet",
                        NETWORK,
                        "addresses of pods, as the CNI expects them",
                        default_note="none, as in kubeadm",
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
                )
            ),
            "networks of the cluster",
        ),
        _component(
            "kube-apiserver",
            "apiServer",
            Field("certSANs", SANS, "more names in the API server's certificate", default=()),
        ),
        _component("kube-controller-manager", "controllerManager"),
        _component("kube-scheduler", "scheduler"),
        Field(
            "etcd",
            Object((Field("local", _LOCAL_ETCD, "a member on every master"),), foreign={"external": _EXTERNAL_ETCD}),
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
            ),
            "CoreDNS",
        ),
        Field(
            "manifests",
            ListOf(Text(values.file_path, "a path")),
            "files with objects to publish at the first boot, relative to this file, such as a network plugin's",
            default=(),
        ),
        Field(
            "patches",
            Object(
                (
                    Field(
                        "directory",
                        Text(values.file_path, "a path"),
                        "files `target[suffix][+type].yaml` as for `kubeadm init --patches`, relative to this file",
                    ),
                )
            ),
            "changes to static pods, kubelet configurations and add-ons that no other key makes",
        ),
        Field("proxy", Object((Field("disabled", BOOLEAN, "publish no kube-proxy", default=False),)), "kube-proxy"),
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
        Field("certificateValidityPeriod", DURATION, "lifetime of certificates", default="8760h"),
        Field("caCertificateValidityPeriod", DURATION, "lifetime of the CAs' certificates", default="87600h"),
        Field("featureGates", MapOf(BOOLEAN), f"kubeadm's own gates: {', '.join(FEATURE_GATES)}"),
        Field(
            "bootstrapTokens",
            ListOf(_TOKEN, may_be_empty=False),
            "tokens nodes join with; the token itself is made by kgen",
            default_note="[{ttl: 24h}]",
        ),
        Field("localAPIEndpoint", LOCAL_API_ENDPOINT, "the API server on every master"),
        Field("nodeRegistration", NODE_REGISTRATION, "defaults for all machines and pools"),
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
            ),
            "HTTP proxies of containerd, kubelet and static pods",
        ),
        Field(
            "pki",
            Object(
                (
                    Field(
                        "shipCAKeys",
                        Choice(("cluster", "all")),
                        "CA keys that masters get: the cluster's, or kubeadm's full set",
                        default="cluster",
                    ),
                    Field("keepSuperAdmin", BOOLEAN, "leave super-admin.conf on the first master", default=True),
                )
            ),
            "what is kgen's about keys",
        ),
        Field(
            "timeouts",
            Object(
                (
                    Field(
                        "controlPlaneComponentHealthCheck",
                        DURATION,
                        "how long a component of the control plane may take to start, else the kubelet starts it again;"
                        " above 4m the first boot's waits grow with it",
                        default="4m",
                    ),
                ),
                foreign=dict.fromkeys(
                    ("kubeletHealthCheck", "kubernetesAPICall", "etcdAPICall", "tlsBootstrap", "discovery"),
                    _OTHER_TIMEOUT,
                )
                | {"upgradeManifests": Foreign("kubeadm upgrade takes it from its own file", "is not kgen's")},
            ),
            "for machines slower than most",
        ),
        Field("image", IMAGE, "what the machines' image holds; `kgen bake` makes it"),
        Field(
            "provider",
            Choice(tuple(providers.PROVIDERS)),
            "where the machines run: limit and encoding of user-data",
            default_note="no limit",
        ),
        Field("hostname", BOOLEAN, "set the hostname of listed machines", default=True),
        Field("ntp", NTP, "time servers, as in cloud-init"),
        Field("users", ListOf(USER), "console users, as in cloud-init", default=()),
    ),
    foreign={
        "kind": Foreign(f"remove it: {_ONE_FILE}", "is not needed"),
        "metadata": Foreign("use `name:`", "is not needed"),
        "spec": Foreign(_ONE_FILE),
        "version": Foreign("use kubernetesVersion", stands_for="kubernetesVersion"),
        "nodes": Foreign("list them below `machines:` with role: node", stands_for="machines"),
        "masters": Foreign("list them below `machines:` with role: master", stands_for="machines"),
        "workers": Foreign("list them below `machines:` with role: node, or below `pools:`", stands_for="machines"),
        "certificatesDir": Foreign("certificates are in /etc/kubernetes/pki", "cannot be changed"),
        "certificateKey": Foreign("remove it: each master's document has its certificates", "is not needed"),
        "discovery": Foreign("remove it: nodes get the endpoint and the CA's hash", "is computed"),
        "controlPlane": Foreign("use `role: master` of a machine, or `localAPIEndpoint:`"),
        "caCertPath": Foreign("the CA is in /etc/kubernetes/pki/ca.crt", "cannot be changed"),
        "skipPhases": Foreign("use dns.disabled or proxy.disabled", "is not used: there are no phases"),
        "dryRun": Foreign("use `kgen render --check`", "is not used"),
        "useHyperKubeImage": Foreign(_GONE),
        "podSubnet": Foreign("put it below `networking:`"),
        "serviceSubnet": Foreign("put it below `networking:`"),
        "dnsDomain": Foreign("put it below `networking:`"),
        "certSANs": Foreign("put it below `apiServer:`"),
        "labels": Foreign("put it on machines or pools"),
        "taints": Foreign("put it on machines or pools, or below `nodeRegistration:`"),
        "nodeName": Foreign("use `name:` of the machine"),
    },
)
