"""Windows: the token sequences that an encoder reads an article in.

An encoder reads a few hundred tokens at a time, and what a paragraph does often hangs on words elsewhere. So a window
holds as many neighbouring paragraphs as fit, and says again what they hang on::

    [CLS] headline [SEP] lead [SEP] paragraph before [SEP] paragraph [SEP] paragraph [SEP] paragraph after [SEP]

Only the paragraphs in the middle are taken from it; those at its edges are there for context. Training and prediction
make windows by the same function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nutgraf_data.article import Article

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["POSITIONS", "Encoded", "Window", "WindowSettings", "encode", "position", "windows"]

#: How many embeddings of a paragraph's place in its article there are; see ``position``.
POSITIONS = 16

# As long as encoders get. Attention takes memory by the square of it: settings that say more would fill a machine's.
_MOST_TOKENS = 8192


@dataclass(frozen=True)
class WindowSettings:
    """The ``[window]`` table of a recipe.

    Attributes:
        tokens: the longest window, special tokens included; the encoder's own limit or less, and at most 8192.
        headline: how many tokens of the headline stand at the beginning of every window.
        lead: how many tokens of the first paragraph do, where that is not in the window itself.
        context: how many tokens of whole paragraphs there may be on either side for context only.
        most: how many paragraphs are taken from one window at most; 0 for as many as fit.
        paragraph: how many tokens of a paragraph are read.
        characters: how many characters of a paragraph are read.
    """

    tokens: int = 512
    headline: int = 40
    lead: int = 80
    context: int = 96
    most: int = 0
    paragraph: int = 256
    characters: int = 20_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"window.{field.name} is {value!r}, expected a whole number of at least 0")
        if not self.tokens or not self.paragraph or not self.characters:
            raise ValueError("window.tokens, window.paragraph and window.characters have to be at least 1")
        if self.tokens > _MOST_TOKENS:
            raise ValueError(f"window.tokens is {self.tokens}, expected at most {_MOST_TOKENS}")
        least = self.headline + self.lead + self.context + self.paragraph + 4  # the longest paragraph has to fit
        if self.tokens < least:
            raise ValueError(
                f"window.tokens is {self.tokens}, and headline, lead, context, paragraph and separators need {least}"
            )

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> WindowSettings:
        """From a parsed table; what is not given keeps its default.

        Raises:
            ValueError: a key is unknown or a value is not what it has to be.
        """
        if not isinstance(record, Mapping):
            raise ValueError(f"window is {record!r}, expected a table [window]")
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(record) - set(known)):
            raise ValueError(f"[window] has unknown keys {unknown}, expected some of {known}")
        return cls(**record)


@dataclass(frozen=True, slots=True)
class Encoded:
    """An article as tokens.

    Attributes:
        headline: token numbers, none where there is no headline.
        paragraphs: token numbers of each; an empty list where a paragraph has no token that the tokenizer knows.
        truncated: ``(paragraphs,)``, which ones were cut.
    """

    headline: list[int]
    paragraphs: list[list[int]]
    truncated: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Window:
    """One sequence for the encoder.

    Attributes:
        ids: token numbers, special ones included.
        spans: where each paragraph of the window begins and ends in ``ids``; never empty.
        paragraphs: which paragraphs of the article those are.
        taken: the range of paragraphs of the article whose result is taken from this window.
    """

    ids: list[int]
    spans: list[tuple[int, int]]
    paragraphs: list[int]
    taken: range

    def segments(self) -> NDArray[np.int64]:
        """``(tokens,)``: the index in ``paragraphs`` that each token belongs to, -1 for none."""
        found = np.full(len(self.ids), -1, dtype=np.int64)
        for index, (start, end) in enumerate(self.spans):
            found[start:end] = index
        return found


def encode(articles: Sequence[Article], tokenizer: Tokenizer, settings: WindowSettings) -> list[Encoded]:
    """Tokens of headlines and paragraphs, cut to what the settings say is read."""
    texts: list[str] = []
    for article in articles:
        texts.append((article.headline or "")[: settings.characters])
        texts += [paragraph.text[: settings.characters] for paragraph in article.paragraphs]
    tokens = iter([found.ids for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)])
    result = []
    for article in articles:
        headline = next(tokens)[: settings.headline]
        full = [next(tokens) for _ in article.paragraphs]
        cut = [
            len(ids) > settings.paragraph or len(paragraph.text) > settings.characters
            for ids, paragraph in zip(full, article.paragraphs, strict=True)
        ]
        result.append(Encoded(headline, [ids[: settings.paragraph] for ids in full], np.array(cut, dtype=np.bool_)))
    return result


def windows(article: Encoded, settings: WindowSettings, first: int, last: int) -> list[Window]:
    """Cuts an article into windows, so that every paragraph is taken from exactly one of them.

    Args:
        article: its tokens.
        settings: how long the windows are and what they say again.
        first, last: the special tokens before a sequence and after each of its parts.
    """
    tokens, found, start = article.paragraphs, [], 0
    sizes = [len(ids) + 1 for ids in tokens]  # with the separator after it
    while start < len(tokens):
        begin = start - _reach(sizes[max(start - settings.context, 0) : start][::-1], settings.context)
        ids = [first, *article.headline, last] if article.headline else [first]
        if begin > 0 and settings.lead:
            ids += [*tokens[0][: settings.lead], last]
        room = settings.tokens - len(ids) - sum(sizes[begin:start])
        fit = start + _reach(sizes[start : start + settings.tokens], room)
        stop = fit
        if fit < len(tokens):
            stop = max(start + 1, fit - _reach(sizes[start:fit][::-1], settings.context))
        if settings.most:
            stop = min(stop, start + settings.most)
        end = stop + _reach(sizes[stop:fit], settings.context)
        spans = []
        for paragraph in tokens[begin:end]:
            # A paragraph without any token stands for itself as its separator.
            spans.append((len(ids), len(ids) + max(len(paragraph), 1)))
            ids += [*paragraph, last]
        found.append(Window(ids, spans, list(range(begin, end)), range(start, stop)))
        start = stop
    return found


def _reach(sizes: Sequence[int], budget: int) -> int:
    """How many of the first ones add up to no more than the budget."""
    return next((count for count, total in enumerate(accumulate(sizes)) if total > budget), len(sizes))


def position(paragraph: int) -> int:
    """Which of ``POSITIONS`` embeddings the place of a paragraph in its article has: fine at first, coarse later."""
    return paragraph if paragraph < 11 else min(11 + (paragraph - 11) // 6, POSITIONS - 1)
