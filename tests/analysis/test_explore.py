import html as markup
import json
import shlex
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import psutil
import pytest
import zarr
from bokeh.events import ButtonClick
from killable import Plain, plain_grid

from denram.analysis import Axis, Grid, run_sweep
from denram.analysis.explore import report_html, server
from denram.analysis.page import (
    Page,
    cells_html,
    curves_plots,
    plot_of,
    summary_html,
)
from denram.analysis.slices import SweepView
from denram.analysis.study import Layout, Variable
from denram.analysis.sweep import built_by
from denram.analysis.sweep_store import STORE, Head, SweepStore, create
from denram.cli._cells import selected
from denram.errors import InputError

EVIL = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>$$x$$"
GRID = Grid(
    "shown",
    (
        Axis("kind", ("plain", EVIL), {"kind": ("plain", EVIL)}),
        Axis.of("a", [1.0, 2.0, 4.0]),
        Axis.of("seed", [1, 2]),
    ),
    {"note": EVIL},
)


def total(cell):
    return 100.0 * cell[0] + 10.0 * cell[1] + cell[2] ** 2


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A sweep whose texts want to run; its last cell failed, the first is missing."""
    path = tmp_path_factory.mktemp("shown") / STORE
    layout = Layout(
        {
            "total": Variable(units="s", text="sum"),
            "epoch_loss": Variable(("epoch",), (4,), text="loss"),
            "words": Variable(dtype=str, fill=""),
        }
    )
    create(path, Head(GRID, (GRID.shape,), built_by()), layout)
    held = SweepStore(path)
    cells = list(GRID.cells())
    for cell in cells[1:-1]:
        curve = np.arange(4.0) * (1 + cell[1])
        values = {"total": total(cell), "epoch_loss": curve, "words": EVIL}
        held.write(cell, values, {"host": EVIL, "fingerprint": "f" * 64})
    held.fail(cells[-1], {"error": EVIL, "status": "failed"})
    return path


def test_points_are_the_means_over_the_axes_that_are_not_shown(store):
    view = SweepView(store)
    points = {(p.x, p.line): p for p in view.points("total", "a", "kind")}
    both = [total((1, 1, 0)), total((1, 1, 1))]
    assert points[1, 1].mean == pytest.approx(np.mean(both))
    assert points[1, 1].sd == pytest.approx(np.std(both, ddof=1))
    assert points[1, 1].cells == ((1, 1, 0), (1, 1, 1))
    assert points[0, 0].mean == total((0, 0, 1)), "a missing cell does not count"
    assert (points[0, 0].n, points[2, 1].n) == (1, 1)
    (fixed,) = [p for p in view.points("total", "a", None, {"seed": 1}) if p.x == 1]
    assert fixed.mean == pytest.approx(np.mean([total((0, 1, 1)), total((1, 1, 1))]))


def test_counts_and_reasons_are_told(store):
    view = SweepView(store)
    assert view.counts() == {"done": 10, "missing": 1, "failed": 1}
    assert view.failures() == [((1, 2, 1), EVIL)]
    assert view.variables == ["total"]


def test_all_text_of_a_store_is_escaped(store):
    view = SweepView(store)
    for html in (summary_html(view), cells_html(view, [(1, 0, 0), (1, 2, 1)])):
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;" in html


def test_rows_that_differ_are_marked(store):
    html = cells_html(SweepView(store), [(0, 1, 0), (0, 2, 0)])
    marked = [part for part in html.split("<tr") if "fff3cd" in part]
    heads = [part.split("</th>")[0].rsplit(">", 1)[1] for part in marked]
    assert heads == ["cell", "a", "run it alone"]


def test_a_report_does_not_tell_where_it_was_made(store):
    html = report_html(store)
    assert str(store.parent) not in html
    assert f"--out {store.parent.name} " in html
    assert ">host<" not in html


def test_units_stand_at_the_axes(store):
    view = SweepView(store)
    plot, _ = plot_of(view, "total", GRID.axes[1], None, {})
    assert plot.yaxis[0].axis_label == "total (s)"


def test_an_empty_sweep_says_so(tmp_path):
    grid = plain_grid()
    run_sweep(grid, tmp_path / "s", study=Plain(), only={"a": 1.0, "b": 0})
    (tmp_path / "s" / STORE / "status" / "c" / "0" / "0").unlink()
    assert "No cell is done yet" in summary_html(SweepView(tmp_path / "s"))
    assert "No cell is done yet" in report_html(tmp_path / "s")


def test_no_store_is_one_line(tmp_path):
    with pytest.raises(InputError, match="store must be a sweep"):
        server(tmp_path)


@pytest.fixture(scope="module")
def served(store):
    """The server's port, while it serves."""
    ready, running = threading.Event(), []

    def serve():
        import asyncio

        asyncio.set_event_loop(asyncio.new_event_loop())
        running.append(server(store))
        running[0].start()
        ready.set()
        running[0].io_loop.start()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(30)
    yield running[0].port
    running[0].io_loop.add_callback(running[0].io_loop.stop)
    thread.join()
    running[0].stop()


