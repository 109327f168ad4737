"""Features: a pure function of the article, in chunks, with the state of quotation marks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutgraf import lexicon as lexicon_module
from nutgraf.features import BLOCKS, FeatureExtractor, Features, FeatureSettings, FeatureTable
from nutgraf.lexicon import FLAGS, Lexicon, bit
from nutgraf.signals import SIGNALS, Passage
from nutgraf_data.article import Article

TEXTS = [
    "A fire broke out at the port on Monday. “We ran,” said Mr Ode.",
    "The mayor said nobody was hurt. “It was dark,” Ode said.",
    "It was the third fire since 2019.",
    "Der Bürgermeister sagte: „Niemand wurde verletzt.“ Straße, Ärger, Übermut.",
    "市长说,没有人受伤。",
    "🔥🔥🔥 👩‍👩‍👧",
    "…",
]
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip), min_size=1, max_size=6)


def only(**weights: float) -> FeatureSettings:
    return FeatureSettings(bits=18, weights=weights)


def read(article: Article, options: FeatureSettings | None = None) -> list[Features]:
    return list(FeatureExtractor(options or FeatureSettings(bits=18)).extract([article]))


def same(one: list[Features], other: list[Features]) -> bool:
    return len(one) == len(other) and all(
        a.paragraphs == b.paragraphs
        and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("row", "block", "bucket", "count"))
        for a, b in zip(one, other, strict=True)
    )


def passage(*paragraphs: str) -> tuple[Passage, list[str]]:
    """A passage of space-separated tokens, and these tokens."""
    lexicon = Lexicon()
    split = [text.split() for text in paragraphs]
    tokens = [token for row in split for token in row]
    return Passage([[lexicon[token] for token in row] for row in split], lexicon), tokens


@settings(max_examples=60, deadline=None)
@given(texts)
def test_extraction_is_deterministic_and_well_formed(paragraphs: list[str]) -> None:
    article = Article.from_paragraphs(paragraphs, headline=paragraphs[0], published="2024-04-24")
    found = read(article)
    assert same(found, read(article))
    (features,) = found
    assert features.paragraphs == len(paragraphs)
    assert set(features.row.tolist()) == set(range(len(paragraphs)))  # every paragraph has some
    assert features.bucket.min() >= 0
    assert features.bucket.max() < 1 << 18
    assert features.count.min() >= 1
    key = (features.row * len(BLOCKS) + features.block) * (1 << 18) + features.bucket
    assert (np.diff(key) > 0).all()


def test_what_the_lexicon_has_seen_does_not_matter() -> None:
    article = Article.from_paragraphs(TEXTS, headline="Fire at port", published="2019-05-01")
    fresh = read(article)
    used = FeatureExtractor(FeatureSettings(bits=18))
    for number in range(40):
        list(used.extract([Article.from_paragraphs([f"word{number} Fire said “{number}”", TEXTS[number % 7]])]))
    assert same(fresh, list(used.extract([article])))


def test_a_full_lexicon_forgets_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon_module, "_MAX_WORDS", 50)
    article = Article.from_paragraphs(TEXTS)
    extractor = FeatureExtractor(FeatureSettings(bits=18))
    list(extractor.extract([Article.from_paragraphs([" ".join(f"w{n}" for n in range(200))])]))
    assert same(read(article), list(extractor.extract([article])))
    assert len(extractor._lexicon) < 200


def test_the_lexicon_grows() -> None:
    lexicon = Lexicon()
    rows = [lexicon[f"word{number}"] for number in range(10_000)]
    assert rows == list(range(10_000))
    assert lexicon.hashes[lexicon["word9999"]] == lexicon.hashes[9999] != 0
    assert len(set(lexicon.hashes[:10_000].tolist())) == 10_000


@pytest.mark.parametrize(
    ("token", "hashed"),
    [
        ("fire", 0x6F2DBD769E73F905),
        ("Straße", 0x8956C0E9EBD75B62),
        ("火", 0xBEDDE9D21AE752D5),
        ("don’t", 0xCAC728809EFC0D4C),
        ("🔥", 0x449DB77DD7270111),
    ],
)
def test_hashes_are_blake2b_on_every_platform(token: str, hashed: int) -> None:
    lexicon = Lexicon()
    lowered = token.lower().replace("’", "'")
    expected = int.from_bytes(hashlib.blake2b(lowered.encode("utf-8"), digest_size=8).digest(), "little")
    assert int(lexicon.hashes[lexicon[token]]) == expected == hashed


def test_case_and_apostrophes_share_a_hash_and_not_a_row() -> None:
    lexicon = Lexicon()
    assert lexicon.hashes[lexicon["Don’t"]] == lexicon.hashes[lexicon["don't"]]
    assert lexicon["Don’t"] != lexicon["don't"]


@pytest.mark.parametrize(
    ("token", "flags"),
    [
        ("said", {"saying"}),
        ("Monday", {"day", "capitalised"}),
        ("2019", {"number", "year"}),
        ("1819", {"number"}),
        ("20,", {"number"}),
        ("UNESCO", {"capitalised", "all_capitals"}),
        ("?", {"sentence_end"}),
        ('"', {"straight_quote"}),
        ("“", {"opening_quote"}),
        ("„", {"low_quote"}),
        ("«", {"opening_quote"}),
        ("”", {"closing_quote"}),
        ("»", {"closing_quote"}),
        ("jumping", {"ends_in_ing"}),
        ("ing", set()),
        ("火", set()),
    ],
)
def test_flags(token: str, flags: set[str]) -> None:
    lexicon = Lexicon()
    found = int(lexicon.flags[lexicon[token]])
    assert {flag for flag in FLAGS if found >> bit(flag) & 1} == flags


def test_other_articles_do_not_matter() -> None:
    one = Article.from_paragraphs(TEXTS[:3], id="one")
    other = Article.from_paragraphs(TEXTS[3:], id="other")
    both = FeatureExtractor(FeatureSettings(bits=18))
    first, second = list(both.extract([other])), list(both.extract([one]))
    assert same(second, read(one))
    assert same(first, read(other))


def test_id_and_outlet_and_labels_are_not_read() -> None:
    plain = Article.from_paragraphs(TEXTS)
    dressed = Article.from_paragraphs(TEXTS, id="x", outlet="Daily Almo", extra={"topic": "fire"})
    assert same(read(plain), read(dressed))


@pytest.mark.parametrize("length", [255, 256, 257, 600])
def test_chunks(length: int) -> None:
    article = Article.from_paragraphs([f"Paragraph {number} said Kim in 2019." for number in range(length)])
    chunks = read(article)
    assert [chunk.paragraphs for chunk in chunks] == [256] * (length // 256) + ([length % 256] if length % 256 else [])
    assert all(chunk.row.max() == chunk.paragraphs - 1 for chunk in chunks)


def test_chunks_do_not_cut_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a chunk, neighbours, places, lead and words are the same."""
    article = Article.from_paragraphs([TEXTS[number % 7] + f" {number}" for number in range(23)], headline="Fire")
    (whole,) = read(article)
    monkeypatch.setattr("nutgraf.features._CHUNK", 5)
    pieces = read(article)
    assert [piece.paragraphs for piece in pieces] == [5, 5, 5, 5, 3]
    row = np.concatenate([piece.row + 5 * number for number, piece in enumerate(pieces)])
    np.testing.assert_array_equal(whole.row, row)
    for name in ("block", "bucket", "count"):
        np.testing.assert_array_equal(getattr(whole, name), np.concatenate([getattr(p, name) for p in pieces]))


