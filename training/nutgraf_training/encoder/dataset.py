"""Windows of labelled articles as a ``datasets.Dataset``, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, Value
from datasets import Sequence as Feature
from numpy.typing import NDArray
from torch import Tensor

from nutgraf.windows import Encoded, WindowSettings, position, windows
from nutgraf_data.article import Article
from nutgraf_data.labels import LabelSet
from nutgraf_training.encoder.modeling import IGNORED

__all__ = ["MULTIPLE", "Collator", "hard_targets", "make_dataset", "read_back"]

Floats = NDArray[np.float32]

#: Batches are padded to a multiple of this many tokens, which kernels like.
MULTIPLE = 8

_FEATURES = Features(
    {
        "article": Value("int32"),
        "paragraphs": Feature(Value("int32")),
        "taken": Feature(Value("bool")),
        "input_ids": Feature(Value("int32")),
        "starts": Feature(Value("int32")),
        "ends": Feature(Value("int32")),
        "targets": Feature(Feature(Value("float32"))),
        "length": Value("int32"),
    }
)


def hard_targets(
    articles: Sequence[Article], label_set: LabelSet, *, alt_weight: float = 0.0, smoothing: float = 0.0
) -> list[Floats]:
    """What to learn from given labels.

    Args:
        articles: some of whose paragraphs may have no label.
        label_set: the labels and their order.
        alt_weight: how much of a paragraph's weight its alternative label gets.
        smoothing: how much is spread over all labels (Szegedy et al., 2016, section 7).

    Returns:
        for each article ``(paragraphs, labels)``; rows sum to 1, or to 0 where there is no label.
    """
    number = {label: index for index, label in enumerate(label_set.labels)}
    found = []
    for article in articles:
        rows = np.zeros((len(article.paragraphs), len(label_set)), dtype=np.float32)
        for index, paragraph in enumerate(article.paragraphs):
            if paragraph.label is None:
                continue
            label, alt = number[paragraph.label], number.get(paragraph.alt or "", number[paragraph.label])
            rows[index] = smoothing / len(label_set)
            rows[index, label] += (1.0 - smoothing) * (1.0 - alt_weight)
            rows[index, alt] += (1.0 - smoothing) * alt_weight
        found.append(rows)
    return found


def make_dataset(
    encoded: Sequence[Encoded],
    targets: Sequence[Floats],
    settings: WindowSettings,
    first: int,
    last: int,
) -> Dataset:
    """One row a window.

    Args:
        encoded: the articles.
        targets: for each ``(paragraphs, labels)``; rows of zeros where nothing is to be learned.
        settings, first, last: as ``nutgraf.windows.windows`` takes them.
    """

    def rows() -> Iterator[dict[str, Any]]:
        for index, (article, rows) in enumerate(zip(encoded, targets, strict=True)):
            for window in windows(article, settings, first, last):
                yield {
                    "article": index,
                    "paragraphs": window.paragraphs,
                    "taken": [paragraph in window.taken for paragraph in window.paragraphs],
                    "input_ids": window.ids,
                    "starts": [start for start, _ in window.spans],
                    "ends": [end for _, end in window.spans],
                    "targets": rows[window.paragraphs],
                    "length": len(window.ids),
                }

    return Dataset.from_list(list(rows()), features=_FEATURES)


@dataclass
class Collator:
    """Pads windows to a batch.

    Attributes:
        pad: the token of padding.
        mask: the token that stands for a hidden one, or None where nothing is hidden.
        hide: the share of the tokens of paragraphs that is hidden, against learning them by heart.
        training: whether paragraphs that are there for context are learned from too, and tokens hidden.
    """

    pad: int
    mask: int | None = None
    hide: float = 0.0
    training: bool = True

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """``input_ids, attention_mask, segments`` ``(batch, tokens)``; ``positions, labels`` ``(batch, paragraphs)``;
        ``targets`` ``(batch, paragraphs, labels)``; see ``NutgrafModel.forward``.
        """
        tokens = max(len(row["input_ids"]) for row in rows)
        tokens += -tokens % MULTIPLE
        paragraphs = max(len(row["starts"]) for row in rows)
        labels = len(rows[0]["targets"][0])
        ids = torch.full((len(rows), tokens), self.pad)
        seen = torch.zeros((len(rows), tokens), dtype=torch.long)
        segments = torch.full((len(rows), tokens), -1)
        positions = torch.zeros((len(rows), paragraphs), dtype=torch.long)
        targets = torch.zeros((len(rows), paragraphs, labels))
        known = torch.zeros((len(rows), paragraphs), dtype=torch.bool)
        for index, row in enumerate(rows):
            ids[index, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
            seen[index, : len(row["input_ids"])] = 1
            for place, (start, end) in enumerate(zip(row["starts"], row["ends"], strict=True)):
                segments[index, start:end] = place
            count = len(row["starts"])
            positions[index, :count] = torch.tensor([position(paragraph) for paragraph in row["paragraphs"]])
            targets[index, :count] = torch.tensor(row["targets"])
            known[index, :count] = targets[index, :count].sum(dim=-1) > 0
            if not self.training:
                known[index, :count] &= torch.tensor(row["taken"])
        if self.training and self.hide and self.mask is not None:
            ids[(torch.rand(ids.shape) < self.hide) & (segments >= 0)] = self.mask
        return {
            "input_ids": ids,
            "attention_mask": seen,
            "segments": segments,
            "positions": positions,
            "labels": torch.where(known, targets.argmax(dim=-1), IGNORED),
            "targets": targets,
        }


def read_back(rows: Dataset, logits: NDArray[np.floating], lengths: Sequence[int]) -> list[NDArray[np.float64]]:
    """Puts the logits of windows together to those of articles.

    Args:
        rows: of ``make_dataset``.
        logits: ``(windows, paragraphs, labels)``, padded.
        lengths: ``(articles,)`` the paragraphs of each.

    Returns:
        for each article ``(paragraphs, labels)``.
    """
    found = [np.zeros((length, logits.shape[-1])) for length in lengths]
    for index, row in enumerate(rows.select_columns(["article", "paragraphs", "taken"])):
        for place, (paragraph, taken) in enumerate(zip(row["paragraphs"], row["taken"], strict=True)):
            if taken:
                found[row["article"]][paragraph] = logits[index, place]
    return found