def test_it_listens_on_loopback_alone(served):
    listening = [
        c.laddr.ip
        for c in psutil.Process().net_connections()
        if c.status == psutil.CONN_LISTEN and c.laddr.port == served
    ]
    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("origin", "answer"), [("http://evil.example", b"403"), (None, b"101")]
)
def test_a_page_from_elsewhere_cannot_open_its_socket(served, origin, answer):
    origin = origin or f"http://127.0.0.1:{served}"
    page = urllib.request.urlopen(f"http://127.0.0.1:{served}/").read().decode()
    token = page.split('"token":"')[1].split('"')[0]
    request = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{served}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        f"Sec-WebSocket-Protocol: bokeh, {token}\r\nOrigin: {origin}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served)) as link:
        link.sendall(request.encode())
        assert link.recv(100).split()[1] == answer


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../../x", "/x"]
)
def test_no_path_reaches_a_file(served, path):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{served}{path}")
    assert refused.value.code in (403, 404)
    refused.value.close()


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium and chromedriver on this machine")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--window-size=1300,1000"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    yield found
    found.quit()


def _until(browser, script, *, seconds=20):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds, poll_frequency=0.05).until(
        lambda b: b.execute_script(script)
    )


# while a plot takes the place of another there are two of its models
MODEL = (
    "((name) => [...Bokeh.documents[0]._all_models.values()]"
    ".filter((m) => m.name === name).at(-1))"
)
READY = f"return window.Bokeh && Bokeh.documents.length && {MODEL}('points')"
MEANS = f"return Array.from({MODEL}('points').data['mean'])"
# the middle of the plot's point number n, in pixels of the page
PLACE = """
const find = (view) => [view, ...[...(view.child_views ?? [])].flatMap(find)]
const views = Object.values(Bokeh.index.roots ?? [...Bokeh.index]).flatMap(find)
const plot = views.find((v) => v.model.name == "plot")
const source = MODEL("points")
const box = plot.el.getBoundingClientRect()
return [box.left + plot.frame.bbox.left + plot.frame.x_scale.compute(source.data.x[N])
        - plot.frame.bbox.left,
        box.top + plot.frame.y_scale.compute(source.data.mean[N])]
"""


def _click(browser, number):
    from selenium.webdriver.common.action_chains import ActionChains

    x, y = browser.execute_script(
        PLACE.replace("[N]", f"[{number}]").replace("MODEL", MODEL)
    )
    body = browser.find_element("tag name", "body")
    rect = browser.execute_script(
        "const r = document.body.getBoundingClientRect();"
        "return [r.left + r.width / 2, r.top + r.height / 2]"
    )
    actions = ActionChains(browser)
    actions.move_to_element_with_offset(body, int(x - rect[0]), int(y - rect[1]))
    actions.click().perform()


def test_in_a_browser_choices_change_the_plot_and_a_click_shows_the_run(
    served, browser, store
):
    view = SweepView(store)
    browser.get(f"http://127.0.0.1:{served}/")
    _until(browser, READY)
    across, line = view.axes[0].name, view.axes[1].name
    expected = [p.mean for p in view.points("total", across, line) if p.n]
    np.testing.assert_allclose(browser.execute_script(MEANS), expected)

    browser.execute_script(f"{MODEL}('x').value = 'seed'")
    expected = [p.mean for p in view.points("total", "seed", line) if p.n]
    _until(
        browser,
        f"{MEANS.removeprefix('return ')}.length == {len(expected)}".join(
            ("return ", "")
        ),
    )
    np.testing.assert_allclose(browser.execute_script(MEANS), expected)

    browser.execute_script(f"{MODEL}('x').value = 'a'")
    browser.execute_script(f"{MODEL}('only seed').value = '2'")
    points = [p for p in view.points("total", "a", line, {"seed": 1}) if p.n]
    _until(
        browser,
        f"return Array.from({MODEL}('points').data['mean'])[0] == {points[0].mean}",
    )
    _click(browser, 1)
    text = _until(
        browser,
        f"const t = {MODEL}('details').text; return t.includes('<table') && t",
    )
    assert view.grid.label(points[1].cells[0]).split(",")[1] in text
    assert "denram-analyze sweep --out" in text
    curve = _until(
        browser,
        f"const c = {MODEL}('curve loss'); return c && c.renderers[0]"
        ".data_source.data.y && Array.from(c.renderers[0].data_source.data.y)",
    )
    np.testing.assert_array_equal(curve, np.arange(4.0) * (1 + points[1].x))


