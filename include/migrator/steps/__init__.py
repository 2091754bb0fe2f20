"""How a plan is executed: one resumable unit after the other, each of a kind.

`execution.run` is the only entry; apply and the dry run both come through it. `kinds/` has one step kind a file; beside
it stands the machinery that all kinds share.
"""
