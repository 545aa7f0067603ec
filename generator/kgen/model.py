"""A valid cluster file as frozen data.

Field names are the file's, in Python's spelling. Everything is resolved: defaults are filled in, and a
machine has what it inherits from the cluster. Nothing here reads, checks or decides what lands on a node.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePosixPath
from typing import Any, Literal

from kgen.facts import names
from kgen.facts.versions import Version

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Role = Literal["master", "node"]
Algorithm = Literal["RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"]
TaintEffect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
ImagePullPolicy = Literal["Always", "IfNotPresent", "Never"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``controlPlaneEndpoint``: a DNS name or an address, and a port (the bind port if the file gives none)."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, IPv6 literals bracketed; this is also what goes into kubeadm-config."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Argument:
    """One extra argument of a component; name without dashes. Order and repetition are kept."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Volume:
    """One entry of ``extraVolumes``; an empty ``path_type`` means no check, as in Kubernetes."""

    name: str
    host_path: str
    mount_path: str
    read_only: bool = False
    path_type: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """``apiServer``, ``controllerManager``, ``scheduler``. ``extra_envs`` entries are Kubernetes EnvVar objects."""

    extra_args: tuple[Argument, ...] = ()
    extra_volumes: tuple[Volume, ...] = ()
    extra_envs: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Encryption:
    """``apiServer.encryption``: how new keys encrypt ``resources`` in etcd; an empty ``provider``: not at all."""

    provider: str = ""
    resources: tuple[str, ...] = ("secrets",)


@dataclass(frozen=True, slots=True)
class ApiServer(Component):
    """``apiServer``; ``cert_sans`` are DNS names (wildcards allowed) and addresses as written."""

    cert_sans: tuple[str, ...] = ()
    encryption: Encryption = Encryption()


@dataclass(frozen=True, slots=True)
class LocalEtcd:
    """``etcd.local``: a stacked member on every master."""

    data_dir: PurePosixPath = names.ETCD_DATA_DIR
    image_repository: str = ""
    image_tag: str = ""
    extra_args: tuple[Argument, ...] = ()
    extra_envs: tuple[Mapping[str, Any], ...] = ()
    server_cert_sans: tuple[str, ...] = ()
    peer_cert_sans: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file with a certificate or key that the user brings. The bundle keeps what it holds.

    ``name`` is the path in the cluster file, ``place`` is where the cluster file gives it (``file:line:column``).
    ``text`` is empty if there is no such file any more.
    """

    name: str
    place: str
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ExternalEtcd:
    """``etcd.external``: members outside of the masters. Without ``ca``, the API servers trust the machine's CAs.

    ``http_endpoints`` answer HTTP, if ``endpoints`` speak only gRPC.
    """

    endpoints: tuple[str, ...]
    http_endpoints: tuple[str, ...] = ()
    ca: PemFile | None = None
    certificate: PemFile | None = None
    key: PemFile | None = None


@dataclass(frozen=True, slots=True)
class Networking:
    """``networking``; the tuples hold one network per address family, first family first.

    ``plugin``: ``bridge`` makes kgen render a network for the pods, ``none`` leaves that to the user, as kubeadm does.
    """

    service_subnets: tuple[Network, ...]
    pod_subnets: tuple[Network, ...] = ()
    dns_domain: str = names.DEFAULT_CLUSTER_DOMAIN
    plugin: Literal["none", "bridge"] = "none"


@dataclass(frozen=True, slots=True)
class Addon:
    """``dns`` and ``proxy``; empty image fields mean kubeadm's own choice."""

    disabled: bool = False
    image_repository: str = ""
    image_tag: str = ""


