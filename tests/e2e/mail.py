#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ten real processes, several identities, many messages: each arrives exactly once, before and after a storing node dies.

usage: mail.py PROGRAM [--messages N]
"""
import argparse
import collections
import json
import random
import subprocess

from harness import Cluster, check, wait_until

ESCAPES = "\x1b[31mred\x1b]52;c;aGk=\x07 \x9bq \u202eevil\u2066 bell\x07 nul\x00 cr\r done".encode()
FORBIDDEN = set(range(0, 9)) | set(range(11, 32)) | set(range(127, 160)) | set(range(0x202a, 0x202f)) | set(range(0x2066, 0x206a))


def text_of(kind, number, chooser):
    """The bytes of message `number`; its number is in it, so that each is told from every other."""
    mark = f"m{number};".encode()
    if kind == 0:
        return mark
    if kind == 1:
        return mark + "Grüße, 世界 🌍, naïve".encode()
    if kind == 2:
        return mark + bytes(chooser.choice(b"abcdefghij \n") for _ in range(16384 - len(mark)))
    return mark + ESCAPES


class Mail:
    """What was sent to whom, and what came."""

    def __init__(self, people):
        self.people = people
        self.sent = collections.defaultdict(dict)    # name -> number -> bytes
        self.seen = collections.defaultdict(collections.Counter)
        self.number = 0

    def send_one(self, chooser):
        sender, recipient = chooser.sample(self.people, 2)
        kind = self.number % 4
        text = text_of(kind, self.number, chooser)
        sender.send(recipient.address, text, *(["--sign", "--as", sender.name] if kind == 1 and self.number % 8 == 1 else []))
        self.sent[recipient.name][self.number] = text
        self.number += 1

    def poll_all(self):
        for person in self.people:
            messages, _ = person.poll()
            for message in messages:
                self._take(person.name, message)

    def _take(self, name, message):
        text = message["text"]
        check(not any(ord(c) in FORBIDDEN for c in text), "a control character reached the reader:", repr(text[:80]))
        number = int(text[1:text.index(";")])
        check(number in self.sent[name], name, "got a message that was not for them:", number)
        original = self.sent[name][number]
        if number % 4 != 3:
            check(text.encode() == original, "message", number, "changed:", repr(text[:60]))
        else:
            check("red" in text and "done" in text, "message", number, "lost text:", repr(text))
        self.seen[name][number] += 1

    def lost(self):
        return [(name, number) for name, sent in self.sent.items() for number in sent if self.seen[name][number] == 0]

    def twice(self):
        return [(name, number) for name, seen in self.seen.items() for number, times in seen.items() if times > 1]


def check_strangers(cluster, mail):
    """A wrong identity learns nothing from another's door; an unknown one is told so."""
    stranger = cluster.identity("mallory")
    messages, _ = stranger.poll()
    check(messages == [], "a stranger read", messages)
    cluster.run("poll", "--as", "nobody", "--json", "--bootstrap", cluster.live()[0].address, "--home", stranger.home, expect=3)


def check_waiting(cluster):
    """Whoever waits reads a note when it comes, once, and lets other commands have the book meanwhile."""
    person = cluster.identity("erin")
    reader = subprocess.Popen([cluster.program, "poll", "--json", "--wait", "150s", "--bootstrap", cluster.live()[0].address, "--home",
                               person.home], stdout=subprocess.PIPE)
    try:
        for _ in range(20):
            cluster.run("contacts", "list", "--home", person.home)
        check(reader.poll() is None, "the one who waits ended:", reader.returncode)
        person.send(person.address, b"awaited")
        line = json.loads(reader.stdout.readline() or b"{}")
        check(line.get("text") == "awaited", "who waited read", line)
        check(reader.wait(60) == 0, "who waited exited", reader.returncode)
        check(person.poll()[0] == [], "shown twice")
    finally:
        reader.kill()
        reader.wait()


def measure(program, messages, progress=print, seed=1):
    """Sends and polls through a death and two joins; counts what was lost or seen twice in the end."""
    chooser = random.Random(seed)
    with Cluster(program) as cluster:
        for _ in range(8):
            cluster.add()
        for _ in range(2):
            cluster.add("relay")
        wait_until("an ideal ring of 10", cluster.ring_is_ideal, 60)
        mail = Mail([cluster.identity(name) for name in ("alice", "bob", "carol", "dave")])
        progress(f"8 nodes and 2 relays are one ring; 4 identities")

        for _ in range(messages // 2):
            mail.send_one(chooser)
        mail.poll_all()
        check(not mail.lost() and not mail.twice(), "lost", mail.lost(), "twice", mail.twice())
        progress(f"{mail.number} messages arrived exactly once")
        mail.poll_all()
        check(not mail.twice(), "shown twice:", mail.twice())
        check_strangers(cluster, mail)
        check_waiting(cluster)

        for _ in range(messages // 4):
            mail.send_one(chooser)
        records = {node: node.status()["store"]["records"] for node in cluster.live()}
        for node, count in records.items():
            check(node.role != "relay" or count == 0, "a relay stores", count, "records")
        victim = max((node for node in records if node.role == "node"), key=lambda node: records[node])
        check(records[victim] > 0, "no node holds anything")
        victim.kill()
        progress(f"killed a node that held {records[victim]} records of unread mail")
        cluster.add()
        cluster.add()
        wait_until("an ideal ring of 11", cluster.ring_is_ideal, 60)
        for _ in range(messages - mail.number):
            mail.send_one(chooser)
        for _ in range(3):
            mail.poll_all()
        progress(f"{mail.number} messages sent in all, {len(mail.lost())} lost, {len(mail.twice())} seen twice")
        for node in cluster.live():
            check(node.role != "relay" or node.status()["store"]["records"] == 0, "a relay stores records")
        cluster.live()[-1].terminate()
        return {"messages_sent": mail.number, "messages_lost": len(mail.lost()), "messages_twice": len(mail.twice())}


def run(program, messages, progress=print):
    report = measure(program, messages, progress)
    check(not report["messages_lost"] and not report["messages_twice"], report)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--messages", type=int, default=16)
    options = parser.parse_args()
    print(run(options.program, options.messages))
