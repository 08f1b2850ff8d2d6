#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: bulbil circuits_test sim_test
"""What takes longer than a test should: many messages over ten real processes, rings killed, bits flipped.

usage: main.py BUILD_FOLDER [--messages N] [--trials N]
Writes build/reports/main.json, one flat object, also when a goal is missed; exits 1 then.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import mail
import ring_repair
from harness import Failure

FLIPS = 10000            # tests/circuits/flip_test.cc
SIMULATED_TRIALS = 600  # rings of 3, 4 and 5, one or two killed, 100 each (tests/sim)


def say(*what):
    print(*what, file=sys.stderr, flush=True)


def count_passed(program, only, counted):
    """(sum of the property `counted` over the tests that passed, number of tests that failed)."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        subprocess.run([program, "--gtest_filter=" + only, "--gtest_brief=1", "--gtest_output=json:" + report], check=False)
        with open(report, encoding="utf-8") as file:
            suites = json.load(file)["testsuites"]
    tests = [test for suite in suites for test in suite["testsuite"]]
    failed = [test for test in tests if test.get("failures")]
    return sum(int(test.get(counted, 0)) for test in tests if not test.get("failures")), len(failed)


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
    options = parser.parse_args()
    program = os.path.join(options.build, "bulbil")

    report = {}
    # Each of these tests asserts that nothing is delivered, and that every ring is repaired.
    report["flips"], report["flips_delivered"] = count_passed(os.path.join(options.build, "circuits_test"), "*/Flip.*", "flips")
    simulated = count_passed(os.path.join(options.build, "tests", "sim", "sim_test"), "*/RingAfterKills.*", "seed_bug_trials")
    real = real_repairs(program, options.trials)
    report["seed_bug_trials"] = simulated[0] + real[0]
    report["seed_bug_unrepaired"] = simulated[1] + real[1]
    report.update(mail.measure(program, options.messages, say))

    print(json.dumps(report, indent=1))
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/main.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    missed = (report["flips"] < FLIPS or report["flips_delivered"] or report["seed_bug_unrepaired"]
              or simulated[0] < SIMULATED_TRIALS or report["messages_lost"] or report["messages_twice"]
              or report["messages_sent"] < options.messages)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
