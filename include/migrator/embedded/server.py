"""One PostgreSQL server in a directory of ours: create, start, stop, and never leave it behind."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from psycopg.conninfo import make_conninfo

from migrator.embedded import watchdog
from migrator.embedded.accounts import Account, barrier, server_account
from migrator.embedded.cluster import SETTINGS_FILE, SUPERUSER, check_major, create_cluster, is_cluster, lock_file
from migrator.embedded.places import lock, socket_directory
from migrator.embedded.ports import free_port, is_free
from migrator.embedded.postmaster import read_postmaster, remove_empty, serves, set_aside
from migrator.embedded.programs import Programs
from migrator.embedded.relocate import runnable_by
from migrator.embedded.settings import COMMON, DURABLE, FAST, Setting, render
from migrator.errors import EnvironmentFault

log = logging.getLogger(__name__)

STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
START_TRIES = 5  # with a port of our own choice, which another process may take before the server does


class Server:
    """A server and its data directory.

    It dies with the process that started it, however that ends, unless `detached`: then any later process of the
    same user can stop it through another `Server` on the same directory. TCP (127.0.0.1 only) asks for a password;
    the Unix socket lies in a directory that only the server's account and root can enter.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        programs: Programs,
        port: int | None = None,
        settings: Mapping[str, Setting] = DURABLE,
        run_as: str | None = None,
        detached: bool = False,
        cache: Path | None = None,
        remove_with_owner: Path | None = None,
    ) -> None:
        """:param port: a fixed port; None keeps the one of the last start, or takes a free one.
        :param run_as: the account to run as, for root only; see `server_account`.
        :param cache: where programs are copied to when the account cannot run them in place.
        :param remove_with_owner: a directory that the watchdog removes when the owner dies.
        """
        self.data_dir = data_dir.absolute()
        self.account: Account = server_account(run_as)
        self._found = programs
        self._programs: Programs | None = None
        self._fixed_port = port
        self._settings = settings
        self._detached = detached
        self._cache = cache
        self._remove_with_owner = remove_with_owner
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def programs(self) -> Programs:
        """The programs, at a place where the server's account can run them."""
        if self._programs is None:
            self._programs = runnable_by(self._found, self.account, cache=self._cache)
        return self._programs

    @property
    def log_file(self) -> Path:
        """The server's log, beside the data directory so that a physical copy does not carry it."""
        return self.data_dir.with_name(self.data_dir.name + ".log")

    @property
    def port(self) -> int:
        """The TCP port of the running server, or of its last start."""
        running = read_postmaster(self.data_dir)
        port = running.port if running and running.port else self._stored_port()
        if port is None:
            raise EnvironmentFault(f'the server in "{self.data_dir}" has never been started, so it has no port yet')
        return port

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None when it does not run."""
        found = read_postmaster(self.data_dir)
        return found.pid if found else None

    @property
    def password(self) -> str:
        """The superuser's password, made by `create` and kept beside the data directory with mode 0600."""
        return self._password_file.read_text().strip()

    @property
    def _password_file(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".password")

    def conninfo(
        self, dbname: str = "postgres", user: str = SUPERUSER, password: str | None = None, *, socket: bool = False
    ) -> str:
        """A libpq connection string: TCP with a password, or the Unix socket without one.

        :param password: None takes the superuser's own; another user without a password gets the socket.
        """
        if password is None and user == SUPERUSER and not socket:
            password = self.password
        if socket or password is None:
            host = str(socket_directory(self.data_dir, self.account))
            return make_conninfo(host=host, port=self.port, dbname=dbname, user=user)
        return make_conninfo(host="127.0.0.1", port=self.port, dbname=dbname, user=user, password=password)

    def exists(self) -> bool:
        """Whether the data directory holds a cluster."""
        return is_cluster(self.data_dir)

    def running(self) -> bool:
        """Whether this directory's server lives, whoever started it."""
        return read_postmaster(self.data_dir) is not None

    def create(self) -> None:
        """Make the cluster unless it exists; whole or not at all, also when two processes try at once.

        :raises EnvironmentFault: when the account cannot reach the directory, or something else is in it.
        """
        sync = self._settings.get("fsync") is not False
        create_cluster(
            self.data_dir, self._password_file, programs=lambda: self.programs, account=self.account, sync=sync
        )

    def start(self, *, timeout: float = 60.0) -> None:
        """Start the server and wait until it takes connections; crash recovery, where needed, happens here.

        Does nothing when it runs already.

        :raises EnvironmentFault: when it does not come up; the text has the end of its log.
        """
        if not self.exists():
            raise EnvironmentFault(f'there is no cluster in "{self.data_dir}"; create it first')
        check_major(self.data_dir, self._found)
        began = time.monotonic()
        with lock(lock_file(self.data_dir)):
            try:
                self._start_until(began + timeout)
            except BaseException:
                self.kill()  # Ctrl-C while it starts: the caller has nothing to stop yet
                raise
        log.info("started PostgreSQL %s on port %s (%.1f s)", self._found.version, self.port, time.monotonic() - began)

    def _start_until(self, deadline: float) -> None:
        tries = 0
        while not self.running():
            self._configure(avoid_stored=tries > 0)
            offset = self.log_file.stat().st_size if self.log_file.exists() else 0
            self._reap()  # of a server that died by itself
            pid = self._spawn()
            if self._wait_ready(pid, deadline):
                return
            self._reap()
            tries += 1
            self._consider_again(self._log_since(offset), tries=tries, deadline=deadline)

    def _consider_again(self, output: str, *, tries: int, deadline: float) -> None:
        """Return when another try may succeed; raise otherwise."""
        late = time.monotonic() > deadline
        if "could not create any TCP/IP sockets" in output and self._fixed_port is None and tries < START_TRIES:
            return
        # A killed postmaster's backends live until they look up from their statement.
        if "pre-existing shared memory block" in output and not late:
            time.sleep(0.2)
            return
        # The number in a dead server's file belongs to another process of the same account now.
        if re.search(r'lock file "postmaster.pid" already exists', output) and tries < START_TRIES:
            set_aside(self.data_dir)
            return
        # The disk was full, or the power went, between making and writing it.
        if 'lock file "postmaster.pid" is empty' in output and tries < START_TRIES:
            time.sleep(0.2)
            remove_empty(self.data_dir)
            return
        tail = "\n".join(output.strip().splitlines()[-12:])
        why = "was not ready in time" if late else "did not start"
        raise EnvironmentFault(f'the server in "{self.data_dir}" {why}: {tail or "its log is empty"}')

    def _configure(self, *, avoid_stored: bool) -> None:
        stored = self._stored_port()
        if self._fixed_port is not None:
            port = self._fixed_port
            if not is_free(port):
                raise EnvironmentFault(
                    f'port {port} of 127.0.0.1 is taken, so the server in "{self.data_dir}" cannot listen there; '
                    "stop what uses it or choose another port"
                )
        elif stored is not None and not avoid_stored and is_free(stored):
            port = stored
        else:
            port = free_port()
        settings: dict[str, Setting] = {**COMMON, **self._settings, "port": port}
        settings["unix_socket_directories"] = str(socket_directory(self.data_dir, self.account))
        place = self.data_dir / (SETTINGS_FILE + ".new")
        place.write_text(
            "# Written at each start; change the settings where the server is started.\n" + render(settings)
        )
        self.account.own(place)
        place.rename(self.data_dir / SETTINGS_FILE)

    def _stored_port(self) -> int | None:
        try:
            text = (self.data_dir / SETTINGS_FILE).read_text()
        except FileNotFoundError:
            return None
        match = re.search(r"^port = '(\d+)'$", text, re.MULTILINE)
        return int(match.group(1)) if match else None

    def _spawn(self) -> int:
        """Start the watchdog, which starts the server; returns the server's process id, 0 when there is none."""
        order = {
            "command": [str(self.programs.path("postgres")), "-D", str(self.data_dir)],
            "env": self.programs.env,
            "account": self.account.popen_arguments(),
            "owner": os.getpid(),
            "detached": self._detached,
            "remove": str(self._remove_with_owner) if self._remove_with_owner else None,
        }
        with self.log_file.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, json.dumps(order)],
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches us, and we stop the server in order
            )
        assert process.stdout is not None
        with process.stdout as answer:
            line = answer.readline()
        self._watchdog = process
        if self._detached:
            self._reap()
        return int(line) if line.strip() else 0

    def _wait_ready(self, pid: int, deadline: float) -> bool:
        while serves(pid, self.data_dir):
            found = read_postmaster(self.data_dir)
            if found is not None and found.pid == pid and found.ready:
                return True
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGQUIT)
                self._wait_gone(pid, 10.0)
                return False
            time.sleep(0.01)
        return False

    def stop(self, mode: str = "fast", *, timeout: float = 60.0) -> None:
        """Stop the server; does nothing when it does not run.

        :param mode: `fast` ends sessions and writes a checkpoint, `immediate` stops without one (the next start
            recovers), `smart` waits for sessions to end.
        :raises EnvironmentFault: when it still runs after `timeout` seconds.
        """
        number = STOP_SIGNALS[mode]
        found = read_postmaster(self.data_dir)
        if found is not None:
            try:
                os.kill(found.pid, number)
            except ProcessLookupError:
                pass  # it has ended on its own in between
            if not self._wait_gone(found.pid, timeout):
                raise EnvironmentFault(
                    f'the server in "{self.data_dir}" (process {found.pid}) still runs {timeout:.0f} s after a {mode} '
                    'stop; stop it with the mode "immediate"'
                )
        self._reap()

    def kill(self) -> None:
        """Stop at once without a checkpoint, like a power cut that PostgreSQL survives."""
        self.stop("immediate", timeout=15.0)

    def _wait_gone(self, pid: int, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while serves(pid, self.data_dir):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _reap(self) -> None:
        """Let the watchdog end and take its exit status."""
        process, self._watchdog = self._watchdog, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it saw the server's end before we came here
            os.write(process.stdin.fileno(), watchdog.DISMISS)
        process.stdin.close()
        process.wait(watchdog.FAST_SECONDS + 20.0)

    def _log_since(self, offset: int) -> str:
        with self.log_file.open("rb") as file:
            file.seek(offset)
            return file.read(1_000_000).decode(errors="replace")

    def __enter__(self) -> Server:
        self.create()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._detached:
            return
        try:
            self.stop(timeout=20.0)
        except EnvironmentFault:
            self.kill()

    @classmethod
    @contextlib.contextmanager
    def temporary(
        cls, *, programs: Programs, settings: Mapping[str, Setting] = FAST, cache: Path | None = None
    ) -> Iterator[Server]:
        """A server with a directory of its own, both gone at the end, also when this process is killed."""
        account = server_account()
        parent = Path(tempfile.gettempdir())
        if barrier(account, parent) is not None:
            parent = Path("/tmp")
        base = Path(tempfile.mkdtemp(prefix="migrator-", dir=parent))
        base.chmod(0o711)
        try:
            with cls(
                base / "data", programs=programs, settings=settings, cache=cache, remove_with_owner=base
            ) as server:
                yield server
        finally:
            shutil.rmtree(base, ignore_errors=True)
