"""platformio.ini, its sketch against the sketch's sender, its golden test, and a library's manifests."""

import configparser
import csv
import importlib.util
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from quantmcu_kit import emit, pipeline
from quantmcu_kit.boards import catalog
from quantmcu_kit.options import Options
from tests.support.arm import COMPILER, needs_arm
from tests.support.libraries import run, sources, tool

ROOT = Path(__file__).resolve().parents[2]
SKETCH = ROOT / "sketches" / "picture_over_serial"
DIGITS = ROOT / "examples" / "digits"
STAND_IN = ROOT / "tests" / "support" / "arduino"
DECLARATIONS = ROOT / "tests" / "support" / "arduino_declarations"
BOARD_FLAGS = ("-mthumb", "-Os", "-Wall", "-Wextra", "-Werror", "-DARDUINO=10819")
MAIN = '#include <Arduino.h>\n#include "{}"\nint main() {{\n  setup();\n  for (;;) {{\n    loop();\n  }}\n}}\n'


def module_from(path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where its dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


send_picture = module_from(SKETCH / "send_picture.py")
SIZE = send_picture.Size(96, 96, 3)


class Board:
    """The sketch as a program on this PC, with the methods of a serial port."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._pending = b""

    def write(self, data: bytes) -> None:
        self.process.stdin.write(data)

    def readline(self) -> bytes:
        deadline = time.monotonic() + 0.2
        while b"\n" not in self._pending and time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                self._pending += os.read(self.process.stdout.fileno(), 4096)
        line, end, self._pending = self._pending.partition(b"\n")
        return line + end

    def reply(self, seconds: float = 5) -> str:
        """The next line that is no `ready`."""
        return send_picture._first_match(self, re.compile("(?!ready).+"), seconds)[0]

    def close(self) -> None:
        self.process.stdin.close()
        assert self.process.wait(10) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """platformio.ini's paths as `make demo` leaves them: the sketches, and the library where it is looked for."""
    folder = tmp_path_factory.mktemp("project")
    model = pipeline.load_model(DIGITS / "digits.tflite")
    options = Options(images=DIGITS / "calibration", preprocess="pm1", limit=8)
    emit.write(pipeline.build(model, options).files, folder / "build" / "demo" / "digits")
    shutil.copytree(ROOT / "sketches", folder / "sketches")
    return folder


@pytest.fixture(scope="module")
def objects(project):
    """The library, compiled."""
    library = project / "build" / "demo" / "digits"
    folder = project / "objects"
    folder.mkdir()
    compiled = [folder / f"{index}_{source.stem}.o" for index, source in enumerate(sources(library))]
    with ThreadPoolExecutor() as pool:
        jobs = zip(sources(library), compiled, strict=True)
        list(pool.map(lambda job: run(tool("gcc"), "-std=c99", "-O2", "-c", job[0], "-o", job[1]), jobs))
    return compiled


@pytest.fixture(scope="module")
def program(project, objects):
    (project / "main.cpp").write_text(MAIN.format(SKETCH / "picture_over_serial.ino"))
    flags = ("-std=c++11", "-Wall", "-Wextra", "-Werror", f"-I{STAND_IN}", f"-I{project}/build/demo/digits/src")
    run(tool("g++"), *flags, project / "main.cpp", *objects, "-o", project / "sketch")
    return project / "sketch"


@pytest.fixture
def board(program):
    board = Board(program)
    yield board
    board.close()


def pixels(name):
    return send_picture.load_pixels(DIGITS / "images" / name, SIZE)


@pytest.fixture(scope="module")
def ini():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((ROOT / "platformio.ini").read_text("utf-8"))
    return parser


def test_environments_are_boards_of_the_catalog(ini):
    found = {name.removeprefix("env:"): dict(ini[name]) for name in ini.sections() if name.startswith("env:")}
    assert found.pop("native") == {"platform": "native"}
    emulated = {name for name, options in found.items() if options["extends"] == "emulated"}
    assert emulated == {"emulated_nano33ble", "emulated_pico", "emulated_nucleo_h743zi"}
    for name in emulated:
        board = catalog.find({**ini["emulated"], **found.pop(name)}["custom_board"])
        # The test command finds the program by the board's name.
        assert name == f"emulated_{board.id}" and board.flash_start is not None
    assert set(found) == {"nano33ble", "esp32-s3-devkitc-1", "pico", "nucleo_l4r5zi"}
    for name, options in found.items():
        board = catalog.find(name)
        inherited = ini[options.pop("extends")]
        assert options == {"platform": board.platform, "board": board.id}
        assert inherited["framework"] == board.framework and int(inherited["monitor_speed"]) == send_picture.BAUD
    assert ini["platformio"]["default_envs"] in found


def test_paths_exist_or_are_made_by_make_demo(ini, project):
    paths = ini["platformio"]
    assert (ROOT / paths["src_dir"] / f"{Path(paths['src_dir']).name}.ino").is_file()
    tests = project / paths["test_dir"]
    assert (tests / "test_custom_runner.py").is_file() and ini["env"]["test_framework"] == "custom"
    platform = ini["emulated"]["platform"].removeprefix("symlink://${platformio.test_dir}/")
    assert (tests / platform / "platform.json").is_file()
    assert f"--output {paths['lib_dir']}/digits " in (ROOT / "Makefile").read_text("utf-8")
    assert (project / paths["lib_dir"] / "digits" / "library.json").is_file()


def test_golden_test_runs_and_its_runner_counts_the_vectors(ini, project, objects, monkeypatch):
    test_dir = project / ini["platformio"]["test_dir"]
    include = f"-I{project}/build/demo/digits/src"
    run(
        tool("gcc"), "-std=c99", include, test_dir / "test_golden" / "test_golden.c", *objects, "-o", project / "golden"
    )
    lines = run(project / "golden").splitlines(keepends=True)

    class Base:
        def on_testing_line_output(self, line):
            pass

    suite = types.SimpleNamespace(cases=[], ended=False)
    suite.add_case = suite.cases.append
    suite.on_finish = lambda: setattr(suite, "ended", True)
    public = types.SimpleNamespace(
        TestRunnerBase=Base,
        TestCase=lambda name, status: (name, status),
        TestStatus=types.SimpleNamespace(PASSED="passed", FAILED="failed"),
    )
    monkeypatch.setitem(sys.modules, "platformio.public", public)
    runner = module_from(test_dir / "test_custom_runner.py").CustomTestRunner()
    runner.test_suite = suite
    for line in [*lines, "golden vector 9: FAIL\r\n"]:
        runner.on_testing_line_output(line)
    assert suite.cases == [*((f"golden vector {i}", "passed") for i in range(4)), ("golden vector 9", "failed")]
    assert not suite.ended
    runner.on_testing_line_output("FAILED\r\n")
    assert suite.ended


@needs_arm
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])  # pico; nano33ble and nucleo_l4r5zi
def test_sketch_and_golden_test_compile_for_a_board(project, core, tmp_path):
    library = project / "build" / "demo" / "digits"
    tests = library / "test" / "test_golden"
    sketch, test = tmp_path / "main.cpp", tmp_path / "test.o"
    sketch.write_text(f'#include <Arduino.h>\n#include "{SKETCH / "picture_over_serial.ino"}"\n')
    flags = (f"-mcpu={core}", *BOARD_FLAGS, f"-I{DECLARATIONS}", f"-I{library}/src")
    for source in (sketch, tests / "test_golden_arduino.cpp"):
        run(tool("arm-none-eabi-g++"), *flags, "-std=gnu++11", "-fno-exceptions", "-fno-rtti", "-fsyntax-only", source)
    run(COMPILER, *flags, "-std=gnu11", "-c", tests / "test_golden.c", "-o", test)
    symbols = run(tool("arm-none-eabi-nm"), test).split()
    assert "digits_test_golden" in symbols and "main" not in symbols and "snprintf" not in symbols


