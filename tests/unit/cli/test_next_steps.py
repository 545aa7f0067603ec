"""The words after a render: what changed decides them, and they never cost a cluster."""

import json
import re
import shlex
import shutil
import stat

import pytest

from kgen.api import running
from kgen.secrets_bundle import store

MASTERS = """\
  - {name: m1, role: master, address: 10.0.0.11}
  - {name: m2, role: master, address: 10.0.0.12}
  - {name: m3, role: master, address: 10.0.0.13}
"""
ONE = MASTERS.splitlines(keepends=True)[0]
SAN = "apiServer: {certSANs: [api.example.com]}\n"
NODE_LABEL = ("{name: w1, role: node,", "{name: w1, role: node, labels: {a: b},")


def edit(path, *changes):
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def next_of(ended):
    assert ended.code == 0, ended.err
    return ended.out[ended.out.index("next: ") :].splitlines()


def test_kubectl_gets_a_path_with_blanks_as_one_word(kgen, here):
    (first,) = next_of(kgen("render", "prod.yaml", "--output", "out dir"))
    words = shlex.split(re.search("`(kubectl .*)`", first)[1])
    assert words == ["kubectl", "--kubeconfig", "out dir/prod/admin.conf", "get", "nodes"]


def test_unchanged_render_has_nothing_to_do(kgen, rendered):
    (first,) = next_of(kgen("render", "prod.yaml"))
    assert first == "next: nothing to do on the machines; `kgen certs prod.yaml` shows when certificates expire"


def test_change_of_a_lone_master_never_says_rebuild(kgen, rendered, here):
    edit(here / "prod.yaml", ("pools:", f"{SAN}pools:"))
    ended = kgen("render", "prod.yaml")
    first, master = next_of(ended)
    assert first == "next: user-data: 1 changed, 2 as before"
    assert master == (
        "  m1: if it runs, `kgen apply prod.yaml m1 | ssh root@m1 sh`; if it never ran, boot it with the new user-data"
    )
    assert kgen("apply", "prod.yaml", "m1").out.startswith("#!/bin/sh\n")
    assert "rebuild" not in ended.out + ended.err


def test_renewing_a_lone_master_never_says_rebuild(kgen, rendered):
    ended = kgen("certs", "renew", "prod.yaml")
    assert "rebuild" not in ended.out + ended.err
    lines = next_of(kgen("render", "prod.yaml"))
    assert "rebuild" not in " ".join(line for line in lines if "m1" in line)


def test_output_that_was_deleted_does_not_ask_to_boot_what_runs(kgen, rendered, here):
    shutil.rmtree(rendered)
    first, second = next_of(kgen("render", "prod.yaml"))
    assert first.startswith("next: boot each machine that never ran with its file as user-data")
    assert second.endswith("do not replace running machines for this one")


def test_machines_are_named_by_what_to_do_with_them(kgen, rendered, here):
    node = "  - {name: w2, role: node, address: 10.0.0.22}\n"
    edit(
        here / "prod.yaml",
        NODE_LABEL,
        ("pools:\n", f"{node}pools:\n"),
        ("{name: workers, role: node}", "{name: p, role: node}"),
    )
    first, *steps = next_of(kgen("render", "prod.yaml"))
    assert first.startswith("next: user-data: ")
    assert "  w2, p: boot with the new user-data" in steps
    assert any(line.startswith("  w1: if it runs, `kgen apply prod.yaml w1 | ssh root@w1 sh`") for line in steps)
    assert "  workers: switch off and `kubectl delete node`" in steps


def test_several_masters_are_changed_one_at_a_time(kgen, here):
    edit(here / "prod.yaml", (ONE, MASTERS), ("machines:", "controlPlaneEndpoint: lb.example.com:6443\nmachines:"))
    assert kgen("render", "prod.yaml").code == 0
    edit(here / "prod.yaml", ("pools:", f"{SAN}pools:"))
    steps = next_of(kgen("render", "prod.yaml"))
    assert "  masters that run, one at a time: `kgen status prod.yaml` says when the next may follow" in steps
    assert "  masters that never ran, all at once: each waits for the others" in steps
    running.record_running(here / "prod.yaml")
    edit(here / "prod.yaml", ("api.example.com", "api.example.org"))
    steps = next_of(kgen("render", "prod.yaml"))
    assert any("one at a time" in line for line in steps)
    assert not any("never ran, all at once" in line for line in steps)


def test_masters_that_changed_because_the_cluster_was_seen_need_nothing(kgen, rendered, here):
    running.record_running(here / "prod.yaml")
    assert next_of(kgen("render", "prod.yaml")) == [
        "next: user-data: 1 changed, 2 as before",
        "  m1: if it runs, there is nothing to do: the files on the machine stay as they are",
        "    kgen has seen the cluster run: with this user-data, a master without data never starts an empty etcd",
    ]


