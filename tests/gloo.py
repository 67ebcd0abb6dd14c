"""Several processes that talk over gloo on this machine, for tests of what several ranks compute.

``run_ranks(2, work, ...)`` runs ``work`` in two processes that have joined one process group, as under torchrun, and
gives what each returned. The processes are started once for each number of ranks and used again, until one of them
fails. Nothing can hang: after ``LIMIT`` seconds the processes are ended and the test fails.
"""

import atexit
import contextlib
import multiprocessing
import os
import pickle
import sys
import time
import traceback
from multiprocessing.connection import Connection, wait

import torch
from torch import distributed

from tests import forked

LIMIT = 120.0
"""Seconds that a call may take."""
GRACE = 3.0
"""Seconds that the other ranks get to report when one has failed: often they wait for it for ever."""
_pools = {}


class RankError(AssertionError):
    """One or more ranks failed; the message has their tracebacks."""


def run_ranks(world, function, *arguments, limit=LIMIT):
    """What ``function(*arguments)`` gives on each of ``world`` ranks, in the order of the ranks.

    The function must be importable (at the top of a module); arguments and results are pickled by value. It runs with
    a process group joined, ``RANK``, ``WORLD_SIZE`` and ``LOCAL_RANK`` set, one thread, and
    annotations checked if they are here.

    Raises:
        RankError: when it fails on a rank, or takes longer than ``limit`` seconds.
    """
    pool = _pools.get(world)
    if pool is None:
        pool = _pools[world] = _Pool(world)
    try:
        return pool.run(function, arguments, limit)
    except BaseException:  # after a failure nobody knows in which collective the others are
        _pools.pop(world).close()
        raise


class _Pool:
    def __init__(self, world):
        context, checked = multiprocessing.get_context("forkserver"), forked.checked()
        # As torchrun does it: the store is not in a rank, so that no port can be taken between choice and use.
        self._store = distributed.TCPStore("127.0.0.1", 0, None, is_master=True, wait_for_workers=False)
        self._processes, self._pipes = [], []
        for rank in range(world):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, rank, world, self._store.port, checked), daemon=True)
            process.start()
            there.close()
            self._processes.append(process)
            self._pipes.append(here)

    def run(self, function, arguments, limit):
        work = pickle.dumps((function, arguments))
        for pipe in self._pipes:
            with contextlib.suppress(BrokenPipeError):
                pipe.send_bytes(work)
        results, failures, open_pipes = {}, {}, dict(zip(self._pipes, range(len(self._pipes)), strict=True))
        end = time.monotonic() + limit
        while open_pipes and (left := end - time.monotonic()) > 0:
            for pipe in wait(list(open_pipes), left):
                rank = open_pipes.pop(pipe)
                good, value = self._received(rank, pipe)
                (results if good else failures)[rank] = value
                if not good:
                    end = min(end, time.monotonic() + GRACE)
        if failures or open_pipes:
            late = "" if failures else f"no answer after {limit:g} s from ranks {sorted(open_pipes.values())}\n"
            raise RankError(late + "\n".join(f"rank {rank}:\n{text}" for rank, text in sorted(failures.items())))
        return [results[rank] for rank in range(len(self._pipes))]

    def _received(self, rank, pipe):
        try:
            return pickle.loads(pipe.recv_bytes())
        except (EOFError, ConnectionResetError):
            self._processes[rank].join(GRACE)
            return False, f"died with exit code {self._processes[rank].exitcode}"

    def close(self):
        for process in self._processes:
            process.kill()
        for process, pipe in zip(self._processes, self._pipes, strict=True):
            process.join()
            pipe.close()


def _serve(pipe: Connection, rank, world, port, checked):
    """Join the group, then do what is asked until the pipe closes."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        LOCAL_WORLD_SIZE=str(world),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        TORCHELASTIC_USE_AGENT_STORE="True",
        GLOO_SOCKET_IFNAME="lo",
    )
    if checked and "nearfar" not in sys.modules:  # another test has started the fork server, with less in it
        import jaxtyping

        jaxtyping.install_import_hook("nearfar", "beartype.beartype")
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    while True:
        try:
            function, arguments = pickle.loads(pipe.recv_bytes())
        except EOFError:
            break
        except BaseException:
            answer = False, traceback.format_exc()
        else:
            answer = _answer(function, arguments)
        pipe.send_bytes(answer if isinstance(answer, bytes) else pickle.dumps(answer))
    os._exit(0)  # the others may have gone already: no farewell to the group


def _answer(function, arguments):
    try:
        return pickle.dumps((True, function(*arguments)))
    except BaseException:
        return False, traceback.format_exc()


@atexit.register
def _close_all():
    while _pools:
        _pools.popitem()[1].close()
