"""Bad input through the real command line: one message with place and remedy, exit code 2, nothing half-written."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twin.cli import main
from twin.scenario.limits import SEED_MAX

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = ROOT / "scenarios/minimal.yaml"

HEADER = "order,sku,quantity,at,price,customer,country\n"
FIRST = "A1,mug,2,2025-11-17 09:00,4.50,c1,UK\n"
SECOND = "A2,mug,1,2025-11-17 10:00,4.50,c2,UK\n"
BOOK = """\
title: A book
channels: [{id: web, demand: {kind: book}}]
order_book:
  source: csv
  path: orders.csv
  mapping:
    order: order
    sku: sku
    quantity: quantity
    at: {column: at, format: iso, timezone: UTC}
    price: price
    customer: customer
    country: country
    channels: [{channel: web}]
    regions: {default: home}
"""

Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """A function that runs a command in `tmp_path`, which must leave with 2, say one thing and write nothing."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> str:
        before = _content(tmp_path)
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "Traceback" not in err
        assert "defect" not in err
        assert err.endswith("\n")
        assert _content(tmp_path) == before, "something was written or removed"
        return err.removesuffix("\n")

    return run


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the run `half` and the snapshot `day1.snapshot` of its end."""
    folder = tmp_path_factory.mktemp("halfway")
    told = ["run", str(MINIMAL), "--out", str(folder / "half"), "--until", "1d", "--quiet", "--no-report"]
    assert main([*told, "--snapshot", str(folder / "day1.snapshot")]) == 0
    yield folder


@pytest.fixture
def run_folder(halfway: Path, tmp_path: Path) -> Path:
    """A fresh copy of a finished run, named `run`."""
    shutil.copytree(halfway / "half", tmp_path / "run")
    return tmp_path / "run"


def _scenario(folder: Path, text: str, name: str = "s.yaml") -> None:
    shutil.copy(MINIMAL, folder / "minimal.yaml")
    (folder / name).write_text(f"schema: 1\nextends: minimal.yaml\n{text}", encoding="utf-8")


# --- scenarios


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour: red\n", "twin: s.yaml:3: unknown key 'colour'; keys here: "),
        (
            "run: {start: 2025-11-17T00:00Z, horizon: 2}\n",
            "twin: s.yaml:3: horizon: 2 has no unit; write 2s, 5m, 2h or 1d",
        ),
        (
            "lanes: [{from: main, to: moon, carrier: van, transit: 4h}]\n",
            "twin: s.yaml:3: lane to nowhere: unknown region 'moon'; regions here: home",
        ),
        (
            "stock: [{warehouse: main, item: mug, on_hand: -5}]\n",
            "twin: s.yaml:3: on_hand: -5 is negative; write 0 or more",
        ),
        ("title: [a\n", "twin: s.yaml:4: not valid YAML: "),
        ("run: {seed: one}\n", "twin: s.yaml:3: seed: expected a whole number, got 'one'"),
    ],
)
def test_a_wrong_scenario_is_told_by_line(refused: Refused, tmp_path: Path, text: str, message: str) -> None:
    _scenario(tmp_path, text)
    assert refused("run", "s.yaml", "--out", "out").startswith(message)
    assert refused("check", "s.yaml").startswith(message)


def test_all_problems_of_a_scenario_are_told_at_once(refused: Refused, tmp_path: Path) -> None:
    _scenario(tmp_path, "colour: red\nstock: [{warehouse: main, item: mug, on_hand: -5}]\n")
    lines = refused("run", "s.yaml", "--out", "out").splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["s.yaml:3:", "s.yaml:4:"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "twin: s.yaml: the file is empty; a scenario begins with schema: 1"),
        (b"\xff\xfes\x00", "twin: s.yaml:1: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"schema: 9\n", "twin: s.yaml:1: schema: 9 is not known; this version reads schema 1"),
        (b"schema: 1\nextends: none.yaml\n", "twin: s.yaml:2: extends: no such file: none.yaml; the path is read from"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(refused: Refused, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "s.yaml").write_bytes(content)
    assert refused("run", "s.yaml", "--out", "out").startswith(message)


def test_a_scenario_that_is_not_there_is_named(refused: Refused) -> None:
    assert refused("run", "none.yaml", "--out", "out") == "twin: none.yaml: no such file"


def test_a_setting_that_the_scenario_does_not_know_is_named(refused: Refused) -> None:
    message = refused("run", MINIMAL, "--out", "out", "--set", "run.horizn=5d")
    assert message.startswith("twin: --set: run.horizn: unknown key 'horizn'")
    assert message.endswith("(did you mean 'horizon'?)")


# --- order books


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (
            HEADER.replace("quantity", "qty") + FIRST,
            "twin: orders.csv:1: no column 'quantity', which the mapping names as 'quantity'; columns found: ",
        ),
        (
            HEADER + FIRST + "A2,mug,1,2025-02-30 10:00,4.50,c2,UK\n",
            "twin: orders.csv:3: time '2025-02-30 10:00' is no date; expected ISO 8601",
        ),
        (
            HEADER + FIRST + SECOND + FIRST.replace("11-17", "11-18"),
            "twin: orders.csv:4: duplicate order id 'A1', first on line 2: stamped 86400 s apart; give each order",
        ),
        ("", "twin: orders.csv: is empty; export the book again, with a header and its lines"),
        (HEADER, "twin: orders.csv: has a header and no line; export the book again, with its lines"),
        (
            HEADER + FIRST.replace("2025", "2024"),
            "twin: orders.csv: no order lies in the time of the run, 2025-11-17T00:00:00Z to 2025-11-19T00:00:00Z; "
            "the book has orders from 2024-11-17T09:00:00Z to 2024-11-17T09:00:00Z; change run.start or run.horizon",
        ),
        (
            HEADER + FIRST.replace(",2,", ",99999999999999999999,"),
            "twin: orders.csv:2: order A1: 99999999999999999999 units at 450 minor units; correct the line; at most",
        ),
        (
            HEADER + FIRST + SECOND.replace("mug", "mug/red"),
            "twin: orders.csv:3: order A2: item 'mug/red' has a '/', which ids of things made of it are parted by; ",
        ),
    ],
)
def test_a_wrong_order_book_is_told_by_line(refused: Refused, tmp_path: Path, book: str, message: str) -> None:
    _scenario(tmp_path, BOOK)
    (tmp_path / "orders.csv").write_text(book, encoding="utf-8")
    assert refused("run", "s.yaml", "--out", "out").startswith(message)


def test_a_truncated_gzip_is_told_by_the_line_where_it_ends(refused: Refused, tmp_path: Path) -> None:
    _scenario(tmp_path, BOOK.replace("orders.csv", "orders.csv.gz"))
    rows = "".join(FIRST.replace("A1", f"A{number}") for number in range(3_000))
    whole = gzip.compress((HEADER + rows).encode())
    (tmp_path / "orders.csv.gz").write_bytes(whole[: len(whole) // 2])
    message = refused("run", "s.yaml", "--out", "out")
    assert message.startswith("twin: orders.csv.gz:")
    assert message.endswith("the gzip stream ends here, cut off; fetch or compress the file again")


def test_a_mixed_encoding_is_told_by_line_and_byte(refused: Refused, tmp_path: Path) -> None:
    _scenario(tmp_path, BOOK)
    utf8, cp1252 = FIRST.replace("c1", "Café").encode(), SECOND.replace("c2", "Café").encode("cp1252")
    (tmp_path / "orders.csv").write_bytes(HEADER.encode() + utf8 + cp1252)
    message = refused("run", "s.yaml", "--out", "out")
    assert message.startswith("twin: orders.csv:3: byte ")
    assert "is not UTF-8; in cp1252 it would be 'é': save the whole file as UTF-8" in message


def test_a_book_that_is_not_there_is_named(refused: Refused, tmp_path: Path) -> None:
    _scenario(tmp_path, BOOK)
    assert refused("run", "s.yaml", "--out", "out") == (
        "twin: orders.csv: there is no such file; check the path of the book"
    )


def test_a_source_that_is_not_installed_is_named_with_those_that_are(refused: Refused, tmp_path: Path) -> None:
    _scenario(tmp_path, BOOK.replace("source: csv", "source: cvs"))
    message = refused("run", "s.yaml", "--out", "out")
    assert message == "twin: orders.csv: no adapter reads the source 'cvs'; installed sources: csv, events, parquet"


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "{channel: web}]\n",
            "{channel: shop}]\n",
            "order A1: unknown channel 'shop'; channels with demand {kind: book} here: web; correct `channels` in",
        ),
        ("default: home", "default: mars", "order A1: unknown region 'mars'; regions here: home; correct `regions` in"),
    ],
)
def test_orders_that_no_channel_or_region_takes_are_refused_before_they_are_lost(
    refused: Refused, tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    assert right in BOOK
    _scenario(tmp_path, BOOK.replace(right, wrong))
    (tmp_path / "orders.csv").write_text(HEADER + FIRST, encoding="utf-8")
    assert refused("run", "s.yaml", "--out", "out").startswith(f"twin: orders.csv:2: {message}")


# --- folders


def test_a_folder_that_is_taken_is_kept(refused: Refused, run_folder: Path) -> None:
    assert refused("run", MINIMAL, "--out", "run") == (
        "twin: run is not empty; give another folder, or --force to replace an earlier run in it"
    )


def test_force_removes_no_folder_that_holds_anything_but_a_run(refused: Refused, tmp_path: Path) -> None:
    # A web project has a manifest.json too.
    (tmp_path / "site").mkdir()
    (tmp_path / "site/manifest.json").write_text("{}")
    (tmp_path / "site/index.html").write_text("<html>")
    assert refused("run", MINIMAL, "--out", "site", "--force") == (
        "twin: site holds 'index.html', which is no part of a run, and --force removes nothing else; "
        "give another folder"
    )


def test_force_keeps_the_earlier_run_where_the_input_is_wrong(
    refused: Refused, run_folder: Path, tmp_path: Path
) -> None:
    _scenario(tmp_path, BOOK)
    (tmp_path / "orders.csv").write_text("")
    assert "is empty" in refused("run", "s.yaml", "--out", "run", "--force")
    assert "cannot stop after" in refused("run", MINIMAL, "--out", "run", "--force", "--until", "5d")


def test_a_file_in_the_way_is_named(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert refused("run", MINIMAL, "--out", "notes.txt") == (
        "twin: notes.txt is a file; give a folder that does not exist yet"
    )
    message = refused("run", MINIMAL, "--out", "notes.txt/run")
    assert message.startswith("twin: notes.txt/run cannot be made: ")
    assert message.endswith("/notes.txt is a file; give a folder that does not exist yet")


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("3d", "twin: the run lasts 2d, it cannot stop after 3d; give more than 0s, at most 2d"),
        ("0s", "twin: the run lasts 2d, it cannot stop after 0s; give more than 0s, at most 2d"),
        ("10", "twin: --until 10: 10 has no unit; write 10s, 5m, 2h or 1d"),
        ("soon", "twin: --until soon: 'soon' is no duration; write 250ms, 30s, 5m, 2h, 1d, 2w or a sum like 1d12h"),
    ],
)
def test_a_stop_beyond_the_horizon_or_no_time_is_refused(refused: Refused, until: str, message: str) -> None:
    assert refused("run", MINIMAL, "--out", "out", "--until", until) == message


def test_a_snapshot_that_could_not_be_written_is_refused_before_the_run(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    until = ("--until", "1d", "--snapshot")
    assert "notes.txt is a file" in refused("run", MINIMAL, "--out", "out", *until, "notes.txt/s.snapshot")
    assert "is a folder; give the path of a file" in refused("run", MINIMAL, "--out", "out", *until, tmp_path)
    assert "--snapshot needs --until" in refused("run", MINIMAL, "--out", "out", "--snapshot", "s.snapshot")


def test_a_snapshot_replaces_no_file_but_an_earlier_snapshot_by_force(
    refused: Refused, halfway: Path, tmp_path: Path
) -> None:
    asked = ["run", MINIMAL, "--out", "out", "--until", "1d", "--snapshot"]
    assert "there is no folder none; make it, or give" in refused(*asked, "none/s.snapshot")
    assert "out is a folder; give the path of a file" in refused(*asked, "out")
    (tmp_path / "notes.txt").write_text("mine")
    for more in ([], ["--force"]):
        assert "notes.txt exists and is no snapshot" in refused(*asked, "notes.txt", *more)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    shutil.copy(halfway / "day1.snapshot", "s.snapshot")
    assert "s.snapshot exists; give another path, or --force" in refused(*asked, "s.snapshot")
    assert not (tmp_path / "out").exists()
    assert main([*map(str, asked), "s.snapshot", "--force", "--quiet", "--no-report"]) == 0
    assert main([*map(str, asked), "out/in.snapshot", "--force", "--quiet", "--no-report"]) == 0


def test_a_setting_for_an_entry_that_is_not_there_is_refused(refused: Refused) -> None:
    message = refused("run", MINIMAL, "--out", "out", "--set", "warehouses[mian].pickers=8")
    assert message.endswith("no warehouse 'mian'; there: main (did you mean 'main'?)")


# --- runs

READERS = (["measures"], ["explain", "web-1"], ["books"], ["verify"], ["report"], ["export", "--entries", "e.jsonl"])


def _read(reader: list[str], run: str) -> list[str]:
    return [reader[0], run, *reader[1:]]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: str(reader[0]))
def test_a_run_that_is_cut_off_is_refused_by_whatever_reads_it(
    refused: Refused, run_folder: Path, reader: list[str]
) -> None:
    (run_folder / "manifest.json").unlink()
    message = refused(*_read(reader, "run"))
    assert message.startswith("twin: run is cut off: it has 1 finished part with ")
    assert "and no manifest.json; run it again or read the parts with" in message


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: str(reader[0]))
@pytest.mark.parametrize("damage", ["part truncated", "part missing", "truth missing", "manifest cut"])
def test_a_damaged_run_is_refused_by_whatever_reads_it(
    refused: Refused, run_folder: Path, reader: list[str], damage: str
) -> None:
    part = run_folder / "entries/part-00000.parquet"
    expected = "restore it or run it again"
    if damage == "part truncated":
        part.write_bytes(part.read_bytes()[:-1000])
    elif damage == "part missing":
        part.unlink()
    elif damage == "truth missing":
        shutil.rmtree(run_folder / "truth")
    else:
        manifest = run_folder / "manifest.json"
        manifest.write_bytes(manifest.read_bytes()[:-20])
        expected = "manifest.json cannot be read: Input data was truncated; run it again"
    assert expected in refused(*_read(reader, "run"))


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: str(reader[0]))
def test_a_folder_that_is_none_or_no_run_is_refused(refused: Refused, tmp_path: Path, reader: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert refused(*_read(reader, "none")) == (
        "twin: none: no such run folder; give the folder that `twin run --out` wrote"
    )
    assert refused(*_read(reader, "empty")) == (
        "twin: empty is no run folder: it has no manifest.json and no parts; give one that `twin run` wrote"
    )


def test_book_counts_that_are_damaged_are_named(refused: Refused, run_folder: Path) -> None:
    (run_folder / "book.json").write_text("{")
    assert refused("books", "run") == (
        "twin: run/book.json cannot be read: Input data was truncated; restore it or run it again"
    )


def test_an_entry_that_was_changed_is_found(refused: Refused, run_folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    part = run_folder / "entries/part-00000.parquet"
    table = pq.read_table(part)
    payloads = table.column("payload").to_pylist()
    row = next(index for index, text in enumerate(payloads) if '"price_minor":450' in text and "order.captured" in text)
    payloads[row] = payloads[row].replace('"price_minor":450', '"price_minor":451')
    index = table.schema.get_field_index("payload")
    pq.write_table(table.set_column(index, "payload", pa.array(payloads, pa.string())), part)
    assert "was changed after it was written" in refused("verify", "run")


# --- snapshots


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "is damaged or cut off; make it again with `twin run --snapshot`"),
        (lambda data: b"", "is no snapshot of this version; make it again with `twin run --snapshot`"),
        (lambda data: data.replace(b"snapshot 1", b"snapshot 2", 1), "is no snapshot of this version; make it again"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "is damaged or cut off; make it again"),
        (lambda data: b"PK\x03\x04 a zip", "is no snapshot of this version; make it again"),
    ],
    ids=["cut off", "empty", "other version", "one bit", "other file"],
)
def test_a_snapshot_that_cannot_be_used_is_refused(
    refused: Refused, halfway: Path, tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    (tmp_path / "s.snapshot").write_bytes(damage((halfway / "day1.snapshot").read_bytes()))
    assert refused("resume", "s.snapshot", "--out", "out").startswith(f"twin: s.snapshot {message}")


def test_a_snapshot_of_another_release_is_refused(
    refused: Refused, halfway: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.run.__version__", "9.9.9")
    message = refused("resume", halfway / "day1.snapshot", "--out", "out")
    assert message.endswith(", this is 9.9.9; make it again")


def test_a_run_goes_on_only_from_the_log_it_was_taken_from(refused: Refused, halfway: Path, tmp_path: Path) -> None:
    snapshot = halfway / "day1.snapshot"
    assert "; name the run's folder by --parent" in refused("resume", snapshot, "--out", "out", "--parent", "none")
    assert main(["run", str(MINIMAL), "--out", "other", "--seed", "9", "--quiet", "--no-report"]) == 0
    assert "; name the run's folder by --parent" in refused("resume", snapshot, "--out", "out", "--parent", "other")


def test_a_run_never_goes_on_over_its_own_log(refused: Refused, halfway: Path) -> None:
    message = refused("resume", halfway / "day1.snapshot", "--out", halfway / "half", "--force")
    assert message.endswith("is the folder of the run that goes on, or lies in it; give a folder apart from it")
    assert (halfway / "half/manifest.json").exists()


def test_a_snapshot_that_is_not_there_is_named(refused: Refused) -> None:
    assert refused("resume", "none.snapshot", "--out", "out") == (
        "twin: none.snapshot: No such file or directory; give a file that `twin run --snapshot` wrote"
    )


# --- the program itself


@pytest.mark.parametrize("arguments", [[], ["runn"], ["run"], ["run", "s.yaml", "--seed", "x", "--out", "out"]])
def test_arguments_that_do_not_fit_are_told_with_the_usage(refused: Refused, arguments: list[str]) -> None:
    assert "Usage: twin" in refused(*arguments)


@pytest.mark.parametrize(
    ("seed", "allowed"), [(-1, "greater than or equal to 0"), (SEED_MAX + 1, f"less than or equal to {SEED_MAX}")]
)
def test_a_seed_out_of_range_is_told_with_what_is_allowed(refused: Refused, seed: int, allowed: str) -> None:
    told = refused("run", MINIMAL, "--out", "out", "--seed", seed)
    assert "'--seed'" in told
    assert allowed in told


def test_the_program_itself_leaves_with_2_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "twin", "run", str(tmp_path / "none.yaml"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"twin: {tmp_path}/none.yaml: no such file\n"
    assert not (tmp_path / "out").exists()


def test_a_run_killed_before_its_first_part_is_told_for_a_run_that_is_cut_off(refused: Refused, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / "scenario.yaml").write_text("schema: 1\n")
    told = refused("measures", killed)
    assert told == f"twin: {killed} is cut off: it ended before its first part of the log was written; run it again"