@dataclass(frozen=True, slots=True)
class BootstrapToken:
    """One entry of ``bootstrapTokens``, or a pool's; the token itself is only in the bundle.

    ``ttl`` zero: it never expires.
    """

    ttl: timedelta = timedelta(hours=24)
    description: str = ""
    usages: tuple[str, ...] = ("signing", "authentication")
    groups: tuple[str, ...] = (names.GROUP_DEFAULT_NODE_TOKEN,)


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint; ``value`` may be empty."""

    key: str
    effect: TaintEffect
    value: str = ""

    def __str__(self) -> str:
        """Return the taint as kubeadm passes it to the kubelet's ``--register-with-taints``."""
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True, slots=True)
class NodeRegistration:
    """``nodeRegistration`` of one machine, the cluster's defaults merged in."""

    cri_socket: str = names.CRI_SOCKET
    kubelet_extra_args: tuple[Argument, ...] = ()
    ignore_preflight_errors: tuple[str, ...] = ()
    image_pull_policy: ImagePullPolicy = "IfNotPresent"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the user's on a machine: an entry of ``files`` or ``staticPods``.

    ``images`` are the container images of a static pod.
    """

    path: PurePosixPath
    content: str = field(repr=False)
    mode: int
    owner: str = "root:root"
    images: tuple[str, ...] = ()


def _in_url(address: Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


@dataclass(frozen=True, slots=True)
class Machine:
    """One entry of ``machines``, or of ``pools`` (``is_pool``: one document for any number of machines).

    ``taints`` are those of the Node object, with kubeadm's default filled in. ``addresses`` holds one address
    per family; empty on pools and where a node's entry gives none. ``bind_port`` is the API server's on masters.
    ``pod_cidr`` is the range of its pods: what the file says, or with ``networking.plugin: bridge`` what the bundle
    keeps (``kgen.secrets_bundle.pod_ranges``). ``files``, ``sysctls`` and ``kernel_modules`` are the user's, with those
    that it inherits. ``kubelet`` has only the fields in which the machine differs from the cluster; ``patches`` are
    None where it has the cluster's. ``cloud_init`` are cloud-init's own keys, with those that it inherits.
    ``bootstrap_token`` is a pool's own token, None where it joins with the cluster's first one.
    ``join_from`` says where machines of a pool find their bootstrap token: ``ssm`` is Parameter Store of AWS.
    ``mac`` (lower case, with colons), ``serial`` and ``uuid`` tell the machine from others before it has an operating
    system; ``network`` is cloud-init's network-config. All four concern delivery only.
    """

    name: str
    role: Role
    addresses: tuple[Address, ...] = ()
    is_pool: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    registration: NodeRegistration = NodeRegistration()
    bind_port: int = names.API_SERVER_PORT
    pod_cidr: Network | None = None
    files: tuple[File, ...] = ()
    kubelet: Mapping[str, Any] = field(default_factory=dict)
    patches: tuple[Patch, ...] | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)
    kernel_modules: tuple[str, ...] = ()
    cloud_init: Mapping[str, Any] = field(default_factory=dict, repr=False)
    bootstrap_token: BootstrapToken | None = None
    join_from: Literal["document", "ssm"] = "document"
    mac: str = ""
    serial: str = ""
    uuid: str = ""
    network: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own_settings(self) -> Hashable:
        """Return a value that is equal for machines that differ only in names, addresses, labels and arguments."""
        texts = repr((self.kubelet, self.sysctls, self.kernel_modules, self.cloud_init))
        return self.registration.cri_socket, self.files, texts, id(self.patches)

    @property
    def address(self) -> Address:
        """Return the first address: the advertise address of a master."""
        return self.addresses[0]

    @property
    def host(self) -> str:
        """Return the first address in the form for a URL."""
        return _in_url(self.address)

    @property
    def local_api_endpoint(self) -> str:
        """Return ``https://<address>:<bindPort>`` of a master, with its first address."""
        return f"https://{self.host}:{self.bind_port}"

    @property
    def api_endpoints(self) -> tuple[str, ...]:
        """Return ``https://<address>:<bindPort>`` of a master, for each of its addresses."""
        return tuple(f"https://{_in_url(address)}:{self.bind_port}" for address in self.addresses)


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """``httpProxy``: what containerd, the kubelet and the static pods see as ``*_PROXY``; empty strings: unset."""

    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """``timeouts``, with kubeadm's defaults."""

    control_plane_component_health_check: timedelta = timedelta(minutes=4)
    kubelet_health_check: timedelta = timedelta(minutes=4)
    kubernetes_api_call: timedelta = timedelta(minutes=1)
    etcd_api_call: timedelta = timedelta(minutes=2)
    tls_bootstrap: timedelta = timedelta(minutes=5)
    discovery: timedelta = timedelta(minutes=5)

    @property
    def wait_factor(self) -> float:
        """Return by how much the first boot's waits are longer than usual: the largest ratio to a default."""
        ratios: list[float] = [getattr(self, row.name) / row.default for row in fields(self)]
        return max(1, *ratios)


