"""Label sets: which roles there are, in which order, and what each of them means."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError

__all__ = ["NEWS_ROLES", "LabelSet"]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """An ordered set of labels, each with a one-line description (which may be empty).

    Attributes:
        name: what the set is called (``news-roles``).
        descriptions: label → description; its order is the order of the labels.
    """

    name: str
    descriptions: Mapping[str, str]

    def __post_init__(self) -> None:
        if len(self.descriptions) < 2:
            raise DataError(
                f"label set {self.name!r} has {len(self.descriptions)} label(s), expected at least two",
                hint="a tagger needs labels to choose between",
            )
        for label in self.descriptions:
            if not label.strip() or label != label.strip():
                raise DataError(f"label {label!r} is blank or has spaces at its ends", hint="rename it")

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in order."""
        return tuple(self.descriptions)

    def __len__(self) -> int:
        return len(self.descriptions)

    def __contains__(self, label: object) -> bool:
        return label in self.descriptions

    def suggest(self, label: str) -> str:
        """What an error about an unknown label ends with: the nearest label, or all of them."""
        folded = {known.casefold().replace(" ", "_").replace("-", "_"): known for known in self.descriptions}
        key = label.casefold().replace(" ", "_").replace("-", "_")
        near = difflib.get_close_matches(key, folded, n=1, cutoff=0.6)
        if near:
            return f"did you mean {folded[near[0]]!r}?"
        return f"the labels of {self.name!r} are: {', '.join(self.descriptions)}"

    @classmethod
    def from_articles(cls, articles: Iterable[Article], name: str = "labels") -> LabelSet:
        """The labels that occur in a corpus, sorted; the default roles keep their order and descriptions.

        Raises:
            DataError: fewer than two different labels occur, or one has spaces at its ends.
        """
        found: set[str] = set()
        for article in articles:
            for p in article.paragraphs:
                if p.label is None:
                    continue
                if p.label != p.label.strip():
                    raise article.error(
                        f"the label {p.label!r} has spaces at its ends", line=p.line, hint="take them out"
                    )
                found.add(p.label)
        if found and found <= set(NEWS_ROLES.descriptions):
            return NEWS_ROLES
        if len(found) < 2:
            raise DataError(
                (f"every label of the corpus is {min(found)!r}" if found else "no paragraph of the corpus has a label")
                + ", expected at least two different ones",
                hint="--column label=NAME names the column of the labels",
            )
        return cls(name, {label: NEWS_ROLES.descriptions.get(label, "") for label in sorted(found)})

    @classmethod
    def from_file(cls, path: str | Path) -> LabelSet:
        """Reads a label set from TOML or JSON: ``name`` and a table ``labels`` of label = description.

        Raises:
            DataError: the file is missing, malformed or has fewer than two labels.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
            record: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", path=path) from None
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"is not valid {'JSON' if path.suffix == '.json' else 'TOML'}: {error}", path=path
            ) from None
        labels = record.get("labels") if isinstance(record, dict) else None
        if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
            labels = dict.fromkeys(labels, "")
        if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
            raise DataError("has no table 'labels' of label = \"description\"", path=path)
        try:
            return cls(str(record.get("name", path.stem)), labels)
        except DataError as error:
            raise DataError(error.message, path=path, hint=error.hint) from None


#: The seven roles of data/corpus/GUIDELINES.md.
NEWS_ROLES = LabelSet(
    "news-roles",
    {
        "incident_report": "narrates the story itself: what happened, where, when, to whom",
        "official_statement": "conveys what an institution says: a claim, denial, warning, appeal, promise or order",
        "diplomatic_reporting": "reports dealings between states, blocs or international bodies",
        "background": "sets the story in context with what was already so: history, law, earlier events",
        "analysis": "interprets, evaluates, explains causes or forecasts",
        "witness_account": "people speaking or shown as themselves: eyewitnesses, residents, victims, customers",
        "boilerplate": "is not reporting: bylines, captions, subscription pitches, section titles, links",
    },
)
