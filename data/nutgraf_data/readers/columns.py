"""Which column or key of a record holds which field of an article."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from nutgraf_data.errors import DataError
from nutgraf_data.readers.source import Source

__all__ = ["Columns"]


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns, by the field that they fill.

    Attributes:
        article: the article that a row belongs to; empty where every row is an article of its own.
        text, label, alt: of a paragraph.
        headline, published, outlet: of an article.
        named: the fields whose column the caller named, which therefore has to be there.
    """

    article: str = "article_id"
    text: str = "text"
    label: str = "label"
    alt: str = "alt"
    headline: str = "headline"
    published: str = "published"
    outlet: str = "outlet"
    named: frozenset[str] = frozenset()

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str] | None) -> Columns:
        """Columns by field, with the defaults for the fields that are not in the mapping.

        Raises:
            DataError: an unknown field, or a column without a name.
        """
        known = [field.name for field in fields(cls) if field.name != "named"]
        mapping = mapping or {}
        for field, column in mapping.items():
            if field not in known:
                raise DataError(
                    f"columns names the field {field!r}, which no article has",
                    hint=f"the fields are {', '.join(known)}",
                )
            if not isinstance(column, str) or not (column or field == "article"):
                raise DataError(
                    f"columns gives {column!r} as the column of {field!r}, expected a name",
                    hint="only 'article' may be empty: then every row is an article of its own",
                )
        return cls(**mapping, named=frozenset(mapping))

    @property
    def id(self) -> str:
        """The key of a whole article's id."""
        return self.article if "article" in self.named and self.article else "id"

    @property
    def of_article(self) -> dict[str, str]:
        """Field → column of what an article has besides its id and paragraphs."""
        return {"headline": self.headline, "published": self.published, "outlet": self.outlet}

    def missing(self, field: str, found: Iterable[str], source: Source, line: int | None = None) -> DataError:
        """The error about a field whose column is not among those found."""
        names = list(found)
        shown = ", ".join(map(repr, names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        hint = f"name the column with --column {field}=NAME"
        if field == "article":
            hint += ", or give --column article= if every row is an article of its own"
        return source.error(
            f"has no column {getattr(self, field)!r} for {field}; found {shown or 'no columns'}", line=line, hint=hint
        )

    def check(self, found: Iterable[str], source: Source, *, rows_only: bool, line: int | None = None) -> None:
        """Refuses a table that has a column twice, or lacks one that is needed or was named by the caller.

        Args:
            found: the table's columns.
            rows_only: a row is a paragraph, so that the article has to be named; else it may be a whole article too.

        Raises:
            DataError: with the columns found and the way out.
        """
        names = list(found)
        for name, times in Counter(names).items():
            if times > 1:
                raise source.error(f"has {times} columns {name!r}", line=line, hint="give each its own name")
        needed = set(self.named)
        if not rows_only and "paragraphs" in names:
            needed -= {"text", "label", "alt"}  # they name keys inside of the paragraphs
        else:
            needed |= {"text", "article"} if rows_only else {"text"}
        for field in ("text", "article", "label", "alt", "headline", "published", "outlet"):
            column = getattr(self, field)
            if field in needed and column and column not in names:
                raise self.missing(field, names, source, line)
