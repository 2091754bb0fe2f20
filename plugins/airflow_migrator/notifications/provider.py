"""Notifiers of Airflow's providers, which may not be installed."""

from __future__ import annotations

import importlib
from typing import Any


class ProviderMissing(RuntimeError):
    """A channel of targets.yaml needs a provider package that is not installed here."""


def notifier(module: str, name: str, *, package: str) -> Any:
    """The class `name` of `module`.

    :raises ProviderMissing: names the package to install.
    """
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as exc:
        raise ProviderMissing(
            f"this channel needs the provider {package!r} ({exc}); install it where the tasks run"
        ) from None
