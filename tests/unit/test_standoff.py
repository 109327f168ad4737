"""Labels without texts, and joining them to texts again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutgraf_data.article import Article, Paragraph
from nutgraf_data.errors import DataError
from nutgraf_data.readers import read_articles
from nutgraf_data.readers.newsdiscourse import read_newsdiscourse
from nutgraf_data.standoff import join, normalise, paragraph_hash, read_standoff, write_standoff

SHARED = Path(os.environ.get("NUTGRAF_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "corpora"

FERRY = ["A ferry sank on Thursday.", "Nine were saved. “We were lucky,” said one.", "* * *", "It was built in 1970."]
VOTE = ["Parliament voted on Friday.", "The bill passed.", "Its critics will sue.", "Read more here."]


def labelled(id: str, texts: list[str], *, published: str | None = None, outlet: str | None = None) -> Article:
    roles = ["incident_report", "witness_account", "boilerplate", "background"]
    given = [
        Paragraph(text, 0, 0, roles[i % 4], "analysis" if i == 1 else None, {"note": text})
        for i, text in enumerate(texts)
    ]
    extra = {"topic": "sea", "source": {"repository": "o/r", "path": "p", "text": texts[0]}, "lead": texts[0]}
    return Article.from_paragraphs(
        given, id=id, headline="Secret headline", published=published, outlet=outlet, extra=extra
    )


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    corpus = [labelled("ferry", FERRY, published="2020-01-01"), labelled("vote", VOTE, outlet="Daily Almo")]
    write_standoff(corpus, tmp_path / "labels.jsonl")
    return tmp_path / "labels.jsonl"


def texts(article: Article) -> list[str]:
    return [p.text for p in article.paragraphs]


def test_no_text_is_written(labels: Path) -> None:
    content = labels.read_text(encoding="utf-8")
    assert not any(text in content for text in [*FERRY, *VOTE, "Secret headline"])
    header, first, _ = map(json.loads, content.splitlines())
    assert header == {
        "format": "nutgraf-standoff",
        "version": 1,
        "normalisation": "nutgraf-1",
        "articles": 2,
        "paragraphs": 8,
    }
    assert first["source"] == {"repository": "o/r", "path": "p"}
    assert first["paragraphs"][1] == {
        "sha256": paragraph_hash(FERRY[1]),
        "label": "witness_account",
        "alt": "analysis",
    }
    assert not list(labels.parent.glob(".*"))


def test_the_hash_never_changes() -> None:
    # Shipped labels depend on it.
    assert normalise("“Don’t”\u00a0—  ﬁne, AT&amp;T\u00ad… Straße 5½") == "dontfineattstrasse512"
    assert paragraph_hash("A ferry sank.") == "ad01f3d3169a99637ee7dc7dd246da819dae9bbcf24f760326ef9250f89267b8"


@pytest.mark.parametrize(
    "other",
    [
        "“We’re — lucky”",
        '"We\'re -- lucky"',
        " We're\u200b\n lucky",
        "&quot;WE&#8217;RE&nbsp;lucky.&quot;",
        "We’re lu\u00adcky",
    ],
)
def test_normalise_sees_through_re_extraction(other: str) -> None:
    assert normalise(other) == "werelucky"


def test_normalise_keeps_words_and_accents_apart() -> None:
    assert len({normalise(t) for t in ["resume", "résumé", "resumed", "5", "6", "* * *", "—"]}) == 7
    assert normalise("re\u0301sume\u0301") == normalise("résumé")


@given(st.text(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != "&")), st.text("ab É“. \n1ß"))
def test_normalised_texts_add_up(one: str, other: str) -> None:
    both = normalise(f"{one} {other}")
    worded = [piece for piece in (normalise(one), normalise(other)) if piece[:1].isalnum()]
    if worded:
        assert both == "".join(worded)


def test_round_trip(labels: Path) -> None:
    given = [
        Article.from_paragraphs(VOTE, id="x", headline="The bill"),
        Article.from_paragraphs(FERRY, id="vote", published="1999-01-01"),
    ]
    result = join(labels, given)
    assert [a.id for a in result.articles] == ["ferry", "vote"]
    ferry, vote = result.articles
    assert texts(ferry) == FERRY
    assert [(p.label, p.alt) for p in ferry.paragraphs][:2] == [
        ("incident_report", None),
        ("witness_account", "analysis"),
    ]
    assert (ferry.published, vote.headline, vote.outlet) == ("2020-01-01", "The bill", "Daily Almo")
    assert ferry.extra == {"topic": "sea", "source": {"repository": "o/r", "path": "p"}}
    assert (result.matched, result.total, result.missing) == (8, 8, [])
    assert result.summary() == "8 of 8 paragraphs joined (100.0 %), 2 of 2 articles"


def test_the_text_stays_the_users(labels: Path) -> None:
    given = ["A  ferry sank on Thursday", 'Nine were saved. "We were lucky", said one.', *FERRY[2:]]
    (article,) = join(labels, [Article.from_paragraphs(given)]).articles
    assert texts(article) == given


@pytest.mark.parametrize(
    "cut",
    [
        ["A ferry sank", "on Thursday.", "Nine were saved.", "“We were lucky,”", "said one.", *FERRY[2:]],
        ["Ferry sinks", FERRY[0], "ADVERTISEMENT", *FERRY[1:]],
        [" ".join(FERRY[:2]), *FERRY[2:]],
        ["\n".join(FERRY)],
        [" ".join(FERRY[:2]), FERRY[2], FERRY[3]],
    ],
)
def test_paragraphs_may_be_cut_otherwise(labels: Path, cut: list[str]) -> None:
    result = join(labels, [Article.from_paragraphs(cut)])
    assert [texts(a) for a in result.articles] == [FERRY]
    assert result.matched == 4


def test_a_run_is_no_longer_than_asked_for(labels: Path) -> None:
    words = [Article.from_paragraphs([word for text in VOTE for word in text.split()])]
    assert len(join(labels, words).articles) == 1
    assert not join(labels, words, longest_run=3).articles


def test_what_is_missing_is_counted(labels: Path) -> None:
    given = [Article.from_paragraphs([*VOTE[:3], "Something else."]), Article.from_paragraphs(["Quite other news."])]
    strict = join(labels, given)
    assert (strict.articles, strict.matched, strict.total) == ([], 0, 8)
    assert [(m.id, m.indices, m.total, m.kept) for m in strict.missing] == [
        ("ferry", (0, 1, 2, 3), 4, False),
        ("vote", (3,), 4, False),
    ]
    assert strict.summary().splitlines() == [
        "0 of 8 paragraphs joined (0.0 %), 0 of 2 articles",
        "1 articles left out: too little of them found (3 paragraphs)",
        "1 articles not found, the first 'ferry'",
    ]
    loose = join(labels, given, min_share=0.75)
    assert (loose.matched, [texts(a) for a in loose.articles]) == (3, [VOTE[:3]])
    assert loose.missing[1].kept
    assert "1 of them lack 1 paragraphs" in loose.summary()


def test_the_fullest_copy_wins(labels: Path) -> None:
    copies = [Article.from_paragraphs(VOTE[:n], headline=str(n)) for n in (3, 4, 2)]
    assert [a.headline for a in join(labels, copies, min_share=0.5).articles] == ["4"]


def test_a_paragraph_that_occurs_twice_needs_two(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    write_standoff([labelled("twice", ["Same.", "Other.", "Same."])], path)
    assert join(path, [Article.from_paragraphs(["Same.", "Other."])], min_share=0.5).missing[0].indices == (2,)
    assert join(path, [Article.from_paragraphs(["Same.", "Other.", "Same."])]).matched == 3


def test_ids_must_be_unique(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'ferry': this id occurs twice"):
        write_standoff([labelled("ferry", FERRY), labelled("ferry", VOTE)], tmp_path / "x.jsonl")
    assert not list(tmp_path.iterdir())


def spoil(labels: Path, line: int, old: str, new: str) -> None:
    lines = labels.read_text(encoding="utf-8").splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    labels.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "old", "new", "expected"),
    [
        (1, "nutgraf-standoff", "other", r":1: expected a header"),
        (1, '"version":1', '"version":2', r"version is 2, expected 1"),
        (1, "nutgraf-1", "nutgraf-9", r"normalisation is 'nutgraf-9'"),
        (1, '"articles":2', '"articles":3', r"has 2 records, its header says 3"),
        (2, "{", "", r":2: is not valid JSON"),
        (2, '"sha256":"', '"sha256":"0', r":2: paragraph 0 has no 'sha256' of 64"),
        (2, '"incident_report"', "7", r":2: paragraph 0: label and alt"),
        (2, '"paragraphs":[', '"paragraphs":[],"x":[', r":2: has no list"),
        (3, '"vote"', '"ferry"', r":3: the id 'ferry' occurs twice"),
        (3, '"vote"', "null", r":3: id is None"),
        (3, '"Daily Almo"', "1", r":3: outlet is 1"),
    ],
)
def test_malformed_labels(labels: Path, line: int, old: str, new: str, expected: str) -> None:
    spoil(labels, line, old, new)
    with pytest.raises(DataError, match=expected):
        read_standoff(labels)


def test_arguments(labels: Path, tmp_path: Path) -> None:
    for share in (0.0, 1.5):
        with pytest.raises(DataError, match="min_share"):
            join(labels, [], min_share=share)
    with pytest.raises(DataError, match="No such file"):
        join(tmp_path / "none", [])
    with pytest.raises(DataError, match="cannot be written"):
        write_standoff([], tmp_path / "no" / "folder.jsonl")


@pytest.mark.parametrize("unit", ["paragraph", "sentence"])
@pytest.mark.parametrize(
    ("part", "name", "total"), [("train", "newswire-train", 6170), ("validation", "newswire-dev", 533)]
)
def test_shipped_labels_join_the_original_release(part: str, name: str, total: int, unit: str) -> None:
    release, roles = SHARED / "newsdiscourse" / f"{part}.zip", SHARED / "roles" / f"{name}.jsonl"
    if not release.exists() or not roles.exists():
        pytest.skip(f"{release} or {roles} is not at hand")
    shipped = Path(__file__).parents[2] / "data" / "corpus" / "labels" / f"{name}.jsonl"
    result = join(shipped, read_newsdiscourse(release, unit=unit))  # type: ignore[arg-type]
    assert result.total == total
    assert result.matched / result.total >= 0.995
    expected = {a.id: [(p.label, p.alt) for p in a.paragraphs] for a in read_articles(roles)}
    assert all(
        expected[a.id] == [(p.label, p.alt) for p in a.paragraphs]
        for a in result.articles
        if len(a.paragraphs) == len(expected[a.id])
    )


@pytest.mark.parametrize("name", ["newswire-train", "newswire-dev", "world-train", "world-dev", "general-train"])
def test_shipped_labels_join_their_own_texts(name: str, tmp_path: Path) -> None:
    roles = SHARED / "roles" / f"{name}.jsonl"
    if not roles.exists():
        pytest.skip(f"{roles} is not at hand")
    shipped = Path(__file__).parents[2] / "data" / "corpus" / "labels" / f"{name}.jsonl"
    corpus = list(read_articles(roles))
    result = join(shipped, corpus)
    assert (result.matched, result.missing) == (result.total, [])
    assert [a.source for a in result.articles] == [a.source for a in corpus]
    write_standoff(corpus, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == shipped.read_bytes()


@pytest.mark.parametrize(
    "name", ["further-train", "further-validation", "later-train", "nearest-train", "nearest-dev", "general-dev"]
)
def test_further_labels_join_the_articles_that_they_were_given_to(name: str) -> None:
    sources = [SHARED / "unlabelled" / f"{source}.jsonl.gz" for source in ("rest", "allsides")]
    if not all(source.exists() for source in sources):
        pytest.skip(f"{sources[0].parent} is not at hand")
    folder = Path(__file__).parents[2] / "data" / "corpus" / "labels"
    records = read_standoff(folder / f"{name}.jsonl")
    ids = {record.id for record in records}
    texts = [article for source in sources for article in read_articles(source) if article.id in ids]
    result = join(folder / f"{name}.jsonl", texts)
    assert (result.matched, result.missing) == (result.total, [])
    held_out = {"newswire-dev", "world-dev", "general-dev", "nearest-dev"} - {name}
    known = {
        p.sha256 for other in held_out for record in read_standoff(folder / f"{other}.jsonl") for p in record.paragraphs
    }
    assert all(sum(p.sha256 in known for p in record.paragraphs) < len(record.paragraphs) / 5 for record in records)


def test_long_blanks_take_linear_time(labels: Path) -> None:
    blanks = " " * 300_000
    begin = time.process_time()
    result = join(labels, [Article.from_paragraphs([f"Read{blanks}on. {blanks.join(VOTE)}{blanks}\n{blanks}…"])])
    assert time.process_time() - begin < 5
    assert [[p.text for p in a.paragraphs] for a in result.articles] == [VOTE]


def test_pieces_part_at_line_and_sentence_ends(labels: Path) -> None:
    text = " ".join(["(More.)", FERRY[0], "“Nine were saved.”", "We were lucky, said one\t\n\n", FERRY[3], ")"])
    (article,) = join(labels, [Article.from_paragraphs([text])], min_share=0.5).articles
    assert [p.text for p in article.paragraphs] == [
        FERRY[0],
        "“Nine were saved.” We were lucky, said one",
        FERRY[3],
    ]
