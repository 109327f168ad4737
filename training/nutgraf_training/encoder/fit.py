"""Trains an encoder tagger: windows → (a teacher's labels) → fine-tuning → calibration → one ONNX file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from datasets import Dataset
from datasets import disable_progress_bars as quiet_datasets
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save
from transformers import AutoTokenizer
from transformers import logging as transformers_logging
from transformers.trainer_utils import set_seed

from nutgraf.artefact import ModelFolder
from nutgraf.encoder import CHAIN, GRAPH, OUTPUT, TOKENIZER, graph_inputs
from nutgraf.tagger import Tagger
from nutgraf.windows import Encoded, Window, encode, windows
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.labels import LabelSet
from nutgraf_data.splits import folds as make_folds
from nutgraf_training.chain import calibrate
from nutgraf_training.encoder.dataset import MULTIPLE, Collator, hard_targets, make_dataset, read_back
from nutgraf_training.encoder.export import export_graph
from nutgraf_training.encoder.modeling import NutgrafModel
from nutgraf_training.encoder.quantise import round_weights, simulate_int8
from nutgraf_training.encoder.run_folder import claim
from nutgraf_training.encoder.teacher import KEPT, ask
from nutgraf_training.encoder.trainer import Stage, is_main, mean_of, read_result, run_stage, windows_logits
from nutgraf_training.evaluation.predictions import gold_numbers
from nutgraf_training.recipe import EncoderRecipe

__all__ = ["EncoderFit", "fit_encoder", "weights_digest"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: What transformers raises where files are missing, malformed or do not fit each other.
_DAMAGED = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
#: On how many articles the exported graph is held against the model that it was exported from.
_COMPARED = 100


@dataclass(frozen=True)
class EncoderFit:
    """What fitting gives.

    Attributes:
        files: name → content of what the model folder needs beside the settings.
        scored: the articles that ``scores`` are for, numbers of ``articles`` and ``validation`` after them: all
            where the recipe has folds, else those that were held out to choose the best state.
        scores: probabilities ``(paragraphs of those, labels)``, from models and chains that were fitted without them.
        export: the precision of the graph, and how it compares with the model that it was exported from.
    """

    files: dict[str, bytes]
    scored: Ints
    scores: Floats
    export: dict[str, Any]


def fit_encoder(
    articles: Sequence[Article],
    label_set: LabelSet,
    recipe: EncoderRecipe,
    run: Path,
    *,
    teachers: Sequence[Tagger] = (),
    unlabelled: Sequence[Article] = (),
    answers: Path | None = None,
    validation: Sequence[Article] = (),
    began: ModelFolder | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> EncoderFit | None:
    """Fits on labelled articles; paragraphs without a label serve as context.

    Args:
        articles: at least two.
        label_set: the labels and their order.
        recipe: of kind ``encoder``.
        run: a folder for checkpoints. Where it holds the checkpoints of the same run, that run is gone on with.
        teachers: taggers with the same labels; the mean of their scores is learned first, on ``unlabelled``
            (Hinton, Vinyals and Dean, 2015, arXiv:1503.02531).
        unlabelled: articles for that.
        answers: a folder where the teachers' scores are kept for other runs; by default they go with the run.
        validation: labelled articles that choose the best state and calibrate it, in place of the recipe's share.
        began: the model that the recipe's encoder is, where it is one.
        say: called with a line of progress.

    Returns:
        the files, or None in a process that torchrun started to help another.

    Raises:
        DataError: there are too few articles, a teacher has other labels, the run folder is another run's, the encoder
            cannot be read or reads less than a window, the run cannot fit in memory, or it diverged.
    """
    if len(articles) < 2:
        raise DataError("one training article was found, expected at least two", hint="name the article-id column")
    if bool(teachers) != bool(unlabelled):
        raise DataError(
            "a teacher needs articles without labels, and those need a teacher", hint="give both or neither"
        )
    for teacher in teachers:
        if teacher.label_set.labels != label_set.labels:
            raise DataError(
                f"the labels of a teacher are {', '.join(teacher.label_set.labels)}, and those to learn are "
                f"{', '.join(label_set.labels)}",
                hint="take a teacher with the same labels in the same order",
            )
    say = say if is_main() else lambda _: None
    quiet_datasets()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    given = np.arange(len(articles), len(articles) + len(validation))
    work = _Work([*articles, *validation], label_set, recipe, run, say)
    if is_main():
        weights = weights_digest(work.fresh()) if began is None else began.fingerprint
        claim(run, articles, label_set, recipe, teachers, unlabelled, validation, weights)
    articles = [*articles, *validation]
    start = work.fresh
    held = given if validation else _validation(articles, recipe)
    if teachers:
        start = work.distil(teachers, unlabelled, answers or run / "answers", held)

    part = np.zeros(len(articles), dtype=np.int64)
    own: dict[int, Floats] = {}
    if recipe.fit.folds:
        parts = make_folds(articles, recipe.fit.folds, recipe.seed)
        for index, members in enumerate(parts):
            part[members] = index
            rest = np.setdiff1d(np.arange(len(articles)), members)
            name = f"cross-fitting {index + 1} of {len(parts)}"
            own |= work.margins(work.train(name, f"fold-{index}", start, rest), members)
    rest = np.setdiff1d(np.arange(len(articles)), held)
    model = work.train("training", "final", start, rest, held)
    if not is_main():
        return None
    if not recipe.fit.folds:
        own = work.margins(model, held)
        part[held] = np.arange(len(held)) % min(5, len(held))

    say("calibrating")
    scored = np.array(sorted(own))
    gold = gold_numbers(articles, label_set)
    chain, scores = calibrate(
        np.concatenate([own[i] for i in scored]),
        np.concatenate([gold[i] for i in scored]),
        [len(articles[i].paragraphs) for i in scored],
        part[scored],
        recipe.chain,
    )
    graph, export = _export(model, work.windows(scored[:_COMPARED]), recipe, say)
    files = {GRAPH: graph, TOKENIZER: work.tokenizer.to_str().encode(), CHAIN: save(chain.to_arrays())}
    # What training needs to go on from the model; its weights stand in the graph, as rounded as that is, in any case.
    kept = run / "weights"
    work.pretrained_tokenizer.save_pretrained(kept)
    if recipe.export.keep_weights:
        model.save_pretrained(kept)
    else:
        model.config.save_pretrained(kept)
    files |= {name: (kept / name).read_bytes() for name in (*KEPT, "tokenizer_config.json") if (kept / name).is_file()}
    return EncoderFit(files, scored, scores, export)


class _Work:
    """The parts of a run: what is trained on, and how."""

    def __init__(
        self,
        articles: Sequence[Article],
        label_set: LabelSet,
        recipe: EncoderRecipe,
        run: Path,
        say: Callable[[str], None],
    ) -> None:
        self.recipe, self.run, self.say = recipe, run, say
        self.labels = label_set.labels
        self.pretrained_tokenizer = _tokenizer(recipe)
        self.tokenizer = self.pretrained_tokenizer.backend_tokenizer
        pad, mask = self.pretrained_tokenizer.pad_token_id, self.pretrained_tokenizer.mask_token_id
        self.collator = Collator(int(pad or 0), mask, recipe.fit.hide_tokens)
        self.encoded = encode(articles, self.tokenizer, recipe.window)
        self.targets = hard_targets(
            articles, label_set, alt_weight=recipe.fit.alt_weight, smoothing=recipe.fit.smoothing
        )
        special = self.tokenizer.encode("").ids
        self.first, self.last = special[0], special[-1]
        self._check(self.fresh())  # before hours of work, not after

    def _check(self, model: NutgrafModel) -> None:
        name, tokens, most = self.recipe.encoder.name, self.recipe.window.tokens, model.longest
        if most is not None and tokens + -tokens % MULTIPLE > most:
            raise DataError(
                f"window.tokens is {tokens}, and {name} reads at most {most // MULTIPLE * MULTIPLE}",
                hint="set it lower in a copy of the recipe, and headline, lead, context and paragraph with it",
            )
        try:
            self._limit(model)
        except ValueError as error:
            raise DataError(str(error), hint="set it lower in a copy of the recipe") from None
        known, size = model.config.encoder.vocab_size, self.tokenizer.get_vocab_size()
        if not known / 2 <= size <= known:  # without files transformers makes one of the special tokens alone
            raise DataError(
                f"the tokenizer of {name} has {size:,} tokens, and its encoder {known:,}",
                hint="take the tokenizer that the encoder was trained with",
            )

    def _limit(self, model: NutgrafModel) -> None:
        """Keeps from learning what the recipe says."""
        model.freeze(self.recipe.fit.frozen_layers)
        model.adapt(self.recipe.fit.lora_rank, self.recipe.fit.frozen_layers)

    def fresh(self) -> NutgrafModel:
        """The pretrained encoder with a classifier that knows nothing, or the trained model that the recipe names.

        The same every time, whatever the seed of a stage: means are taken of models that began alike.
        """
        encoder, fit = self.recipe.encoder, self.recipe.fit
        set_seed(self.recipe.seed)
        try:
            return NutgrafModel.from_encoder(encoder.place, self.labels, dropout=fit.dropout, revision=encoder.revision)
        except _DAMAGED as error:
            raise _unreadable(self.recipe, error) from None

    def windows(self, members: Sequence[int] | Ints) -> list[Window]:
        """Windows of some of the articles, as prediction cuts them."""
        return [
            window
            for member in members
            for window in windows(self.encoded[member], self.recipe.window, self.first, self.last)
        ]

    def cut(self, encoded: Sequence[Encoded], targets: Sequence[NDArray[np.float32]], *, training: bool) -> Dataset:
        settings, most = self.recipe.window, self.recipe.fit.most
        if training and most:
            settings = replace(settings, most=most)
        return make_dataset(encoded, targets, settings, self.first, self.last)

    def rows(self, members: Sequence[int] | Ints, *, training: bool = False) -> Dataset:
        """Windows of some of the articles, as prediction or as training cuts them."""
        return self.cut([self.encoded[i] for i in members], [self.targets[i] for i in members], training=training)

    def train(
        self,
        name: str,
        folder: str,
        start: Callable[[], NutgrafModel],
        members: Sequence[int] | Ints,
        held: Ints | None = None,
    ) -> NutgrafModel:
        """Fine-tunes on some of the articles, with several seeds, and takes the mean of the best states on ``held``."""
        fit = self.recipe.fit
        members = [i for i in members if self.targets[i].any()]
        if not members:
            raise DataError("none of the articles to train on has a label", hint="expected labels in more articles")
        rows = self.rows(members, training=True)
        chosen_on = self.rows(held) if held is not None and len(held) else None
        found = []
        for number in range(fit.runs):
            title = f"{name}, run {number + 1} of {fit.runs}" if fit.runs > 1 else name
            place = self.run / (f"{folder}-{number + 1}" if number else folder)
            seed = (self.recipe.seed + number) % 2**32
            stage = Stage(title, place, fit.epochs, fit.learning_rate, seed, fit.min_steps)
            found.append(self.run_stage(stage, start, rows, chosen_on))
        model = mean_of(found)
        if fit.simulate_int8:
            round_weights(model.encoder)
        return model

    def distil(
        self, teachers: Sequence[Tagger], unlabelled: Sequence[Article], answers: Path, held: Ints
    ) -> Callable[[], NutgrafModel]:
        """Learns the teachers' scores, and says where to begin fine-tuning."""
        settings = self.recipe.distil
        targets = ask(teachers, unlabelled, settings.temperature, answers, self.recipe.fit, self.say)
        stage = Stage("distilling", self.run / "distil", settings.epochs, settings.learning_rate, self.recipe.seed)
        rows = self.cut(encode(unlabelled, self.tokenizer, self.recipe.window), targets, training=True)
        chosen_on = self.rows(held) if len(held) else None
        self.run_stage(stage, self.fresh, rows, chosen_on)
        return lambda: read_result(stage.folder)

    def run_stage(
        self, stage: Stage, start: Callable[[], NutgrafModel], rows: Dataset, held: Dataset | None
    ) -> NutgrafModel:
        """As the recipe says, in eight bits or not."""

        def begin() -> NutgrafModel:
            model = start()
            self._limit(model)
            if self.recipe.fit.simulate_int8:
                simulate_int8(model.encoder)
            return model

        return run_stage(stage, begin, rows, held, self.collator, self.recipe.fit, self.say)

    def margins(self, model: NutgrafModel, members: Sequence[int] | Ints) -> dict[int, Floats]:
        """Number of an article → ``(paragraphs, labels)`` logits."""
        rows = self.rows(members)
        logits = windows_logits(model, rows, self.collator, self.recipe.fit)
        if not np.isfinite(logits).all():
            raise DataError(
                "training diverged: the model gives scores that are not finite",
                hint="set fit.learning_rate lower in a copy of the recipe",
            )
        found = read_back(rows, logits, [len(self.encoded[i].paragraphs) for i in members])
        return {int(member): own for member, own in zip(members, found, strict=True)}


