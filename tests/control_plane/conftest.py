"""Running clusters, shared by the tests of this tier, and the tails of their logs where a test fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.control_plane import deployment
from tests.control_plane.deployment import Deployment
from tests.control_plane.machines import Bench, Machine, Running

HERE = Path(__file__).parent
MACHINES = pytest.StashKey[list[Machine]]()
TAIL_LINES = 12
NEXT_PATCH = "v1.37.3"  # named, so that nothing is looked up; not used otherwise
ENDPOINT_HOSTS = "10.73.0.11 api.three.example\n"  # what stands for the load balancer


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for machine in item.config.stash.get(MACHINES, []):
            for log in sorted((machine.root / deployment.LOGS).glob("*.log")):
                lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
                report.sections.append((f"{machine.name}: {log.name}", "\n".join(line[:400] for line in lines)))
    return report


@pytest.fixture(scope="package")
def machines(pytestconfig: pytest.Config) -> list[Machine]:
    """Every machine that was switched on so far."""
    return pytestconfig.stash.setdefault(MACHINES, [])


@pytest.fixture(scope="package")
def one(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """One master and one node, switched on at the same moment; both runners are done."""
    with Bench() as bench:
        cluster = Deployment.render(HERE / "one.yaml", tmp_path_factory.mktemp("one"), bench, machines)
        booting = [cluster.machine("m1", "10.71.0.11"), cluster.machine("w1", "10.71.0.21")]
        for machine, running in [(machine, deployment.start_first_boot(machine)) for machine in booting]:
            deployment.finished(running, machine)
            status = deployment.status(machine)
            assert (status["phase"], status["exit_code"], status["error"]) == ("done", 0, "")
        yield cluster


@pytest.fixture(scope="package")
def started_plan(m1: Machine) -> Running:
    """``kubeadm upgrade plan`` for a while: it waits a minute for a Job, which no kubelet here runs."""
    command = ["kubeadm", "upgrade", "plan", NEXT_PATCH, "--kubeconfig", f"/{deployment.ADMIN}"]
    return m1.start([*command, "--ignore-preflight-errors=CreateJob"], chroot=True)


@pytest.fixture(scope="package")
def upgrade_plan(started_plan: Running) -> tuple[int, str]:
    """Exit status and output of ``kubeadm upgrade plan``."""
    return started_plan.wait(120)


@pytest.fixture(scope="package")
def m1(one: Deployment) -> Machine:
    """The master of ``one``."""
    return one.machines["m1"]


@pytest.fixture(scope="package")
def w1(one: Deployment) -> Machine:
    """The node of ``one``."""
    return one.machines["w1"]


@pytest.fixture(scope="package")
def three(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """Three masters whose runners ran at the same time, without a load balancer; then it appears, and a node."""
    with Bench() as bench:
        cluster = Deployment.render(HERE / "three.yaml", tmp_path_factory.mktemp("three"), bench, machines)
        masters = [cluster.machine(f"m{number}", f"10.73.0.1{number}") for number in (1, 2, 3)]
        for machine, running in [(machine, deployment.start_first_boot(machine)) for machine in masters]:
            deployment.finished(running, machine)
        for machine in masters:
            with (machine.root / "etc/hosts").open("a") as hosts:
                hosts.write(ENDPOINT_HOSTS)
        w7 = cluster.machine("w7", "10.73.0.27", user_data=cluster.user_data("workers"), hosts=ENDPOINT_HOSTS)
        cluster.first_boot(w7)
        yield cluster
