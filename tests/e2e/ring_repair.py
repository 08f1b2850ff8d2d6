#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The seed's bug, with processes: rings of 3, 4 and 5, one or two killed at once, are always repaired, and no node names itself
its successor while another lives.

usage: ring_repair.py PROGRAM [--trials N]
"""
import argparse
import random

from harness import Cluster, check, wait_until


def trial(program, size, kills, seed):
    """One ring, one kill. Returns True if it was repaired."""
    chooser = random.Random(seed)
    with Cluster(program) as cluster:
        for _ in range(size):
            cluster.add()
        wait_until(f"an ideal ring of {size}", cluster.ring_is_ideal, 60)
        for victim in chooser.sample(cluster.nodes, kills):
            victim.process.kill()
        for node in cluster.nodes:
            if node.process.returncode is None and node.process.poll() is None:
                continue
            node.process.wait()

        def repaired():
            check(not cluster.self_as_successor(), "self as successor in a ring of", size, "after", kills, "kills, seed", seed)
            return cluster.ring_is_ideal()

        wait_until(f"{size - kills} survivors of {size} to be one ring (seed {seed})", repaired, 30)
    return True


def run(program, trials, progress=print):
    done = 0
    for size in (3, 4, 5):
        for kills in (1, 2):
            for number in range(trials):
                trial(program, size, kills, seed=size * 1000 + kills * 100 + number)
                done += 1
            progress(f"ring of {size}, {kills} killed at once: {trials} of {trials} repaired")
    return done


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--trials", type=int, default=1)
    options = parser.parse_args()
    run(options.program, options.trials)
