"""What COPY sends, read as rows and written as the server writes a record; its hash is tested against a server."""

from __future__ import annotations

from migrator.database import row_hash


def test_a_line_of_copy_is_its_fields() -> None:
    assert row_hash.fields(rb"a\tb" + b"\t" + rb"\N" + b"\t\t" + rb"\\N\n") == [b"a\tb", None, b"", b"\\N\n"]


def test_a_row_is_written_as_a_record() -> None:
    assert row_hash.row_text([b"a", None, b"", b'q"u', b"a b", b"\\"]) == b'(a,,"","q""u","a b","\\\\")'
    assert row_hash.row_text(()) == b"()"
