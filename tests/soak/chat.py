#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: bulbil store_dump
"""Two people, then twenty, chat over sixteen real nodes while nodes and clients are killed with -9 and started again at random.

usage: chat.py BUILD_FOLDER [--messages N] [--pairs N...] [--spread S] [--minutes M] [--profile off|low|normal|fast] [--seed S] [--quick]
Each pair of people exchanges its share of N messages each way (2,000 for the two; the ten pairs of twenty share them). Three of the
sixteen nodes drop what they hold: their stores are wiped each time they are killed, which is half of all kills and more. Half-way one
of each pair loses the machine and goes on with a backup on another. Beside the largest number of pairs three people talk in a group,
of whom one is taken out half-way, and somebody else put in (chat_circle.py). At the end nobody is killed any more, and what is on its way has
time to arrive.

A text counts once the client echoed it or told its state. lost_silently: never heard by the other one, and nobody was told;
duplicates_seen: printed twice on one machine, but for a print that a kill cut off from its note (shown_again_after_kill);
out_of_order: not marked as late, and heard behind a later one; wrong_states: "stored on" what is not 2 or 3, anything after
"delivered", "expired", or "delivered" before it was seen. Writes build/reports/chat-soak.json, also when something is wrong;
exits 1 then. The typing is spread over 300 seconds for each number of users, so that enough is killed meanwhile. With --minutes it
stops typing after so long and reports what was reached.
"""
import argparse
import collections
import json
import os
import random
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from chat_circle import Circle
from chat_line import Verdict, introduce
from harness import Cluster, Failure, check, wait_until
import stored

NODES, DROPPERS = 16, 3     # 3 of 16 are the 20 % that drop what they hold
TURN = 0.05                 # seconds between two looks at everybody
OPEN_MAX = 6                # texts of one person that were typed and are not stored yet
NODE_KILL_MEAN, NODE_DOWN = 5.0, (0.5, 6.0)   # seconds
DOWN_MAX = 2                # nodes down at once: a third would be all replicas of some place
LIFE_MEAN = 15.0            # seconds, of a client of two; of one of twenty 60
SETTLE = 15 * 60            # seconds: what found no replica is put elsewhere after ten minutes
WORDS = ["the train is at nine", "bring the map", "地図も", "and be early 😀", "no", "x" * 300, "long " * 700]


def say(*what):
    print(*what, file=sys.stderr, flush=True)


class Pair:
    """Two people that write to each other."""

    def __init__(self, cluster, number, share, profile):
        self.cluster, self.share = cluster, share
        self.people = introduce(cluster, f"u{2 * number}", f"u{2 * number + 1}", profile)
        self.homes = [{}, {}]   # life of the client -> home
        self.restored_at = None  # how much each had said then
        self.due = [0.0, 0.0]    # when a dead client is started again

    def side(self, person):
        return self.people.index(person)

    def live(self, person, bootstrap):
        person.start(bootstrap)
        self.homes[self.side(person)][person.lives] = person.home

    def heard_all(self):
        """Everything that was said has been heard."""
        for speaker, reader in (self.people, self.people[::-1]):
            with speaker.lock, reader.lock:
                if set(speaker.said) - {number for _, number, _, _ in reader.heard}:
                    return False
        return True

    def said(self):
        return [len(person.said) for person in self.people]

    def finished(self):
        return min(self.said()) >= self.share

    @property
    def turned(self):
        return self.restored_at is not None

    def turn(self, chooser):
        """One's machine is lost; the person goes on with the backup on another one."""
        side = chooser.randrange(2)
        person = self.people[side]
        backup = person.home + ".bulb"
        person.kill()
        person.local("backup", backup, "--no-passphrase")
        person.home += "-new"
        person.local("restore", backup, "--name", person.name)
        self.restored_at = [person.next for person in self.people]
        self.due[side] = 0.0

    def went_on(self):
        """Both have heard something that was said after the restore."""
        if self.restored_at is None:
            return False
        return all(any(number >= mark for _, number, _, _ in reader.heard)
                   for mark, reader in zip(self.restored_at, self.people[::-1]))

    def verdicts(self):
        return [Verdict(self.people[s], self.people[1 - s], self.homes[1 - s]) for s in (0, 1)]


