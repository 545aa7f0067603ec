"""Whole processes, timed in turn: A B A B, so that a slow minute of the machine falls on both."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured piece of work: wall-clock seconds and the largest resident set of its processes, in MiB."""

    seconds: float
    peak_mib: float

    def __add__(self, other: Sample) -> Sample:
        """Return the two done one after the other."""
        return Sample(self.seconds + other.seconds, max(self.peak_mib, other.peak_mib))


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one contestant."""

    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """Return the median of the times."""
        return statistics.median(sample.seconds for sample in self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """Return the shortest and the longest time."""
        times = [sample.seconds for sample in self.samples]
        return min(times), max(times)

    @property
    def peak_mib(self) -> float:
        """Return the largest resident set seen."""
        return max(sample.peak_mib for sample in self.samples)


def process(command: Sequence[str | Path], cwd: Path) -> Sample:
    """Run ``command`` to its end and return what it took; a failure is raised with what it printed."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        child = subprocess.Popen([str(word) for word in command], cwd=cwd, stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{command[0]} exited {child.returncode}: {output.read().decode()[-2000:]}")
    return Sample(seconds, usage.ru_maxrss / 1024)  # Linux counts KiB


def in_turn(contestants: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, Series]:
    """Return every contestant's series; one uncounted round warms the page cache."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, work in contestants.items():
            sample = work()
            if number:
                samples[name].append(sample)
    return {name: Series(tuple(taken)) for name, taken in samples.items()}
