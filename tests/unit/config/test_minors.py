"""Each minor takes the names of its own table, and refuses those that only the tables of other minors have."""

import itertools
import json
from pathlib import Path

import pytest
from tests.oracle import validate

from kgen.config import components
from kgen.config.load import load_text
from kgen.config.rules import arguments
from kgen.errors import ProblemsError
from kgen.facts import programs, versions
from kgen.reader.report import all_of

MINORS = versions.supported_minors()
TABLES = {minor: programs.of_minor(minor) for minor in MINORS}
ARGUMENTS = {
    "apiServer": lambda given: {"apiServer": {"extraArgs": given}},
    "controllerManager": lambda given: {"controllerManager": {"extraArgs": given}},
    "scheduler": lambda given: {"scheduler": {"extraArgs": given}},
    "kubelet": lambda given: {"nodeRegistration": {"kubeletExtraArgs": given}},
}


def refused(minor, code, words, **fields):
    """Return the hints of what is refused with ``words`` in the message, by the place."""
    machines = [{"name": "m1", "role": "master", "address": "10.0.0.1"}]
    version = str(TABLES[minor].version)
    cluster = {"apiVersion": "kgen/v1", "name": "c", "kubernetesVersion": version, "machines": machines, **fields}
    try:
        load_text(json.dumps(cluster), "cluster.yaml")
    except ProblemsError as error:
        found = [problem for problem in error.problems if problem.code == code and words in problem.message]
        assert all(f"{version}: " in problem.message or f" {version} " in problem.message for problem in found)
        return {(problem.field, problem.message): problem.hint for problem in found}
    return {}


def names(of):
    """Return every name that some minor has, and the minors that have it."""
    return {
        name: [minor for minor in MINORS if name in of(TABLES[minor])] for minor in MINORS for name in of(TABLES[minor])
    }


def check(minor, known, found, name_of):
    """Compare what was refused with the names that the minor lacks; each hint says which minors have the name."""
    hints = {name_of(*place): hint for place, hint in found.items()}
    assert hints.keys() == {name for name, minors in known.items() if minor not in minors}
    for name, hint in hints.items():
        assert f"it exists only in {all_of(known[name])}; " in hint, (name, hint)
        assert hint.endswith(("remove it", "?"))


def last_word(_, message):
    return message.split()[-1].strip("'")


def test_there_is_a_table_of_a_known_release_for_each_minor():
    assert [file.stem for file in sorted((Path(programs.__file__).parent / "tables").iterdir())] == MINORS
    for minor, table in TABLES.items():
        assert str(table.version).startswith(f"{minor}.")
        assert versions.is_known_patch(table.version)
        assert programs.of(table.version) is table
        assert {"secure-port", "feature-gates"} <= table.flags["kube-apiserver"].keys()
        assert {"Pod", "DaemonSet", "Deployment", "KubeletConfiguration"} <= table.types.keys()
        assert table.gates["kubelet"]["AllAlpha"].stage == "alpha"


def test_the_tables_differ_from_minor_to_minor():
    for older, newer in itertools.pairwise(MINORS):
        assert TABLES[older].flags != TABLES[newer].flags
        assert TABLES[older].gates != TABLES[newer].gates
        assert TABLES[older].types != TABLES[newer].types


@pytest.mark.parametrize("component", ARGUMENTS)
@pytest.mark.parametrize("minor", MINORS)
def test_arguments(minor, component):
    program = arguments.PROGRAMS[component]
    successors = {flag for of, flag, _ in arguments.SUCCESSORS if of == component}
    known = names(lambda table: table.flags[program])
    reserved = {name for name in known if any(row.matches(component, name) for row in arguments.RESERVED)}
    own = {flag for of, flag in arguments.OWN_FILES if of == component}
    given = [{"name": name, "value": "1"} for name in sorted(known.keys() - reserved - own - successors)]
    found = refused(minor, "K318", "has no argument", **ARGUMENTS[component](given))
    known = {each["name"]: known[each["name"]] for each in given}
    check(minor, known, found, lambda _, message: message.split("argument ")[1].split(":")[0])


@pytest.mark.parametrize("program", ["kubelet", "kube-proxy", "kube-apiserver"])
@pytest.mark.parametrize("minor", MINORS)
def test_feature_gates(minor, program):
    known = names(lambda table: table.gates[program])
    text = ",".join(f"{name}=true" for name in known)
    fields = {
        "kubelet": {"kubelet": {"featureGates": dict.fromkeys(known, True)}},
        "kube-proxy": {"kubeProxy": {"featureGates": dict.fromkeys(known, True)}},
        "kube-apiserver": {"apiServer": {"extraArgs": [{"name": "feature-gates", "value": text}]}},
    }
    found = refused(minor, "K362", "has no feature gate", **fields[program])
    check(minor, known, found, last_word)


@pytest.mark.parametrize("minor", MINORS)
def test_admission_plugins_and_controllers(minor):
    plugins, controllers = names(lambda table: table.admission_plugins), names(lambda table: table.controllers)
    found = refused(
        minor,
        "K363",
        "has no",
        apiServer={"extraArgs": [{"name": "enable-admission-plugins", "value": ",".join(plugins)}]},
        controllerManager={"extraArgs": [{"name": "controllers", "value": ",".join(controllers)}]},
    )
    check(minor, plugins | controllers, found, last_word)


CONFIGURATIONS = {
    "kubelet": ("KubeletConfiguration", components.KUBELET),
    "kubeProxy": ("KubeProxyConfiguration", components.KUBE_PROXY),
}


@pytest.mark.parametrize("key", CONFIGURATIONS)
@pytest.mark.parametrize("minor", MINORS)
def test_fields_of_configurations(minor, key):
    kind, fields = CONFIGURATIONS[key]
    found = refused(minor, "K326", "has no field", **{key: validate.sample(fields)})
    known = names(lambda table: paths(table.types, kind))
    foreign = {path for above, rows in components.FOREIGN.items() for path in below(above, key, rows)}
    lacking = {path for path, minors in known.items() if minor not in minors}
    inner = {path for path in lacking if path.rpartition(".")[0] in lacking}
    taken = {path: known[path] for path in known.keys() - foreign - inner}
    check(minor, taken, found, lambda path, _: path.split(".", 1)[1])


def below(above, key, names):
    """Return the paths of names below ``above``, as they are below ``key``; none if ``above`` is not there."""
    top, _, rest = above.partition(".")
    return [".".join(filter(None, (rest, name))) for name in names] if top == key else []


def paths(types, kind, above=""):
    """Return the path of every field of a struct, and of the structs in it."""
    found = {f"{above}{name}" for name in types[kind]}
    for name, notation in types[kind].items():
        bare = notation.removeprefix("*")
        found |= paths(types, bare, f"{above}{name}.") if bare in types else set()
    return found