class Trouble:
    """Kills nodes and starts them again; some come back with empty disks."""

    def __init__(self, cluster, chooser):
        self.cluster, self.chooser = cluster, chooser
        self.droppers = set(chooser.sample(cluster.nodes, DROPPERS))
        self.down = {}  # node -> when it comes back
        self.next = time.monotonic() + 5
        self.count = collections.Counter()

    def act(self, now):
        for node in [node for node, when in self.down.items() if now >= when]:
            del self.down[node]
            self._start(node)
        self.revive()
        if now >= self.next and len(self.down) < DOWN_MAX:
            self.next = now + self.chooser.expovariate(1 / NODE_KILL_MEAN)
            here = self.droppers if self.chooser.random() < 0.5 else self.cluster.nodes
            up = [node for node in self.cluster.nodes if node in here and node not in self.down]
            if up:
                self._kill(self.chooser.choice(up), now)

    def revive(self):
        for node in self.cluster.nodes:
            if node not in self.down and not node.alive():
                self.count["nodes_ended"] += 1
                say("a node ended by itself:", node.process.returncode, node.log()[-600:])
                self._start(node)

    def _kill(self, node, now):
        node.kill()
        self.count["node_kills"] += 1
        if node in self.droppers:
            shutil.rmtree(os.path.join(node.home, f"node-{node.port}", "store"), ignore_errors=True)
            self.count["stores_wiped"] += 1
        self.down[node] = now + self.chooser.uniform(*NODE_DOWN)

    def _start(self, node):
        node.bootstrap = [other.address for other in self.chooser.sample(self.cluster.live(), 4)]
        node.start()

    def end(self):
        for node in self.down:
            self._start(node)
        self.down.clear()


