"""Splits and folds: every article once, no text on both sides, the same on every machine."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.splits import By, Split, folds, make_split

LEXICON = [f"word{n}" for n in range(2000)]


def article(id: str, text_seed: int, size: int = 5, outlet: str | None = None, published: str | None = None) -> Article:
    draw = random.Random(text_seed)
    texts = [" ".join(draw.choices(LEXICON, k=12)) for _ in range(size)]
    return Article.from_paragraphs(texts, id=id, outlet=outlet, published=published)


def corpus(count: int) -> list[Article]:
    """Articles of 3 to 9 paragraphs; those whose numbers are 20 apart and below 40 say the same."""
    return [
        article(
            f"a{n}",
            n % 20 if n < 40 else n,
            3 + n % 20 % 7,
            f"outlet {n % 9}" if n % 5 else None,
            f"2020-01-{n % 28 + 1:02}" if n % 11 else None,
        )
        for n in range(count)
    ]


@st.composite
def corpora(draw: st.DrawFn) -> list[Article]:
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 30), st.integers(2, 8), st.integers(0, 6), st.integers(0, 28)),
            min_size=2,
            max_size=25,
        )
    )
    return [
        article(f"id{n}", seed, size, f"o{outlet}" if outlet else None, f"2021-02-{day:02}" if day else None)
        for n, (seed, size, outlet, day) in enumerate(rows)
    ]


@settings(max_examples=60, deadline=None)
@given(corpora(), st.sampled_from(["article", "outlet", "date"]), st.floats(0.05, 0.9), st.integers(0, 5), st.randoms())
def test_a_split_is_a_partition_without_leaks(
    articles: list[Article], by: By, share: float, seed: int, shuffler: random.Random
) -> None:
    try:
        split = make_split(articles, by=by, held_out=share, seed=seed)
    except DataError as error:
        if "cannot hold out" not in str(error):
            raise
        return
    train, held = split.parts["train"], split.parts["held_out"]
    assert train
    assert held
    assert sorted([*train, *held]) == sorted(a.id for a in articles)
    sides = split.apply(articles)
    texts = [{p.text for a in sides[part] for p in a.paragraphs} for part in ("train", "held_out")]
    assert not texts[0] & texts[1]
    if by == "outlet":
        outlets = [{a.outlet for a in sides[part]} - {None} for part in ("train", "held_out")]
        assert not outlets[0] & outlets[1]
    shuffled = list(articles)
    shuffler.shuffle(shuffled)
    assert make_split(shuffled, by=by, held_out=share, seed=seed) == split


def test_the_share_is_met_and_the_seed_matters() -> None:
    articles = corpus(200)
    splits = [make_split(articles, held_out=0.2, seed=seed) for seed in (0, 1)]
    assert splits[0].parts != splits[1].parts
    for split in splits:
        train, held = split.summary(articles)
        assert held["share"] == pytest.approx(0.2, abs=0.005)
        assert train["paragraphs"] + held["paragraphs"] == sum(len(a.paragraphs) for a in articles)
    assert "20 pairs of near-duplicate" in splits[0].notes[0]


def test_the_split_of_a_corpus_never_changes() -> None:
    assert make_split(corpus(50)).parts["held_out"] == ("a0", "a15", "a20", "a27", "a35", "a47", "a49", "a7")


def test_by_date_the_newest_are_held_out() -> None:
    articles = [article(f"a{n}", n, published=f"2020-01-{n:02}") for n in range(1, 21)]
    articles += [article("undated", 99), article("copy", 20, published="2010-01-01"), article("undated copy", 19)]
    split = make_split(articles, by="date", held_out=0.17)
    assert split.parts["held_out"] == ("a19", "a20", "copy", "undated copy")
    assert any("2 articles without date train" in note for note in split.notes)


def test_by_outlet_large_outlets_do_not_overshoot() -> None:
    articles = [article(f"big{n}", n, outlet="Big") for n in range(50)]
    articles += [article(f"small{n}", 100 + n, outlet=f"Small {n % 10}") for n in range(50)]
    for seed in range(5):
        held = make_split(articles, by="outlet", held_out=0.1, seed=seed).parts["held_out"]
        assert len(held) == 10
        assert all(id.startswith("small") for id in held)


@pytest.mark.parametrize(
    ("articles", "by", "expected"),
    [
        ([article("a", 1)], "article", "1 group"),
        ([article("a", 1), article("b", 1)], "article", "1 group"),
        ([article("a", 1, outlet="x"), article("b", 2, outlet="x")], "outlet", "1 group"),
        ([article("a", 1), article("b", 2)], "date", "no article has a date"),
        ([article("a", 1), article("a", 2)], "article", "'a': this id occurs twice"),
        ([], "article", "0 articles"),
        ([article("a", 1), article("b", 2)], "topic", "by is 'topic'"),
    ],
)
def test_what_cannot_be_split(articles: list[Article], by: By, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        make_split(articles, by=by)


def test_two_articles_can_be_split() -> None:
    parts = make_split([article("a", 1, 9), article("b", 2, 3)], held_out=0.01).parts
    assert parts == {"train": ("a",), "held_out": ("b",)}


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_share(share: float) -> None:
    with pytest.raises(DataError, match="held_out"):
        make_split(corpus(3), held_out=share)


def test_save_and_load(tmp_path: Path) -> None:
    split = make_split(corpus(60), by="date", seed=3)
    split.save(tmp_path / "split.json")
    assert Split.load(tmp_path / "split.json") == split
    assert [p.name for p in tmp_path.iterdir()] == ["split.json"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": "x"}, "is no split"),
        ({"version": 2}, "version 2"),
        ({"parts": {"train": ["a"]}}, "malformed"),
        ({"parts": {"train": ["a"], "held_out": ["a"]}}, "each in one"),
        ({"parts": {"train": ["a"], "held_out": [1]}}, "must be strings"),
        ({"by": "topic"}, "by is 'topic'"),
        ({"seed": "x"}, "malformed"),
    ],
)
def test_malformed_split_files(tmp_path: Path, change: dict[str, object], expected: str) -> None:
    path = tmp_path / "split.json"
    make_split(corpus(30)).save(path)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(DataError, match=expected):
        Split.load(path)


def test_apply_refuses_another_corpus() -> None:
    articles = corpus(30)
    split = make_split(articles)
    assert sum(map(len, split.apply(articles[::-1]).values())) == 30
    with pytest.raises(
        DataError, match=r"1 article\(s\) of the split are not in the corpus, the first 'a0'; split the"
    ):
        split.apply(articles[1:])
    with pytest.raises(DataError, match=r"1 article\(s\) of the corpus are not in the split, the first 'new'"):
        split.apply([*articles, article("new", 77)])
    with pytest.raises(DataError, match="other texts"):
        split.apply([article("a0", 78), *articles[1:]])
    with pytest.raises(DataError, match="twice"):
        split.apply([*articles, articles[0]])


@settings(max_examples=30, deadline=None)
@given(corpora(), st.integers(2, 5), st.integers(0, 3))
def test_folds_are_balanced_partitions(articles: list[Article], n: int, seed: int) -> None:
    texts: dict[int, set[str]] = {}
    try:
        made = folds(articles, n, seed)
    except DataError as error:
        if "cannot make" not in str(error):
            raise
        return
    assert 2 <= len(made) <= n
    assert sorted(number for fold in made for number in fold) == list(range(len(articles)))
    for number, fold in enumerate(made):
        assert fold
        texts[number] = {p.text for i in fold for p in articles[i].paragraphs}
        assert not any(texts[number] & texts[other] for other in range(number))
    shuffled = folds(articles[::-1], n, seed)
    assert [sorted(len(articles) - 1 - i for i in fold) for fold in shuffled] == made


def test_folds_of_a_larger_corpus() -> None:
    articles = corpus(150)
    sizes = [sum(len(articles[i].paragraphs) for i in fold) for fold in folds(articles, 5, 0)]
    assert max(sizes) - min(sizes) <= 18
    with pytest.raises(DataError, match="cannot make 1 folds"):
        folds(articles, 1, 0)
    assert [len(fold) for fold in folds(articles[:3], 5, 0)] == [1, 1, 1]
    with pytest.raises(DataError, match="cannot make 5 folds of 1 articles"):
        folds(articles[:1], 5, 0)
