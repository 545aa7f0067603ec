"""The objects of CoreDNS and kube-proxy, as kubeadm's add-on phases create them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Template
from typing import Any

from kgen import engine, resources
from kgen.config.components import KUBE_PROXY
from kgen.content import component_config, environment, flags, images, patches
from kgen.facts import versions
from kgen.model import Cluster


def coredns(cluster: Cluster) -> tuple[Mapping[str, Any], ...]:
    """Return CoreDNS' objects."""
    corefile = Template(resources.template_text("manifests/addons/Corefile"))
    objects = engine.render_yaml(
        "manifests/addons/coredns.yaml.j2",
        corefile=corefile.substitute(dns_domain=cluster.networking.dns_domain),
        cluster_ip=str(cluster.dns_address),
        image=images.coredns(cluster),
        names_ports=versions.names_probe_ports(cluster.kubernetes_version),
    )
    return _patched(cluster, "Deployment", "corednsdeployment", objects)


def kube_proxy(cluster: Cluster) -> tuple[Mapping[str, Any], ...]:
    """Return kube-proxy's objects: its ConfigMap first, so that no pod waits for it."""
    data = {
        "config.conf": engine.to_yaml(kube_proxy_configuration(cluster)).rstrip("\n"),
        "kubeconfig.conf": _kube_proxy_kubeconfig(cluster),
    }
    labels = {"app": "kube-proxy"}
    objects = engine.render_yaml(
        "manifests/addons/kube-proxy.yaml.j2",
        image=images.component(cluster, "kube-proxy"),
        proxies=environment.proxy_variables(cluster),
    )
    return (
        component_config.config_map("kube-proxy", data, generated=not cluster.kube_proxy, labels=labels),
        *_patched(cluster, "DaemonSet", "kubeproxydaemonset", objects),
    )


def _patched(cluster: Cluster, kind: str, target: str, objects: Iterable[Any]) -> tuple[Any, ...]:
    """Return the objects, with the cluster's patches for ``target`` applied to the one of this kind."""
    return tuple(patches.patched(cluster, target, each) if each["kind"] == kind else each for each in objects)


def kube_proxy_configuration(cluster: Cluster) -> dict[str, Any]:
    """Return the KubeProxyConfiguration: kubeadm's fields under the cluster file's.

    The bind address follows the first master's address family.
    """
    defaults: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": "::" if cluster.masters[0].address.version == 6 else "0.0.0.0",  # noqa: S104 kubeadm's choice
        "bindAddressHardFail": False,
        "clientConnection": {
            "acceptContentTypes": "",
            "burst": 0,
            "contentType": "",
            "kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf",
            "qps": 0,
        },
        "clusterCIDR": flags.comma_list(cluster.networking.pod_subnets),
        "configSyncPeriod": "0s",
        "conntrack": {
            "maxPerCore": None,
            "min": None,
            "tcpBeLiberal": False,
            "tcpCloseWaitTimeout": None,
            "tcpEstablishedTimeout": None,
            "udpStreamTimeout": "0s",
            "udpTimeout": "0s",
        },
        "detectLocal": {"bridgeInterface": "", "interfaceNamePrefix": ""},
        "detectLocalMode": "",
        "enableProfiling": False,
        "healthzBindAddress": "",
        "hostnameOverride": "",
        "iptables": {
            "localhostNodePorts": None,
            "masqueradeAll": False,
            "masqueradeBit": None,
            "minSyncPeriod": "0s",
            "syncPeriod": "0s",
        },
        "ipvs": {
            "excludeCIDRs": None,
            "minSyncPeriod": "0s",
            "scheduler": "",
            "strictARP": False,
            "syncPeriod": "0s",
            "tcpFinTimeout": "0s",
            "tcpTimeout": "0s",
            "udpTimeout": "0s",
        },
        "logging": component_config.LOGGING,
        "metricsBindAddress": "",
        "mode": "iptables" if versions.names_proxy_mode(cluster.kubernetes_version) else "",
        "nftables": {"masqueradeAll": False, "masqueradeBit": None, "minSyncPeriod": "0s", "syncPeriod": "0s"},
        "nodePortAddresses": None,
        "oomScoreAdj": None,
        "portRange": "",
        "showHiddenMetricsForVersion": "",
        "winkernel": {
            "enableDSR": False,
            "forwardHealthCheckVip": False,
            "networkName": "",
            "rootHnsEndpointName": "",
            "sourceVip": "",
        },
    }
    return component_config.overlay(defaults, cluster.kube_proxy, KUBE_PROXY)


def _kube_proxy_kubeconfig(cluster: Cluster) -> str:
    """Return the kubeconfig of kube-proxy's pods, its keys in kubeadm's order, because kubeadm hashes the text."""
    service_account = "/var/run/secrets/kubernetes.io/serviceaccount"
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "cluster": {"certificate-authority": f"{service_account}/ca.crt", "server": cluster.server},
                "name": "default",
            }
        ],
        "contexts": [{"context": {"cluster": "default", "namespace": "default", "user": "default"}, "name": "default"}],
        "current-context": "default",
        "users": [{"name": "default", "user": {"tokenFile": f"{service_account}/token"}}],
    }
    return engine.to_yaml(configuration, sort_keys=False).rstrip("\n")
