# SPDX-License-Identifier: Apache-2.0
"""Runs the program's commands in homes of their own, with a clean environment; for tests that start no network."""
import contextlib
import os
import pty
import select
import shutil
import subprocess
import tempfile
import time


class Failure(AssertionError):
    pass


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(part) for part in what))


def clean_environment(home, extra=None):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("BULBIL_", "XDG_", "NO_COLOR", "JOURNAL_"))}
    return {**kept, "HOME": home, **(extra or {})}


class Runner(contextlib.AbstractContextManager):
    def __init__(self, program):
        self.program = os.path.abspath(program)
        self.folder = tempfile.mkdtemp(prefix="bulbil-cli-")

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def home(self, name):
        return os.path.join(self.folder, name)

    def run(self, *arguments, home="home", stdin=b"", expect=0, environment=None, pass_fds=()):
        """One command with --home; checks its exit code, and that an error says so on stderr alone."""
        command = [self.program, *arguments] + (["--home", self.home(home)] if home else [])
        # setsid: no terminal of ours can be asked anything
        result = subprocess.run(command, input=stdin, capture_output=True, timeout=60, start_new_session=True, pass_fds=pass_fds,
                                env=clean_environment(self.folder, environment))
        text = result.stderr.decode(errors="replace")
        check(result.returncode == expect, "exit", result.returncode, "instead of", expect, "of", arguments, text)
        check(expect == 0 or "error" in text, "an exit code without an error:", arguments, text)
        check(expect == 0 or b"error" not in result.stdout, "an error on stdout:", result.stdout)
        return result

    def line(self, *arguments, **options):
        """The one line that the command prints on stdout."""
        lines = self.run(*arguments, **options).stdout.decode().splitlines()
        check(len(lines) == 1, "expected one line of", arguments, "got", lines)
        return lines[0]

    def on_terminal(self, *arguments, answers, home="home", expect=0):
        """Runs on a terminal of its own and types each answer when its question is seen. Returns all that was shown."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(self.program, [self.program, *arguments, "--home", self.home(home)], clean_environment(self.folder))
        shown, pending, deadline = "", list(answers), time.monotonic() + 60
        while True:
            check(time.monotonic() < deadline, "the terminal hangs after:", shown)
            if select.select([terminal], [], [], 1)[0]:
                try:
                    data = os.read(terminal, 4096)
                except OSError:  # Linux: the other side is closed
                    break
                if not data:
                    break
                shown += data.decode(errors="replace")
            if pending and pending[0][0] in shown.rsplit("\n", 1)[-1]:
                os.write(terminal, (pending.pop(0)[1] + "\n").encode())
                shown += "\n"
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
        check(code == expect, "exit", code, "instead of", expect, "of", arguments, "on a terminal:", shown)
        check(not pending, "was never asked", [question for question, _ in pending], "in", shown)
        return shown
