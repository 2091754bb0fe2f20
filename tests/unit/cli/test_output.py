"""Text output in the log of a CI job: names in it neither add lines nor order the job about."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Sources
from migrator.cli.output import Output
from migrator.parsing.statements import parse
from migrator.problems import Problem
from migrator.reports.building import analysis_of
from migrator.reports.paint import coloured, plain
from migrator.reports.text import Look, piece

ORDER = "a\n::error file=x::pwned"


def orders(shown: str) -> list[str]:
    """Lines that GitHub's runner takes for commands: those that begin with :: after blanks, or have ##[ anywhere."""
    return [line for line in shown.splitlines() if line.strip().startswith("::") or "##[" in line]


def test_no_line_of_a_command_is_an_order() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    out = Output(stdout=stdout, stderr=stderr)
    out.line(f"a description: {ORDER}")
    out.line(ORDER.partition("\n")[2])
    out.table(("name",), [(ORDER,), ("##[add-mask]x",)])
    out.problems((Problem("x.sql", ORDER, 1, 1, hint=ORDER),))
    out.error(f"it failed:\n{ORDER}\n  ::set-output name=x::y")
    out.note(ORDER)
    assert orders(stdout.getvalue() + stderr.getvalue()) == []
    assert len(stdout.getvalue().splitlines()) == 1 + 1 + 4 + 1
    assert len(stderr.getvalue().splitlines()) == 4 + 2


@pytest.mark.parametrize("paint", [plain, coloured])
@pytest.mark.parametrize("width", [None, 40])
def test_no_line_of_an_analysis_is_an_order(paint: object, width: int | None) -> None:
    names = f'ALTER TABLE t RENAME TO "{ORDER}"; DROP TABLE "{ORDER}";'
    sql = f'{names}\nTRUNCATE "x ::warning::y";\nSELECT 1 FROM "##[error]" +;'
    sources = Sources((parse(sql, file=f"dir/{ORDER}.sql"),))
    analysis = analysis_of("x.sql", inspect(sources))
    assert orders(piece(analysis, Look(paint=paint, width=width))) == []  # type: ignore[arg-type]


def test_what_cannot_be_seen_is_shown() -> None:
    stdout = io.StringIO()
    Output(stdout=stdout).line("shops\u200b \u202egnol")
    assert stdout.getvalue() == "shops<U+200B> <U+202E>gnol\n"


def test_check_of_a_migration_full_of_orders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from migrator.cli import main
    from tests.catalogue_files import write

    root = write(tmp_path, {"001_t": f'DROP TABLE "{ORDER}";\nSELECT "{ORDER}" FROM'})
    metadata = root / "2025" / "001_t" / "migration-metadata.yaml"
    metadata.write_text(metadata.read_text().replace("a test", '"a\\n::error::pwned ##[error]"'))
    for command in ("check", "plan 001_t", "analyze 001_t"):
        main([*command.split(), "--migrations", str(root)])
        printed = capsys.readouterr()
        assert printed.out
        assert orders(printed.out + printed.err) == []
