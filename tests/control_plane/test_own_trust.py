"""Clusters whose CAs are a company's: intermediates with their keys, and CAs whose keys are elsewhere."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests import corporate
from tests.control_plane import deployment, issuer
from tests.control_plane.conftest import HERE
from tests.control_plane.deployment import Deployment, api, dry_run_join, join_command, kubectl
from tests.control_plane.issuer import Issuer
from tests.control_plane.machines import Bench, Machine, until
from tests.control_plane.test_apply import applied, rendered_with
from tests.control_plane.test_outside import run
from tests.installed import kgen

CAS = ("ca", "etcd/ca", "front-proxy-ca")
ADDRESS = "10.71.0.11"
HOSTS = f"{ADDRESS} {issuer.HOST}\n"
OIDC = {
    "issuer-url": issuer.URL,
    "client-id": issuer.AUDIENCE,
    "username-claim": "preferred_username",
    "username-prefix": "oidc:",
    "groups-claim": "groups",
    "groups-prefix": "oidc:",
}
CONNECT = "import socket; socket.create_connection(('127.0.0.1', 10250))"


@pytest.fixture(scope="module")
def company() -> dict[str, corporate.Authority]:
    """An issuing CA of RSA for the cluster, one of P-384 for etcd, one of P-256, each below two others."""
    own = [corporate.rsa_key(), ec.generate_private_key(ec.SECP384R1()), None]
    return {name: corporate.three_levels(f"Example {name}", key=key) for name, key in zip(CAS, own, strict=True)}


@pytest.fixture(scope="module")
def provider() -> Issuer:
    """The company's OpenID provider."""
    return Issuer()


@pytest.fixture(scope="module")
def own(
    company: dict[str, corporate.Authority],
    provider: Issuer,
    tmp_path_factory: pytest.TempPathFactory,
    machines: list[Machine],
) -> Iterator[Deployment]:
    """A master, a node and a machine of a pool whose CAs are intermediates. The API server verifies the kubelets."""

    def accept(cluster_file: Path) -> None:
        directory = cluster_file.parent / "own"
        pool = {"name": "workers", "role": "node", "kubelet": {"serverTLSBootstrap": True}}
        (cluster_file.parent / "oidc.crt").write_text(provider.root)
        server = {"oidcCAFile": "oidc.crt", "extraArgs": [{"name": f"oidc-{key}", "value": OIDC[key]} for key in OIDC]}
        more = {"pki": {"kubeletServingCertificates": True}, "pools": [pool], "apiServer": server}
        cluster_file.write_text(yaml.safe_dump(yaml.safe_load(cluster_file.read_text()) | more))
        for name, made in company.items():
            made.write(directory, name)
        (directory / "sa.key").write_bytes(corporate.key_pem(corporate.rsa_key()))
        kgen("certs", "accept", cluster_file, directory)

    with Bench() as bench:
        cluster = Deployment.render(HERE / "one.yaml", tmp_path_factory.mktemp("own"), bench, machines, before=accept)
        booting = [cluster.machine("m1", ADDRESS, hosts=HOSTS), cluster.machine("w1", "10.71.0.21")]
        provider.serve(booting[0])
        booting.append(cluster.machine("w3", "10.71.0.23", user_data=cluster.user_data("workers")))
        for machine, running in [(machine, deployment.start_first_boot(machine)) for machine in booting]:
            deployment.finished(running, machine)
        yield cluster


def test_master_and_node_are_ready(own: Deployment) -> None:
    m1 = own.machines["m1"]
    nodes = api(m1, "nodes", conf=deployment.ADMIN)
    assert {node["metadata"]["name"] for node in nodes} == {"m1", "w1", "w3"}
    assert kubectl(m1, "get", "--raw", "/readyz").strip() == "ok"


def test_the_cluster_signs_the_kubelets_certificates_with_the_intermediate(
    own: Deployment, company: dict[str, corporate.Authority]
) -> None:
    pem = (own.machines["w1"].root / "var/lib/kubelet/pki/kubelet-client-current.pem").read_bytes()
    client = x509.load_pem_x509_certificates(pem)[0]
    client.verify_directly_issued_by(company["ca"].certificate)


