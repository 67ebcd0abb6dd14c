"""Processes that need not import what nearfar needs: they are forked from one that has imported it all.

An import of torch, transformers and the rest takes longer than most of the runs of the tests. The fork server is that
of ``multiprocessing``, so the processes that nearfar starts by itself come from it as well.
"""

import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import tempfile
from multiprocessing.connection import wait
from pathlib import Path

import jaxtyping

_ROOT = Path(__file__).parents[1]


def prepare():
    """Whoever starts the fork server, it imports all. Annotations are checked in it if they are here."""
    multiprocessing.set_forkserver_preload(["tests.forked_preload"])
    os.environ["NEARFAR_TESTS_CHECKED"] = "1" if checked() else ""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))


def checked():
    """Whether annotations are checked in this process."""
    return any(type(finder).__module__.startswith("jaxtyping") for finder in sys.meta_path)


CLIENT = """#!{python} -IS
import json, os, signal, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"."], [0, 1, 2])
    told = server.makefile("rw")
    print(json.dumps([{first} + sys.argv[1:], os.getcwd(), dict(os.environ)]), file=told, flush=True)
    process = int(told.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os.kill(process, number))
    code = int(told.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if code != -signal.SIGKILL else None
    os.kill(os.getpid(), -code)
sys.exit(code)
"""
"""What is called in the place of Python. It passes signals on, and ends as the process for which it stands."""


@contextlib.contextmanager
def commands(folder):
    """Put commands into a folder: ``python``, for ``python -m`` alone, and ``nearfar``. They do the same as the real
    ones, in a process that is forked for it and takes over arguments, folder, environment, streams and signals.
    Annotations are not checked there.
    """
    with tempfile.TemporaryDirectory() as short:  # the name of a socket may not be long
        address = f"{short}/server"
        for name, first in (("python", []), ("nearfar", ["-m", "nearfar"])):
            client = CLIENT.format(python=sys.executable, address=address, first=first)
            (folder / name).write_text(client, encoding="utf-8")
            (folder / name).chmod(0o755)
        started = multiprocessing.get_context("forkserver")
        here, there = started.Pipe()
        server = started.Process(target=_serve, args=(there, address))
        server.start()
        there.close()
        here.recv()
        try:
            yield
        finally:
            server.kill()
            server.join()


def _serve(parent, address):
    jaxtyping.config.update("jaxtyping_disable", True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    parent.send(None)
    clients, processes = {}, {}
    while True:
        for came in wait([parent, listener, *clients, *processes]):
            if came is parent:  # it has gone
                return
            if came is listener:
                client = listener.accept()[0]
                process = _started(client)
                clients[client], processes[process.sentinel] = process, (process, client)
            elif came in clients:  # it says no more, so it was killed
                clients.pop(came).kill()
            elif came in processes:
                process, client = processes.pop(came)
                process.join()
                clients.pop(client, None)
                with client, contextlib.suppress(BrokenPipeError):
                    client.sendall(f"{process.exitcode}\n".encode())


def _started(client):
    """The process of a command line that somebody has asked for; it is told the number of the process."""
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile(encoding="utf-8") as asked:
        asked = json.loads(asked.readline())
    process = multiprocessing.get_context("fork").Process(target=_run, args=(streams, *asked))
    process.start()
    for stream in streams:
        os.close(stream)
    client.sendall(f"{process.pid}\n".encode())
    return process


def _run(streams, arguments, folder, environment):
    """Run a module as the process that has asked for it would."""
    _, module, *rest = arguments
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *rest]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(sys.modules.get(module), "__path__"):
        sys.modules.pop(module, None)  # as after a start
    runpy.run_module(module, run_name="__main__", alter_sys=True)
