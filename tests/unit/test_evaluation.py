"""Figures beyond the labels: every one against an independent computation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from nutgraf.tagger import Tagger
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.errors import DataError
from nutgraf_data.labels import LabelSet
from nutgraf_training.evaluation.compare import compare
from nutgraf_training.evaluation.evaluate import evaluate
from nutgraf_training.evaluation.groups import LEAST_ARTICLES, groups
from nutgraf_training.evaluation.predictions import Predictions, collect, gold_numbers
from nutgraf_training.evaluation.quality import BINS, METRICS, quality, reliability
from nutgraf_training.evaluation.repeat import cross_validate, recipe_of, repeat
from nutgraf_training.evaluation.selective import conformal, label_thresholds, risk_coverage, threshold
from nutgraf_training.recipe import Recipe

LABELS = ("a", "b", "c")


def made(articles: int = 40, seed: int = 0, skill: float = 1.5) -> Predictions:
    """Made-up articles of two outlets and scores for them; a tenth has no label, a fifth a second one."""
    draw = np.random.default_rng(seed)
    texts = []
    for number in range(articles):
        paragraphs = []
        for place in range(int(draw.integers(3, 12))):
            label = None if draw.random() < 0.1 else str(draw.choice(LABELS))
            alt = str(draw.choice(LABELS)) if draw.random() < 0.2 else None
            paragraphs.append(Paragraph("word " * int(draw.integers(1, 80)), 0, 0, label, alt, {"desk": place % 2}))
        texts.append(
            Article.from_paragraphs(
                [Paragraph(p.text.strip(), 0, 0, p.label, p.alt, p.extra) for p in paragraphs],
                id=f"a{number}",
                outlet="one" if number % 4 else "two",
                published=f"20{10 + number % 3}-01-01",
            )
        )
    label_set = LabelSet("letters", dict.fromkeys(LABELS, ""))
    gold = gold_numbers(texts, label_set)
    flat = np.concatenate(gold)
    potential = draw.normal(size=(len(flat), 3))
    potential[np.arange(len(flat)), np.maximum(flat, 0)] += skill
    scores = np.exp(potential)
    return collect(texts, label_set, gold, scores / scores.sum(axis=1, keepdims=True))


def test_figures_are_scikit_learns() -> None:
    p = made()
    gold, scores, predicted = p.gold[p.known], p.scores[p.known], p.predicted[p.known]
    found = {name: interval.value for name, interval in quality(p, resamples=100).items()}
    lenient = np.where(predicted == p.alt[p.known], predicted, gold)
    confidence, right = scores.max(axis=1), predicted == gold
    member = np.digitize(confidence, np.linspace(0, 1, BINS + 1)[1:-1])
    gaps = [abs((confidence[member == b] - right[member == b]).sum()) for b in range(BINS)]
    expected = {
        "macro_f1": reference.f1_score(gold, predicted, average="macro"),
        "accuracy": reference.accuracy_score(gold, predicted),
        "kappa": reference.cohen_kappa_score(gold, predicted),
        "mcc": reference.matthews_corrcoef(gold, predicted),
        "lenient_macro_f1": reference.f1_score(lenient, predicted, average="macro"),
        "lenient_accuracy": reference.accuracy_score(lenient, predicted),
        "log_loss": reference.log_loss(gold, scores, labels=[0, 1, 2]),
        "brier": reference.brier_score_loss(gold, scores, labels=[0, 1, 2], scale_by_half=False),
        "ece": sum(gaps) / len(gold),
    }
    assert found == pytest.approx(expected)
    assert set(found) == set(METRICS)


def test_every_figure_lies_in_its_interval() -> None:
    for name, interval in quality(made(), resamples=500).items():
        assert interval.low <= interval.value <= interval.high, name
        assert interval.low < interval.high, name


def test_the_reliability_diagram() -> None:
    p = made(120)
    confidence, right = p.confidence[p.known], p.right[p.known]
    shares, means = [], []
    for each in reliability(p, resamples=100):
        inside = (confidence >= each.low) & (confidence < each.high)
        assert each.paragraphs == inside.sum()
        if each.paragraphs:
            shares.append(each.accuracy.value == pytest.approx(right[inside].mean()))
            means.append(each.confidence == pytest.approx(confidence[inside].mean()))
        else:
            assert not each.accuracy.defined
    assert all(shares + means)
    assert len(shares) > 5


def test_the_risk_coverage_curve() -> None:
    p = made()
    confidence, wrong = p.confidence[p.known], ~p.right[p.known]
    curve = risk_coverage(p, points=10_000, resamples=200)
    risks = [wrong[confidence >= limit].mean() for limit in sorted(confidence, reverse=True)]
    np.testing.assert_allclose(curve.risk, risks)
    np.testing.assert_allclose(curve.coverage, np.arange(1, len(wrong) + 1) / len(wrong))
    assert curve.area.value == pytest.approx(np.mean(risks))
    assert curve.area.low < curve.area.value < curve.area.high
    assert curve.risk[-1] == pytest.approx(wrong.mean())


def test_equal_confidences_are_kept_or_left_together() -> None:
    p = made(10)
    flat = Predictions(p.articles, p.label_set, p.gold, p.alt, np.tile([0.5, 0.3, 0.2], (len(p.gold), 1)), p.article)
    curve = risk_coverage(flat, resamples=100)
    assert curve.coverage.tolist() == [1.0]
    assert curve.area.value == pytest.approx(curve.risk[0])


def test_a_threshold_reaches_its_target_and_says_what_it_gives_elsewhere() -> None:
    p = made(150)
    found = threshold(p, 0.9, resamples=200)
    assert found.min_confidence is not None
    kept = p.known & (p.confidence >= found.min_confidence)
    assert p.right[kept].mean() >= 0.9
    lower = p.known & (p.confidence >= np.nextafter(found.min_confidence, 0) - 0.02)
    assert p.right[lower].mean() < p.right[kept].mean()
    assert abs(found.accuracy.value - 0.9) < 0.05
    assert 0.1 < found.coverage.value < 0.9


def test_a_target_out_of_reach() -> None:
    p = made(60, skill=0.0)
    found = threshold(p, 0.999, resamples=100)
    assert found.min_confidence is None or found.coverage.value < 0.1


def test_thresholds_by_label() -> None:
    p = made(150)
    for number, found in enumerate(label_thresholds(p, 0.9, resamples=100)):
        assert found.label == LABELS[number]
        assert found.min_confidence is not None
        kept = p.known & (p.predicted == number) & (p.confidence >= found.min_confidence)
        assert p.right[kept].mean() >= 0.9
    assert all(t.min_confidence is None for t in label_thresholds(made(3), 0.9, resamples=100))


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_conformal_sets_hold_the_label_as_often_as_they_say(level: float) -> None:
    """Mean over simulations, on new articles."""
    shares = []
    for seed in range(40):
        limit = conformal(made(80, seed=seed), level, resamples=10).quantile
        new = made(80, seed=1000 + seed)
        own = new.scores[np.flatnonzero(new.known), new.gold[new.known]]
        shares.append((1 - own <= limit).mean())
    assert np.mean(shares) == pytest.approx(level, abs=0.02)


def test_conformal_sets_by_cross_fitting() -> None:
    found = conformal(made(200), 0.9, resamples=200)
    assert found.coverage.value == pytest.approx(0.9, abs=0.03)
    assert 1.0 < found.size.value < 3.0


def test_groups_are_evaluations_of_their_paragraphs() -> None:
    p = made(60)
    by_outlet = {group.value: group for group in groups(p, "outlet", resamples=100)}
    assert set(by_outlet) == {"one", "two"}
    outlet = np.array([p.articles[i].outlet for i in p.article])
    for name, group in by_outlet.items():
        where = p.known & (outlet == name)
        assert group.figures is not None
        assert group.paragraphs == where.sum()
        assert group.articles == len({p.articles[i].id for i in p.article[where]})
        assert group.figures["accuracy"].value == pytest.approx(p.right[where].mean())
        expected = reference.f1_score(p.gold[where], p.predicted[where], average="macro")
        assert group.figures["macro_f1"].value == pytest.approx(expected)
    ranked = [g.figures["accuracy"].value for g in groups(p, "length", resamples=100) if g.figures]
    assert ranked == sorted(ranked)
    for field in ("year", "position", "length", "desk"):
        assert sum(g.paragraphs for g in groups(p, field, resamples=100)) == p.known.sum(), field


def test_small_groups_say_so() -> None:
    p = made(LEAST_ARTICLES + 3)
    found = groups(p, "outlet", resamples=100)
    assert [g.value for g in found if g.figures is None] == ["two"]
    assert found[-1].to_json()["figures"] is None


def test_an_unknown_field_names_those_there_are() -> None:
    with pytest.raises(DataError, match=r"'weather'.*outlet, year, position, length, desk"):
        groups(made(5), "weather")


def other(p: Predictions, seed: int) -> Predictions:
    """The same articles, scored by another tagger."""
    scores = p.scores * np.random.default_rng(seed).uniform(0.3, 1, p.scores.shape)
    return Predictions(p.articles, p.label_set, p.gold, p.alt, scores / scores.sum(axis=1, keepdims=True), p.article)


def test_a_comparison() -> None:
    p = made(60)
    q = other(p, 1)
    found = compare({"p": p, "q": q}, resamples=300)
    (pair,) = found.pairs
    a, b = p.right[p.known], q.right[p.known]
    assert pair.accuracy.value == pytest.approx(a.mean() - b.mean())
    assert (len(pair.only_first), len(pair.only_second)) == ((a & ~b).sum(), (b & ~a).sum())
    count = int((a != b).sum())
    exact = min(1.0, 2 * stats.binom.cdf(min(len(pair.only_first), len(pair.only_second)), count, 0.5))
    assert pair.mcnemar == pytest.approx(exact)
    assert pair.agreement == pytest.approx((p.predicted == q.predicted)[p.known].mean())
    differing = found.differing()
    assert len(differing) == (p.known & (p.predicted != q.predicted)).sum()
    assert all(each["predicted"]["p"] != each["predicted"]["q"] for each in differing)
    json.dumps(found.to_json(), allow_nan=False)


def test_a_model_does_not_differ_from_itself() -> None:
    p = made(30)
    (pair,) = compare({"p": p, "again": p}, resamples=100).pairs
    assert not pair.different
    assert (pair.mcnemar, pair.agreement) == (1.0, 1.0)


def test_a_much_worse_model_is_called_different() -> None:
    p = made(60, skill=4.0)
    (pair,) = compare({"p": p, "chance": other(made(60, skill=0.0), 2)}, resamples=300).pairs
    assert pair.different
    assert pair.accuracy.low > 0


def test_comparisons_need_the_same_articles_and_labels() -> None:
    p = made(10)
    with pytest.raises(DataError, match="not run on the same articles"):
        compare({"p": p, "q": made(11)})
    with pytest.raises(DataError, match="at least two"):
        compare({"p": p})
    letters = LabelSet("letters", dict.fromkeys("cba", ""))
    with pytest.raises(DataError, match="other labels"):
        compare({"p": p, "q": Predictions(p.articles, letters, p.gold, p.alt, p.scores, p.article)})


def test_an_evaluation_as_json(tiny_tagger: Tagger, unseen: list[Article]) -> None:
    result = evaluate(tiny_tagger, unseen, resamples=100)
    record: dict[str, Any] = json.loads(
        json.dumps(result.to_json(by=["outlet"], targets=[0.8], coverage=[0.9]), allow_nan=False)
    )
    assert set(METRICS) <= set(record)
    assert len(record["thresholds"]) == 1 + len(tiny_tagger.label_set)
    assert record["conformal"][0]["level"] == 0.9
    assert {group["value"] for group in record["groups"]["outlet"]} == {str(a.outlet) for a in unseen}
    assert "outlet" in result.fields


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_a_model_that_goes_back_to_a_taught_one_has_no_recipe_alone(tiny_tagger: Tagger, rounds: int) -> None:
    history: dict[str, Any] = {"distilled": {"teachers": ["0123456789abcdef"]}}
    for _ in range(rounds):
        history = {"began_with": {"model": "fedcba9876543210", **history}}
    folder = replace(tiny_tagger.folder, manifest={**tiny_tagger.folder.manifest, **history})
    with pytest.raises(DataError, match="was taught by another one"):
        recipe_of(folder)


def test_seeds_and_folds(
    tiny_recipe: Recipe, tiny_tagger: Tagger, tiny_corpus: list[Article], unseen: list[Article]
) -> None:
    recipe = recipe_of(tiny_tagger.folder)
    assert recipe.to_toml() == tiny_recipe.to_toml()
    spread = repeat(recipe, tiny_corpus, unseen[:5], [0, 1], resamples=100).to_json()
    assert spread["macro_f1"]["low"] <= spread["macro_f1"]["mean"] <= spread["macro_f1"]["high"]
    assert len(spread["accuracy"]["values"]) == 2
    crossed = cross_validate(recipe, tiny_corpus, 3, resamples=100)
    assert crossed.scores.articles == len(tiny_corpus)
    assert crossed.scores.accuracy.value < 0.95  # no article was scored by a model that had seen it
