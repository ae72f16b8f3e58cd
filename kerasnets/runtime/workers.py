"""This process among the workers of one training, as a launcher numbers them in environment variables.

torchrun sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT in each worker; a person without a launcher may
set them too. SLURM's srun sets SLURM_PROCID and others, which are read alike. Worker 0 leads: it prints and writes.
"""

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

PORT = 29500  # PyTorch's
PORTS = 16  # that are tried where a launcher may hold the first ones itself


@dataclass(frozen=True)
class Place:
    """The place of a process among `count` workers.

    Args:
        rank: From 0 to count - 1.
        count: Of workers on all machines.
        local_rank: Among those of this machine.
        local_count: Of workers on this machine.
        address: Of the machine of worker 0.
        port: From which on its ports are tried.
        launch: Text that tells what the launcher was started for from all others.
        restarts: How often the launcher has started the workers again.
        most_restarts: How often it would.
        launcher: "torchrun", "srun", or "" for a person.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    address: str = "localhost"
    port: int = PORT
    launch: str = ""
    restarts: int = 0
    most_restarts: int = 0
    launcher: str = ""

    @property
    def leads(self) -> bool:
        """Whether this worker prints, and writes all files."""
        return self.rank == 0

    @property
    def run(self) -> str:
        """Text that tells this start of the workers from all others."""
        return f"{self.launch} {self.restarts}"

    @property
    def ports(self) -> range:
        """The ports at which worker 0 may be met. Two runs by hand must not find each other, so those have one."""
        return range(self.port, self.port + (PORTS if self.launcher else 1))


@functools.cache
def place() -> Place:
    """Return the Place of this process; raise ValueError if the environment contradicts itself."""
    return place_in(os.environ)


def place_in(environment: Mapping[str, str]) -> Place:
    """Return the Place that environment variables tell."""
    variables = Variables(environment)
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return checked(of_torchrun(variables))
    if "SLURM_PROCID" in environment and "SLURM_STEP_NUM_TASKS" in environment:  # in a step of srun, not in sbatch
        return checked(of_slurm(variables))
    return Place()


class Variables:
    """Environment variables as numbers and texts."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    def text(self, name: str, default: str = "") -> str:
        return self.environment.get(name) or default

    def number(self, name: str, default: int = 0) -> int:
        text = self.text(name, str(default))
        if not re.fullmatch(r"\d{1,9}", text):
            raise ValueError(f"the environment variable {name} must be a whole number, not {text[:20]!r}")
        return int(text)


def of_torchrun(variables: Variables) -> Place:
    launcher = "torchrun" if variables.text("TORCHELASTIC_RUN_ID") else ""
    rank, count = variables.number("RANK"), variables.number("WORLD_SIZE", 1)
    port, restarts = variables.number("MASTER_PORT", PORT), variables.number("TORCHELASTIC_RESTART_COUNT")
    return Place(
        rank=rank, count=count, local_rank=variables.number("LOCAL_RANK", rank),
        local_count=variables.number("LOCAL_WORLD_SIZE", count), address=variables.text("MASTER_ADDR", "localhost"),
        port=port + bool(launcher),  # torchrun's own store holds the port itself
        launch=f"{variables.text('TORCHELASTIC_RUN_ID')} {port}", restarts=restarts,
        most_restarts=variables.number("TORCHELASTIC_MAX_RESTARTS"), launcher=launcher,
    )  # fmt: skip


def of_slurm(variables: Variables) -> Place:
    job, nodes = variables.number("SLURM_JOB_ID"), variables.text("SLURM_STEP_NODELIST", "localhost")
    port = variables.number("MASTER_PORT", 20_000 + job % 20_000)  # so that two jobs on one machine do not meet
    count = variables.number("SLURM_STEP_NUM_TASKS", 1)
    restarts = variables.number("SLURM_RESTART_COUNT")
    return Place(
        rank=variables.number("SLURM_PROCID"), count=count, local_rank=variables.number("SLURM_LOCALID"),
        local_count=int(re.match(r"\d*", variables.text("SLURM_STEP_TASKS_PER_NODE"))[0] or count),  # type: ignore[index]
        address=variables.text("MASTER_ADDR", first_node(nodes)), port=port,
        launch=f"{job}.{variables.text('SLURM_STEP_ID')} {port}", restarts=restarts, launcher="srun",
    )  # fmt: skip


def first_node(nodes: str) -> str:
    """Return the first name in a list of SLURM's.

    Example:
        >>> first_node("gpu[003-007,9],cpu1"), first_node("a1,a2")
        ('gpu003', 'a1')
    """
    found = re.match(r"([^,\[]+)(?:\[(\w+)[^\]]*\]([^,]*))?", nodes)
    return "".join(part or "" for part in found.groups()) if found else nodes


def checked(place: Place) -> Place:
    """Return `place`; raise ValueError if it cannot be."""
    if not 0 <= place.rank < max(place.count, 1):
        raise ValueError(f"worker {place.rank} of {place.count} cannot be: RANK goes from 0 to WORLD_SIZE - 1")
    if not 0 < place.port < 2**16 - PORTS:
        raise ValueError(f"no port {place.port} can be used; choose another MASTER_PORT")
    return place
