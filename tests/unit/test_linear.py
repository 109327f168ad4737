"""The linear tagger: what numpy runs is what scikit-learn fitted, and nothing else decides."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

import nutgraf_training.linear as fitting
from nutgraf.artefact import write_model
from nutgraf.linear import LinearTagger, LinearWeights
from nutgraf.sequence import Chains, ChainWeights, Transitions, context, context_width
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.errors import DataError, ModelError
from nutgraf_data.labels import NEWS_ROLES, LabelSet
from nutgraf_training.chain import fit_chain
from nutgraf_training.linear import extract, fit_linear, fit_margins
from nutgraf_training.recipe import FitSettings, LinearRecipe
from nutgraf_training.train import TrainResult, train

RECIPE = LinearRecipe.from_dict("tiny", {"kind": "linear", "features": {"bits": 16}, "fit": {"folds": 3}})
TWO = LabelSet("two", {"news": "", "advert": ""})


@pytest.fixture
def estimators(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The LinearSVCs that are fitted, in their order."""
    made: list[Any] = []

    class Spy(LinearSVC):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr(fitting, "LinearSVC", Spy)
    return made


def small(count: int, *, labels: tuple[str, str] = ("news", "advert")) -> list[Article]:
    """Articles whose paragraphs anyone can tell apart."""
    places = ["port", "bridge", "market", "station", "harbour", "school", "valley", "square"]
    return [
        Article.from_paragraphs(
            [
                Paragraph(f"A fire broke out at the {places[n % 8]} number {n}, police said.", 0, 0, labels[0]),
                Paragraph(f"Officers searched the {places[(n * 3) % 8]} {n} for {n % 5} hours.", 0, 0, labels[0]),
                Paragraph(f"Subscribe now and save {n} crowns with code {places[n % 8]}!", 0, 0, labels[1]),
            ],
            id=f"small-{n}",
        )
        for n in range(count)
    ]


def bare(articles: Sequence[Article]) -> list[Article]:
    """The articles without labels."""
    return [
        replace(a, paragraphs=tuple(replace(p, label=None, alt=None) for p in a.paragraphs), origin=None)
        for a in articles
    ]


def test_numpy_runs_what_scikit_learn_fitted(
    authored: list[Article], estimators: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = train(authored[:60], tmp_path_factory.mktemp("parity") / "m", recipe=RECIPE, held_out=0).folder
    tagger, estimator = LinearTagger(folder), estimators[RECIPE.fit.folds]  # the folds come first
    others = authored[60:]
    ours = tagger.margins(others)
    rows = fitting._sparse(tagger._table, extract(others, RECIPE))
    assert estimator.classes_.tolist() == list(range(7))
    exact = estimator.decision_function(rows)
    estimator.coef_ = estimator.coef_.astype(np.float16).astype(np.float64)
    np.testing.assert_allclose(ours, estimator.decision_function(rows), rtol=0, atol=1e-6)
    assert (ours.argmax(axis=1) == exact.argmax(axis=1)).mean() >= 0.995
    assert np.abs(ours - exact).max() > 0  # else nothing was rounded, and the line above says nothing
    assert len(set(ours.argmax(axis=1).tolist())) >= 5


def test_two_labels(estimators: list[Any]) -> None:
    articles = small(12)
    fit = fit_linear(articles, TWO, RECIPE)
    assert fit.cross_fitted.shape == (36, 2)
    np.testing.assert_allclose(fit.cross_fitted.sum(axis=1), 1.0)
    gold = np.array([TWO.labels.index(p.label or "") for a in articles for p in a.paragraphs])
    assert (fit.cross_fitted.argmax(axis=1) == gold).mean() > 0.9
    # scikit-learn keeps one row for two classes; the other margin is its mirror.
    np.testing.assert_array_equal(fit.weights.coefficients[:, 0], -fit.weights.coefficients[:, 1])
    np.testing.assert_array_equal(
        fit.weights.coefficients[:, 1], estimators[RECIPE.fit.folds].coef_[0].astype(np.float16)
    )
    assert fit.weights.intercepts[1] == estimators[RECIPE.fit.folds].intercept_[0]


def test_two_of_three_labels_occur() -> None:
    three = LabelSet("three", {"advert": "", "letter": "", "news": ""})
    fit = fit_linear(small(12), three, RECIPE)
    assert not fit.weights.coefficients[:, 1].any()
    assert fit.weights.intercepts[1] == -1.0
    assert 1 not in fit.cross_fitted.argmax(axis=1)
    assert np.isfinite(fit.cross_fitted).all()


def test_a_label_that_a_fold_never_sees() -> None:
    """One article alone has a third label: the fold that leaves it out has never seen it."""
    articles = [*small(11), Article.from_paragraphs([Paragraph("Dear editor, I disagree.", 0, 0, "letter")], id="one")]
    three = LabelSet.from_articles(articles)
    fit = fit_linear(articles, three, RECIPE)
    assert np.isfinite(fit.cross_fitted).all()
    letter = three.labels.index("letter")
    assert fit.cross_fitted[-1].argmax() != letter
    assert fit.weights.coefficients[:, letter].any()


def test_a_fold_that_sees_one_label_only() -> None:
    articles = small(4, labels=("news", "news"))
    articles.append(Article.from_paragraphs([Paragraph("Subscribe now and save!", 0, 0, "advert")], id="advert"))
    fit = fit_linear(articles, TWO, RECIPE)
    assert np.isfinite(fit.cross_fitted).all()
    assert fit.cross_fitted.argmax(axis=1).tolist() == [0] * 13


def test_margins_of_one_label() -> None:
    rows = sparse.csr_array(np.eye(3))
    given = np.array([1, 1, -1])
    coefficients, intercepts = fit_margins(rows, given, np.full(3, -1), 3, FitSettings(), 0)
    assert not coefficients.any()
    assert intercepts.tolist() == [-1.0, 1.0, -1.0]


def test_a_paragraph_weighs_one_whatever_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[int], list[float]]] = []

    class Spy(LinearSVC):  # type: ignore[misc]
        def fit(self, rows: Any, target: Any, sample_weight: Any) -> Any:
            seen.append((target.tolist(), sample_weight.tolist()))
            return super().fit(rows, target, sample_weight)

    monkeypatch.setattr(fitting, "LinearSVC", Spy)
    given, alternative = np.array([0, 1, 2, -1]), np.array([1, -1, 2, 0])
    fit_margins(sparse.csr_array(np.eye(4)), given, alternative, 3, FitSettings(alt_weight=0.4), 0)
    assert seen == [([0, 1, 2, 1], [0.6, 1.0, 1.0, 0.4])]


