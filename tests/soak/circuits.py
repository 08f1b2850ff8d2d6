#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: circuits_test circuits_bench
"""Circuits under attack and over time.

usage: circuits.py BUILD_FOLDER [PART...] [--add] [--quick] [--flips N] [--flood N] [--mib N] [--cells N]
Parts, all of them by default; each can be run alone, and --add puts its figures to those of the runs before:
  flips   one bit at a time, at every hop, offset and direction; and cells replayed, dropped, swapped, spliced: nothing is delivered
  flood   a neighbour of the guard asks for N circuits and keeps them
  deaf    a client asks for bulk over many circuits and reads nothing
  mute    a relay forwards nothing while somebody builds N circuits through it
  loss    every second each relay breaks 30 % of its links
  memory  of the middle relay over bulk
  day     24 hours' worth of cells of a busy client through a chain of three, under asan (builds circuits_bench there)
Writes build/reports/circuits-soak.json. NAME_honest_rate: what an honest client over the same relays keeps of its rate while that
goes on; before and after it is measured alone, and the attackers run at the lowest priority, for they would have machines of their
own. NAME_broken: circuits of the honest client that broke and were built anew. NAME_rss_growth_kib: of the guard, at most. NAME_left: circuits that relays still carry a minute after; 0 is right.
rss_slope_bytes_per_million_cells: growth of the middle relay over the second half of the bulk. Exits 1 if a goal is missed.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import circuits as bench

PARTS = ("flips", "flood", "deaf", "mute", "loss", "memory", "day")
HONEST_SHARE = 0.8
ALONE_SECONDS, ATTACK_SECONDS, AFTER_SECONDS = 8, 20, 60
SLOPE_MAX = 1 << 20       # bytes a million cells: one megabyte for two gigabytes carried
GROWTH_MAX_KIB = 160 << 10  # 64 MiB of cells on links, 32 MiB that wait for windows, and their bookkeeping
DEAF_CIRCUITS, DEAF_MIB = 256, 2048
BULK_MIB = 64
LOSS_PERCENT = 30
REPORT = "build/reports/circuits-soak.json"


def say(*what):
    print(*what, file=sys.stderr, flush=True)


def run_tests(build, pattern, environment):
    """(sum of the tests' own property `flips`, tests that failed)."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        subprocess.run([os.path.join(build, "circuits_test"), "--gtest_filter=" + pattern, "--gtest_brief=1",
                        "--gtest_output=json:" + report], env=dict(os.environ, **environment), check=False)
        with open(report, encoding="utf-8") as file:
            suites = json.load(file)["testsuites"]
    tests = [test for suite in suites for test in suite["testsuite"]]
    failed = [test for test in tests if test.get("failures")]
    return sum(int(test.get("flips", 0)) for test in tests if not test.get("failures")), len(failed)


def bulk(ours, mib):
    """Bytes moved. In pieces: no answer may take longer than a circuit waits for one (10 s)."""
    return sum(ours.ask(f"bulk 4 {min(BULK_MIB, mib - done)}")["bytes"] for done in range(0, mib, BULK_MIB))


