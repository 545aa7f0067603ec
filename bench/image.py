"""What an image saves: power-on to Ready with runner and container images in it, and without: `make bench-image`.

The same image each time. Without its container images they come from a registry on the machines' own segment, which is
as near as a registry can be; without its runner the documents bring it. Needs root and an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.boot.clusters import Cluster
from tests.boot.host import host
from tests.boot.machines import GATEWAY, Segment
from tests.components import cache, containers, machine_image, registry

from . import boot
from .report import Row, table

MARKS = ("start", "published", "master Ready", "CoreDNS rolled out", "node start", "node Ready")


@dataclass
class Variant:
    """What is in the image, and the marks of its runs."""

    name: str
    runner: str
    is_preloaded: bool
    marks: list[dict[str, float]] = field(default_factory=list)


def main() -> int:
    """Run the variants in turn and print marks and what each lacks in seconds."""
    parser = argparse.ArgumentParser(prog="python -m bench.image", description=__doc__)
    parser.add_argument("-n", "--runs", type=int, default=3, help="runs of each variant (default %(default)s)")
    options = parser.parse_args()
    host()  # probed before the first boot
    whole = Variant("all in the image", "baked", is_preloaded=True)
    others = [
        Variant("runner in the documents", "embedded", is_preloaded=True),
        Variant("container images pulled", "baked", is_preloaded=False),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        empty = _without_images(Path(scratch))
        for number in range(options.runs):
            for variant in (whole, *others):
                print(f"bench: run {number + 1}, {variant.name} …", file=sys.stderr, flush=True)
                while not _run(variant, empty):
                    print("bench: an emulated kernel panicked; once more …", file=sys.stderr, flush=True)
                print(json.dumps(variant.marks[-1]), file=sys.stderr, flush=True)
    medians = {
        each.name: {mark: statistics.median(it[mark] for it in each.marks) for mark in MARKS}
        for each in (whole, *others)
    }
    rows = [
        Row(f"{each.name}, seconds since power-on", mark, medians[each.name][mark], "s")
        for each in (whole, *others)
        for mark in MARKS
    ]
    rows += [
        Row(f"saved: {each.name}", mark, medians[each.name][mark] - medians[whole.name][mark], "s")
        for each in others
        for mark in MARKS
    ]
    print(table(rows))
    return 0


def _run(variant: Variant, empty: Path) -> bool:
    """Boot one master and one node; returns whether it counts: not after a panic of an emulated kernel."""
    with tempfile.TemporaryDirectory() as scratch, Segment("image") as segment:
        text = boot.CLUSTER.format(algorithm=boot.DEFAULT_ALGORITHM, runner=variant.runner)
        cluster = Cluster(segment, Path(scratch, "cluster"), text)
        master, node = cluster.machine("m1", 11), cluster.machine("w1", 21, cpus=1, memory=2048)
        if variant.is_preloaded:
            marks = boot.boot(boot.kgen_itself(), cluster, master, node)
        else:
            for machine in (master, node):
                machine.new_disk(empty)
            with _registry(segment, Path(scratch, "registry")):
                marks = boot.boot(boot.kgen_itself(), cluster, master, node)
        if master.panics or node.panics:
            return False
        variant.marks.append({name: round(marks[name], 1) for name in MARKS})
        return True


@contextmanager
def _registry(segment: Segment, directory: Path) -> Iterator[None]:
    """Serve the images of the release to the machines of ``segment``."""
    release = machine_image.FORKY
    archives = containers.archives(release.kubernetes, release.etcd, release.coredns, release.pause)
    with registry.Registry(directory, GATEWAY, within=segment.command()) as served:
        for archive, path in registry.references(archives):
            served.push(archive, path)
        yield


def _without_images(directory: Path) -> Path:
    """Return a copy of the machines' disk without container images, whose containerd asks the segment's registry."""
    disk, root = directory / machine_image.DISK, directory / "root"
    original = machine_image.machine_image(machine_image.FORKY) / machine_image.DISK
    cache.run(["cp", "--sparse=always", "--reflink=auto", original, disk])
    with machine_image.mounted(disk, root):
        for path in (root / "var/lib/containerd").iterdir():
            shutil.rmtree(path)
        hosts = root / "etc/containerd/certs.d" / containers.REGISTRY / "hosts.toml"
        hosts.parent.mkdir(parents=True)
        hosts.write_text(f'[host."http://{GATEWAY}:{registry.PORT}"]\n', encoding="utf-8")
    return disk


if __name__ == "__main__":
    sys.exit(main())
