"""Rules about what an image is made from, and what it enables."""

from __future__ import annotations

from kgen.config.image_fields import PROGRAMS
from kgen.config.rules.facts import Facts
from kgen.facts import own_paths
from kgen.reader.report import Report

_SOURCES = ("package", "url", "file")


def programs_have_one_source(facts: Facts, report: Report) -> None:
    """Each program has one source, and a download or file has a checksum."""
    image = facts.root.section("image")
    for name in PROGRAMS:
        program = image.section(name)
        given = [key for key in _SOURCES if program.is_given(key)]
        if len(given) > 1:
            message = f"{name} has {len(given)} sources: {', '.join(given)}"
            report.error(program.key_at(given[1]), "K340", message, "keep one of them")
        elif given not in ([], ["package"]) and not program.is_given("sha256"):
            message = f"{name} from {'an' if given == ['url'] else 'a'} {given[0]} needs its sha256"
            report.error(program.key_at(given[0]), "K341", message, "add what sha256sum prints for it as `sha256:`")
        elif given in ([], ["package"]) and program.is_given("sha256"):
            message = f"{name} comes from a package, whose checksum the package manager checks"
            report.error(program.key_at("sha256"), "K341", message, "remove sha256, or give `url:` or `file:`")


def units_are_the_users(facts: Facts, report: Report) -> None:
    """A unit is given once, with one content, and is none of those that kgen starts at the right time."""
    seen: set[str] = set()
    for entry, place in facts.root.section("image").items("units"):
        is_name = isinstance(entry, str)
        name = entry if is_name else entry.get("name")
        if name is None:
            continue
        if not is_name and entry.is_given("content") and entry.is_given("source"):
            report.error(entry.key_at("source"), "K350", "content and source are given", "keep one of them")
        hint = _KEPT_BY_KGEN.get(name) or own_paths.instead(f"/etc/systemd/system/{name}")
        if hint:
            report.error(place if is_name else entry.at("name"), "K342", f"{name} cannot be a unit of yours", hint)
        if name in seen:
            report.error(place, "K322", f"{name} is given twice", "keep one of them")
        seen.add(name)


_KEPT_BY_KGEN = {
    "kubelet.service": "remove it: the first boot starts the kubelet",
    "containerd.service": "remove it: the recipe enables it; settings go to a drop-in by `files:`",
    "swap.target": "remove it: the kubelet does not start while swap is on",
}