class Attacked(bench.Ours):
    """Three relays, an honest client, and room for others."""

    def __init__(self, build):
        super().__init__(build)
        self.build = build
        self.alone = []

    def relay_says(self, relay, line="stats"):
        relay.stdin.write(line + "\n")
        relay.stdin.flush()
        return json.loads(relay.stdout.readline())

    def hostile(self, *descriptors):
        process = self.spawn("client", *descriptors)
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        return process

    def steady(self, seconds):
        figure = self.ask(f"steady {seconds}")
        return figure["mb_s"], figure["broken"]

    def beside(self, name, report, attack, end):
        """Figures of one attack: `attack` starts it and returns what `end` needs to end it."""
        alone = [self.steady(ALONE_SECONDS)[0]]
        guard = self.relays[0]
        before = bench.tornet.proc_mem(guard.pid)["VmRSS_kib"]
        begun = attack()
        most, done = [before], threading.Event()

        def watch():
            while not done.wait(0.2):
                most.append(bench.tornet.proc_mem(guard.pid)["VmRSS_kib"])

        watcher = threading.Thread(target=watch)
        watcher.start()
        during, report[name + "_broken"] = self.steady(ATTACK_SECONDS)
        done.set()
        watcher.join()
        report[name + "_evicted"] = self.relay_says(guard)["evicted"]
        end(begun)
        ended = time.monotonic()
        alone.append(self.steady(ALONE_SECONDS)[0])
        time.sleep(max(0, AFTER_SECONDS - (time.monotonic() - ended)))
        report[name + "_honest_rate"] = during / (sum(alone) / len(alone))
        report[name + "_rss_growth_kib"] = max(most) - before
        report[name + "_left"] = max(self.relay_says(relay)["carried"] for relay in self.relays)
        say(f"{name}: alone {alone[0]:.1f} and {alone[1]:.1f} MB/s, meanwhile {during:.1f}; guard grew by "
            f"{report[name + '_rss_growth_kib']} KiB; {report[name + '_left']} circuits left")

    def flood(self, report, count):
        def attack():
            hostile = self.hostile(*self.descriptors)
            hostile.stdin.write(f"try {count}\n")
            hostile.stdin.flush()
            return hostile

        def end(hostile):
            report["flood_built"] = json.loads(hostile.stdout.readline())["open"]
            hostile.kill()
            hostile.wait()

        self.beside("flood", report, attack, end)

    def deaf(self, report, _):
        def attack():
            hostile = self.hostile(*self.descriptors)
            hostile.stdin.write(f"bulk {DEAF_CIRCUITS} {DEAF_MIB}\n")
            hostile.stdin.flush()
            for _ in range(100):  # until its circuits stand and speak
                time.sleep(0.05)
                if self.relay_says(self.relays[0])["carried"] > DEAF_CIRCUITS // 2:
                    break
            hostile.send_signal(signal.SIGSTOP)
            return hostile

        def end(hostile):
            hostile.kill()
            hostile.wait()

        self.beside("deaf", report, attack, end)

    def mute(self, report, count):
        def attack():
            mute = self.spawn("relay")
            descriptor = mute.stdout.readline().strip()
            hostile = self.hostile(self.descriptors[0], descriptor, self.descriptors[2])
            hostile.stdin.write("build 1\n")  # so that there is a link to it
            hostile.stdin.flush()
            hostile.stdout.readline()
            mute.send_signal(signal.SIGSTOP)
            hostile.stdin.write(f"try {count}\n")
            hostile.stdin.flush()
            return mute, hostile

        def end(processes):
            for process in processes:
                process.kill()
                process.wait()

        self.beside("mute", report, attack, end)

    def loss(self, report, _):
        stop = threading.Event()

        def breaking():
            while not stop.wait(1):
                for relay in self.relays:
                    self.relay_says(relay, f"drop {LOSS_PERCENT}")

        def attack():
            thread = threading.Thread(target=breaking)
            thread.start()
            return thread

        def end(thread):
            stop.set()
            thread.join()

        self.beside("loss", report, attack, end)

    def rss_slope(self, mib):
        """Growth of the middle relay's memory over the second half of that much bulk, by payload cells."""
        bulk(self, mib // 2)
        before = self.middle_rss()
        moved = bulk(self, mib // 2)
        return (self.middle_rss() - before) * 1024 / (moved / bench.CELL_PAYLOAD) * 1e6


def a_day_under_asan(report, cells):
    """That many cells through a chain of three, all of it built with asan and ubsan; halves compared for memory."""
    subprocess.run(["cmake", "--preset", "asan"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", "build/asan", "circuits_bench"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ASAN_OPTIONS"] = f"detect_leaks=1:log_path={folder}/asan"
        os.environ["UBSAN_OPTIONS"] = f"print_stacktrace=1:halt_on_error=0:log_path={folder}/ubsan"
        ours = bench.Ours("build/asan")
        try:
            mib = cells * bench.CELL_PAYLOAD >> 20
            report["day_rss_slope_bytes_per_million_cells"] = Attacked.rss_slope(ours, mib)
            report["day_cells"] = mib * (1 << 20) // bench.CELL_PAYLOAD
        finally:
            ours.stop()
        del os.environ["ASAN_OPTIONS"], os.environ["UBSAN_OPTIONS"]
        reports = os.listdir(folder)
        for name in reports:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                say(file.read()[:4000])
    report["day_asan_reports"] = len(reports)


def missed(report, options):
    """Names of the goals that were not met, of those that were looked at."""
    found = []
    if "flips" in report and (report["flips"] < options.flips or report["flips_delivered"] or report["tampers_delivered"]):
        found.append("flips")
    for name in ("flood", "deaf", "mute", "loss"):
        if name + "_honest_rate" not in report:
            continue
        if report[name + "_honest_rate"] < HONEST_SHARE:
            found.append(name + "_honest_rate")
        if report[name + "_rss_growth_kib"] > GROWTH_MAX_KIB or report[name + "_left"] > 0:
            found.append(name + "_bounds")
    if report.get("rss_slope_bytes_per_million_cells", 0) > SLOPE_MAX:
        found.append("rss_slope")
    if report.get("day_asan_reports", 0) > 0:
        found.append("day")
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART")
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--flips", type=int)
    parser.add_argument("--flood", type=int)
    parser.add_argument("--mib", type=int)
    parser.add_argument("--cells", type=int)
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error("no such part: " + " ".join(sorted(unknown)))
    sizes = {"flips": 10000, "flood": 2000, "mib": 256, "cells": 10000} if options.quick else {
        "flips": 100000, "flood": 10000, "mib": 4096, "cells": 172800}  # one operation of four cells every 2 s, for a day
    for name, size in sizes.items():
        if getattr(options, name) is None:
            setattr(options, name, size)
    report = bench.load(REPORT, {}) if options.add else {}
    if "flips" in options.parts:
        report["flips"], report["flips_delivered"] = run_tests(options.build, "*Flip*", {"BULBIL_FLIPS": str(options.flips)})
        report["tampers"], report["tampers_delivered"] = run_tests(options.build, "*Tamper*", {"BULBIL_FLIPS": str(options.flips // 10)})
    for part in [part for part in options.parts if part in ("flood", "deaf", "mute", "loss", "memory")]:
        ours = Attacked(options.build)  # fresh heaps for each
        try:
            if part == "memory":
                report["rss_slope_bytes_per_million_cells"] = ours.rss_slope(options.mib)
            else:
                getattr(ours, part)(report, options.flood)
        finally:
            ours.stop()
    if "day" in options.parts:
        a_day_under_asan(report, options.cells)
    report["missed"] = " ".join(missed(report, options))
    print(json.dumps(report, indent=1))
    bench.save(REPORT, report)
    sys.exit(1 if report["missed"] else 0)


if __name__ == "__main__":
    main()