def test_etcd_is_asked_with_certificates_of_its_own_intermediate(own: Deployment) -> None:
    pki = "/etc/kubernetes/pki/etcd"
    words = [f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key"]
    output = own.machines["m1"].check(
        ["etcdctl", f"--endpoints=https://{ADDRESS}:2379", *words, "member", "list"], chroot=True
    )
    assert "started" in output


def test_a_client_that_trusts_only_the_root_accepts_the_api_server(
    own: Deployment, company: dict[str, corporate.Authority]
) -> None:
    m1 = own.machines["m1"]
    root = m1.root / "tmp/root.crt"
    root.parent.mkdir(exist_ok=True)
    root.write_text(corporate.pem(company["ca"].above[-1]))
    output = m1.check(["openssl", "s_client", "-connect", f"{ADDRESS}:6443", "-CAfile", root, "-verify_return_error"])
    assert "Verify return code: 0 (ok)" in output


def test_another_certificate_of_the_company_is_nobody(own: Deployment, company: dict[str, corporate.Authority]) -> None:
    """The machines trust the intermediate alone: what its siblings sign authenticates no one."""
    m1 = own.machines["m1"]
    other = company["front-proxy-ca"]
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "system:masters"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "mallory"),
        ]
    )
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(key, company["ca"].certificate.signature_hash_algorithm)
    )
    pem = request.public_bytes(corporate.Encoding.PEM).decode()
    for name, authority, status in (("other", other, 1), ("own", company["ca"], 0)):
        (m1.root / f"tmp/{name}.crt").write_text(authority.sign(pem) + "".join(map(corporate.pem, authority.above)))
        (m1.root / f"tmp/{name}.key").write_bytes(corporate.key_pem(key))
        words = ["--server", f"https://{ADDRESS}:6443", "--certificate-authority=/etc/kubernetes/pki/ca.crt"]
        words += [f"--client-certificate=/tmp/{name}.crt", f"--client-key=/tmp/{name}.key", "get", "nodes"]
        code, output = m1.run(["kubectl", *words], chroot=True)
        assert code == status, output


def health_of_kubelet(m1: Machine, name: str) -> tuple[int, str]:
    """Ask the API server for a kubelet's health. Return the exit status of kubectl, and what it printed."""
    words = ["--kubeconfig", f"/{deployment.ADMIN}", "get", "--raw", f"/api/v1/nodes/{name}/proxy/healthz"]
    return m1.run(["kubectl", *words], chroot=True)


def test_the_api_server_verifies_kubelets(own: Deployment) -> None:
    m1 = own.machines["m1"]
    assert [health_of_kubelet(m1, name) for name in ("m1", "w1")] == [(0, "ok"), (0, "ok")]
    log = kubectl(m1, "logs", "-n", "kube-system", "kube-apiserver-m1", conf=deployment.ADMIN)
    assert "Serving securely" in log


