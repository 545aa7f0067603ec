"""The files of ``metadataFence``; tests/network asks a metadata service through its rules."""

import configparser
import re
from dataclasses import replace
from pathlib import Path

from tests import clusters
from tests.unit.runner.scratch import default_payloads

from kgen.content import files, metadata_fence
from kgen.facts import metadata_services
from kgen.firstboot import parameters, program

DOCS = Path(__file__).parents[3] / "docs/reference/cluster-file.md"
PATHS = {str(path) for path in (metadata_fence.RULES, metadata_fence.UNIT, metadata_fence.DROP_IN)}


def with_fence(host_network=False):
    made = clusters.with_nodes(1, clusters.one_master())
    return replace(made, metadata_fence=True, metadata_fence_host_network=host_network)


def paths(cluster):
    master, node = cluster.machines
    listed = (files.master_files(cluster, master), files.WorkerFiles(cluster, "abcdef.0123456789abcdef").of(node))
    return [{str(file.path) for file in each} for each in listed]


def test_masters_and_nodes_get_the_fence_where_it_is_wanted():
    assert all(found >= PATHS for found in paths(with_fence()))
    assert not any(found & PATHS for found in paths(replace(with_fence(), metadata_fence=False)))


def test_the_kubelet_needs_the_unit_and_systemd_hears_of_it():
    cluster = with_fence()
    drop_in = configparser.ConfigParser()
    drop_in.read_string("".join(map(str, list(metadata_fence.files(cluster))[2].content)))
    assert drop_in["Unit"]["Requires"] == drop_in["Unit"]["After"] == metadata_fence.UNIT.name
    for machine in cluster.machines:
        assert parameters.parameters(cluster, machine, {})["systemctl"][0] == "daemon-reload"


def test_only_the_programs_of_such_clusters_check_for_nft():
    for fence in (True, False):
        extras = program.extras(replace(with_fence(), metadata_fence=fence), default_payloads()["node"])
        for role in ("master", "node"):
            assert ("FileExisting-nft" in program.program(role, with_comments=False, extras=extras)) is fence


def test_every_address_of_the_table_is_refused_and_documented():
    rules = metadata_fence.rules(host_network=False)
    rows = re.findall(r"^\| (.*) \| (.*) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    for service in metadata_services.SERVICES:
        assert (service.title, ", ".join(service.addresses)) in rows
        for address in service.addresses:
            assert re.search(rf"[ {{]{re.escape(address)}[ ,}}]", rules), address


def test_pods_with_the_machines_network_are_a_choice():
    assert "kubepods.slice" not in metadata_fence.rules(host_network=False) + metadata_fence.unit(host_network=False)
    assert 'socket cgroupv2 level 1 "kubepods.slice"' in metadata_fence.rules(host_network=True)
    assert not any(str(metadata_fence.PODS_DROP_IN) in found for found in paths(with_fence()))
    assert all(str(metadata_fence.PODS_DROP_IN) in found for found in paths(with_fence(host_network=True)))
    assert "\nRequires=kubepods.slice\nAfter=kubepods.slice\n" in metadata_fence.unit(host_network=True)
