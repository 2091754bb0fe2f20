"""What to do about an error that one of the engine's own queries has met, by SQLSTATE (PostgreSQL's Appendix A)."""

from __future__ import annotations

STATES = {
    "22P04": "the answer of a program was damaged: run it again",
    "25006": "the server takes no writes: is it a standby, or read-only by default? connect to the primary",
    "28P01": "look at the connection's password",
    "3D000": "there is no such database: look at the connection",
    "42501": "grant it to the role, or connect as the owner; for row level security, ALTER ROLE ... BYPASSRLS",
    "54000": "raise max_locks_per_transaction or what the server names",
    "55006": "somebody uses it: run it again when they are gone",
    "57014": "somebody, or a timeout, has ended it: run it again",
}
"""Where the class says too little."""
CLASSES = {
    "0A": "this server, or a pooler before it, cannot do that: connect directly, to PostgreSQL 14 to 18",
    "22": "a value in the database is not what the engine expects: look whether somebody has changed the ledger",
    "23": "somebody else has written the same meanwhile: run it again",
    "25": "run it again; when it comes back, look for a pooler between the engine and the server",
    "26": "run it again; when it comes back, look for a pooler between the engine and the server",
    "28": "look at the connection, and at the server's pg_hba.conf",
    "34": "run it again; when it comes back, look for a pooler between the engine and the server",
    "40": "another session was in the way: run it again",
    "42": "an object is gone, or somebody has changed what the engine has made: run it again, then look at it",
    "44": "somebody has changed what the engine has made: look at it",
    "53": "the server is out of disk, memory or connections: free some, then run it again",
    "54": "the server has reached a limit: look at its log",
    "55": "another session was in the way: run it again",
    "57": "somebody has ended it: run it again",
    "58": "the server's disk or operating system failed: look at its log",
    "F0": "the server's configuration is broken: look at its log",
    "HV": "a foreign server does not answer as it should: look at its options",
    "P0": "SQL of somebody's, such as an event trigger, stands in the way: look at what the message names",
    "XX": "the server has found damaged data or an error of its own: look at its log and disk, and do not go on",
}
OTHERWISE = "run it again; when it comes back, report it with the SQLSTATE"


def advice(sqlstate: str) -> str:
    return STATES.get(sqlstate) or CLASSES.get(sqlstate[:2]) or OTHERWISE
