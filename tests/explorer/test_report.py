"""The page holds every section, escapes what it is given, asks the network for nothing, and is written whole."""

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from explorer.report.answer import answer as make_answer
from explorer.report.document import brief, render, write_report
from explorer.report.findings import Note
from hwbase import InputError

SECTIONS = [
    "brief",
    "headline",
    "binds",
    "chip",
    "time",
    "speed",
    "cost",
    "ownership",
    "scopes",
    "conventions",
    "findings",
    "scoreboard",
    "methods",
    "reproduce",
    "assumptions",
]
FIGURES = (
    "occupancy floorplan density breakdown-published breakdown-pipelined speed waterfall-low waterfall-high tco carbon"
)
VOID = {"meta", "col", "input", "br", "link", "img"}
HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Elements, attributes and script texts of a page; fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.style, self.open, self.text = [], [], "", [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif inside == "style":
            self.style += data
        else:
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def data(self):
        return [json.loads(code) for attrs, code in self.scripts if attrs.get("type") == "application/json"]

    def code(self):
        return [code for attrs, code in self.scripts if attrs.get("type") != "application/json"]


@pytest.fixture(scope="module")
def answer():
    return make_answer("gpt-oss-120b")


@pytest.fixture(scope="module")
def page(answer):
    return Page(render(answer))


def test_all_sections_and_figures_are_there(page):
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert [attrs["id"] for attrs in page.all("section")] == SECTIONS
    plots = [attrs for attrs in page.all("div") if attrs.get("class") == "plot"]
    assert [attrs["id"] for attrs in plots] == [f"plot-{name}" for name in FIGURES.split()]
    assert len(page.data()) == len(plots)
    assert all(figure["data"] for figure in page.data())


def test_page_can_be_read_without_seeing_it(page):
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attrs.get("scope") in ("col", "row", "colgroup") for attrs in page.all("th"))
    for attrs in page.all("div"):
        if attrs.get("class") == "plot":
            assert attrs["role"] == "img" and len(attrs["aria-label"]) > 40
        if attrs.get("class") == "scroll":
            assert attrs["tabindex"] == "0"
    for _, attrs in page.elements:
        assert attrs.get("aria-labelledby") is None or attrs["aria-labelledby"] in ids
    assert all(attrs["href"].removeprefix("#") in ids for attrs in page.all("a"))


def test_page_asks_the_network_for_nothing(page):
    for tag, attrs in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base", "audio", "video")
        assert "src" not in attrs and "srcset" not in attrs and "action" not in attrs
        assert not any(name.startswith("on") for name in attrs)
        assert attrs.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import|https?:", page.style)
    _, own = page.code()
    assert "https:" not in own and "http:" not in own and "fetch(" not in own
    assert "displaylogo: false" in own


def test_policy_allows_the_scripts_of_the_page_and_no_connection(page):
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules and "unsafe" not in rules["script-src"]
    hashes = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in page.code()]
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in hashes)


@pytest.mark.slow
def test_names_are_escaped(answer):
    hostile = dataclasses.replace(
        answer,
        model=dataclasses.replace(answer.model, name=HOSTILE),
        published=dataclasses.replace(answer.published, model=HOSTILE),
        accelerators={HOSTILE: answer.accelerators["h100"]},
        chip=dataclasses.replace(
            answer.chip,
            blocks=(dataclasses.replace(answer.chip.blocks[0], name=HOSTILE), *answer.chip.blocks[1:]),
        ),
        notes=(Note(HOSTILE, HOSTILE),),
        command=HOSTILE,
        version=HOSTILE,
        assumptions={HOSTILE: next(iter(answer.assumptions.values()))},
    )
    text = render(hostile)
    found = Page(text)
    assert HOSTILE not in text and "<img" not in text
    assert len(found.code()) == 2
    assert any(HOSTILE in part for part in found.text)


@pytest.mark.slow
def test_page_without_a_paper_or_effects(answer):
    bare = dataclasses.replace(
        answer,
        scoreboard=None,
        notes=(),
        headline=(),
        cost=dataclasses.replace(answer.cost, effect_rows=(), inputs={}),
        other_cost=dataclasses.replace(answer.other_cost, effect_rows=()),
        assumptions={},
    )
    found = Page(render(bare))
    assert [attrs["id"] for attrs in found.all("section")] == SECTIONS


def test_published_numbers_stand_beside_ours(page, answer):
    text = " ".join(page.text)
    for shown in ("249,960", "249,683", "13,232", "2,940", "80.42×", "357.2×"):
        assert shown in text
    for row in answer.scoreboard.rows:
        assert row.what.replace("mm2", "mm²") in text
    for name in answer.assumptions:
        assert name in text


@pytest.mark.slow
def test_checks_carry_words_and_signs(page):
    text = " ".join(page.text)
    assert "pass" in text and "✓" in text and "spills" in text
    long = make_answer("gpt-oss-120b", context=262144)
    assert "FAIL" in " ".join(Page(render(long)).text)


def test_brief_answers_both_ways(answer):
    rows = {row[0]: row[1:] for row in brief(answer).tables[0].rows}
    assert rows["How fast"][0].startswith("249,683")
    assert rows["matching H100s, cost"][0] == "41.67× to 80.42×"
    assert rows["matching B200s, cost"][0] == "–" and float(rows["matching B200s, cost"][1].rstrip("×")) < 1
    assert re.fullmatch(r"\$[\d.]+\sM", rows["How expensive, TCO"][1])
    assert rows["How fast"][0] != rows["How fast"][1]


@pytest.mark.slow
def test_same_answer_gives_the_same_page(answer):
    assert render(answer) == render(answer)


@pytest.mark.slow
def test_report_is_written(answer, tmp_path):
    path = tmp_path / "report.html"
    assert write_report(answer, path) == path
    assert path.read_text(encoding="utf-8") == render(answer)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_report_that_cannot_be_written_leaves_nothing(answer, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (folder, tmp_path / "missing" / "report.html"):
        with pytest.raises(InputError, match="cannot write") as caught:
            write_report(answer, path)
        assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == [folder]


def test_failed_report_keeps_the_old_one(answer, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(AttributeError):
        write_report(dataclasses.replace(answer, chip=None), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
