"""A stand-in for the TFLite runtime that misbehaves on demand, and a list of the child processes that ran it."""

from __future__ import annotations

from pathlib import Path

# The model's bytes say what goes wrong and when, as in b"invoke abort". The network itself doubles its only input.
_INTERPRETER = """
import os
import signal
import sys
import time


class OpResolverType:
    AUTO = BUILTIN_REF = BUILTIN_WITHOUT_DEFAULT_DELEGATES = 0


class Interpreter:
    def __init__(self, model_content, **options):
        self.when, self.what = model_content.decode().split()[:2]
        self.misbehave("load")

    def misbehave(self, when):
        if when == self.when:
            getattr(self, self.what)()

    def abort(self):
        os.write(2, b"a first line\\nF0000 check failed: the end\\n")
        os.abort()

    def segfault(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def leave(self):
        os._exit(7)

    def hang(self):
        time.sleep(60)

    def complain(self):
        raise RuntimeError("node 3 failed to prepare")

    def chatter(self):
        os.write(1, b"INFO: native code prints what it likes\\n" * 1000)
        print("and so does Python", flush=True)
        sys.stderr.write("here too\\n")

    def nothing(self):
        pass

    def allocate_tensors(self):
        self.misbehave("allocate")

    def get_input_details(self):
        return [{"index": 0}]

    def get_output_details(self):
        return [{"index": 1}]

    def set_tensor(self, index, value):
        self.value = value

    def invoke(self):
        self.misbehave("invoke")

    def get_tensor(self, index):
        return self.value * (index + 1)
"""


def write_fake_runtime(folder: Path, package: str = "ai_edge_litert") -> None:
    """A package ``package`` with the misbehaving interpreter; ``folder`` goes in front of sys.path."""
    _write(folder, package, "")
    (folder / package / "interpreter.py").write_text(_INTERPRETER)


def write_broken_package(folder: Path, package: str, error: str) -> None:
    """A package whose import raises ``error``, a Python expression."""
    _write(folder, package, f"raise {error}\n")


def _write(folder: Path, package: str, text: str) -> None:
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(text)
