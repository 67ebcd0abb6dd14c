"""What a launcher says about a process, and what it must not leave out."""

import pytest

from nearfar.config.launch import Launch, fewer_than_asked_for
from nearfar.errors import ConfigError

MEETING = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
SECOND = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", **MEETING}


def test_without_a_launcher_there_is_one_process():
    launch = Launch.read({"PATH": "/bin", "MASTER_PORT": "29500"})
    assert launch == Launch()
    assert launch.first
    assert not launch.several
    assert not launch.launched


def test_what_torchrun_sets():
    launch = Launch.read(SECOND)
    assert launch == Launch(rank=1, world=4, local_rank=1, local_world=2, launched=True)
    assert launch.several
    assert not launch.first


def test_one_process_of_a_launcher_needs_no_meeting_point():
    launch = Launch.read({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"})
    assert launch.launched
    assert not launch.several


def test_what_mpirun_sets():
    given = {
        "OMPI_COMM_WORLD_RANK": "2",
        "OMPI_COMM_WORLD_SIZE": "3",
        "OMPI_COMM_WORLD_LOCAL_RANK": "0",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
        **MEETING,
    }
    assert Launch.read(given) == Launch(rank=2, world=3, local_rank=0, local_world=1, launched=True)


def test_without_their_number_all_processes_are_on_this_machine():
    given = {name: value for name, value in SECOND.items() if name != "LOCAL_WORLD_SIZE"}
    assert Launch.read(given).local_world == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"WORLD_SIZE": "2"}, r"WORLD_SIZE=2 stands .* RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT are not set"),
        ({"RANK": "0"}, r"RANK=0 stands .* WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT are not set"),
        ({**SECOND, "MASTER_PORT": ""}, r"RANK=1 and WORLD_SIZE=4 and LOCAL_RANK=1 .* MASTER_PORT is not set"),
        ({**SECOND, "WORLD_SIZE": "two"}, r"WORLD_SIZE is 'two'; it must be a whole number"),
        ({**SECOND, "RANK": "4"}, r"RANK is 4 of 4 processes; it must be from 0 to 3"),
        ({**SECOND, "LOCAL_RANK": "-1"}, r"LOCAL_RANK is -1 of 2 processes; it must be from 0 to 1"),
    ],
)
def test_half_a_launch_is_refused(given, message):
    with pytest.raises(ConfigError, match=message) as refused:
        Launch.read(given)
    assert "torchrun --nproc-per-node 2 -m nearfar train" in str(refused.value)


def test_accelerate_that_starts_one_process_for_several_is_told():
    asked = {"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500"}
    assert "starts a single process" in fewer_than_asked_for(asked)
    assert fewer_than_asked_for({"ACCELERATE_USE_CPU": "True"}) is None
    assert fewer_than_asked_for({**asked, **SECOND}) is None
    assert fewer_than_asked_for({"ACCELERATE_USE_CPU": "False", "MASTER_PORT": "29500"}) is None
