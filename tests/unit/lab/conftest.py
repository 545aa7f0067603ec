from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from kgen.lab.network import Segment
from kgen.lab.state import Lab, LabMachine

M1 = LabMachine("m1", "master", "", "10.0.0.11", "52:54:00:00:00:11", "", "", 2, 4096, 40022, 40443, 6443, "ab" * 32)
W1 = replace(M1, name="w1", role="node", address="10.0.0.21", mac="52:54:00:00:00:21", ssh_port=40023, api_port=0)


@pytest.fixture
def lab(tmp_path) -> Lab:
    """A lab of one master and one node, of which only the directory exists."""
    segment = Segment(IPv4Network("10.0.0.0/24"), IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"))
    return Lab(tmp_path, "prod", "/srv/image.qcow2", "", "", "", "virtio", "kvm", segment, (M1, W1))
