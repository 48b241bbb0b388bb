"""The pages in a real browser without a network."""

import pytest

from tests.batch.report import samples

pytestmark = pytest.mark.browser

# Every visible piece of text against what really lies behind it (WCAG 2.1, 1.4.3).
CONTRAST = """
(() => {
  document.querySelectorAll('details').forEach(details => { details.open = true; });
  const parse = colour => { const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    c.fillStyle = colour; c.fillRect(0, 0, 1, 1); const d = c.getImageData(0, 0, 1, 1).data;
    return [d[0], d[1], d[2], d[3] / 255]; };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = c => { const f = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    return .2126 * f(c[0]) + .7152 * f(c[1]) + .0722 * f(c[2]); };
  const memo = new Map();
  const behind = element => { if (!element) return [255, 255, 255, 1];
    if (!memo.has(element)) {
      const own = parse(getComputedStyle(element).backgroundColor);
      memo.set(element, over(own, behind(element.parentElement)));
    }
    return memo.get(element); };
  const faults = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || ['SCRIPT', 'STYLE'].includes(element.tagName)) continue;
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const ground = behind(element), ink = over(parse(style.color), ground);
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) faults.push(ratio.toFixed(2) + ' ' + node.data.trim().slice(0, 40));
  }
  return {seen, faults};
})()
"""
SHOWN = "Array.from(document.querySelectorAll('#board tbody tr')).filter(r => r.checkVisibility()).map(r => r.id)"


def run_folder(report, name="onebit/01_separate_sign_and_value"):
    return samples.a_run(name, seed=1).folder(report)


def pages(report):
    record = report.runs / "records" / "cpu" / "onebit" / "01_separate_sign_and_value-0a1b2c3d.html"
    failed = run_folder(report, "onebit/02_count_the_bits")
    dead = run_folder(report, "00_start_here")
    return [report.index, record, *(folder / "page.html" for folder in (run_folder(report), failed, dead))]


def choose(browser, selector, value):
    browser.run(
        f"(e => {{ e.value = {value!r}; e.dispatchEvent(new Event('input', {{bubbles: true}})) }})"
        f"(document.querySelector({selector!r}))"
    )


def test_no_request_leaves_a_page_and_the_console_is_silent(report, browser):
    for page in pages(report):
        browser.open(page)
        assert (browser.requests, browser.complaints) == ([], []), page


def test_a_request_that_a_page_makes_would_be_seen(tmp_path, browser):
    page = tmp_path / "bad.html"
    page.write_text(
        '<img src="https://example.org/a.png"><script>fetch("https://example.org/b"); throw Error("x")</script>'
    )
    browser.open(page)
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert set(browser.requests) == {"https://example.org/a.png", "https://example.org/b"}
    assert browser.complaints


def test_the_policy_of_a_page_refuses_what_its_content_asks_for(report, tmp_path, browser):
    page = tmp_path / "page.html"
    page.write_text(
        (run_folder(report) / "page.html")
        .read_text()
        .replace("</main>", '<img src="https://example.org/a.png"></main>')
    )
    browser.open(page)
    assert browser.refused == ["csp"]


