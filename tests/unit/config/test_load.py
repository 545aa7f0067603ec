import os
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

import pytest
from tests.unit.config.broken_cases import BASE
from tests.unit.config.examples import DIRECTORY, EXAMPLES

from kgen.config.fields import CLUSTER
from kgen.config.load import load, load_text
from kgen.config.starter import starter_text
from kgen.errors import ExitCode, InputError, ProblemsError
from kgen.facts import names, providers
from kgen.facts.versions import Version
from kgen.model import Argument, BootstrapToken, Cluster, Endpoint, Machine, Networking, Taint

MASTER_TAINT = Taint(names.LABEL_CONTROL_PLANE, "NoSchedule")


def cluster(text: str = "", base: str = BASE) -> Cluster:
    return load_text(base + text, "cluster.yaml").cluster


def codes(text: str, base: str = BASE) -> list[str]:
    return [problem.code for problem in load_text(base + text, "cluster.yaml").warnings]


def test_smallest_file_has_the_defaults_of_the_model():
    expected = Cluster(
        name="smallest",
        cluster_name="smallest",
        kubernetes_version=Version(1, 37, 2),
        machines=(Machine("m1", "master", (IPv4Address("10.0.0.11"),), taints=(MASTER_TAINT,)),),
        networking=Networking((ip_network("10.96.0.0/12"),)),
    )
    loaded = load(DIRECTORY / "smallest.yaml")
    assert loaded.cluster == expected
    assert loaded.warnings == ()


def test_api_version_may_be_left_out():
    text = BASE.partition("\n")[2]
    assert codes("", text) == ["K907"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_load_without_a_word(example):
    assert load(example).warnings == ()


def test_the_full_example_has_every_key():
    text = (DIRECTORY / "full.yaml").read_text(encoding="utf-8")
    assert [row.key for row in CLUSTER.fields if f"\n{row.key}:" not in text] == []


def test_starter_file_loads_without_a_word():
    loaded = load_text(starter_text("prod"), "cluster.yaml")
    assert loaded.cluster.name == "prod"
    assert loaded.warnings == ()


def test_starter_comments_can_be_used():
    lines = starter_text("prod").splitlines()
    keys = {row.key for row in CLUSTER.fields}
    used = []
    for line in lines:
        bare = line.removeprefix("# ")
        is_option = line.startswith("#   ") or bare.split(":")[0] in keys
        used.append(bare if is_option else line)
    loaded = load_text("\n".join(used), "cluster.yaml").cluster
    assert loaded.provider == "ec2"
    assert loaded.pools
    assert loaded.kubelet["maxPods"] == 110
    assert loaded.hardening == "cis"


def test_roles_have_aliases():
    loaded = cluster(
        "",
        "name: c\nkubernetesVersion: v1.37.2\nmachines:\n"
        "  - {name: m1, role: control-plane, address: 10.0.0.1}\n  - {name: w1, role: worker}\n",
    )
    assert [machine.role for machine in loaded.machines] == ["master", "node"]
    assert loaded.machines[1].addresses == ()


def test_endpoint_takes_the_bind_port():
    loaded = cluster("controlPlaneEndpoint: api.example.com\nlocalAPIEndpoint: {bindPort: 443}\n")
    assert loaded.control_plane_endpoint == Endpoint("api.example.com", 443)
    assert loaded.machines[0].bind_port == 443


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("api.example.com:8443", Endpoint("api.example.com", 8443)),
        ("192.0.2.1", Endpoint("192.0.2.1", 6443)),
        ('"192.0.2.1:443"', Endpoint("192.0.2.1", 443)),
        ("api", Endpoint("api", 6443)),
    ],
)
def test_endpoints(text, endpoint):
    assert cluster(f"controlPlaneEndpoint: {text}\n").control_plane_endpoint == endpoint


