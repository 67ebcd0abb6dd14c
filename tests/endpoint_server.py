"""A small server on loopback that speaks the OpenAI protocol, and delays, fails and lies as a test tells it to."""

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, kw_only=True)
class Say:
    """How the server answers once.

    Attributes:
        text: what the model says.
        chances: probabilities of what the first word could have been, or none.
        cut: whether the text ends in the middle.
        tokens: used, or None for a server that does not say.
        status, headers: of the response.
        body: sent instead of what the protocol asks for.
        delay: seconds before.
        reset: the connection breaks instead.
    """

    text: str | None = ""
    chances: Mapping[str, float] = field(default_factory=dict)
    cut: bool = False
    tokens: int | None = 10
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    delay: float = 0.0
    reset: bool = False

    def content(self):
        if self.body is not None:
            return self.body.encode()
        choice = {"message": {"role": "assistant", "content": self.text}}
        choice["finish_reason"] = "length" if self.cut else "stop"
        if self.chances:
            from math import log

            top = [{"token": token, "logprob": log(chance)} for token, chance in self.chances.items()]
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        usage = {} if self.tokens is None else {"usage": {"total_tokens": self.tokens}}
        return json.dumps({"choices": [choice], **usage}).encode()


class EndpointServer:
    """Answers as ``answer`` says, which is given a prompt and how often it came before; a string is what is said.

    Attributes:
        asked: the requests, in the order in which they came.
        headers: theirs.
        paths: theirs.
        most: how many were under way at once.
    """

    def __init__(self, answer: Callable[[str, int], str | Say]):
        self.answer = answer
        self.asked, self.headers, self.paths = [], [], []
        self.most, self._now = 0, 0
        self._times, self._lock = Counter(), threading.Lock()

    @property
    def prompts(self):
        return [request["messages"][0]["content"] for request in self.asked]

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                outer._handle(self)

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):  # a client that was killed, or waits no longer
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, count):
        """Until so many requests came."""
        end = time.monotonic() + 30
        while len(self.asked) < count:
            assert time.monotonic() < end, f"{len(self.asked)} of {count} requests came"
            time.sleep(0.005)

    def _handle(self, handler):
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        prompt = request["messages"][0]["content"]
        with self._lock:
            self.asked.append(request)
            self.headers.append(dict(handler.headers))
            self.paths.append(handler.path)
            times = self._times[prompt]
            self._times[prompt] += 1
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            say = self.answer(prompt, times)
            say = Say(text=say) if isinstance(say, str) else say
            time.sleep(say.delay)
        finally:
            with self._lock:
                self._now -= 1
        if say.reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
            return
        content = say.content()
        handler.send_response(say.status)
        for name, value in {"Content-Length": str(len(content)), **say.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