def test_alternative_labels_change_the_weights() -> None:
    rows = sparse.csr_array(np.eye(6)[[0, 1, 2, 0, 1, 2]])
    given, none = np.array([0, 1, 2, 0, 1, 2]), np.full(6, -1)
    alternative = np.array([1, -1, -1, 1, -1, -1])
    hard = FitSettings(alt_weight=0.0)
    soft = FitSettings(alt_weight=0.4)
    plain, _ = fit_margins(rows, given, none, 3, soft, 0)
    softened, _ = fit_margins(rows, given, alternative, 3, soft, 0)
    assert softened[0, 0] < plain[0, 0]  # the first feature speaks less for its label
    assert softened[0, 1] > plain[0, 1]  # and more for the alternative
    np.testing.assert_array_equal(fit_margins(rows, given, alternative, 3, hard, 0)[0], plain)
    # An alternative that is the label itself, or without a label, says nothing.
    np.testing.assert_array_equal(fit_margins(rows, given, given, 3, soft, 0)[0], plain)
    blank = np.array([-1, 1, 2, -1, 1, 2])
    np.testing.assert_array_equal(
        fit_margins(rows, blank, alternative, 3, soft, 0)[0], fit_margins(rows, blank, none, 3, soft, 0)[0]
    )


def test_unlabelled_paragraphs_are_context() -> None:
    """They are scored, and read by their neighbours, but nothing is learnt from a label they do not have."""
    articles = small(12)
    open_ends = [
        replace(a, paragraphs=(*a.paragraphs[:2], replace(a.paragraphs[2], label=None)), origin=None)
        for a in articles[6:]
    ]
    fit = fit_linear([*articles[:6], *open_ends], TWO, RECIPE)
    assert fit.cross_fitted.shape == (36, 2)
    np.testing.assert_allclose(fit.cross_fitted.sum(axis=1), 1.0)
    assert (fit.cross_fitted.argmax(axis=1)[2::3] == 1).all()  # known from the articles that have the label
    alone = [Article.from_paragraphs(a.paragraphs[:2], id=a.id) for a in open_ends]
    other = fit_linear([*articles[:6], *alone], TWO, RECIPE)
    assert not np.array_equal(other.weights.coefficients.shape, fit.weights.coefficients.shape) or not np.array_equal(
        other.weights.coefficients, fit.weights.coefficients
    )


