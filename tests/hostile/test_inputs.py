"""Over 500 hostile inputs through the command line: each ends soon, in little memory, with annotations or one error.

All of them follow from one seed. To see one, run ``pytest tests/hostile/test_inputs.py --basetemp DIR`` and look into
the folder of its name; a failure lists the names.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from nutgraf_data.errors import DataError
from nutgraf_data.readers import read_articles

if TYPE_CHECKING:
    from tests.hostile.conftest import Outcome, Runner

SECONDS, MEGABYTES = 10, 1000

STORY = """date 2024-04-24 A fire broke out at the port on Monday, police said.

“Nobody was hurt,” said Mayor Ana Ruiz.\r\n\r\nThe port – Europe’s third – opened in 1907.
 \n©  Näher dran 🙂 a\u0301"""
PARAGRAPHS = ["A fire broke out at the port on Monday.", "“Nobody was hurt,” the mayor said.", "It opened in 1907."]


class Input(NamedTuple):
    """A hostile file."""

    name: str
    suffix: str
    content: bytes | Callable[[], bytes]


def dump(*records: Any) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def article(**fields: Any) -> dict[str, Any]:
    return {"id": "a", "paragraphs": PARAGRAPHS, **fields}


def table(columns: dict[str, Any], **options: Any) -> bytes:
    """A Parquet file."""
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream, **options)
    return stream.getvalue()


def texts() -> Iterator[Input]:
    """Plain text of every kind."""
    large = 10_000_000
    yield Input(
        "sentences-10mb", ".txt", lambda: (STORY.encode() + b" The mayor said so on Tuesday. " * 350_000)[:large]
    )
    news = b"The mayor said on Tuesday that the port would open again. " * 8 + b"\n\n"
    yield Input("paragraphs-10mb", ".txt", lambda: news * (large // len(news)))
    yield Input("word-10mb", ".txt", lambda: b"a" * large)
    yield Input("number-10mb", ".txt", lambda: b"7" * large)
    yield Input("quotes-10mb", ".txt", lambda: b'"' * large)
    yield Input("apostrophes-10mb", ".txt", lambda: b"a'" * (large // 2))
    yield Input("new-words-10mb", ".txt", lambda: " ".join(map(hex, range(1_100_000))).encode()[:large])
    yield Input("nul-10mb", ".txt", lambda: bytes(large))
    yield Input("spaces-10mb", ".txt", lambda: b" " * large)
    yield Input("tab-lines-10mb", ".txt", lambda: b"\t\n" * (large // 2))
    yield Input("emoji-10mb", ".txt", lambda: "👩‍👩‍👧‍👦".encode() * (large // 25))
    yield Input("combining-10mb", ".txt", lambda: b"a" + "\u0301".encode() * (large // 2))
    yield Input("lines-10mb", ".txt", lambda: b"a line of one paragraph\n" * (large // 24))
    yield Input("date-then-spaces-10mb", ".txt", lambda: b"date 2024-04-24" + b" " * large + b"x")
    yield Input("empty-lines-100k", ".txt", b"\n" * 100_000)
    yield Input("empty-crlf-100k-then-text", ".txt", b"\r\n" * 100_000 + b"x")
    yield Input("letters-100k", ".txt", lambda: b"\n\n".join([b"a"] * 100_000))
    yield Input(
        "different-letters-100k", ".txt", lambda: "\n\n".join(chr(0x4E00 + i % 20_000) for i in range(100_000)).encode()
    )
    yield Input("quoted-100k", ".txt", lambda: '"\n\n“a\n\n”b said\n\n'.encode() * 33_333)
    yield Input("all-ascii-controls", ".txt", bytes(range(32)) + b"x" + b"\x7f")
    yield Input("every-bmp-character", ".txt", "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10000)])).encode())
    yield Input("every-whitespace", ".txt", "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei\u3000j\u00a0k".encode())
    for number, char in enumerate(
        "\0\x01\x07\x1b\x7f\x85\u00ad\u061c\u200b\u200d\u200e\u202e\u2066\u2028\ufeff\ufffe\uffff"
    ):
        yield Input(f"only-u{ord(char):04x}", ".txt", (char * 50).encode())
        yield Input(
            f"around-u{ord(char):04x}", ".txt", f"{char}Fire{char}\n\n{char}\n{char}The mayor{char}{number}".encode()
        )
    terminal = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\x9b31m [bold]markup[/bold] [link=file:///]x[/link] \x08\x08"
    yield Input("terminal-escapes", ".txt", terminal.encode())
    yield Input("bidi", ".txt", "\u202eevil\u202c \u2066x\u2069 \u200fמשטרה\u200e police".encode())
    yield Input("zalgo", ".txt", ("Fi" + "\u0336\u0489\u20dd" * 500 + "re").encode())
    yield Input("far-planes", ".txt", "".join(map(chr, range(0x1F000, 0x1FFFF, 7))).encode() + chr(0x10FFFF).encode())
    yield Input("mixed-line-ends", ".txt", b"a\rb\n\rc\r\r\nd\n\r\ne\r\r\rf\n\n\rg")
    yield Input("dated-twice", ".txt", b"date 2024-04-24 date 2024-04-25 Fire")
    yield Input("dated-wrongly", ".txt", b"date 2024-13-45 Fire")
    yield Input("dated-year-0", ".txt", b"date 0000-01-01 Fire")
    yield Input("dated-and-nothing", ".txt", b"date 2024-04-24 \n\n ")
    yield Input("dated-in-arabic", ".txt", "date ٢٠٢٤-٠٤-٢٤ Fire".encode())
    yield Input("empty", ".txt", b"")
    yield Input("one-byte", ".txt", b"\xff")
    for codec in (
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
        "cp1252",
        "utf-7",
    ):
        yield Input(f"in-{codec}", ".txt", STORY.encode(codec, "replace"))
        yield Input(f"cut-in-{codec}", ".txt", STORY.encode(codec, "replace")[:-1])
        yield Input(f"records-in-{codec}", ".jsonl", dump(article(id="ü"), article()).decode().encode(codec))
    for number, mark in enumerate(
        [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"\xef\xbb"]
    ):
        for suffix in (".txt", ".jsonl", ".json", ".csv"):
            yield Input(f"only-mark-{number}{suffix}", suffix, mark)
        yield Input(f"doubled-mark-{number}", ".txt", mark + mark + b"F\0\0\0")


def fields() -> Iterator[Input]:
    """Every field of a record as every wrong type."""
    values: dict[str, Any] = {
        "null": None,
        "5": 5,
        "float": 0.5,
        "big": 10**40,
        "list": [],
        "object": {},
        "empty": "",
        "surrogate": "a\ud800b",
        "nul": "a\0b",
        "bidi": "\u202eabc\x1b[2J",
        "zero-width": "\u200b",
        "nested": [[["x"]]],
        "long": "x" * 1_000_000,
    }
    for name, value in values.items():
        for field in (
            "id",
            "headline",
            "published",
            "outlet",
            "paragraphs",
            "extra",
            "model",
            "label",
            "score_background",
        ):
            yield Input(f"{field}-{name}", ".jsonl", dump(article(**{field: value})))
        yield Input(f"paragraph-{name}", ".jsonl", dump(article(paragraphs=["Fire.", value])))
        for field in ("text", "label", "alt", "weight", "confidence"):
            yield Input(
                f"paragraph-{field}-{name}", ".jsonl", dump(article(paragraphs=[{"text": "Fire.", field: value}]))
            )
        yield Input(f"plain-{name}", ".jsonl", dump({"text": value}))
        yield Input(
            f"row-{name}", ".jsonl", dump({"article_id": "a", "text": "Fire."}, {"article_id": value, "text": "x"})
        )
        yield Input(f"record-{name}", ".json", json.dumps(value).encode())
    dates = [
        "20240424",
        "2024-13-45",
        "٢٠٢٤-٠٤-٢٤",
        "",
        "2024-04-24 ",
        " 2024-04-24",
        "2024-4-24",
        "24.04.2024",
        "04/24/2024",
        "2024-04",
        "2024",
        "0000-00-00",
        "9999-12-31",
        "10000-01-01",
        "-2024-04-24",
        "2024-02-30",
        "2024-W17-3",
        "2024W173",
        "2024-115",
        "2024-04-24T",
        "2024-04-24T25:99",
        "2024-04-24Tnonsense\x1b[2J",
        "2024-04-24 \u202e",
        "2024-04-24\n",
        "NaT",
        "2024-04-24T10:00:00+99:99",
        "2024-04-24T" + "1" * 1_000_000,
        "2024–04–24",
        "２０２４-04-24",
        "2024-04-24T10:00:00Z",
    ]
    for number, text in enumerate(dates):
        yield Input(f"date-{number}", ".jsonl", dump(article(published=text)))
        yield Input(f"date-{number}-csv", ".csv", f'article_id,text,published\na,Fire.,"{text[:60]}"\n'.encode())


def json_structures() -> Iterator[Input]:
    """JSON that is deep, wide, doubled or broken."""
    deep = 100_000
    for suffix in (".json", ".jsonl"):
        yield Input(f"brackets-100k{suffix}", suffix, b"[" * deep)
        yield Input(f"closed-brackets-100k{suffix}", suffix, b"[" * deep + b"]" * deep)
        yield Input(f"braces-100k{suffix}", suffix, b'{"a":' * deep)
        yield Input(f"deep-extra-100k{suffix}", suffix, b'{"text":"Fire.","x":' + b"[" * deep + b"]" * deep + b"}")
        for constant in (
            "NaN",
            "Infinity",
            "-Infinity",
            "1e999",
            "-1e999",
            "1" * 4300,
            "1" * 5000,
            "1e-999",
            "-0",
            "0.1" * 2,
        ):
            name = constant if len(constant) < 20 else f"{len(constant)}-digits"
            yield Input(f"extra-{name}{suffix}", suffix, f'{{"text":"Fire.","x":{constant}}}'.encode())
            yield Input(f"nested-{name}{suffix}", suffix, f'{{"text":"Fire.","x":{{"y":[1,{constant}]}}}}'.encode())
            yield Input(f"id-{name}{suffix}", suffix, f'{{"text":"Fire.","id":{constant}}}'.encode())
        yield Input(f"doubled-keys{suffix}", suffix, b'{"id":"a","id":"b","text":"Fire.","text":"Water.","text":5}')
        yield Input(f"only-blanks{suffix}", suffix, b" \r\n\t\n")
        yield Input(f"trailing-comma{suffix}", suffix, b'[{"text":"Fire."},]')
        yield Input(f"single-quotes{suffix}", suffix, b"{'text':'Fire.'}")
        yield Input(f"two-on-a-line{suffix}", suffix, b'{"text":"a"}{"text":"b"}')
        yield Input(f"raw-control{suffix}", suffix, b'{"text":"a\x01b\nc"}')
        yield Input(f"half-an-escape{suffix}", suffix, rb'{"text":"a\u12')
        yield Input(f"surrogate-key{suffix}", suffix, rb'{"text":"Fire.","\ud800":"\udfff","\u202e\u001b[2J":1}')
        yield Input(
            f"surrogate-pair{suffix}", suffix, rb'{"text":"Fire \ud83d\ude00 \u0000\u001b[2J","id":"\u001b[2J\u202e"}'
        )
        yield Input(f"lone-surrogate{suffix}", suffix, rb'{"text":"Fire \ude00\ud83d"}')
    for depth in (100, 400, 800, *range(900, 1000, 4)):
        nested = b'{"text":"Fire.","x":' + b"[" * depth + b"]" * depth + b"}"
        yield Input(f"extra-{depth}-deep", ".jsonl", nested)
    yield Input("wide-100k-keys", ".jsonl", lambda: dump(article(**{f"key{i}": i for i in range(100_000)})))
    yield Input("paragraphs-100k", ".jsonl", lambda: dump(article(paragraphs=["a"] * 100_000)))
    yield Input("articles-5k", ".jsonl", lambda: b'{"text":"a"}\n' * 5_000)
    yield Input("line-10mb", ".jsonl", lambda: dump(article(paragraphs=["Fire at the port. " * 550_000])))
    yield Input("escapes-10mb", ".jsonl", lambda: b'{"text":"' + rb"\u0001" * 1_600_000 + b'"}')
    yield Input("headline-10mb", ".jsonl", lambda: dump(article(headline="Fire at the port. " * 550_000)))
    yield Input("id-10mb", ".jsonl", lambda: dump(article(id="x" * 10_000_000)))
    yield Input("bad-id-10mb", ".jsonl", lambda: dump(article(id="x" * 10_000_000, paragraphs=[" "])))
    yield Input("bad-keys-10mb", ".jsonl", lambda: dump({"x" * 10_000_000: 1}))
    yield Input("many-bad-keys", ".jsonl", lambda: dump({f"key{i}": 1 for i in range(100_000)}))
    yield Input("label-1mb", ".jsonl", lambda: dump(article(paragraphs=[{"text": "Fire.", "label": "x" * 1_000_000}])))
    yield Input("no-line-end-10mb", ".jsonl", lambda: b'{"text":"' + b"x" * 10_000_000)


def tables() -> Iterator[Input]:
    """CSV and TSV that no spreadsheet would write."""
    head = b"article_id,text,label\n"
    cases: dict[str, bytes | Callable[[], bytes]] = {
        "unclosed": head + b'a,"Fire\nb,Water\n',
        "unclosed-10mb": lambda: head + b'a,"' + b"Fire, \n" * 1_400_000,
        "stray-quote": head + b'a,Fi"re,x\n',
        "text-after-quote": head + b'a,"Fire"x,x\n',
        "all-quotes": b'"' * 100_001,
        "ragged": head + b"a\na,b,c,d,e\n,,,,,,,,\n",
        "no-rows": head,
        "no-columns": b"\n\n\n",
        "one-column": b"text\nFire.\n",
        "doubled-columns": b"article_id,text,text\na,b,c\n",
        "unnamed-columns": b"article_id,text,,\na,Fire.,,\n",
        "columns-1000": (
            "article_id,text," + ",".join(f"c{i}" for i in range(1000)) + "\na,Fire.," + "," * 999 + "\n"
        ).encode(),
        "same-columns-1000": b"article_id,text" + b",x" * 1000 + b"\n",
        "columns-100k": lambda: b"article_id,text" + b"".join(b",c%d" % i for i in range(100_000)) + b"\n",
        "column-name-1mb": b"x" * 1_000_000 + b"\n",
        "no-text": b"article_id,body\na,Fire.\n",
        "nul": head + b"a,Fi\0re,\0\n",
        "nul-header": b"article_id,te\0xt\n",
        "semicolons": b"article_id;text\na;Fire.\n",
        "old-mac": b"article_id,text\ra,Fire.\rb,x",
        "interleaved": head + b"a,Fire,\nb,Fire,\na,Fire,\n",
        "blank-texts": head + b"a, ,\na,\xe2\x80\x8b,\n",
        "control-cells": head + b"\x1b[2J,\x1b[31mFire,\x07\n",
        "bidi-cells": head + "a\u202e,Fire\u2066,x\n".encode(),
        "latin-1": head + b"a,\xe9t\xe9,x\n",
        "formula": head + b"a,=HYPERLINK(1),@SUM(1)\n",
        "cell-10mb": lambda: head + b"a," + b"x" * 10_000_000,
        "rows-20k": lambda: head + b"".join(b"a%d,Fire.,\n" % (i // 10) for i in range(20_000)),
        "one-article-100k": lambda: head + b"a,Fire.,\n" * 100_000,
        "own-columns": b"article_id,text,model,segments,start\na,Fire.,1,2,3\n",
        "bad-label": head + b"a,Fire.,\x1b[2J\n",
        "label-blank": head + b"a,Fire., \n",
        "only-commas": b"," * 10_000,
        "no-id": head + b",Fire.,\n",
    }
    for name, content in cases.items():
        yield Input(f"csv-{name}", ".csv", content)
        if isinstance(content, bytes):
            yield Input(f"tsv-{name}", ".tsv", content.replace(b",", b"\t"))


def packed() -> Iterator[Input]:
    """Gzip and Parquet."""
    whole = gzip.compress(STORY.encode(), mtime=0)

    def bomb(start: bytes, piece: bytes, megabytes: int) -> bytes:
        packer = zlib.compressobj(9, wbits=31)
        made = [packer.compress(start)]
        block = piece * ((1 << 20) // len(piece))
        made += [packer.compress(block) for _ in range(megabytes)]
        return b"".join([*made, packer.flush()])

    yield Input("bomb-text", ".txt.gz", lambda: bomb(b"", b"\0", 300))
    yield Input("bomb-line", ".jsonl.gz", lambda: bomb(b'{"text":"', b"x", 300))
    yield Input("bomb-document", ".json.gz", lambda: bomb(b'{"text":"', b"x", 300))
    yield Input("bomb-cell", ".csv.gz", lambda: bomb(b'article_id,text\na,"', b"x", 300))
    yield Input("bomb-lines-in-a-cell", ".csv.gz", lambda: bomb(b'article_id,text\na,"', b"xxxxxxx\n", 300))
    yield Input("gzip-cut", ".txt.gz", whole[:-5])
    yield Input("gzip-head-only", ".txt.gz", whole[:10])
    yield Input("gzip-empty", ".txt.gz", b"")
    yield Input("gzip-not", ".txt.gz", STORY.encode())
    yield Input("gzip-twice", ".txt.gz", gzip.compress(whole, mtime=0))
    yield Input("gzip-wrong-sum", ".txt.gz", whole[:-8] + bytes(8))
    yield Input("gzip-then-garbage", ".txt.gz", whole + b"garbage")
    yield Input("gzip-in-txt", ".txt", whole)
    yield Input("parquet-in-jsonl", ".jsonl", table({"text": ["Fire."]}))
    yield Input("jsonl-in-parquet", ".parquet", dump(article()))
    yield Input("parquet-in-gz", ".parquet.gz", gzip.compress(table({"text": ["Fire."]}), mtime=0))
    nan, inf = float("nan"), float("inf")
    moment = datetime(2024, 4, 24, 10, tzinfo=timezone(timedelta(hours=5)))
    extras: dict[str, Any] = {
        "nan": nan,
        "inf": inf,
        "bytes": b"\xff\0",
        "date": date(1, 1, 1),
        "time": time(1, 2),
        "moment": moment,
        "naive": datetime.max,
        "span": timedelta(days=-1),
        "decimal": Decimal("1.50"),
        "decimal-nan": [nan, None],
        "struct": {"a": nan, "b": [b"x"]},
        "list": [date(2024, 1, 1)],
        "null": None,
        "big": 2**63 - 1,
        "text": "\u202e\x1b[2J",
        "bool": True,
    }
    for name, value in extras.items():
        yield Input(f"parquet-extra-{name}", ".parquet", table({"text": ["Fire."], "x": [value]}))
        yield Input(f"parquet-row-{name}", ".parquet", table({"article_id": ["a"], "text": ["Fire."], "x": [value]}))
        for field in ("published", "id", "text"):
            yield Input(f"parquet-{field}-{name}", ".parquet", table({"text": ["Fire."], field: [value]}))
    yield Input("parquet-no-rows", ".parquet", table({"text": []}))
    yield Input("parquet-no-columns", ".parquet", table({}))
    yield Input("parquet-nested", ".parquet", table({"paragraphs": [[{"text": "Fire.", "label": None, "x": nan}]]}))
    yield Input("parquet-nulls", ".parquet", table({"paragraphs": [None, ["Fire."]], "text": ["Fire.", None]}))
    yield Input("parquet-mb", ".parquet", lambda: table({"text": ["Fire at the port. " * 500_000] * 2}))
    yield Input(
        "parquet-bomb",
        ".parquet",
        lambda: table({"text": ["x" * (1 << 27)] * 2}, compression="zstd", use_dictionary=False),
    )


def fuzz(seed: int = 20240424) -> Iterator[Input]:
    """Valid files of every format with bytes changed, cut out, doubled and moved."""
    draw = random.Random(seed)
    rows = "article_id,text,label,published\n" + "".join(f'a,"{text}",background,2024-04-24\n' for text in PARAGRAPHS)
    valid = {
        ".txt": STORY.encode(),
        ".jsonl": dump(article(published="2024-04-24", tags=["x", 1.5]), article(id="b"), {"text": STORY}),
        ".json": json.dumps([article(), article(id="b", headline="Ü")], ensure_ascii=False).encode(),
        ".csv": rows.encode(),
        ".tsv": rows.replace(",", "\t").encode(),
        ".parquet": table({"article_id": ["a"] * 3, "text": PARAGRAPHS, "n": [1, 2, 3], "x": [0.5, None, 1.0]}),
        ".txt.gz": gzip.compress(STORY.encode(), mtime=0),
        ".jsonl.gz": gzip.compress(dump(article(), article(id="b")), mtime=0),
    }
    nasty = [
        b"\0",
        b"\xff",
        b'"',
        b"\n",
        b"\r",
        b",",
        b"\\",
        b"[",
        b"{",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"1e999",
        b"\xef\xbb\xbf",
    ]
    for suffix, whole in valid.items():
        for number in range(16):
            content = bytearray(whole)
            for _ in range(draw.choice([1, 1, 2, 5, 30])):
                place = draw.randrange(len(content) + 1)
                match draw.randrange(6):
                    case 0:
                        content[place : place + 1] = bytes([draw.randrange(256)])
                    case 1:
                        content[place:place] = draw.choice(nasty)
                    case 2:
                        del content[place : place + draw.randrange(1, 20)]
                    case 3:
                        content[place:place] = content[draw.randrange(len(content) + 1) :][: draw.randrange(60)]
                    case 4 if content:
                        content[min(place, len(content) - 1)] ^= 1 << draw.randrange(8)
                    case _:
                        del content[max(place, 20) :]
            yield Input(f"fuzz-{number}{suffix}", suffix, bytes(content))


INPUTS = [*texts(), *fields(), *json_structures(), *tables(), *packed(), *fuzz()]
#: So much that is no nonsense that an encoder works on it for minutes; the linear tagger reads it.
LONG = {
    "csv-rows-20k",
    "paragraphs-10mb",
    "letters-100k",
    "different-letters-100k",
    "quoted-100k",
    "paragraphs-100k",
    "csv-one-article-100k",
}
SMALL = [given for given in INPUTS if isinstance(given.content, bytes) and len(given.content) < 100_000]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every input in a folder of its own."""
    base, made = tmp_path_factory.mktemp("hostile"), {}
    for given in INPUTS:
        made[given.name] = base / given.name / f"in{given.suffix}"
        made[given.name].parent.mkdir()
        made[given.name].write_bytes(given.content if isinstance(given.content, bytes) else given.content())
    return made