@dataclass(frozen=True, slots=True)
class Pki:
    """``pki``: kgen's own settings of keys. ``ship_ca_keys`` ``all`` puts kubeadm's full set on the masters.

    With ``kubelet_serving_certificates``, the cluster's CA signs those of all listed machines.
    ``external`` names the CAs whose keys are not in the bundle, ``intermediate`` those that another CA signed.
    """

    ship_ca_keys: Literal["all", "cluster"] = "all"
    keep_super_admin: bool = True
    kubelet_serving_certificates: bool = False
    external: frozenset[str] = frozenset()
    intermediate: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class User:
    """One entry of ``users``: cloud-init's fields as written, without ``plain_text_passwd``, which becomes a hash."""

    fields: Mapping[str, Any]
    plain_text_password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """Return the login name; ``default`` for cloud-init's default user."""
        return str(self.fields.get("name", ""))


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object of a file of ``manifests``: ``body`` is created in the API path ``collection``.

    ``place`` is ``file:line:column``, for messages.
    """

    collection: str
    body: Mapping[str, Any] = field(repr=False)
    place: str


@dataclass(frozen=True, slots=True)
class Patch:
    """A document of a file in ``patches.directory``: a patch of type ``kind`` for ``target``.

    Targets and kinds (``strategic``, ``merge``, ``json``) are kubeadm's. ``line`` and ``column`` are 1-based.
    """

    target: str
    kind: str
    body: Any = field(repr=False)
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Image:
    """``image`` without the runner: sources of programs by name, versions of packages, more container images.

    A program is ``{"package": version}``, ``{"url", "sha256"}`` or ``{"file", "sha256"}``; missing ones are packages.
    Packages have kgen's own names (config/image_fields.py), ``extra_packages`` the distribution's. ``units`` maps the
    systemd units that start at each boot to the text of their files; None: a package brings the file.
    """

    programs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    container_images: tuple[str, ...] = ()
    extra_packages: tuple[str, ...] = ()
    units: Mapping[str, str | None] = field(default_factory=dict)

    def source(self, program: str, version: Version) -> Mapping[str, str]:
        """Return where ``program`` comes from: by default a package of the Kubernetes release, in any revision."""
        return self.programs.get(program) or {"package": f"{version}".removeprefix("v") + "-*"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster file that was read and found valid.

    With ``external_etcd`` the masters run no etcd, and ``etcd`` means nothing. What ``hardening`` adds is in the
    arguments, fields and files already (``kgen.config.hardening``), except the modes of files.
    """

    name: str
    kubernetes_version: Version
    machines: tuple[Machine, ...]
    networking: Networking
    cluster_name: str
    pools: tuple[Machine, ...] = ()
    control_plane_endpoint: Endpoint | None = None
    api_server: ApiServer = ApiServer()
    controller_manager: Component = Component()
    scheduler: Component = Component()
    etcd: LocalEtcd = LocalEtcd()
    external_etcd: ExternalEtcd | None = None
    dns: Addon = Addon()
    proxy: Addon = Addon()
    image_repository: str = names.DEFAULT_IMAGE_REPOSITORY
    encryption_algorithm: Algorithm = "ECDSA-P256"
    certificate_validity: timedelta = timedelta(days=365)
    ca_certificate_validity: timedelta = timedelta(days=3650)
    timeouts: Timeouts = Timeouts()
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    bootstrap_tokens: tuple[BootstrapToken, ...] = (BootstrapToken(),)
    kubelet: Mapping[str, Any] = field(default_factory=dict)
    kube_proxy: Mapping[str, Any] = field(default_factory=dict)
    http_proxy: HttpProxy = HttpProxy()
    hardening: Literal["none", "cis"] = "none"
    hardening_exceptions: tuple[str, ...] = ()
    pki: Pki = Pki()
    runner: Literal["embedded", "baked"] = "embedded"
    image: Image = Image()
    provider: str = ""
    user_data_secrets: Literal["embedded", "byReference", "sealed"] = "embedded"
    metadata_fence: bool = False
    metadata_fence_host_network: bool = False
    set_hostname: bool = True
    ntp: Mapping[str, Any] | None = None
    users: tuple[User, ...] = ()
    manifests: tuple[Manifest, ...] = ()
    patches: tuple[Patch, ...] = ()

    @property
    def secrets_by_reference(self) -> bool:
        """Return whether machines get stubs, which fetch their documents."""
        return self.user_data_secrets == "byReference"

    @property
    def seals(self) -> bool:
        """Return whether the payload in each document is encrypted for its machine."""
        return self.user_data_secrets == "sealed"

    @property
    def masters(self) -> tuple[Machine, ...]:
        """Return the masters in file order; the first one keeps super-admin.conf."""
        return tuple(machine for machine in self.machines if machine.role == "master")

    @property
    def documents(self) -> tuple[Machine, ...]:
        """Return everything that gets a user-data document: machines, then pools, in file order."""
        return self.machines + self.pools

    @property
    def pool_tokens(self) -> Mapping[str, BootstrapToken]:
        """Return the token of each pool that has one of its own, by the pool's name."""
        return {
            pool.name: replace(token, description=token.description or f"for the machines of pool {pool.name}")
            for pool in self.pools
            if (token := pool.bootstrap_token) is not None
        }

    @property
    def static_pod_images(self) -> tuple[str, ...]:
        """Return the container images of the user's static pods, each once."""
        files = dict.fromkeys(machine.files for machine in self.documents)
        return tuple(dict.fromkeys(image for each in files for file in each for image in file.images))

    @property
    def endpoint(self) -> Endpoint:
        """Return what clients outside a master use: ``controlPlaneEndpoint``, else the only master's own address."""
        if self.control_plane_endpoint is not None:
            return self.control_plane_endpoint
        first = self.masters[0]
        return Endpoint(str(first.address), first.bind_port)

    @property
    def server(self) -> str:
        """Return ``https://`` and the endpoint, as in admin.conf and cluster-info."""
        return f"https://{self.endpoint}"

    @property
    def service_address(self) -> Address:
        """Return the first usable address of the first service subnet, the ``kubernetes`` Service."""
        return self.networking.service_subnets[0][1]

    @property
    def dns_address(self) -> Address:
        """Return the tenth address of the first service subnet, the ``kube-dns`` Service."""
        return self.networking.service_subnets[0][names.DNS_ADDRESS]
