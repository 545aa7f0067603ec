"""Each row of the table of ``hardening: cis``, judged on the files that kgen renders, as kube-bench does there."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.hardening_table import rows

from kgen.bake import recipe
from kgen.config.load import load_text
from kgen.config.rules.hardening import text
from kgen.facts import apiserver_files, hardening
from kgen.facts.hardening import (
    Check,
    ConfigField,
    EncryptedSecrets,
    Files,
    Flag,
    ServerFile,
    ServingCertificates,
    Sysctls,
)
from kgen.payload import NodeFile, Payload, expand
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hardening.md"
BEGIN = "`make golden`: edit the table in generator/kgen/facts/hardening.py -->\n"
END = "<!-- end of the checks -->\n"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MANIFESTS = {
    "apiServer": "kube-apiserver",
    "controllerManager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
    "etcd": "etcd",
}
FILE = """\
apiVersion: kgen/v1
name: c
kubernetesVersion: {version}
controlPlaneEndpoint: api.example.com
networking: {{podSubnet: 10.244.0.0/16, plugin: bridge}}
machines:
  - {{name: m1, role: master, address: 10.0.0.1}}
  - {{name: m2, role: master, address: 10.0.0.2}}
  - {{name: m3, role: master, address: 10.0.0.3}}
  - {{name: w1, role: node, address: 10.0.0.4}}