@pytest.mark.parametrize("width", [320, 400, 700, 900])
def test_nothing_scrolls_sideways_but_what_stands_in_its_own_box(report, browser, width):
    for page in pages(report):
        browser.open(page, width=width)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), page
    browser.run("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_stands_out_from_its_ground(report, browser, dark):
    for page in pages(report):
        browser.open(page, dark=dark)
        result = browser.run(CONTRAST)
        assert result["faults"] == [], page
        assert result["seen"] > 20


def test_a_dark_page_is_dark(report, browser):
    browser.open(report.index, dark=True)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"


def test_text_too_faint_would_be_seen(tmp_path, browser):
    page = tmp_path / "faint.html"
    page.write_text('<p style="color:#888">faint</p><p style="color:#000">' + "black</p><p>" * 30)
    browser.open(page)
    assert browser.run(CONTRAST)["faults"] == ["3.54 faint"]


def test_the_switch_shows_and_hides_all_code(report, browser):
    browser.open(run_folder(report) / "page.html")
    count = "document.querySelectorAll('details.source[open]').length"
    total = browser.run("document.querySelectorAll('details.source').length")
    assert browser.run(count) == 2
    browser.click("#code-switch")
    assert (browser.run(count), browser.run("document.querySelector('#code-switch').textContent")) == (
        total,
        "Hide code",
    )
    browser.click("#code-switch")
    assert browser.run(count) == 2


def test_claims_are_filtered_by_paper_verdict_and_words(report, browser):
    browser.open(report.index)
    assert len(browser.run(SHOWN)) == 7
    choose(browser, "[name=paper]", "delta_come")
    assert browser.run(SHOWN) == ["delta_come.C1"]
    choose(browser, "[name=paper]", "")
    for verdict in ("holds", "not measured", "fails"):
        browser.click(f"[name=verdict][value='{verdict}']")
    assert browser.run(SHOWN) == ["onebit.C3", "onebit.C5"]
    choose(browser, "[name=text]", "interval  STALE")
    assert browser.run(SHOWN) == ["onebit.C5"]
    assert browser.run("document.querySelector('.filters output').textContent") == "1 of 7 claims"
    choose(browser, "[name=text]", "no such words")
    browser.click("#all-again")
    assert len(browser.run(SHOWN)) == 7


def test_claims_are_sorted_by_number_with_empty_ones_last(report, browser):
    browser.open(report.index)
    for expected in (["C2", "C5", "C1", "C4", "C3", "C6", "C1"], ["C3", "C4", "C1", "C5", "C2", "C6", "C1"]):
        browser.click("th[data-by=measured] button")
        assert [claim.rpartition(".")[2] for claim in browser.run(SHOWN)] == expected
    assert browser.run("document.querySelector('th[data-by=measured]').getAttribute('aria-sort')") == "descending"


def test_without_scripts_everything_is_there_but_the_controls(report, browser):
    browser.open(report.index, scripts=False)
    assert len(browser.run(SHOWN)) == 7
    assert not browser.run("document.querySelector('.filters').checkVisibility()")
    browser.open(run_folder(report) / "page.html", scripts=False)
    assert not browser.run("document.querySelector('#code-switch').checkVisibility()")
    closed = "details.source:not([open])"
    browser.click(f"{closed} summary")
    assert browser.run("document.querySelectorAll('details.source[open]').length") == 3


def test_on_a_phone_the_contents_open_without_scripts(report, browser):
    browser.open(run_folder(report) / "page.html", width=400, scripts=False)
    visible = "document.querySelector('.contents ol').checkVisibility()"
    assert not browser.run(visible)
    browser.click(".contents label")
    assert browser.run(visible)


def test_a_link_from_a_verdict_leads_to_the_cell_that_recorded(report, browser):
    browser.open(run_folder(report) / "page.html", fragment="record")
    assert browser.run("document.querySelector(':target').textContent.includes('Recorded')")
    assert browser.run("document.querySelector('#record').getBoundingClientRect().top") < 800


def test_formulas_are_drawn_as_formulas(report, browser):
    browser.open(run_folder(report) / "page.html")
    heights = browser.run("Array.from(document.querySelectorAll('math')).map(m => m.getBoundingClientRect().height)")
    assert len(heights) > 10
    assert max(heights) > 2 * min(heights)


def test_print_hides_folded_code_and_is_light(report, browser):
    browser.open(run_folder(report) / "page.html", dark=True)
    browser.call(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    assert browser.run("getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()") == "#1c1e21"
    assert not browser.run("document.querySelector('.contents').checkVisibility()")
    assert not browser.run("document.querySelector('details.source:not([open])').checkVisibility()")
    breaks = "[...document.querySelectorAll('table')].map(table => getComputedStyle(table).breakInside)"
    assert set(browser.run(breaks)) == {"auto"}  # a table that goes to the next page whole leaves half a page empty
    assert browser.pdf().startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="")
