"""Every page's main path, in a browser, with the bundled models."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FormData, Page, Request, expect

from helpers.browser import ROOT, Visit, visit
from trigger_api.jobs.training import obstacle
from trigger_api.web.pages import PAGES

pytestmark = pytest.mark.slow

PATHS = [page.path for page in PAGES if page.name != "account"]
PASSWORD = "correct horse"
RESULTS = (
    ("/trigger", ".mark"), ("/digits", ".chart"), ("/objects", ".box"), ("/entities", "mark"), ("/emotions", ".box"),
)  # fmt: skip
STREAMING = ("/rooms",)  # never idle


def said(page: Page, text: str, *, within: str = "body") -> None:
    """Wait until the status says something."""
    expect(page.locator(f"{within} .status p").first).to_contain_text(text)


def test_home_says_what_is_running(visitor: Visit) -> None:
    page = visitor.go("/")
    expect(page.locator("#summary")).to_contain_text("models are ready")
    expect(page.locator("#models tbody")).to_contain_text("yolox-nano")
    page.get_by_role("link", name="Digits").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Digits")


def test_a_recording_is_drawn_with_its_words(visitor: Visit, folder: Path) -> None:
    page = visitor.go("/trigger")
    page.set_input_files("#clip input[type=file]", folder / "said.wav")
    mark = page.locator(".mark")
    expect(mark).to_have_count(1)
    said(page, "“activate” at 2.1", within="#clip")
    mark.click()
    page.wait_for_function("document.querySelector('audio').currentTime > 1")
    assert page.evaluate("document.querySelector('audio').currentTime") < 4


def test_the_slider_decides_again_without_a_request(visitor: Visit) -> None:
    page = visitor.go("/trigger")
    page.get_by_role("button", name="Use a sample").click()
    expect(page.locator(".mark")).to_have_count(1)
    asked = len(visitor.requests)
    slider = page.get_by_role("slider", name=re.compile("activate: threshold"))
    slider.press("End")
    expect(page.locator(".mark")).to_have_count(0)
    said(page, "No word was said", within="#clip")
    slider.fill("0.4")
    expect(page.locator(".mark")).to_have_count(1)
    assert len(visitor.requests) == asked


def test_the_microphone_is_recorded(visitor: Visit) -> None:
    page = visitor.go("/trigger")
    page.get_by_role("button", name="Record", exact=True).click()
    said(page, "Recording", within="#clip")
    page.wait_for_timeout(5_000)  # the fake microphone says the word every four seconds
    page.get_by_role("button", name="Stop recording").click()
    expect(page.locator(".mark").first).to_be_visible()


def test_the_microphone_is_heard_live_and_rooms_show_it(visitor: Visit) -> None:
    rooms = visitor.page.context.new_page()
    rooms.goto(f"{visitor.url}/rooms")
    said(rooms, "Connected")
    page = visitor.go("/trigger")
    page.get_by_label("Room").fill("kitchen")
    page.get_by_role("button", name="Listen").click()
    said(page, "Listening for activate", within="#live")
    expect(page.locator("#live .feed li").first).to_contain_text("activate at")
    expect(rooms.locator("#detections li").first).to_contain_text("activate in kitchen")
    expect(rooms.locator("#rooms tbody")).to_contain_text("kitchen")
    page.get_by_role("button", name="Stop").click()
    said(page, "Stopped", within="#live")


def test_a_digit_is_drawn_and_read(visitor: Visit) -> None:
    page = visitor.go("/digits")
    box = page.locator("#pad").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + 0.2 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 4, y + 0.6 * box["height"], steps=8)
    page.mouse.up()
    expect(page.locator("#number")).to_have_text("1")
    expect(page.locator(".picture .box")).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Use a sample").click()
    expect(page.locator("#number")).to_have_text("1948 · 2650 · 37")
    expect(page.locator("#digits .chart")).to_have_count(10)


def test_what_is_no_picture_is_told_so(visitor: Visit, folder: Path) -> None:
    (folder / "note.txt").write_text("just text")
    page = visitor.go("/digits")
    page.set_input_files("input[type=file]", folder / "note.txt")
    said(page, "This is not a picture.")


def test_errors_of_the_service_are_sentences(visitor: Visit, folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    page = visitor.go("/digits")
    page.set_input_files("input[type=file]", folder / "broken.png")
    expect(page.locator(".status.error p")).to_have_text(re.compile(r"^[A-Z].*\.$"))
    visitor.faults.clear()  # the browser notes the status


@pytest.mark.parametrize("model", ["yolo3", "mobilenetv2", "inception-resnet"])
def test_a_face_on_a_photo_has_its_emotions(visitor: Visit, folder: Path, model: str) -> None:
    page = visitor.go("/emotions")
    page.select_option("#model", model)
    page.set_input_files("input[type=file]", folder / "face.png")
    said(page, "One face on this photo.")
    expect(page.locator("#photo .box span")).to_have_text(re.compile(r"^[a-z]+ · \d+ %$"))
    expect(page.locator("#faces .bars li")).to_have_count(7)


def test_the_camera_is_watched(visitor: Visit) -> None:
    page = visitor.go("/emotions")
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#live .box")).to_have_count(1)
    expect(page.locator("#rate")).to_have_text(re.compile(r"\d+ frames a second, each \d+ ms old"))
    page.get_by_role("button", name="Stop the camera").click()
    said(page, "The camera is off.")


def test_objects_have_boxes_within_limits(visitor: Visit) -> None:
    page = visitor.go("/objects")
    page.get_by_role("button", name="Use a sample").click()
    expect(page.locator(".picture")).to_contain_text("stop sign")
    page.get_by_role("slider", name="Most objects").fill("1")
    expect(page.locator(".picture .box")).to_have_count(1)
    expect(page.locator("#objects")).to_contain_text("stop sign")


def test_names_in_a_text_are_highlighted(visitor: Visit) -> None:
    page = visitor.go("/entities")
    page.locator("textarea").fill("🙂 Ada Lovelace lived in London.")
    expect(page.locator("mark.PER")).to_have_text("Ada LovelacePER")
    expect(page.locator("mark.LOC")).to_have_text("LondonLOC")
    expect(page.locator("#aligned")).to_contain_text("B-PER I-PER")


def join(visitor: Visit, name: str) -> Page:
    """Make an account; its page is shown."""
    page = visitor.go("/sign-up")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Account {name.lower()}")
    return page


def test_from_signing_up_to_deleting_the_account(visitor: Visit) -> None:
    page = join(visitor, "Ada")
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#secret code")).to_have_text(re.compile(r"\S{20,}"))
    page.get_by_role("button", name="Copy the token").click()
    expect(page.get_by_role("button", name="Copy the token")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#secret code").text_content()
    assert_accessible(page)
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.locator("#tokens .none")).to_be_visible()
    page.get_by_role("link", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    page.goto(f"{visitor.url}/log-in?next=account")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Account ada")
    page.locator("#deletion").get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.locator("#summary")).to_contain_text("models")
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_a_digit_is_kept_by_a_name(visitor: Visit) -> None:
    page = visitor.go("/digits")
    page.get_by_role("button", name="Save in my history").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("Nothing is chosen"))
    page.get_by_role("button", name="Use a sample").click()
    expect(page.locator("#number")).to_contain_text("1948")
    page.get_by_label("Name of the file").fill("ledger.jpg")
    page.get_by_role("button", name="Save in my history").click()
    expect(page.get_by_role("alert")).to_have_text("Saved in your history as ledger.jpg.")
    page = visitor.go("/history")
    expect(page.locator(".entry").first).to_contain_text("ledger.jpg")


def test_faces_that_nobody_has(visitor: Visit) -> None:
    page = visitor.go("/emotions")
    page.get_by_role("button", name="Use a sample").click()
    said(page, "2 faces on this photo.")
    expect(page.locator("#photo .box")).to_have_count(2)
    expect(page.locator("#faces")).to_contain_text("happy")


def test_a_new_password_by_a_link(visitor: Visit, folder: Path) -> None:
    join(visitor, "lin")
    command = [sys.executable, "-m", "trigger_api", "users", "reset", "lin", "--url", visitor.url]
    env = {**os.environ, "TRIGGER_API_DATABASE_URL": f"sqlite:///{folder}/database.sqlite3"}
    printed = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    link = printed.split()[-1]
    page = visitor.page
    page.context.clear_cookies()
    page.goto(link)
    assert "token" not in page.url
    assert_accessible(page)
    page.get_by_label("New password", exact=True).fill("another horse")
    page.get_by_label("New password again").fill("another mule")
    page.get_by_role("button", name="Set the password").click()
    said(page, "The two passwords differ")
    page.get_by_label("New password again").fill("another horse")
    page.get_by_role("button", name="Set the password").click()
    said(page, "The password was changed")
    page.get_by_role("link", name="Log in").last.click()
    page.get_by_label("Name").fill("lin")
    page.get_by_label("Password").fill("another horse")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Log out")).to_be_visible()
    page.goto(link)  # once
    page.get_by_label("New password", exact=True).fill("a third horse")
    page.get_by_label("New password again").fill("a third horse")
    page.get_by_role("button", name="Set the password").click()
    said(page, "has been used, or has expired")
    visitor.faults.clear()


@pytest.mark.skipif(obstacle() is not None, reason="training is not installed")
def test_a_word_is_trained_and_tried(visitor: Visit) -> None:
    """The training itself is not waited for: it takes minutes, and other tests do."""
    page = visitor.go("/trigger")
    section = page.locator("#training")
    section.get_by_label("Word or phrase").fill("hey computer")
    section.get_by_role("button", name="Record yourself").click()
    page.wait_for_timeout(1_000)
    section.get_by_role("button", name="Stop recording").click()
    expect(section.locator(".takes audio")).to_have_count(1)
    expect(section).to_contain_text("1 recording.")
    assert_accessible(page)
    section.get_by_role("button", name="Train").click()
    expect(section.locator(".training")).to_contain_text("hey computer")
    expect(section.locator(".training progress")).to_be_visible()
    expect(section.locator(".takes audio")).to_have_count(0)
    page.reload()
    expect(section.locator(".training")).to_contain_text(re.compile(r"\d+ %"))
    assert_accessible(page)
    section.get_by_role("button", name="Cancel hey computer").click()
    expect(section.locator(".training")).to_have_count(0)
    page.route("**/v1/training?limit=10", lambda route: route.fulfill(json=_trained()))
    page.reload()
    expect(section.locator(".training")).to_have_count(2)
    expect(section.locator(".training").last).to_contain_text("there is nobody to say it")
    section.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_focused()
    said(page, "Record “activate”", within="#clip")


def _trained() -> dict[str, object]:
    """What the service says of one word that is trained and one that failed."""
    common = {"doing": "", "recordings": 0, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    done = {"id": "1", "status": "done", "progress": 1, "word": "activate", "error": None, "model": "activate",
            "version": "1", **common}  # fmt: skip
    failed = {**done, "id": "2", "status": "failed", "progress": 0.3, "error": "there is nobody to say it"}
    return {"available": True, "advice": None, "items": [done, failed], "next": None}


def test_pages_below_a_prefix(browser: Browser, prefixed: str) -> None:
    with visit(browser, prefixed) as visitor:
        page = visitor.go("/")
        expect(page.locator("#summary")).to_contain_text("models are ready")
        page.get_by_role("link", name="Digits").first.click()
        assert page.url == f"{prefixed}/digits"
        page.get_by_role("button", name="Use a sample").click()
        expect(page.locator("#number")).to_have_text("1948 · 2650 · 37")
        page = visitor.go("/trigger")
        page.get_by_role("button", name="Listen").click()
        said(page, "Listening for activate", within="#live")
        page.get_by_role("button", name="Stop").click()
        join(visitor, "ada")
        assert page.url == f"{prefixed}/account"
        page.get_by_role("link", name="Log out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
        page.goto(f"{prefixed}/log-in?next=history")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{prefixed}/history")
        expect(page.locator(".status p").first).to_have_text("Nothing is kept that matches.")
        assert all(url.startswith(("blob:", prefixed, prefixed.replace("http", "ws"))) for url in visitor.requests)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_moves_while_a_page_loads(on_the_phone: Visit, path: str) -> None:
    page = on_the_phone.page
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver((list) => {"
        " for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;"
        "}).observe({ type: 'layout-shift', buffered: true });"
    )
    page.goto(f"{on_the_phone.url}{path}")
    page.wait_for_load_state("networkidle") if path not in STREAMING else page.wait_for_timeout(500)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.shift") < 0.1  # what web.dev calls good


def test_the_first_page_is_light(visitor: Visit) -> None:
    sizes: list[int] = []
    visitor.page.on("requestfinished", lambda request: sizes.append(_transferred(request)))
    visitor.go("/")
    expect(visitor.page.locator("#summary")).to_contain_text("models are ready")
    assert 5_000 < sum(sizes) < 100_000


def _transferred(request: Request) -> int:
    found = request.sizes()
    return int(found["responseBodySize"] + found["responseHeadersSize"])


def test_what_was_kept_is_in_the_history(visitor: Visit, folder: Path) -> None:
    page = visitor.go("/upload-image")
    page.set_input_files("input[type=file]", ROOT / "samples" / "note.jpg")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".alert.good")).to_have_text("The picture was read.")
    join(visitor, "grace")
    page.goto(f"{visitor.url}/upload-image")
    page.set_input_files("input[type=file]", ROOT / "samples" / "note.jpg")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".alert.good")).to_contain_text("is kept in the history")
    expect(page.locator(".figure")).to_have_text("1")
    answer = page.request.get(f"{visitor.url}/uploads/note.jpg")
    assert answer.body() == (ROOT / "samples" / "note.jpg").read_bytes()
    keep(page, visitor.url, "trigger", audio=folder / "said.wav")
    page.goto(f"{visitor.url}/history")
    expect(page.locator(".entry")).to_have_count(2)
    expect(page.locator(".entry").first.locator("audio")).to_be_visible()
    page.wait_for_function("document.querySelector('.entry img').naturalWidth > 100")
    assert_accessible(page)
    page.get_by_label("Task").select_option("digits")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".entry")).to_have_count(1)
    expect(page.locator(".entry h2")).to_have_text(re.compile("1948"))
    page.get_by_text("The answer").click()
    expect(page.locator(".entry pre")).to_contain_text('"numbers"')
    page.get_by_role("button", name="Delete note.jpg").click()
    expect(page.locator(".entry")).to_have_count(0)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".entry")).to_have_count(1)


def keep(page: Page, url: str, task: str, **files: Path) -> None:
    """Have a prediction kept."""
    form = FormData()
    for name, path in files.items():
        form.append(name, path)
    headers = {"Sec-Fetch-Site": "same-origin"}
    answer = page.request.post(f"{url}/v1/{task}?save=true", multipart=form, headers=headers)
    assert answer.json()["saved"] is True


def test_a_wrong_password_is_said(visitor: Visit) -> None:
    page = visitor.go("/log-in")
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".status.error p")).to_contain_text("password")
    visitor.faults.clear()


def test_the_log_in_never_leads_to_another_host(visitor: Visit) -> None:
    page = visitor.go("/log-in?next=//elsewhere.example/")
    page.route("**/v1/sessions", lambda route: route.fulfill(status=201, json={}))
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{visitor.url}/")


@pytest.mark.parametrize("path", PATHS)
def test_calls_are_there_to_copy(visitor: Visit, path: str) -> None:
    page = visitor.go(path)
    call = page.locator(".calls .call").first
    call.get_by_role("button").click()
    expect(call.get_by_role("button")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == call.locator("code").text_content()


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_in_the_dark_shows_every_page(on_the_phone: Visit, path: str) -> None:
    page = on_the_phone.go(path)
    page.wait_for_load_state("load")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert_accessible(page)


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_accessible_in_the_light(visitor: Visit, path: str) -> None:
    page = visitor.go(path)
    page.wait_for_load_state("load")
    assert_accessible(page)


@pytest.mark.parametrize("who", ["visitor", "on_the_phone"])
def test_results_are_accessible(request: pytest.FixtureRequest, who: str) -> None:
    visitor: Visit = request.getfixturevalue(who)
    for path, shown in RESULTS:
        page = visitor.go(path)
        page.get_by_role("button", name="Use a sample").click()
        expect(page.locator(shown).first).to_be_visible()
        assert_accessible(page)


def assert_accessible(page: Page) -> None:
    """Axe finds no serious fault."""
    faults = Axe().run(page).response["violations"]
    serious = [fault for fault in faults if fault["impact"] in ("serious", "critical")]
    assert not serious, [(fault["id"], [node["html"][:120] for node in fault["nodes"]]) for fault in serious]


def test_the_keyboard_is_enough(visitor: Visit) -> None:
    page = visitor.go("/trigger")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    press_until_focused(page, "Use a sample")
    page.keyboard.press("Enter")
    expect(page.locator(".mark")).to_have_count(1)
    press_until_focused(page, "Play activate")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('audio').currentTime > 0")


def press_until_focused(page: Page, name: str) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent")
        if name in focused:
            return
    pytest.fail(f"{name!r} cannot be reached with the keyboard")


def test_a_lost_server_is_said_and_the_page_goes_on(visitor: Visit) -> None:
    page = visitor.go("/entities")
    page.route("**/v1/entities", lambda route: route.abort())
    page.get_by_role("button", name="Use a sample").click()
    said(page, "The server cannot be reached. Trying again in 1 s …")
    page.unroute("**/v1/entities")
    expect(page.locator("mark.PER").first).to_be_visible()
    visitor.faults.clear()


def test_a_page_of_another_site_may_call_the_service(visitor: Visit, another_site: str) -> None:
    page = visitor.page
    page.goto(f"{another_site}/index.html")
    page.get_by_label("Server").fill(visitor.url)
    page.get_by_role("button", name="Find names").click()
    expect(page.locator("#names li")).to_have_text(["Ada Lovelace (PER)", "London (LOC)"])
    visitor.requests.clear()
    visitor.faults.clear()  # it has no icon
