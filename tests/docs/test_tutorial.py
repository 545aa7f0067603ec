"""docs/tutorial.md: a user types its commands in order, from the installation on, and sees what the page shows."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests import pages

pytestmark = pytest.mark.real

VARIES = r"\d{4}-\d\d-\d\d|\b\d\d,\d{3}\b"  # dates, and sizes in bytes
TYPED = "typed at the prompt: "


def steps() -> list[tuple[str, str]]:
    """Return each command of the page, and what the page shows as its output."""
    found = []
    for block in pages.blocks((pages.ROOT / "docs/tutorial.md").read_text(encoding="utf-8")):
        text = block.text.strip("\n") + "\n"
        assert text.startswith("$ "), text
        found += [tuple(part.split("\n", 1)) for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    return found


def pattern(shown: str) -> str:
    """Return a regular expression for output as the page shows it: a line `…` is any lines, `…` in a line any words."""
    text = re.escape(re.sub(VARIES, "VARIES", shown)).replace("VARIES", f"(?:{VARIES})")
    return re.sub("^…\\\\\n", "(?:.*\n)*", text, flags=re.MULTILINE).replace("…", ".*")


def sizes(text: str) -> list[int]:
    return [int(size.replace(",", "")) for size in re.findall(r"\b\d\d,\d{3}\b", text)]


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> list[str]:
    """The outputs of the commands, typed into one shell in a checkout."""
    home = tmp_path_factory.mktemp("home")
    script = "".join(f"echo '{TYPED}'\n{command}\n" for command, _ in steps())
    # pip keeps its cache and its configuration, and does not speak of newer versions of itself.
    kept = {"XDG_CACHE_HOME": str(Path.home() / ".cache"), "XDG_CONFIG_HOME": str(Path.home() / ".config")}
    kept["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=pages.ROOT,
        env={**os.environ, **kept, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout.split(f"{TYPED}\n")[1:]


def test_the_page_shows_what_the_commands_print(printed):
    assert len(printed) == len(steps()) > 15
    for (command, shown), output in zip(steps(), printed, strict=True):
        assert re.fullmatch(pattern(shown), output), f"$ {command}\n{output}\nthe page shows:\n{shown}"


def test_the_sizes_of_the_page_are_about_those_of_today(printed):
    for (command, shown), output in zip(steps(), printed, strict=True):
        if "…" not in shown:
            assert sizes(output) == pytest.approx(sizes(shown), rel=0.03), command


def test_it_works_with_the_kgen_that_it_installs(printed):
    assert "/kgen-venv/lib/" in printed[-1]
