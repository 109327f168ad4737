"""Any labels will do: a German corpus with roles of its own, from CSV to a model to a score, by command line."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nutgraf.cli import app

#: Label → templates; a role here is about cooking and weather and has nothing to do with news.
TEMPLATES = {
    "Einleitung": [
        "Heute gibt es {gericht}, wie es in {ort} seit Generationen gekocht wird.",
        "Wer {gericht} noch nie probiert hat, sollte einmal nach {ort} fahren.",
        "Kaum ein Essen ist in {ort} so beliebt wie {gericht}.",
    ],
    "Zutaten für alle": [
        "{zahl} Gramm {zutat}, {zahl} Eier und eine Prise Salz.",
        "Man nehme {zahl} Gramm {zutat}, {zahl} Löffel Öl, dazu etwas {zutat}.",
        "{zahl} Löffel Zucker, {zahl} Gramm {zutat} und ein halber Liter Milch.",
    ],
    "Zubereitungsschritt": [
        "Die Schüssel abdecken, {zutat} unterrühren und {zahl} Minuten ziehen lassen.",
        "Den Ofen vorheizen, {zutat} klein schneiden und {zahl} Minuten backen.",
        "Alles gut verrühren, aufkochen und {zahl} Minuten köcheln lassen.",
    ],
    "Wetterbericht": [
        "In {ort} regnet es am Abend bei {zahl} Grad, dazu weht kräftiger Wind.",
        "Morgen scheint in {ort} die Sonne, die Temperatur steigt auf {zahl} Grad.",
        "Der Wetterdienst warnt vor Gewittern und Böen bis {zahl} Kilometer in der Stunde.",
    ],
    "Grüße & Schluss": [
        "„Guten Appetit“, wünscht Ihre Redaktion aus {ort}.",
        "Schreiben Sie uns, wie Ihnen {gericht} gelungen ist!",
        "Bis zur nächsten Woche, herzliche Grüße aus {ort}.",
    ],
}
WORDS = {
    "gericht": ["Käsespätzle", "Grünkohl", "Maultaschen", "Rösti", "Apfelstrudel", "Sauerbraten", "Flammkuchen"],
    "ort": ["Müßlingen", "Oberquell", "Straßbühl", "Kleinöd", "Tannhausen", "Überwasser"],
    "zutat": ["Mehl", "Kürbis", "Zwiebeln", "Möhren", "Süßrahm", "Äpfel", "Grieß"],
}
ORDER = ["Einleitung", "Zutaten für alle", "Zubereitungsschritt", "Zubereitungsschritt", "Grüße & Schluss"]
COLUMNS = ["--column", "article=Beitrag", "--column", "text=Absatz", "--column", "label=Rolle"]


def corpus(path: Path, articles: int, seed: int) -> Counter[str]:
    """Writes articles as a table with a paragraph a row; returns how often each label occurs."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Beitrag", "Rolle", "Absatz", "Seite"])
        for number in range(articles):
            roles = [*ORDER]
            roles.insert(rng.randrange(1, len(roles)), "Wetterbericht")
            if rng.random() < 0.4:
                roles.remove("Zubereitungsschritt")
            fixed = {name: rng.choice(words) for name, words in WORDS.items()}
            for role in roles:
                fill = {**fixed, "zutat": rng.choice(WORDS["zutat"]), "zahl": str(rng.randrange(2, 90))}
                writer.writerow([f"{path.stem}-{number}", role, rng.choice(TEMPLATES[role]).format(**fill), number])
                counts[role] += 1
    return counts


def nutgraf(*args: str | Path) -> Result:
    result = CliRunner().invoke(app, [*map(str, args)])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, held-out articles and the model that the command line made of them."""
    made = tmp_path_factory.mktemp("küche")
    corpus(made / "übung.csv", 40, seed=1)
    corpus(made / "prüfung.csv", 12, seed=2)
    nutgraf("train", made / "übung.csv", *COLUMNS, "--held-out", "0", "--out", made / "modell")
    return made


def test_the_labels_are_the_corpuss_own(folder: Path) -> None:
    record = json.loads(nutgraf("labels", "--model", folder / "modell", "--json").stdout)
    assert list(record["labels"]) == sorted(TEMPLATES)
    shown = nutgraf("labels", "--model", folder / "modell").stdout
    assert "Zutaten für alle" in shown
    assert "Grüße & Schluss" in shown
    assert "`Grüße & Schluss`" in (folder / "modell" / "README.md").read_text(encoding="utf-8")


def test_it_learns_them(folder: Path) -> None:
    counts = corpus(folder / "prüfung.csv", 12, seed=2)
    result = nutgraf("evaluate", folder / "modell", folder / "prüfung.csv", *COLUMNS, "--json")
    record = json.loads(result.stdout)
    assert record["paragraphs"] == counts.total()
    assert {label: row["support"] for label, row in record["labels"].items()} == counts
    majority = max(counts.values()) / counts.total()
    assert majority < 0.4
    assert record["accuracy"]["value"] > 0.9
    assert record["macro_f1"]["low"] > majority
    table = nutgraf("evaluate", folder / "modell", folder / "prüfung.csv", *COLUMNS).stdout
    assert all(label in table for label in TEMPLATES)


def test_it_says_them(folder: Path) -> None:
    (folder / "neu.txt").write_text(
        "Kaum ein Essen ist in Kleinöd so beliebt wie Rösti.\n\n"
        "40 Gramm Kürbis, 3 Eier und eine Prise Salz.\n\n"
        "In Kleinöd regnet es am Abend bei 12 Grad, dazu weht kräftiger Wind.\n\n"
        "„Guten Appetit“, wünscht Ihre Redaktion aus Kleinöd.\n",
        encoding="utf-8",
    )
    expected = ["Einleitung", "Zutaten für alle", "Wetterbericht", "Grüße & Schluss"]
    record = json.loads(nutgraf("predict", folder / "neu.txt", "--model", folder / "modell").stdout)
    assert [segment["label"] for segment in record["segments"]] == expected
    assert list(record["segments"][0]["scores"]) == sorted(TEMPLATES)
    shown = nutgraf("predict", folder / "neu.txt", "--model", folder / "modell", "--table").stdout
    for label in expected:
        assert f"{label}  " in shown


def test_they_come_back_from_parquet(folder: Path) -> None:
    import pyarrow.parquet as pq

    target = folder / "rollen.parquet"
    nutgraf("predict", folder / "prüfung.csv", *COLUMNS, "--model", folder / "modell", "--out", target, "--force")
    rows = pq.read_table(target).to_pylist()
    assert {f"score_{label}" for label in TEMPLATES} <= set(rows[0])
    assert {row["gold_label"] for row in rows} == set(TEMPLATES)
    assert {row["Seite"] for row in rows} == {str(number) for number in range(12)}


def test_wrong_labels_are_refused(folder: Path) -> None:
    text = (folder / "prüfung.csv").read_text(encoding="utf-8").replace("Wetterbericht", "Wetterbreicht")
    (folder / "falsch.csv").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["evaluate", str(folder / "modell"), str(folder / "falsch.csv"), *COLUMNS])
    assert result.exit_code == 1
    assert "the label 'Wetterbreicht' is not one of the model's; did you mean 'Wetterbericht'?" in result.stderr
    assert "falsch.csv:" in result.stderr
