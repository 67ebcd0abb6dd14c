"""Reading rows of files, and every way in which a file can be broken."""

import gzip

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearfar.data.files import format_of, records, stem_of
from nearfar.errors import DataError
from nearfar.events import Progress, Silent


class Recorder:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


def read(path):
    return list(records(path, Silent()))


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_json_lines_with_blank_lines_and_a_byte_order_mark(tmp_path):
    path = write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": "\xc3\xa9"}')
    assert read(path) == [(1, {"a": 1}), (4, {"a": "é"})]


def test_csv_fields_may_hold_separators_quotes_and_line_ends(tmp_path):
    path = write(tmp_path / "a.csv", 'q,d\n"one, ""two""","line\nline"\n\nx,y\n')
    assert read(path) == [(2, {"q": 'one, "two"', "d": "line\nline"}), (5, {"q": "x", "d": "y"})]


def test_tsv_and_a_field_longer_than_the_csv_default(tmp_path):
    long = "word " * 40_000
    path = write(tmp_path / "a.tsv", f"q\td\nx\t{long}\n")
    assert read(path) == [(2, {"q": "x", "d": long})]


def test_parquet_rows(tmp_path):
    parquet.write_table(pa.table({"q": ["a", "b"], "n": [["x"], ["y", "z"]]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [(1, {"q": "a", "n": ["x"]}), (2, {"q": "b", "n": ["y", "z"]})]


@pytest.mark.parametrize(("name", "content"), [("a.jsonl", '{"q": "x"}\n'), ("a.csv", "q\nx\n"), ("a.tsv", "q\nx\n")])
def test_gzip_of_each(tmp_path, name, content):
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(content.encode()))
    assert [record for _, record in read(path)] == [{"q": "x"}]
    assert stem_of(path) == "a"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"q": 1}\n{"q": \n', r"a\.jsonl:2: broken JSON"),
        ("a.jsonl", '{"q": 1}\n[1]\n', r"a\.jsonl:2: expected a JSON object .* got list"),
        ("a.json", "[\n{}]\n", r"a\.json:1: broken JSON .* one complete object on each line"),
        ("a.jsonl", b'{"q": 1}\n\n{"q": "\xff"}\n', r"a\.jsonl:3: byte 8 of this line is not UTF-8 \(0xff\)"),
        ("a.csv", b"q,d\na,b\nc,\xe9\n", r"a\.csv:3: byte 3 of this line is not UTF-8 \(0xe9\)"),
        ("a.csv", "q,d\na,b\n\nc,d,e\n", r"a\.csv:4: expected 2 fields \(q, d\), got 3"),
        ("a.tsv", "q\td\na\n", r"a\.tsv:2: expected 2 fields \(q, d\), got 1"),
        ("a.csv", 'q,d\na,b\n"c,d\ne,f\n', r"a\.csv:3: broken quotes"),
        ("a.csv", "q,d,q\na,b,c\n", r"a\.csv:1: column 'q' occurs twice"),
        ("a.jsonl.gz", b"not gzip", r"a\.jsonl\.gz: expected gzip, but the file is corrupt"),
        ("a.jsonl.gz", gzip.compress(b'{"q": 1}\n' * 9000)[:-20], r"corrupt or cut off after line \d+"),
        ("a.parquet", b"PAR1 nonsense", r"a\.parquet: not a readable Parquet file"),
        ("a.txt", "x", r"a\.txt: no reader for \.txt\. Expected \.jsonl"),
    ],
)
def test_broken_files(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / name, content))


def test_a_damaged_gzip_body(tmp_path):
    packed = bytearray(gzip.compress(bytes(range(256)) * 400))
    packed[40:60] = b"\x00" * 20
    with pytest.raises(DataError, match="expected gzip"):
        read(write(tmp_path / "a.jsonl.gz", b"".join([bytes(packed)])))


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "a.jsonl")


def test_progress_is_reported_now_and_then_and_at_the_end(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"q": 1}\n' * 45_000)
    recorder = Recorder()
    assert len(list(records(path, recorder))) == 45_000
    assert recorder.events == [
        Progress(task="reading a.jsonl", done=20_000),
        Progress(task="reading a.jsonl", done=40_000),
        Progress(task="reading a.jsonl", done=45_000, total=45_000),
    ]


def test_formats(tmp_path):
    assert format_of(tmp_path / "a.JSONL") == ".jsonl"
    assert format_of(tmp_path / "a.csv.gz") == ".csv"
    assert format_of(tmp_path / "a.parquet.gz") is None
    assert format_of(tmp_path / "a") is None
