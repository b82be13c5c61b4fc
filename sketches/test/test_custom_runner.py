"""How `pio test` reads the golden test, on the PC and on a board. PlatformIO finds this file by its name."""

import re

from platformio.public import TestCase, TestRunnerBase, TestStatus


class CustomTestRunner(TestRunnerBase):
    """One test case per golden vector."""

    def on_testing_line_output(self, line):
        """A line of the program's output."""
        super().on_testing_line_output(line)
        text = line.strip()
        if vector := re.fullmatch(r"(golden vector \d+): (PASS|FAIL)", text):
            status = TestStatus.PASSED if vector[2] == "PASS" else TestStatus.FAILED
            self.test_suite.add_case(TestCase(vector[1], status))
        elif text in ("OK", "FAILED"):  # a board's last line; the program on the PC ends instead
            self.test_suite.on_finish()
