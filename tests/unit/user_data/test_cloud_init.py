"""The user's own keys of cloud-init in a document."""

from dataclasses import replace

import pytest
import yaml
from tests.clusters import one_master

from kgen.user_data import document

KEYS = {
    "packages": ["jq"],
    "bootcmd": ["a"],
    "runcmd": [["b", "c d"]],
    "runcmd_after": ["e"],
    "write_files": [{"path": "/etc/a", "content": "${f} {{ g }} \u2028\u202e\x85"}],
    "power_state": {"mode": "reboot"},
}
HOLD = "/run/kgen/wait-for-runcmd"


def shared(cloud_init, runner="embedded"):
    cluster = replace(one_master(), runner=runner)
    program = "print()\n" if runner == "embedded" else None
    return yaml.safe_load(document.shared(cluster, "master", program, (), cloud_init).content)


def test_the_users_commands_stand_around_the_first_boot():
    kgens, made = shared({}), shared(KEYS)
    assert made["bootcmd"] == [*kgens["bootcmd"], "a"]
    assert made["runcmd"] == [["b", "c d"], *kgens["runcmd"], "e"]
    assert made["write_files"] == [*KEYS["write_files"], *kgens["write_files"]]
    assert made["packages"] == ["jq"]
    assert "runcmd_after" not in made


def test_the_machine_goes_down_only_when_it_is_done():
    assert shared(KEYS)["power_state"] == {"mode": "reboot", "condition": ["test", "-e", "/var/lib/kgen/done"]}


@pytest.mark.parametrize(
    ("cloud_init", "waits"),
    [({}, False), ({"mounts": [["a", "b"]]}, False), ({"packages": ["jq"]}, True), ({"runcmd": ["a"]}, True)],
)
def test_an_image_waits_for_packages_and_commands(cloud_init, waits):
    made = shared(cloud_init, "baked")
    assert (HOLD in made["bootcmd"][0]) == waits
    assert (HOLD in "".join(map(str, made["runcmd"]))) == waits
    assert HOLD not in str(shared(cloud_init)["bootcmd"])
