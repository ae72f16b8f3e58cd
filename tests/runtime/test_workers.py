"""The place of a process among its workers, from the variables that launchers set."""

import pytest

from kerasnets.runtime.workers import PORTS, Place, first_node, place_in

# As torchrun of PyTorch 2.14 sets them
TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29400", "TORCHELASTIC_RUN_ID": "abc", "TORCHELASTIC_RESTART_COUNT": "1",
    "TORCHELASTIC_MAX_RESTARTS": "2",
}  # fmt: skip
# As man srun says
SLURM = {
    "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1", "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "gpu[03-04]", "SLURM_JOB_ID": "712", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4",
}  # fmt: skip


def facts(place):
    return place.rank, place.count, place.local_rank, place.local_count, place.address, place.launcher


def test_torchrun_and_slurm_number_the_workers_alike():
    assert facts(place_in(TORCHRUN)) == (3, 4, 1, 2, "10.0.0.1", "torchrun")
    assert facts(place_in(SLURM)) == (3, 4, 1, 2, "gpu03", "srun")


def test_restarts_of_torchrun_are_counted():
    place = place_in(TORCHRUN)
    assert (place.restarts, place.most_restarts) == (1, 2)


def test_the_port_that_torchrun_itself_holds_is_left_alone():
    assert place_in(TORCHRUN).ports == range(29401, 29401 + PORTS)


def test_a_person_may_set_four_variables():
    place = place_in({"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1234"})
    assert facts(place) == (1, 2, 1, 2, "a", "")
    assert list(place.ports) == [1234]  # runs by hand of one machine must not find each other


@pytest.mark.parametrize(
    "environment",
    [{}, {"RANK": "1"}, {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "712"}],
    ids=["nothing", "half", "sbatch without srun"],
)
def test_a_process_that_nothing_launched_is_alone(environment):
    assert place_in(environment) == Place()
    assert place_in(environment).leads


def test_two_jobs_of_slurm_on_one_machine_have_other_ports():
    assert not set(place_in(SLURM).ports) & set(place_in({**SLURM, "SLURM_JOB_ID": "812"}).ports)


def test_two_starts_of_a_run_are_told_apart():
    again = {**TORCHRUN, "TORCHELASTIC_RESTART_COUNT": "2"}
    assert place_in(TORCHRUN).run != place_in(again).run


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RANK": "4"}, "worker 4 of 4 cannot be"),
        ({"RANK": "first"}, "RANK must be a whole number, not 'first'"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE must be a whole number"),
        ({"MASTER_PORT": "65535"}, "choose another MASTER_PORT"),
    ],
)
def test_variables_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        place_in({**TORCHRUN, **changes})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("a1", "a1"), ("a1,b2", "a1"), ("n[001-003]", "n001"), ("n[7,9-11]", "n7"), ("r[1-2]-ib,x", "r1-ib")],
)
def test_the_first_machine_of_a_list_of_slurm(nodes, first):
    assert first_node(nodes) == first