@pytest.mark.parametrize("endpoint", ["10.0.0.9", "fd00::9", "api.example.com"])
def test_two_address_families(endpoint):
    loaded = cluster(
        f"controlPlaneEndpoint: '{endpoint}'\n"
        "networking: {serviceSubnet: 'fd00:10:96::/112,10.96.0.0/16', podSubnet: '10.244.0.0/16,fd00:10:244::/56'}\n"
        "machines: [{name: m1, role: master, address: ['fd00::1', 10.0.0.1]}]\n",
        "name: c\nkubernetesVersion: v1.37.2\n",
    )
    assert [str(each) for each in loaded.networking.service_subnets] == ["fd00:10:96::/112", "10.96.0.0/16"]
    assert [str(each) for each in loaded.networking.pod_subnets] == ["10.244.0.0/16", "fd00:10:244::/56"]
    assert loaded.machines[0].addresses == (IPv6Address("fd00::1"), IPv4Address("10.0.0.1"))
    assert loaded.machines[0].local_api_endpoint == "https://[fd00::1]:6443"


@pytest.mark.parametrize("text", ['"[fd00::9]:443"', '"[fd00::9]"', "fd00::9"])
def test_ipv6_cluster(text):
    loaded = cluster(
        f"controlPlaneEndpoint: {text}\n"
        "networking: {serviceSubnet: 'fd00:10:96::/112', podSubnet: 'fd00:10:244::/56'}\n"
        "machines: [{name: m1, role: master, address: fd00::1}]\n",
        "name: c\nkubernetesVersion: v1.37.2\n",
    )
    assert loaded.control_plane_endpoint is not None
    assert loaded.control_plane_endpoint.host == "fd00::9"
    assert loaded.machines[0].addresses == (IPv6Address("fd00::1"),)
    assert str(loaded.dns_address) == "fd00:10:96::a"


def test_machines_inherit_registration_key_by_key():
    loaded = cluster(
        """\
nodeRegistration:
  criSocket: unix:///run/crio/crio.sock
  imagePullPolicy: Never
  kubeletExtraArgs: [{name: v, value: "2"}, {name: vmodule, value: a=1}, {name: v, value: "3"}]
  ignorePreflightErrors: [Swap]
pools:
  - {name: p, role: node}
  - name: q
    role: node
    nodeRegistration:
      imagePullPolicy: IfNotPresent
      kubeletExtraArgs: [{name: v, value: "9"}]
      ignorePreflightErrors: []
"""
    )
    shared, own = (pool.registration for pool in loaded.pools)
    assert loaded.machines[0].registration is shared
    assert own.cri_socket == shared.cri_socket == "unix:///run/crio/crio.sock"
    assert [str(argument.value) for argument in shared.kubelet_extra_args] == ["2", "a=1", "3"]
    assert own.kubelet_extra_args == (Argument("vmodule", "a=1"), Argument("v", "9"))
    assert (own.image_pull_policy, shared.image_pull_policy) == ("IfNotPresent", "Never")
    assert (own.ignore_preflight_errors, shared.ignore_preflight_errors) == ((), ("Swap",))


TAINT = Taint("a", "NoExecute", "b")
TAINT_TEXT = "[{key: a, value: b, effect: NoExecute}]"


@pytest.mark.parametrize(
    ("registration", "machine", "taints"),
    [
        ("", "", (MASTER_TAINT,)),
        ("nodeRegistration: {taints: []}", "", ()),
        (f"nodeRegistration: {{taints: {TAINT_TEXT}}}", "", (TAINT,)),
        ("nodeRegistration: {taints: []}", f", taints: {TAINT_TEXT}", (TAINT,)),
        ("", ", taints: []", ()),
        (f"nodeRegistration: {{taints: {TAINT_TEXT}}}", ", nodeRegistration: {taints: []}", ()),
    ],
)
def test_taints_of_a_master(registration, machine, taints):
    text = f"name: c\nkubernetesVersion: v1.37.2\n{registration}\nmachines:\n"
    loaded = cluster("", text + f"  - {{name: m1, role: master, address: 10.0.0.1{machine}}}\n")
    assert loaded.machines[0].taints == taints


