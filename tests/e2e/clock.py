#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node's clock: cover while nothing happens, sends that wait for its ticks, and a chat that keeps to it beside other commands.

usage: clock.py PROGRAM
"""
import os
import subprocess
import sys

from chat import Person, texts
from harness import Cluster, check, wait_until


class Talker(Person):
    """One whose commands go through a node."""

    def __init__(self, cluster, name, node):
        super().__init__(cluster, name)
        self.way = ["--node", os.path.join(node.home, "run", f"{node.port}.sock")]

    def network(self, *arguments, stdin=b"", expect=0):
        return self.local(*arguments, *self.way, stdin=stdin, expect=expect)

    def said(self, *arguments, stdin=b""):
        """What a command says on stderr."""
        return self.cluster.run(*arguments, *self.way, "--home", self.home, stdin=stdin).stderr.decode()

    def open_chat(self):
        self.log = self.home + ".chat"
        with open(self.log, "wb") as out:
            self.chat = subprocess.Popen([self.cluster.program, "chat", "bob", "--line", "--home", self.home, *self.way],
                                         stdin=subprocess.PIPE, stdout=out, stderr=out)

    def type(self, line):
        self.chat.stdin.write(line.encode() + b"\n")
        self.chat.stdin.flush()

    def sees(self, text):
        wait_until(f"{text!r} in the chat", lambda: text in open(self.log, encoding="utf-8").read(), 120)


def traffic(node):
    return (node.status() or {}).get("traffic", {})


def beside_a_chat(alice, bob):
    alice.sees("bob: beside it")
    bob.send("alice", "are you there?")
    alice.sees("bob: are you there?")
    alice.network("send", "bob", "-q", stdin=b"from another terminal")  # the chat lets go of the book
    alice.type("always")
    read = []
    wait_until("both of alice's", lambda: read.extend(texts(bob.poll())) or len(read) == 2, 120)
    check(read == ["from another terminal", "always"], read)
    alice.chat.stdin.close()
    check(alice.chat.wait(60) == 0, "the chat exited", alice.chat.returncode)


def main():
    with Cluster(sys.argv[1]) as cluster:
        first, second = cluster.add("node", "--profile", "fast"), cluster.add("node", "--profile", "fast")
        for _ in range(4):
            cluster.add("node", "--profile", "off")
        wait_until("an ideal ring", cluster.ring_is_ideal)
        check(traffic(cluster.nodes[2])["profile"] == "off" and traffic(cluster.nodes[2])["operations"] == 0, "no clock")
        wait_until("cover", lambda: traffic(first).get("operations", 0) >= 5)
        check(traffic(first)["cover_percent"] == 100 and traffic(first)["bytes_per_day"] > 3e9, traffic(first))

        alice, bob = Talker(cluster, "alice", first), Talker(cluster, "bob", second)
        code = alice.local("invite", "--name", "bob").decode().split()[0]
        bob.local("accept", code, "--name", "alice")
        said = bob.said("send", "alice", stdin=b"by the clock")
        check("Queued for the clock" in said and "at once" not in said, said)
        said = bob.said("send", alice.address, "--anon", "-q", stdin=b"a note")
        check(said == "", "-q says", said)
        check(sorted(texts(alice.poll())) == ["a note", "by the clock"], "both read")
        check("Read at once" in alice.said("poll"), "a poll says what it shows")
        check("Sent at once" in bob.said("send", "alice", "--now", stdin=b"beside it"), "and so does --now")

        alice.open_chat()
        try:
            beside_a_chat(alice, bob)
        finally:
            alice.chat.kill()
            alice.chat.wait()
        check(0 < traffic(first)["cover_percent"] < 100, traffic(first))
    print("ok")


if __name__ == "__main__":
    main()
