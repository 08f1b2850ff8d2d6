#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: bulbil circuits_test sim_test
"""What takes longer than a test should: many messages over ten real processes, rings killed, bits flipped.

usage: main.py BUILD_FOLDER [--messages N] [--trials N] [--flips N]
Writes build/reports/main.json, one flat object, also when a goal is missed; exits 1 then.
"""
import argparse
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import mail
import ring_repair
from harness import Failure

SIMULATED_TRIALS = 600  # rings of 3, 4 and 5, one or two killed, 100 each (tests/sim)


def say(*what):
    print(*what, file=sys.stderr, flush=True)


def flip_bits(build, count):
    """(flips, delivered) of the onion test that flips one bit at a time at every hop."""
    environment = dict(os.environ, BULBIL_FLIPS=str(count))
    result = subprocess.run([os.path.join(build, "circuits_test"), "--gtest_filter=*Flip*"], capture_output=True, text=True,
                            env=environment)
    found = re.findall(r"flips=(\d+) delivered=(\d+)", result.stdout)
    if result.returncode != 0 or not found:
        say(result.stdout[-2000:])
    return sum(int(flips) for flips, _ in found), sum(int(delivered) for _, delivered in found) + (result.returncode != 0)


def simulated_repairs(build):
    """(trials, unrepaired) of the seed's bug in simulation."""
    result = subprocess.run([os.path.join(build, "tests", "sim", "sim_test"), "--gtest_filter=*SeedBug*"], capture_output=True, text=True)
    found = re.findall(r"seed_bug_trials=(\d+) unrepaired=(\d+)", result.stdout)
    if not found:
        say(result.stdout[-2000:])
        return 0, 1
    return sum(int(trials) for trials, _ in found), sum(int(unrepaired) for _, unrepaired in found)


def real_repairs(program, trials):
    """(trials, unrepaired) of the seed's bug with processes."""
    done = unrepaired = 0
    for size in (3, 4, 5):
        for kills in (1, 2):
            for number in range(trials):
                done += 1
                try:
                    ring_repair.trial(program, size, kills, seed=size * 1000 + kills * 100 + number)
                except Failure as failure:
                    unrepaired += 1
                    say("not repaired:", failure)
            say(f"ring of {size}, {kills} killed at once, processes: {trials} trials")
    return done, unrepaired


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--flips", type=int, default=10000)
    options = parser.parse_args()
    program = os.path.join(options.build, "bulbil")

    report = {}
    report["flips"], report["flips_delivered"] = flip_bits(options.build, options.flips)
    simulated = simulated_repairs(options.build)
    real = real_repairs(program, options.trials)
    report["seed_bug_trials"] = simulated[0] + real[0]
    report["seed_bug_unrepaired"] = simulated[1] + real[1]
    report.update(mail.measure(program, options.messages, say))

    print(json.dumps(report, indent=1))
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/main.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    missed = (report["flips"] < options.flips or report["flips_delivered"] or report["seed_bug_unrepaired"]
              or simulated[0] < SIMULATED_TRIALS or report["messages_lost"] or report["messages_twice"]
              or report["messages_sent"] < options.messages)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