def test_machines_beyond_the_first_five_are_named_too(kgen, here):
    nodes = "".join(f"  - {{name: n{i}, role: node, address: 10.0.0.3{i}}}\n" for i in range(1, 8))
    edit(here / "prod.yaml", ("pools:\n", f"{nodes}pools:\n"))
    assert kgen("render", "prod.yaml").code == 0
    edit(here / "prod.yaml", ("role: node, address: 10.0.0.3", "role: node, labels: {a: b}, address: 10.0.0.3"))
    assert any(line.startswith("  and so on for n6, n7; ") for line in next_of(kgen("render", "prod.yaml")))


def test_apply_refuses_what_was_not_rendered(kgen, rendered, here):
    edit(here / "prod.yaml", ("pools:", f"{SAN}pools:"))
    ended = kgen("apply", "prod.yaml", "m1")
    assert (ended.code, ended.out) == (2, "")
    assert "is not what is rendered in outputs" in ended.err


def test_apply_does_not_care_about_changes_of_other_machines(kgen, rendered, here):
    edit(here / "prod.yaml", NODE_LABEL)
    assert kgen("apply", "prod.yaml", "w1").code == 2
    assert kgen("apply", "prod.yaml", "m1").code == 0


def test_apply_refuses_review_files_that_somebody_edited(kgen, rendered):
    path = rendered / "nodes/m1/etc/kubernetes/admin.conf"
    path.write_text(path.read_text() + "# mine\n")
    assert kgen("apply", "prod.yaml", "m1").code == 2


def test_apply_needs_no_render_after_the_cluster_was_first_seen(kgen, rendered, here):
    before = kgen("apply", "prod.yaml", "m1").out
    running.record_running(here / "prod.yaml")
    assert store.read(here / "prod.secrets.yaml").seen_running
    assert kgen("apply", "prod.yaml", "m1").out == before
    assert kgen("render", "prod.yaml").code == 0
    assert '"mayStartEmpty": false' in kgen("apply", "prod.yaml", "m1").out


@pytest.mark.parametrize("options", [(), ("--review",)])
def test_apply_works_for_machines_without_review_files(kgen, here, options, monkeypatch):
    monkeypatch.setattr("kgen.emitters.review_tree.REVIEW_ALL_UP_TO", 1)
    edit(here / "prod.yaml", ("pools:\n", "  - {name: w2, role: node, address: 10.0.0.22}\npools:\n"))
    assert kgen("render", "prod.yaml", *options).code == 0
    assert (here / "outputs/prod/nodes/w2").exists() is bool(options)
    assert kgen("apply", "prod.yaml", "w2").code == 0


