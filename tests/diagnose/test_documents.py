"""The contract, the renderings, the docs and the teaching illnesses agree with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import jsonschema
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from headwind.analysis.diagnosis import CODES, Observations, judge
from headwind.report.diagnosis import render_markdown, render_text
from headwind.report.html import render as render_html
from service.settings import SettingsError
from service.sickness import ILLNESSES, infect

ROOT = Path(__file__).resolve().parents[2]
RECORDED = sorted((ROOT / "tests" / "diagnose" / "recorded").glob("*.json"))
SCHEMA = json.loads((ROOT / "headwind" / "report" / "schemas" / "diagnosis.schema.json").read_text())


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_diagnosis_fits_its_schema(path: Path) -> None:
    document = judge(Observations.from_json(json.loads(path.read_text()))).to_json()
    jsonschema.validate(json.loads(json.dumps(document)), SCHEMA)


@pytest.mark.parametrize("render", [render_text, render_markdown, render_html])
def test_a_hostile_url_and_title_stay_text(render: object) -> None:
    assert callable(render)
    found = judge(Observations.from_json(json.loads(RECORDED[0].read_text()))).to_json()
    found = json.loads(json.dumps(found))
    found["url"] = "http://x/<script>alert(1)</script>\x1b[31m"
    found["summary"] = found["causes"][0]["title"] = '"><img src=x onerror=alert(1)>\x1b]0;x\x07'
    text = render(found)
    assert "\x1b" not in text
    assert "\x07" not in text
    if render is not render_text:
        assert "<script>alert" not in text
        assert re.search(r"(?<!\\)<img", text) is None  # in Markdown a backslash makes it text


def test_the_text_fits_a_terminal_and_names_every_cause() -> None:
    for path in RECORDED:
        found = judge(Observations.from_json(json.loads(path.read_text())))
        text = render_text(json.loads(json.dumps(found.to_json())))
        assert all(cause.code in text for cause in found.causes)
        assert max(map(len, text.splitlines())) <= 80


def test_the_docs_list_every_code_and_no_other() -> None:
    page = (ROOT / "docs" / "diagnosis.md").read_text()
    listed = re.findall(r"`(\w+)`", page.split("## Codes")[1].split("\n\n")[0])
    assert set(listed) == set(CODES)


def test_every_illness_has_a_page_and_every_page_an_illness() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "illnesses").glob("*.md")}
    assert pages == set(ILLNESSES)


async def healthy(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("well")(scope, receive, send)


@pytest.mark.parametrize("name", ILLNESSES)
async def test_a_sick_service_still_answers(name: str) -> None:
    transport = httpx.ASGITransport(infect(healthy, name))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.post("/v1/prediction", json={})
        assert (answer.status_code, answer.text) == (200, "well")
        assert (await client.get("/")).text == "well"


def test_an_unknown_illness_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="threadpool"):
        infect(healthy, "flu")
