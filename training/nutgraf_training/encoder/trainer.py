"""One training run with ``transformers.Trainer``: progress, the best checkpoint, and going on after an interruption."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from transformers import EvalPrediction, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_pt_utils import get_length_grouped_indices

from nutgraf_training.encoder.dataset import Collator
from nutgraf_training.encoder.device import check_memory, uses_bf16
from nutgraf_training.encoder.modeling import IGNORED, NutgrafModel
from nutgraf_training.encoder.run_folder import last_checkpoint
from nutgraf_training.recipe import EncoderFitSettings

__all__ = ["DONE", "Stage", "is_main", "mean_of", "read_result", "run_stage", "wait_for", "windows_logits"]

#: How often a run is evaluated and saved, per epoch that its recipe asks for.
_SAVES_AN_EPOCH = 2
#: How many steps an interruption costs at most.
_UNSAVED = 400
#: The file that says that a stage is finished.
DONE = "done"


@dataclass(frozen=True)
class Stage:
    """A part of a training run that is saved and gone on with by itself.

    Attributes:
        name: for messages.
        folder: where its checkpoints lie; nothing is loaded from anywhere else.
        epochs, learning_rate, seed: of this stage.
        min_steps: there are more epochs where those would make fewer steps than these.
    """

    name: str
    folder: Path
    epochs: float
    learning_rate: float
    seed: int
    min_steps: int = 0


def is_main() -> bool:
    """Whether this process is the one that speaks and writes, of those that torchrun started."""
    return int(os.environ.get("RANK", "0")) == 0


def read_result(folder: Path) -> NutgrafModel:
    """The model that a finished stage gave."""
    model: NutgrafModel = NutgrafModel.from_pretrained(folder / "model")
    return model


def mean_of(models: Sequence[NutgrafModel]) -> NutgrafModel:
    """The first of some models that began alike, given the mean of their weights.

    Wortsman et al., 2022, arXiv:2203.05482.
    """
    states = [model.state_dict() for model in models]
    with torch.no_grad():
        for name, weight in states[0].items():
            weight.copy_(torch.stack([state[name] for state in states]).mean(0))
    return models[0]


def wait_for(file: Path) -> None:
    """Until the process that writes has written a file."""
    while not file.is_file():
        time.sleep(0.2)


def run_stage(
    stage: Stage,
    start: Callable[[], NutgrafModel],
    rows: Dataset,
    held: Dataset | None,
    collator: Collator,
    settings: EncoderFitSettings,
    say: Callable[[str], None],
) -> NutgrafModel:
    """Trains, or goes on with a run that was interrupted, or reads the result of one that was not.

    Args:
        stage: which one.
        start: makes the model that it begins with; called in every case but the last.
        rows: windows to train on.
        held: windows of other articles; the state that does best on them by macro-F1 is kept. None keeps the last.
        collator: of training; held-out windows are read whole.
        settings: how to train.
        say: called with a line of progress.

    Raises:
        DataError: the run cannot fit in memory.
    """
    if (stage.folder / DONE).is_file():
        say(f"{stage.name}: finished before, reading it")
        return read_result(stage.folder)
    model = start()
    check_memory(model, max(rows["length"]), settings)
    checkpoint = last_checkpoint(stage.folder, remove=is_main())
    trainer = _trainer(stage, model, rows, held, collator, settings, say)
    if checkpoint is not None:
        say(f"{stage.name}: going on from {checkpoint.name}")
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.accelerator.wait_for_everyone()  # another process may still be reading the best checkpoint
    if is_main():
        found = trainer.accelerator.unwrap_model(trainer.model)
        found.merge()
        found.save_pretrained(stage.folder / "model")
        for path in (stage.folder / "model").iterdir():
            with path.open("rb+") as file:
                os.fsync(file.fileno())  # it is on the disk before its checkpoints are gone
        (stage.folder / DONE).touch()
        for old in stage.folder.glob("checkpoint-*"):
            shutil.rmtree(old, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    return read_result(stage.folder)  # Trainer leaves the model it was given in half precision's wrapping


def windows_logits(
    model: NutgrafModel, rows: Dataset, collator: Collator, settings: EncoderFitSettings
) -> NDArray[np.float32]:
    """``(windows, paragraphs, labels)`` logits, in the order of the rows; padding is ``IGNORED``."""
    model.eval()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    order = np.argsort(rows["length"])[::-1]
    widest = max(map(len, rows["starts"]))
    found = np.full((len(rows), widest, model.config.num_labels), IGNORED, dtype=np.float32)
    collator = Collator(collator.pad, training=False)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(settings)):
        for begin in range(0, len(rows), settings.batch_windows):
            chosen = order[begin : begin + settings.batch_windows]
            batch = collator([rows[int(index)] for index in chosen])
            inputs = {key: value.to(device) for key, value in batch.items() if key not in {"labels", "targets"}}
            logits = model(**inputs).logits.float().cpu().numpy()
            found[chosen, : logits.shape[1]] = logits
    return found


class _ByLength(torch.utils.data.Sampler[int]):
    """Windows of like length together, else in an order that depends on nothing but the seed and the epoch.

    So several processes draw the same windows, and a run that is gone on with has the rest of the epoch before it.

    Args:
        lengths: ``(windows,)`` tokens of each.
        size: how many windows a step takes, those of all processes.
        seed: of the order.
    """

    def __init__(self, lengths: Sequence[int], size: int, seed: int) -> None:
        self._lengths, self._size, self._seed = list(lengths), size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 10_000 + self.epoch)
        return iter(get_length_grouped_indices(self._lengths, self._size, generator=generator))


class _Epochs(TrainerCallback):
    """Tells the sampler which epoch begins."""

    def __init__(self, sampler: _ByLength) -> None:
        self._sampler = sampler

    def on_epoch_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._sampler.epoch = int(state.epoch or 0)


class _Trainer(Trainer):
    """Trainer with a learning rate for each layer, and held-out windows in order and read whole."""

    data_collator: Any
    optimizer: Any

    def __init__(
        self, *, sampler: _ByLength, eval_collator: Collator, layer_decay: float, head_rate: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._sampler, self._eval_collator = sampler, eval_collator
        self._layer_decay, self._head_rate = layer_decay, head_rate

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> _ByLength:
        return self._sampler

    def _get_eval_sampler(self, eval_dataset: Dataset) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(eval_dataset)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        own, self.data_collator = self.data_collator, self._eval_collator
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = own

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Layers further from the classifier learn more slowly (Howard and Ruder, 2018, section 3.2)."""
        if self.optimizer is None:
            decayed = set(self.get_decay_parameter_names(self.model))
            groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    rate = self._rate(name)
                    decay = self.args.weight_decay if name in decayed else 0.0
                    groups.setdefault((rate, decay), []).append(parameter)
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            options.pop("lr", None)
            self.optimizer = kind(
                [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()],
                lr=self.args.learning_rate,
                **options,
            )
        return self.optimizer

    def _rate(self, name: str) -> float:
        if not name.startswith("encoder."):
            return self._head_rate
        depth = self.model.config.encoder.num_hidden_layers
        parts = name.split(".")
        layer = next((int(part) for part in parts if part.isdigit()), -1 if "embeddings" in name else depth - 1)
        return float(self.args.learning_rate * self._layer_decay ** (depth - 1 - layer))


