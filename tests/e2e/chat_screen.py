#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The chat screen in a real terminal (tmux), between two people over six real processes: typed, scrolled, resized.

usage: chat_screen.py PROGRAM [--figure FILE.svg]     with --figure it only makes a picture of the screen
"""
import argparse
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unicodedata

from chat import Person
from harness import Cluster, Failure, check, wait_until
from terminal_svg import draw


EDITOR = """#!/bin/sh
if grep -q slow "$1"; then : > "$0.runs"; sleep 600; fi
sed -i s/draft/edited/ "$1"
"""


class Screen:
    """One terminal with a chat in it, in a tmux server of its own."""

    def __init__(self, person, *arguments, columns=80, rows=24):
        self.person = person
        self.socket = person.home + ".tmux"
        self.log = person.home + ".screen.log"
        self.editor = person.home + ".editor"
        with open(self.editor, "w", encoding="utf-8") as file:
            file.write(EDITOR)
        os.chmod(self.editor, 0o755)
        bootstrap = " ".join(f"--bootstrap {node.address}" for node in person.cluster.live()[:2])
        command = f"{person.cluster.program} chat {' '.join(arguments)} --profile off --home {person.home} {bootstrap} 2>{self.log}; echo ended $?; cat"
        for left in (2, 1, 0):  # on a busy machine a tmux server now and then does not come up
            try:
                self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), "-s", "chat", command)
                break
            except Failure:
                if left == 0:
                    raise
                time.sleep(1)

    def tmux(self, *arguments):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("BULBIL_", "TMUX"))}
        environment.update(LC_ALL="C.UTF-8", TERM="xterm-256color", EDITOR=self.editor)
        result = subprocess.run(["tmux", "-S", self.socket, *arguments], capture_output=True, env=environment, timeout=30)
        check(result.returncode == 0, "tmux", arguments[:2], result.stderr.decode())
        return result.stdout.decode()

    def keys(self, *keys):
        self.tmux("send-keys", "-t", "chat", *keys)

    def type(self, text, enter=True):
        self.tmux("send-keys", "-t", "chat", "-l", text)
        if enter:
            self.keys("Enter")

    def paste(self, text):
        self.tmux("set-buffer", text)
        self.tmux("paste-buffer", "-p", "-t", "chat")

    def resize(self, columns, rows):
        self.tmux("resize-window", "-t", "chat", "-x", str(columns), "-y", str(rows))

    def picture(self):
        return self.tmux("capture-pane", "-p", "-t", "chat")

    def sees(self, *texts, seconds=60):
        """Waits until all of it stands on the screen; returns the picture."""
        try:
            return wait_until(f"{texts} on the screen", lambda: (lambda p: p if all(t in p for t in texts) else "")(self.picture()), seconds)
        except Failure as failure:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                raise Failure(f"{failure}\n{self.picture()}\n{log.read()[-1000:]}") from None

    def matches(self, pattern):
        return wait_until(f"{pattern} on the screen", lambda: re.search(pattern, self.picture()), 60)

    def frame_is_whole(self, columns, rows):
        lines = self.picture().rstrip("\n").split("\n")
        width = lambda line: sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in line)
        return (len(lines) == rows and all(width(line) == columns for line in lines) and lines[0][0] + lines[0][-1] == "┌┐"
                and lines[-1][0] + lines[-1][-1] == "└┘" and all(line[0] in "│├┌└" and line[-1] in "│┤┐┘" for line in lines))

    def check_frame(self, columns, rows):
        wait_until(f"a whole frame of {columns} x {rows}", lambda: self.frame_is_whole(columns, rows), 20)

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, timeout=30)


def friends(cluster):
    alice, bob = Person(cluster, "alice"), Person(cluster, "bob")
    code = alice.local("invite", "--name", "bob").decode().split()[0]
    bob.local("accept", code, "--name", "alice")
    bob.send("alice", "Did you get the invite?")
    alice.poll()
    return alice, bob


def talks(a, b):
    a.type("The train is at nine.")
    b.sees("alice  The train is at nine.")
    a.sees("you  The train is at nine.", "✓")
    b.type("Bring 日本語 and 😀, please.")
    a.sees("bob  Bring 日本語 and 😀, please.")
    a.check_frame(80, 24)
    a.type("one", enter=False)
    a.keys("M-Enter")
    a.type("two")
    b.sees("alice  one ", "               two ")
    a.paste("first line\nsecond \x1b[2Jline")
    a.sees("> first line", "  second [2Jline")
    a.keys("Enter")
    b.sees("second [2Jline")


def hostile(alice_screen, bob):
    """What another program sends as bob."""
    bob.send("alice", "\x1b[2J\x1b]0;owned\x07\u202eevil\u202c \x9b31m and plain")
    alice_screen.sees("unsafe characters removed", "and plain")
    alice_screen.check_frame(80, 24)


def scrolled(a, b):
    for number in range(30):
        a.type(f"line {number}.")
    b.sees("line 29.")
    b.keys("PPage")
    b.sees("▼")
    check("line 29." not in b.picture(), "scrolled away")
    a.type("are you there?")
    b.sees("▼ 1 new")
    b.keys("Escape")
    b.matches(r"alice +are you there\?")
    check(not re.search(r"alice +line 3\.", b.picture()), "too far above the end to be seen")
    b.keys("C-f")
    b.type("line 3.")
    b.matches(r"alice +line 3\.")
    b.keys("C-c")
    check("are you there?" not in b.picture(), "found far above the end")
    for _ in range(4):
        b.keys("NPage")
    b.matches(r"alice +are you there\?")


def resized(screen):
    for columns, rows in [(200, 60), (40, 10), (100, 30), (80, 24)]:
        screen.resize(columns, rows)
        screen.check_frame(columns, rows)
    screen.resize(20, 5)
    screen.sees("too small a terminal")
    screen.resize(80, 24)
    screen.check_frame(80, 24)


def commands(a):
    a.keys("F1")
    a.sees("Ctrl-G")
    a.keys("Escape")
    wait_until("the help to go", lambda: "Ctrl-G" not in a.picture())
    a.type("/verify")
    words = a.sees("/verify yes")
    check(re.search(r"\d{5} \d{5}", words), words)
    a.type("/verify yes")
    a.sees("bob ✔")
    a.type("/nonsense")
    a.sees("there is no /nonsense")
    a.type("a draft", enter=False)
    a.keys("C-x", "C-e")
    a.sees("> a edited")
    a.keys("C-c")
    a.keys("F7")
    wait_until("the list to go", lambda: "contacts" not in a.picture())
    a.keys("F7")
    a.sees("contacts")


def beside_it(alice, a):
    """Other commands of the same identity work while the screen is open."""
    check("bob" in alice.local("contacts", "list").decode(), "listed")
    alice.send("bob", "from another terminal")
    a.sees("you  from another terminal")


def lines(alice, bob):
    """--line: text in, text out, ends by itself."""
    out = alice.network("chat", "--line", "--profile", "off", stdin="@bob from a pipe\nand more\n".encode()).decode()
    check("you to bob: from a pipe" in out and "you to bob: and more" in out, out)
    check(re.search(r"to bob: stored on \d: and more", out), "which of them is stored", out)
    out = alice.network("chat", "--line", "--profile", "off", stdin="/nonsense\n@nobody hello\n".encode(), expect=2).decode()
    check("there is no /nonsense" in out and "there is no contact" in out, out)


def ended_while_it_edits(screen):
    """Ctrl-C is the editor's; a signal that ends the chat takes the draft along."""
    def drafts():
        return glob.glob(os.path.join(screen.person.home, "run", "draft-*"))
    def edit():
        screen.keys("C-x", "C-e")
        wait_until("the editor", lambda: os.path.exists(screen.editor + ".runs"))
        os.remove(screen.editor + ".runs")
    screen.type("a slow draft", enter=False)
    edit()
    pid = int(drafts()[0].rsplit("-", 1)[1])
    screen.keys("C-c")
    wait_until("the draft to go", lambda: not drafts())
    screen.sees("> a slow draft", "contacts")
    edit()
    os.kill(pid, signal.SIGTERM)
    screen.sees("ended 143", seconds=30)
    check(not drafts(), "a draft is left:", drafts())


