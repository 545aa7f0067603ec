"""The command or snippet that starts a machine with its rendered user-data, by provider and tool."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

from kgen.api import image, published, rendering, seeds
from kgen.config.load import load
from kgen.emitters.stub import STUBS
from kgen.errors import InputError, command
from kgen.facts import names
from kgen.facts.providers import PROVIDERS, Provider
from kgen.facts.providers_roads import NOCLOUD, ROADS, Road, fill
from kgen.model import Cluster, Machine
from kgen.user_data import sealing


@dataclass(frozen=True, slots=True)
class Attachment:
    """The text for ``road``. ``path`` is the file that it names, ``counted_bytes`` its size as the provider counts."""

    road: Road
    path: Path
    counted_bytes: int
    limit_bytes: int | None
    text: str


def attach(cluster_file: Path, machine: str, output: Path = image.DEFAULT_OUTPUT, *, tool: str = "") -> Attachment:
    """Return the command or snippet that starts ``machine`` with what was rendered into ``output``.

    Without ``tool`` it is the first road to the provider of the cluster file. With a NoCloud seed, ``machine`` may also
    be a machine of a pool to which `kgen seed --name` gave a seed.

    Raises:
        ProblemsError, InputError: the cluster file is wrong; there is no such machine or tool; the machine's files are
            not what is rendered; or the provider does not take a document of this size.
    """
    cluster = load(cluster_file).cluster
    road = _road(cluster, tool)
    root = output / cluster.name
    listed = {it.name for it in cluster.documents}
    pool = seeds.recorded_members(root).get(machine, "") if machine not in listed else ""
    if pool and road.form != "seed":
        hint = f"name its pool: `{command('attach', cluster_file, pool, output=output)}`"
        raise InputError(f"{machine} has a seed, and {road.tool} takes user-data", hint)
    target = rendering.find(cluster, pool or machine)
    needs_role = target.join_from == "ssm"
    is_served = published.recorded_bucket(root).get("to") == "serve"
    if road.form == "seed":
        path = _seed(cluster_file, output, machine)
    elif is_served and target.is_pool:
        raise InputError(published.no_stub(target.name), published.NO_STUB_HINT)
    elif is_served or (road.provider == "ec2" and (cluster.secrets_by_reference or published.machines(root))):
        path = _stub(cluster_file, cluster, output, target, is_text=road.form == "text")
        needs_role = needs_role or not is_served
    elif cluster.secrets_by_reference:
        raise InputError(published.no_role(road.provider), published.serve_hint(cluster_file, output))
    else:
        rendering.rendered_payload(cluster_file, machine, output)
        path = root / "user-data" / f"{machine}{'.yaml' if road.form == 'text' else '.yaml.gz'}"
        if not path.exists():
            hint = f"`{command('render', cluster_file, '--review', output=output)}` writes it"
            raise InputError(f"{road.tool} takes plain text, and there is no {path}", hint)
    provider = PROVIDERS[road.provider]
    counted = provider.count(path.stat().st_size)
    if provider.limit_bytes is not None and counted > provider.limit_bytes:
        publish = published.publish_command(cluster_file, root, provider.name)
        raise _too_large(provider, road, machine, counted, cluster, publish)
    started = replace(target, name=machine, is_pool=target.is_pool and not pool)
    head = [*_head(provider, road, cluster, started, path, counted), *_addresses(road, target)]
    body = _text(road, cluster, started, path, needs_role=needs_role)
    text = "\n".join([*head, *_key(root, cluster, target), body])
    return Attachment(road, path, counted, provider.limit_bytes, text)


def tools() -> tuple[str, ...]:
    """Return the names of all tools that start machines."""
    return tuple(dict.fromkeys(road.tool for road in ROADS))


def _road(cluster: Cluster, tool: str) -> Road:
    """Return the road with ``tool`` to the cluster's provider. NoCloud seeds serve every provider."""
    own = [road for road in ROADS if road.provider in (cluster.provider or road.provider, NOCLOUD)]
    if not tool and not cluster.provider:
        hint = f"add `provider:` to the cluster file, or name the tool: --with {', '.join(tools())}"
        raise InputError("the cluster file names no provider", hint)
    fitting = [road for road in own if road.tool == tool] if tool else own
    if not fitting:
        names = ", ".join(road.tool for road in own)
        raise InputError(f"there is no road to {cluster.provider} with {tool}", f"the tools for it are: {names}")
    if not cluster.provider and len(fitting) > 1:
        names = ", ".join(road.provider for road in fitting)
        raise InputError(f"{tool} serves several providers", f"add `provider:` to the cluster file, one of {names}")
    return fitting[0]


def _seed(cluster_file: Path, output: Path, machine: str) -> Path:
    """Return the path of the machine's seed, which is as `kgen seed` would write it."""
    result = seeds.seed(cluster_file, output, check=True)
    found = next((each for each in result.seeds if each.name == machine), None)
    if found is None:
        raise InputError(f"{machine} has no seed: it is of a pool without a stub", published.NO_STUB_HINT)
    if any(change.path in (str(found.iso), f"{found.directory}/user-data") for change in result.changes):
        hint = f"run `{command('seed', cluster_file, output=output)}`"
        raise InputError(f"the seed of {machine} in {result.root} is missing or not up to date", hint)
    return result.root / found.iso


