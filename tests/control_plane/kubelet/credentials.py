"""The kubelet's client certificate: from kubelet.conf or by TLS bootstrap, rotated once, kept as the kubelet does."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import logging
import threading
import time
from pathlib import Path

import yaml
from api import Api, Kubeconfig
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KUBELET_CONF = "etc/kubernetes/kubelet.conf"
BOOTSTRAP_CONF = "etc/kubernetes/bootstrap-kubelet.conf"
PKI = "var/lib/kubelet/pki"
CURRENT = "kubelet-client-current.pem"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
COLLECTION = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def obtain(root: Path, node_name: str) -> Api:
    """Return access to the API as this node: the kubelet's own store, else kubelet.conf's pair, else TLS bootstrap.

    Raises OSError or ApiError while that is not possible yet; the caller tries again.
    """
    current = root / PKI / CURRENT
    conf = root / KUBELET_CONF
    if not conf.exists():  # the kubelet writes it before it has the certificate
        _write_kubelet_conf(conf, Kubeconfig.load(root / BOOTSTRAP_CONF, root))
    access = Kubeconfig.load(conf, root)
    if current.exists() and not _has_expired(current.read_text()):
        return Api(access.with_pair(current.read_text()))
    if access.certificate and not _has_expired(access.certificate):
        if current.exists():
            _store(current, access.certificate + access.key)
        return Api(access)
    rotate(root, node_name, Api(Kubeconfig.load(root / BOOTSTRAP_CONF, root)))
    return obtain(root, node_name)


def rotate(root: Path, node_name: str, api: Api) -> None:
    """Fill the store when it is empty: a kubelet that starts from kubelet.conf's own pair asks for another at once."""
    current = root / PKI / CURRENT
    if not current.exists() or _has_expired(current.read_text()):
        _store(current, _request(api, node_name))
        logging.info("stored a new client certificate")


def _has_expired(pem: str) -> bool:
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc < datetime.datetime.now(datetime.UTC)


def request_serving(api: Api, node_name: str, addresses: list[str]) -> str:
    """Return the serving certificate and its key in one PEM, once somebody has approved the request."""
    names = x509.SubjectAlternativeName(
        [x509.DNSName(node_name), *(x509.IPAddress(ipaddress.ip_address(each)) for each in addresses)]
    )
    return _request(api, node_name, SERVING_SIGNER, "server auth", names)


def _request(
    api: Api,
    node_name: str,
    signer: str = CLIENT_SIGNER,
    usage: str = "client auth",
    names: x509.SubjectAlternativeName | None = None,
) -> str:
    """Return certificate and key in one PEM, signed through a CertificateSigningRequest."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node_name}"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(key, hashes.SHA256())
    request = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode(),
            "signerName": signer,
            "usages": ["digital signature", usage],
        },
    }
    name = api.call("POST", COLLECTION, request)["metadata"]["name"]
    logging.info("created %s", name)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        certificate = api.call("GET", f"{COLLECTION}/{name}").get("status", {}).get("certificate")
        if certificate:
            private = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
            return base64.b64decode(certificate).decode() + private.decode()
        time.sleep(0.2)
    raise TimeoutError(f"{name} was not signed")


def _store(current: Path, pem: str) -> None:
    """Keep the pair under its time, and let the link point to it. Other threads may read or store meanwhile."""
    current.parent.mkdir(parents=True, exist_ok=True)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d-%H-%M-%S")
    target = current.with_name(f"kubelet-client-{stamp}.pem")
    mine = threading.get_ident()
    new = current.with_name(f"new-{mine}")
    new.touch(mode=0o600)
    new.write_text(pem)
    new.rename(target)
    link = current.with_name(f"updated-{mine}")
    link.unlink(missing_ok=True)
    link.symlink_to(target.name)  # absolute on a node; here it must hold inside and outside of the root
    link.rename(current)


def _write_kubelet_conf(path: Path, bootstrap: Kubeconfig) -> None:
    cluster = {
        "server": bootstrap.server,
        "certificate-authority-data": base64.b64encode(bootstrap.ca.encode()).decode(),
    }
    user = {"client-certificate": f"/{PKI}/{CURRENT}", "client-key": f"/{PKI}/{CURRENT}"}
    context = {"cluster": "default-cluster", "namespace": "default", "user": "default-auth"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default-cluster", "cluster": cluster}],
        "contexts": [{"name": "default-context", "context": context}],
        "current-context": "default-context",
        "users": [{"name": "default-auth", "user": user}],
    }
    new = path.with_name(f".{path.name}")
    new.touch(mode=0o600)
    new.write_text(yaml.safe_dump(document))
    new.rename(path)
