import base64
import gzip
import hashlib
import json
import subprocess
from dataclasses import replace

import pytest
import yaml
from tests import clusters

from kgen.render import cloudinit, delivery

RUNNER = '#!/usr/bin/env python3\nprint("text: with\\t\'quotes\'", {"a": 1})\n\nif True:\n pass\n'


def document(cluster, machine, payload='{"body":{}}', users=()):
    head = cloudinit.head(cluster, "master", RUNNER, users)
    return head.document(cloudinit.tail(cluster, machine, payload))


def test_the_gzip_holds_the_text_and_no_time():
    cluster = clusters.one_master()
    made = document(cluster, cluster.machines[0])
    assert gzip.decompress(made.compressed) == made.text
    assert made.compressed[4:8] == bytes(4)
    assert made.text.startswith(b"#cloud-config\n")


def test_packed_is_the_same_text_in_fewer_bytes():
    cluster = clusters.one_master()
    made = document(
        cluster, cluster.machines[0], json.dumps([hashlib.sha512(bytes([n])).hexdigest() for n in range(9)])
    )
    packed = cloudinit.packed(made)
    assert packed.text == made.text == gzip.decompress(packed.compressed)
    assert len(packed.compressed) < len(made.compressed)
    assert packed.compressed[4:8] == bytes(4)
    assert cloudinit.packed(made) == packed


def test_documents_of_one_role_continue_from_one_head():
    cluster = clusters.three_masters()
    head = cloudinit.head(cluster, "master", RUNNER, ())
    made = [head.document(cloudinit.tail(cluster, machine, machine.name)) for machine in cluster.masters]
    for machine, one in zip(cluster.masters, made, strict=True):
        assert gzip.decompress(one.compressed) == one.text
        assert yaml.safe_load(one.text)["hostname"] == machine.name
    again = head.document(cloudinit.tail(cluster, cluster.masters[0], cluster.masters[0].name))
    assert again == made[0]


def test_runner_and_payload_arrive_as_they_are():
    cluster = clusters.one_master()
    payload = json.dumps({"a": 'quotes " and \\ and : # - {}', "b": ["- x", "y: z"]})
    files = yaml.safe_load(document(cluster, cluster.machines[0], payload).text)["write_files"]
    assert [(file["path"], file["permissions"]) for file in files] == [
        ("/usr/local/lib/kgen/firstboot.py", "0755"),
        ("/etc/kgen/payload.json", "0600"),
    ]
    assert files[0]["content"] == RUNNER
    assert files[1]["content"] == payload


def test_where_gzip_does_not_get_through_the_payload_alone_is_compressed():
    cluster = clusters.one_master()
    payload = json.dumps({"a": "b" * 1000})
    text = cloudinit.tail(cluster, cluster.machines[0], payload, is_text=True)
    file = yaml.safe_load(cloudinit.head(cluster, "master", RUNNER, ()).document(text).text)["write_files"][1]
    assert file["encoding"] == "gz+b64"
    assert gzip.decompress(base64.b64decode(file["content"])).decode() == payload


def test_a_baked_runner_stays_out_of_the_document():
    cluster = replace(clusters.one_master(), runner="baked")
    head = cloudinit.head(cluster, "master", None, ())
    loaded = yaml.safe_load(head.document(cloudinit.tail(cluster, cluster.machines[0], "{}")).text)
    assert [file["path"] for file in loaded["write_files"]] == ["/etc/kgen/payload.json"]
    assert loaded["bootcmd"] == ["/usr/local/lib/kgen/deliver master"]
    (command,) = loaded["runcmd"]
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == "kgen: no first-boot program: start this machine from an image made by kgen bake\n"


def test_a_dotted_name_is_kept_whole():
    cluster = clusters.one_master()
    machine = replace(cluster.machines[0], name="m1.example.com")
    loaded = yaml.safe_load(document(cluster, machine).text)
    assert loaded["hostname"] == "m1.example.com"
    assert loaded["prefer_fqdn_over_hostname"] is True


@pytest.mark.parametrize(("set_hostname", "is_pool"), [(False, False), (True, True)])
def test_no_hostname_for_pools_or_when_told_so(set_hostname, is_pool):
    cluster = replace(clusters.one_master(), set_hostname=set_hostname)
    machine = replace(cluster.machines[0], is_pool=is_pool)
    assert "hostname" not in yaml.safe_load(document(cluster, machine).text)


def test_hostile_values_do_not_change_the_structure():
    hostile = {"name": "x\nruncmd:\n- rm -rf /", "gecos": '"}\n- {{ payload }} {% if %} ## template: jinja'}
    cluster = replace(clusters.one_master(), ntp={"servers": ["a: b\n- c"]})
    loaded = yaml.safe_load(document(cluster, cluster.machines[0], users=[hostile]).text)
    assert loaded["users"] == [hostile]
    assert loaded["ntp"] == cluster.ntp
    assert (loaded["bootcmd"], loaded["runcmd"]) == ([delivery.bootcmd()], [delivery.runcmd()])
