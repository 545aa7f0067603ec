"""The files of the whole cluster: the administrators' kubeconfigs, and ``api/``, every object that is published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from kgen import engine
from kgen.content import kubeconfig
from kgen.model import Cluster
from kgen.output.artifacts import Artifact
from kgen.payload import ApiObject, Blob, expand

_LONGEST_STEM = 240  # of a file's name; file systems allow 255 bytes


def cluster_files(cluster: Cluster, objects: Sequence[ApiObject], blobs: Mapping[str, Blob]) -> Iterator[Artifact]:
    """Yield the files; ``blobs`` are those of the first master, whose address the kubeconfigs may name."""
    for name in ("admin", "super-admin"):
        content = kubeconfig.client(cluster, name, cluster.masters[0])
        yield Artifact(PurePosixPath(f"{name}.conf"), expand(content, blobs).encode())
    for path, entry in api_paths(objects):
        yield Artifact(path, engine.to_yaml(entry.complete(blobs)).encode())


def api_paths(objects: Sequence[ApiObject]) -> Iterator[tuple[PurePosixPath, ApiObject]]:
    """Yield path and object of each file below ``api/``, in the order of publishing."""
    digits = max(2, len(str(len(objects))))
    for number, entry in enumerate(objects, start=1):
        yield _api_path(f"{number:0{digits}}", entry), entry


def _api_path(number: str, entry: ApiObject) -> PurePosixPath:
    """Return ``api/NN-<kind>[-<namespace>]-<name>.yaml``; a colon, which some file systems refuse, becomes a dash."""
    words = [number, entry.kind.lower(), entry.namespace, entry.name.replace(":", "-")]
    return PurePosixPath("api", "-".join(word for word in words if word)[:_LONGEST_STEM] + ".yaml")