class Run:
    def __init__(self, program, pairs, messages, options):
        self.options, self.chooser = options, random.Random(options.seed * 100 + pairs)
        self.cluster = Cluster(program)
        self.share = -(-messages // pairs)
        self.pair_count, self.has_group = pairs, pairs == max(options.pairs)
        self.life = LIFE_MEAN * max(1.0, pairs * 0.4)
        self.client_kills = 0

    def __enter__(self):
        for _ in range(NODES):
            self.cluster.add()
        wait_until("an ideal ring", self.cluster.ring_is_ideal, 120)
        self.pairs = [Pair(self.cluster, number, self.share, self.options.profile) for number in range(self.pair_count)]
        self.talks = self.pairs + ([Circle(self.cluster, self.share, self.options.profile)] if self.has_group else [])
        self.trouble = Trouble(self.cluster, self.chooser)
        return self

    def __exit__(self, *error):
        for talk in getattr(self, "talks", []):
            for person in talk.people:
                person.kill()
        return self.cluster.__exit__(*error)

    def _lives(self, now, kills):
        for talk in self.talks:
            for person in talk.people:
                side = talk.side(person)
                if not person.alive() and now >= talk.due[side]:
                    talk.due[side] = now + 2  # one that ends by itself is not started again and again
                    talk.live(person, self.chooser.sample(self.cluster.live(), 3))
                elif kills and person.alive() and self.chooser.random() < TURN / self.life:
                    person.kill()
                    self.client_kills += 1
                    talk.due[side] = now + self.chooser.uniform(0.2, 3)

    def _type(self, pair, seconds):
        due = 1 + pair.share * seconds / self.options.spread
        for person in pair.people:
            if person.alive() and len(person.said) < min(pair.share, due) and person.open() < OPEN_MAX:
                person.type(self.chooser.choice(WORDS))

    def talk(self):
        """Seconds until all was said, or the time was over."""
        start = told = time.monotonic()
        end = start + 60 * self.options.minutes if self.options.minutes else float("inf")
        while not all(talk.finished() and talk.turned for talk in self.talks):
            now = time.monotonic()
            if now >= end:
                break
            self.trouble.act(now)
            self._lives(now, kills=True)
            for talk in self.talks:
                half = min(talk.said()) >= talk.share // 2 or now - start >= (end - start) / 2
                if half and not talk.turned:
                    if talk.heard_all():
                        talk.turn(self.chooser)
                else:
                    self._type(talk, now - start)
            if now - told > 30:
                told = now
                self._tell(now - start)
            time.sleep(TURN)
        return time.monotonic() - start

    def settle(self):
        self.trouble.end()
        end = time.monotonic() + SETTLE
        while time.monotonic() < end and not all(talk.heard_all() for talk in self.talks):
            self.trouble.revive()
            self._lives(time.monotonic(), kills=False)
            time.sleep(0.2)
        time.sleep(3)  # for what would be shown twice

    def _tell(self, seconds):
        said = sum(sum(talk.said()) for talk in self.talks)
        heard = sum(len(person.heard) for talk in self.talks for person in talk.people)
        say(f"{seconds:4.0f} s: {said} said, {heard} heard, {dict(self.trouble.count)}, {self.client_kills} clients killed")

    def report(self, seconds):
        total = collections.Counter()
        for talk in self.talks:
            total["messages" if talk in self.pairs else "group_messages"] += sum(talk.said())
            for verdict in talk.verdicts():
                total["lost_silently"] += len(verdict.missing)
                total["duplicates_seen"] += len(verdict.twice)
                total["shown_again_after_kill"] += len(verdict.again_after_kill)
                total["out_of_order"] += len(verdict.out_of_order)
                total["marked_late"] += verdict.late
                total["wrong_states"] += len(verdict.wrong_states)
                for what in ("missing", "twice", "out_of_order", "wrong_states"):
                    if getattr(verdict, what):
                        say(what, getattr(verdict, what)[:10])
            total["restored_conversations"] += talk in self.pairs and talk.went_on()
            for person in talk.people:
                total["clients_ended"] += len(person.ended)
                for ended in person.ended[:3]:
                    say(person.name, "ended by itself:", ended)
        self.trouble.revive()  # counts who ended in the last seconds, too
        total.update(self.trouble.count)
        total["client_kills"] = self.client_kills
        total["stored_links"] = self._stored()
        total["minutes"] = round(seconds / 60, 2)
        return dict(total)

    def _stored(self):
        """Links between the boxes that all nodes hold in the end (tests/e2e/stored.py)."""
        for talk in self.talks:
            for person in talk.people:
                person.kill()
        for node in self.cluster.nodes:
            node.kill()
        records = stored.dump(os.path.join(self.options.build, "tests", "e2e", "store_dump"), self.cluster)
        boxes = sum(record.kind == stored.BOX for record in records)
        check(boxes > 100, "too little was stored to find links in:", boxes)
        links = stored.links(records)
        for link in links[:10]:
            say("stored:", link)
        return len(links)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--spread", type=float, default=300)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--profile", default="off")  # off the clock: 2,000 messages each way take their time at its ticks
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    messages = 60 if options.quick else options.messages
    options.spread = 20 if options.quick else options.spread

    report, sums = {}, collections.Counter()
    for pairs in options.pairs:
        with Run(os.path.join(options.build, "bulbil"), pairs, messages, options) as run:
            seconds = run.talk()
            run.settle()
            part = run.report(seconds)
        say(f"{2 * pairs} users:", part)
        sums.update(part)
        report[f"messages_of_{2 * pairs}"], report[f"minutes_of_{2 * pairs}"] = part["messages"], part["minutes"]
    faults = ["lost_silently", "duplicates_seen", "out_of_order", "wrong_states", "nodes_ended", "clients_ended", "stored_links"]
    names = ["messages", "group_messages", *faults, "restored_conversations", "shown_again_after_kill", "marked_late", "node_kills", "stores_wiped",
             "client_kills"]
    report = {"users": 2 * max(options.pairs), **{name: sums[name] for name in names}, **report}
    print(json.dumps(report, indent=1))
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/chat-soak.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    wrong = any(report[name] for name in faults) or report["restored_conversations"] < sum(options.pairs)
    sys.exit(1 if wrong or report["messages"] < 2 * messages * len(options.pairs) else 0)


if __name__ == "__main__":
    main()