def ended_by_a_signal(screen):
    """What is read from the terminal afterwards are keys as ever."""
    def modes():
        return screen.tmux("display-message", "-p", "-t", "chat", "#{keypad_cursor_flag}#{keypad_flag}").strip()
    wait_until("the keys of applications", lambda: modes() == "11")
    shell = screen.tmux("display-message", "-p", "-t", "chat", "#{pane_pid}").strip()
    with open(f"/proc/{shell}/task/{shell}/children", encoding="ascii") as children:
        os.kill(int(children.read().split()[0]), signal.SIGTERM)
    screen.sees("ended 143", seconds=30)
    check(modes() == "00", "left in", modes())


def ends(screen):
    screen.keys("C-q")
    screen.sees("ended 0", seconds=30)


def drive(cluster):
    alice, bob = friends(cluster)
    a, b = Screen(alice, "bob"), Screen(bob)
    try:
        a.sees("Did you get the invite?", "bob ?")
        b.sees("alice ?")
        b.keys("M-1")
        talks(a, b)
        beside_it(alice, a)
        hostile(a, bob)
        commands(a)
        resized(a)
        scrolled(a, b)
        ended_while_it_edits(b)
        ends(a)
        lines(alice, bob)
        a.close()
        a = Screen(alice, "bob")
        a.sees("bob", "F1 help")
        ended_by_a_signal(a)
    finally:
        a.close()
        b.close()


def figure(cluster, path):
    """A conversation like any other, as Alice sees it."""
    alice, bob = friends(cluster)
    alice.local("contacts", "verify", "bob", "--yes")
    bob.local("contacts", "receipts", "alice", "on")
    carol = Person(cluster, "carol")
    carol.local("accept", alice.local("invite", "--name", "carol").decode().split()[0], "--name", "alice")
    carol.send("alice", "Call me when you are there.")
    a = Screen(alice, "bob", rows=18)
    try:
        a.sees("bob ✔", "F1 help")
        a.type("I did. Did the parcel come?")
        a.sees("I did.", "✓")
        check(bob.poll(), "bob reads")
        for text in ["Yes. Do not write the street name here again.", "The train is at nine. Bring the map, 地図も."]:
            bob.send("alice", text)
        a.sees("✓✓", "地図も", "carol ?       1")
        a.type("Understood.")
        a.sees("Understood.", " ✓ │")
        a.type("bring two maps", enter=False)
        a.sees("14 bytes, 1 box", "poll in")
        with open(path, "w", encoding="utf-8") as file:
            file.write(draw(a.tmux("capture-pane", "-e", "-p", "-t", "chat")))
    finally:
        a.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--figure")
    options = parser.parse_args()
    check(shutil.which("tmux"), "tmux is missing: ./dev packages installs it")
    with Cluster(options.program) as cluster:
        for _ in range(6):
            cluster.add()
        wait_until("an ideal ring", cluster.ring_is_ideal)
        if options.figure:
            figure(cluster, options.figure)
        else:
            drive(cluster)
    print("ok")


if __name__ == "__main__":
    main()