def weights_digest(model: NutgrafModel) -> str:
    """SHA-256 of the encoder's weights: a name on the hub, and a path, may mean others tomorrow."""
    whole = hashlib.sha256()
    for name, weight in model.encoder.state_dict().items():
        whole.update(name.encode() + weight.contiguous().numpy().tobytes())
    return whole.hexdigest()


def _validation(articles: Sequence[Article], recipe: EncoderRecipe) -> Ints:
    """Articles with labels that choose the best state: one of as many folds as give their share."""
    if not recipe.fit.validation:
        return np.zeros(0, dtype=np.int64)
    labelled = np.array([i for i, a in enumerate(articles) if any(p.label is not None for p in a.paragraphs)])
    count = max(2, min(len(labelled), round(1.0 / recipe.fit.validation)))
    return np.sort(labelled[make_folds([articles[i] for i in labelled], count, recipe.seed)[0]])


def _export(
    model: NutgrafModel, compared: Sequence[Window], recipe: EncoderRecipe, say: Callable[[str], None]
) -> tuple[bytes, dict[str, Any]]:
    """The graph, in fp32 where int8 changes too many labels of the windows, and how it compares with fp32."""

    def labels(graph: bytes) -> Ints:
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        found = []
        for window in compared:
            logits = session.run([OUTPUT], graph_inputs(window))[0][0]
            taken = [place for place, paragraph in enumerate(window.paragraphs) if paragraph in window.taken]
            found.append(logits[taken].argmax(axis=1))
        return np.concatenate(found)

    say("exporting")
    full = export_graph(model, precision="fp32", tokens=recipe.window.tokens)
    if recipe.export.precision == "fp32":
        return full, {"precision": "fp32"}
    theirs, found, record = labels(full), {}, {}
    for scale in ("window", "token"):  # the faster one first
        small = export_graph(model, precision="int8", scale=scale, tokens=recipe.window.tokens)
        agreement = float((labels(small) == theirs).mean())
        found[scale] = round(agreement, 4)
        record = {"int8_agrees_with_fp32": found, "paragraphs_compared": len(theirs)}
        if agreement >= recipe.export.agreement:
            return small, {"precision": "int8", **record}
        say(
            f"int8 with a scale for every {scale} gives the label of fp32 to {agreement:.1%} of paragraphs, less than "
            f"export.agreement = {recipe.export.agreement}"
        )
    say(
        "warning: the model is written in fp32; in a copy of the recipe, fit.simulate_int8 = true brings int8 nearer, "
        "or set export.agreement lower"
    )
    return full, {"precision": "fp32", **record}


def _tokenizer(recipe: EncoderRecipe) -> Any:
    """The encoder's fast tokenizer, as transformers wraps it."""
    try:
        wrapped = AutoTokenizer.from_pretrained(
            recipe.encoder.place, revision=recipe.encoder.revision, trust_remote_code=False
        )
    except _DAMAGED as error:
        raise _unreadable(recipe, error) from None
    tokenizer = getattr(wrapped, "backend_tokenizer", None)
    if tokenizer is None or len(tokenizer.encode("").ids) < 2:
        raise DataError(
            f"the tokenizer of {recipe.encoder.name} cannot be used: it is no fast one that marks beginning and end",
            hint="take an encoder of the BERT, RoBERTa, MPNet or ModernBERT family",
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return wrapped


def _unreadable(recipe: EncoderRecipe, error: Exception) -> DataError:
    first = (str(error).strip() or repr(error)).splitlines()[0].rstrip(".")
    return DataError(
        f"the encoder {recipe.encoder.name!r} cannot be read: {first}",
        hint="encoder.name is the name of one on the hub, a folder that save_pretrained wrote, or an encoder model; "
        "--encoder names another",
    )