def test_truncation() -> None:
    options = FeatureSettings(bits=18, max_characters=10)
    extractor = FeatureExtractor(options)
    article = Article.from_paragraphs(["x" * 10, "y" * 11, "short"])
    assert extractor.truncated(article).tolist() == [False, True, False]
    cut = Article.from_paragraphs(["0123456789", "abcdefghij"])
    long = Article.from_paragraphs(["0123456789 and more", "abcdefghijklmnop"])
    assert same(read(cut, options), read(long, options))
    assert not same(read(cut), read(long))


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ('He said " we ran " then left', "we ran"),
        ("He said “ we ran ” then left", "we ran"),
        ("Er sagte « wir rannten » dann", "wir rannten"),
        ("“ one ” two “ three", "one three"),
        ('" one " two " three', "one three"),
        ("“ one “ two ” three ” four", "one two three"),
        ("one ” two ” three", ""),
        ("no quotes at all", ""),
        ("Er sagte „ drinnen “ und ging", "drinnen"),
        ("„ eins “ nicht „ zwei “ nicht", "eins zwei"),
    ],
)
def test_quote_state(text: str, inside: str) -> None:
    found, tokens = passage(text)
    words = [token for token, quoted in zip(tokens, found.inside, strict=True) if quoted and token.isalnum()]
    assert " ".join(words) == inside