def test_given_labels_never_decide(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    for article, blank in zip(unseen[:5], bare(unseen[:5]), strict=True):
        assert tiny_tagger.predict(article).segments == tiny_tagger.predict(blank).segments


@pytest.mark.parametrize(
    ("articles", "message"),
    [
        (small(1), "one training article was found"),
        (small(12, labels=("news", "news")), "fewer than two labels occur"),
        (bare(small(12)), "fewer than two labels occur"),
    ],
)
def test_what_cannot_be_fitted(articles: list[Article], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_linear(articles, TWO, RECIPE)


def test_order_and_batch_do_not_matter(tiny_result: TrainResult, unseen: list[Article]) -> None:
    def fresh() -> LinearTagger:
        return LinearTagger(tiny_result.folder)

    forward = {a.article.id: a.segments for a in fresh().predict_many(unseen)}
    backward = {a.article.id: a.segments for a in fresh().predict_many(unseen[::-1])}
    assert forward == backward
    for article in unseen[::5]:
        assert fresh().predict(article).segments == forward[article.id]


def test_threads_do_not_matter(
    tiny_result: TrainResult, authored: list[Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [a.segments for a in LinearTagger(tiny_result.folder).predict_many(authored)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        tagger = LinearTagger(tiny_result.folder)
        with ThreadPoolExecutor(8) as pool:
            assert [a.segments for a in pool.map(tagger.predict, authored)] == expected
    finally:
        sys.setswitchinterval(interval)


def test_a_tagger_can_be_sent_to_another_process(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    copy = pickle.loads(pickle.dumps(tiny_tagger))
    assert copy.predict(unseen[0]) == tiny_tagger.predict(unseen[0])


def test_neighbours_do_matter(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    texts = [p.text for p in unseen[0].paragraphs]
    whole = tiny_tagger.predict(Article.from_paragraphs(texts))
    alone = tiny_tagger.predict(Article.from_paragraphs(texts[3:4]))
    assert whole[3].scores != alone[0].scores


def test_text_and_article_give_the_same(tiny_tagger: LinearTagger) -> None:
    texts = ["A fire broke out.", "Nobody was hurt, the mayor said."]
    assert (
        tiny_tagger.predict("\n\n".join(texts)).segments == tiny_tagger.predict(Article.from_paragraphs(texts)).segments
    )


def test_long_articles_and_long_paragraphs(tiny_tagger: LinearTagger) -> None:
    annotation = tiny_tagger.predict(Article.from_paragraphs([f"Paragraph {n} said so." for n in range(700)]))
    assert len(annotation) == 700
    assert [s.paragraph for s in annotation] == list(range(700))
    limit = int(tiny_tagger.folder.settings["features"]["max_characters"])
    cut = tiny_tagger.predict(Article.from_paragraphs(["x " * limit, "short"]))
    assert [s.truncated for s in cut] == [True, False]
    assert cut[0].text == "x " * limit


def test_context() -> None:
    own = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    soft = np.exp(own) / np.exp(own).sum(axis=1, keepdims=True)
    found = context(own, Chains([2, 1]))
    assert found.shape == (3, context_width(2))
    np.testing.assert_allclose(found[:, :2], own - own.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(found[:, 2:4], [[0, 0], soft[0], [0, 0]])  # before; not across articles
    np.testing.assert_allclose(found[:, 4:6], [soft[1], [0, 0], [0, 0]])  # after
    np.testing.assert_allclose(found[:, 6:8], [soft[:2].mean(axis=0)] * 2 + [soft[2]])
    np.testing.assert_allclose(found[:, 8], 1.0)
    assert np.isfinite(context(1e4 * own, Chains([3]))).all()


NO_TRANSITIONS = Transitions(np.zeros((2, 2)), np.zeros(2), np.zeros(2))


def weights(labels: int = 2) -> LinearWeights:
    return LinearWeights(
        np.array([1, 5], dtype=np.uint32),
        np.ones(2, dtype=np.float16),
        np.ones((2, labels), dtype=np.float16),
        np.zeros(labels),
        ChainWeights(np.zeros((context_width(labels), labels)), NO_TRANSITIONS),
    )


def test_weights_come_back_to_the_bit(tiny_result: TrainResult) -> None:
    content = tiny_result.folder.files["model.safetensors"]
    assert LinearWeights.from_bytes(content, labels=len(NEWS_ROLES), bits=16).to_bytes() == content
    assert LinearWeights.from_bytes(weights().to_bytes(), labels=2, bits=8).buckets.tolist() == [1, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"buckets": np.array([5, 1], dtype=np.uint32)}, "not ascending numbers below"),
        ({"buckets": np.array([5, 5], dtype=np.uint32)}, "not ascending numbers below"),
        ({"buckets": np.array([5, 256], dtype=np.uint32)}, r"below 2 \*\* 8"),
        ({"idf": np.array([1, np.nan], dtype=np.float16)}, "'idf' holds values that are not finite"),
        ({"idf": np.ones(2, dtype=np.float32)}, r"'idf' is float32 \(2,\), expected float16 \(2,\) for 2 labels"),
        ({"coefficients": np.ones((2, 3), dtype=np.float16)}, r"'coefficients' is float16 \(2, 3\)"),
        ({"intercepts": np.array([0.0, np.inf])}, "'intercepts' holds values that are not finite"),
        ({"chain": ChainWeights(np.zeros((3, 2)), NO_TRANSITIONS)}, "'emission' is float64"),
    ],
)
def test_weights_are_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LinearWeights.from_bytes(replace(weights(), **change).to_bytes(), labels=2, bits=8)


def test_weights_that_are_none() -> None:
    from safetensors.numpy import save

    for content in (b"", b"nonsense", weights().to_bytes()[:-1]):
        with pytest.raises(ValueError, match="not valid safetensors"):
            LinearWeights.from_bytes(content, labels=2, bits=8)
    with pytest.raises(ValueError, match="no array 'idf'"):
        LinearWeights.from_bytes(save({"buckets": np.zeros(0, dtype=np.uint32)}), labels=2, bits=8)


@pytest.mark.parametrize(
    "change",
    [
        {"chain": ChainWeights(np.full((context_width(2), 2), 1e308) * [1, -1], NO_TRANSITIONS)},
        {
            "chain": ChainWeights(
                np.zeros((context_width(2), 2)),
                Transitions(np.array([[0, -2e3], [-2e3, 0]]), np.array([0, -2e3]), np.array([-2e3, 0])),
            )
        },
        {"idf": np.zeros(2, dtype=np.float16), "buckets": np.arange(2, dtype=np.uint32)},
    ],
)
def test_absurd_weights_give_no_scores(
    tmp_path: Path, change: dict[str, Any], recwarn: pytest.WarningsRecorder
) -> None:
    """They are finite, so that the folder is read, but what comes of them is refused rather than passed on."""
    recipe = LinearRecipe.from_dict("m", {"kind": "linear", "features": {"bits": 8}})
    files = {"model.safetensors": replace(weights(), **change).to_bytes(), "settings.toml": recipe.to_toml()}
    tagger = LinearTagger(write_model(tmp_path / "m", kind="linear", label_set=TWO, files=files, manifest={}))
    with pytest.raises(ModelError, match="scores are not finite"):
        tagger.predict(Article.from_paragraphs([" ".join(f"word{n}" for n in range(3000)), "Another."]))
    assert not recwarn.list


@pytest.mark.parametrize("given", [3, None, ["one", "two"], b"bytes"])
def test_only_articles_and_texts_are_taken(tiny_tagger: LinearTagger, given: Any) -> None:
    with pytest.raises(DataError, match="an Article or a string was expected"):
        tiny_tagger.predict(given)


def test_min_confidence(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    plain = tiny_tagger.predict(unseen[0])
    strict = tiny_tagger.predict(unseen[0], min_confidence=0.6)
    assert not any(s.abstained for s in plain)
    assert {s.abstained for s in strict} == {True, False}
    assert [s.label for s in strict] == [s.label for s in plain]
    assert all(s.abstained == (s.confidence < 0.6) for s in strict)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="expected a number from 0 to 1"):
            tiny_tagger.predict(unseen[0], min_confidence=wrong)


def test_predict_many_takes_no_string(tiny_tagger: LinearTagger) -> None:
    with pytest.raises(DataError, match="found one string; use predict"):
        next(tiny_tagger.predict_many("A fire broke out."))


def test_predict_many_is_lazy(tiny_tagger: LinearTagger) -> None:
    def articles() -> Iterator[str]:
        yield "A fire broke out."
        raise AssertionError("asked for too much")

    assert len(next(tiny_tagger.predict_many(articles()))) == 1


def test_the_chain_is_cross_fitted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cross-fitted figure must come from a chain that never saw the article either."""
    articles = small(12)
    fitted: list[tuple[int, int]] = []
    original = fit_chain

    def spy(inputs: Any, given: Any, count: int, chains: Chains, settings: Any) -> Any:
        fitted.append((len(inputs), len(chains.first)))
        return original(inputs, given, count, chains, settings)

    monkeypatch.setattr("nutgraf_training.chain.fit_chain", spy)
    fit_linear(articles, TWO, RECIPE)
    total = sum(len(article.paragraphs) for article in articles)
    assert fitted[0] == (total, 12)
    assert len(fitted) == 1 + RECIPE.fit.folds
    assert all(paragraphs < total and chains < 12 for paragraphs, chains in fitted[1:])
    assert sum(12 - chains for _, chains in fitted[1:]) == 12
