import json
import subprocess

import pytest

HEAD = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.37.2
networking: {plugin: bridge, podSubnet: 10.244.0.0/16}
machines:
  - {name: m1, role: master, address: 10.0.0.11}
"""
W1 = "  - {name: w1, role: node, address: 10.0.0.21}\n"
W2 = "  - {name: w2, role: node, address: 10.0.0.22}\n"


@pytest.fixture
def bridged(kgen, here):
    """Render ``prod.yaml`` with these machines beside m1."""

    def render(*machines):
        (here / "prod.yaml").write_text(HEAD + "".join(machines))
        ended = kgen("render", "prod.yaml")
        assert ended.code == 0, ended.err

    return render


def commands(kgen, machine):
    ended = kgen("routes", "prod.yaml", machine)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def test_routes_are_printed_as_a_script_that_installs_what_a_render_gives(kgen, here, bridged):
    bridged(W1)
    bridged(W1, W2)
    script = commands(kgen, "m1")
    rendered = (here / "outputs/prod/nodes/m1/etc/kgen/routes").read_text()
    assert "\nroute replace 10.244.2.0/24 via 10.0.0.22\n" in rendered
    assert rendered in script
    written = script.replace("/etc/kgen/", f"{here}/").partition(f"sh {here}/routes\n")[0]
    subprocess.run(["sh", "-eu"], input=written, text=True, check=True)
    assert (here / "routes").read_text() == rendered


def test_routes_to_machines_that_are_gone_are_deleted(kgen, bridged):
    bridged(W1, W2)
    bridged(W2)
    assert "ip route del 10.244.1.0/24 2>/dev/null\n" in commands(kgen, "m1")
    assert "10.244.1.0" not in commands(kgen, "m1").partition("END\n")[0]


def test_all_machines_have_a_heading(kgen, bridged):
    bridged(W1)
    ended = kgen("routes", "prod.yaml")
    assert [line for line in ended.out.splitlines() if line.startswith("---")] == [
        "--- m1 (10.0.0.11), as root:",
        "--- w1 (10.0.0.21), as root:",
    ]


def test_json(kgen, bridged):
    bridged(W1, W2)
    (m1,) = json.loads(kgen("routes", "prod.yaml", "m1", "--json").out)["machines"]
    assert m1.pop("commands") == commands(kgen, "m1")
    assert m1 == {
        "name": "m1",
        "address": "10.0.0.11",
        "podCIDR": "10.244.0.0/24",
        "routes": [{"to": "10.244.1.0/24", "via": "10.0.0.21"}, {"to": "10.244.2.0/24", "via": "10.0.0.22"}],
        "gone": [],
    }
    assert len(json.loads(kgen("routes", "prod.yaml", "--json").out)["machines"]) == 3


def test_routes_that_kgen_cannot_compute_are_errors(kgen, here, bridged):
    assert kgen("routes", "prod.yaml").code == 2  # another plugin
    (here / "prod.yaml").write_text(HEAD)
    assert "no secrets bundle" in kgen("routes", "prod.yaml").err
    bridged(W1)
    ended = kgen("routes", "prod.yaml", "w9")
    assert (ended.code, ended.out) == (2, "")
    assert "m1, w1" in ended.err
    (here / "prod.yaml").write_text(HEAD + W1 + W2)
    ended = kgen("routes", "prod.yaml")
    assert ended.code == 2
    assert "kgen render prod.yaml" in ended.err