def test_repeated_arguments_keep_their_order():
    loaded = cluster(
        'apiServer: {extraArgs: [{name: v, value: "2"}, {name: tls-sni-cert-key, value: ""}, {name: v, value: "1"}]}\n'
    )
    assert loaded.api_server.extra_args == (Argument("v", "2"), Argument("tls-sni-cert-key", ""), Argument("v", "1"))


def test_arguments_of_the_user_are_kept():
    loaded = cluster(
        "apiServer: {extraArgs: [{name: oidc-ca-file, value: /etc/ssl/certs/oidc.pem}]}\n"
        'controllerManager: {extraArgs: [{name: bind-address, value: 0.0.0.0}, {name: leader-elect, value: "false"}]}\n'
        "etcd: {local: {extraArgs: [{name: listen-metrics-urls, value: 'http://0.0.0.0:2381'}]}}\n"
    )
    assert loaded.api_server.extra_args[0].name == "oidc-ca-file"
    assert len(loaded.controller_manager.extra_args) == 2
    assert loaded.etcd.extra_args[0].value == "http://0.0.0.0:2381"


def test_tokens():
    assert cluster().bootstrap_tokens == (BootstrapToken(),)
    loaded = cluster("bootstrapTokens: [{ttl: 0}, {ttl: 1h30m, usages: [authentication], description: x}]\n")
    first, second = loaded.bootstrap_tokens
    assert first == BootstrapToken(ttl=timedelta(0))
    assert second == BootstrapToken(ttl=timedelta(minutes=90), usages=("authentication",), description="x")


def test_component_configuration_is_plain_data():
    loaded = cluster(
        """\
kubelet:
  systemReserved: {cpu: 1, memory: 1Gi}
  clusterDNS: [10.0.0.10]
  memoryThrottlingFactor: 0.8
  failSwapOn: false
  authentication:
  evictionSoftGracePeriod: {memory.available: 1m30s}
kubeProxy: {mode: nftables, conntrack: {maxPerCore: 0}}
"""
    )
    assert loaded.kubelet == {
        "systemReserved": {"cpu": "1", "memory": "1Gi"},
        "clusterDNS": ["10.0.0.10"],
        "memoryThrottlingFactor": 0.8,
        "failSwapOn": False,
        "evictionSoftGracePeriod": {"memory.available": "1m30s"},
    }
    assert loaded.kube_proxy == {"mode": "nftables", "conntrack": {"maxPerCore": 0}}


def test_users():
    loaded = cluster(
        "users:\n  - default\n  - {name: ops, plain_text_passwd: 'pass word', lock_passwd: false, uid: 2000}\n"
    )
    default, ops = loaded.users
    assert default.fields == {"name": "default"}
    assert ops.fields == {"name": "ops", "lock_passwd": False, "uid": 2000}
    assert ops.plain_text_password == "pass word"
    assert "pass word" not in repr(ops)


def test_aliases_share_what_they_mark():
    loaded = cluster(
        "pools:\n  - {name: p, role: node, taints: &t [{key: a, effect: NoSchedule}]}\n"
        "  - {name: q, role: node, taints: *t}\n"
    )
    assert loaded.pools[0].taints == loaded.pools[1].taints == (Taint("a", "NoSchedule"),)


def test_empty_sections_are_absent_ones():
    assert cluster("networking:\napiServer: {}\nkubelet: ~\nnodeRegistration:\n") == cluster()