def refuse(outcomes: dict[str, Outcome], *, seconds: float = SECONDS, megabytes: float = MEGABYTES) -> None:
    """Fails with all that is wrong, by the name of the input."""
    wrong = {
        name: (outcome.problems, f"{outcome.seconds:.1f} s, {outcome.megabytes:.0f} MB", outcome.stderr[-500:])
        for name, outcome in outcomes.items()
        if outcome.problems or outcome.seconds > seconds or outcome.megabytes > megabytes
    }
    assert not wrong, json.dumps(wrong, indent=1)


def test_there_are_enough() -> None:
    assert len({given.name for given in INPUTS}) == len(INPUTS) >= 500


def test_predict_prints_annotations_or_one_error(files: dict[str, Path], run_jobs: Runner) -> None:
    outcomes = run_jobs(
        {
            "name": name,
            "args": ["predict", str(file), "--json", *(["--model", "linear"] if name in LONG else [])],
            "input": str(file),
            "kind": "jsonl",
        }
        for name, file in files.items()
    )
    refuse(outcomes)
    assert sum(outcome.code == 0 for outcome in outcomes.values()) > 200
    assert sum(outcome.code == 1 for outcome in outcomes.values()) > 200


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_predict_writes_a_whole_file_or_none(files: dict[str, Path], run_jobs: Runner, suffix: str) -> None:
    jobs = []
    for given in SMALL[suffix == ".parquet" :: 8]:
        out = files[given.name].with_name(f"out{suffix}")
        args = ["predict", str(files[given.name]), "--out", str(out)]
        jobs.append({"name": given.name, "args": args, "input": str(files[given.name]), "kind": "out", "out": str(out)})
    refuse(run_jobs(jobs))


