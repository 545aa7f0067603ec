"""etcd outside of the masters."""

import json
from collections.abc import Iterator

from .api import connect, get, pair
from .base import Run
from .files import pem
from .findings import Finding


def external_etcd(run: Run, texts: str) -> Iterator[Finding]:
    """Every member answers and is new enough, as kubeadm wants it."""
    name = "ExternalEtcdVersion"
    etcd = run.body["etcd"]
    blobs = run.body["blobs"]
    ca = pem(run, "etcd/ca.crt") if "etcd/ca.crt" in blobs else ""
    for url in etcd.get("endpoints", []):
        client = pair(run, "apiserver-etcd-client") if "apiserver-etcd-client.key" in blobs else ""
        try:
            found = json.loads(get(connect(url, ca, client), "/version"))["etcdserver"]
            is_old = [int(part) for part in found.split("-")[0].split(".")] < etcd["oldest"]
        except OSError as error:
            yield Finding(name, f"{url}: {error}", may_pass=True)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            yield Finding(name, f"{url} does not answer as etcd does: {error!r}")
        else:
            if is_old:
                oldest = ".".join(map(str, etcd["oldest"]))
                yield Finding(name, f"{url} runs etcd {found}: {oldest} or newer is needed")
