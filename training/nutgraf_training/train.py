"""Trains a tagger: corpus → split by article → fit → calibrate → model folder."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import tomllib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf.artefact import MANIFEST, ModelFolder, check_vacant, read_model, write_model
from nutgraf.registry import bundled_models, make_tagger
from nutgraf.tagger import Tagger
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.labels import LabelSet
from nutgraf_data.splits import HELD_OUT, TRAIN, Split, corpus_fingerprint, make_split
from nutgraf_training.card import model_card
from nutgraf_training.evaluation.evaluate import Evaluation, evaluate
from nutgraf_training.evaluation.metrics import confusion_tables, score_tables
from nutgraf_training.evaluation.predictions import gold_numbers
from nutgraf_training.provenance import TRAINED_ON, paragraph_digests, seen_articles, trained_on, write_trained_on
from nutgraf_training.recipe import EncoderRecipe, LinearRecipe, Recipe, load_recipe

__all__ = ["TrainResult", "train"]


@dataclass(frozen=True)
class TrainResult:
    """What training gave.

    Attributes:
        folder: the model folder that was written.
        evaluation: how the model did on the articles held out of training, or None where there were none.
        inner: metrics as JSON on articles that were not fitted: all training articles by cross-fitting, each scored by
            a model and a chain that were fitted without it; or those that chose the best state of an encoder. ``of``
            says which.
    """

    folder: ModelFolder
    evaluation: Evaluation | None
    inner: dict[str, Any]


@dataclass(frozen=True)
class _Fit:
    """What either kind of fitting gives: files, the articles scored without themselves, and what the manifest says."""

    files: dict[str, bytes]
    scored: Sequence[Article]
    scores: NDArray[np.float64]
    record: dict[str, Any]


def train(
    articles: Iterable[Article],
    out: str | Path,
    *,
    recipe: str | Path | Recipe = "linear",
    label_set: LabelSet | None = None,
    held_out: float = 0.1,
    split: Split | None = None,
    dev: Sequence[Article] | None = None,
    dev_name: str = "held-out articles",
    seed: int | None = None,
    encoder: str | None = None,
    teachers: Sequence[Tagger] = (),
    unlabelled: Iterable[Article] = (),
    answers: str | Path | None = None,
    validation: Iterable[Article] | None = None,
    about: str = "",
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> TrainResult:
    """Trains a tagger and writes its folder.

    Args:
        articles: labelled articles.
        out: the model folder to write.
        recipe: the name of a recipe, the path of one, or a Recipe.
        label_set: the labels and their order; by default those that occur.
        held_out: the share of paragraphs to split off by article for evaluation, 0 to train on all. Near-duplicate
            articles stay together.
        split: which articles are held out, instead of ``held_out``.
        dev: other articles to evaluate on, instead of splitting some off; never trained on.
        dev_name: what to call those in the model card.
        seed: overrides the recipe's.
        encoder: overrides the encoder recipe's: a name on the hub, or a folder; or that of an encoder model, such as
            ``default``, to go on from what it learned, whatever its labels.
        teachers: taggers whose scores an encoder learns first, on ``unlabelled`` articles.
        unlabelled: those.
        answers: a folder where the teachers' scores are kept, and found again by a later call.
        validation: labelled articles that choose the best state of an encoder and calibrate it, in place of the share
            of ``articles`` that its recipe has for that. Those without a label are left out.
        about: Markdown for the model card.
        force: replace a model folder that is already there.
        say: called with a line of progress.

    Raises:
        DataError: the articles cannot be trained on.
        ModelError: something is at ``out`` already.
        MissingExtraError: the extra ``train``, or for an encoder ``encoder``, is not installed.

    An encoder's checkpoints lie beside ``out`` in a folder of the same name with ``.run`` at its end until the model is
    written; the same call goes on from them. Where torchrun started several processes, only the first one writes the
    model and returns; the others exit.
    """
    check_vacant(out, force=force)
    if not 0 <= held_out < 1:
        raise DataError(f"held_out is {held_out}, expected a share from 0 to below 1")
    unlabelled = list(unlabelled)
    recipe = _resolve(recipe, seed, encoder, bool(teachers or unlabelled or answers or validation is not None))
    chosen_on = [] if validation is None else _labelled(validation, recipe)
    began = _began(recipe)
    earlier = [*(teacher.folder for teacher in teachers), *([] if began is None else [began])]
    if answers is not None and not teachers:
        raise DataError("answers are kept where a teacher is asked, and there is none", hint="give a teacher, too")
    articles = list(articles)
    if not articles:
        raise DataError("the corpus has no article", hint="nutgraf data check CORPUS shows what was read")
    label_set = label_set or LabelSet.from_articles([*articles, *chosen_on])
    gold_numbers([*articles, *chosen_on], label_set)  # refuses unknown labels before anything is fitted
    name = "articles held out of the same corpus"
    if dev is not None:
        dev, name = list(dev), dev_name
        _refuse_shared([*articles, *chosen_on, *unlabelled], dev)
    elif split is not None or held_out > 0:
        say("splitting by article")
        split = split or make_split(articles, held_out=held_out, seed=recipe.seed)
        parts = split.apply(articles)
        articles, dev = parts[TRAIN], parts[HELD_OUT]
        _refuse_shared([*chosen_on, *unlabelled], dev)
    _refuse_shared([*articles, *unlabelled], chosen_on, "validation")
    _refuse_learned(earlier, dev or ())
    _check_labels(dev or (), label_set)

    settings = _portable(recipe).to_toml()
    run, kept = Path(f"{os.fspath(out).rstrip(os.sep)}.run"), None if answers is None else Path(answers)
    fit = _fit(articles, label_set, recipe, run, teachers, unlabelled, kept, chosen_on, began, say)
    files = {
        **fit.files,
        "settings.toml": settings,
        TRAINED_ON: write_trained_on([*articles, *chosen_on, *unlabelled], earlier),
    }
    manifest: dict[str, Any] = {
        "recipe": {"name": recipe.name, "kind": recipe.kind},
        "seed": recipe.seed,
        "training_data": _described(articles),
        **({"validation": _described(chosen_on)} if chosen_on else {}),
        "versions": _versions(recipe),
        **({} if began is None else {"began_with": _ancestor(began)}),
        **fit.record,
    }
    part, of = _scored(fit.scored, articles, unlabelled, began, validation=bool(chosen_on))
    metrics: dict[str, Any] = {part: {"of": of, **_metrics(fit.scored, label_set, fit.scores)}}
    evaluation = None
    if dev:
        say("evaluating")
        # The manifest holds the figures, so the model is evaluated before its folder is written.
        folder = ModelFolder(Path(out), {"kind": recipe.kind}, label_set, tomllib.loads(settings.decode()), files, "")
        # What was split off shares no text by the split's own, stricter measure; dev was checked above.
        evaluation = evaluate(make_tagger(folder), dev, include_seen=True)
        metrics["held_out"] = {"of": name, **evaluation.to_json(curves=False)}
    manifest["metrics"] = metrics
    files["README.md"] = model_card(
        name=f"nutgraf-{recipe.name}", label_set=label_set, manifest=manifest, about=about, settings=settings.decode()
    )
    say("writing the model")
    written = write_model(out, kind=recipe.kind, label_set=label_set, files=files, manifest=manifest, force=force)
    if evaluation is not None:
        evaluation = replace(evaluation, model=written.fingerprint)
    if isinstance(recipe, EncoderRecipe):
        shutil.rmtree(run, ignore_errors=True)
    return TrainResult(written, evaluation, metrics[part])


def _resolve(recipe: str | Path | Recipe, seed: int | None, encoder: str | None, for_encoder: bool) -> Recipe:
    """The recipe, with what the call overrides.

    Raises:
        MissingExtraError: what it needs is not installed, which is better said before hours of work.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    if seed is not None:
        try:
            recipe = replace(recipe, seed=seed)
        except ValueError as error:
            raise DataError(f"the recipe {recipe.name!r} cannot be trained so: {error}") from None
    extra, modules = "train", ["sklearn", "threadpoolctl", "tomli_w"]
    if isinstance(recipe, EncoderRecipe):
        extra, modules = "encoder", [*modules, "torch", "transformers", "datasets", "onnx", "onnxscript"]
        if encoder is not None:
            recipe = replace(recipe, encoder=replace(recipe.encoder, name=encoder))
    elif encoder is not None or for_encoder:
        raise DataError(f"the recipe {recipe.name!r} trains no encoder", hint="--recipe encoder-small does")
    if any(importlib.util.find_spec(module) is None for module in modules):
        raise MissingExtraError("Training", extra)
    return recipe


