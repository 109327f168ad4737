"""All that is wrong with a corpus, at once."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nutgraf_data.article import Article, Paragraph
from nutgraf_data.duplicates import near_duplicates
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.labels import LabelSet
from nutgraf_data.standoff import normalise

__all__ = ["LEAK", "LISTED", "RARE_COUNT", "RARE_SHARE", "Problem", "check_corpus", "rare_labels"]

#: From this share of common text on (see ``near_duplicates``), a held-out article counts as trained on.
LEAK = 0.8
#: A label with fewer paragraphs, or a smaller share of them, is rare.
RARE_COUNT, RARE_SHARE = 20, 0.01
#: Of one kind of problem (one unknown label, say), so many are listed and the others counted.
LISTED = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding.

    Attributes:
        level: with an ``"error"`` the corpus cannot be trained on; a ``"warning"`` should be looked at.
        code: the kind, for programs: ``unknown-label``.
        message: what was found, what was expected, what to do.
        path, line: where, as far as known; lines count from 1.
    """

    level: Literal["error", "warning"]
    code: str
    message: str
    path: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        where = "" if self.path is None else self.path + (f":{self.line}" if self.line is not None else "") + ": "
        return f"{where}{self.level}: {self.message} [{self.code}]"


def check_corpus(
    articles: Iterable[Article],
    *,
    label_set: LabelSet | None = None,
    held_out: Iterable[Article] | None = None,
    problems: Iterable[DataError] = (),
) -> list[Problem]:
    """Everything that is wrong with a corpus: errors first, then warnings.

    Args:
        label_set: the labels that may occur; without it any may, and in the held-out articles those of the corpus.
        held_out: articles that the corpus will be evaluated on: checked as well, and compared.
        problems: what reading reported (the ``on_error`` of ``read_articles``).

    Errors are ``unreadable``, ``no-articles``, ``no-labels``, ``unknown-label``, ``padded-label``,
    ``duplicate-id`` and ``leak``; warnings ``near-leak``, ``near-duplicate``, ``conflicting-labels``,
    ``rare-label``, ``unlabelled``, ``missing-date``, ``alt-equals-label`` and, where datasketch is not installed,
    ``not-checked``.
    """
    train, test = list(articles), list(held_out or ())
    found = [Problem("error", "unreadable", _message(error), error.path, error.line) for error in problems]
    of_train = {
        p.label: ""
        for article in train
        for p in article.paragraphs
        if p.label is not None and p.label == p.label.strip()
    }
    # A label that was never trained on cannot be predicted, so the training labels bound the held-out ones.
    bounds = label_set or (LabelSet("the corpus", of_train) if len(of_train) > 1 else None)
    for corpus, name, expected in ((train, "the corpus", label_set), (test, "the held-out corpus", bounds)):
        if not corpus and (corpus is train or held_out is not None):
            found.append(Problem("error", "no-articles", f"{name} holds no readable article"))
        if corpus:
            found += _ids(corpus)
            found += _labels(corpus, expected, name)
            found += _conflicts(corpus)
            found += _gaps(corpus)
    found += rare_labels(train)
    found += _duplicates(train, test)
    return sorted(found, key=lambda problem: problem.level)


