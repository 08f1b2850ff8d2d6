#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: store_join
"""A joiner of a ring of 16 downloads its share while users put, and is killed half-way again and again.

usage: store_join.py BUILD_FOLDER [--records N] [--kills N] [--quick]
RECORDS of 1 KiB in the ring (tests/soak/store_join.cc). Puts into build/reports/store-soak.json, beside what store.py writes there:
join_mb_per_s, join_put_p99_ratio (puts during the download / before), join_kills, join_lost, join_twice_share. Exits 1 if a goal is
missed.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

REPORT = "build/reports/store-soak.json"


def join(build, records, kills, report):
    """Puts its figures into the report; whether all goals were met."""
    with tempfile.TemporaryDirectory(prefix="bulbil-join-") as folder:
        command = [os.path.join(build, "tests/soak/store_join"), folder, str(records), str(kills)]
        done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout.strip(), done.stderr.strip()[-2000:], flush=True)
    numbers = {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", done.stdout)}
    if not numbers:
        return False
    report["join_mb_per_s"] = numbers["join_kb_per_s"] / 1e3
    report["join_records"] = numbers["join_records"]
    report["join_put_p99_ratio"] = numbers["put_p99_us_busy"] / max(1, numbers["put_p99_us_quiet"])
    report["join_put_p99_ms"] = numbers["put_p99_us_busy"] / 1e3
    report["join_kills"], report["join_lost"] = numbers["join_kills"], numbers["join_lost"]
    report["join_twice_share"] = numbers["twice_ppm"] / 1e6
    report["join_puts_failed"] = numbers["puts_failed"]
    return (done.returncode == 0 and report["join_mb_per_s"] >= 50 and report["join_put_p99_ratio"] <= 2
            and report["join_lost"] == 0 and report["join_twice_share"] <= 0.01)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="100,000 records, three kills")
    options = parser.parse_args()
    if options.quick:
        options.records, options.kills = 100_000, 3
    report = {}
    if os.path.exists(REPORT):
        with open(REPORT, encoding="utf-8") as file:
            report = json.load(file)
    is_good = join(options.build, options.records, options.kills, report)
    os.makedirs(os.path.dirname(REPORT), exist_ok=True)
    with open(REPORT, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
