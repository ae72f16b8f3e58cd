"""A report fits a phone and a dense screen in a browser, with few and with many classes and with long names."""

import numpy as np
import pytest

from kerasnets.training import report
from kerasnets.training.evaluation import of_logits
from tests.demo.test_page import CHROMIUM, FLAGS
from tests.training.test_report import data_of, job_run_and_figures

WIDTHS = (390, 1280)  # CSS pixels of a phone and of a screen, each of 2x2 pixels
LONG = "photographs of the very long-haired variety number"
MEASURE = """() => ({
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    pictures: [...document.images].filter((each) => each.offsetParent).map(
        (each) => each.naturalWidth / each.getBoundingClientRect().width),
    smallest: Math.min(...[...document.querySelectorAll("p, td, th")].map(
        (each) => parseFloat(getComputedStyle(each).fontSize))),
})"""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("NO BROWSER, so the reports are NOT TESTED in one: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


def write(folder, count):
    """Write a report on `count` classes, of whose answers a third are wrong."""
    names = [f"{LONG} {i}" for i in range(count)]
    labels = np.arange(max(60, count)) % count
    answers = np.where(np.arange(len(labels)) % 3, labels, (labels + 1) % count)
    evaluation = of_logits(labels, 3.0 * np.eye(count)[answers], names)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 3), np.uint8)
    job, run, figures = job_run_and_figures(folder, evaluation, images, data=data_of(evaluation, images))
    report.write(job, run, evaluation, figures)


@pytest.mark.parametrize("count", [2, 10, 1000])
def test_a_report_fits_its_screen(browser, tmp_path, count):
    write(tmp_path, count)
    for width in WIDTHS:
        page = browser.new_page(viewport={"width": width, "height": 800}, device_scale_factor=2)
        page.goto((tmp_path / "report.html").as_uri())
        measured = page.evaluate(MEASURE)
        page.close()
        assert measured["overflow"] == 0, width
        assert len(measured["pictures"]) == 3
        assert min(measured["pictures"]) >= 1.9, measured["pictures"]
        assert measured["smallest"] >= 12, width
