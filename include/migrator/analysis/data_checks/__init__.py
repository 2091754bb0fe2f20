"""What in the existing rows will make a migration fail: how many rows, and which.

Read-only, on the restored copy when its dry run has failed, or with `migrator analyze --check-data` on a replica.
"""

from migrator.analysis.data_checks.ask import Violation, look_for, violations
from migrator.analysis.data_checks.findings import findings_of

__all__ = ["Violation", "findings_of", "look_for", "violations"]
