"""Articles that say the same in the same words: found by MinHash, verified exactly."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError, MissingExtraError

__all__ = ["SHINGLE", "merge_groups", "near_duplicates"]

#: Words in a shingle.
SHINGLE = 5

_WORD = re.compile(r"\w+")
_SEED = 1
# Bands of one row: a pair whose shingles are common to a twentieth is missed once in 700 times, one of
# an article and its first tenth never in practice. Exact verification follows, so candidates too many
# cost time only, and news shares few shingles by chance.
_BANDS, _ROWS = 128, 1
# A shingle of more articles than this, and than this share of them, is a footer and no story. Left in,
# it would make every pair of its articles a candidate.
_COMMON, _COMMON_SHARE = 20, 0.01


def near_duplicates(articles: Sequence[Article], *, threshold: float = 0.5) -> list[tuple[int, int, float]]:
    """Pairs of articles of which one contains much of the other.

    Returns:
        ``(i, j, containment)`` with ``i < j``, sorted; containment is the share, 0 to 1, of the word
        5-shingles of the article with fewer that the other has too. Words are compared without case
        and punctuation; headlines are not looked at. Shingles of more than 20 articles and 1 % of them
        (footers) do not count, unless an article has no others. An article of less than a twentieth of the one that
        holds it may go unnoticed. The same articles give the same pairs in any order.

    Raises:
        DataError: the threshold is not above 0 and at most 1.
        MissingExtraError: datasketch is not installed.
    """
    if not 0 < threshold <= 1:
        raise DataError(f"threshold is {threshold}, expected above 0 and at most 1")
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        raise MissingExtraError("Finding near-duplicate articles", "train") from None
    import numpy as np

    shingles = _without_common(_shingles(articles))
    sketches = MinHash.generator(
        ([int(x) for x in s & np.uint64(0xFFFFFFFF)] for s in shingles),
        num_perm=_BANDS * _ROWS,
        seed=_SEED,
        hashfunc=int,
    )
    index = MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
    pairs = []
    for j, sketch in enumerate(sketches):
        if not len(shingles[j]):
            continue
        for i in sorted(index.query(sketch)):
            smaller = min(len(shingles[i]), len(shingles[j]))
            common = len(np.intersect1d(shingles[i], shingles[j], assume_unique=True))
            if common / smaller >= threshold:
                pairs.append((i, j, common / smaller))
        index.insert(j, sketch)
    return sorted(pairs)


def merge_groups(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Numbers the connected components of ``count`` nodes, from 0 in order of appearance.

    Groups are transitive: an article that contains half of two others brings the two together.
    """
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in pairs:
        parent[root(b)] = root(a)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(node), len(numbers)) for node in range(count)]


def _without_common(shingles: list[Any]) -> list[Any]:
    """The shingles without those of too many articles.

    An article of which less than a quarter would be left keeps all: it is one of many copies, and has no footer.
    """
    import numpy as np

    if not shingles:
        return shingles
    values, counts = np.unique(np.concatenate(shingles), return_counts=True)
    common = values[counts > max(_COMMON, _COMMON_SHARE * len(shingles))]
    if not len(common):
        return shingles
    reduced = [np.setdiff1d(s, common, assume_unique=True) for s in shingles]
    return [few if 4 * len(few) >= len(s) else s for few, s in zip(reduced, shingles, strict=True)]


def _shingles(articles: Sequence[Article]) -> list[Any]:
    """For each article its shingles as sorted unique 64-bit hashes, ``(shingles,)`` uint64."""
    import numpy as np

    known: dict[str, int] = {}

    def code(word: str) -> int:
        # Python's own hash of a string differs from process to process.
        return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")

    made = []
    for article in articles:
        words = _WORD.findall(" ".join(p.text for p in article.paragraphs).casefold())
        for word in words:
            if word not in known:
                known[word] = code(word)
        codes = np.array([known[word] for word in words], dtype=np.uint64)
        size = min(SHINGLE, len(codes))  # an article of three words is one shingle of three
        total = np.zeros(len(codes) - size + 1 if size else 0, dtype=np.uint64)
        for place in range(size):
            total = total * np.uint64(0x9E3779B97F4A7C15) + codes[place : place + len(total)]
            total ^= total >> np.uint64(29)
        made.append(np.unique(total))
    return made
