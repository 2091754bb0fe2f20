"""What the target's own server says about statements, without running any of them.

A Parse message (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY) makes the server
read a statement with its own grammar and, of queries, look up every name; execution would take another message, which
is never sent. It needs no transaction of ours, works on a hot standby and in a read-only session, and leaves no trace.
Names in DDL, which the server looks up only when it runs, are asked for with small queries of our own (`probes`).
"""

from __future__ import annotations

from migrator.analysis.server_check.check import (
    NAME_RULE,
    PRIVILEGE_RULE,
    SYNTAX_RULE,
    server_findings,
    syntax_findings,
)

__all__ = ["NAME_RULE", "PRIVILEGE_RULE", "SYNTAX_RULE", "server_findings", "syntax_findings"]
