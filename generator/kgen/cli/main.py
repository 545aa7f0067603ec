"""The command ``kgen``: its verbs and exit codes (docs/reference/cli.md)."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import click

from kgen import __version__
from kgen.cli import console
from kgen.cli.apply import apply
from kgen.cli.attach import attach
from kgen.cli.bake import bake
from kgen.cli.bundle import bundle
from kgen.cli.certs import certs
from kgen.cli.completion import completion
from kgen.cli.diff import diff
from kgen.cli.docs import docs
from kgen.cli.encryption import encryption
from kgen.cli.etcd import etcd
from kgen.cli.explain import explain
from kgen.cli.export import export
from kgen.cli.exposure import exposure
from kgen.cli.images import images
from kgen.cli.import_ import import_
from kgen.cli.init import init
from kgen.cli.lab import lab
from kgen.cli.publish import publish, unpublish
from kgen.cli.render import render
from kgen.cli.report import report
from kgen.cli.routes import routes
from kgen.cli.schema import schema
from kgen.cli.seed import seed
from kgen.cli.serve import serve
from kgen.cli.status import status
from kgen.cli.token import token
from kgen.cli.wait import wait
from kgen.errors import ExitCode, InputError, KgenError

INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 128 + signal.SIGPIPE


class _Verbs(click.Group):
    """A group that lists its verbs in the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Compute a Kubernetes cluster offline, from one file, and boot it from cloud-init user-data.

    Start with `kgen init`, edit cluster.yaml, then run `kgen render cluster.yaml`. Secrets are created once and kept
    beside the cluster file, in cluster.secrets.yaml: back it up. Everything else can be rendered again.

    Exit codes: 0 done, 1 failed, 2 the input or the command line is wrong, 3 a check found a difference.
    """


for verb in (
    init,
    import_,
    render,
    diff,
    exposure,
    report,
    seed,
    serve,
    publish,
    unpublish,
    attach,
    lab,
    bake,
    images,
    wait,
    status,
    apply,
    routes,
    certs,
    bundle,
    token,
    encryption,
    etcd,
    explain,
    docs,
    export,
    schema,
    completion,
):
    cli.add_command(verb)


def entry(arguments: Sequence[str] | None = None) -> None:
    """Run ``kgen`` with ``arguments`` (default: the process's) and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run ``kgen`` and return its exit code. Any exception that is raised is a bug."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not if it is closed
            stream.reconfigure(errors="replace")  # a file's name may be no text
    wants_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        result: Any = cli.main(arguments, prog_name="kgen", standalone_mode=False)
        return result if isinstance(result, int) else ExitCode.DONE
    except console.ReaderGoneError:
        return READER_GONE
    except KgenError as error:
        failure, code = error, int(error.exit_code)
        console.error(error)
    except click.ClickException as error:
        failure, code = _as_input_error(error), ExitCode.BAD_INPUT
        console.usage_error(error)
    except (KeyboardInterrupt, click.Abort):
        failure, code = KgenError("interrupted"), INTERRUPTED
        console.note(failure.message)
    except SystemExit as ended:  # of _terminate
        failure, code = KgenError("terminated"), int(ended.code or 0)
    if wants_json:
        console.error_json(failure, code)
    return code


def _as_input_error(error: click.ClickException) -> InputError:
    """Return the error of a wrong command line as kgen's own."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"`{context.command_path} --help` shows what it takes" if context else ""
    return InputError(error.format_message(), hint)


def _terminate(number: int, frame: FrameType | None) -> None:
    """Exit as after Ctrl-C, so that unfinished changes are undone. The exit code tells the signal."""
    sys.exit(128 + number)
