"""SetFit (Tunstall et al., 2022) on the same encoder: contrastive fine-tuning on sampled pairs, and a head."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import torch
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
#: Pairs that are learned from, in steps of 16; its default, all pairs of 20,000 paragraphs, would take months.
STEPS = 2000


def fit(texts: Sequence[str], labels: Sequence[str], folder: str) -> None:
    """Fits and writes a model."""
    model = SetFitModel.from_pretrained(os.environ["NUTGRAF_BENCH_ENCODER"], labels=sorted(set(labels)))
    arguments = TrainingArguments(
        batch_size=16, max_steps=STEPS, sampling_strategy="oversampling", report_to="none", save_strategy="no"
    )
    data = Dataset.from_dict({"text": list(texts), "label": list(labels)})
    Trainer(model=model, args=arguments, train_dataset=data).train()
    model.save_pretrained(folder)


def load(folder: str) -> Callable[[Sequence[str]], Sequence[str]]:
    """Reads a model."""
    model = SetFitModel.from_pretrained(folder)
    return lambda texts: [str(label) for label in model.predict(list(texts))]
