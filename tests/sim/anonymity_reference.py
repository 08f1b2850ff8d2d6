#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent model of what hostile relays learn of a sender, beside the C++ one, on rings small enough to count through.

usage: anonymity_reference.py PROGRAM [SEEDS]      exits 1 if any entropy differs by 0.1 bit or more

Counts every sender, every pool that may be theirs, every ordered choice of three relays, and groups by what the hostile relays see.
"""
import itertools
import json
import math
import subprocess
import sys
from collections import defaultdict


def circuits_from_pools(ring):
    """(sender, circuit, probability), every pool of the right size that holds what is known of it being equally likely."""
    members = range(ring["members"])
    for sender in members:
        if sender in ring["hostile"]:
            continue
        others = [m for m in members if m != sender and m not in ring["known"][sender]]
        rests = list(itertools.combinations(others, ring["pool"] - len(ring["known"][sender])))
        for rest in rests:
            hops = list(itertools.permutations(ring["known"][sender] + list(rest), 3))
            for circuit in hops:
                yield sender, circuit, 1 / len(rests) / len(hops)


def circuits_from_fingers(ring):
    for sender in range(ring["members"]):
        if sender in ring["hostile"]:
            continue
        hops = list(itertools.permutations(ring["fingers"][sender], 3))
        for circuit in hops:
            yield sender, circuit, 1 / len(hops)


def entropy_given_hostile_last(ring, circuits):
    hostile = set(ring["hostile"])
    joint = defaultdict(lambda: defaultdict(float))  # what is seen -> sender -> probability
    for sender, (guard, middle, last), chance in circuits:
        if last not in hostile:
            continue
        if guard in hostile:
            seen = ("named", sender)
        elif middle in hostile:
            seen = (guard, middle, last)
        else:
            seen = (None, middle, last)
        joint[seen][sender] += chance
    total = sum(sum(row.values()) for row in joint.values())
    bits = 0.0
    for row in joint.values():
        here = sum(row.values())
        bits -= sum(p * math.log2(p / here) for p in row.values() if p > 0)
    return bits / total


def main():
    program, seeds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    worst = 0.0
    for seed in range(1, seeds + 1):
        ring = json.loads(subprocess.run([program, "reference", str(seed)], capture_output=True, text=True, check=True).stdout)
        pool = entropy_given_hostile_last(ring, circuits_from_pools(ring))
        fingers = entropy_given_hostile_last(ring, circuits_from_fingers(ring))
        print(f"seed {seed}: pool {ring['pool_bits']:.4f} here {pool:.4f}; fingers {ring['finger_bits']:.4f} here {fingers:.4f}")
        worst = max(worst, abs(pool - ring["pool_bits"]), abs(fingers - ring["finger_bits"]))
    print(f"greatest difference {worst:.6f} bit")
    sys.exit(1 if worst >= 0.1 else 0)


if __name__ == "__main__":
    main()
