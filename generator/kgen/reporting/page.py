"""The page: prepared values, and a template with autoescape. It needs no script, and asks for nothing from anywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import jinja2

from kgen import __version__, resources
from kgen.emitters.contract import DocumentInfo
from kgen.errors import Problem
from kgen.facts.providers import PROVIDERS
from kgen.model import Cluster, Machine
from kgen.payload import NodeFile
from kgen.reporting.picture import picture
from kgen.reporting.reasons import reason
from kgen.reporting.timeline import timelines
from kgen.secrets_bundle.inventory import CertificateInfo

_MOST_DOCUMENTS = 60


@dataclass(frozen=True, slots=True)
class FileOnMachine:
    """A file that the first boot writes. Its content is not in the report."""

    path: str
    mode: str
    reason: str


@dataclass(frozen=True, slots=True)
class Size:
    """A document's size beside a limit; ``percent`` of the limit, at most 100."""

    name: str
    counted_bytes: int
    limit_bytes: int | None
    percent: float

    @property
    def fits(self) -> bool:
        """Return whether the document is within the limit."""
        return self.limit_bytes is None or self.counted_bytes <= self.limit_bytes


def page(
    cluster: Cluster,
    certificates: Sequence[CertificateInfo],
    documents: Sequence[DocumentInfo],
    files: Mapping[str, Sequence[NodeFile]],
    warnings: Collection[Problem],
) -> str:
    """Return the HTML. ``files`` are those of the machines that are shown in detail, by name."""
    machines = {machine.name: machine for machine in cluster.documents}
    return (
        _environment()
        .get_template("report/report.html.j2")
        .render(
            kgen=__version__,
            cluster=cluster,
            picture=picture(cluster),
            timelines=timelines(certificates),
            sizes=list(_sizes(documents)),
            unchecked=[] if cluster.provider else list(_providers(documents)),
            provider=PROVIDERS.get(cluster.provider),
            hidden_documents=max(0, len(documents) - _MOST_DOCUMENTS),
            machines=[(machines[name], _facts(machines[name]), _files(listed)) for name, listed in files.items()],
            hidden_machines=len(machines) - len(files),
            warnings=sorted(warnings),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (resources.template_text(name), None, None)),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["at"] = lambda value: f"{value:.1f}"
    return environment


def _sizes(documents: Sequence[DocumentInfo]) -> Iterator[Size]:
    """Yield the sizes of the documents, the largest first."""
    largest = max((document.counted_bytes for document in documents), default=1)
    for document in sorted(documents, key=lambda each: (-each.counted_bytes, each.machine))[:_MOST_DOCUMENTS]:
        limit = document.limit_bytes
        yield Size(document.machine, document.counted_bytes, limit, _percent(document.counted_bytes, limit or largest))


def _providers(documents: Sequence[DocumentInfo]) -> Iterator[Size]:
    """Yield for each provider the size of the largest document as this provider counts it."""
    largest = max((document.counted_bytes for document in documents), default=0)
    for row in PROVIDERS.values():
        if row.gzip and row.limit_bytes is not None:
            counted = row.count(largest)
            yield Size(row.title, counted, row.limit_bytes, _percent(counted, row.limit_bytes))


def _percent(counted: int, limit: int) -> float:
    return min(100.0, 100 * counted / limit)


def _facts(machine: Machine) -> list[tuple[str, str]]:
    labels = ", ".join(f"{key}={value}" if value else key for key, value in machine.labels.items())
    rows = [
        ("role", f"{machine.role} (pool)" if machine.is_pool else machine.role),
        ("address", ", ".join(map(str, machine.addresses))),
        ("pods", str(machine.pod_cidr or "")),
        ("labels", labels),
        ("taints", ", ".join(map(str, machine.taints))),
        ("MAC address", machine.mac),
        ("serial number", machine.serial),
        ("UUID", machine.uuid),
    ]
    return [(name, value) for name, value in rows if value]


def _files(files: Sequence[NodeFile]) -> list[FileOnMachine]:
    return [FileOnMachine(str(file.path), f"{file.mode:04o}", reason(str(file.path))) for file in files]