def test_in_a_browser_nothing_of_a_store_runs(served, browser):
    browser.get(f"http://127.0.0.1:{served}/")
    _until(browser, READY)
    browser.execute_script(f"{MODEL}('x').value = 'kind'")
    browser.execute_script(f"{MODEL}('line').value = 'a'")
    _until(browser, f"return {MODEL}('points').data.where[0].includes(', a=')")
    browser.execute_script(f"{MODEL}('points').selected.indices = [0, 1, 2, 3]")
    _until(browser, f"return {MODEL}('details').text.includes('&lt;script')")
    assert browser.execute_script("return window.hacked") is None


def test_in_a_browser_the_report_needs_nothing_from_outside(
    browser, store, tmp_path, served
):
    file = tmp_path / "report.html"
    file.write_text(report_html(store), encoding="utf-8")
    browser.get_log("performance")
    browser.get(file.as_uri())
    where = "of total along a"
    _until(browser, READY.replace("points", f"points {where}"))
    browser.execute_script(f"{MODEL}('points {where}').selected.indices = [1]")
    _until(browser, f"return {MODEL}('picked {where}').text.includes('<table')")
    assert browser.execute_script("return window.hacked") is None
    asked = [entry["message"] for entry in browser.get_log("performance")]
    sent = [m for m in asked if '"Network.requestWillBeSent"' in m]
    assert sent
    assert [m for m in sent if '"url":"http' in m] == []


TAG = "<img src=x onerror=window.hacked=1>"
NAMED = Grid(
    "named",
    (Axis.of("a", [1.0, 2.0]), Axis("kind", ("D2;id", "32 in"), {"k": (1, 2)})),
)


def held(path, grid=NAMED):
    """A store with draws, and results whose very names want to run."""
    layout = Layout(
        {
            "tiny": Variable(("draw",), (3,), units="F"),
            TAG: Variable(),
            "row": Variable(("bin",), (4,)),
        }
    )
    create(path, Head(grid, (grid.shape,), built_by()), layout)
    writer = SweepStore(path)
    for cell in grid.cells():
        tiny = 1e-13 * (np.array([1.0, 2.0, 6.0]) + sum(cell))
        values = {"tiny": tiny, TAG: 1.0, "row": np.arange(4.0)}
        writer.write(cell, values, {})
    return path


def _drawn(view, name="tiny") -> Any:
    _, source = plot_of(view, name, view.grid.axes[0], view.grid.axes[1], {})
    return source.data


def test_hover_keeps_the_digits_of_small_values_and_the_sd_over_draws(tmp_path):
    data = _drawn(SweepView(held(tmp_path / STORE)))
    draws = 1e-13 * np.array([1.0, 2.0, 6.0])
    assert float(data["mean_text"][0]) == pytest.approx(draws.mean(), rel=1e-4)
    assert float(data["inner_text"][0]) == pytest.approx(draws.std(ddof=1), rel=1e-4)


def test_the_command_of_a_cell_is_one_command_to_a_shell(tmp_path):
    path = held(tmp_path / "a b" / STORE)
    text = markup.unescape(cells_html(SweepView(path), [(0, 0)]))
    line = text[text.index("denram-analyze sweep") :].split("</td>")[0]
    wanted = f"--out\n{path.parent}\n--only\na=1,kind=D2;id\n--retry-failed"
    assert shlex.split(line) == ["denram-analyze", "sweep", *wanted.split("\n")]


def test_a_label_that_would_press_keys_is_spelt_without_them(tmp_path):
    keys = ("\x03id\n",)
    grid = Grid("keys", (Axis("kind", keys, {"k": (1,)}), Axis.of("a", [1])))
    text = markup.unescape(
        cells_html(SweepView(held(tmp_path / STORE, grid)), [(0, 0)])
    )
    line = text[text.index("denram-analyze sweep") :].split("</td>")[0]
    assert line.isprintable()
    words = shlex.split(line)
    assert selected(words[words.index("--only") + 1]) == {"kind": keys[0], "a": "1"}


