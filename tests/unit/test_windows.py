"""Windows: every paragraph is read once, within every limit, with what it hangs on around it."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutgraf.encoder import EncoderTagger
from nutgraf.windows import POSITIONS, Encoded, Window, WindowSettings, encode, position, windows
from nutgraf_data.article import Article

FIRST, LAST = 1, 2


def article(sizes: list[int], headline: int = 0) -> Encoded:
    """An article whose tokens are all different."""
    tokens = iter(range(1_000_000))
    paragraphs = [[1000 + next(tokens) for _ in range(size)] for size in sizes]
    return Encoded(list(range(10, 10 + headline)), paragraphs, np.zeros(len(sizes), dtype=np.bool_))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Encoded, WindowSettings]:
    """Articles and settings that go with them; long and empty paragraphs, and windows with no room to spare."""
    headline, lead, around = draw(st.integers(0, 6)), draw(st.integers(0, 6)), draw(st.integers(0, 20))
    paragraph = draw(st.integers(1, 12))
    least = headline + lead + around + paragraph + 4
    chosen = WindowSettings(
        tokens=least + draw(st.sampled_from([0, 1, 7, 40])),
        headline=headline,
        lead=lead,
        context=around,
        most=draw(st.sampled_from([0, 0, 1, 2, 5])),
        paragraph=paragraph,
    )
    sizes = draw(st.lists(st.integers(0, paragraph), min_size=1, max_size=40))
    return article(sizes, draw(st.integers(0, headline))), chosen


def cost(tokens: list[list[int]]) -> int:
    """What paragraphs take in a window, with the separators after them."""
    return sum(len(paragraph) + 1 for paragraph in tokens)


@given(cases())
def test_every_paragraph_is_taken_once_and_in_order(case: tuple[Encoded, WindowSettings]) -> None:
    found = windows(*case, FIRST, LAST)
    assert [paragraph for window in found for paragraph in window.taken] == list(range(len(case[0].paragraphs)))
    for window in found:
        assert len(window.taken) > 0
        assert set(window.taken) <= set(window.paragraphs)
        assert window.paragraphs == list(range(window.paragraphs[0], window.paragraphs[-1] + 1))


@given(cases())
def test_no_window_is_too_long(case: tuple[Encoded, WindowSettings]) -> None:
    for window in windows(*case, FIRST, LAST):
        assert len(window.ids) <= case[1].tokens
        assert case[1].most == 0 or len(window.taken) <= case[1].most


@given(cases())
def test_spans_hold_the_tokens_of_their_paragraphs(case: tuple[Encoded, WindowSettings]) -> None:
    given_, _ = case
    for window in windows(*case, FIRST, LAST):
        assert len(window.spans) == len(window.paragraphs)
        segments = np.full(len(window.ids), -1)
        for index, ((start, end), paragraph) in enumerate(zip(window.spans, window.paragraphs, strict=True)):
            # One that is empty stands for itself as the separator after it, so that no span is empty.
            assert window.ids[start:end] == (given_.paragraphs[paragraph] or [LAST])
            segments[start:end] = index
        np.testing.assert_array_equal(window.segments(), segments)
        assert window.segments().dtype == np.int64


@given(cases())
def test_what_a_window_says(case: tuple[Encoded, WindowSettings]) -> None:
    """Token by token: the headline, the lead where it is not in the window, the paragraphs."""
    given_, chosen = case
    for window in windows(*case, FIRST, LAST):
        expected = [FIRST]
        if given_.headline:
            expected += [*given_.headline, LAST]
        if chosen.lead and 0 not in window.paragraphs:
            expected += [*given_.paragraphs[0][: chosen.lead], LAST]
        for paragraph in window.paragraphs:
            expected += [*given_.paragraphs[paragraph], LAST]
        assert window.ids == expected


@given(cases())
def test_context_is_as_much_as_its_budget_allows(case: tuple[Encoded, WindowSettings]) -> None:
    given_, chosen = case
    for window in windows(*case, FIRST, LAST):
        begin, end = window.paragraphs[0], window.paragraphs[-1] + 1
        start, stop = window.taken.start, window.taken.stop
        assert cost(given_.paragraphs[begin:start]) <= chosen.context
        assert begin == 0 or cost(given_.paragraphs[begin - 1 : start]) > chosen.context
        assert cost(given_.paragraphs[stop:end]) <= chosen.context
        # After what is taken, the end of the article or of the window may come first.
        if end < len(given_.paragraphs):
            whole = cost(given_.paragraphs[stop : end + 1]) > chosen.context
            assert whole or len(window.ids) + cost(given_.paragraphs[end : end + 1]) > chosen.tokens


@given(cases())
def test_windows_are_full(case: tuple[Encoded, WindowSettings]) -> None:
    given_, chosen = case
    for window in windows(given_, replace(chosen, most=0), FIRST, LAST):
        end = window.paragraphs[-1] + 1
        assert end == len(given_.paragraphs) or len(window.ids) + len(given_.paragraphs[end]) + 1 > chosen.tokens


def test_an_example() -> None:
    chosen = WindowSettings(tokens=20, headline=2, lead=2, context=4, paragraph=5)
    found = windows(article([3, 3, 3, 0, 3, 3], headline=2), chosen, FIRST, LAST)
    assert found == [
        Window(
            [1, 10, 11, 2, 1000, 1001, 1002, 2, 1003, 1004, 1005, 2, 1006, 1007, 1008, 2, 2],
            [(4, 7), (8, 11), (12, 15), (16, 17)],
            [0, 1, 2, 3],
            range(3),
        ),
        Window(
            [1, 10, 11, 2, 1000, 1001, 2, 1006, 1007, 1008, 2, 2, 1009, 1010, 1011, 2, 1012, 1013, 1014, 2],
            [(7, 10), (11, 12), (12, 15), (16, 19)],
            [2, 3, 4, 5],
            range(3, 6),
        ),
    ]


@pytest.mark.parametrize("most", [0, 1])
@pytest.mark.parametrize("size", [0, 1, 5])
def test_paragraphs_without_tokens_and_short_ones(most: int, size: int) -> None:
    chosen = WindowSettings(tokens=60, headline=5, lead=5, context=9, paragraph=9, most=most)
    found = windows(article([size] * 30), chosen, FIRST, LAST)
    assert [paragraph for window in found for paragraph in window.taken] == list(range(30))
    assert all(end > start for window in found for start, end in window.spans)


def test_no_paragraph_gives_no_window() -> None:
    assert windows(article([], headline=3), WindowSettings(), FIRST, LAST) == []


@pytest.mark.parametrize("size", [0, 1, 30])
def test_100_000_paragraphs_take_linear_time(size: int) -> None:
    """Every window is made from what it holds, wherever in the article it stands."""
    one = list(range(size))
    many = Encoded(list(range(40)), [one] * 100_000, np.zeros(100_000, dtype=np.bool_))
    started = time.process_time()
    found = windows(many, WindowSettings(), FIRST, LAST)
    spent = time.process_time() - started
    assert sum(len(window.taken) for window in found) == 100_000
    # What windows say again is less than twice what is taken from them.
    assert sum(len(window.ids) for window in found) < 100_000 * (size + 1) * 3
    assert spent < 30


@pytest.mark.parametrize("most", [1, 2])
def test_100_000_paragraphs_with_a_window_for_each(most: int) -> None:
    chosen = WindowSettings(tokens=80, headline=4, lead=4, context=20, paragraph=20, most=most)
    many = Encoded([], [[5] * 9] * 100_000, np.zeros(100_000, dtype=np.bool_))
    started = time.process_time()
    found = windows(many, chosen, FIRST, LAST)
    assert time.process_time() - started < 30
    assert len(found) == 100_000 // most


def test_positions() -> None:
    found = [position(paragraph) for paragraph in range(150_000)]
    assert found[:12] == list(range(12))
    assert found == sorted(found)
    assert set(found) == set(range(POSITIONS))
    assert found.index(POSITIONS - 1) == 35


# Settings


@pytest.mark.parametrize("name", list(asdict(WindowSettings())))
@pytest.mark.parametrize("value", [-1, 1.0, "512", None, True, [5], float("nan")])
def test_settings_of_a_wrong_kind(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"window\.{name} is .*, expected a whole number of at least 0"):
        WindowSettings(**{name: value})
    with pytest.raises(ValueError, match=rf"window\.{name} is "):
        WindowSettings.from_dict({name: value})


@pytest.mark.parametrize("name", ["tokens", "paragraph", "characters"])
def test_settings_that_must_not_be_nothing(name: str) -> None:
    with pytest.raises(ValueError, match=rf"window\.{name}.* have to be at least 1"):
        WindowSettings(**{name: 0})


@pytest.mark.parametrize("name", ["headline", "lead", "context", "most"])
def test_settings_that_may_be_nothing(name: str) -> None:
    chosen = WindowSettings(**{name: 0})
    assert windows(article([5, 5, 5], headline=0), chosen, FIRST, LAST)


def test_the_longest_paragraph_has_to_fit() -> None:
    fits = WindowSettings(tokens=10 + 20 + 30 + 40 + 4, headline=10, lead=20, context=30, paragraph=40)
    with pytest.raises(ValueError, match=r"window\.tokens is 103, and .* need 104"):
        replace(fits, tokens=103)
    for name in ("headline", "lead", "context", "paragraph"):
        with pytest.raises(ValueError, match=r"window\.tokens is 104, and .* need 105"):
            replace(fits, **{name: getattr(fits, name) + 1})
    found = windows(article([40] * 5, headline=10), fits, FIRST, LAST)
    assert [list(window.taken) for window in found] == [[0, 1], [2], [3], [4]]


@pytest.mark.parametrize("tokens", [8193, 10**12, 10**30])
def test_windows_have_an_end(tokens: int) -> None:
    WindowSettings(tokens=8192)
    with pytest.raises(ValueError, match=rf"window\.tokens is {tokens}, expected at most 8192"):
        WindowSettings(tokens=tokens)


def test_settings_from_a_table() -> None:
    assert WindowSettings.from_dict({}) == WindowSettings()
    assert WindowSettings.from_dict({"most": 3}) == WindowSettings(most=3)
    with pytest.raises(ValueError, match=r"unknown keys \['stride'\], expected some of \['tokens', 'headline'"):
        WindowSettings.from_dict({"stride": 3, "tokens": 512})
    for record in (None, 512, "tokens", ["tokens"]):
        with pytest.raises(ValueError, match="expected a table"):
            WindowSettings.from_dict(record)  # type: ignore[arg-type]


# Tokens


def test_what_is_cut_is_said(tiny_encoder_tagger: EncoderTagger) -> None:
    chosen = WindowSettings(tokens=100, headline=3, lead=0, context=0, paragraph=4, characters=30)
    texts = [
        "fire fire fire fire",  # four tokens
        "fire fire fire fire fire",  # by tokens
        "fire" + " " * 26 + "fire",  # by characters, after a token
        "fire" + " " * 22 + "fire",  # 30 characters
        " \u200b \x01",  # no token at all
    ]
    (found,) = encode([Article.from_paragraphs(texts)], tiny_encoder_tagger._tokenizer, chosen)
    assert found.truncated.tolist() == [False, True, True, False, False]
    assert found.truncated.dtype == np.bool_
    assert [len(ids) for ids in found.paragraphs] == [4, 4, 1, 2, 0]
    assert found.headline == []


def test_headlines_are_cut_in_silence(tiny_encoder_tagger: EncoderTagger) -> None:
    chosen = WindowSettings(tokens=100, headline=3, lead=0, context=0, paragraph=4, characters=30)
    tokenizer = tiny_encoder_tagger._tokenizer
    bodies = ["fire", "fire fire fire fire fire"]
    articles = [
        Article.from_paragraphs(bodies, headline=headline)
        for headline in (None, "", "fire", "fire fire fire fire", "fire" + " " * 40 + "fire")
    ]
    found = encode(articles, tokenizer, chosen)
    assert [len(each.headline) for each in found] == [0, 0, 1, 3, 1]
    for each in found:
        assert each.truncated.tolist() == [False, True]
        assert each.paragraphs == found[0].paragraphs
    assert encode(articles[2:3], tokenizer, replace(chosen, headline=0))[0].headline == []


def test_articles_are_kept_apart(tiny_encoder_tagger: EncoderTagger, unseen: list[Article]) -> None:
    def plain(found: list[Encoded]) -> list[Any]:
        return [(each.headline, each.paragraphs, each.truncated.tolist()) for each in found]

    tokenizer, chosen = tiny_encoder_tagger._tokenizer, WindowSettings()
    together = plain(encode(unseen, tokenizer, chosen))
    assert together == [plain(encode([one], tokenizer, chosen))[0] for one in unseen]
    assert [len(each[1]) for each in together] == [len(one.paragraphs) for one in unseen]
    assert encode([], tokenizer, chosen) == []


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=30).filter(str.strip), min_size=1, max_size=5))
def test_any_text_fits(tiny_encoder_tagger: EncoderTagger, texts: list[str]) -> None:
    chosen = WindowSettings(tokens=60, headline=5, lead=5, context=8, paragraph=10)
    (found,) = encode([Article.from_paragraphs(texts, headline=texts[0])], tiny_encoder_tagger._tokenizer, chosen)
    assert len(found.paragraphs) == len(texts)
    assert all(len(window.ids) <= 60 for window in windows(found, chosen, FIRST, LAST))
