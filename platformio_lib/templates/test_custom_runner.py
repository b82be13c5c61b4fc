"""How `pio test` reads the golden test, on a PC and on a board. PlatformIO finds this file by its name."""

import os
import re
import sys

from platformio.public import TestCase, TestRunnerBase, TestStatus


class CustomTestRunner(TestRunnerBase):
    """One test case per golden vector."""

    def setup(self):
        """Emulated boards are run by `qmkit`, which may be installed beside PlatformIO without being on PATH."""
        os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", ""), os.path.dirname(sys.executable)))

    def on_testing_line_output(self, line):
        """A line of the program's output."""
        super().on_testing_line_output(line)
        text = line.strip()
        if vector := re.fullmatch(r"(golden vector \d+): (PASS|FAIL)", text):
            status = TestStatus.PASSED if vector[2] == "PASS" else TestStatus.FAILED
            self.test_suite.add_case(TestCase(vector[1], status))
        elif text in ("OK", "FAILED"):  # a board's last line; the program on the PC ends instead
            self.test_suite.on_finish()
