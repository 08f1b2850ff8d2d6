#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's commands run as a newcomer types them; what it does not show running is not there.

Every block marked <!-- run --> is typed line by line into one shell, in a home of its own. A command that ends in "&" is a terminal
of its own: the next line waits until it says "ready". Every command must succeed, and every line that the README shows below them
must be a line that the program printed, but for what is another one each time (numbers, times, keys, names of nodes).
`./dev test` is not run inside itself: that ctest is what it runs is checked with a ctest that only tells.

usage: readme.py PROGRAM SOURCE_FOLDER
"""
import os
import re
import signal
import subprocess
import sys
import tempfile

from harness import check, wait_until


def blocks(readme):
    """Lines of the marked console blocks."""
    return [match.group(1).splitlines() for match in re.finditer(r"<!-- run -->\n```console\n(.*?)```", readme, re.S)]


# What two runs of the same command print differently, and the mark that stands for it.
CHANGING = [(r"bulb1\S+", "ADDRESS"), (r"bulbil-demo-\w+", "FOLDER"), (r"(?<=mailbox )[0-9a-f]{4}\b", "POINT"),
            (r"\bn\d+\b", "NODE"), (r"NODE( NODE| and NODE)+", "NODE"), (r"\d+(\.\d+)?", "NUMBER"), (r"envelopes\b", "envelope"),
            (r"\b(today|yesterday)\b", "DAY"), (r"\s+", " ")]


def shape_of(line):
    """The line without what changes from run to run."""
    for pattern, mark in CHANGING:
        line = re.sub(pattern, mark, line)
    return line.strip()


class Shell:
    """One newcomer: a home, the program on the PATH, and the terminals that stay open."""

    def __init__(self, program, source, folder):
        self.source, self.folder = source, folder
        self.terminals = []
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("BULBIL_", "XDG_"))}
        self.environment.update(HOME=folder, PATH=os.path.dirname(program) + ":" + os.environ["PATH"], XDG_RUNTIME_DIR=folder)

    def type(self, command):
        if command.rstrip().endswith("&"):
            return self._open(command.rstrip()[:-1])
        result = subprocess.run(["bash", "-c", command], cwd=self.source, env=self.environment, capture_output=True, text=True,
                                stdin=subprocess.DEVNULL, timeout=1500)
        check(result.returncode == 0, f"`{command}` exits {result.returncode}:", result.stdout[-1000:], result.stderr[-1000:])
        return result.stdout + result.stderr

    def _open(self, command):
        log = os.path.join(self.folder, f"terminal-{len(self.terminals)}.log")
        with open(log, "wb") as file:
            process = subprocess.Popen(["bash", "-c", "exec " + command], cwd=self.source, env=self.environment, stdout=file, stderr=file,
                                       stdin=subprocess.DEVNULL)
        self.terminals.append(process)

        def ready():
            with open(log, encoding="utf-8", errors="replace") as file:
                text = file.read()
            check(process.poll() is None, f"`{command}` ended:", text[-1000:])
            return "ready" in text

        wait_until(f"`{command}` to be ready", ready)
        return ""

    def close(self):
        for process in self.terminals:
            process.send_signal(signal.SIGTERM)
        for process in self.terminals:
            check(process.wait(timeout=60) == 0, "a terminal exited", process.returncode)


def run_block(lines, program, source):
    commands = [line[2:].split("  #")[0].rstrip() for line in lines if line.startswith("$ ")]
    shown = [line for line in lines if not line.startswith("$ ") and line.strip()]
    with tempfile.TemporaryDirectory(prefix="bulbil-readme-") as folder:
        shell = Shell(program, source, folder)
        try:
            output = "".join(shell.type(command) for command in commands)
        except BaseException:
            for process in shell.terminals:
                process.kill()
            raise
        shell.close()
    printed = {shape_of(line) for line in output.splitlines()}
    for line in shown:
        check(shape_of(line) in printed, f"the README shows {line!r}, the program printed:", output[-2000:])
    return len(commands)


def check_dev_test(source):
    """`./dev test` hands over to ctest, and fails when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {"ctest": 'echo "$@" > "$0.said"; exit 8', "cmake": "exit 0"}.items():
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n" + text + "\n")
            os.chmod(path, 0o755)
        environment = dict(os.environ, PATH=folder + ":" + os.environ["PATH"])
        result = subprocess.run(["./dev", "test"], cwd=source, env=environment, capture_output=True, text=True, timeout=300)
        said = open(os.path.join(folder, "ctest.said"), encoding="utf-8").read()
        check("--preset release" in said, "./dev test ran ctest with", said)
        check(result.returncode == 8, "./dev test exits", result.returncode, "when ctest exits 8")


def main():
    program, source = os.path.abspath(sys.argv[1]), sys.argv[2]
    with open(os.path.join(source, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    check("./dev test" in readme and "./dev demo" in readme, "the README does not name its two commands")
    found = blocks(readme)
    check(len(found) >= 3, "only", len(found), "blocks of the README are marked to run")
    print(sum(run_block(lines, program, source) for lines in found), "commands of the README ran")
    check_dev_test(source)


if __name__ == "__main__":
    main()
