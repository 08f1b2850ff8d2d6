#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What all nodes stored of two people's conversation, dumped: nothing links two of their boxes, nor their doors of two days.

usage: stored.py PROGRAM STORE_DUMP
Two records are linked if any eight bytes of them are the same, wherever they stand, points included; but for what every record of
its kind shares (the expiry, a whole day; the number of a day and of a place). The copies of one box at its other places carry its key
and are one box. A kind has one size, so that is no link either. The controls repeat one field of one record in another.
"""
import collections
import os
import random
import subprocess
import sys

from chat_line import introduce
from harness import Cluster, check, wait_until

ENVELOPE, BUNDLE, BOX, TOMBSTONE = 2, 3, 4, 5
SIZES = {ENVELOPE: 1913, BUNDLE: 762, BOX: 1961}
WINDOW = 8
DAY = 24 * 3600
# Fields that all records of a kind share: the box's place and expiry; the door's day and place, the bundle's version (looked at by
# itself), the envelope's effort and stamp, which are zero without work, and the tombstone's count.
SHARED = {BOX: (32, 41), BUNDLE: (32, 45), ENVELOPE: (32, 57), TOMBSTONE: (32, 38)}
GROUPS_MAX = 400  # of each sort that are compared byte by byte: a field that repeats, repeats among these too

Record = collections.namedtuple("Record", "kind point expiry body")


def dump(program, cluster):
    """All records of all nodes, each once. No node may run."""
    found = set()
    for node in cluster.nodes:
        store = os.path.join(node.home, f"node-{node.port}", "store")
        if not os.path.isdir(store):
            continue
        result = subprocess.run([program, store], capture_output=True, text=True, timeout=300)
        check(result.returncode == 0, "the store of", node.port, "cannot be read:", result.stderr)
        for line in result.stdout.splitlines():
            kind, point, _, expiry, body = line.split()
            found.add(Record(int(kind), bytes.fromhex(point), int(expiry), bytes.fromhex(body)))
    return found


def windows(record):
    """Every eight bytes of what a record does not share with all others, and of its point."""
    start, end = SHARED[record.kind]
    for part in (record.body[:start], record.body[end:], record.point):
        for at in range(len(part) - WINDOW + 1):
            yield part[at:at + WINDOW]


def groups_of(records, kinds):
    """Records by the key they begin with: one box, one door."""
    groups = collections.defaultdict(list)
    for record in records:
        if record.kind in kinds:
            groups[record.body[:32]].append(record)
    chosen = sorted(groups)
    random.Random(1).shuffle(chosen)
    return {key: groups[key] for key in chosen[:GROUPS_MAX]}


def repeated(groups):
    """(key, key) of each two groups that have eight bytes in common."""
    seen, pairs = {}, set()
    for key, members in groups.items():
        for record in members:
            for window in windows(record):
                other = seen.setdefault(window, key)
                if other != key:
                    pairs.add((other, key))
    return pairs


def same_times(records):
    """Doors whose bundles have a version in common, or the same time between two versions of a place: made by the same polls.

    Versions count microseconds, and places have times of their own, some hours wide: chance gives one of a million dumps a link.
    """
    versions = collections.defaultdict(set)
    for record in records:
        if record.kind == BUNDLE:
            versions[record.body[:32], record.body[36]].add(int.from_bytes(record.body[37:45], "big"))
    seen, pairs = {}, set()
    for (door, _), found in versions.items():
        times = {("at", version) for version in found}
        times |= {("between", later - earlier) for later in found for earlier in found if later > earlier}
        for time in times:
            other = seen.setdefault(time, door)
            if other != door:
                pairs.add((other, door))
    return pairs


def links(records):
    """What links two boxes, or two doors; empty if nothing does."""
    found = [f"kind {r.kind} has {len(r.body)} bytes" for r in records if r.kind in SIZES and len(r.body) != SIZES[r.kind]]
    found += [f"a box expires within a day: {r.expiry}" for r in records if r.kind == BOX and r.expiry % DAY]
    for what, kinds in (("boxes", {BOX}), ("doors", {ENVELOPE, BUNDLE, TOMBSTONE})):
        found += [f"{what} {a.hex()[:8]} and {b.hex()[:8]} share bytes" for a, b in repeated(groups_of(records, kinds))]
    found += [f"doors {a.hex()[:8]} and {b.hex()[:8]} have bundles of one poll" for a, b in same_times(records)]
    return found


def change(record, at, data):
    return record._replace(body=record.body[:at] + data + record.body[at + len(data):])


def check_controls(records):
    """The same dump with one field of one record repeated in another is linked each time."""
    boxes = sorted((r for r in records if r.kind == BOX), key=lambda r: r.body)
    one = boxes[0]
    other = next(box for box in boxes if box.body[:32] != one.body[:32])
    rest = records - {other}
    changed = {"key": change(other, 0, one.body[4:20]), "sealed": change(other, 700, one.body[100:108]),
               "place": other._replace(point=one.point), "signature": change(other, 1950, one.body[1900:1908]),
               "size": other._replace(body=other.body[:-1]), "time": other._replace(expiry=other.expiry - 60)}
    for what, control in changed.items():
        check(links(rest | {control}), "a repeated or telling", what, "was not noticed")
    bundles = sorted((r for r in records if r.kind == BUNDLE), key=lambda r: r.body)
    one = bundles[0]
    other = next(bundle for bundle in bundles if bundle.body[:32] != one.body[:32])
    check(same_times({one, change(other, 37, one.body[37:45])}), "a version that two doors share was not noticed")
    earlier = {bundle: int.from_bytes(bundle.body[37:45], "big") - 90_000_001 for bundle in (one, other)}
    spread = {one, other} | {change(bundle, 37, at.to_bytes(8, "big")) for bundle, at in earlier.items()}
    check(same_times(spread), "the same time between two versions was not noticed")


def main():
    with Cluster(sys.argv[1]) as cluster:
        for _ in range(6):
            cluster.add()
        wait_until("an ideal ring", cluster.ring_is_ideal)
        people = introduce(cluster, "alice", "bob")
        try:
            for person in people:
                person.start(cluster.nodes[:3])
            for number in range(4):
                for person in people:
                    person.type("and more")
                wait_until("both to hear", lambda: all(len({n for _, n, _, _ in p.heard}) > number for p in people), 120)
        finally:
            for person in people:
                person.kill()
        cluster.identity("carol").send(people_address(people[0]), b"a note")
        for node in cluster.nodes:
            node.kill()
        records = dump(sys.argv[2], cluster)
        count = collections.Counter(record.kind for record in records)
        check(count[BOX] >= 8 and count[BUNDLE] >= 9 and count[ENVELOPE] >= 2, "too little was stored:", count)
        check(len({r.body[:32] for r in records if r.kind == BUNDLE}) >= 4, "doors of two days")
        check(not links(records), links(records)[:5])
        check_controls(records)
    print("ok")


def people_address(person):
    return person.local("keys", "show").split()[0]


if __name__ == "__main__":
    main()
