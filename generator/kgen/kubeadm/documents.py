"""kubeadm's configuration documents, in the shape of v1beta4.

The rules of v1beta3 are those of kubeadm v1.36, which reads both:
https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta3/.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kgen.errors import Problem, ProblemsError
from kgen.kubeadm.outline import Item, Place, item, read

V1BETA3, V1BETA4, V1 = "kubeadm.k8s.io/v1beta3", "kubeadm.k8s.io/v1beta4", "kubeadm.k8s.io/v1"
KUBELET = ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration")
KUBE_PROXY = ("kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration")
CLUSTER, INIT, JOIN = "ClusterConfiguration", "InitConfiguration", "JoinConfiguration"
_ONCE = (CLUSTER, KUBELET[1], KUBE_PROXY[1])
_KUBEADM = "kubeadm.k8s.io/"


@dataclass(slots=True)
class Documents:
    """Documents by kind, without ``apiVersion`` and ``kind``. ``others`` are of kinds that say nothing of a cluster."""

    cluster: Item | None = None
    kubelet: Item | None = None
    kube_proxy: Item | None = None
    inits: list[Item] = field(default_factory=list)
    joins: list[Item] = field(default_factory=list)
    others: list[tuple[str, Place | None]] = field(default_factory=list)


def parse(texts: Iterable[tuple[str, str]]) -> Documents:
    """Return the documents of several files, each a name and a text.

    Raises:
        ProblemsError: a text is not YAML, or a document cannot be used; every problem of all files.
    """
    found = Documents()
    problems: list[Problem] = []
    files: list[str] = []
    for file, text in texts:
        documents, flaws = read(text, file)
        problems += flaws
        files.append(file)
        for document in documents:
            problems += _add(found, document)
    is_empty = not (found.cluster or found.inits or found.joins)
    if is_empty and not problems:
        hint = "give the file that `kubeadm init --config` or `kubeadm join --config` takes"
        problems += [Problem(file, 0, 0, "", "I101", "has no configuration of kubeadm", hint) for file in files]
    if problems:
        raise ProblemsError(problems)
    return found


def _add(found: Documents, document: Item) -> list[Problem]:
    version, kind = _text(document.take("apiVersion")), _text(document.take("kind"))
    if version.startswith(_KUBEADM) and version not in (V1BETA3, V1BETA4):
        option = "--allow-experimental-api " if version == V1 else ""
        hint = f"convert it with the kubeadm that reads it: `kubeadm config migrate {option}--old-config FILE`"
        return [_problem(document, "I102", f"{version} is not read; v1beta3 and v1beta4 are", hint)]
    if kind in (CLUSTER, INIT, JOIN) and version == V1BETA3:
        _convert(document, kind)
    if (version, kind) == KUBELET:
        earlier, found.kubelet = found.kubelet, document
    elif (version, kind) == KUBE_PROXY:
        earlier, found.kube_proxy = found.kube_proxy, document
    elif not version.startswith(_KUBEADM) or kind not in (CLUSTER, INIT, JOIN):
        found.others.append((f"{kind or 'a document'} ({version or 'without apiVersion'})", document.place))
        return []
    elif kind == CLUSTER:
        earlier, found.cluster = found.cluster, document
    else:
        (found.inits if kind == INIT else found.joins).append(document)
        return []
    if earlier is not None and earlier.plain != document.plain:
        hint = f"keep one: the other is at {earlier.place}"
        return [_problem(document, "I103", f"a second {kind}, with another content", hint)]
    return []


def _problem(document: Item, code: str, message: str, hint: str) -> Problem:
    place = document.place or Place("", 0, 0)
    return Problem(place.file, place.line, place.column, "", code, message, hint)


def _text(given: Item | None) -> str:
    return str(given.value) if given is not None else ""


def _convert(document: Item, kind: str) -> None:
    """Bring a document of v1beta3 into the shape of v1beta4."""
    holders = [document.get(name) for name in ("apiServer", "controllerManager", "scheduler")]
    for holder in (*holders, document.get("etcd", "local")):
        _list_arguments(holder, "extraArgs")
    _list_arguments(document.get("nodeRegistration"), "kubeletExtraArgs")
    timeout = document.take("apiServer", "timeoutForControlPlane")
    if timeout is not None:
        document.value["timeouts"] = Item({"controlPlaneComponentHealthCheck": timeout}, timeout.place)
    timeout = document.take("discovery", "timeout") if kind == JOIN else None
    if timeout is not None:
        document.value["timeouts"] = Item({"discovery": timeout}, timeout.place)


def _list_arguments(holder: Item | None, key: str) -> None:
    """Make a map of arguments a list, sorted by name, as kubeadm does."""
    given = holder.get(key) if holder is not None else None
    if given is not None and isinstance(given.value, dict):
        pairs = sorted(given.value.items())
        given.value = [Item({"name": item(name, value.place), "value": value}, value.place) for name, value in pairs]
