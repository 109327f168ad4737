"""What reading paragraphs in their article pays: one encoder and one recipe, with less and less of the article."""

from __future__ import annotations

import random
from dataclasses import replace

from benchmarks.accuracy import predicted, span
from benchmarks.common import DEV, REAL, arguments, load, report
from benchmarks.environments import Bench
from nutgraf.windows import WindowSettings
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.metrics import confusion_tables, difference, score_tables
from nutgraf_training.evaluation.predictions import gold_numbers
from nutgraf_training.recipe import EncoderRecipe, load_recipe

RECIPE = "encoder-small"
ARTICLES = 400  # read one paragraph at a time, all of them would take a processor a day
WINDOWS = {
    "the whole article": WindowSettings(),
    "the neighbours": WindowSettings(headline=0, lead=0, most=1),
    "headline and lead": WindowSettings(context=0, most=1),
    "nothing": WindowSettings(headline=0, lead=0, context=0, most=1),
}


def main() -> None:
    """Trains one model for each kind of context on the same articles."""
    options = arguments(__doc__ or "", bench=True)
    bench = Bench(options.bench, options.encoder)
    articles, held = load(options.corpora, "authored", *REAL), load(options.corpora, *DEV)
    random.Random(0).shuffle(articles)
    articles = articles[:ARTICLES]
    gold = gold_numbers(held, NEWS_ROLES)
    recipe = load_recipe(RECIPE)
    assert isinstance(recipe, EncoderRecipe)
    tables = {}
    for name, window in WINDOWS.items():
        variant = replace(recipe, name=f"{RECIPE}, {name}", window=window)
        folder = bench.ours(articles, variant, NEWS_ROLES)
        tables[name] = confusion_tables(gold, predicted(folder, held), len(NEWS_ROLES))
    lines = [
        f"`--recipe {RECIPE}` on {ARTICLES} articles drawn from all four training sets, scored on both dev sets "
        "pooled, with 95 % intervals from resampling articles; what a paragraph is read with. The last two columns are "
        "the first row less this one.",
        "",
        "| context | macro-F1 | accuracy | the whole article less this: macro-F1 | accuracy |",
        "| --- | --- | --- | --- | --- |",
    ]
    whole = next(iter(tables.values()))
    for name, table in tables.items():
        scores, gain = score_tables(table, NEWS_ROLES.labels), difference(whole, table)
        against = " | " if table is whole else f"{span(gain['macro_f1'])} | {span(gain['accuracy'])}"
        lines.append(f"| {name} | {span(scores.macro_f1)} | {span(scores.accuracy)} | {against} |")
    report("context", "python -m benchmarks.context --write", lines, write=options.write)


if __name__ == "__main__":
    main()