def test_quotes_end_with_their_paragraph() -> None:
    found, tokens = passage("“ open and never closed", "plain words", '" straight', "plain again")
    quoted = [token for token, inside in zip(tokens, found.inside, strict=True) if inside and token.isalnum()]
    assert quoted == ["open", "and", "never", "closed", "straight"]
    assert found.marks.tolist() == [1, 0, 1, 0]


def test_near_saying() -> None:
    found, tokens = passage("a b c d e said f g h i j", "k said “ l said m ” n", "o p")
    near = [token for token, chosen in zip(tokens, found.near_saying, strict=True) if chosen]
    # Four on either side, not the verb, not across paragraphs, not inside quotation marks.
    assert [token for token in near if token.isalnum()] == ["b", "c", "d", "e", "f", "g", "h", "i", "k"]
    assert [token for token, said in zip(tokens, found.saying, strict=True) if said] == ["said", "said"]


def test_places() -> None:
    found, _ = passage("a b c", "d e")
    assert found.place.tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("block", BLOCKS)
def test_weight_0_leaves_a_block_out(block: str) -> None:
    article = Article.from_paragraphs(TEXTS, headline="Fire", published="2024-04-24")
    everything = dict.fromkeys(BLOCKS, 1.0)
    (without,) = read(article, only(**{**everything, block: 0.0}))
    (absent,) = read(article, only(**{name: 1.0 for name in BLOCKS if name != block}))
    (alone,) = read(article, only(**{block: 1.0}))
    (whole,) = read(article, only(**everything))
    number = BLOCKS.index(block)
    assert number not in without.block
    assert same([without], [absent])
    assert set(alone.block.tolist()) == {number}
    np.testing.assert_array_equal(whole.bucket[whole.block == number], alone.bucket)
    np.testing.assert_array_equal(whole.bucket[whole.block != number], without.bucket)


@pytest.mark.parametrize("text", ["x" * 100_000, "a" * 41, "🔥" * 500, "市长说" * 50, "İstanbul", "\u0301", "\x00"])
def test_strange_words(text: str) -> None:
    (features,) = read(Article.from_paragraphs([text, "And then."]))
    assert features.paragraphs == 2
    words = features.block == BLOCKS.index("word")
    assert (features.row[words] == 0).any()


def test_a_long_word_is_cut_into_forties() -> None:
    (features,) = read(Article.from_paragraphs(["x" * 100]), only(word=1.0))
    assert sorted(features.count.tolist()) == [1, 2]  # forty, forty and twenty