def test_every_provider_can_be_chosen():
    for name in providers.PROVIDERS:
        assert cluster(f"provider: {name}\n").provider == name


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("certificateValidityPeriod: 9000h\n", "K902"),
        ("caCertificateValidityPeriod: 100000h\n", "K902"),
        ('apiServer: {extraArgs: [{name: secure-port, value: "443"}]}\n', "K903"),
        ("users: [{name: a, plain_text_passwd: b}]\n", "K904"),
        ("users: [{name: a, shell: /bin/sh}]\n", "K915"),
        ("kubeProxy: {mode: ipvs}\n", "K906"),
        ("networking: {podSubnet: 10.244.0.0/24}\npools: [{name: w, role: node}]\n", "K916"),
        ("pki: {shipCAKeys: cluster}\n", "K913"),
        ("networking: {podSubnet: 10.244.0.0/16}\nkubelet: {maxPods: 500}\n", "K918"),
        ("networking: {podSubnet: 10.244.0.0/16}\npools: [{name: p, role: node, kubelet: {maxPods: 255}}]\n", "K918"),
        ("networking: {podSubnet: 10.244.1.0/16}\n", "K940"),
        ("nodeRegistration: {criSocket: /run/containerd/containerd.sock}\n", "K940"),
        ("timeouts: {discovery: 1m}\n", "K942"),
        ("kubelet: {serverTLSBootstrap: true}\n", "K933"),
        ("pools: [{name: p, role: node, kubelet: {serverTLSBootstrap: true}}]\n", "K933"),
    ],
)
def test_warnings(text, code):
    assert codes(text) == [code]


def test_takes_labels_of_listed_nodes_that_the_masters_set():
    machines = "".join(f"  - {{name: w{n}, role: node, labels: {{node-role.kubernetes.io/web: ''}}}}\n" for n in "12")
    base = "apiVersion: kgen/v1\nname: c\nkubernetesVersion: v1.37.2\nmachines:\n"
    assert codes(machines, base + "  - {name: m1, role: master, address: 10.0.0.1, labels: {rack: a}}\n") == []


def test_warns_about_a_patch_it_does_not_know():
    loaded = load_text(BASE.replace("v1.37.2", "v1.37.99"), "cluster.yaml")
    assert loaded.cluster.kubernetes_version == Version(1, 37, 99)
    (problem,) = loaded.warnings
    assert (problem.code, problem.line, problem.column) == ("K901", 3, 20)
    assert "3.7.0-0" in problem.message


def test_warns_when_the_endpoint_is_one_master():
    machines = "".join(f"  - {{name: m{n}, role: master, address: 10.0.0.{n}}}\n" for n in (1, 2, 3))
    base = f"apiVersion: kgen/v1\nname: c\nkubernetesVersion: v1.37.2\nmachines:\n{machines}"
    assert codes("controlPlaneEndpoint: 10.0.0.2:6443\n", base) == ["K905"]
    assert codes("controlPlaneEndpoint: 10.0.0.9:6443\n", base) == []


def test_all_problems_are_found_at_once():
    with pytest.raises(ProblemsError) as caught:
        load_text(
            """\
name: Prod
kubernetesVersion: v1.12.0
networking: {podSubnet: 10.96.0.0/16, serviceSubnet: 10.96.0.0/12}
machines:
  - {name: m1, role: master, address: 10.0.0.300}
  - {name: m1, role: node, lables: {}}
pools: [{name: p, role: master}]
encryptionAlgorithm: rsa
""",
            "cluster.yaml",
        )
    assert [problem.code for problem in caught.value.problems] == [
        "K201",
        "K203",
        "K307",
        "K204",
        "K304",
        "K101",
        "K313",
        "K211",
    ]
    assert caught.value.exit_code == ExitCode.BAD_INPUT


SECRET = "hunter2-test-only"


@pytest.mark.parametrize(
    "text",
    [
        f"users: [{{name: a, passwd: {SECRET}}}]",
        f"users: [{{name: a, plain_text_passwd: [{SECRET}]}}]",
        f"users: [{{name: a, plain_text_passwd: {SECRET}, plain_text_passwd: {SECRET}}}]",
        f"users: {SECRET}",
        f"bootstrapTokens: [{{token: {SECRET}}}]",
        f"bootstrapTokens: {SECRET}",
        f"bootstrapTokens: [{SECRET}]",
        f"httpProxy: {{httpProxy: 'http://a:{SECRET}@h/path'}}",
        f"apiServer: {{extraEnvs: [{{name: A, value: [{SECRET}]}}]}}",
        f"apiServer: {{extraEnvs: [{{name: A, value: !x {SECRET}}}]}}",
        f'users: [{{name: a, plain_text_passwd: "{SECRET}',
    ],
)
def test_problems_show_no_secrets(text):
    with pytest.raises(ProblemsError) as caught:
        load_text(BASE + text, "cluster.yaml")
    assert SECRET not in str(caught.value)


