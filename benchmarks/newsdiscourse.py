"""The published sentence-level task: NewsDiscourse (Choubey et al., ACL 2020), nine classes.

Trained on the train split, the best state chosen on articles split off from it, scored on the validation split; on
the official test split, too, where its zip is given.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import span
from benchmarks.common import mean, report
from benchmarks.environments import Bench
from nutgraf.artefact import MANIFEST, read_model
from nutgraf.registry import load as load_model
from nutgraf.tagger import Tagger
from nutgraf_data.article import Article
from nutgraf_data.labels import LabelSet
from nutgraf_data.readers.newsdiscourse import CLASSES, read_newsdiscourse
from nutgraf_training.evaluation.metrics import score_tables
from nutgraf_training.evaluation.predictions import predictions_of
from nutgraf_training.provenance import seen_articles, trained_on
from nutgraf_training.recipe import EncoderRecipe, Recipe, load_recipe, recipe_names

LABELS = LabelSet("newsdiscourse", dict.fromkeys(CLASSES, ""))
#: Of encoders: macro-F1 counts rare classes, too. Chosen on the training articles that chose the best state.
BALANCE = 0.4
#: Of encoders: some recipes have fewer, for more articles than are in the train split.
EPOCHS = 4.0
#: Outlet of articles that name none.
OTHER = "others"
MEAN = "the mean of the probabilities of the encoders' rows"


def main() -> None:
    """Trains where there is no model yet, and scores it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zips", type=Path, default=Path("corpora"), help="folder of train.zip and validation.zip")
    parser.add_argument("--test", type=Path, default=None, help="the official test split, a zip like the other two")
    parser.add_argument("--bench", type=Path, default=Path("bench"), help="folder for models and interim results")
    parser.add_argument("--recipe", nargs="+", default=["linear", "lora", "encoder-base"])
    parser.add_argument(
        "--runs",
        type=int,
        default=1,
        help="fine-tunings of an encoder recipe, each with its seed and held-out articles",
    )
    parser.add_argument(
        "--encoder",
        type=Path,
        default=Path(".encoders/all-mpnet-base-v2"),
        help="folder of the encoder of encoder recipes, or of the teacher",
    )
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md instead of printing it")
    options = parser.parse_args()
    splits = {"validation": options.zips / "validation.zip"}
    if options.test is not None:
        splits["test"] = options.test
    train = read(options.zips / "train.zip")
    found = {split: read(file) for split, file in splits.items()}
    lines = [
        "Nine classes, one for each sentence; a model reads the sentences of an article in their order. Macro-F1 over "
        "the nine and accuracy, with 95 % intervals from resampling articles. Published on the official test split: "
        "0.635 / 0.681 (document-level Longformer); TF-IDF and logistic regression get 0.45 macro-F1 on validation.",
        "",
        *(f"Sentences of {split}: {outlets(articles)}." for split, articles in {"train": train, **found}.items()),
        "",
        "| model | split | articles | sentences | macro-F1 | accuracy |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    bench = Bench(options.bench, options.encoder)
    taggers: dict[str, Tagger] = {}
    encoders: list[str] = []
    for recipe in map(adapted, options.recipe):
        if isinstance(recipe, EncoderRecipe):
            for seed in range(recipe.seed, recipe.seed + options.runs):
                encoders.append(f"{recipe.name} over `{options.encoder.name}`, seed {seed}")
                taggers[encoders[-1]] = load_model(bench.ours(train, replace(recipe, seed=seed), LABELS))
        else:
            taggers[recipe.name] = load_model(bench.ours(train, recipe, LABELS))
    for split, articles in found.items():
        known = learned(options.encoder, splits[split])
        new = np.array([article.id not in known for article in articles])
        where = np.array([article.outlet or OTHER for article in articles])
        predicted = {title: predictions_of(tagger, articles) for title, tagger in taggers.items()}
        if len(encoders) > 1:
            predicted[MEAN] = mean([predicted[title] for title in encoders])
        for title, predictions in predicted.items():
            tables = predictions.tables()
            lines.append(row(title, split, tables))
            lines += [row(f"… of {outlet}", split, tables[where == outlet]) for outlet in np.unique(where)]
            if known:
                lines.append(row(f"… without those whose roles `{options.encoder.name}` learned", split, tables[new]))
    words = ["python", "-m", "benchmarks.newsdiscourse", "--recipe", *options.recipe]
    words += ["--encoder", options.encoder.name, "--runs", str(options.runs)]
    words += ["--test", options.test.name] if options.test is not None else []
    report("newsdiscourse", " ".join([*words, "--write"]), lines, write=options.write)


def outlets(articles: Sequence[Article]) -> str:
    """What share of the sentences is whose."""
    counts = Counter(article.outlet or OTHER for article in articles for _ in article.paragraphs)
    return ", ".join(f"{outlet} {100 * count / counts.total():.0f} %" for outlet, count in counts.most_common())


def row(title: str, split: str, tables: NDArray[np.int64]) -> str:
    """A row of the table, of confusion tables ``(articles, labels, labels)``."""
    scores = score_tables(tables, LABELS.labels)
    return (
        f"| {title} | {split} | {scores.articles:,} | {scores.paragraphs:,} | {span(scores.macro_f1)} | "
        f"{span(scores.accuracy)} |"
    )


def learned(encoder: Path, file: Path) -> set[str]:
    """The ids of a zip's articles that a tagger was trained on; of an encoder as it comes none are known."""
    if not (encoder / MANIFEST).is_file():
        return set()
    articles = list(read_newsdiscourse(file, unit="paragraph"))
    return {article.id for article in seen_articles(articles, trained_on(read_model(encoder)))}


def adapted(name: str) -> Recipe:
    """A recipe that ships with nutgraf, an encoder's with `BALANCE` and `EPOCHS`; a user's own as it is."""
    recipe = load_recipe(name)
    if isinstance(recipe, EncoderRecipe) and name in recipe_names():
        fit, chain = replace(recipe.fit, epochs=EPOCHS), replace(recipe.chain, balance=BALANCE)
        return replace(recipe, fit=fit, chain=chain)
    return recipe


def read(file: Path) -> list[Article]:
    """The articles of a zip, a sentence where others have a paragraph."""
    return list(read_newsdiscourse(file, unit="sentence"))


if __name__ == "__main__":
    main()
