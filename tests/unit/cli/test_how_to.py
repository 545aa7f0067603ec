"""The pages of docs/how-to about clouds and hypervisors: their commands run, kgen attach prints what they show."""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from types import SimpleNamespace

import hcl2
import pytest
from tests import pages

from kgen.bake import archives
from kgen.cli.main import cli

PAGES = {
    "air-gapped.md": ["images", "images", "bake", "bake", "render", "seed"],
    "azure.md": ["render", "bake", "images", "attach", "attach"],
    "gce.md": ["render", "bake", "images", "attach", "attach", "attach"],
    "hetzner.md": ["bake", "render", "images", "attach", "attach"],
    "libvirt.md": ["render", "seed", "bake", "images", "attach"],
    "openstack.md": ["render", "bake", "images", "attach", "attach", "attach"],
    "proxmox.md": ["render", "seed", "bake", "images", "attach"],
    "pxe.md": ["render", "bake", "images", "serve", "serve"],
    "virtual-address.md": ["render", "bake"],
    "vsphere.md": ["render", "bake", "images", "attach"],
}
"""Each page with the verbs that it runs."""


@pytest.fixture
def follow(kgen, here):
    """Write the cluster file of a page, and what stands beside it, and run the page's commands."""

    def run(name):
        text = re.sub(r"SHA256_OF_KUBE\w+", f'"{"a" * 64}"', pages.page(name))
        file = here / pages.cluster_file_name(text)
        file.write_text(pages.cluster_file(text))
        (here / "site-ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
        for image in kgen("images", "list", file.name).out.split():
            archive(here / "images", image)

        def read(*words):
            if "--verify" in words:  # it needs a tree
                return kgen("bake", file.name, "--check")
            if ">" in words:
                words = words[: words.index(">")]
            if words[0] == "serve" and "--dhcp" not in words:
                return served(here, words)
            return kgen(*words)

        return pages.follow(text, read)

    return run


def served(directory, words):
    """Run ``kgen serve`` until it listens, at an address of this computer."""
    (directory / "boot").mkdir()
    for name in ("vmlinuz", "initrd.img"):
        (directory / "boot" / name).touch()
    words = ["127.0.0.1:0" if word == "10.0.0.2:8080" else word for word in words]
    command = [sys.executable, "-m", "kgen", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        process.kill()
    return SimpleNamespace(code=0 if line.startswith("serving 2 machines at ") else 1, out="", err=line)


def archive(directory, image):
    """Write an archive of ``image`` as ``kgen images save`` would, so that it fetches nothing."""
    directory.mkdir(exist_ok=True)
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [image], "Layers": []}]).encode()
    with tarfile.open(directory / archives.file_name(image), "w") as file:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(manifest)
        file.addfile(member, io.BytesIO(manifest))


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_the_page_run_and_print_what_it_shows(follow, name):
    assert follow(name) == PAGES[name]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_has_the_parts_of_every_such_page(name):
    text = pages.page(name)
    for part in ("## What you need", "## When it fails", "## What is tested", "kgen wait", "k8s.io"):
        assert part in text
    assert pages.verbs(text) <= set(cli.commands)
    assert f"docs/how-to/{name}" in (pages.ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", PAGES)
def test_the_code_of_the_page_is_shell_or_hcl(name):
    for block in pages.blocks(pages.page(name)):
        if block.language == "hcl":
            assert hcl2.loads(block.text)
        elif block.language in ("sh", "text"):
            checked = subprocess.run(["sh", "-n"], input=block.text, text=True, capture_output=True, check=False)
            assert checked.returncode == 0, (block.text, checked.stderr)
        else:
            assert block.language == "yaml"


@pytest.mark.parametrize("name", PAGES)
def test_links_of_the_page_lead_to_files_and_headings(name):
    directory = pages.ROOT / "docs/how-to"
    for target in re.findall(r"\]\((?!https:)([^)]+)\)", pages.page(name)):
        path, _, anchor = target.partition("#")
        text = (directory / (path or name)).read_text(encoding="utf-8")
        headings = {
            re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in re.findall("^#+ (.*)$", text, re.M)
        }
        assert not anchor or anchor in headings, target


def test_skopeo_fills_the_registry_with_the_names_that_the_machines_ask_for(kgen, here):
    text = pages.page("air-gapped.md")
    (words,) = (words for block in pages.blocks(text) for words in pages.commands(block) if words[0] == "skopeo")
    source, target = (word.partition(":")[2].removeprefix("//") for word in words[2:])
    file = here / "prod.yaml"
    upstream = kgen("images", "list", "prod.yaml").out.split()
    assert source in [f"images/{archives.file_name(image)}" for image in upstream]
    repository = re.search(r"`(imageRepository: \S+)`", text)[1]
    file.write_text(file.read_text() + repository + "\n")
    names = kgen("images", "list", "prod.yaml").out.split()
    assert target in names
    assert any(name.startswith("registry.site.example/kubernetes/coredns:") for name in names)


def test_a_machine_of_the_pxe_page_takes_the_network_that_the_page_shows(kgen, here):
    text = re.sub(r"SHA256_OF_KUBE\w+", f'"{"a" * 64}"', pages.page("pxe.md"))
    (network,) = (block.text for block in pages.blocks(text) if "ethernets:" in block.text)
    (line,) = (line for line in text.splitlines(keepends=True) if line.startswith("  - {name: m1"))
    (here / "metal.yaml").write_text(pages.cluster_file(text).replace(line, network))
    assert kgen("render", "metal.yaml").code == 0
    assert kgen("seed", "metal.yaml").code == 0
    config = (here / "outputs/metal/seed/m1/network-config").read_text()
    assert {address in config for address in ("10.0.0.11/24", "10.1.0.11/24")} == {True}


VIRT_INSTALL_CHANGES = (
    ("--disk DISK", "--disk /var/lib/libvirt/images/virt-m1.qcow2"),
    ("outputs/virt/seed/m1.iso", "/var/lib/libvirt/images/virt-m1.iso"),
)


def virt_install():
    """Return the command of the page, after the changes that it describes."""
    return next(block.text for block in pages.blocks(pages.page("libvirt.md")) if "--boot" in block.text)


def test_virt_installs_command_is_the_printed_one_with_the_changes_that_the_page_names(follow, kgen):
    follow("libvirt.md")
    text = pages.without_comments(kgen("attach", "virt.yaml", "m1", "--with", "virt-install").out)
    for printed, changed in VIRT_INSTALL_CHANGES:
        assert printed in text
        text = text.replace(printed, changed)
    assert text == re.sub(r" \\\n  --boot .*", "", virt_install())


@pytest.mark.real
def test_libvirt_takes_the_commands_of_the_page(follow, here):
    for program in ("virt-install", "virsh", "virt-xml-validate", "xmllint"):
        assert shutil.which(program), f"{program} is missing: apt-get install virtinst libvirt-clients libxml2-utils"
    follow("libvirt.md")
    for name in ("virt-m1.qcow2", "vmlinuz", "initrd.img"):
        (here / name).write_bytes(bytes(1 << 20))
    shutil.copy(here / "outputs/virt/seed/m1.iso", here / "virt-m1.iso")
    environment = os.environ | {"LIBVIRT_DEFAULT_URI": "test:///default"}

    def run(words, **options):
        return subprocess.run(words, env=environment, text=True, capture_output=True, check=True, **options).stdout

    words = shlex.split(virt_install().replace("\\\n", " ").replace("/var/lib/libvirt/images/", f"{here}/"))
    xml = run([*words, "--dry-run", "--print-xml"])
    (here / "m1.xml").write_text(xml)
    run(["virt-xml-validate", str(here / "m1.xml"), "domain"])
    xml = xml.replace('"', "'")
    root, seed = re.findall(r"<disk .*?</disk>", xml, re.S)
    assert "dev='vda' bus='virtio'" in root
    assert "dev='vdb' bus='virtio'" in seed
    assert "<readonly/>" in seed
    assert f"{here}/virt-m1.iso" in seed
    assert "<model type='virtio'/>" in re.search(r"<interface .*?</interface>", xml, re.S)[0]
    assert "<cmdline>root=/dev/vda rw console=ttyS0</cmdline>" in xml
    (update,) = (
        words
        for block in pages.blocks(pages.page("libvirt.md"))
        for words in pages.commands(block)
        if "net-update" in words
    )
    assert "Updated network default" in run(update)
