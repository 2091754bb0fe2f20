"""A connection pooler, as small as one can be: many clients share few server processes, each lent for one transaction
(or, in session mode, for as long as the client stays). It logs its clients in itself, as poolers do.

Protocol: PostgreSQL's documentation, "Frontend/Backend Protocol". No COPY, no cancelling, no TLS.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator

SSL_REQUEST, GSS_REQUEST, PROTOCOL_3 = 80877103, 80877104, 196608
FAKE_PIDS = itertools.count(900_001)  # no server process of ours has such a number


class Stream:
    """Messages over a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.connection.recv(count - len(data))
            if not part:
                raise ConnectionError
            data += part
        return data

    def message(self) -> tuple[bytes, bytes]:
        """Its type and the whole of it."""
        head = self.read(5)
        return head[:1], head + self.read(struct.unpack("!I", head[1:])[0] - 4)

    def startup(self) -> bytes:
        while True:
            length, code = struct.unpack("!II", self.read(8))
            rest = self.read(length - 8)
            if code not in (SSL_REQUEST, GSS_REQUEST):
                return rest
            self.connection.sendall(b"N")


class Backend(Stream):
    """A logged-in server process."""

    def __init__(self, connection: socket.socket, parameters: bytes) -> None:
        super().__init__(connection)
        connection.sendall(struct.pack("!II", len(parameters) + 8, PROTOCOL_3) + parameters)
        self.greeting = b""  # the ParameterStatus messages
        kind = b""
        while kind != b"Z":
            kind, whole = self.message()
            if kind == b"E":
                raise ConnectionError(whole.decode(errors="replace"))
            if kind == b"S":
                self.greeting += whole


class SmallPooler:
    def __init__(self, connect: Callable[[], socket.socket], *, size: int, transaction_mode: bool) -> None:
        self._connect = connect
        self._transaction_mode = transaction_mode
        self._idle: queue.LifoQueue[Backend | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)  # a server process that is still to be started
        self._open: list[socket.socket] = []
        self._closing, self._closed = threading.Lock(), False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @contextlib.contextmanager
    def running(self) -> Iterator[SmallPooler]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            with self._closing:
                self._closed = True
                for connection in (self._listener, *self._open):
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                    connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._keep(connection)
                threading.Thread(target=self._serve, args=(Stream(connection),), daemon=True).start()

    def _serve(self, client: Stream) -> None:
        lent: Backend | None = None
        try:
            parameters = client.startup()
            lent = self._lend(parameters)
            key = b"K" + struct.pack("!III", 12, next(FAKE_PIDS), 1)
            client.connection.sendall(b"R\0\0\0\x08\0\0\0\0" + lent.greeting + key + b"Z\0\0\0\x05I")
            if self._transaction_mode:
                lent = self._give_back(lent)
            while True:
                kind, whole = client.message()
                if kind == b"X":
                    return
                lent = lent or self._lend(parameters)
                lent.connection.sendall(whole)
                if kind in b"QS" and self._answer(lent, client) == b"I" and self._transaction_mode:
                    lent = self._give_back(lent)
        except OSError:
            pass
        finally:
            if lent is not None:
                lent.connection.close()
                self._idle.put(None)
            client.connection.close()

    def _answer(self, backend: Backend, client: Stream) -> bytes:
        """Pass everything on until the server is ready; the transaction's state then."""
        while True:
            kind, whole = backend.message()
            client.connection.sendall(whole)
            if kind == b"Z":
                return whole[5:6]

    def _lend(self, parameters: bytes) -> Backend:
        """Waits when all are lent, as poolers do."""
        free = self._idle.get(timeout=60)
        if free is not None:
            return free
        connection = self._connect()
        self._keep(connection)
        return Backend(connection, parameters)

    def _keep(self, connection: socket.socket) -> None:
        """To be closed at the end; at once, where that has come already."""
        with self._closing:
            self._open.append(connection)
            if self._closed:
                connection.close()

    def _give_back(self, backend: Backend) -> None:
        self._idle.put(backend)
