"""What `postmaster.pid` says, and whether it is still true."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

STARTS_WITHIN_SECONDS = 2.0  # longer without a command is only a thread of the kernel's
IMPOSSIBLE_PID = 2**31 - 2  # above every limit that Linux and macOS know


@dataclass(frozen=True)
class Postmaster:
    """One line of `postmaster.pid` per field (PostgreSQL: src/include/utils/pidfile.h)."""

    pid: int
    port: int | None
    ready: bool


def read_postmaster(data_dir: Path) -> Postmaster | None:
    """The server of `data_dir` if it lives; None when there is none or the file is a dead server's."""
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
        pid = abs(int(lines[0]))
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if not serves(pid, data_dir):
        return None
    port = int(lines[3]) if len(lines) > 3 and lines[3].strip().isdigit() else None
    return Postmaster(pid=pid, port=port, ready=len(lines) > 7 and lines[7].strip() == "ready")


def serves(pid: int, data_dir: Path) -> bool:
    """Whether `pid` is a postmaster of this very directory: after a crash or reboot the number may be anyone's."""
    command = command_line(pid)
    return bool(command) and Path(command[0]).name == "postgres" and str(data_dir) in command


def command_line(pid: int) -> tuple[str, ...]:
    """The command of a process; empty when it is gone or a zombie."""
    if sys.platform.startswith("linux"):
        raw = _command_in_proc(pid)
        return tuple(part.decode(errors="replace") for part in raw.split(b"\0") if part)
    done = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    # `ps` joins the arguments with blanks; ours have none but perhaps the directory, which is the last.
    program, _, directory = done.stdout.strip().partition(" -D ")
    return (program, "-D", directory) if directory else tuple(program.split())


def _command_in_proc(pid: int) -> bytes:
    """A process that is being started has none for a moment, when whoever started it knows already that it runs: files
    are closed before arguments are written (begin_new_exec and create_elf_tables: fs/exec.c, fs/binfmt_elf.c of Linux).
    """
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    try:
        while not (raw := Path(f"/proc/{pid}/cmdline").read_bytes()) and time.monotonic() < deadline:
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
            if state in (b"Z", b"X"):
                return b""
            time.sleep(0.001)
    except OSError:
        return b""
    return raw


def set_aside(data_dir: Path) -> None:
    """Point a dead server's `postmaster.pid` at a process that cannot exist.

    PostgreSQL only asks whether the process number lives, and after a reboot another server of the same account may
    have it. The file itself stays: its last lines let PostgreSQL see backends that survived their postmaster.
    """
    file = data_dir / "postmaster.pid"
    try:
        first, _, rest = file.read_text().partition("\n")
    except FileNotFoundError:
        return
    if first.strip().lstrip("-").isdigit() and not serves(abs(int(first)), data_dir):
        file.write_text(f"{IMPOSSIBLE_PID}\n{rest}")


def remove_empty(data_dir: Path) -> None:
    """Remove a `postmaster.pid` without a word in it. Called while we keep other starters out."""
    file = data_dir / "postmaster.pid"
    try:
        if file.stat().st_size == 0:
            file.unlink()
    except FileNotFoundError:
        return
