#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: chat_conversation
"""Two users, and five in a group, talk over a simulated store that loses things: what was lost, seen twice, out of order, or shown
in a wrong state.

usage: chat.py BUILD_FOLDER [--messages N] [--seed N] [--quick] [--report FILE]
Writes build/reports/chat-sim.json. Exits 1 if a goal is missed. --quick: 3,000 messages, no report.
"""
import argparse
import json
import os
import re
import subprocess
import sys

ZERO = ("lost_silently", "duplicates_seen", "out_of_order", "wrong_states")


def run(build, messages, seed):
    program = os.path.join(build, "tests", "sim", "chat_conversation")
    output = subprocess.run([program, str(messages), str(seed)], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", output.splitlines()[-1])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", default="build/reports/chat-sim.json")
    options = parser.parse_args()
    counts = run(options.build, 3000 if options.quick else options.messages, options.seed)
    report = {"users": 2, "messages": counts["sent"], "seed": options.seed}
    report.update({name: counts[name] + counts["group_" + name] for name in ZERO})
    for name in ("shown", "late", "expired", "restored", "restored_conversations", "deaths"):
        report[name] = counts[name]
    report.update({"group_users": 5, "group_messages": counts["group_sent"]})
    for name in ("shown", "late", "expired", "told_lost", "restored", "restored_conversations", "changes", "deaths"):
        report["group_" + name] = counts["group_" + name]
    for name, value in report.items():
        print(f"{name:24} {value}")
    if not options.quick:
        os.makedirs(os.path.dirname(options.report) or ".", exist_ok=True)
        with open(options.report, "w", encoding="ascii") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    missed = [name for name in ZERO if report[name]]
    missed += [name + "_conversations" for name in ("restored", "group_restored") if report[name + "_conversations"] != report[name]]
    for name in missed:
        print("MISSED:", name)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
