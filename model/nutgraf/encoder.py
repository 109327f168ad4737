"""The encoder tagger: a transformers encoder that reads the paragraphs in their article, run by onnxruntime.

transformers trains it; here its exported graph runs over windows of the article, one window at a time. A window's
result depends on nothing but the window: int8 kernels scale by the largest value of what they are given, so that
windows run together would change each other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf.arrays import check_arrays, read_arrays
from nutgraf.artefact import ModelFolder
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
        try:
            self._settings = WindowSettings.from_dict(folder.settings["window"])
            arrays = read_arrays(folder.files[CHAIN])
            check_arrays(
                arrays,
                {name: (shape, np.float64) for name, shape in ChainWeights.shapes(count).items()},
                f"for {count} labels",
            )
            self._chain = ChainWeights.from_arrays(arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise folder.refuse(f"{CHAIN} or settings.toml does not fit: {error}") from None
        self._tokenizer = self._read_tokenizer()
        self._session = self._read_graph(count)

    def _read_tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_str(self.folder.files[TOKENIZER].decode())
            tokenizer.no_truncation()
            tokenizer.no_padding()
            special = tokenizer.encode("").ids
        except KeyError:
            raise self.folder.refuse(f"{TOKENIZER} is missing") from None
        except BaseException as error:  # what the library was not ready for comes as its own kind of BaseException
            if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            raise self.folder.refuse(f"{TOKENIZER} cannot be used ({error})") from None
        if len(special) < 2:
            raise self.folder.refuse(f"{TOKENIZER} adds {len(special)} special tokens to a text, expected two")
        self._first, self._last = special[0], special[-1]
        return tokenizer

    def _read_graph(self, count: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One thread a window, several windows at once: less waiting, and the same bits however many threads there are.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(
                self.folder.files[GRAPH],
                options,
                providers=["CPUExecutionProvider"],
                # The fused kernel is several times slower than the two that it replaces.
                disabled_optimizers=["SkipLayerNormFusion"],
            )
            found = {each.name: each for each in session.get_inputs()}
            (output,) = session.get_outputs()
        except KeyError:
            raise self.folder.refuse(f"{GRAPH} is missing") from None
        except Exception as error:  # onnxruntime has no common class for its errors
            raise self.folder.refuse(f"{GRAPH} cannot be used ({str(error).splitlines()[0]})") from None
        if set(found) != set(INPUTS) or any(each.type != "tensor(int64)" for each in found.values()):
            raise self.folder.refuse(f"{GRAPH} takes {sorted(found)}, expected {sorted(INPUTS)} of type int64")
        if output.name != OUTPUT or output.type != "tensor(float)" or output.shape[-1] != count:
            raise self.folder.refuse(
                f"{GRAPH} gives {output.name!r} {output.shape}, expected {OUTPUT!r} with {count} labels"
            )
        return session

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
        encoded = encode(articles, self._tokenizer, self._settings)
        cut = [windows(article, self._settings, self._first, self._last) for article in encoded]
        # The longest first, so that the threads end together.
        jobs = sorted(
            ((index, window) for index, parts in enumerate(cut) for window in parts), key=lambda job: -len(job[1].ids)
        )
        results = [(np.zeros((len(article.paragraphs), len(self.label_set))), article.truncated) for article in encoded]

        def run(job: tuple[int, Window]) -> None:
            index, window = job
            try:
                (logits,) = self._session.run([OUTPUT], graph_inputs(window))
            except Exception as error:  # onnxruntime has no common class for its errors
                raise self.folder.refuse(f"{GRAPH} cannot be run ({str(error).splitlines()[0]})") from None
            offset = window.paragraphs[0]
            results[index][0][window.taken.start : window.taken.stop] = logits[
                0, window.taken.start - offset : window.taken.stop - offset
            ]

        if len(jobs) == 1:
            run(jobs[0])
        else:
            with ThreadPoolExecutor(_threads()) as pool:
                for _ in pool.map(run, jobs):
                    pass
        return results


def graph_inputs(window: Window) -> dict[str, NDArray[np.int64]]:
    """What the graph reads of a window."""
    places = [position(paragraph) for paragraph in window.paragraphs]
    return {
        "input_ids": np.array([window.ids], dtype=np.int64),
        "segments": window.segments()[None],
        "positions": np.array([places], dtype=np.int64),
    }


def _threads() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
