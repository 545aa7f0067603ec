"""The measurements: each returns rows. Budgets: the smallest claim a user can rely on; a broken one fails the run."""

from __future__ import annotations

import sys

from . import sizes
from .measure import Series, in_turn, process
from .report import Row
from .subjects import cluster_file, cold_render, kubeadm, render, scratch

COLD_RATIO = 0.5  # of kubeadm's three phases, each program with its own defaults
WARM_SECONDS = 0.3
STARTUP_SECONDS = 0.2
SCALE_SECONDS = {1_000: 1.5, 10_000: 10.0}
SCALE_MIB = 150
MASTER_BYTES = 22_500
NODE_BYTES = 11_000
BAKED_MASTER_BYTES = 12_500
BAKED_NODE_BYTES = 3_000
SCALE_ROUNDS = 3


def _time(group: str, what: str, series: Series, budget: float | None = None) -> Row:
    low, high = series.spread
    return Row(group, what, series.seconds, "s", budget, f"median of {len(series.samples)}, {low:.3f}-{high:.3f}")


def cold(runs: int) -> list[Row]:
    """Return the first render of 1 master + 1 node beside kubeadm's certs, kubeconfig and control-plane phases."""
    group = "First render, new PKI, 1 master + 1 node, beside kubeadm init phase certs + kubeconfig + control-plane"
    kgen_p256 = cluster_file(1, 1)
    kgen_rsa = cluster_file(1, 1, algorithm="RSA-2048")
    series = in_turn(
        {
            "kgen, ECDSA-P256 (its default)": lambda: cold_render(kgen_p256),
            "kubeadm, RSA-2048 (its default)": kubeadm,
            "kgen, RSA-2048": lambda: cold_render(kgen_rsa),
            "kubeadm, ECDSA-P256": lambda: kubeadm("ECDSA-P256"),
        },
        runs,
    )
    rows = [_time(group, name, taken) for name, taken in series.items()]
    own, theirs, own_rsa, theirs_p256 = (taken.seconds for taken in series.values())
    return [
        *rows,
        Row(group, "kgen / kubeadm, each with its defaults", own / theirs, "x", COLD_RATIO),
        Row(group, "kgen / kubeadm, both RSA-2048", own_rsa / theirs, "x"),
        Row(group, "kgen / kubeadm, both ECDSA-P256", own / theirs_p256, "x"),
    ]


def warm(runs: int) -> list[Row]:
    """Return a render that finds everything unchanged, and how much of it is start-up."""
    group = "Second render, nothing changed, 1 master + 1 node"
    with scratch(cluster_file(1, 1)) as directory:
        render(directory)
        imports = [sys.executable, "-c", "import kgen.cli.main, kgen.api"]
        series = in_turn(
            {
                "kgen render": lambda: render(directory),
                "of which interpreter and imports": lambda: process(imports, directory),
            },
            runs,
        )
    budgets = (WARM_SECONDS, STARTUP_SECONDS)
    return [_time(group, name, taken, budget) for (name, taken), budget in zip(series.items(), budgets, strict=True)]


def scale(runs: int) -> list[Row]:
    """Return time and memory of large clusters, every node listed or all of them a pool."""
    rounds = min(runs, SCALE_ROUNDS)
    listed = {count: cluster_file(3, count) for count in SCALE_SECONDS}
    pool = cluster_file(3, pool=True)

    series = in_turn(
        {
            "1,000 nodes listed": lambda: cold_render(listed[1_000]),
            "10,000 nodes listed": lambda: cold_render(listed[10_000]),
            "a pool for any number": lambda: cold_render(pool),
        },
        rounds,
    )
    group = "First render, 3 masters +"
    rows = []
    for (name, taken), budget in zip(series.items(), [*SCALE_SECONDS.values(), None], strict=True):
        rows.append(_time(group, f"{name}: time", taken, budget))
        rows.append(Row(group, f"{name}: peak memory", taken.peak_mib, "MiB", SCALE_MIB))
    return rows


def user_data(_runs: int) -> list[Row]:
    """Return the bytes of each kind of document, and of its parts compressed on their own."""
    kinds = (
        ("m1", "master of three", MASTER_BYTES, ""),
        ("w1", "listed node", None, ""),
        ("workers", "pool", NODE_BYTES, ""),
        ("m1", "master of three, runner in the image", BAKED_MASTER_BYTES, "baked"),
        ("workers", "pool, runner in the image", BAKED_NODE_BYTES, "baked"),
    )
    rows = []
    for name, kind, budget, runner in kinds:
        with scratch(cluster_file(3, 1, pool=True, runner=runner)) as directory:
            render(directory)
            total, parts = sizes.document(directory / f"outputs/bench/user-data/{name}.yaml.gz")
        group = f"User-data of a {kind} (parts compressed on their own)"
        rows.append(Row(group, "document", total, "bytes", budget))
        rows += [Row(group, part, size, "bytes") for part, size in parts.items()]
    return rows


CASES = {"cold": cold, "warm": warm, "scale": scale, "sizes": user_data}