def test_a_kubelet_with_another_certificate_is_refused(
    own: Deployment, company: dict[str, corporate.Authority]
) -> None:
    """Neither its own certificate nor one of another CA of the company passes, nor that of another machine."""
    m1, w1 = own.machines["m1"], own.machines["w1"]
    pki = w1.root / "var/lib/kubelet/pki"
    paths = [pki / "kubelet-serving.crt", pki / "kubelet-serving.key"]
    kept = [path.read_text() for path in paths]
    key = ec.generate_private_key(ec.SECP256R1())
    issued = x509.load_pem_x509_certificate(kept[0].encode())
    builder = x509.CertificateSigningRequestBuilder().subject_name(issued.subject)
    for extension in issued.extensions:
        if not isinstance(extension.value, x509.AuthorityKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    request = builder.sign(key, hashes.SHA256()).public_bytes(corporate.Encoding.PEM).decode()
    foreign = (company["front-proxy-ca"].sign(request), corporate.key_pem(key).decode())
    others = [(m1.root / path.relative_to(w1.root)).read_text() for path in paths]
    try:
        for pair, error in ((foreign, "x509: certificate signed by unknown authority"), (others, "not 10.71.0.21")):
            serve_with(w1, paths, pair)
            status, output = health_of_kubelet(m1, "w1")
            assert status != 0
            assert error in output
    finally:
        serve_with(w1, paths, kept)
    assert health_of_kubelet(m1, "w1") == (0, "ok")


def test_a_renewed_serving_certificate_comes_with_kgen_apply(own: Deployment) -> None:
    m1, w1 = own.machines["m1"], own.machines["w1"]
    before = serial(w1)
    assert "w1/kubelet-serving" in kgen("certs", "renew", own.cluster_file, "w1")
    rendered_with(own)
    assert "restarting kubelet" in applied(own, w1)
    assert serial(w1) != before
    assert health_of_kubelet(m1, "w1") == (0, "ok")


def serial(machine: Machine) -> str:
    """Return the serial number of the certificate that the kubelet of a machine shows."""
    text = machine.check(["sh", "-c", "openssl s_client -connect 127.0.0.1:10250 </dev/null | openssl x509 -serial"])
    return re.findall("^serial=(.*)$", text, re.M)[0]


def serve_with(machine: Machine, paths: Sequence[Path], pair: Sequence[str]) -> None:
    """Restart the kubelet of a machine with another pair, and wait until it serves."""
    for path, text in zip(paths, pair, strict=True):
        path.write_text(text)
    machine.check([*shlex.split(deployment.kubelet_command(machine)), "restart"])
    until("kubelet", lambda: machine.run(["python3", "-c", CONNECT])[0] == 0)


def test_the_serving_certificate_of_a_kubelet_is_no_users(own: Deployment) -> None:
    """It says that it is a node of ``system:nodes``, but it is for servers only."""
    words = ["--server", f"https://{ADDRESS}:6443", "--certificate-authority=/etc/kubernetes/pki/ca.crt"]
    pki = "/var/lib/kubelet/pki/kubelet-serving"
    words += [f"--client-certificate={pki}.crt", f"--client-key={pki}.key", "get", "nodes"]
    status, output = own.machines["w1"].run(["kubectl", *words], chroot=True)
    assert status != 0
    assert "Unauthorized" in output or "must be logged in" in output, output


def test_a_kubelet_of_a_pool_serves_once_its_request_is_approved(own: Deployment) -> None:
    m1 = own.machines["m1"]

    def pending() -> list[str]:
        lines = kubectl(m1, "get", "csr", "--no-headers", conf=deployment.ADMIN).splitlines()
        return [line.split()[0] for line in lines if "kubernetes.io/kubelet-serving" in line and "Pending" in line]

    (name,) = until("request", pending)
    status, output = health_of_kubelet(m1, "w3")
    assert status != 0
    assert "tls: internal error" in output
    described = kubectl(m1, "describe", "csr", name, conf=deployment.ADMIN)
    assert all(word in described for word in ("system:node:w3", "10.71.0.23"))
    kubectl(m1, "certificate", "approve", name, conf=deployment.ADMIN)
    until("answer", lambda: health_of_kubelet(m1, "w3") == (0, "ok"))


def test_stock_kubeadm_joins(own: Deployment) -> None:
    machine = own.machine("w2", "10.71.0.22")
    try:
        output = dry_run_join(machine, *join_command(own))
        assert "This node has joined the cluster" in output
    finally:
        machine.power_off()


def test_kgen_looks_at_the_cluster_from_outside(own: Deployment) -> None:
    status, out, err = run(own.machines["w1"], "wait", own.cluster_file, "--nodes-only", "m1", "--timeout", "0")
    assert (status, out.splitlines()[1].split()[:3]) == (0, ["m1", "master", "Ready"]), err
    status, out, err = run(own.machines["w1"], "status", own.cluster_file)
    assert "as issued" in out, err


@pytest.fixture(scope="module")
def external(
    company: dict[str, corporate.Authority],
    provider: Issuer,
    tmp_path_factory: pytest.TempPathFactory,
    machines: list[Machine],
) -> Iterator[Deployment]:
    """A master whose CAs have no key on any disk but the company's."""

    def accept(cluster_file: Path) -> None:
        directory = cluster_file.parent / "own"
        (cluster_file.parent / "authentication.yaml").write_text(yaml.safe_dump(authentication(provider)))
        server = {"authenticationConfig": "authentication.yaml"}
        more = {"pki": {"kubeletServingCertificates": True}, "apiServer": server}
        cluster_file.write_text(yaml.safe_dump(yaml.safe_load(cluster_file.read_text()) | more))
        for name, made in company.items():
            made.write(directory, name, key=False)
        kgen("certs", "accept", cluster_file, directory)
        requests = cluster_file.parent / "csr"
        written = kgen("certs", "csr", cluster_file, requests)
        for line in written.splitlines():
            found = re.match(r"(\S+\.csr) +(\S+) ", line)
            if found:
                file = Path(found[1])
                file.with_suffix(".crt").write_text(company[found[2]].sign(file.read_text()))
        assert "to be signed" not in kgen("certs", "accept", cluster_file, requests)

    with Bench() as bench:
        source = HERE / "one.yaml"
        cluster = Deployment.render(source, tmp_path_factory.mktemp("external"), bench, machines, before=accept)
        m1 = cluster.machine("m1", ADDRESS, hosts=HOSTS)
        provider.serve(m1)
        cluster.first_boot(m1)
        yield cluster


def authentication(provider: Issuer) -> dict[str, Any]:
    """Return the file that says to an API server what OIDC says by arguments."""
    mappings = {
        "username": {"claim": OIDC["username-claim"], "prefix": OIDC["username-prefix"]},
        "groups": {"claim": OIDC["groups-claim"], "prefix": OIDC["groups-prefix"]},
    }
    known = {"url": issuer.URL, "audiences": [issuer.AUDIENCE], "certificateAuthority": provider.root}
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [{"issuer": known, "claimMappings": mappings}],
    }


