from dataclasses import replace

import pytest
import yaml
from tests.clusters import master, one_master, three_masters

from kgen.content import files, manifests
from kgen.model import ApiServer, Argument, Component, HttpProxy, LocalEtcd, Volume

BY_NAME = {pod.name: pod for pod in manifests.STATIC_PODS}


def rendered(name, cluster):
    return yaml.safe_load(manifests.manifest(BY_NAME[name], cluster, cluster.masters[0]))


def container(name, cluster):
    return rendered(name, cluster)["spec"]["containers"][0]


def test_static_pods_start_in_stages():
    assert [pod.stage for pod in manifests.STATIC_PODS] == ["etcd", "apiserver", "controllers", "controllers"]
    assert str(manifests.path(BY_NAME["etcd"])) == "/etc/kubernetes/manifests/etcd.yaml"


def test_an_extra_volume_replaces_a_default_of_its_name():
    volume = Volume("ca-certs", "/opt/certs", "/etc/ssl/certs")
    cluster = replace(one_master(), api_server=ApiServer(extra_volumes=(volume,)))
    pod = rendered("kube-apiserver", cluster)["spec"]
    assert {"hostPath": {"path": "/opt/certs", "type": ""}, "name": "ca-certs"} in pod["volumes"]
    assert [entry["name"] for entry in pod["volumes"]] == sorted({entry["name"] for entry in pod["volumes"]})
    assert {"mountPath": "/etc/ssl/certs", "name": "ca-certs"} in pod["containers"][0]["volumeMounts"]


def test_extra_variables_win_over_proxies():
    envs = ({"name": "NO_PROXY", "value": "mine"}, {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}})
    cluster = replace(
        one_master(), http_proxy=HttpProxy("http://p:1", "", "theirs"), scheduler=Component(extra_envs=envs)
    )
    assert container("kube-scheduler", cluster)["env"] == [
        {"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "x"}}},
        {"name": "HTTP_PROXY", "value": "http://p:1"},
        {"name": "NO_PROXY", "value": "mine"},
    ]
    assert "env" not in container("etcd", cluster)


def test_probes_follow_the_address_a_component_listens_on():
    cluster = replace(
        one_master(),
        controller_manager=Component(extra_args=(Argument("bind-address", "0.0.0.0"),)),
        scheduler=Component(extra_args=(Argument("bind-address", "10.0.0.11"),)),
        etcd=LocalEtcd(extra_args=(Argument("listen-metrics-urls", "https://10.0.0.11:2391,http://127.0.0.1:2381"),)),
    )
    assert "host" not in container("kube-controller-manager", cluster)["livenessProbe"]["httpGet"]
    assert container("kube-scheduler", cluster)["readinessProbe"]["httpGet"]["host"] == "10.0.0.11"
    etcd = container("etcd", cluster)
    assert etcd["startupProbe"]["httpGet"] == {
        "host": "10.0.0.11",
        "path": "/readyz",
        "port": "probe-port",
        "scheme": "HTTPS",
    }
    assert etcd["ports"][0]["containerPort"] == 2391


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ((), "https://127.0.0.1:10257/healthz"),
        ((Argument("bind-address", "::"),), "https://127.0.0.1:10257/healthz"),
        ((Argument("bind-address", "fd00::1"),), "https://[fd00::1]:10257/healthz"),
        ((Argument("secure-port", "1444"),), "https://127.0.0.1:1444/healthz"),
    ],
)
def test_the_runner_asks_where_the_controller_manager_listens(arguments, url):
    cluster = replace(one_master(), controller_manager=Component(extra_args=arguments))
    assert manifests.controller_health_urls(cluster)[0] == ("kube-controller-manager", url)


def test_the_runner_asks_etcd_on_the_loopback_of_its_family():
    cluster = three_masters()
    assert manifests.etcd_health_url(cluster, cluster.masters[1]) == "http://127.0.0.1:2381/readyz"
    assert manifests.etcd_health_url(cluster, master("m1", "fd00::1")) == "http://[::1]:2381/readyz"


@pytest.mark.parametrize("urls", ["", "nonsense", "http://[", "http://x:99999", "//x"])
def test_what_is_no_url_leaves_etcds_probes_alone(urls):
    cluster = replace(one_master(), etcd=LocalEtcd(extra_args=(Argument("listen-metrics-urls", urls),)))
    assert manifests.etcd_health_url(cluster, cluster.masters[0]) == "http://127.0.0.1:2381/readyz"


def test_what_is_no_port_leaves_the_runners_question_alone():
    cluster = replace(one_master(), scheduler=Component(extra_args=(Argument("secure-port", "high"),)))
    assert manifests.controller_health_urls(cluster)[1] == ("kube-scheduler", "https://127.0.0.1:10259/livez")


def test_a_cluster_without_a_static_pod_has_no_manifest_of_it(monkeypatch):
    cluster = three_masters()
    etcd, *others = manifests.STATIC_PODS
    monkeypatch.setattr(manifests, "STATIC_PODS", (replace(etcd, when=lambda cluster: False), *others))
    paths = [str(file.path) for file in files.master_files(cluster, cluster.masters[0])]
    assert "/etc/kubernetes/manifests/kube-apiserver.yaml" in paths
    assert "/etc/kubernetes/manifests/etcd.yaml" not in paths
