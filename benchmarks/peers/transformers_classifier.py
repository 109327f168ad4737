"""The Hugging Face recipe for sequence classification, on the same encoder, run by its pipeline in torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    pipeline,
)
from transformers.trainer_utils import get_last_checkpoint

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def fit(texts: Sequence[str], labels: Sequence[str], folder: str) -> None:
    """Fits and writes a model, with the epochs and batches of the documentation's example and Trainer's own rate."""
    name = os.environ["NUTGRAF_BENCH_ENCODER"]
    names = sorted(set(labels))
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForSequenceClassification.from_pretrained(
        name,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={n: i for i, n in enumerate(names)},
        attn_implementation="eager",  # the same sums, faster to train on a processor
    )
    data = Dataset.from_dict({"text": list(texts), "label": [names.index(label) for label in labels]})
    data = data.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=256), batched=True)
    run = Path(f"{folder}.run")  # on two cores two epochs of all articles take hours: it goes on where it stopped
    arguments = TrainingArguments(
        output_dir=str(run),
        learning_rate=5e-5,
        per_device_train_batch_size=16,
        num_train_epochs=2,
        weight_decay=0.01,
        bf16=torch.cpu._is_avx512_bf16_supported(),
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        save_steps=1000,
        save_total_limit=2,
        report_to="none",
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=data, data_collator=DataCollatorWithPadding(tokenizer))
    trainer.train(resume_from_checkpoint=get_last_checkpoint(run) if run.is_dir() else None)
    shutil.rmtree(run)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load(folder: str) -> Callable[[Sequence[str]], Sequence[str]]:
    """Reads a model."""
    classify = pipeline("text-classification", model=folder, device="cpu")
    size = int(os.environ["NUTGRAF_BENCH_BATCH"])
    return lambda texts: [found["label"] for found in classify(list(texts), truncation=True, batch_size=size)]
