"""Evaluation: only on articles that the model has not seen, only with labels that it has."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from nutgraf.linear import LinearTagger
from nutgraf_data.article import Article, Origin, Paragraph
from nutgraf_data.errors import DataError
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.evaluate import evaluate
from nutgraf_training.evaluation.predictions import gold_numbers
from nutgraf_training.provenance import seen_articles, trained_on, write_trained_on


def relabel(article: Article, **labels: str | None) -> Article:
    """The article with other labels: ``_3="analysis"`` for paragraph 3."""
    paragraphs = list(article.paragraphs)
    for place, label in labels.items():
        paragraphs[int(place[1:])] = replace(paragraphs[int(place[1:])], label=label)
    return replace(article, paragraphs=tuple(paragraphs))


def test_scores_are_those_of_the_predictions(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    found = evaluate(tiny_tagger, iter(unseen), resamples=100)
    pairs = [(p.label, s.label) for a in unseen for p, s in zip(a.paragraphs, tiny_tagger.predict(a), strict=True)]
    assert found.scores.accuracy.value == pytest.approx(np.mean([gold == guess for gold, guess in pairs]))
    assert found.scores.confusion.sum() == len(pairs) == found.scores.paragraphs
    assert found.scores.articles == len(unseen)
    assert found.scores.labels == NEWS_ROLES.labels
    assert (found.unlabelled, found.seen) == (0, 0)
    record = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert record["model"] == tiny_tagger.fingerprint
    assert (record["seen"], record["unlabelled"]) == (0, 0)


def test_the_seed_decides_only_the_intervals(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    one, other = (evaluate(tiny_tagger, unseen, resamples=100, seed=seed).scores.macro_f1 for seed in (0, 1))
    assert one.value == other.value
    assert (one.low, one.high) != (other.low, other.high)


def test_seen_articles_are_refused(
    tiny_tagger: LinearTagger, tiny_corpus: list[Article], unseen: list[Article]
) -> None:
    known = trained_on(tiny_tagger.folder)
    seen = [article for article in tiny_corpus if seen_articles([article], known)]
    assert 0 < len(seen) < len(tiny_corpus)
    # Another id, another place and other punctuation do not make an article new.
    texts = [replace(p, text=p.text.replace(",", " —")) for p in seen[0].paragraphs]
    copy = Article.from_paragraphs(texts, id="copy", origin=Origin("held-out.jsonl", 7))
    with pytest.raises(
        DataError,
        match=r"^held-out\.jsonl:7: the model was trained on 1 of these 21 articles \(the first is 'copy'\)"
        r".*--include-seen",
    ):
        evaluate(tiny_tagger, [*unseen, copy])
    found = evaluate(tiny_tagger, [*unseen, copy, seen[1]], include_seen=True, resamples=100)
    assert found.seen == 2
    assert found.scores.articles == len(unseen) + 2


def test_held_out_articles_are_not_seen(tiny_tagger: LinearTagger, tiny_corpus: list[Article]) -> None:
    known = trained_on(tiny_tagger.folder)
    held = [article for article in tiny_corpus if not seen_articles([article], known)]
    assert evaluate(tiny_tagger, held, resamples=100).seen == 0


@pytest.mark.parametrize(
    ("label", "hint"),
    [
        ("Incident Report", "did you mean 'incident_report'?"),
        ("backgruond", "did you mean 'background'?"),
        ("zzz", "the labels of 'news-roles' are: incident_report"),
    ],
)
def test_unknown_labels(tiny_tagger: LinearTagger, unseen: list[Article], label: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        evaluate(tiny_tagger, [relabel(unseen[0], _2=label)])
    assert f"the label {label!r} is not one of the model's" in str(caught.value)
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert unseen[0].id in str(caught.value)


def test_an_unknown_label_names_its_line(tiny_tagger: LinearTagger) -> None:
    rows = [Paragraph("One.", 0, 0, "analysis", line=2), Paragraph("Two.", 0, 0, "nonsense", line=3)]
    article = Article.from_paragraphs(rows, origin=Origin("rows.csv"))
    with pytest.raises(DataError, match=r"^rows\.csv:3: "):
        evaluate(tiny_tagger, [article])


def test_unlabelled_paragraphs_are_context(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    article = unseen[0]
    found = evaluate(tiny_tagger, [relabel(article, _0=None, _3=None)], resamples=100)
    assert found.unlabelled == 2
    assert found.scores.paragraphs == len(article.paragraphs) - 2
    whole = evaluate(tiny_tagger, [article], resamples=100)
    assert (whole.scores.confusion - found.scores.confusion).sum() == 2
    assert (whole.scores.confusion >= found.scores.confusion).all()  # the others are predicted as before


def test_no_label_at_all(tiny_tagger: LinearTagger) -> None:
    for articles in ([Article.from_paragraphs(["One.", "Two."])], []):
        with pytest.raises(DataError, match="none of the paragraphs has a label"):
            evaluate(tiny_tagger, articles)


def test_gold_numbers() -> None:
    rows = [Paragraph("a", 0, 0, "analysis"), Paragraph("b", 0, 0), Paragraph("c", 0, 0, "incident_report")]
    (found,) = gold_numbers([Article.from_paragraphs(rows)], NEWS_ROLES)
    assert found.tolist() == [NEWS_ROLES.labels.index("analysis"), -1, 0]


def test_trained_on_is_sorted_and_has_no_repeats(tiny_corpus: list[Article]) -> None:
    content = write_trained_on([*tiny_corpus, *tiny_corpus[:3]]).decode("ascii")
    lines = content.splitlines()
    assert lines == sorted(set(lines))
    assert len(lines) == len({p.text for article in tiny_corpus for p in article.paragraphs})
    assert all(len(line) == 10 and set(line) <= set("0123456789abcdef") for line in lines)
    assert content == write_trained_on(tiny_corpus[::-1]).decode("ascii")
