"""PostgreSQL servers that we start ourselves: for the demo, the tests, `migrator test` and restored copies."""

from migrator.embedded.accounts import Account, server_account
from migrator.embedded.download import find_or_download
from migrator.embedded.programs import Programs, find_programs
from migrator.embedded.server import Server
from migrator.embedded.settings import DURABLE, FAST

__all__ = ["DURABLE", "FAST", "Account", "Programs", "Server", "find_or_download", "find_programs", "server_account"]