def _stub(cluster_file: Path, cluster: Cluster, output: Path, machine: Machine, *, is_text: bool) -> Path:
    """Return the path of the machine's stub, whose object is what the cluster file says now."""
    published.stubs(cluster_file, cluster, output, [machine.name])
    return output / cluster.name / STUBS / f"{machine.name}{'.yaml' if is_text else '.yaml.gz'}"


def _too_large(
    provider: Provider, road: Road, machine: str, counted: int, cluster: Cluster, publish: str
) -> InputError:
    """Return the error for a document over the limit. ``publish`` is the command that makes a stub of it."""
    unit = "base64 counts" if provider.counts == "base64" else "the bytes before base64 count"
    message = f"the user-data of {machine} has {counted:,} bytes, and {provider.title} takes {provider.limit_bytes:,}"
    remedies = []
    if road.form == "text" and provider.gzip:
        others = [each.tool for each in ROADS if each.provider == provider.name and each.form == "gzip"]
        remedies.append(f"{road.tool} takes plain text only: use `--with {others[0]}`, which takes the gzip")
    if cluster.runner == "embedded":
        remedies.append("put the runner into the image: `image: {runner: baked}`")
    remedies.append(f"publish it: `{publish}`")
    remedies.append("start the machine from a NoCloud seed, which has no limit")
    return InputError(f"{message} ({unit})", "; ".join(remedies))


def _head(
    provider: Provider, road: Road, cluster: Cluster, machine: Machine, path: Path, counted: int
) -> Iterator[str]:
    """Yield the comment above the text: what it attaches, how the size counts, what checks the text."""
    what = "the nodes of pool " if machine.is_pool else ""
    yield f"# Start {what}{machine.name} of the cluster {cluster.name}: {provider.title}, {road.tool}."
    yield f"# User-data: {_one_line(path)}"
    if provider.limit_bytes is not None:
        how = "its base64 counts" if provider.counts == "base64" else "the bytes before base64 count"
        yield f"# Size: {counted:,} bytes of {provider.limit_bytes:,}; {how}."
    yield f"# Field: {road.field}; {road.encoding}."
    yield f"# Checked by {road.checked_by}."
    yield "# Replace the words in capitals; add what your machines need besides."
    if machine.is_pool:
        yield "# The document fits any number of machines. Give each its own name."


def _addresses(road: Road, machine: Machine) -> Iterator[str]:
    """Yield the comment about the machine's addresses that the text does not give it."""
    given = _ipv4(machine) if "@address@" in road.text else ""
    if left := [str(each) for each in machine.addresses if str(each) != given]:
        yield f"# Give the machine {' and '.join(left)} by other means, such as DHCP: this text does not."


def _ipv4(machine: Machine) -> str:
    """Return the machine's first IPv4 address, or "": tools take those of the other family by other options."""
    return next((str(each) for each in machine.addresses if isinstance(each, IPv4Address)), "")


def _key(root: Path, cluster: Cluster, machine: Machine) -> Iterator[str]:
    """Yield the comment about the key of a sealed document."""
    if cluster.seals:
        key = _one_line(root / sealing.key_file(machine.name))
        yield f"# It is sealed: bring {key} to {names.SEAL_KEY_PATH} of the machine by another way"
        yield "# (`kgen docs sealed-user-data`)."


def _one_line(path: Path) -> str:
    return str(path).replace("\n", " ").replace("\r", " ")


def _text(road: Road, cluster: Cluster, machine: Machine, path: Path, *, needs_role: bool) -> str:
    """Return the command or snippet. With ``needs_role`` the machine fetches from AWS, with an instance profile."""
    name = "NAME" if machine.is_pool else machine.name
    file = _file(path)
    values: Mapping[str, str] = {
        "path": file,
        "fileb": f"fileb://{file}",
        "disk": f"path={_quoted(file)},bus=virtio,readonly=on",
        "name": name,
        "label": name.replace(".", "-"),
        "long_label": f"{cluster.name}-{name}",
        "cluster": cluster.name,
        "resource": re.sub(r"^(?=[^a-zA-Z_])", "_", re.sub(r"[^a-zA-Z0-9_-]", "_", machine.name)),
        "tags": f"ResourceType=instance,Tags=[{{Key=Name,Value={name}}}]",
        "address": _ipv4(machine),
        "profile": "INSTANCE_PROFILE" if needs_role else "",
        "mac": machine.mac,
        "uuid": machine.uuid,
    }
    return fill(road, values)


def _file(path: Path) -> str:
    """Return the path as a word that no tool takes for an option, a home directory, or a file of another host (scp)."""
    text = str(path)
    return text if path.is_absolute() or not (text[0] in "-@~" or ":" in text) else f"./{text}"


def _quoted(text: str) -> str:
    """Return the value of a suboption as virt-install splits it, at commas and with the quotes of a POSIX shell."""
    if "," not in text:
        return shlex.quote(text)
    return "'" + text.replace("'", """'"'"'""") + "'"