def test_pictures_go_in_and_classes_come_out(board):
    assert send_picture.wait_until_ready(board) == SIZE
    with open(DIGITS / "images" / "labels.csv", newline="", encoding="ascii") as file:
        labelled = [(row["path"], int(row["label"])) for row in csv.DictReader(file)][::9]
    for name, label in labelled:
        answer = send_picture.classify(board, pixels(name))
        assert answer.index == label and 0 < answer.score <= 1 and answer.microseconds > 0


def test_damaged_frame_is_refused_and_the_next_one_is_read(board):
    frame = bytearray(send_picture.frame(pixels("three_00.png")))
    frame[5000] ^= 1
    board.write(bytes(frame))
    assert board.reply() == "error crc: the picture was damaged on its way"
    board.write(b"QMKQ noise QM" + send_picture.frame(pixels("three_00.png")))
    assert board.reply().startswith("ok class=3 ")


def test_truncated_frame_times_out(board):
    board.write(send_picture.frame(pixels("three_00.png"))[: 8 + 100])
    assert board.reply() == "error timeout: the frame ended after 100 of 27648 pixel bytes"
    board.write(send_picture.frame(pixels("four_00.png")))
    assert board.reply().startswith("ok class=4 ")


def test_picture_of_another_size_is_refused(board):
    with pytest.raises(send_picture.BoardError) as caught:
        send_picture.classify(board, bytes(12))
    assert str(caught.value) == "error length: the frame announces 12 bytes, a picture has 27648"


