"""``kgen seed``: the files, what is kept and removed, and the ISO image as another program of its library reads it."""

import gzip
import hashlib
import json
import stat
from io import BytesIO

import pytest
import yaml
from pycdlib import PyCdlib

NETWORK = {
    "version": 2,
    "ethernets": {"eth0": {"addresses": ["10.0.0.21/24"], "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}]}},
}
FILES = ["meta-data", "network-config", "user-data", "vendor-data"]


@pytest.fixture
def networked(here):
    """Give w1 a network configuration and a MAC address."""
    path = here / "prod.yaml"
    text = path.read_text().replace(
        "address: 10.0.0.21}", f"address: 10.0.0.21, mac: 52:54:00:00:00:21, network: {json.dumps(NETWORK)}}}"
    )
    path.write_text(text)


def files_of(image: bytes) -> dict[str, tuple[bytes, int]]:
    """Return content and mode of each file in an image."""
    iso = PyCdlib()
    iso.open_fp(BytesIO(image))
    found = {}
    for child in iso.list_children(rr_path="/"):
        if child.is_file():
            name = child.rock_ridge.name().decode()
            content, joliet = BytesIO(), BytesIO()
            iso.get_file_from_iso_fp(content, rr_path=f"/{name}")
            iso.get_file_from_iso_fp(joliet, joliet_path=f"/{name}")
            assert content.getvalue() == joliet.getvalue()
            found[name] = content.getvalue(), child.rock_ridge.get_file_mode()
    assert iso.pvd.volume_identifier.strip() == b"cidata"
    return found


def test_each_machine_and_pool_gets_a_directory_and_the_same_as_an_image(kgen, networked, rendered):
    ended = kgen("seed", "prod.yaml")
    assert (ended.code, ended.err) == (0, "")
    for name in ("m1", "w1", "workers"):
        directory = rendered / "seed" / name
        found = {path.name: path.read_bytes() for path in directory.iterdir()}
        assert sorted(found) == [file for file in FILES if file != "network-config" or name == "w1"]
        assert found["user-data"] == gzip.decompress((rendered / f"user-data/{name}.yaml.gz").read_bytes())
        assert found["vendor-data"] == b""
        image = files_of(directory.with_name(f"{name}.iso").read_bytes())
        assert {file: content for file, (content, _) in image.items()} == found
        assert {mode for _, mode in image.values()} == {0o100400}
    assert yaml.safe_load((rendered / "seed/w1/network-config").read_text()) == NETWORK
    meta_data = (rendered / "seed/w1/meta-data").read_text()
    assert yaml.safe_load(meta_data) == {"instance-id": "prod-w1", "local-hostname": "w1"}
    assert yaml.safe_load((rendered / "seed/workers/meta-data").read_text()) == {"instance-id": "prod-workers"}


def test_seeds_are_for_their_owner_only(kgen, rendered):
    assert kgen("seed", "prod.yaml").code == 0
    for path in (rendered / "seed").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_the_same_input_gives_the_same_bytes_at_another_time_and_place(kgen, rendered, monkeypatch):
    import time

    def digests() -> dict[str, str]:
        assert kgen("seed", "prod.yaml", "--output", str(rendered.parent)).code == 0
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (rendered / "seed").glob("*.iso")}

    before = digests()
    assert len(before) == 3
    for path in (rendered / "seed").glob("*.iso"):
        path.unlink()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 1e8)
    try:
        assert digests() == before
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_second_run_changes_nothing_and_a_removed_machine_loses_its_seed(kgen, here, rendered):
    assert kgen("seed", "prod.yaml", "--check").code == 3
    assert not (rendered / "seed").exists()
    assert kgen("seed", "prod.yaml").code == 0
    ended = kgen("seed", "prod.yaml", "--check")
    assert (ended.code, ended.out) == (0, "outputs/prod/seed is up to date\n")
    (here / "prod.yaml").write_text(
        (here / "prod.yaml").read_text().replace("  - {name: w1, role: node, address: 10.0.0.21}\n", "")
    )
    assert kgen("render", "prod.yaml").code == 0
    assert kgen("seed", "prod.yaml").code == 0
    assert sorted(path.name for path in (rendered / "seed").iterdir()) == ["m1", "m1.iso", "workers", "workers.iso"]


def test_a_machine_of_a_pool_gets_a_name_and_keeps_it(kgen, rendered):
    assert kgen("seed", "prod.yaml", "--pool", "workers", "--name", "w7", "--name", "w8").code == 0
    assert kgen("seed", "prod.yaml").code == 0
    seeds = rendered / "seed"
    assert yaml.safe_load((seeds / "w7/meta-data").read_text()) == {"instance-id": "prod-w7", "local-hostname": "w7"}
    assert (seeds / "w7/user-data").read_bytes() == (seeds / "workers/user-data").read_bytes()
    listed = json.loads(kgen("seed", "prod.yaml", "--drop", "w8", "--json").out)["seeds"]
    assert [(it["machine"], it["pool"], it["template"]) for it in listed] == [
        ("m1", None, False),
        ("w1", None, False),
        ("workers", "workers", True),
        ("w7", "workers", False),
    ]
    assert not (seeds / "w8.iso").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--name", "w7"), "--pool and --name belong together"),
        (("--pool", "workers"), "--pool and --name belong together"),
        (("--pool", "w1", "--name", "w7"), "there is no pool 'w1'"),
        (("--pool", "workers", "--name", "w1"), "w1 is a machine or pool of the cluster file"),
        (("--pool", "workers", "--name", "../w1"), "is not an RFC 1123 name"),
        (("--drop", "w7"), "there is no seed of a pool's machine 'w7'"),
    ],
)
def test_names_that_cannot_be_used_are_refused(kgen, rendered, arguments, message):
    ended = kgen("seed", "prod.yaml", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert not (rendered / "seed").exists()


def test_nothing_is_made_without_a_bundle_that_has_everything(kgen, here):
    ended = kgen("seed", "prod.yaml")
    assert ended.code == 2
    assert "`kgen render prod.yaml` creates it" in ended.err
    assert kgen("render", "prod.yaml").code == 0
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text + "apiServer: {certSANs: [api.example.com]}\n")
    ended = kgen("seed", "prod.yaml")
    assert ended.code == 2
    assert "run `kgen render prod.yaml`" in ended.err
    assert not (here / "outputs/prod/seed").exists()


def test_a_limit_of_the_provider_does_not_count(kgen, here):
    cluster_file = here / "prod.yaml"
    assert kgen("render", "prod.yaml").code == 0
    cluster_file.write_text(cluster_file.read_text() + "provider: ec2\n")
    assert kgen("render", "prod.yaml").code == 2
    assert kgen("seed", "prod.yaml").code == 0


def test_without_hostname_the_seed_gives_none(kgen, here):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "hostname: false\n")
    assert kgen("render", "prod.yaml").code == 0
    assert kgen("seed", "prod.yaml").code == 0
    assert yaml.safe_load((here / "outputs/prod/seed/m1/meta-data").read_text()) == {"instance-id": "prod-m1"}


def test_a_later_render_names_the_seeds(kgen, here, rendered):
    assert kgen("seed", "prod.yaml").code == 0
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "sysctls: {vm.swappiness: 1}\n")
    assert "seeds: `kgen seed prod.yaml` writes the new user-data into them" in kgen("render", "prod.yaml").out
