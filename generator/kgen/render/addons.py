"""CoreDNS and kube-proxy, as kubeadm's add-on phases create them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Template
from typing import Any

from kgen import resources, versions
from kgen.config.model import Cluster
from kgen.render import component_config, engine, environment, flags, images, patches


def coredns(cluster: Cluster) -> tuple[Mapping[str, Any], ...]:
    """Return CoreDNS' objects; none where ``dns.disabled`` is set."""
    if cluster.dns.disabled:
        return ()
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
    """Return kube-proxy's objects; none where ``proxy.disabled`` is set.

    Its ConfigMap comes first, so that no pod waits for it.
    """
    if cluster.proxy.disabled:
        return ()
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
    """Return the objects; the one of this kind with the cluster's patches for ``target``."""
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
    return component_config.overlay(defaults, cluster.kube_proxy)


def _kube_proxy_kubeconfig(cluster: Cluster) -> str:
    """Return the kubeconfig of kube-proxy's pods, with kubeadm's order of keys: the hash is over the text."""
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