"""
POOL = "hardening: cis\npools: [{name: p, role: node}]\n"
VERSIONS = ("v1.33.13", "v1.34.8", "v1.37.2")


class Rendered:
    """What kgen renders of a cluster, as its machines see it."""

    def __init__(self, file: str, bundle: Bundle | None = None) -> None:
        self.cluster = load_text(file, "cluster.yaml").cluster
        self.bundle = populate(bundle, self.cluster, NOW).bundle
        self.recipe = recipe.recipe(self.cluster)
        pipeline = Pipeline(self.cluster, self.bundle)
        self.objects = pipeline.objects
        self.payloads = [pipeline.payload(machine) for machine in pipeline.cluster.documents]
        self.masters = [payload for payload in self.payloads if payload.role == "master"]
        self.texts = {
            payload.name: {str(file.path): expand(file.content, payload.blobs) for file in payload.files}
            for payload in self.payloads
        }
        self._read: dict[tuple[str, str], Any] = {}

    def read(self, payload: Payload, path: str) -> Any:
        """Return the YAML of a file on a machine; None if there is no such file."""
        key = payload.name, path
        if key not in self._read:
            self._read[key] = yaml.load(self.texts[payload.name].get(path, ""), Loader=yaml.CSafeLoader)
        return self._read[key]

    def flag(self, payload: Payload, component: str, name: str) -> str | None:
        manifest = self.read(payload, f"/etc/kubernetes/manifests/{MANIFESTS[component]}.yaml")
        command = manifest["spec"]["containers"][0]["command"]
        found = [each.partition("=")[2] for each in command if each.startswith(f"--{name}=")]
        return found[-1] if found else None

    def server_file(self, payload: Payload, key: str) -> Any:
        """Return the file that the API server reads: the one that its flag names, in a directory that it sees."""
        row = next(row for row in apiserver_files.ROWS if row.key == key)
        path = self.flag(payload, "apiServer", row.flag)
        if path is None:
            return None
        manifest = self.read(payload, "/etc/kubernetes/manifests/kube-apiserver.yaml")
        mounts = [each["mountPath"] for each in manifest["spec"]["containers"][0]["volumeMounts"]]
        assert any(path.startswith(f"{mount}/") for mount in mounts)
        return self.read(payload, path)


def value_at(document: dict[str, Any], path: str) -> str | None:
    value: Any = document
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return None if value is None else text(value)


def judge(rendered: Rendered, check: Check, setting: hardening.Setting) -> list[str]:
    """Return what a setting finds wrong; every setting looks at something."""
    if isinstance(setting, Flag):
        found = {each.name: rendered.flag(each, setting.component, setting.name) for each in rendered.masters}
        return [f"{name}: {value}" for name, value in found.items() if not setting.expect.holds(value)]
    if isinstance(setting, ConfigField):
        return _judge_field(rendered, setting)
    if isinstance(setting, Files):
        return _judge_files(rendered, setting)
    if isinstance(setting, ServerFile):
        return [each.name for each in rendered.masters if not rendered.server_file(each, setting.key)]
    if isinstance(setting, EncryptedSecrets):
        path = str(apiserver_files.ENCRYPTION_PATH)
        documents = [rendered.read(each, path) for each in rendered.masters]
        if not all(documents):
            return ["nothing is encrypted"]
        first = [next(iter(document["resources"][0]["providers"][0])) for document in documents]
        return [name for name in first if name not in setting.providers]
    if isinstance(setting, ServingCertificates):
        return [each.name for each in rendered.payloads if "kubelet-serving" not in " ".join(each.blobs)]
    assert isinstance(setting, Sysctls)
    lines = [texts["/etc/sysctl.d/kgen.conf"].splitlines() for texts in rendered.texts.values()]
    return [
        name
        for name, value in hardening.names.KUBELET_SYSCTLS.items()
        if not all(f"{name} = {value}" in each for each in lines)
    ]


def _judge_field(rendered: Rendered, setting: ConfigField) -> list[str]:
    if setting.key == "kubeProxy":
        (config,) = [each.body for each in rendered.objects if each.name == "kube-proxy" and each.kind == "ConfigMap"]
        value = value_at(yaml.safe_load(config["data"]["config.conf"]), setting.path)
        return [] if setting.expect.holds(value) else [str(value)]
    wrong = []
    for payload in rendered.payloads:
        value = value_at(rendered.read(payload, "/var/lib/kubelet/config.yaml"), setting.path)
        arguments = shlex.split(rendered.texts[payload.name]["/var/lib/kubelet/kubeadm-flags.env"])[0].split()
        assert not any(each.startswith(f"--{setting.flag}=") for each in arguments if setting.flag)
        if not setting.expect.holds(value):
            wrong.append(f"{payload.name}: {value}")
    return wrong


def _judge_files(rendered: Rendered, setting: Files) -> list[str]:
    wrong, seen = [], 0
    for payload in rendered.payloads:
        files: list[NodeFile] = [
            file for file in payload.files if any(fnmatchcase(str(file.path), pattern) for pattern in setting.patterns)
        ]
        modes = {str(path): mode for path, mode in payload.directories.items() if str(path) in setting.patterns}
        modes |= {str(file.path): file.mode for file in files}
        seen += len(modes)
        if setting.mode is None:
            wrong += [str(file.path) for file in files if file.owner]  # the program writes everything as root
        else:
            wrong += [path for path, mode in modes.items() if mode & ~setting.mode]
    image = [
        file
        for file in rendered.recipe.files
        if any(fnmatchcase(str(file.path), pattern) for pattern in setting.patterns)
    ]
    if setting.mode is not None:
        wrong += [str(file.path) for file in image if file.mode & ~setting.mode]
    assert seen or image, setting.patterns
    return wrong


@pytest.fixture(scope="module", params=VERSIONS)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """Three masters and a node with ``hardening: cis``, in the oldest and newest versions."""
    return Rendered(FILE.format(version=request.param) + "hardening: cis\n")


@pytest.mark.parametrize("check", hardening.ALL, ids=lambda check: check.number)
def test_the_rendered_files_pass_each_check(rendered: Rendered, check: Check) -> None:
    assert [wrong for setting in check.settings for wrong in judge(rendered, check, setting)] == []


@pytest.fixture(scope="module")
def plain() -> Rendered:
    """The same cluster without hardening."""
    return Rendered(FILE.format(version="v1.37.2"))


KGENS = [check for check in hardening.ALL if check.by in ("kgen", "otherwise", "image") and check.settings]


@pytest.mark.parametrize("check", KGENS, ids=lambda check: check.number)
def test_kgen_does_it_only_with_hardening(plain: Rendered, check: Check) -> None:
    assert [wrong for setting in check.settings for wrong in judge(plain, check, setting)] != []


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The bundle of the cluster with hardening, which has the keys of encryption."""
    return Rendered(FILE.format(version="v1.37.2") + "hardening: cis\n").bundle


KUBEADMS = [check for check in hardening.ALL if check.by == "kubeadm"]


@pytest.mark.parametrize("check", KUBEADMS, ids=lambda check: check.number)
def test_kubeadms_files_pass_without_hardening(plain: Rendered, check: Check) -> None:
    for setting in check.settings:
        assert judge(plain, check, setting) == []


@pytest.mark.parametrize("number", [check.number for check in KGENS if check.number in hardening.EXCEPTIONS])
def test_an_exception_leaves_the_others(bundle: Bundle, number: str) -> None:
    file = FILE.format(version="v1.37.2") + f'hardening: cis\nhardeningExceptions: ["{number}"]\n'
    excepted = Rendered(file, bundle)
    others = [check for check in hardening.ALL if check.number != number]
    wrong = {check.number for check in others for setting in check.settings if judge(excepted, check, setting)}
    assert wrong == set()


