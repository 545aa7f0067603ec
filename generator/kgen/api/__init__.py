"""Everything ``kgen`` does, for Python programs: load, render, write. It prints nothing.

>>> from pathlib import Path
>>> from kgen import api
>>> result = api.render(Path("cluster.yaml"))          # doctest: +SKIP
>>> [document.path for document in result.documents]   # doctest: +SKIP
"""

from kgen.api.attaching import Attachment, attach
from kgen.api.bundle import (
    AcceptedCertificates,
    MachineRoutes,
    accept,
    certificates,
    expiry_warnings,
    join_command,
    renew,
    rotate_encryption,
    routes,
    signing_requests,
)
from kgen.api.bundle_file import (
    BundleFile,
    decrypt_bundle,
    edit_recipients,
    encrypt_bundle,
    passphrase_in,
    use_identity,
)
from kgen.api.comparison import Comparison, compare
from kgen.api.exposures import ExposureReport, exposures
from kgen.api.image import (
    BakeResult,
    bake,
    container_images,
    pull_container_images,
    save_container_images,
    verify_image,
)
from kgen.api.migration import (
    adopt_pki,
    export_kubeadm,
    import_kubeadm,
    kubeadm_text,
    running_configuration,
    write_new_bundle,
)
from kgen.api.publishing import PublishResult, UnpublishResult, policies, publish, unpublish
from kgen.api.rendering import RenderResult, apply_script, describe, emit, render
from kgen.api.reports import ReportResult, report
from kgen.api.running import etcd_snapshot, status, wait
from kgen.api.seeds import Seed, SeedResult, seed
from kgen.api.stored_tokens import store_tokens
from kgen.api.tokens import RenewedToken, Rotation, renew_tokens, rotate_token
from kgen.comparing.changes import Difference
from kgen.config.load import Loaded, load, load_text
from kgen.output.artifacts import Artifact

__all__ = [
    "AcceptedCertificates",
    "Artifact",
    "Attachment",
    "BakeResult",
    "BundleFile",
    "Comparison",
    "Difference",
    "ExposureReport",
    "Loaded",
    "MachineRoutes",
    "PublishResult",
    "RenderResult",
    "RenewedToken",
    "ReportResult",
    "Rotation",
    "Seed",
    "SeedResult",
    "UnpublishResult",
    "accept",
    "adopt_pki",
    "apply_script",
    "attach",
    "bake",
    "certificates",
    "compare",
    "container_images",
    "decrypt_bundle",
    "describe",
    "edit_recipients",
    "emit",
    "encrypt_bundle",
    "etcd_snapshot",
    "expiry_warnings",
    "export_kubeadm",
    "exposures",
    "import_kubeadm",
    "join_command",
    "kubeadm_text",
    "load",
    "load_text",
    "passphrase_in",
    "policies",
    "publish",
    "pull_container_images",
    "render",
    "renew",
    "renew_tokens",
    "report",
    "rotate_encryption",
    "rotate_token",
    "routes",
    "running_configuration",
    "save_container_images",
    "seed",
    "signing_requests",
    "status",
    "store_tokens",
    "unpublish",
    "use_identity",
    "verify_image",
    "wait",
    "write_new_bundle",
]
