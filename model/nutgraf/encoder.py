"""The encoder tagger: a transformers encoder that reads the paragraphs in their article, run by onnxruntime.

transformers trains it; here its exported graph runs over windows of the article, one window at a time. A window's
result depends on nothing but the window: int8 kernels scale by the largest value of what they are given, so that
windows run together would change each other.

A graph is checked before it is run (see ``nutgraf.graph``) and cannot read files, loop or execute code. But a folder
made with bad intent can take as much time and memory as it likes: by matrices of any size, or a tokenizer that replaces
each letter by a thousand. Run folders of people that you do not trust under the limits of your system.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf.arrays import check_arrays, read_arrays
from nutgraf.artefact import ModelFolder
from nutgraf.graph import check_graph
from nutgraf.sequence import ChainWeights
from nutgraf.tagger import Tagger
from nutgraf.windows import Window, WindowSettings, encode, position, windows
from nutgraf_data.article import Article

__all__ = ["CHAIN", "GRAPH", "INPUTS", "OUTPUT", "TOKENIZER", "EncoderTagger", "graph_inputs"]

GRAPH, TOKENIZER, CHAIN = "model.onnx", "tokenizer.json", "chain.safetensors"

#: The inputs of the graph: ``(1, tokens)``, ``(1, tokens)`` and ``(1, paragraphs)``, all int64; see ``graph_inputs``.
INPUTS = ("input_ids", "segments", "positions")
#: Its output: margins ``(1, paragraphs, labels)``, float32.
OUTPUT = "logits"

_BRIEF = 400  # characters of what others say that go into a message

Floats = NDArray[np.float64]


class EncoderTagger(Tagger):
    """Runs an encoder model.

    Args:
        folder: a checked model folder of kind ``encoder``.

    Raises:
        ModelError: its settings, tokenizer, graph or chain do not fit each other.
    """

    def __init__(self, folder: ModelFolder) -> None:
        super().__init__(folder)
        count = len(folder.label_set)
        if "window" not in folder.settings:
            raise folder.refuse("settings.toml has no table [window]")
        try:
            self._settings = WindowSettings.from_dict(folder.settings["window"])
        except ValueError as error:
            raise folder.refuse(f"settings.toml does not fit: {_brief(error)}") from None
        content = self._file(CHAIN)
        try:
            arrays = read_arrays(content)
            check_arrays(
                arrays,
                {name: (shape, np.float64) for name, shape in ChainWeights.shapes(count).items()},
                f"for {count} labels",
            )
        except ValueError as error:
            raise folder.refuse(f"{CHAIN} does not fit: {_brief(error)}") from None
        self._chain = ChainWeights.from_arrays(arrays)
        self._tokenizer = self._read_tokenizer()
        self._threads = _cores()
        self._read_weights(count)

    def _file(self, name: str) -> bytes:
        if name not in self.folder.files:
            raise self.folder.refuse(f"{name} is missing")
        return self.folder.files[name]

    @contextmanager
    def _refusing_tokenizer(self) -> Iterator[None]:
        try:
            yield
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # a panic of the library is no Exception
            raise self.folder.refuse(f"{TOKENIZER} cannot be used ({_brief(error)})") from None

    def _read_tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        content = self._file(TOKENIZER)
        with self._refusing_tokenizer():
            tokenizer = Tokenizer.from_str(content.decode())
            tokenizer.no_truncation()
            tokenizer.no_padding()
            special = tokenizer.encode("").ids
            if len(special) < 2:
                raise ValueError(f"it adds {len(special)} special tokens to a text, expected two")
            if getattr(tokenizer.model, "dropout", None):
                raise ValueError("it cuts words at random, by its model's dropout")
        self._first, self._last = special[0], special[-1]
        return tokenizer

    def _read_weights(self, count: int) -> None:
        import onnxruntime

        content = self._file(GRAPH)
        options = onnxruntime.SessionOptions()
        # One thread a window, several windows at once: less waiting, and the same bits however many threads there are.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.load_model_format", "ONNX")  # the other format is not checked
        try:
            check_graph(content)
            session = onnxruntime.InferenceSession(
                content,
                options,
                providers=["CPUExecutionProvider"],
                # The fused kernel is several times slower than the two that it replaces.
                disabled_optimizers=["SkipLayerNormFusion"],
            )
            inputs = {each.name: each.type for each in session.get_inputs()}
            outputs = [(each.name, each.type, each.shape) for each in session.get_outputs()]
        except Exception as error:  # onnxruntime has no common class for its errors
            raise self.folder.refuse(f"{GRAPH} cannot be used ({_brief(error)})") from None
        if inputs != dict.fromkeys(INPUTS, "tensor(int64)"):
            raise self.folder.refuse(f"{GRAPH} takes {_brief(inputs)}, expected {sorted(INPUTS)} of type tensor(int64)")
        if [(name, kind, shape[-1:]) for name, kind, shape in outputs] != [(OUTPUT, "tensor(float)", [count])]:
            raise self.folder.refuse(
                f"{GRAPH} gives {_brief(outputs)}, expected {OUTPUT!r} of type tensor(float) with {count} labels"
            )
        self._session = session

    def margins(self, articles: Sequence[Article]) -> list[Floats]:
        """For each article ``(paragraphs, labels)`` logits, before calibration."""
        return [own for own, _ in self._run(articles)]

    def score_many(self, articles: Sequence[Article]) -> list[tuple[Floats, NDArray[np.bool_]]]:
        """For each article, probabilities ``(paragraphs, labels)`` and which paragraphs were cut ``(paragraphs,)``."""
        results = []
        for own, truncated in self._run(articles):
            scores = self._chain.scores(own)
            if not np.isfinite(scores).all():
                raise self.folder.refuse(f"{GRAPH} or {CHAIN} gives scores that are not finite")
            results.append((scores, truncated))
        return results

    def _run(self, articles: Sequence[Article]) -> list[tuple[Floats, NDArray[np.bool_]]]:
        with self._refusing_tokenizer():
            encoded = encode(articles, self._tokenizer, self._settings)
        cut = [windows(article, self._settings, self._first, self._last) for article in encoded]
        same: dict[tuple[Any, ...], list[tuple[int, Window]]] = {}  # what is said twice is read once: it gives the same
        for index, parts in enumerate(cut):
            for window in parts:
                key = (tuple(window.ids), tuple(window.spans), tuple(map(position, window.paragraphs)))
                same.setdefault(key, []).append((index, window))
        # The longest first, so that the threads end together.
        jobs = sorted(same.values(), key=lambda job: -len(job[0][1].ids))
        results = [(np.zeros((len(article.paragraphs), len(self.label_set))), article.truncated) for article in encoded]

        def run(job: Sequence[tuple[int, Window]]) -> None:
            window = job[0][1]
            logits = self._logits(window)
            if logits.shape != (expected := (1, len(window.paragraphs), len(self.label_set))):
                raise self.folder.refuse(f"{GRAPH} gives {OUTPUT!r} of shape {logits.shape}, expected {expected}")
            if not np.isfinite(logits).all():
                raise self.folder.refuse(f"{GRAPH} gives {OUTPUT!r} that are not finite")
            for index, each in job:
                start, stop, offset = each.taken.start, each.taken.stop, each.paragraphs[0]
                results[index][0][start:stop] = logits[0, start - offset : stop - offset]

        if len(jobs) == 1:
            run(jobs[0])
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                for _ in pool.map(run, jobs):
                    pass
        return results

    def _logits(self, window: Window) -> NDArray[np.float32]:
        """``(1, paragraphs of the window, labels)``."""
        try:
            (logits,) = self._session.run([OUTPUT], graph_inputs(window))
        except Exception as error:  # onnxruntime has no common class for its errors
            raise self.folder.refuse(f"{GRAPH} cannot be run on what {TOKENIZER} gives ({_brief(error)})") from None
        found: NDArray[np.float32] = logits
        return found


def graph_inputs(window: Window) -> dict[str, NDArray[np.int64]]:
    """What the graph reads of a window."""
    places = [position(paragraph) for paragraph in window.paragraphs]
    return {
        "input_ids": np.array([window.ids], dtype=np.int64),
        "segments": window.segments()[None],
        "positions": np.array([places], dtype=np.int64),
    }


def _brief(found: object) -> str:
    """What is found, for one line of a message: its beginning, however long it is."""
    lines = str(found).strip().splitlines() or [type(found).__name__]
    return lines[0] if len(lines[0]) <= _BRIEF else f"{lines[0][:_BRIEF]}…"


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