def test_numbers_are_unique_and_in_order() -> None:
    numbers = [tuple(map(int, check.number.split("."))) for check in hardening.CHECKS]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 97  # kube-bench's cfg/cis-1.12 without policies.yaml


def test_who_does_nothing_says_why() -> None:
    for check in hardening.ALL:
        assert check.settings or check.note, check.number


def test_stock_kubeadm_join_gets_a_kubelet_that_starts_without_kernel_parameters(rendered: Rendered) -> None:
    (config,) = [each.body for each in rendered.objects if each.name == "kubelet-config" and each.kind == "ConfigMap"]
    shared = yaml.safe_load(config["data"]["kubelet"])
    assert shared["seccompDefault"] is True
    assert "protectKernelDefaults" not in shared


def test_stock_kubeadm_join_gets_a_kubelet_that_asks_for_its_serving_certificate(rendered: Rendered) -> None:
    (config,) = [each.body for each in rendered.objects if each.name == "kubelet-config" and each.kind == "ConfigMap"]
    shared = yaml.safe_load(config["data"]["kubelet"])
    assert shared["serverTLSBootstrap"] is True
    assert "tlsCertFile" not in shared


def test_kubelets_of_pools_are_not_verified() -> None:
    file = FILE.format(version="v1.37.2").replace(", plugin: bridge", "") + POOL
    loaded = load_text(file, "cluster.yaml")
    cluster = loaded.cluster
    assert [(each.code, each.field) for each in loaded.warnings] == [("K935", "pools[0]")]
    accepted = load_text(file + 'hardeningExceptions: ["1.2.5", "4.2.9"]\n', "cluster.yaml")
    assert accepted.warnings == ()
    assert "kubelet-certificate-authority" not in {each.name for each in cluster.api_server.extra_args}
    assert "tlsCertFile" not in cluster.machines[0].kubelet
    assert "serverTLSBootstrap" not in cluster.kubelet


def test_what_the_user_says_wins(tmp_path: Path) -> None:
    policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n"
    (tmp_path / "audit.yaml").write_text(policy)
    file = FILE.format(version="v1.37.2") + (
        "hardening: cis\n"
        "apiServer:\n"
        "  auditPolicyFile: audit.yaml\n"
        "  encryption: {provider: aescbc}\n"
        "  extraArgs:\n"
        '    - {name: audit-log-maxage, value: "90"}\n'
        "    - {name: tls-min-version, value: VersionTLS13}\n"
        "kubelet: {podPidsLimit: 100}\n"
        "sysctls: {vm.max_map_count: 262144}\n"
    )
    (tmp_path / "cluster.yaml").write_text(file)
    cluster = load_text(file, str(tmp_path / "cluster.yaml")).cluster
    arguments = {argument.name: argument.value for argument in cluster.api_server.extra_args}
    assert (arguments["audit-log-maxage"], arguments["audit-log-maxsize"]) == ("90", "100")
    assert arguments["tls-min-version"] == "VersionTLS13"
    assert cluster.api_server.encryption.provider == "aescbc"
    assert cluster.kubelet["podPidsLimit"] == 100
    assert cluster.machines[0].sysctls["vm.max_map_count"] == "262144"
    (audit,) = [each for each in cluster.machines[0].files if each.path.name == "audit-policy.yaml"]
    assert audit.content == policy
    names = [argument.name for argument in cluster.api_server.extra_args]
    assert len(names) == len(set(names))


def test_an_admission_configuration_of_the_user_needs_no_limits_of_events(tmp_path: Path) -> None:
    admission = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: []\n"
    (tmp_path / "admission.yaml").write_text(admission)
    file = FILE.format(version="v1.37.2") + (
        "hardening: cis\napiServer: {admissionControlConfigFile: admission.yaml}\n"
    )
    cluster = load_text(file, str(tmp_path / "cluster.yaml")).cluster
    arguments = {argument.name: argument.value for argument in cluster.api_server.extra_args}
    assert arguments["enable-admission-plugins"] == "DenyServiceExternalIPs,NodeRestriction"


def test_the_page_shows_the_table(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    expected = before + BEGIN + "".join(f"{line}\n" for line in rows()) + END + rest.split(END)[1]
    if request.config.getoption("--update-golden"):
        PAGE.write_text(expected, encoding="utf-8")
        return
    assert text == expected, "a check changed? run: make golden, and review the difference"


def test_the_page_shows_every_check() -> None:
    lines = list(rows())
    assert all(any(line.startswith(f"| {check.number} |") for line in lines) for check in hardening.ALL)