def test_tables_hold_nothing_that_a_terminal_would_obey(files: dict[str, Path], run_jobs: Runner) -> None:
    refuse(
        run_jobs(
            {"name": name, "args": ["predict", str(files[name]), "--table"], "input": str(files[name]), "kind": "table"}
            for name in [given.name for given in SMALL[2::6]] + ["word-10mb"]
        )
    )


def test_standard_input(files: dict[str, Path], run_jobs: Runner) -> None:
    refuse(
        run_jobs(
            {
                "name": given.name,
                "args": ["predict", "-"],
                "input": str(files[given.name]),
                "stdin": str(files[given.name]),
                "kind": "jsonl",
            }
            for given in SMALL[::10]
            if given.suffix in {".txt", ".jsonl"}
        )
    )


def test_skipping_goes_on_to_the_end(files: dict[str, Path], run_jobs: Runner) -> None:
    options = ["--json", "--on-error", "skip"]
    refuse(
        run_jobs(
            {
                "name": given.name,
                "args": ["predict", str(files[given.name]), *options],
                "input": str(files[given.name]),
                "kind": "other",
            }
            for given in SMALL[::10]
        )
    )


COMMANDS = {
    "train": ["train", "IN", "--out", "OUT/model"],
    "evaluate": ["evaluate", "default", "IN"],
    "check": ["data", "check", "IN"],
    "check-json": ["data", "check", "IN", "--held-out", "IN", "--json"],
    "join": ["data", "join", "newswire-dev", "IN", "--out", "OUT/joined.jsonl"],
    "join-labels": ["data", "join", "IN", "IN", "--out", "OUT/joined.jsonl"],
    "split": ["data", "split", "IN", "--out", "OUT/split.json"],
    "split-show": ["data", "split", "IN", "--show", "IN"],
    "split-date": ["data", "split", "IN", "--by", "date"],
    "stats": ["data", "stats", "IN"],
    "stats-json": ["data", "stats", "IN", "--json"],
    "labels": ["labels", "--file", "IN"],
    "model": ["model", "show", "IN"],
    "about": ["train", "authored", "--about", "IN", "--labels", "IN", "--out", "OUT/model"],
    "recipe": ["train", "authored", "--recipe", "IN", "--out", "OUT/model"],
}