def _labelled(validation: Iterable[Article], recipe: Recipe) -> list[Article]:
    """The validation articles that have labels."""
    if isinstance(recipe, EncoderRecipe) and recipe.fit.folds:
        raise DataError(
            f"fit.folds is {recipe.fit.folds}, and there are validation articles", hint="calibrate on one of the two"
        )
    found = [article for article in validation if any(p.label is not None for p in article.paragraphs)]
    if len(found) < 2:
        raise DataError(
            f"{len(found)} of the validation articles have labels, expected at least two",
            hint="without validation articles the recipe holds out a share of the others",
        )
    return found


def _began(recipe: Recipe) -> ModelFolder | None:
    """The model whose weights training begins with, where the recipe's encoder is one."""
    if not isinstance(recipe, EncoderRecipe) or not Path(recipe.encoder.place, MANIFEST).is_file():
        return None
    folder = read_model(recipe.encoder.place)
    if not {"config.json", "tokenizer_config.json"} <= folder.files.keys():
        raise DataError(
            "training cannot go on from it: it is no encoder, or an earlier nutgraf wrote it without its configuration",
            path=recipe.encoder.name,
            hint="give an encoder that this version of nutgraf trained, or a pretrained one",
        )
    return folder


def _scored(
    scored: Sequence[Article],
    articles: Sequence[Article],
    unlabelled: Sequence[Article],
    began: ModelFolder | None,
    *,
    validation: bool,
) -> tuple[str, str]:
    """What the scores that fitting gives are of: the manifest's key, and in words."""
    part, of = (
        "chosen_on",
        f"{'validation' if validation else 'training'} articles that chose the best state and calibrated it",
    )
    if len(scored) == len(articles) and not validation:
        part, of = "cross_fitted", "the training articles, each scored by a model that was fitted without it"
    if began is not None and (known := seen_articles(scored, trained_on(began))):
        of += f" ({len(known)} of them read by the model that it began with, so these are too kind)"
    if known := seen_articles(scored, {digest for article in unlabelled for digest in paragraph_digests(article)}):
        of += f" ({len(known)} of them among those that a teacher answered, so these are too kind)"
    return part, of