def _message(error: DataError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _at(article: Article, paragraph: Paragraph | None = None) -> tuple[str | None, int | None]:
    origin = article.origin
    line = None if paragraph is None else paragraph.line
    if origin is None:
        return None, line
    return origin.path, origin.line if line is None else line


def _place(article: Article) -> str:
    path, line = _at(article)
    known = "" if path is None else f" ({path}" + (f":{line})" if line is not None else ")")
    return f"{article.id!r}{known}"


def _first(problems: Sequence[Problem], what: str) -> Iterator[Problem]:
    """The first problems of one kind, and one more that counts the others."""
    yield from problems[:LISTED]
    if len(problems) > LISTED:
        last = problems[0]
        yield Problem(last.level, last.code, f"{len(problems) - LISTED:,} more {what}")


def _ids(articles: Sequence[Article]) -> Iterator[Problem]:
    first: dict[str, Article] = {}
    repeated = []
    for article in articles:
        if first.setdefault(article.id, article) is not article:
            message = f"the article id {_place(first[article.id])} occurs again; give each article its own"
            repeated.append(Problem("error", "duplicate-id", message, *_at(article)))
    yield from _first(repeated, "articles with an id that occurs twice")


def _labels(articles: Sequence[Article], label_set: LabelSet | None, name: str) -> Iterator[Problem]:
    unlabelled = []
    unknown: dict[str, list[Problem]] = defaultdict(list)
    same = []
    labelled = False
    for article in articles:
        missing = 0
        for number, paragraph in enumerate(article.paragraphs):
            missing += paragraph.label is None
            for field, label in (("label", paragraph.label), ("alt", paragraph.alt)):
                if label is not None and label != label.strip():
                    message = f"paragraph {number} of article {article.id!r} has spaces around its {field} {label!r}"
                    unknown[label].append(Problem("error", "padded-label", message, *_at(article, paragraph)))
                elif label is not None and label_set is not None and label not in label_set:
                    message = (
                        f"paragraph {number} of article {article.id!r} has the unknown {field} {label!r}; "
                        f"{label_set.suggest(label)}"
                    )
                    unknown[label].append(Problem("error", "unknown-label", message, *_at(article, paragraph)))
            if paragraph.label is not None and paragraph.alt == paragraph.label:
                message = f"paragraph {number} of article {article.id!r} has {paragraph.alt!r} as label and as alt"
                same.append(Problem("warning", "alt-equals-label", message, *_at(article, paragraph)))
        labelled |= missing < len(article.paragraphs)
        if missing:
            message = f"{missing} of {len(article.paragraphs)} paragraphs of article {article.id!r} have no label"
            unlabelled.append(Problem("warning", "unlabelled", message, *_at(article)))
    if not labelled:
        message = f"no paragraph of {name} has a label; check the label column (--column label=NAME names another)"
        yield Problem("error", "no-labels", message, *_at(articles[0]))
        unlabelled = []
    for label, problems in unknown.items():
        yield from _first(problems, f"paragraphs with the label {label!r}")
    yield from _first(same, "paragraphs with an alt that equals the label")
    yield from _first(unlabelled, "articles with paragraphs that have no label")


def _conflicts(articles: Sequence[Article]) -> Iterator[Problem]:
    """Paragraphs of the same letters and digits that carry different labels."""
    first: dict[str, tuple[str, Article]] = {}
    conflicts = []
    for article in articles:
        for paragraph in article.paragraphs:
            if paragraph.label is None:
                continue
            label, other = first.setdefault(normalise(paragraph.text), (paragraph.label, article))
            if label != paragraph.label:
                message = (
                    f"{_excerpt(paragraph.text)} is {paragraph.label!r} in article {article.id!r} "
                    f"and {label!r} in {_place(other)}; the same words may do different things, or one is wrong"
                )
                conflicts.append(Problem("warning", "conflicting-labels", message, *_at(article, paragraph)))
    yield from _first(conflicts, "paragraphs whose text has another label elsewhere")


def _excerpt(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= 60 else flat[:59] + "…")


def _gaps(articles: Sequence[Article]) -> Iterator[Problem]:
    undated = [article for article in articles if article.published is None]
    if undated:
        message = f"{len(undated):,} of {len(articles):,} articles have no date, the first {undated[0].id!r}"
        yield Problem("warning", "missing-date", message, *_at(undated[0]))


def rare_labels(articles: Sequence[Article]) -> Iterator[Problem]:
    """Warnings about labels too rare to learn, with the common label that a misspelt one may stand for."""
    counts = Counter(p.label for a in articles for p in a.paragraphs if p.label is not None)
    least = max(RARE_COUNT, RARE_SHARE * counts.total())
    common = [label for label, count in counts.items() if count >= least]
    for label, count in sorted(counts.items(), key=lambda item: (item[1], item[0])):
        if count < least:
            message = (
                f"label {label!r} has {count} of {counts.total():,} paragraphs, too few to learn or to judge it by"
            )
            if near := difflib.get_close_matches(label, common, n=1, cutoff=0.8):
                message += f"; did you mean {near[0]!r}?"
            place = next(_at(a, p) for a in articles for p in a.paragraphs if p.label == label)
            yield Problem("warning", "rare-label", message, *place)


def _duplicates(train: Sequence[Article], test: Sequence[Article]) -> Iterator[Problem]:
    trained = {article.id: article for article in train}
    leaks = []
    for article in test:
        if article.id in trained:
            message = (
                f"the held-out article {article.id!r} is in the training corpus too: {_place(trained[article.id])}"
            )
            leaks.append(Problem("error", "leak", message, *_at(article)))
    near: list[Problem] = []
    double: list[Problem] = []
    try:
        pairs = near_duplicates([*train, *test])
    except MissingExtraError as error:
        yield from _first(leaks, "held-out articles that are in the training corpus")
        yield Problem("warning", "not-checked", f"near-duplicate articles were not looked for: {error}")
        return
    everything = [*train, *test]
    for i, j, share in pairs:
        one, other = everything[i], everything[j]
        if (i < len(train)) == (j < len(train)):
            message = f"article {other.id!r} shares {share:.0%} of its words in their order with {_place(one)}"
            double.append(Problem("warning", "near-duplicate", message, *_at(other)))
        elif one.id != other.id:  # else it is listed already
            message = (
                f"the held-out article {other.id!r} shares {share:.0%} of its words in their order "
                f"with the training article {_place(one)}"
            )
            if share >= LEAK:
                leaks.append(Problem("error", "leak", message + "; remove one of them", *_at(other)))
            else:
                near.append(Problem("warning", "near-leak", message, *_at(other)))
    yield from _first(leaks, "held-out articles that are in the training corpus")
    yield from _first(near, "held-out articles that share text with the training corpus")
    yield from _first(double, "near-duplicate articles")
