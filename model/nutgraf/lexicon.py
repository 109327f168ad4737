"""What a feature extractor knows of a word: its hash and the closed classes that it belongs to.

The word lists are English. For text in other languages the classes stay empty, and the tagger leans on
words, positions, quotation marks and numbers alone.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLAGS", "Lexicon", "bit"]

_CLASSES = {
    "saying": """say says said saying tell tells told add adds added adding state states stated announce
        announces announced claim claims claimed deny denies denied warn warns warned urge urges urged condemn
        condemns condemned confirm confirmed confirms insist insisted insists argue argued argues note noted notes
        explain explained explains declare declared declares vow vowed vows accuse accused accuses call called
        calls promise promised pledge pledged write wrote writes tweet tweeted tweets post posted report reported
        reports suggest suggested suggests reveal revealed believe believes believed think thinks thought recall
        recalled recalls describe described describes ask asked asks reply replied respond responded stress
        stressed reiterate reiterated emphasize emphasized acknowledge acknowledged allege alleged admit admitted
        comment commented predict predicted expect expects expected according""",
    "office": """president minister ministry spokesman spokeswoman spokesperson governor mayor official officials
        government police army military general commander secretary senator sen rep congressman congresswoman
        chairman chairwoman chief ceo executive director department agency court judge prosecutor prosecutors
        attorney lawyer lawyers company union party office administration authorities ambassador king prince
        premier pm chancellor foreign defense defence state white house kremlin pentagon statement council
        commission committee bank un nato eu sheriff fbi captain lieutenant sergeant colonel major bishop pope
        archbishop leader""",
    "expertise": """analyst analysts expert experts professor economist economists researcher researchers fellow
        institute university study scholar scholars historian scientist scientists strategist critics critic
        observers survey poll research author pundits think tank columnist""",
    "private": """resident residents witness witnesses neighbor neighbour neighbors neighbours mother father son
        daughter wife husband family student students teacher farmer driver shopkeeper worker workers protester
        protesters fan fans survivor survivors victim victims patient customer customers girl boy woman man mom
        dad brother sister voter voters""",
    "diplomacy": """talks negotiations summit treaty sanctions ambassador bilateral diplomatic diplomats diplomacy
        nations""",
    "past": """since ago earlier previously last previous former year years month months decade decades century
        history founded began was were""",
    "present": """is are has have says does do am remains includes makes gives takes""",
    "pluperfect": "had been",
    "modal": """could would may might should likely if perhaps seems appears suggests risk hope future will""",
    "first_person": "i me my we our us i'm we're i've",
    "third_person": "he she his her him they their",
    "day": """monday tuesday wednesday thursday friday saturday sunday today yesterday tonight morning evening
        night""",
    "month": """january february march april may june july august september october november december jan feb mar
        apr jun jul aug sept sep oct nov dec""",
    "formula": """reporting editing editor writing by photo image file caption read more click subscribe
        newsletter copyright contributed sign related email follow reuters ap""",
}
_SHAPES = (
    "capitalised",
    "number",
    "year",
    "ends_in_ed",
    "ends_in_ing",
    "sentence_end",
    "all_capitals",
    "straight_quote",
    "opening_quote",
    "low_quote",
    "closing_quote",
)

#: The flags of a word in the order of their bits.
FLAGS = (*_CLASSES, *_SHAPES)

_CLASS_BITS: dict[str, int] = {}
for _bit, _words in enumerate(_CLASSES.values()):
    for _word in _words.split():
        _CLASS_BITS[_word] = _CLASS_BITS.get(_word, 0) | 1 << _bit

_MAX_WORDS = 1 << 18


def bit(flag: str) -> int:
    """The bit of a flag of ``FLAGS``."""
    return FLAGS.index(flag)


def _flags(token: str, lowered: str) -> int:
    shapes = {
        "capitalised": token[0].isupper(),
        "number": token[0].isdigit(),
        "year": len(token) == 4 and token[:2] in {"19", "20"} and token.isdecimal(),
        "ends_in_ed": len(lowered) > 3 and lowered.endswith("ed"),
        "ends_in_ing": len(lowered) > 4 and lowered.endswith("ing"),
        "sentence_end": token in {".", "!", "?"},
        "all_capitals": len(token) > 1 and token.isupper(),
        "straight_quote": token == '"',
        "opening_quote": token in {"“", "«"},
        "low_quote": token == "„",
        "closing_quote": token in {"”", "»"},
    }
    flags = _CLASS_BITS.get(lowered, 0)
    for flag, holds in shapes.items():
        if holds:
            flags |= 1 << bit(flag)
    return flags


class Lexicon(dict[str, int]):
    """Token → row of ``hashes`` and ``flags``; a token that is new gets the next row when it is looked up.

    It only remembers what a pure function of the token says, so results never depend on what it has seen.

    Attributes:
        hashes: ``(rows,)`` uint64, BLAKE2b of the lower-cased token.
        flags: ``(rows,)`` uint32, bit ``b`` set where the token has flag ``FLAGS[b]``.
    """

    hashes: NDArray[np.uint64]
    flags: NDArray[np.uint32]

    def __init__(self) -> None:
        super().__init__()
        self.hashes = np.zeros(1 << 12, dtype=np.uint64)
        self.flags = np.zeros(1 << 12, dtype=np.uint32)

    def __missing__(self, token: str) -> int:
        row = len(self)
        if row == len(self.hashes):
            self.hashes = np.concatenate([self.hashes, np.zeros_like(self.hashes)])
            self.flags = np.concatenate([self.flags, np.zeros_like(self.flags)])
        lowered = token.lower().replace("’", "'")
        self.hashes[row] = int.from_bytes(blake2b(lowered.encode(), digest_size=8).digest(), "little")
        self.flags[row] = _flags(token, lowered)
        self[token] = row
        return row

    def trim(self) -> None:
        """Forgets everything when very many words are held; call it between articles only."""
        if len(self) > _MAX_WORDS:
            self.clear()
