"""Pages in a real browser: they filter, move by keyboard, ask no network for anything, and are accessible."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nutgraf.html import write_html
from nutgraf.linear import LinearTagger
from nutgraf_data.article import Article
from nutgraf_training.evaluation.evaluate import evaluate
from nutgraf_training.report import write_report

CHROMIUM = os.environ.get("NUTGRAF_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, "--disable-component-update"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tiny_tagger: LinearTagger, unseen: list[Article], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(evaluate(tiny_tagger, unseen, resamples=100), path, model="tiny", data="held-out articles")
    return path


@pytest.fixture(scope="module")
def predictions(tiny_tagger: LinearTagger, unseen: list[Article], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predictions") / "predictions.html"
    write_html(tiny_tagger.predict_many(unseen[:4]), path, tiny_tagger)
    return path


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that fails the test where it says something on the console, or asks for more than its own file."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith("file:")] == []
    assert len(asked) == 1


def visible(page: Any, role: str) -> int:
    """How many paragraphs of a role are shown."""
    return int(page.locator(f'[data-role="{role}"]:visible').count())


@pytest.mark.parametrize("which", ["report", "predictions"])
def test_roles_filter(page: Any, which: str, request: pytest.FixtureRequest) -> None:
    page.goto(request.getfixturevalue(which).as_uri())
    role = page.locator("[data-role]").first.get_attribute("data-role")
    every = page.locator("[data-role]:visible").count()
    before = visible(page, role)
    assert before > 0
    key = page.locator(f'[data-filter="{role}"]')
    assert key.locator(".count").inner_text() == str(before)
    key.click()
    assert (visible(page, role), key.get_attribute("aria-pressed")) == (0, "false")
    assert page.locator("[data-role]:visible").count() == every - before
    key.click(modifiers=["Shift"])
    assert page.locator("[data-role]:visible").count() == before == visible(page, role)
    page.locator("[data-all]").click()
    assert page.locator("[data-role]:visible").count() == every


def test_the_keyboard(page: Any, predictions: Path) -> None:
    page.goto(predictions.as_uri())
    here = "[...document.querySelectorAll('[data-role]')].indexOf(document.activeElement)"
    places = []
    for key in "jjjk":
        page.keyboard.press(key)
        places.append(page.evaluate(here))
    assert places == [0, 1, 2, 1]
    assert page.locator(".segment:focus .scores").is_visible()
    role = page.locator("[data-role]").first.get_attribute("data-role")
    page.keyboard.press(str(int(role) + 1))
    assert visible(page, role) == 0


def test_scores_and_words_on_demand(page: Any, predictions: Path, tiny_tagger: LinearTagger) -> None:
    page.goto(predictions.as_uri())
    scores = page.locator(".scores").first
    assert not scores.is_visible()
    page.locator(".head").first.hover()
    assert scores.is_visible()
    for label in tiny_tagger.label_set.labels:
        assert label in scores.inner_text()
    words = page.locator(".words").first
    words.locator("summary").click()
    assert "Parts of this paragraph's own margin" in words.inner_text()


def test_the_table_can_be_read(page: Any, report: Path, tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    page.goto(report.as_uri())
    scores = evaluate(tiny_tagger, unseen, resamples=100).scores
    cells = page.locator("main table").first.locator("tr").all_inner_texts()
    assert any(row.startswith("accuracy") and f"{scores.accuracy.value:.3f}" in row for row in cells)
    assert page.locator("svg.plot").count() >= 3
    assert str(scores.confusion[0, 0]) in page.locator("svg.confusion").text_content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["report", "predictions"])
def test_it_fits_and_is_accessible(
    browser: Any, which: str, width: int, scheme: str, request: pytest.FixtureRequest
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    opened = context.new_page()
    opened.goto(request.getfixturevalue(which).as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(opened).response["violations"]
    context.close()
    assert [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in {"serious", "critical"}] == []
