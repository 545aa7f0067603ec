"""``kgen import``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgen.cli import arguments, console, new_file
from kgen.cli.init import refuse_bad_name
from kgen.errors import command, describe

if TYPE_CHECKING:
    from kgen.kubeadm.importing import Imported, Wanted

_STDIO = "-"
_ANOTHER = "kgen import --output FILE"


class _Machine(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.2 on
    """``NAME=ADDRESS``; a node's address may be left out."""

    name = "machine"

    def __init__(self, role: str) -> None:
        self._role = role

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Wanted:
        """Return the machine that the text describes."""
        from kgen.kubeadm.importing import Wanted

        name, _, address = str(value).partition("=")
        if not name or (self._role == "master" and not address):
            self.fail(f"{value!r} is no machine: write NAME=ADDRESS", param, ctx)
        return Wanted(self._role, name, address)


@click.command("import", short_help="Write a cluster file from kubeadm's configuration.")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--name", default="", metavar="NAME", help="Name of the cluster.  [default: clusterName, or cluster]")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    default="",
    help="Write the cluster file to FILE; `-` prints it.  [default: NAME.yaml]",
)
@click.option(
    "--master", "masters", type=_Machine("master"), multiple=True, metavar="NAME=ADDRESS", help="A master; repeatable."
)
@click.option(
    "--node", "nodes", type=_Machine("node"), multiple=True, metavar="NAME[=ADDRESS]", help="A node; repeatable."
)
@click.option("--running", is_flag=True, help="Read the configuration from a running cluster that kubeadm made.")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --running: the kubeconfig.  [default: KUBECONFIG, or ~/.kube/config]",
)
@click.option("--context", default="", metavar="NAME", help="With --running: the kubeconfig's context.")
@click.option(
    "--pki",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Make the secrets bundle from DIR, a copy of a master's /etc/kubernetes/pki.",
)
@arguments.JSON
def import_(
    files: tuple[str, ...],
    name: str,
    output: str,
    masters: tuple[Wanted, ...],
    nodes: tuple[Wanted, ...],
    running: bool,
    kubeconfig: Path | None,
    context: str,
    pki: Path | None,
    as_json: bool,
) -> None:
    """Write a cluster file from kubeadm's configuration: FILE is what `kubeadm init --config` takes; `-` is stdin.

    Each FILE may have several documents: InitConfiguration, ClusterConfiguration and JoinConfiguration (v1beta3 or
    v1beta4), KubeletConfiguration, KubeProxyConfiguration. The cluster file has a comment with the word DECIDE at
    everything that needs a decision. --master and --node name machines that the files do not name.

    With --running the configuration and the machines come from a cluster that kubeadm made. --pki takes over its CAs,
    so that kgen's machines join the same cluster.
    """
    from kgen import api

    if bool(files) == running:
        raise click.UsageError("give files of kubeadm's configuration, or --running")
    if output == _STDIO and pki is not None:
        raise click.UsageError("--pki needs a cluster file to put the secrets bundle beside: leave out `--output -`")
    if name:
        refuse_bad_name(name, "kgen import kubeadm.yaml --name prod")
    directory = Path(output).parent if output != _STDIO else Path()
    new_file.require_directory(directory / "x")
    if running:
        texts = api.running_configuration(kubeconfig, context)
    else:
        texts = [
            ("stdin", sys.stdin.read()) if file == _STDIO else (file, api.kubeadm_text(Path(file))) for file in files
        ]
    imported = api.import_kubeadm(texts, directory=directory, name=name, machines=(*masters, *nodes))
    path = Path(output or f"{imported.name}.yaml")
    ignored: list[str] = []
    bundle = None
    if output != _STDIO:
        new_file.refuse_existing(path, _ANOTHER)
        adopted = api.adopt_pki(pki, imported.text, path) if pki is not None else None
        ignored = new_file.write(path, imported.text, _ANOTHER)
        bundle = api.write_new_bundle(path, adopted) if adopted is not None else None
    if as_json:
        _remark(imported)
        console.out_json(
            {
                "path": None if output == _STDIO else str(path),
                "text": imported.text if output == _STDIO else None,
                "bundle": str(bundle) if bundle else None,
                "ignored": ignored,
                "notes": [describe(problem) for problem in imported.notes],
            },
            imported.decisions,
        )
        return
    if output == _STDIO:
        console.out(imported.text.removesuffix("\n"))
    else:
        new_file.report(path, ignored)
    if bundle is not None:
        console.out(f"written: {bundle}, with the CAs of {pki}: keep it secret")
    _remark(imported)
    if output != _STDIO:
        first = f"decide what {path} marks with DECIDE" if imported.decisions else f"read {path}"
        console.out(f"next: {first}, then `{command('render', path)}`")


def _remark(imported: Imported) -> None:
    """Say what was left out, and what needs a decision."""
    for problem in imported.notes:
        console.note(f"note: {problem}")
    for problem in imported.decisions:
        console.warning(problem)
