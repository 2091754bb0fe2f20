"""The contract of backup providers, as far as it holds without a server."""

from __future__ import annotations

import inspect
import typing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from migrator.backups.contract import Backup, Place, Provider
from migrator.backups.providers import PROVIDERS, find
from migrator.backups.storage import LocalStorage
from migrator.database.session import Endpoint
from migrator.errors import UsageError
from migrator.targets.targets import Target
from migrator.targets.targets_model import TargetModel

VERBS = ("create", "list", "restore", "recover", "prune")


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.NAME)
@pytest.mark.parametrize("verb", VERBS)
def test_every_provider_has_the_verbs_with_the_same_parameters(provider: Provider, verb: str) -> None:
    wanted = list(inspect.signature(getattr(Provider, verb)).parameters)[1:]
    assert list(inspect.signature(getattr(provider, verb)).parameters) == wanted


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.NAME)
def test_capabilities_are_told_in_words(provider: Provider) -> None:
    capabilities = provider.CAPABILITIES
    assert capabilities.scope in ("database", "cluster")
    assert capabilities.leaves_out
    assert capabilities.rights


def test_targets_may_name_exactly_these() -> None:
    """The room of the targets stands below this one, so it has a list of its own."""
    assert typing.get_args(TargetModel.model_fields["provider"].annotation) == tuple(one.NAME for one in PROVIDERS)


@pytest.mark.parametrize(
    "provider", [one for one in PROVIDERS if not one.CAPABILITIES.point_in_time], ids=lambda p: p.NAME
)
def test_who_cannot_reach_a_point_in_time_says_so(provider: Provider, tmp_path: Path) -> None:
    target = Target("test", "production", connection="a", copies_connection="b", storage=str(tmp_path))
    place = Place(target, LocalStorage(tmp_path))
    moment = datetime(2025, 1, 15, 2, tzinfo=timezone.utc)
    with pytest.raises(UsageError, match="cannot be brought to 2025-01-15 02:00:00 UTC"):
        provider.recover(place, Backup("one", "file:///one"), Endpoint("dbname=copy"), to=moment)


def test_an_unknown_provider_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'tape'; there is: pg_dump"):
        find("tape")
