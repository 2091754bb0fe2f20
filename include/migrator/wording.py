"""Numbers and verdicts as people read them: durations, sizes, counts, downtime."""

from __future__ import annotations


def seconds(value: float) -> str:
    """0.0042 -> "4 ms", 12.34 -> "12.3 s", 330 -> "5 min 30 s"."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (left, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def size(value: float) -> str:
    """Bytes in powers of 1024, as PostgreSQL's pg_size_pretty names them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" or value == int(value) else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def count(number: int, noun: str) -> str:
    """1 -> "1 table", 1000 -> "1,000 tables"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def downtime(required: bool, *, known: bool) -> str:
    """:param known: whether all that a migration does was analysed; else that it needs none is no more than a hope."""
    if required:
        return "the application waits"
    return "no downtime" if known else "downtime unknown"
