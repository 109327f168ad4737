"""spaCy's text classifier: the ensemble of a bag of words and a small network, as its quick start sets it up."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import spacy
from spacy.training import Example
from spacy.util import minibatch

EPOCHS = 8


def fit(texts: Sequence[str], labels: Sequence[str], folder: str) -> None:
    """Fits and writes a model."""
    random.seed(0)
    nlp = spacy.blank("en")
    textcat = nlp.add_pipe("textcat")
    names = sorted(set(labels))
    for name in names:
        textcat.add_label(name)
    examples = [
        Example.from_dict(nlp.make_doc(text), {"cats": {name: float(name == label) for name in names}})
        for text, label in zip(texts, labels, strict=True)
    ]
    optimizer = nlp.initialize(lambda: examples[:1000])
    for _ in range(EPOCHS):
        random.shuffle(examples)
        for batch in minibatch(examples, size=64):
            nlp.update(batch, sgd=optimizer, drop=0.2)
    nlp.to_disk(folder)


def load(folder: str) -> Callable[[Sequence[str]], Sequence[str]]:
    """Reads a model."""
    nlp = spacy.load(folder)
    return lambda texts: [max(doc.cats, key=doc.cats.get) for doc in nlp.pipe(texts)]