def test_other_commands_do_not_crash(files: dict[str, Path], run_jobs: Runner) -> None:
    jobs = []
    for number, command in enumerate(COMMANDS):
        for given in SMALL[number::30]:
            folder = files[given.name].parent / command
            names = {"IN": str(files[given.name]), "OUT": str(folder)}
            args = [names.get(word, word.replace("OUT/", f"{folder}/")) for word in COMMANDS[command]]
            job = {"name": f"{command} {given.name}", "args": args, "input": "", "kind": "other"}
            jobs.append({**job, "folder": str(folder), "codes": (0, 1, 2)})
    refuse(run_jobs(jobs, training=True))


def test_training_on_hostile_texts(files: dict[str, Path], tmp_path: Path, run_jobs: Runner) -> None:
    labels = ["background", "analysis", "\x1b[2J\u202e"]
    corpus = tmp_path / "corpus.jsonl"
    lines: list[dict[str, Any]] = []
    for given in texts():
        if given in SMALL and given.suffix == ".txt":
            with contextlib.suppress(DataError):
                for article in read_articles(files[given.name]):
                    rows = [{"text": p.text, "label": labels[len(lines) % 3]} for p in article.paragraphs]
                    lines.append({"id": given.name, "published": "2024-04-24", "paragraphs": rows[:50]})
    corpus.write_bytes(dump(*lines))
    options = ["--held-out", "0.3", "--out", str(tmp_path / "model")]
    job = {
        "name": "train",
        "args": ["train", str(corpus), *options],
        "input": str(corpus),
        "kind": "table",
        "codes": (0,),
    }
    refuse(run_jobs([job], training=True))
    args = ["evaluate", str(tmp_path / "model"), str(corpus), "--include-seen"]
    refuse(run_jobs([{**job, "name": "evaluate", "args": args}], training=True))
    assert (tmp_path / "model" / "manifest.json").is_file()
