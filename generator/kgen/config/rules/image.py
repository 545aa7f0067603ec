"""Rules about what an image is made from."""

from __future__ import annotations

from kgen.config.image_fields import PROGRAMS
from kgen.config.report import Report
from kgen.config.rules.facts import Facts

_SOURCES = ("package", "url", "file")


def programs_have_one_source(facts: Facts, report: Report) -> None:
    """A program comes from one place, and what is no package has a checksum."""
    image = facts.root.section("image")
    for name in PROGRAMS:
        program = image.section(name)
        given = [key for key in _SOURCES if program.is_given(key)]
        if len(given) > 1:
            message = f"{name} has {len(given)} sources: {', '.join(given)}"
            report.error(program.key_at(given[1]), "K340", message, "give one of them")
        elif given not in ([], ["package"]) and not program.is_given("sha256"):
            message = f"{name} from {'an' if given == ['url'] else 'a'} {given[0]} needs its sha256"
            report.error(program.key_at(given[0]), "K341", message, "add what sha256sum prints for it as `sha256:`")
        elif given in ([], ["package"]) and program.is_given("sha256"):
            message = "a checksum of a package: its own package manager checks it"
            report.error(program.key_at("sha256"), "K341", message, "remove sha256, or give `url:` or `file:`")
