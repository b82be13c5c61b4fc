"""PlatformIO's builder for an emulated board. `qmkit toolchain` says which compiler, flags and start-up code it needs.

The board is the option `custom_board` of the environment in platformio.ini.
"""

import json
import os
import shutil
import subprocess
import sys

from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()


def fail(message):
    """End the build with a message."""
    sys.stderr.write(f"Error: {message}\n")
    env.Exit(1)


def ask_qmkit(*arguments):
    """What qmkit answers; it is on PATH, or installed beside PlatformIO."""
    places = [os.environ.get("PATH", ""), os.path.dirname(sys.executable)]
    program = shutil.which("qmkit", path=os.pathsep.join(places))
    if program is None:
        fail('qmkit is not on PATH: pip install "quantmcu-kit[emulator]"')
    result = subprocess.run([program, *arguments, "--json"], capture_output=True, text=True)
    try:
        answer = json.loads(result.stdout)
    except ValueError:
        fail(f"{program} does not answer: {result.stderr.strip()}")
    if "error" in answer:
        error = answer["error"]
        fail("; ".join(filter(None, (error["message"], error["why"], error["hint"]))))
    return answer


linker_script = os.path.join(env.subst("$BUILD_DIR"), "board.ld")
tools = ask_qmkit("toolchain", "--board", env.GetProjectOption("custom_board"), "--linker-script", linker_script)
env.Replace(
    AR=tools["archiver"],
    ARFLAGS=["rcs"],
    CC=tools["command"],
    CXX=tools["command"],
    LINK=tools["command"],
    RANLIBCOM="",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)
env.Append(
    CCFLAGS=tools["flags"],
    CFLAGS=tools["c_flags"],
    CXXFLAGS=tools["cxx_flags"],
    LINKFLAGS=tools["link_flags"],
    _LIBFLAGS="".join(f" {library}" for library in tools["libraries"]),
)
env.BuildSources(os.path.join("$BUILD_DIR", "startup"), tools["startup"])
Default(env.BuildProgram())
