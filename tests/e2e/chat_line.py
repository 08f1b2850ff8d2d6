# SPDX-License-Identifier: Apache-2.0
"""People who chat by `chat --line`: what they type, what they see, and what became of it.

Every text begins with its number, so that what is printed can be told apart. A person's client may be killed and started again at
any time; a text counts as said once the client echoed it.
"""
import os
import re
import subprocess
import threading
import time

from harness import wait_until

ECHO = re.compile(r"\d\d:\d\d you to (\S+): (\d+);")
STATE = re.compile(r"\d\d:\d\d to (\S+): (queued|stored on \d+|delivered|expired): (\d+);")
HEARD = re.compile(r"\d\d:\d\d ~?(\S+)(?: in \S+)?: (\(late\) )?(\d+);")  # ~NAME: somebody of a group who is no contact


class Talker:
    """One person with one contact, or group: a home, a client process, and a book of what was said, shown and heard."""

    def __init__(self, cluster, name, peer, profile):
        self.cluster, self.name, self.peer, self.profile = cluster, name, peer, profile
        self.home = os.path.join(cluster.folder, "talk-" + name)
        self.process = None
        self.lock = threading.Lock()
        self.next = 0
        self.typed = {}     # number -> when it was given to the client
        self.said = {}      # number -> when its echo was seen
        self.states = {}    # number -> [(when, state)]
        self.heard = []     # (when, number, late, life of the client), in the order printed
        self.heard_of = {}  # the same, by who wrote it
        self.notices = []   # (when, line)
        self.lives = 0
        self.killed = []    # when
        self.ended = []     # exit codes that nobody asked for, with the last words
        self.cluster.run("keys", "new", "--no-input", "--no-passphrase", "--name", name, "--home", self.home)

    def local(self, *arguments):
        return self.cluster.run(*arguments, "--home", self.home).stdout.decode()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def start(self, bootstrap):
        """Another life of the client, beside these nodes."""
        command = [self.cluster.program, "chat", "--line", self.peer, "--profile", self.profile, "--home", self.home,
                   "--network", self.cluster.network]
        for node in bootstrap:
            command += ["--bootstrap", node.address]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("BULBIL_")}
        self.lives += 1
        self.errors = open(self.home + ".errors", "ab")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment)
        self.errors.close()
        threading.Thread(target=self._read, args=(self.process, self.lives), daemon=True).start()

    def kill(self):
        if self.alive():
            self.killed.append(time.monotonic())
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def close(self, seconds=120):
        """The end of the input; the client ends by itself once all is stored. Its exit code."""
        self.process.stdin.close()
        return self.process.wait(seconds)

    def type(self, words=""):
        """Gives the client one more text; False if it is dead."""
        number = self.next
        try:
            self.process.stdin.write(f"{number:05d}; {words}\n".encode())
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError, AttributeError):
            return False
        with self.lock:
            self.typed[number] = time.monotonic()
            self.next += 1
        return True

    def open(self):
        """How many texts were typed, and neither given up nor shown as stored."""
        with self.lock:
            born = self.killed[-1] if self.killed else 0
            return sum(1 for number, when in self.typed.items()
                       if (number in self.said and not self.states.get(number)) or (number not in self.said and when > born))

    def _read(self, process, life):
        for raw in process.stdout:
            line, now = raw.decode(errors="replace"), time.monotonic()
            with self.lock:
                self._take(line, now, life)
        if process.wait() not in (0, -9):
            self.ended.append((process.returncode, self.last_words()))

    def _take(self, line, now, life):
        if match := ECHO.match(line):
            self.said.setdefault(int(match[2]), now)
        elif match := STATE.match(line):
            self.said.setdefault(int(match[3]), now)  # kept by a client that was killed before it could say so
            self.states.setdefault(int(match[3]), []).append((now, match[2]))
        elif match := HEARD.match(line):
            self.heard.append((now, int(match[3]), bool(match[2]), life))
            self.heard_of.setdefault(match[1], []).append(self.heard[-1])
        else:
            self.notices.append((now, line.rstrip()))

    def poll(self):
        """One round of a client that is not running."""
        bootstrap = [word for node in self.cluster.live()[:3] for word in ("--bootstrap", node.address)]
        self.cluster.run("poll", *bootstrap, "--home", self.home, expect=None)

    def last_words(self):
        with open(self.home + ".errors", encoding="utf-8", errors="replace") as file:
            return file.read()[-300:]


def introduce(cluster, first, second, profile="off"):
    """Two people that have taken up an invite, each in the other's list."""
    a, b = Talker(cluster, first, second, profile), Talker(cluster, second, first, profile)
    code = a.local("invite", "--name", second).split()[0]
    meet(a, b, code)
    return a, b


def meet(inviter, other, code):
    """Both are contacts of each other, and have a session."""
    other.local("accept", code, "--name", inviter.name)
    bootstrap = [word for node in other.cluster.live()[:3] for word in ("--bootstrap", node.address)]
    other.local("send", inviter.name, "-m", "hello", "--wait", "60s", *bootstrap)
    wait_until(f"{inviter.name} to meet {other.name}", lambda: inviter.poll() or other.name in inviter.local("contacts", "list"), 120)


class Verdict:
    """What went wrong between what one person said and the other heard. `homes`: where each life of the reader's client ran.
    `awaited`: numbers of which the reader has to hear those that were said; none: all."""

    def __init__(self, speaker, reader, homes, awaited=None):
        heard = list(reader.heard_of.get(speaker.name, []))
        said = {number for number in list(speaker.said) if awaited is None or number in awaited}
        arrived = {}  # number -> when it was seen first
        for when, number, _, _ in heard:
            arrived.setdefault(number, when)
        self.said, self.missing = len(said), sorted(said - set(arrived))
        self.late = sum(1 for _, _, late, _ in heard if late)
        self.twice, self.again_after_kill, self.out_of_order = [], [], []
        first, newest = {}, {}
        for when, number, late, life in heard:
            home = homes[life]
            if (home, number) in first:
                before = first[home, number]
                # Printed, and killed before the book could be told: shown again rather than never.
                cut_short = any(before <= moment <= before + 1 for moment in reader.killed)
                (self.again_after_kill if cut_short else self.twice).append(number)
                continue
            first[home, number] = when
            if not late and number < newest.get(home, -1):
                self.out_of_order.append(number)
            if not late:
                newest[home] = max(number, newest.get(home, -1))
        self.wrong_states = list(self._wrong(speaker, reader, arrived))

    @staticmethod
    def _wrong(speaker, reader, arrived):
        for number, states in list(speaker.states.items()):
            delivered = None
            for when, state in states:
                if delivered is not None and state != "delivered":
                    yield number, f"{state} after delivered"
                if state == "expired":
                    yield number, "expired within a run"
                if state.startswith("stored") and not 2 <= int(state.split()[-1]) <= 3:
                    yield number, state
                if state == "delivered":
                    delivered = when
            # On the reader's disk before it is acknowledged; a reader killed in between shows it when it lives again.
            if delivered is not None:
                seen = arrived.get(number)
                cut_short = seen is not None and any(moment <= seen for moment in reader.killed if moment > delivered - 60)
                if seen is None or (seen > delivered + 1 and not cut_short):
                    yield number, "delivered before it was seen"

