"""The tables of RESULTS.md, which benchmarks write: each between its own marks, and nothing else is touched."""

from pathlib import Path

import pytest
from benchmarks import common


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "RESULTS.md"
    prose = "Between `<!-- speed -->` and `<!-- end of speed -->`.\n\n"
    tables = [f"<!-- {name} -->\nold\n<!-- end of {name} -->\n" for name in ("speed", "speed-2")]
    file.write_text(prose + "\n".join(tables), encoding="utf-8")
    monkeypatch.setattr(common, "RESULTS", file)
    return file


def test_table_replaces_the_one_between_its_marks(results: Path) -> None:
    before = results.read_text(encoding="utf-8")
    common.report("speed", "python -m it", ["new"], write=True)
    first, rest = results.read_text(encoding="utf-8").split("\n\n<!-- speed -->\n", 1)
    section, last = rest.split("\n<!-- end of speed -->\n", 1)
    assert "`python -m it`" in section
    assert section.endswith("\n\nnew")
    assert before == f"{first}\n\n<!-- speed -->\nold\n<!-- end of speed -->\n{last}"


def test_table_without_a_place_is_refused(results: Path) -> None:
    before = results.read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match="no place for accuracy"):
        common.report("accuracy", "python -m it", ["new"], write=True)
    assert results.read_text(encoding="utf-8") == before
