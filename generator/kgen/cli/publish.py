"""``kgen publish`` and ``kgen unpublish``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click

from kgen.cli import arguments, console
from kgen.cli.render import documents_table
from kgen.errors import command

if TYPE_CHECKING:
    from kgen.api import PublishResult

HTTPS = 443  # the port of a URL that names none


@click.command(short_help="Put machines' files into AWS, and write small user-data that fetches them.")
@arguments.CLUSTER_FILE
@click.option(
    "--to",
    type=click.Choice(("s3", "secretsmanager", "serve")),
    default="s3",
    show_default=True,
    help="Put payloads into a bucket, or into a secret for each machine; or let kgen serve give them.",
)
@click.option("--bucket", default="", metavar="BUCKET", help="For s3: the bucket. It must exist, and be yours.")
@click.option("--region", default="", metavar="REGION", help="The region; fail if the bucket is in another one.")
@click.option("--kms-key", default="", metavar="ARN", help="Encrypt with this KMS key. Default: that of AWS.")
@click.option("--bucket-owner", default="", metavar="ACCOUNT", help="Default: the account of the credentials.")
@click.option("--url", default="", metavar="URL", help="For serve: kgen serve as machines reach it, by HTTPS.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="For serve: its certificate, which stubs pin.",
)
@click.option(
    "--launch-templates",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Create or update a launch template for each machine and pool, with what FILE says of them in JSON.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would be done.")
@click.option(
    "--print-policies", is_flag=True, help="Print the IAM policies that machines and publisher need; do nothing."
)
@arguments.output("Write the stubs to DIR/<cluster>/publish.")
@arguments.JSON
def publish(
    cluster_file: Path,
    to: Literal["s3", "secretsmanager", "serve"],
    bucket: str,
    region: str,
    kms_key: str,
    bucket_owner: str,
    url: str,
    certificate: Path | None,
    launch_templates: Path | None,
    dry_run: bool,
    print_policies: bool,
    output: Path,
    as_json: bool,
) -> None:
    """Put the payload of each machine of CLUSTER_FILE into S3 or Secrets Manager, and write its stub.

    A stub is user-data of 1.5 kB without secrets. At the first boot it fetches the payload with the role of the EC2
    instance, checks its sha256, and runs it. So a machine boots from an image that has nothing of kgen, however large
    its payload is. Run `kgen render` before. Credentials are those that boto3 finds.

    What is there is not put again. If anything fails, run the same command again.

    With --to serve nothing is put anywhere. The stubs of listed machines ask `kgen serve`, which they know by its
    certificate, with a token that is good once. That works in every cloud.
    """
    from kgen import api

    if print_policies:
        with_templates = launch_templates is not None
        found = api.policies(
            cluster_file, bucket, to=to, kms_key=kms_key, region=region, launch_templates=with_templates
        )
        console.out_json(found)
        return
    result = api.publish(
        cluster_file,
        bucket,
        output,
        to=to,
        region=region,
        kms_key=kms_key,
        owner=bucket_owner,
        url=url,
        certificate=certificate,
        launch_templates=launch_templates,
        dry_run=dry_run,
    )
    for warning in result.warnings:
        console.note(f"warning: {warning}")
    if as_json:
        console.out_json(_as_json(result, dry_run=dry_run))
        return
    if dry_run:
        _print_plan(result)
        return
    console.out(documents_table(result.root, result.documents))
    console.out()
    if to == "serve":
        listen = ("--listen", f"0.0.0.0:{urlsplit(result.url).port or HTTPS}")
        serve = command(
            "serve", cluster_file, *listen, "--certificate", str(certificate), "--key", "KEY", output=output
        )
        console.out(f"next: `{serve}`")
        console.out(f"  gives each machine its payload, once, at {result.url}")
    else:
        console.out(f"{result.url} ({result.region}): {len(result.put):,} objects put, {len(result.kept):,} unchanged")
    _print_templates(result)
    if result.old:
        console.out(
            f"{len(result.old):,} objects of earlier contents are kept for machines with earlier stubs; "
            f"`{command('unpublish', cluster_file, '--old', output=output)}` removes them"
        )
    if launch_templates is not None:
        template = f"LaunchTemplateName=kgen/{result.root.name}/MACHINE"
        console.out(f"next: `aws ec2 run-instances --launch-template {template} --subnet-id SUBNET`")
        console.out("  starts a machine; a listed one also needs `--private-ip-address` and its address")
    else:
        attach = command("attach", cluster_file, "MACHINE", output=output)
        console.out(f"next: `{attach}` prints the command that starts a machine with its stub")


def _print_plan(result: PublishResult) -> None:
    """Print what would be done. A sha256 is shortened; the copies of objects on this disk are only counted."""
    from kgen.emitters.stub import OBJECTS

    if not result.put and not result.changes and not result.templates:
        console.out("everything is published")
        return
    if result.region:
        many = f"{len(result.put):,} objects to put, {len(result.kept):,} unchanged"
        console.out(f"{result.url} ({result.region}): {many}")
    for key in result.put:
        place, _, digest = key.rpartition("/")
        console.out(f"put     {place}/{digest[:12]}…")
    console.out(f"{result.root}: {len(result.changes):,} files to change, with a copy of each object")
    for change in result.changes:
        if not change.path.startswith(f"{OBJECTS}/"):
            console.out(f"{change.kind:6}  {change.path}")
    _print_templates(result)


def _print_templates(result: PublishResult) -> None:
    for template in result.templates:
        console.out(f"{template.kind}  launch template {template.name}")
        for field in template.fields:
            console.out(f"        {field}")


def _as_json(result: PublishResult, *, dry_run: bool) -> dict[str, Any]:
    from kgen.api import describe

    return {
        "root": str(result.root),
        "dryRun": dry_run,
        "bucket": result.bucket,
        "url": result.url,
        "region": result.region,
        "put": list(result.put),
        "kept": list(result.kept),
        "old": list(result.old),
        "stubs": [
            {"machine": each.machine, **describe(each), "path": str(result.root / each.path)}
            for each in result.documents
        ],
        "changes": [{"path": str(result.root / change.path), "kind": change.kind} for change in result.changes],
        "launchTemplates": [
            {"name": each.name, "kind": each.kind, "fields": list(each.fields)} for each in result.templates
        ],
        "warnings": list(result.warnings),
    }


@click.command(short_help="Remove from AWS what `kgen publish` put there.")
@arguments.CLUSTER_FILE
@click.option(
    "--old",
    "old_only",
    is_flag=True,
    help="Keep what the present stubs fetch, and the present versions of launch templates.",
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; print what would be removed.")
@arguments.output("Where the stubs are.")
@arguments.JSON
def unpublish(cluster_file: Path, old_only: bool, dry_run: bool, output: Path, as_json: bool) -> None:
    """Remove the objects and launch templates that kgen.lock.json says were published, and the stubs.

    An object is removed with all its versions. --old also deletes the versions of launch templates that kgen made and
    that are older than the default one.

    Machines that are done need them no more. A machine that starts later with a stub cannot fetch what is removed.
    """
    from kgen import api

    result = api.unpublish(cluster_file, output, old_only=old_only, dry_run=dry_run)
    if as_json:
        facts = {"url": result.url, "dryRun": dry_run, "removed": result.removed, "left": result.left}
        facts["launchTemplates"] = result.templates
        facts["launchTemplateVersions"] = result.versions
        console.out_json(facts)
        return
    deleted = "delete" if dry_run else "deleted"
    for name in result.templates:
        console.out(f"{deleted}  launch template {name}")
    for name, numbers in result.versions.items():
        console.out(f"{deleted}  launch template {name}, version {', '.join(map(str, numbers))}")
    if dry_run:
        for key in result.removed:
            console.out(f"remove  {result.url}/{key}")
    word = "would be removed" if dry_run else "removed"
    console.out(f"{result.url}: {len(result.removed):,} objects {word}, {len(result.left):,} left")
