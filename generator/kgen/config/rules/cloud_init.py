"""Rules about ``cloudInit:``: cloud-init's own, and what would break the first boot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kgen.config.cloud_init_fields import RUNCMD_AFTER
from kgen.config.rules.facts import Facts
from kgen.facts import cloud_init, own_paths
from kgen.reader.objects import Draft
from kgen.reader.report import Report
from kgen.reader.tree import Mapping, Node
from kgen.reader.tree import Sequence as SequenceNode


def cloud_init_takes_it(facts: Facts, report: Report) -> None:
    """cloud-init's schema accepts the values."""
    for holder in _holders(facts):
        config = dict(holder.get("cloudInit") or {})
        after = config.pop(RUNCMD_AFTER, None)
        found = list(cloud_init.flaws(config))
        if after is not None:
            found += (((RUNCMD_AFTER, *path[1:]), reason) for path, reason in cloud_init.flaws({"runcmd": after}))
        for path, reason in found:
            hint = f"see `{path[0]}` in cloud-init's reference of modules" if path else ""
            report.error(place_of(holder.at("cloudInit"), path), "K370", f"cloud-init refuses this: it {reason}", hint)


def cloud_init_leaves_the_first_boot_alone(facts: Facts, report: Report) -> None:
    """No key overwrites kgen's files, turns the machine off too early, or keeps the kubelet from starting."""
    for holder in _holders(facts):
        config = holder.get("cloudInit") or {}
        node = holder.at("cloudInit")
        for number, entry in enumerate(_list(config.get("write_files"))):
            path = entry.get("path") if isinstance(entry, dict) else None
            if isinstance(path, str) and (hint := own_paths.instead(path)):
                place = place_of(node, ("write_files", number, "path"))
                report.error(place, "K351", f"{path} cannot be a file of yours", hint)
        power = config.get("power_state")
        if isinstance(power, dict) and "condition" in power:
            message = "kgen sets the condition: the machine waits until its first boot is done"
            report.error(place_of(node, ("power_state", "condition")), "K371", message, "remove it")
        if _has_swap(config) and not _may_swap(facts, holder):
            message = "the kubelet does not start while swap is on"
            hint = "add failSwapOn: false below `kubelet:`, and memorySwap where pods may use it"
            report.error(place_of(node, ("swap",) if "swap" in config else ("mounts",)), "K372", message, hint)


def _has_swap(config: dict[str, Any]) -> bool:
    swap = config.get("swap")
    mounts = [entry for entry in _list(config.get("mounts")) if isinstance(entry, list)]
    return (isinstance(swap, dict) and swap.get("size") not in (None, 0, "0")) or any(
        "swap" in entry[1:3] for entry in mounts
    )


def _may_swap(facts: Facts, holder: Draft) -> bool:
    return any((each.get("kubelet") or {}).get("failSwapOn") is False for each in (holder, facts.root))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _holders(facts: Facts) -> list[Draft]:
    return [holder for holder in (facts.root, *facts.documents) if holder.is_given("cloudInit")]


def place_of(node: Node, path: Iterable[str | int]) -> Node:
    """Return the node at ``path``, or the nearest one above it that there is."""
    for step in path:
        if isinstance(node, Mapping) and step in node.entries:
            node = node.entries[step][1]
        elif isinstance(node, SequenceNode) and isinstance(step, int):
            node = node.items[step]
        else:
            break
    return node
