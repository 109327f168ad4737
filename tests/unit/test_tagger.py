"""Articles are scored in batches, and nobody can tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nutgraf.features import FeatureExtractor, FeatureSettings
from nutgraf.linear import LinearTagger
from nutgraf.tagger import batches
from nutgraf_data import corpora
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError


def articles(*sizes: int) -> list[Article]:
    return [Article.from_paragraphs(["Fire."] * size, id=str(number)) for number, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((), []), ((3,), [1]), ((9, 1, 2), [1, 2]), ((5, 5, 5, 5), [2, 2]), ((1, 1, 1), [3]), ((4, 6, 30, 1), [2, 1, 1])],
)
def test_batches_keep_order_and_lose_nothing(sizes: tuple[int, ...], expected: list[int]) -> None:
    given = articles(*sizes)
    made = list(batches(given, paragraphs=9))
    assert [len(batch) for batch in made] == expected
    assert [article for batch in made for article in batch] == given


def test_what_was_read_before_an_error_is_given_first(tiny_tagger: LinearTagger) -> None:
    def broken() -> Iterator[Article]:
        yield from articles(1, 2, 3)
        raise DataError("line 4 is broken")

    annotations = tiny_tagger.predict_many(broken())
    assert [next(annotations).article.id for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(DataError, match="line 4"):
        next(annotations)


def features_of(extractor: FeatureExtractor, given: list[Article]) -> list[list[tuple[int, ...]]]:
    """For each paragraph, its blocks, buckets and counts."""
    found = []
    for chunk in extractor.extract(given):
        rows: list[list[tuple[int, ...]]] = [[] for _ in range(chunk.paragraphs)]
        for row, *rest in zip(chunk.row, chunk.block, chunk.bucket, chunk.count, strict=True):
            rows[row].append(tuple(map(int, rest)))
        found += rows
    return found


def test_features_do_not_depend_on_the_articles_beside() -> None:
    extractor = FeatureExtractor(FeatureSettings(bits=18))
    given = [Article.from_paragraphs(a.paragraphs, id=a.id, headline=a.headline) for a in corpora.load("authored")[:30]]
    together = features_of(extractor, given)
    assert len(together) == sum(len(article.paragraphs) for article in given)
    assert together == [features for article in given for features in features_of(extractor, [article])]


def test_scores_do_not_depend_on_the_articles_beside(tiny_tagger: LinearTagger) -> None:
    given = corpora.load("authored")[:40]
    together = [scores.tolist() for scores, _ in tiny_tagger.score_many(given)]
    assert together == [tiny_tagger.score(article)[0].tolist() for article in given]
