"""Real decision services, over HTTP and as processes: a sample in Java and one in Python, and some that misbehave."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import msgspec
import pytest

from adapters.decisions import connect_http, connect_stdio
from adapters.services.nearest import ABOUT, decide
from tests.world.deciders import between_two, nearest, outside
from twin.cli import main
from twin.core.events import SourcingDecided
from twin.core.sourcing import Candidate as RuleCandidate
from twin.core.sourcing import SourcingContext, source
from twin.core.sourcing import SourcingLine as RuleLine
from twin.decisions import (
    ANSWER_MAX,
    INSTANT_MAX,
    Answer,
    AnswerLeg,
    Candidate,
    Decider,
    DecisionFailed,
    Line,
    PromiseAnswer,
    Promised,
    PromiseLine,
    PromiseQuestion,
    Question,
    ReleaseAnswer,
    ReleaseQuestion,
    ServiceRefused,
    SourcingAnswer,
    SourcingQuestion,
    answer_of,
    connect,
    question_of,
    schema_text,
    schemas,
)
from twin.run import Twin, load
from twin.scenario.units import format_instant

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT.parent / "shared/data/online_retail/orders_2010-03_2010-04.csv.gz"
JAVA = ROOT / "adapters" / "services" / "java" / "Nearest.java"


def question(request: str = "O1/source/1", **changes: Any) -> SourcingQuestion:
    """Three units of a mug, five of which are near and fifty far; `changes` on top."""
    near = Candidate("near", 5, 0, 4, 100, 0, False, "closed")
    far = Candidate("far", 50, 0, 9, 300, 0, False, "open")
    asked = SourcingQuestion(
        1,
        "sourcing",
        request,
        7,
        "O1",
        "web",
        "ann",
        "home",
        "A",
        9,
        "",
        True,
        False,
        (Line(1, "mug", 3, 450, (far, near)),),
    )
    return msgspec.structs.replace(asked, **changes)


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts the Java sample, compiled once, with so many ms for an answer; gives its address."""
    if shutil.which("javac") is None:
        pytest.skip("no JDK here: javac is not on the path")
    classes = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-d", str(classes), str(JAVA)], check=True)
    started: list[subprocess.Popen[str]] = []

    def start(delay_ms: int = 0) -> str:
        command = ["java", "-cp", str(classes), "Nearest", "0", str(delay_ms)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return f"http://127.0.0.1:{process.stdout.readline().split()[-1]}"

    yield start
    for process in started:
        process.kill()
        process.communicate()


@contextmanager
def server(answer: Callable[[str, bytes], tuple[int, bytes]]) -> Iterator[str]:
    """An HTTP server on loopback whose answers are a function of path and body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, data = answer(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def saying(**changes: Any) -> Callable[[str, bytes], tuple[int, bytes]]:
    """A sound service that says of itself what the sample says, with `changes`."""

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        told = {**ABOUT, **changes} if path == "/about" else decide(json.loads(body)) if path == "/sourcing" else {}
        return 200, json.dumps(told).encode()

    return answer


# --- the samples


def test_the_java_sample_decides_as_the_python_one(java: Callable[..., str]) -> None:  # PL-01
    service = connect_http(java())
    assert service.about.version == "java 1"
    sample = nearest()
    awkward = question(order='O"1\\\n\u20ac', customer="\u0001 M\u00fcller")
    for asked in (
        question(),
        awkward,
        question(lines=()),
        question(lines=(Line(1, "mug", 60, 450, question().lines[0].candidates),)),
        question(lines=(Line(1, "mug", 30, 450, question().lines[0].candidates),), split_lines=False),
        question(lines=(Line(1, "mug", 60, 450, question().lines[0].candidates),), reject_shortage=True),
        question(lines=(Line(1, "mug", 1, 450, ()),)),
        question(lines=tuple(Line(number, "mug", 4, 450, question().lines[0].candidates) for number in (1, 2, 3))),
    ):
        assert service.decide(asked) == sample.decide(asked)
    service.close()


def test_the_java_sample_promises_as_the_python_one(java: Callable[..., str]) -> None:  # PL-01
    service = connect_http(java())
    lines = tuple(PromiseLine(number, "mug", (), at, 0) for number, at in enumerate((0, 1, 3_599_999, 3_600_000), 1))
    asked = PromiseQuestion(1, "promise", "O1/promise/1", 7, "O1", "web", "ann", "home", "A", 9, lines)
    assert service.decide(asked) == nearest().decide(asked)
    service.close()


def test_a_run_with_the_java_sample_is_the_run_with_the_rule_inside(  # PL-01
    java: Callable[..., str], tmp_path: Path
) -> None:
    scenario = outside(between_two(busy=True))
    with_java = Twin(scenario).run(out=tmp_path / "java", services={"nearest": java()})
    slower = Twin(scenario).run(out=tmp_path / "slow", services={"nearest": java(3)})
    sample = Twin(scenario).run(out=tmp_path / "sample", services={"nearest": nearest()})
    off = Twin(scenario).run(out=tmp_path / "off", services={"nearest": f"recorded:{tmp_path / 'java'}"})
    assert with_java.digest == slower.digest == sample.digest == off.digest


class Compared:
    """A service whose decisions are held against the built-in rule `nearest` on the same question."""

    def __init__(self, service: Decider) -> None:
        self.service = service
        self.about = service.about
        self.asked = self.agreed = 0

    def decide(self, question: Question) -> Answer:
        answer = self.service.decide(question)
        assert isinstance(question, SourcingQuestion)
        assert isinstance(answer, SourcingAnswer)
        lines = [
            RuleLine(
                line.line,
                line.sku,
                line.quantity,
                tuple(
                    RuleCandidate(one.node, one.available, one.transit_ms, one.cost_minor, one.to_order)
                    for one in line.candidates
                ),
            )
            for line in question.lines
        ]
        context = SourcingContext(
            question.now,
            question.order,
            question.region,
            tuple(lines),
            question.preferred,
            question.split_lines,
            question.reject_shortage,
        )
        inside = [(leg.line, leg.route, leg.node, leg.quantity) for leg in source(context, ["nearest"]).legs]
        self.asked += 1
        self.agreed += inside == [(leg.line, leg.route, leg.node, leg.quantity) for leg in answer.legs]
        return answer

    def reset(self, seed: int) -> None:
        self.service.reset(seed)

    def close(self) -> None:
        self.service.close()


@pytest.mark.skipif(not BOOK.exists(), reason="the Online Retail II sample is not beside the project")
@pytest.mark.parametrize("horizon", ["4d", pytest.param("61d", marks=pytest.mark.deep)])
def test_the_java_sample_sources_the_real_book_as_the_rule_inside(  # PL-01, PL-04
    java: Callable[..., str], tmp_path: Path, horizon: str
) -> None:
    scenario = load(
        ROOT / "scenarios" / "online_retail.yaml",
        {
            "run": {"horizon": horizon},
            "services": [{"id": "nearest"}],
            "policies": {"sourcing": {"rules": ["nearest"], "outside": {"service": "nearest"}}},
        },
    ).scenario
    compared = Compared(connect_http(java()))
    run = Twin(scenario).run(out=tmp_path / "run", services={"nearest": compared})
    assert compared.agreed == compared.asked > 100
    compared.close()
    decided = [event for entry in run.entries() for event in entry.events if isinstance(event, SourcingDecided)]
    assert {event.decided_by for event in decided} == {"decision/nearest"}
    off = Twin(scenario).run(out=tmp_path / "off", services={"nearest": f"recorded:{tmp_path / 'run'}"})
    assert off.digest == run.digest


def test_the_python_sample_answers_over_http_by_fastapi(tmp_path: Path) -> None:  # PL-01
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "adapters.services.app:app",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    with subprocess.Popen(command) as process:
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                sleep(0.05)
            service = connect_http(f"http://127.0.0.1:{port}")
            assert service.decide(question()) == nearest().decide(question())
            service.close()
        finally:
            process.kill()


def test_the_python_sample_answers_as_a_process(tmp_path: Path) -> None:  # PL-01
    scenario = outside(between_two(busy=True))
    command = f"stdio:{sys.executable} -m adapters.services"
    run = Twin(scenario).run(out=tmp_path / "run", services={"nearest": command})
    assert run.digest == Twin(scenario).run(out=tmp_path / "sample", services={"nearest": nearest()}).digest


# --- HTTP services that misbehave


@pytest.mark.parametrize(
    ("status", "data", "outcome", "reason"),
    [
        (500, b"boom", "failed", "HTTP 500 boom"),
        (503, b"", "failed", "HTTP 503"),
        (429, b"later", "failed", "HTTP 429 later"),
        (422, b'{"detail":"no such region"}', "refused", 'HTTP 422 {"detail":"no such region"}'),
        (200, b"", "refused", "no answer: Input data was truncated"),
        (200, b"\xff\xfe", "refused", "no answer: JSON is malformed"),
        (200, b'{"legs":[{"line":1,"route":"stock"', "refused", "no answer: Input data was truncated"),
        (200, b'{"legs":[{"line":1,"route":"by_mule","node":"a","quantity":1}]}', "refused", "Invalid enum value"),
        (200, b'{"legs":[{"line":1,"route":"stock","node":"a","quantity":1.5}]}', "refused", "Expected `int`"),
        (200, b'{"legs":[],"note":"hi"}', "refused", "unknown field `note`"),
        (
            200,
            b'{"legs":[{"line":1,"route":"stock","node":"a","quantity":9007199254740992}]}',
            "refused",
            "Expected `int` <= 9007199254740991",
        ),
        (
            200,
            b'{"legs":[{"line":1,"route":"stock","node":"a","quantity":1,"reason":"A b"}]}',
            "refused",
            "matching regex",
        ),
    ],
)
def test_what_is_no_answer_has_failed_or_is_refused(status: int, data: bytes, outcome: str, reason: str) -> None:
    with server(lambda path, body: (200, json.dumps(ABOUT).encode()) if path == "/about" else (status, data)) as at:
        service = connect_http(at)
        with pytest.raises(DecisionFailed) as caught:
            service.decide(question())
        service.close()
    assert caught.value.outcome == outcome
    assert reason in caught.value.reason


def test_a_date_that_nobody_can_write_is_no_answer() -> None:  # PL-01
    last = INSTANT_MAX
    assert answer_of("promise", b'{"lines":[{"line":1,"at":%d}]}' % last) == PromiseAnswer((Promised(1, last),))
    assert format_instant(last) == "9999-12-31T23:59:59.999Z"
    for at in (last + 1, -1):
        with pytest.raises(DecisionFailed, match="refused: no answer: Expected `int`"):
            answer_of("promise", b'{"lines":[{"line":1,"at":%d}]}' % at)


def test_a_service_that_takes_too_long_has_failed_and_is_asked_anew() -> None:
    sound, slow = saying(), [True]

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/sourcing" and slow:
            slow.clear()
            sleep(1.0)
        return sound(path, body)

    with server(answer) as at:
        service = connect_http(f"{at}?timeout=0.2")
        with pytest.raises(DecisionFailed, match=r"failed: no answer within 0\.2 s"):
            service.decide(question())
        assert service.decide(question()).legs[0].node == "near"
        service.close()


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    with server(saying()) as at:
        service = connect_http(at)
        service.decide(question())
        assert service._connection.sock is not None
        service._connection.sock.shutdown(socket.SHUT_RDWR)
        assert service.decide(question()).legs[0].node == "near"
        service.close()


def test_a_service_that_goes_away_has_failed() -> None:
    with server(saying()) as at:
        service = connect_http(at)
    service._connection.close()
    with pytest.raises(DecisionFailed, match="failed: connection refused"):
        service.decide(question())


@contextmanager
def raw(*answers: bytes, pause: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """A server that says what it is, and then gives each question on the same connection the next bytes, one at a
    time where it pauses, before it hangs up; the questions it got."""
    told = json.dumps(ABOUT).encode()

    def requested(link: socket.socket) -> bytes:
        """A whole request, so that hanging up is no reset."""
        with link.makefile("rb") as file:
            head = list(takewhile(lambda line: line.strip(), file))
            length = next((int(line.split()[1]) for line in head if line.startswith(b"Content-Length")), 0)
            return b"".join(head) + file.read(length)

    asked: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        left = list(answers)
        while True:
            try:
                link, _ = listening.accept()
            except OSError:
                return
            with link, suppress(OSError):
                requested(link)
                link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
                while left and (text := requested(link)):
                    asked.append(text)
                    data = left.pop(0)
                    for part in [data[at : at + 1] for at in range(len(data))] if pause else [data]:
                        link.sendall(part)
                        sleep(pause)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"])
def test_an_answer_that_comes_in_drops_has_failed_once_its_time_is_over(head: bytes) -> None:  # PL-01
    with raw(head + b"x" * 400, pause=0.02) as (at, _):
        service = connect_http(f"{at}?timeout=0.5")
        begun = monotonic()
        with pytest.raises(DecisionFailed, match=r"failed: no answer within 0\.5 s"):
            service.decide(question())
        assert monotonic() - begun < 3
        service.close()


def test_an_answer_that_breaks_off_has_failed_and_is_not_asked_for_again_by_itself() -> None:  # PL-01
    # A resettable service counts what it is asked: a question that it has begun to answer goes out no second time.
    with raw(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"legs":[') as (at, asked):
        service = connect_http(at)
        with pytest.raises(DecisionFailed, match=r"failed: IncompleteRead"):
            service.decide(question())
        service.close()
    assert len(asked) == 1


def test_an_endless_answer_is_none() -> None:  # PL-01
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"
    with raw(head + b" " * (ANSWER_MAX + 1)) as (at, _):
        service = connect_http(at)
        with pytest.raises(DecisionFailed, match="refused: no answer: more than 4 MiB"):
            service.decide(question())
        service.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [("node", "n" * 201), ("node", "\x1b[2J"), ("node", "north\n"), ("runner_up", "r" * 201)],
)
def test_names_are_short_and_printed(field: str, value: str) -> None:  # PL-01
    leg = {"line": 1, "route": "stock", "node": "near", "quantity": 3, field: value}
    with pytest.raises(DecisionFailed, match="refused: no answer: Expected `str`"):
        answer_of("sourcing", json.dumps({"legs": [leg]}).encode())


@pytest.mark.parametrize("at", [-1, 253_402_300_800_000, 2**70])
def test_a_date_that_no_calendar_has_is_no_answer(at: int) -> None:  # PL-01
    with pytest.raises(DecisionFailed, match="refused: no answer: "):
        answer_of("promise", json.dumps({"lines": [{"line": 1, "at": at}]}).encode())


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("http://no such host", "has a blank or a letter that no address has; write http://HOST:PORT"),
        ("http://", "names no host; write http://HOST:PORT"),
        ("http://127.0.0.1:99999", "Port out of range"),
        ("http://127.0.0.1:1?timeout=soon", r"only timeout=SECONDS is known, more than 0 and at most 3600"),
        ("http://127.0.0.1:1?retries=2", r"only timeout=SECONDS is known"),
        ("http://127.0.0.1:1", "no decision service: connection refused; start one"),
        ("stdio:", "names no command"),
        ("stdio?timeout=0:true", "only timeout=SECONDS is known, more than 0 and at most 3600"),
        ("stdio:'", "No closing quotation; quote the command as in a shell"),
        ("stdio:/no/such/program", "no decision service: No such file or directory"),
        ("stdio:true", "no decision service: the process has ended"),
        ("stdio:echo hello", "no decision service: its first line is not what it says of itself"),
    ],
)
def test_an_address_where_nobody_decides_is_told(address: str, text: str) -> None:
    with pytest.raises(ServiceRefused, match=text):
        connect(address, ("sourcing",), live_only=True)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mode": "sometimes"}, "no decision service: Invalid enum value 'sometimes'"),
        ({"decisions": ["promise"]}, "says that it decides promise; it is asked about sourcing"),
        ({"mode": "live_only"}, "live_only: its answers hang on what it was asked before"),
    ],
)
def test_a_service_that_is_not_fit_for_it_is_refused(changes: dict[str, Any], text: str) -> None:  # PL-02
    with server(saying(**changes)) as at, pytest.raises(ServiceRefused, match=text):
        connect(at, ("sourcing",), live_only=False)


def test_a_live_only_service_decides_one_run_and_no_experiment(tmp_path: Path) -> None:  # PL-02
    with server(saying(mode="live_only")) as at:
        scenario = outside(between_two()).with_changes({"services": [{"id": "nearest", "address": at}]})
        path = tmp_path / "live.yaml"
        path.write_text(scenario.to_yaml(), encoding="utf-8")
        assert main(["run", str(path), "--out", str(tmp_path / "run"), "--quiet", "--no-report"]) == 0
        assert main(["check", str(path), "--quiet"]) == 2


def test_a_resettable_service_is_reset_before_a_run(tmp_path: Path) -> None:  # PL-02
    sound, resets = saying(mode="resettable"), []

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/reset":
            resets.append(json.loads(body))
        return sound(path, body)

    with server(answer) as at:
        for seed in (5, 6):
            Twin(outside(between_two())).run(seed, tmp_path / str(seed), services={"nearest": at})
    assert resets == [{"seed": 5}, {"seed": 6}]


def test_a_service_that_cannot_be_reset_is_told(tmp_path: Path) -> None:
    sound = saying(mode="resettable")
    with (
        server(lambda path, body: (404, b"") if path == "/reset" else sound(path, body)) as at,
        pytest.raises(ServiceRefused, match="POST /reset answers 404; a resettable service answers 200"),
    ):
        Twin(outside(between_two())).run(1, tmp_path / "run", services={"nearest": at})


# --- processes that misbehave


def script(folder: Path, text: str, timeout: float | None = None) -> str:
    """A Python program as a service; `say` writes a line."""
    path = folder / "service.py"
    head = "import json, sys, time\ndef say(x): print(json.dumps(x), flush=True)\n"
    path.write_text(f"{head}ABOUT = {ABOUT!r}\n{text}", encoding="utf-8")
    scheme = "stdio" if timeout is None else f"stdio?timeout={timeout}"
    return f"{scheme}:{sys.executable} {path}"


def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    service = connect_stdio(
        script(
            tmp_path,
            "sys.stdin.readline(); say(ABOUT)\n"
            "from adapters.services.nearest import decide\n"
            "say(decide(json.loads(sys.stdin.readline())))\n",
        )
    )
    assert service.decide(question()).legs[0].node == "near"
    with pytest.raises(DecisionFailed, match="the process has ended"):
        service.decide(question())
    assert service.decide(question()).legs[0].node == "near"
    service.close()


def test_an_interrupt_at_the_keyboard_does_not_reach_a_process(tmp_path: Path) -> None:
    """It is for whoever asks it; the process would tell of it on the same terminal."""
    group = tmp_path / "group"
    service = connect_stdio(
        script(
            tmp_path,
            f"import os\nopen({str(group)!r}, 'w').write(str(os.getpgid(0)))\nsys.stdin.readline(); say(ABOUT)\n",
        )
    )
    service.close()
    assert int(group.read_text(encoding="utf-8")) != os.getpgid(0)


def test_a_process_that_writes_nonsense_is_refused(tmp_path: Path) -> None:
    service = connect_stdio(
        script(tmp_path, "sys.stdin.readline(); say(ABOUT)\nfor line in sys.stdin: print('a mule', flush=True)\n")
    )
    with pytest.raises(DecisionFailed, match="refused: no answer: JSON is malformed"):
        service.decide(question())
    service.close()


def test_a_process_that_writes_a_line_too_many_has_failed(tmp_path: Path) -> None:
    # Otherwise each question from then on would get the answer of the one before.
    service = connect_stdio(
        script(
            tmp_path,
            "from adapters.services.nearest import decide\n"
            "sys.stdin.readline(); say(ABOUT)\n"
            "for line in sys.stdin:\n"
            "    say(decide(json.loads(line)))\n"
            "    if 'O1/source/1' in line: say({'legs': []})\n",
        )
    )
    assert service.decide(question()).legs[0].node == "near"
    sleep(0.2)
    with pytest.raises(DecisionFailed, match="failed: it wrote a line that nobody asked for"):
        service.decide(question("O2/source/1"))
    assert service.decide(question("O2/source/1")).legs[0].node == "near"
    service.close()


def test_a_process_that_writes_in_drops_has_failed_once_its_time_is_over(tmp_path: Path) -> None:  # PL-01
    drops = "while True:\n    sys.stdout.write('x'); sys.stdout.flush(); time.sleep(0.02)\n"
    service = connect_stdio(script(tmp_path, f"sys.stdin.readline(); say(ABOUT); sys.stdin.readline()\n{drops}", 0.5))
    begun = monotonic()
    with pytest.raises(DecisionFailed, match=r"failed: no answer within 0\.5 s"):
        service.decide(question())
    assert monotonic() - begun < 5


def test_a_process_that_does_not_read_holds_up_nobody(tmp_path: Path) -> None:  # PL-01
    service = connect_stdio(script(tmp_path, "sys.stdin.readline(); say(ABOUT)\ntime.sleep(60)\n", 0.3))
    long = question(customer="a" * 1_000_000)
    with pytest.raises(DecisionFailed, match=r"failed: it does not read its question within 0\.3 s"):
        service.decide(long)


def test_a_question_longer_than_a_pipe_is_asked_whole(tmp_path: Path) -> None:  # PL-01
    count = "for line in sys.stdin: say({'release': False, 'reason': str(len(json.loads(line)['customer']))})\n"
    service = connect_stdio(script(tmp_path, f"sys.stdin.readline(); say(ABOUT)\n{count}"))
    asked = ReleaseQuestion(1, "release", "r", 0, "O1", "web", "a" * 1_000_000, "home", "A", 9, 0, ())
    assert service.decide(asked) == ReleaseAnswer(False, "1000000")
    service.close()


def test_a_process_that_writes_an_endless_line_is_refused(tmp_path: Path) -> None:  # PL-01
    endless = "while True: sys.stdout.write('x' * 65536)\n"
    service = connect_stdio(script(tmp_path, f"sys.stdin.readline(); say(ABOUT); sys.stdin.readline()\n{endless}"))
    with pytest.raises(DecisionFailed, match="refused: no answer: more than 4 MiB"):
        service.decide(question())


def test_a_silent_process_has_failed_and_is_ended_at_once_with_what_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has had its time; patience is for those whose run is over."""
    child = tmp_path / "child"
    begins = f"import subprocess\nopen({str(child)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))\n"
    service = connect_stdio(script(tmp_path, f"{begins}sys.stdin.readline(); say(ABOUT)\ntime.sleep(60)\n", 0.2))
    patience: list[float | None] = []
    waits = subprocess.Popen.wait

    def wait(self: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        patience.append(timeout)
        return waits(self, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    with pytest.raises(DecisionFailed, match=r"failed: no answer within 0\.2 s"):
        service.decide(question())
    assert patience[0] == 0
    stat = Path("/proc", child.read_text(encoding="utf-8"), "stat")
    until = monotonic() + 30
    # Killed, and maybe waiting for whoever it was left to.
    while stat.exists() and stat.read_text(encoding="utf-8").split()[2] != "Z" and monotonic() < until:
        sleep(0.02)
    assert not stat.exists() or stat.read_text(encoding="utf-8").split()[2] == "Z"


# --- the wire


def test_every_field_goes_over_the_wire() -> None:
    plain = json.loads(question_of(question()))
    assert list(plain) == list(SourcingQuestion.__struct_fields__)
    assert list(plain["lines"][0]["candidates"][0]) == list(Candidate.__struct_fields__)
    assert msgspec.json.decode(question_of(question()), type=SourcingQuestion) == question()


def test_an_answer_of_the_sample_is_one_of_the_schema() -> None:
    answer = nearest().decide(question())
    assert answer == SourcingAnswer((AnswerLeg(1, "stock", "near", 3, "nearest"),))


@pytest.mark.parametrize("name", list(schemas()))
def test_the_published_schemas_are_those_of_the_code(name: str) -> None:  # PL-01
    path = Path(__file__).resolve().parents[2] / "docs" / "decisions" / f"{name}.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(schemas()[name]), "run python -m twin.decisions"