def test_a_master_boots_without_any_key_of_a_ca(external: Deployment) -> None:
    m1 = external.machines["m1"]
    nodes = api(m1, "nodes", conf=deployment.ADMIN)
    assert [node["metadata"]["name"] for node in nodes] == ["m1"]
    private = [path.read_bytes() for path in external.directory.rglob("ca.key")] + [
        path.read_bytes() for path in m1.root.rglob("*ca.key")
    ]
    assert private == []
    wanted = {"kube-controller-manager-m1", "etcd-m1"}
    until("mirror pods", lambda: wanted <= {pod["metadata"]["name"] for pod in api(m1, "pods", "-n", "kube-system")})
    assert health_of_kubelet(m1, "m1") == (0, "ok")


def test_kubeadm_accepts_what_it_finds_of_an_external_ca(external: Deployment) -> None:
    m1 = external.machines["m1"]
    output = m1.check(["kubeadm", "certs", "check-expiration", "--kubeconfig", f"/{deployment.ADMIN}"], chroot=True)
    assert re.search(r"^apiserver .* yes *$", output, re.M), output  # externally managed
    for phase in ("certs", "kubeconfig"):
        words = ["--kubernetes-version=v1.37.2", f"--apiserver-advertise-address={ADDRESS}"]
        words = words if phase == "kubeconfig" else [*words]
        done = m1.check(["kubeadm", "init", "phase", phase, "all", *words], chroot=True)
        assert "error" not in done.lower(), done


@pytest.fixture(params=["own", "external"])
def authenticating(request: pytest.FixtureRequest) -> Machine:
    """A master that knows the OpenID provider: by arguments and ``oidcCAFile``, or by ``authenticationConfig``."""
    cluster: Deployment = request.getfixturevalue(request.param)
    return cluster.machines["m1"]


def who_am_i(m1: Machine, token: str) -> tuple[int, str]:
    """Ask the API server who the token is. Return the exit status of kubectl, and what it printed."""
    words = ["--server", f"https://{ADDRESS}:6443", "--certificate-authority=/etc/kubernetes/pki/ca.crt"]
    return m1.run(["kubectl", *words, "--token", token, "auth", "whoami", "-o", "json"], chroot=True)


def test_a_token_of_the_openid_provider_is_let_in(authenticating: Machine, provider: Issuer) -> None:
    status, output = who_am_i(authenticating, provider.token())
    assert status == 0, output
    user = json.loads(output)["status"]["userInfo"]
    assert (user["username"], user["groups"]) == ("oidc:jane", ["oidc:ops", "oidc:dev", "system:authenticated"])


@pytest.mark.parametrize(
    "claims",
    [{"exp": int(time.time()) - 60}, {"iss": "https://issuer.example"}, {"aud": "another"}],
    ids=["expired", "of another issuer", "for another audience"],
)
def test_other_tokens_are_refused(authenticating: Machine, provider: Issuer, claims: dict[str, Any]) -> None:
    assert who_am_i(authenticating, provider.token())[0] == 0
    status, output = who_am_i(authenticating, provider.token(**claims))
    assert status != 0
    assert "Unauthorized" in output


def test_a_token_that_another_key_has_signed_is_refused(authenticating: Machine, provider: Issuer) -> None:
    status, output = who_am_i(authenticating, provider.token(corporate.rsa_key()))
    assert status != 0
    assert "Unauthorized" in output