def _check_labels(dev: Sequence[Article], label_set: LabelSet) -> None:
    """Refuses held-out articles that cannot be scored, before hours of work."""
    if dev and all((numbers < 0).all() for numbers in gold_numbers(dev, label_set)):
        raise DataError(
            "none of the held-out paragraphs has a label",
            hint="hold out other articles (--dev, --split), or none (--held-out 0)",
        )


def _refuse_learned(earlier: Sequence[ModelFolder], dev: Sequence[Article]) -> None:
    for folder in earlier:
        _refuse_seen(
            dev,
            trained_on(folder),
            f"most of it is in the held-out data, and the model {folder.path} was trained on it",
            "hold out other articles (--dev), or none (--held-out 0)",
        )


def _refuse_shared(articles: Sequence[Article], dev: Sequence[Article], name: str = "held-out") -> None:
    known = {digest for article in articles for digest in paragraph_digests(article)}
    _refuse_seen(dev, known, f"most of it is in the training data and in the {name} data", "take it out of one")


def _refuse_seen(dev: Sequence[Article], known: Collection[str], message: str, hint: str) -> None:
    if shared := seen_articles(dev, known):
        raise shared[0].error(f"{message} ({len(shared)} such)", hint=hint)


def _fit(
    articles: Sequence[Article],
    label_set: LabelSet,
    recipe: Recipe,
    run: Path,
    teachers: Sequence[Tagger],
    unlabelled: Sequence[Article],
    answers: Path | None,
    validation: Sequence[Article],
    began: ModelFolder | None,
    say: Callable[[str], None],
) -> _Fit:
    if isinstance(recipe, LinearRecipe):
        from threadpoolctl import threadpool_limits

        from nutgraf.linear import WEIGHTS
        from nutgraf_training.linear import fit_linear

        with threadpool_limits(1):  # sums of several threads round differently, and the bytes have to be the same
            linear = fit_linear(articles, label_set, recipe, say=say)
        return _Fit({WEIGHTS: linear.weights.to_bytes()}, articles, linear.cross_fitted, {})
    assert isinstance(recipe, EncoderRecipe)
    from nutgraf_training.encoder.fit import fit_encoder

    try:
        found = fit_encoder(
            articles,
            label_set,
            recipe,
            run,
            teachers=teachers,
            unlabelled=unlabelled,
            answers=answers,
            validation=validation,
            began=began,
            say=say,
        )
    except KeyboardInterrupt:
        say(f"what was trained is kept in {run}; the same command goes on from there")
        raise
    if found is None:
        raise SystemExit(0)
    record: dict[str, Any] = {"export": found.export}
    if teachers:
        record["distilled"] = {
            "teachers": [teacher.fingerprint for teacher in teachers],
            "articles": len(unlabelled),
            "paragraphs": sum(len(article.paragraphs) for article in unlabelled),
            "fingerprint": corpus_fingerprint(unlabelled),
        }
    everything = [*articles, *validation]
    return _Fit(found.files, [everything[i] for i in found.scored], found.scores, record)


