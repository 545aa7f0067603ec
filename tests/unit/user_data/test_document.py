import base64
import gzip
import json
import zlib
from dataclasses import replace

import pytest
import yaml
from tests import clusters

from kgen.payload import Payload
from kgen.runner.machine import without_payload
from kgen.user_data import document as module
from kgen.user_data.document import Document

RUNNER = '#!/usr/bin/env python3\nprint("text: with\\t\'quotes\'", {"a": 1})\n\nif True:\n pass\n'
M1 = Payload(name="m1", role="master", is_pool=False, files=(), directories={}, blobs={})


def document(cluster, payload=M1, payload_json='{"body":{}}', users=()) -> Document:
    shared = module.shared(cluster, "master", RUNNER, users, {})
    return shared.document(module.opening(cluster, payload), module.ending(payload_json))


def test_the_gzip_holds_the_text_and_no_time():
    made = document(clusters.one_master())
    assert gzip.decompress(made.compressed) == made.text
    assert made.compressed[4:8] == bytes(4)


def test_the_gzip_is_one_stream():
    made = document(clusters.one_master())
    decompressor = zlib.decompressobj(wbits=31)
    assert decompressor.decompress(made.compressed) == made.text
    assert decompressor.eof
    assert decompressor.unused_data == b""


def test_documents_of_one_role_share_what_was_compressed_once():
    cluster = clusters.three_masters()
    shared = module.shared(cluster, "master", RUNNER, (), {})
    for machine in [*cluster.masters, cluster.masters[0]]:
        payload = replace(M1, name=machine.name)
        parts = module.opening(cluster, payload), module.ending(machine.name)
        made = shared.document(*parts)
        assert gzip.decompress(made.compressed) == made.text == shared.text(*parts)
        loaded = yaml.safe_load(made.text)
        assert loaded["hostname"] == machine.name
        assert loaded["write_files"][-1]["content"] == machine.name


@pytest.mark.parametrize(
    ("payload", "runner", "sentences"),
    [
        (M1, "embedded", ['of master "m1" of', "private keys", "and the first-boot program, and starts it"]),
        (replace(M1, role="node", name="w1"), "embedded", ['of node "w1" of', "bootstrap token"]),
        (
            replace(M1, role="node", name="web", is_pool=True),
            "baked",
            ['nodes in pool "web"', "the image's first-boot"],
        ),
    ],
)
def test_a_document_begins_with_what_it_is(payload, runner, sentences):
    cluster = replace(clusters.one_master(), runner=runner)
    first, *comment = module.opening(cluster, payload).splitlines()
    assert first == "#cloud-config"
    text = " ".join(line for line in comment if line.startswith("#"))
    for sentence in [*sentences, f'outputs/{cluster.name}/nodes/{payload.name}/"', str(cluster.kubernetes_version)]:
        assert sentence in text


@pytest.mark.parametrize("is_text", [False, True])
@pytest.mark.parametrize("runner", [RUNNER, None])
@pytest.mark.parametrize("cloud_init", [{}, {"write_files": [{"path": "/a", "content": "b"}], "bootcmd": ["c"]}])
def test_the_machine_takes_only_the_payload_out_of_its_user_data(runner, cloud_init, is_text):
    cluster = replace(clusters.one_master(), runner="embedded" if runner else "baked")
    shared = module.shared(cluster, "master", runner, (), cloud_init)
    made = shared.document(module.opening(cluster, M1), module.ending('{"body": "secret"}', is_text=is_text))
    expected = yaml.safe_load(made.text)
    assert expected["write_files"].pop()["path"] == "/etc/kgen/payload.json"
    if not expected["write_files"]:
        del expected["write_files"]
    for data in (made.text, made.compressed, made.text.decode()):
        left = without_payload(data)
        assert yaml.safe_load(left) == expected
        assert without_payload(left) == left


@pytest.mark.parametrize("form", [lambda text: b"Content-Type: multipart/mixed\n" + text, base64.b64encode])
@pytest.mark.parametrize("wrapped", [lambda text: text, gzip.compress])
def test_the_machine_drops_user_data_of_another_form(form, wrapped):
    assert without_payload(wrapped(form(document(clusters.one_master()).text))) is None


def test_runner_and_payload_arrive_as_they_are():
    payload = json.dumps({"a": 'quotes " and \\ and : # - {}', "b": ["- x", "y: z"]})
    files = yaml.safe_load(document(clusters.one_master(), payload_json=payload).text)["write_files"]
    assert [(file["path"], file["permissions"]) for file in files[-2:]] == [
        ("/usr/local/lib/kgen/firstboot.py", "0755"),
        ("/etc/kgen/payload.json", "0600"),
    ]
    assert [file["content"] for file in files[-2:]] == [RUNNER, payload]


def test_where_gzip_does_not_get_through_the_payload_alone_is_compressed():
    payload = json.dumps({"a": "b" * 1000})
    (file,) = yaml.safe_load(module.ending(payload, is_text=True))
    assert file["encoding"] == "gz+b64"
    assert gzip.decompress(base64.b64decode(file["content"])).decode() == payload


def test_a_program_of_the_image_stays_out_of_the_document():
    cluster = replace(clusters.one_master(), runner="baked")
    shared = module.shared(cluster, "master", None, (), {})
    loaded = yaml.safe_load(shared.text(module.opening(cluster, M1), module.ending("{}")))
    assert [file["path"] for file in loaded["write_files"]] == ["/etc/kgen/payload.json"]
    assert loaded["bootcmd"] == ["/usr/local/lib/kgen/deliver master\n"]
    assert loaded["runcmd"] == [module.runcmd(cluster)]


@pytest.mark.parametrize(("name", "is_whole"), [("m1.example.com", True), ("m1", False)])
def test_the_name_is_the_one_of_the_cluster_file_whatever_the_distribution_prefers(name, is_whole):
    loaded = yaml.safe_load(document(clusters.one_master(), replace(M1, name=name)).text)
    assert loaded["hostname"] == name
    assert loaded["prefer_fqdn_over_hostname"] is is_whole


@pytest.mark.parametrize(("set_hostname", "is_pool"), [(False, False), (True, True)])
def test_no_hostname_for_pools_or_if_switched_off(set_hostname, is_pool):
    cluster = replace(clusters.one_master(), set_hostname=set_hostname)
    loaded = yaml.safe_load(document(cluster, replace(M1, is_pool=is_pool)).text)
    assert not {"hostname", "prefer_fqdn_over_hostname"} & set(loaded)


def test_hostile_values_do_not_change_the_structure():
    hostile = {"name": "x\nruncmd:\n- rm -rf /", "gecos": '"}\n- {{ payload }} {% if %} ## template: jinja'}
    cluster = replace(clusters.one_master(), ntp={"servers": ["a: b\n- c"]})
    loaded = yaml.safe_load(document(cluster, users=[hostile]).text)
    assert loaded["users"] == [hostile]
    assert loaded["ntp"] == cluster.ntp
    assert loaded["bootcmd"] == [module.bootcmd(cluster, "master")]
    assert loaded["runcmd"] == [module.runcmd(cluster)]