def test_umlauts_stay_in_their_word() -> None:
    (one,) = read(Article.from_paragraphs(["Überschwemmungsgefährdung"]), only(word=1.0))
    assert one.count.tolist() == [1]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"bits": 7}, "features.bits is 7, expected 8 to 24"),
        ({"bits": 25}, "features.bits is 25, expected 8 to 24"),
        ({"bits": "22"}, "features.bits is '22', expected a whole number"),
        ({"bits": 22.0}, "features.bits is 22.0, expected a whole number"),
        ({"min_count": 0}, "at least 1"),
        ({"min_count": True}, "features.min_count is True, expected a whole number"),
        ({"max_characters": 0}, "at least 1"),
        ({"max_words": 3}, r"unknown keys \['max_words'\]"),
        ({"weights": {"wrod": 1.0}}, r"unknown blocks \['wrod'\], expected some of \['word'"),
        ({"weights": {"word": "much"}}, "features.weights.word is 'much', expected a number from 0 up"),
        ({"weights": {"word": -1.0}}, "features.weights.word is -1.0, expected a number from 0 up"),
        ({"weights": {"word": float("nan")}}, "features.weights.word is nan"),
        ({"weights": {"word": float("inf")}}, "features.weights.word is inf"),
        ({"weights": {"word": 0}}, "no block above 0"),
        ({"weights": 3}, "features.weights is 3, expected a table"),
        (3, "features is 3, expected a table"),
    ],
)
def test_settings_are_checked(record: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureSettings.from_dict(record)


def test_table_keeps_frequent_buckets_and_scales_blocks() -> None:
    options = FeatureSettings(bits=18, min_count=2, weights={"word": 3.0, "position": 0.5})
    (features,) = read(Article.from_paragraphs(["alpha beta beta", "alpha gamma", "alpha beta"]), options)
    table = FeatureTable.fit(options, features)
    row, column, value = table.weigh(features)
    assert (np.diff(row) >= 0).all()
    assert column.max() < len(table.buckets)
    words = np.isin(table.buckets[column], features.bucket[features.block == BLOCKS.index("word")])
    for number in range(3):
        # Each block of each row has unit length times its weight; rare buckets are gone before.
        assert np.linalg.norm(value[words & (row == number)]) == pytest.approx(3.0, rel=1e-5)
        assert np.linalg.norm(value[~words & (row == number)]) == pytest.approx(0.5, rel=1e-5)
    counts = {int(b): int((features.bucket == b).sum()) for b in set(features.bucket.tolist())}
    assert set(table.buckets.tolist()) == {b for b, n in counts.items() if n >= 2}
    alpha = table.idf[np.searchsorted(table.buckets, [b for b, n in counts.items() if n == 3])]
    assert alpha.min() == pytest.approx(1.0)  # in every paragraph: log(4 / 4) + 1


def test_signals_are_never_weighed_by_rarity() -> None:
    options = FeatureSettings(bits=18, min_count=1, weights={"word": 1.0, "position": 1.0})
    (features,) = read(Article.from_paragraphs(["alpha", "beta", "gamma delta"]), options)
    table = FeatureTable.fit(options, features)
    signal = np.isin(features.block, [BLOCKS.index(name) for name in SIGNALS])
    of_signal = np.isin(table.buckets, features.bucket[signal])
    assert (table.idf[of_signal] == 1).all()
    assert (table.idf[~of_signal] > 1).all()


def introduced(*paragraphs: str) -> list[set[str]]:
    """For each paragraph, the words by which its speakers were introduced earlier."""
    found, tokens = passage(*paragraphs)
    word = {int(found.hashes[place]): token for place, token in enumerate(tokens)}
    row, hashes = found.introductions
    return [{word[int(h)] for h in hashes[row == number]} for number in range(len(paragraphs))]


def test_a_speaker_brings_the_words_of_the_introduction() -> None:
    first = "The analyst Vera Blom of the harbour office watched ."
    assert introduced(first, "Prices will rise , Blom said .") == [
        set(),
        {"the", "analyst", "Vera", "Blom", "of", "harbour", "office", "watched", "."},
    ]
    assert introduced(first, "Prices will rise , Okri said .") == [set(), set()]
    assert introduced("Prices will rise , Blom said .", first) == [set(), set()]


def test_a_pronoun_or_a_bare_quotation_goes_on_with_the_speaker() -> None:
    first, named = "The analyst Vera Blom of the harbour office watched .", "Prices will rise , Blom said ."
    assert introduced(first, named, "It will end , she said .")[2] >= {"analyst", "Blom"}
    assert introduced(first, named, "“ It will end badly for all of us . ”")[2] >= {"analyst", "Blom"}
    assert introduced(first, named, "It rained .", "It will end , she said .")[3] >= {"analyst", "Blom"}
    assert not introduced(first, named, "Officials said otherwise .", "It will end , she said .")[3] & {"analyst"}
    assert not introduced(first, named, "It rained .")[2]


def test_speakers_never_come_from_another_article() -> None:
    extractor = FeatureExtractor(only(introduction=1.0, speaker=1.0))
    one = Article.from_paragraphs(["The analyst Vera Blom watched.", "Prices will rise, Blom said."])
    other = Article.from_paragraphs(["“It ends here,” Blom said.", "It rained."])
    alone = list(FeatureExtractor(only(introduction=1.0, speaker=1.0)).extract([other]))
    list(extractor.extract([one]))
    assert same(list(extractor.extract([other])), alone)
