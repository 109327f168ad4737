"""Says what each paragraph of a news article does.

>>> import nutgraf
>>> for segment in nutgraf.predict("Fire broke out at the port on Monday.\\n\\nThe mayor said nobody was hurt."):
...     print(segment.label, f"{segment.confidence:.2f}", segment.text)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from nutgraf.annotation import Annotation, Segment
from nutgraf.registry import bundled_models, load, predict
from nutgraf_data import corpora
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.errors import DataError, MissingExtraError, ModelError, NutgrafError
from nutgraf_data.labels import NEWS_ROLES, LabelSet
from nutgraf_data.readers import read_articles, read_text

if TYPE_CHECKING:
    from nutgraf.tagger import Tagger

__version__ = "0.1.0"

__all__ = [
    "NEWS_ROLES",
    "Annotation",
    "Article",
    "DataError",
    "LabelSet",
    "MissingExtraError",
    "ModelError",
    "NutgrafError",
    "Paragraph",
    "Segment",
    "Tagger",
    "bundled_models",
    "corpora",
    "load",
    "predict",
    "read_articles",
    "read_text",
]


def __getattr__(name: str) -> Any:
    if name == "Tagger":  # needs numpy, which `nutgraf --help` does without
        from nutgraf.tagger import Tagger

        return Tagger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