class _Progress(TrainerCallback):
    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name, self._say = name, say
        self._began = self._spoke = time.monotonic()
        self._first: int | None = None
        self._loss, self._evaluated = math.nan, -1

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._first is None:
            self._first, self._began = state.global_step, time.monotonic()
            return
        now = time.monotonic()
        if now - self._spoke > 60:
            self._spoke = now
            left = (now - self._began) / (state.global_step - self._first) * (state.max_steps - state.global_step)
            self._say(
                f"{self._name}: step {state.global_step:,} of {state.max_steps:,}, "
                f"about {max(left / 60, 1):.0f} minutes left"
            )

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any) -> None:
        self._loss = (logs or {}).get("loss", self._loss)

    def on_evaluate(
        self, args: Any, state: TrainerState, control: TrainerControl, metrics: Any = None, **_: Any
    ) -> None:
        if state.global_step == self._evaluated:
            return  # Trainer does it twice where the last step is due anyway
        self._evaluated = state.global_step
        self._say(
            f"{self._name}: epoch {state.epoch:.1f}: loss {self._loss:.3f}, on articles held out of it "
            f"macro-F1 {metrics['eval_macro_f1']:.3f}, accuracy {metrics['eval_accuracy']:.3f}"
        )


def _trainer(
    stage: Stage,
    model: NutgrafModel,
    rows: Dataset,
    held: Dataset | None,
    collator: Collator,
    settings: EncoderFitSettings,
    say: Callable[[str], None],
) -> Trainer:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    a_step = settings.batch_windows * settings.accumulate * processes
    an_epoch = math.ceil(len(rows) / a_step)
    epochs = stage.epochs
    if epochs * an_epoch < stage.min_steps:
        epochs = math.ceil(stage.min_steps / an_epoch)
        say(f"{stage.name}: {epochs} epochs, as fewer would be less than fit.min_steps = {stage.min_steps}")
    every = min(max(1, round(an_epoch * epochs / stage.epochs) // _SAVES_AN_EPOCH), _UNSAVED)
    cuda = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(stage.folder.absolute()),  # the best checkpoint is found from another working folder, too
        num_train_epochs=epochs,
        per_device_train_batch_size=settings.batch_windows,
        per_device_eval_batch_size=settings.batch_windows,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=stage.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup,
        adam_beta2=0.98,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        bf16=uses_bf16(settings),
        use_cpu=not cuda,
        ddp_backend="gloo" if processes > 1 and not cuda else None,
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
        label_names=["labels"],
        eval_strategy="no" if held is None else "steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=held is not None,
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        logging_steps=every,
        seed=stage.seed,
        data_seed=stage.seed,
        disable_tqdm=not (is_main() and sys.stderr.isatty()),
        report_to="none",
        log_level="error",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # torchrun starts a process for each; one process with several is slower
    sampler = _ByLength(rows["length"], a_step, stage.seed)
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=held,
        data_collator=collator,
        compute_metrics=_metrics,
        callbacks=[_Epochs(sampler), *([_Progress(stage.name, say)] if is_main() else [])],
        sampler=sampler,
        eval_collator=Collator(collator.pad, training=False),
        layer_decay=settings.layer_decay,
        head_rate=settings.head_learning_rate,
    )
    trainer.remove_callback(PrinterCallback)  # it prints every log as a dictionary
    return trainer


def _metrics(found: EvalPrediction) -> dict[str, float]:
    labels = np.asarray(found.label_ids)
    known = labels != IGNORED
    gold, predicted = labels[known], np.asarray(found.predictions).argmax(axis=-1)[known]
    return {
        "macro_f1": float(f1_score(gold, predicted, labels=np.unique(gold), average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(gold, predicted)),
    }