def test_byte_order_mark_is_skipped(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert load(path).cluster.name == "c"


def test_unreadable_files_are_reported_in_a_sentence(tmp_path):
    missing, latin, utf16 = (tmp_path / name for name in ("missing", "latin", "utf16"))
    latin.write_bytes(b"name: c\nclusterName: caf\xe9\n")
    utf16.write_text("name: c", encoding="utf-16")
    for path, words in ((missing, "does not exist"), (tmp_path, "is a directory"), (latin, ":2: not UTF-8")):
        with pytest.raises(InputError, match=words):
            load(path)
    with pytest.raises(InputError, match="not UTF-8"):
        load(utf16)
    with pytest.raises(InputError, match="cannot be read"):
        load(latin / "below")
    with pytest.raises(InputError, match="cannot be read"):
        load(Path("/proc/self/mem"))  # opens, but its first bytes cannot be read, not even by root


def test_devices_are_refused():
    with pytest.raises(InputError, match="it is a device, not a plain file"):
        load(Path("/dev/zero"))


def test_a_file_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.touch()
    os.truncate(path, 64 * 2**20 + 1)
    with pytest.raises(InputError, match="is larger than 64 MiB"):
        load(path)


def test_many_machines_are_read_in_linear_time():
    lines = "".join(f"  - {{name: w{n}, role: node, address: 10.1.{n // 250}.{n % 250 + 1}}}\n" for n in range(2000))
    base = "name: c\nkubernetesVersion: v1.37.2\nmachines:\n  - {name: m1, role: master, address: 10.0.0.1}\n"
    loaded = cluster(lines, base)
    assert len(loaded.machines) == 2001
    assert len({id(machine.registration) for machine in loaded.machines}) == 1


def test_a_missing_key_is_reported_with_the_line_to_add():
    with pytest.raises(ProblemsError) as caught:
        load_text("name: c\nmachines: [{address: 10.0.0.1}]\n", "cluster.yaml")
    assert [(problem.message, problem.hint) for problem in caught.value.problems] == [
        ("kubernetesVersion is missing", "add `kubernetesVersion: v1.37.2`"),
        ("name is missing", "add `name: m1`"),
        ("role is missing", "add `role:` with one of master, node"),
    ]


@pytest.mark.parametrize(
    "users",
    ["[default, {name: a}]", "[{name: a}, {name: b, ssh_authorized_keys: [ssh-ed25519 AAAA]}]", "[]"],
)
def test_does_not_warn_where_somebody_can_log_in(users):
    assert codes(f"users: {users}\n") == []


@pytest.mark.parametrize(
    ("name", "flag"),
    [("featureGates", "feature-gates"), ("feature_gates", "feature-gates"), ("--runtimeConfig=x", "runtime-config")],
)
def test_a_misspelt_flag_is_reported_with_the_right_one(name, flag):
    with pytest.raises(ProblemsError) as caught:
        load_text(f"{BASE}apiServer: {{extraArgs: [{{name: {name}, value: a}}]}}\n", "cluster.yaml")
    (problem,) = caught.value.problems
    assert problem.code == "K220"
    assert problem.hint.split(";")[0] == f"write {flag}"


@pytest.mark.parametrize(
    "text",
    [
        "networking: {podSubnet: 10.244.0.0/23}",
        "networking: {podSubnet: 10.244.0.0/24}\n"
        'controllerManager: {extraArgs: [{name: allocate-node-cidrs, value: "false"}]}',
    ],
)
def test_does_not_warn_where_pools_have_node_networks_or_need_none(text):
    assert codes(f"{text}\npools: [{{name: w, role: node}}]\n") == []


def test_a_file_of_an_argument_may_come_by_cloud_init():
    arguments = "{extraArgs: [{name: audit-policy-file, value: /etc/audit/p.yaml}]"
    volumes = "extraVolumes: [{name: a, hostPath: /etc/audit, mountPath: /etc/audit}]}"
    files = "cloudInit: {write_files: [{path: /etc/audit/p.yaml, content: a}]}"
    assert codes(f"apiServer: {arguments}, {volumes}\n{files}\n") == []


POD = "{apiVersion: v1, kind: Pod, metadata: {name: lb}, spec: {containers: [{name: lb, image: lb}]}}"


def test_files_come_from_cluster_role_and_machine():
    loaded = cluster(
        f"""\
files:
  - {{path: /etc/kubernetes/audit.yaml, content: a, role: master}}
  - {{path: /etc/agent.conf, content: shared}}
staticPods: [{{content: "{POD}", role: worker}}]
pools:
  - {{name: p, role: node}}
  - name: q
    role: node
    files:
      - {{path: /etc/agent.conf, content: own, mode: "0440", owner: adm}}
      - {{path: /etc/more, content: ""}}
"""
    )
    found = [
        {str(file.path): (file.content, file.mode, file.owner) for file in machine.files}
        for machine in loaded.documents
    ]
    shared = "/etc/agent.conf", ("shared", 0o644, "root:root")
    lb = "/etc/kubernetes/manifests/lb.yaml", (POD, 0o600, "root:root")
    assert found == [
        dict([("/etc/kubernetes/audit.yaml", ("a", 0o600, "root:root")), shared]),
        dict([shared, lb]),
        dict([("/etc/agent.conf", ("own", 0o440, "adm")), lb, ("/etc/more", ("", 0o644, "root:root"))]),
    ]
    assert loaded.static_pod_images == ("docker.io/library/lb:latest",)


def test_a_source_is_taken_byte_for_byte(tmp_path):
    text = "\ufeffa\r\nb\x85\u2028{{ c }}${d}"
    (tmp_path / "a.txt").write_bytes(text.encode())
    loaded = load_text(BASE + "files: [{path: /etc/a, source: a.txt}]\n", str(tmp_path / "cluster.yaml"))
    assert [file.content for file in loaded.cluster.machines[0].files] == [text]


def test_machines_inherit_settings_of_the_kernel():
    loaded = cluster(
        """\
sysctls: {vm.swappiness: 1, vm.max_map_count: 0x40000}
kernelModules: [a]
pools: [{name: p, role: node, sysctls: {vm.swappiness: "0"}, kernelModules: [b, a]}]
"""
    )
    shared, own = loaded.documents
    assert (shared.sysctls, shared.kernel_modules) == ({"vm.swappiness": "1", "vm.max_map_count": "0x40000"}, ("a",))
    assert (own.sysctls, own.kernel_modules) == ({"vm.swappiness": "0", "vm.max_map_count": "0x40000"}, ("a", "b"))


def test_patches_of_a_node_that_do_nothing(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/etcd.yaml").write_text("{}")
    text = BASE + "pools: [{name: p, role: node, patches: {directory: p}}]\n"
    loaded = load_text(text, str(tmp_path / "cluster.yaml"))
    assert [problem.code for problem in loaded.warnings] == ["K917"]


def test_patches_of_an_etcd_that_is_elsewhere(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/etcd.yaml").write_text("{}")
    text = BASE + 'patches: {directory: p}\netcd: {external: {endpoints: ["http://10.0.0.31:2379"]}}\n'
    loaded = load_text(text, str(tmp_path / "cluster.yaml"))
    assert [problem.code for problem in loaded.warnings] == ["K917"]
    without = load_text(text.partition("etcd:")[0], str(tmp_path / "cluster.yaml"))
    assert without.warnings == ()


def test_cloud_inits_keys_are_read_as_cloud_init_reads_them():
    loaded = cluster(
        """\
cloudInit:
  package_update: yes
  timezone: 2001-12-14
  packages: [a, "1.30"]
  disable_root: off
pools: [{name: p, role: node, cloudInit: {packages: [b], growpart: {mode: "off"}}}]
"""
    )
    shared, own = (machine.cloud_init for machine in loaded.documents)
    assert shared == {
        "package_update": True,
        "timezone": "2001-12-14",
        "packages": ["a", "1.30"],
        "disable_root": False,
    }
    assert own == {**shared, "packages": ["b"], "growpart": {"mode": "off"}}


DEFAULTS = """\
certificatesDir: /etc/kubernetes/pki
caCertPath: /etc/kubernetes/pki/ca.crt
dryRun: false
skipPhases: []
networking: {dnsDomain: cluster.local, serviceSubnet: 10.96.0.0/12}
nodeRegistration: {imagePullPolicy: IfNotPresent, imagePullSerial: true, taints: null}
timeouts:
  controlPlaneComponentHealthCheck: 4m0s
  discovery: 5m0s
  etcdAPICall: 2m0s
  kubeletHealthCheck: 4m0s
  kubernetesAPICall: 1m0s
  tlsBootstrap: 5m0s
  upgradeManifests: 5m0s
"""


def test_defaults_of_kubeadm_may_be_written_out():
    assert codes(DEFAULTS) == []
    assert cluster(DEFAULTS) == cluster()


def test_values_are_taken_in_the_forms_that_kubeadm_takes():
    loaded = cluster(
        "nodeRegistration: {criSocket: /run/crio/crio.sock}\n"
        "networking: {podSubnet: 10.244.1.0/16}\n"
        "apiServer: {certSANs: ['*.Apps.Example.com', 'FD00::A']}\n"
        "controllerManager:\n"
        "  extraArgs: [{name: tls-cert-file, value: /own.crt}]\n"
        "  extraVolumes: [{name: own, hostPath: /own.crt, mountPath: /own.crt, pathType: File}]\n"
        "etcd: {local: {extraArgs: [{name: initial-cluster-token, value: x}]}}\n"
        f"dns: {{imageTag: 'v1.14.6@sha256:{'a' * 64}'}}\n"
    )
    assert loaded.machines[0].registration.cri_socket == "unix:///run/crio/crio.sock"
    assert loaded.networking.pod_subnets == (ip_network("10.244.0.0/16"),)
    assert loaded.api_server.cert_sans == ("*.apps.example.com", "fd00::a")
    assert loaded.etcd.extra_args == (Argument("initial-cluster-token", "x"),)


def test_a_mapped_address_is_an_ipv4_address():
    loaded = cluster("", BASE.replace("10.0.0.1", '"::ffff:10.0.0.1"'))
    assert loaded.machines[0].addresses == (IPv4Address("10.0.0.1"),)


def test_gates_of_older_versions_may_have_the_value_of_kgens_output():
    base = BASE.replace("v1.37.2", "v1.34.4")
    gates = "featureGates: {NodeLocalCRISocket: true, WaitForAllControlPlaneComponents: true, PublicKeysECDSA: true}\n"
    assert codes(gates, base) == ["K941"] * 3
    assert codes("encryptionAlgorithm: RSA-2048\nfeatureGates: {PublicKeysECDSA: false}\n", base) == ["K941"]


def test_a_longer_timeout_makes_every_wait_longer():
    assert cluster("timeouts: {discovery: 10m, etcdAPICall: 2m30s}\n").timeouts.wait_factor == 2


@pytest.mark.parametrize(
    ("phase", "disabled"),
    [("addon", (True, True)), ("addon/coredns", (True, False)), ("addon/kube-proxy", (False, True))],
)
def test_a_skipped_phase_disables_its_add_ons(phase, disabled):
    loaded = cluster(f"skipPhases: [{phase}]\n")
    assert (loaded.dns.disabled, loaded.proxy.disabled) == disabled