def test_apply_names_the_machines_when_there_is_no_such_one(kgen, rendered):
    ended = kgen("apply", "prod.yaml", "m9")
    assert (ended.code, ended.out) == (2, "")
    assert "there is no machine or pool 'm9'" in ended.err
    assert "the names are: m1, " in ended.err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("v1.37.2", "v1.37.1"), "kubernetesVersion: from v1.37.2 to v1.37.1 is a downgrade"),
        (
            ("pools:", "networking: {serviceSubnet: 10.97.0.0/16}\npools:"),
            "networking.serviceSubnet: 10.96.0.0/12 became",
        ),
        (("pools:", "networking: {podSubnet: 10.1.0.0/16}\npools:"), "networking.podSubnet: none became 10.1.0.0/16"),
        (("pools:", "networking: {dnsDomain: c.local}\npools:"), "networking.dnsDomain: cluster.local became c.local"),
    ],
)
def test_value_that_a_running_cluster_cannot_take_is_a_warning_before_the_write(
    kgen, rendered, here, change, expected, monkeypatch
):
    edit(here / "prod.yaml", change)
    ended = kgen("render", "prod.yaml", "--check")
    assert expected in ended.err
    assert ended.err.count("[K914]") == 1
    monkeypatch.setattr("kgen.output.writer.Output.prepare", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert expected in kgen("render", "prod.yaml").err
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert "--new-cluster" in kgen("render", "prod.yaml").err
    assert "K914" not in kgen("render", "prod.yaml").err


@pytest.mark.parametrize("has_run", [False, True])
def test_a_running_cluster_must_learn_the_tokens_of_pools(kgen, rendered, here, has_run):
    if has_run:
        running.record_running(here / "prod.yaml")
    text = (here / "prod.yaml").read_text().replace("role: node}\n", "role: node, bootstrapToken: {ttl: 1h}}\n", 1)
    for number in (1, 2):
        (here / "prod.yaml").write_text(text + "  - {name: gpu, role: node, bootstrapToken: {ttl: 1h}}\n")
        told = [line for line in next_of(kgen("render", "prod.yaml")) if "kgen token" in line]
        assert told == (
            [
                "next: the running cluster does not know the new tokens yet: "
                "`kgen token renew prod.yaml --pool workers --pool gpu`"
            ]
            if has_run and number == 1
            else []
        )


def test_upgrade_that_skips_a_minor_is_a_warning_and_the_next_minor_is_none(kgen, here):
    edit(here / "prod.yaml", ("v1.37.2", "v1.34.1"))
    kgen("render", "prod.yaml")
    edit(here / "prod.yaml", ("v1.34.1", "v1.36.1"))
    assert "from v1.34.1 to v1.36.1 skips a minor version" in kgen("render", "prod.yaml").err
    edit(here / "prod.yaml", ("v1.36.1", "v1.37.2"))
    assert "K914" not in kgen("render", "prod.yaml").err


@pytest.mark.parametrize(
    "facts",
    [{"machines": 7}, {"machines": {"m1": 7}}, {"networking": []}, {"kubernetesVersion": 7}, {"machines": {"m1": {}}}],
)
def test_lock_with_other_facts_is_reported_in_a_sentence(kgen, rendered, facts):
    path = rendered / "kgen.lock.json"
    lock = json.loads(path.read_text())
    lock["sections"]["render"]["facts"].update(facts)
    path.write_text(json.dumps(lock))
    ended = kgen("render", "prod.yaml")
    assert ended.code == 1
    assert "kgen.lock.json is damaged" in ended.err


def test_baked_runner_without_a_bake_is_a_warning(kgen, here):
    edit(here / "prod.yaml", ("pools:", "image: {runner: baked}\npools:"))
    assert "none was baked into this output [K911]" in kgen("render", "prod.yaml").err
    assert kgen("bake", "prod.yaml").code == 0
    assert "K911" not in kgen("render", "prod.yaml").err


def test_typing_error_in_an_address_costs_one_command(kgen, rendered, here):
    old = (here / "prod.secrets.yaml").read_bytes()
    edit(here / "prod.yaml", ("10.0.0.11", "10.0.0.12"))
    refused = kgen("render", "prod.yaml")
    assert refused.code == 2
    assert "for a cluster that never booted: `kgen render CLUSTER_FILE --new-cluster`" in refused.err
    ended = kgen("render", "prod.yaml", "--new-cluster")
    assert ended.code == 0
    assert "discarded: the cluster with the CA sha256:" in ended.out
    assert "the old secrets bundle is kept: prod.old-1.secrets.yaml" in ended.out
    assert next_of(ended)[0].startswith("next: boot each machine")
    kept = here / "prod.old-1.secrets.yaml"
    assert kept.read_bytes() == old
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    new = store.read(here / "prod.secrets.yaml")
    assert new.authorities["ca"] != store.read(kept).authorities["ca"]
    assert new.masters[0].address == "10.0.0.12"
    assert kgen("render", "prod.yaml", "--check").code == 0


def test_every_discarded_bundle_is_kept_also_a_damaged_one(kgen, rendered, here):
    (here / "prod.secrets.yaml").write_text("damaged")
    assert kgen("render", "prod.yaml", "--new-cluster").code == 0
    assert kgen("render", "prod.yaml", "--new-cluster").code == 0
    assert (here / "prod.old-1.secrets.yaml").read_text() == "damaged"
    assert store.read(here / "prod.old-2.secrets.yaml") is not None


def test_new_cluster_after_a_lost_bundle_says_which_one_it_gives_up(kgen, rendered, here):
    (here / "prod.secrets.yaml").unlink()
    data = json.loads(kgen("render", "prod.yaml", "--new-cluster", "--json").out)
    assert data["bundle"]["created"] is True
    assert data["bundle"]["old"] is None
    assert [path.name for path in here.glob("*.old-*")] == []


def test_new_cluster_that_fails_leaves_everything_as_it_was(kgen, rendered, here, monkeypatch):
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kgen.output.disk.replace_file", full)
    assert kgen("render", "prod.yaml", "--new-cluster").code == 1
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_first_render_as_a_new_cluster_discards_nothing(kgen):
    assert "discarded" not in kgen("render", "prod.yaml", "--new-cluster").out


def test_a_hint_names_the_command_with_file_and_output_as_they_were_given(kgen, here):
    (here / "prod.yaml").rename(here / "my prod.yaml")
    assert kgen("render", "my prod.yaml", "--output", "else where").code == 0
    with (here / "my prod.yaml").open("a") as file:
        file.write("provider: azure\nkubelet: {maxPods: 200}\n")
    ended = kgen("attach", "my prod.yaml", "w1", "--output", "else where")
    (hint,) = [line.split("`")[1] for line in ended.err.splitlines() if "hint" in line]
    assert kgen(*shlex.split(hint)[1:]).code == 0
    assert kgen("attach", "my prod.yaml", "w1", "--output", "else where").code == 0


def test_the_next_steps_name_the_output_as_it_was_given(kgen, rendered, here):
    render = ("render", "prod.yaml", "--output", "else where")
    assert kgen(*render).code == 0
    with (here / "prod.yaml").open("a") as file:
        file.write("kubelet: {maxPods: 200}\n")
    assert "`kgen apply prod.yaml m1 --output 'else where' | ssh root@m1 sh`" in kgen(*render).out