def ask(port, *lines):
    """Status of the answer to a request."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(link.recv(100).split()[1])


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1:{}", 200),
        ("LocalHost:{}", 200),
        ("evil.com:{}", 403),
        ("evil.com", 403),
        ("127.0.0.1", 403),
        ("127.0.0.1:1", 403),
        ("127.0.0.1:{}.evil.com", 403),
        ("", 403),
    ],
)
def test_only_requests_that_name_this_address_are_answered(served, host, answer):
    name = host.format(served)
    assert ask(served, "GET / HTTP/1.1", f"Host: {name}") == answer
    page = urllib.request.urlopen(f"http://127.0.0.1:{served}/").read().decode()
    token = page.split('"token":"')[1].split('"')[0]
    upgrade = upgraded(name, f"bokeh, {token}", f"http://{name}")
    assert ask(served, *upgrade) == {200: 101, 403: 403}[answer]


def upgraded(host, protocol, origin):
    """Lines that ask for a websocket."""
    return [
        "GET /ws HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
        *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []),
        f"Origin: {origin}",
    ]


@pytest.mark.parametrize(
    "protocol", [None, "bokeh", "bokeh, x", "chat, {}", "bokeh, e30="]
)
def test_a_socket_without_a_page_s_protocol_is_refused_in_silence(
    served, protocol, caplog
):
    host = f"127.0.0.1:{served}"
    page = urllib.request.urlopen(f"http://{host}/").read().decode()
    token = page.split('"token":"')[1].split('"')[0]
    protocol = protocol and protocol.format(token)
    assert ask(served, *upgraded(host, protocol, f"http://{host}")) == 403
    assert [r for r in caplog.records if r.exc_info or r.levelname == "ERROR"] == []


@pytest.mark.parametrize("record", [[1], "text", 5, None])
def test_a_record_that_is_no_table_is_passed_over(tmp_path, record):
    path = held(tmp_path / STORE)
    SweepStore(path).fail((1, 0), {})
    root: Any = zarr.open_group(path, mode="r+")
    root["provenance/record"][...] = json.dumps(record)
    assert "run it alone" in cells_html(SweepView(path), [(0, 0)])
    assert "Failed cells" in report_html(path)


@pytest.mark.parametrize("name", ["99", "0"])
def test_a_status_that_is_out_of_place_or_empty_is_one_line(tmp_path, name):
    path = held(tmp_path / STORE)
    (path / "status" / "c" / "0" / name).write_bytes(
        b"" if name == "0" else (path / "status" / "c" / "0" / "0").read_bytes()
    )
    with pytest.raises(InputError, match="is damaged"):
        SweepView(path)


def test_a_row_is_not_read_at_a_size_that_memory_cannot_hold(tmp_path):
    path = held(tmp_path / STORE)
    file = path / "row" / "zarr.json"
    head = json.loads(file.read_text())
    head["shape"][-1] = head["chunk_grid"]["configuration"]["chunk_shape"][-1] = 10**12
    file.write_text(json.dumps(head))
    root = json.loads((path / "zarr.json").read_text())
    del root["attributes"]["files"], root["attributes"]["seal"]
    (path / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(InputError, match="memory"):
        SweepView(path).curves((0, 0))


def _press(button: Any):
    button._trigger_event(ButtonClick(button))


def _source(page) -> Any:
    return page.plot.children[0].select_one({"name": "points"})


def test_reload_takes_in_a_sweep_that_grew_and_tells_what_it_cannot_read(tmp_path):
    page = Page(SweepView(held(tmp_path / STORE)))
    shutil.rmtree(tmp_path / STORE)
    longer = (Axis.of("a", [1.0, 2.0, 3.0]), NAMED.axes[1])
    held(tmp_path / STORE, Grid("named", longer))
    _press(page.reload)
    options: Any = page.fixed["a"].options
    assert options[1:] == ["1", "2", "3"]
    assert len(_source(page).data["x"]) == 6
    (tmp_path / STORE / "status" / "c" / "0" / "0").write_bytes(b"damage")
    _press(page.reload)
    assert "damaged" in page.head.text


def test_rows_that_are_no_curves_have_their_own_axis(tmp_path):
    view = SweepView(held(tmp_path / STORE))
    plots = {plot.title.text: plot for plot in curves_plots(view, [(0, 0), (1, 0)])}
    assert plots["row"].xaxis[0].axis_label == "bin"


def test_many_cells_behind_a_point_are_not_cut_off_in_silence(tmp_path):
    grid = Grid("many", (Axis.of("a", [1]), Axis.of("seed", list(range(11)))))
    page = Page(SweepView(held(tmp_path / STORE, grid)))
    page.line.value = "(none)"
    _source(page).selected.indices = [0]
    assert "first 8 of 11 cells" in page.details.text


def test_in_a_browser_not_even_the_name_of_a_result_runs(browser, tmp_path):
    path = held(tmp_path / STORE)
    file = tmp_path / "report.html"
    file.write_text(report_html(path), encoding="utf-8")
    browser.get(file.as_uri())
    _until(browser, f"return window.Bokeh && {MODEL}('points') !== 0")
    _until(browser, f"const d = {EVERY_TEXT}; return d.includes('state')")
    assert TAG in browser.execute_script(f"return {EVERY_TEXT}")
    time.sleep(0.5)  # a picture that cannot be loaded tells it late
    assert browser.execute_script("return window.hacked") is None


# Bokeh draws into shadow roots
EVERY_TEXT = (
    "(function all(n) { return (n.shadowRoot ? all(n.shadowRoot) : '') +"
    " [...n.childNodes].map((c) => c.nodeType == 3 ? c.data : all(c)).join('|') })"
    "(document.body)"
)
