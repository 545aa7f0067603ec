"""The image of a lab's machines, made from another one: the function of ``kgen lab image``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kgen.api import image as images
from kgen.api.image import BakeResult
from kgen.errors import InputError
from kgen.lab import building, disks, qemu
from kgen.lab.building import Sources
from kgen.lab.state import Accelerator
from kgen.output.disk import disk_errors

_USUAL_WAIT = timedelta(minutes=15)
_EMULATED_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What ``kgen lab image`` is told beside the cluster file, the base image and the target.

    ``archives``, ``files`` and ``wheels`` are directories, as those of the recipe's ``apply``. ``kernel`` is for a base
    image without a boot loader; ``append`` is its command line, "" the usual one.
    """

    archives: Path | None = None
    files: Path | None = None
    wheels: Path | None = None
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    accelerator: Accelerator | None = None
    timeout: timedelta | None = None


def make_image(
    cluster_file: Path,
    base: Path,
    target: Path,
    output: Path = images.DEFAULT_OUTPUT,
    settings: ImageSettings = ImageSettings(),
    *,
    on_line: Callable[[str], None] = lambda text: None,
) -> BakeResult:
    """Write ``target``, the image ``base`` with the recipe of ``cluster_file`` applied, as qcow2.

    A copy of ``base`` is started once under QEMU, without root, and applies the recipe to itself. The recipe is also
    written to ``output/<cluster>/bake``, as ``bake`` does. ``on_line`` is called with each line of what happens.

    Raises:
        ProblemsError, InputError: the cluster file or a setting is wrong, or ``target`` exists.
        KgenError: a program is missing, the recipe cannot be applied, or the disk refuses.
    """
    qemu.require_programs()
    if target.exists() or target.is_symlink():
        hint = "choose another name: the disks of a lab may need this image as it is"
        raise InputError(f"{target} exists already", hint)
    if not target.parent.is_dir():
        raise InputError(f"there is no directory {target.parent}", f"create it: `mkdir -p {target.parent}`")
    accelerator, notices = qemu.choose(settings.accelerator)
    image = disks.image(base)
    if settings.kernel is None:
        disks.require_boot_sector(image)
    boot = [disks.boot_file(path) if path else "" for path in (settings.kernel, settings.initrd)]
    baked = images.bake(cluster_file, output)
    _require_files(baked, settings.files)
    for text in notices:
        on_line(text)
    sources = Sources(baked.recipe, settings.archives, settings.files, settings.wheels)
    with (
        disk_errors(target.parent),
        tempfile.TemporaryDirectory(prefix=".kgen-lab-image-", dir=target.parent) as scratch,
    ):
        directory = Path(scratch).absolute()
        building.prepare(directory, sources)
        while True:
            machine = building.hardware(accelerator, boot, settings.append or qemu.APPEND)
            usual = _EMULATED_WAIT if accelerator == qemu.TCG else _USUAL_WAIT
            try:
                building.run(directory, image, machine, (settings.timeout or usual).total_seconds(), on_line)
                break
            except building.KvmError:
                on_line("KVM cannot run a guest here, so the machine is started again and emulated, which is slow")
                accelerator = qemu.TCG
        made = directory / "image.qcow2"
        disks.flatten(directory, made)
        made.rename(target)
    return baked


def _require_files(baked: BakeResult, files: Path | None) -> None:
    """Refuse at once what would fail after the machine has started: a program that nobody gives."""
    for name, source in baked.recipe.programs.items():
        wanted = source.get("file")
        if wanted and not (files and (files / str(wanted)).is_file()):
            hint = f"--files DIR names the directory with {wanted}"
            raise InputError(f"the cluster file names the file {wanted} as image.{name}, which is not there", hint)
