"""What teachers say of articles without labels."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load

from nutgraf.artefact import ModelFolder
from nutgraf.encoder import EncoderTagger, graph_inputs
from nutgraf.tagger import Tagger, batches
from nutgraf.windows import Window
from nutgraf_data.article import Article
from nutgraf_training.encoder.device import uses_bf16
from nutgraf_training.encoder.modeling import NutgrafConfig, NutgrafModel
from nutgraf_training.recipe import EncoderFitSettings

__all__ = ["KEPT", "TorchTagger", "soft_targets"]

#: The files that a model folder has beside the graph where the recipe says ``export.keep_weights``.
KEPT = ("config.json", "model.safetensors")


def soft_targets(
    teachers: Sequence[Tagger], articles: Sequence[Article], temperature: float
) -> list[NDArray[np.float32]]:
    """The mean of the teachers' probabilities, for each article ``(paragraphs, labels)``.

    Args:
        teachers: with the same labels in the same order.
        articles: what to annotate.
        temperature: above 1 flattens, below 1 sharpens.
    """
    found = []
    for batch in batches(articles):
        for each in zip(*(teacher.score_many(batch) for teacher in teachers), strict=True):
            mean = np.mean([scores for scores, _ in each], axis=0) ** (1.0 / temperature)
            found.append((mean / mean.sum(axis=1, keepdims=True)).astype(np.float32))
    return found


class TorchTagger(EncoderTagger):
    """Runs an encoder model with torch: on a GPU where there is one, in half precision where that pays.

    Args:
        folder: of kind ``encoder``, with the files ``KEPT``.
        settings: their ``precision``.

    Raises:
        ModelError: its files do not fit each other.
    """

    def __init__(self, folder: ModelFolder, settings: EncoderFitSettings) -> None:
        self._type = torch.bfloat16 if uses_bf16(settings) else torch.float32
        super().__init__(folder)
        self._threads = 1  # torch has its own

    def _read_weights(self, count: int) -> None:
        try:
            model = NutgrafModel(NutgrafConfig.from_dict(json.loads(self._file(KEPT[0]))))
            model.load_state_dict(load(self._file(KEPT[1])))
        except Exception as error:  # each family has its own
            raise self.folder.refuse(f"{KEPT[1]} does not fit {KEPT[0]} ({type(error).__name__})") from None
        if model.config.num_labels != count:
            raise self.folder.refuse(f"{KEPT[0]} has {model.config.num_labels} labels, expected {count}")
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.eval().to(self._device, self._type)

    def _logits(self, window: Window) -> NDArray[np.float32]:
        inputs = {name: torch.from_numpy(value).to(self._device) for name, value in graph_inputs(window).items()}
        with torch.inference_mode():
            found: NDArray[np.float32] = self._model(**inputs).logits.float().cpu().numpy()
        return found
