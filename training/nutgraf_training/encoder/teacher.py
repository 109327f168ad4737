"""What teachers say of articles without labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load

from nutgraf.artefact import ModelFolder
from nutgraf.encoder import EncoderTagger, graph_inputs
from nutgraf.tagger import Tagger, batches
from nutgraf.windows import Window
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.files import replacing
from nutgraf_training.encoder.device import uses_bf16
from nutgraf_training.encoder.modeling import NutgrafConfig, NutgrafModel
from nutgraf_training.encoder.trainer import is_main, wait_for
from nutgraf_training.recipe import EncoderFitSettings

__all__ = ["KEPT", "TorchTagger", "ask", "soft_targets"]

#: What torch needs of the files that a model folder has; the second where the recipe says ``export.keep_weights``.
KEPT = ("config.json", "model.safetensors")
#: How many articles a teacher is asked about before its answers are saved.
_ASKED = 500


def ask(
    teachers: Sequence[Tagger],
    articles: Sequence[Article],
    temperature: float,
    folder: Path,
    settings: EncoderFitSettings,
    say: Callable[[str], None],
) -> list[NDArray[np.float32]]:
    """``soft_targets``, saved as they come: asking takes long, and is not done twice.

    Args:
        teachers, articles, temperature: see ``soft_targets``.
        folder: where the answers are kept, beside those of other teachers and to other articles.
        settings: their ``precision``, for teachers that torch runs.
        say: called with a line of progress.

    Returns:
        for each article ``(paragraphs, labels)`` probabilities, rounded to half precision.

    Raises:
        DataError: a file of answers was damaged, or none can be written there.
    """
    found: list[NDArray[np.float32]] = []
    ready: list[Tagger] = []
    for begin in range(0, len(articles), _ASKED):
        part = articles[begin : begin + _ASKED]
        ends = np.cumsum([len(article.paragraphs) for article in part])
        file = folder / f"{_name(teachers, part, temperature)}.npy"
        if is_main() and not file.is_file():
            say(f"asking the teacher about articles {begin + 1:,} to {begin + len(part):,} of {len(articles):,}")
            ready = ready or [_faster(teacher, settings) for teacher in teachers]
            _save(file, np.concatenate(soft_targets(ready, part, temperature)))
        wait_for(file)
        try:
            answers = np.load(file).astype(np.float32)
        except (OSError, ValueError, EOFError):
            answers = np.zeros(0, dtype=np.float32)
        if answers.shape != (ends[-1], len(teachers[0].label_set)):
            raise DataError("it does not hold a teacher's answers", path=file, hint="remove it")
        found += np.split(answers, ends[:-1])
    return found


def _name(teachers: Sequence[Tagger], articles: Sequence[Article], temperature: float) -> str:
    """Of a file of answers: 32 hexadecimal digits."""
    whole = hashlib.sha256(json.dumps([[teacher.fingerprint for teacher in teachers], temperature]).encode())
    for article in articles:
        whole.update(json.dumps([article.headline, *(p.text for p in article.paragraphs)]).encode() + b"\n")
    return whole.hexdigest()[:32]


def _save(file: Path, array: NDArray[np.float32]) -> None:
    """All of it or nothing, in half precision."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"answers cannot be kept there: {error.strerror}", path=file.parent, hint="name another folder"
        ) from None
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.save(stream, array.astype(np.float16))


def _faster(teacher: Tagger, settings: EncoderFitSettings) -> Tagger:
    """The same teacher, run by torch where its folder has what torch needs."""
    if teacher.folder.kind != "encoder" or not set(KEPT) <= set(teacher.folder.files):
        return teacher
    return TorchTagger(teacher.folder, settings)


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