def _portable(recipe: Recipe) -> Recipe:
    """Without the path of an encoder's folder, which says nothing elsewhere."""
    if isinstance(recipe, EncoderRecipe) and os.path.isdir(recipe.encoder.place):
        name = Path(recipe.encoder.name).resolve().name
        if recipe.encoder.name in bundled_models():
            return recipe
        if name in bundled_models():
            name = f"./{name}"  # not the one that ships
        return replace(recipe, encoder=replace(recipe.encoder, name=name))
    return recipe


def _metrics(articles: Sequence[Article], label_set: LabelSet, scores: np.ndarray[Any, Any]) -> dict[str, Any]:
    bounds = np.cumsum([len(article.paragraphs) for article in articles])[:-1]
    predicted = np.split(scores.argmax(axis=1).astype(np.int64), bounds)
    tables = confusion_tables(gold_numbers(articles, label_set), predicted, len(label_set))
    return score_tables(tables, label_set.labels).to_json()


def _described(articles: Sequence[Article]) -> dict[str, Any]:
    """What a manifest says of labelled articles."""
    return {
        "articles": len(articles),
        "paragraphs": sum(len(article.paragraphs) for article in articles),
        "fingerprint": corpus_fingerprint(articles),
        "labels_sha256": _labels_digest(articles),
    }


def _ancestor(began: ModelFolder) -> dict[str, Any]:
    """What a manifest says of the model that training began with, and of what that learned from."""
    kept = {key: began.manifest[key] for key in ("distilled", "began_with") if key in began.manifest}
    return {"model": began.fingerprint, "training_data": began.manifest["training_data"], **kept}


def _labels_digest(articles: Sequence[Article]) -> str:
    labels = "\n".join(f"{p.label}\t{p.alt}" for article in articles for p in article.paragraphs)
    return hashlib.sha256(labels.encode()).hexdigest()


def _versions(recipe: Recipe) -> dict[str, str]:
    found = {"python": platform.python_version()}
    packages = ["nutgraf", "numpy", "scipy", "scikit-learn", "safetensors"]
    if isinstance(recipe, EncoderRecipe):
        packages += ["torch", "transformers", "tokenizers", "onnx", "onnxruntime"]
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a checkout that was put on the path by hand
            found[package] = "unknown"
    return found
