"""How long a statement may take, how much WAL and disk it needs, and for how long it holds its locks.

Rows times the cost of each kind of work, plus the build of each index: that predicts far better than bytes divided by a
speed. The costs are those of the server for restored copies, measured there once (`calibrate`), until the dry run
observes the real thing on real data.
"""

from migrator.analysis.estimate.costs import Costs
from migrator.analysis.estimate.model import Basis, Estimate, LockWait, Profile, Statistics
from migrator.analysis.estimate.predict import estimate_of, estimates_of
from migrator.analysis.estimate.waiting import waits_of

__all__ = [
    "Basis",
    "Costs",
    "Estimate",
    "LockWait",
    "Profile",
    "Statistics",
    "estimate_of",
    "estimates_of",
    "waits_of",
]
