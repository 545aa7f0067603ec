import json
import subprocess
from dataclasses import replace
from ipaddress import ip_address, ip_network

from tests.clusters import master, node, three_masters

from kgen.content import bridge, files
from kgen.firstboot import parameters
from kgen.model import Machine, Networking


def bridged(
    subnet="10.244.0.0/16",
    ranges=("10.244.0.0/24", "10.244.7.0/24"),
    addresses=("10.0.0.1", "10.0.0.2"),
    services="10.96.0.0/12",
):
    networking = Networking((ip_network(services),), (ip_network(subnet),), plugin="bridge")
    machines = [
        replace(machine, pod_cidr=ip_network(text), addresses=(ip_address(address),))
        for machine, text, address in zip((master("m1", "10.0.0.1"), node("w1")), ranges, addresses, strict=True)
    ]
    return replace(three_masters(), machines=tuple(machines), networking=networking)


def bridged6():
    return bridged("fd00:1::/48", ("fd00:1::/64", "fd00:1:0:7::/64"), ("fd00::1", "fd00::2"), "fd00:2::/112")


def test_a_machine_knows_the_way_to_every_other_and_none_to_itself():
    cluster = bridged()
    assert bridge.routes(cluster, cluster.machines[0]) == [("10.244.7.0/24", "10.0.0.2")]
    text = bridge.script(cluster, cluster.machines[1])
    assert text.endswith("ip -force -batch - <<END\nroute replace 10.244.0.0/24 via 10.0.0.1\nEND\n")


def test_a_machine_that_is_alone_sets_no_routes():
    cluster = bridged()
    cluster = replace(cluster, machines=cluster.machines[:1])
    assert "ip " not in bridge.script(cluster, cluster.machines[0])


def test_ipv6_has_its_own_firewall_and_default_route():
    cluster = bridged6()
    script = bridge.script(cluster, cluster.machines[0])
    assert "\nroute replace fd00:1:0:7::/64 via fd00::2\n" in script
    assert script.count("ip6tables") == 2
    assert "iptables" not in script.replace("ip6tables", "")
    plugin = json.loads(bridge.conflist(cluster.machines[0]))["plugins"][0]
    assert plugin["ipam"] == {
        "type": "host-local",
        "ranges": [[{"subnet": "fd00:1::/64"}]],
        "routes": [{"dst": "::/0"}],
    }


def test_the_script_is_one_for_any_shell():
    for cluster in (bridged(), bridged6()):
        for text in (bridge.script(cluster, cluster.machines[0]), bridge.update(cluster, cluster.machines[0], ["x"])):
            subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_other_plugins_get_no_bridge_files():
    cluster = three_masters()
    assert list(bridge.files(cluster, cluster.machines[0])) == []
    assert bridge.units(cluster) == []


def test_every_machine_gets_the_files_and_the_unit():
    cluster = bridged()
    for machine in cluster.machines:
        assert parameters.parameters(cluster, machine, {})["systemctl"] == [
            "enable --now --no-reload kgen-routes.service kubelet"
        ]
        paths = [file.path for file in _files(cluster, machine)]
        assert {bridge.CONFLIST, bridge.ROUTES, bridge.UNIT} <= set(paths)


def _files(cluster, machine: Machine):
    if machine.role == "master":
        return files.master_files(cluster, machine)
    return files.WorkerFiles(cluster, "abcdef.0123456789abcdef").of(machine)