def test_sender_sends_a_damaged_picture_again(board):
    class Noisy:
        written = 0

        def write(self, data):
            self.written += 1
            board.write(data if self.written == 3 else data[:99] + bytes([data[99] ^ 8]) + data[100:])

        readline = board.readline

    assert send_picture.classify(Noisy(), pixels("two_00.png")).index == 2


def test_sender_gives_up_on_a_silent_port():
    silent = types.SimpleNamespace(write=lambda data: None, readline=lambda: b"")
    with pytest.raises(send_picture.BoardError, match="silent for 0.1 s"):
        send_picture.wait_until_ready(silent, patience=0.1)


def test_sender_as_a_command(board, monkeypatch, capsys):
    @contextmanager
    def opened(name, baud, **timeouts):
        yield board

    picture = DIGITS / "images" / "seven_00.png"
    monkeypatch.setitem(sys.modules, "serial", types.SimpleNamespace(Serial=opened))
    monkeypatch.setattr(sys, "argv", ["send_picture", "COM3", str(picture), "--labels", str(DIGITS / "labels.txt")])
    assert send_picture.main() == 0
    assert re.fullmatch(rf"{re.escape(str(picture))}  seven  [01]\.\d{{3}}  \d+\.\d ms\n", capsys.readouterr().out)
    monkeypatch.setattr(sys, "argv", ["send_picture", "COM3", str(DIGITS / "labels.txt")])
    assert send_picture.main() == 2 and "labels.txt" in capsys.readouterr().err


def test_sender_names_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "serial", None)
    monkeypatch.setattr(sys, "argv", ["send_picture", "COM3", "x.png"])
    assert send_picture.main() == 2
    assert capsys.readouterr().err == "serial is missing: pip install pyserial pillow\n"


def test_manifests_of_a_library(project):
    library = project / "build" / "demo" / "digits"
    # What the Arduino library specification and arduino-lint require.
    lines = (library / "library.properties").read_text("ascii").splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert required <= set(properties) and all(properties.values())
    assert (library / "src" / properties["includes"]).is_file() and properties["category"] == "Data Processing"
    # PlatformIO leaves src/test, src/tests, src/example and src/examples out unless told otherwise.
    assert json.loads((library / "library.json").read_text("ascii"))["build"] == {"srcFilter": "+<*>"}
