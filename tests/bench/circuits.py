#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: bulbil circuits_bench circuits_costs
# packages: tor libbenchmark-dev
"""Circuits of ours and of Tor, alternating in one run: three relays, one path, one machine, one loopback of their own.

usage: circuits.py BUILD_FOLDER [--rounds N] [--parts rounds,rss,memory,costs,note] [--add] [--quick] [--mib N] [--circuits N] [--without-tor]
A round takes about two minutes. --parts takes only some of the figures; --add puts them to those of the runs before, and its
rounds to theirs, so that the whole can be taken piece by piece on a machine that is quiet only now and then.

Tor runs twice: with the live network's consensus parameters, and tuned (no scheduler tick, windows of 500 cells and more). Each
ratio is ours to the better of the two, the median over the rounds. Writes build/reports/circuits-bench.json; a figure that could
not be taken is absent, and said so.

Ours: tests/bench/circuits_bench.cc, the program's drivers, links and loop with a stream type for bulk added; idle_rss is of the
program itself, note_warm of whole processes (note.py).
"""
import argparse
import json
import os
import random
import select
import shutil
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers", "tor"))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import network as tornet
import note

GIB = 1 << 30
CELL_PAYLOAD = 2000
IN_FLIGHT = (1, 32, 128)
NOTES = 7  # a round
BUILDS, PINGS, LOADED_PINGS, RATE_SECONDS = 20, 300, 300, 3
TUNED = ("cc_alg=2 cc_cwnd_init=500 cc_cwnd_min=500 circ_max_cell_queue_size=5000 circ_max_cell_queue_size_out=5000")
RATES = tuple(f"build_rate_{at_once}" for at_once in IN_FLIGHT)
METRICS = ("relay_cpu", "throughput_1", "throughput_8", "build_idle", "build_cpu", "build_rate", *RATES, "rtt_idle",
           "rtt_loaded_p99")
BETTER_HIGH = ("throughput_1", "throughput_8", "build_rate", *RATES)
PARTS = ("rounds", "rss", "memory", "costs", "note")
REPORT, ROUNDS = "build/reports/circuits-bench.json", "build/circuits-rounds.json"


def say(*what):
    print(*what, file=sys.stderr, flush=True)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Ours:
    """Three relays and a client, each a process."""

    def __init__(self, build):
        self.program = os.path.join(build, "tests", "bench", "circuits_bench")
        self.relays, self.descriptors = [], []
        for _ in range(3):
            relay = self.spawn("relay")
            self.descriptors.append(relay.stdout.readline().strip())
            self.relays.append(relay)
        self.client = self.spawn("client", *self.descriptors)
        self.ask("build 3")

    def spawn(self, *arguments):
        return subprocess.Popen([self.program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.client.stdin.write(line + "\n")
        self.client.stdin.flush()
        answer = self.client.stdout.readline()
        if not answer:
            raise RuntimeError("the client ended at: " + line)
        return json.loads(answer)

    def cpu(self):
        return [tornet.proc_cpu_ns(process.pid) for process in [self.client] + self.relays]

    def middle_rss(self):
        return tornet.proc_mem(self.relays[1].pid)["VmRSS_kib"]

    def measure(self, mib):
        figures = {"build_idle": statistics.median(self.ask(f"build {BUILDS}")["ms"])}
        for at_once, name in zip(IN_FLIGHT, RATES):
            before = sum(self.cpu())
            rate = self.ask(f"rate {at_once} {RATE_SECONDS}")
            figures[name] = rate["per_s"]
            if at_once == 32:
                figures["build_cpu"] = (sum(self.cpu()) - before) * 1000 / max(1, rate["built"])
        figures["build_rate"] = max(figures[name] for name in RATES)
        before = self.cpu()[2]
        bulk = self.ask(f"bulk 1 {mib}")
        figures["throughput_1"] = bulk["mb_s"]
        figures["relay_cpu"] = (self.cpu()[2] - before) * GIB / bulk["bytes"]
        figures["throughput_8"] = self.ask(f"bulk 8 {mib}")["mb_s"]
        figures["rtt_idle"] = statistics.median(self.ask(f"ping {PINGS}")["us"]) / 1000
        figures["rtt_loaded_p99"] = percentile(self.ask(f"loaded {LOADED_PINGS}")["us"], 0.99) / 1000
        return figures

    def bytes_per_circuit(self, count):
        before = self.middle_rss()
        opened = self.ask(f"open {count}")["open"]
        grown = self.middle_rss() - before
        self.ask("close")
        return grown * 1024 / opened

    def stop(self):
        for process in [self.client] + self.relays:
            process.stdin.close()
        for process in [self.client] + self.relays:
            process.wait(30)


class Tor:
    """A private Tor network; figures over one fixed path."""

    def __init__(self, port, params, extra):
        options = SimpleNamespace(tor="tor", dir=None, keep=False, base_port=port, auths=3, relays=3, exits=2, clients=1,
                                  params=params, extra=extra)
        self.net = tornet.Net(options)
        self.net.layout()
        self.net.start()

    def wait(self):
        self.net.wait()
        relays, exits = self.net.by("relay"), self.net.by("exit")
        self.path = [relays[0], relays[1], exits[0]]
        self.control = self.net.ctl("client0")
        self.control.cmd("SETCONF __LeaveStreamsUnattached=1")
        self.control.cmd("SETEVENTS CIRC STREAM")
        self.idle_rss = statistics.median(tornet.proc_mem(self.net.proc[n["name"]].pid)["VmRSS_kib"] for n in relays)

    def open(self, circuit):
        stream, _ = tornet.open_on(self.control, self.net.nodes["client0"]["socks"], circuit, tornet.HOST, self.net.srv_port)
        return stream

    def build(self):
        circuit, took = tornet.build(self.control, self.path)
        return circuit, took

    def bulk(self, circuits, mib):
        """(MB/s, bytes) of a download over that many circuits at once."""
        held = [self.build()[0] for _ in range(circuits)]
        streams = [self.open(circuit) for circuit in held]
        size = (mib << 20) // circuits
        start = time.perf_counter()
        for stream in streams:
            stream.sendall(b"D %d\n" % size)
            stream.setblocking(False)
        left = {stream: size for stream in streams}
        buffer = bytearray(1 << 18)
        while left:
            for stream in readable(left):
                left[stream] -= stream.recv_into(buffer)
                if left[stream] <= 0:
                    del left[stream]
        took = time.perf_counter() - start
        for stream, circuit in zip(streams, held):
            stream.close()
            tornet.close_circ(self.control, circuit)
        return size * circuits / took / 1e6, size * circuits

    def measure(self, mib):
        took = []
        for _ in range(BUILDS):
            circuit, milliseconds = self.build()
            took.append(milliseconds)
            tornet.close_circ(self.control, circuit)
        figures = {"build_idle": statistics.median(took)}
        for at_once, name in zip(IN_FLIGHT, RATES):
            run = tornet.sustained(self.net, "client0", at_once, RATE_SECONDS, random.Random(1), self.path)
            figures[name] = run["built"] / run["wall"]
            if at_once == 32:
                cpu = sum(seconds for name, seconds in run["cpu"].items() if name != "server")
                figures["build_cpu"] = cpu * 1000 / max(1, run["built"])
        figures["build_rate"] = max(figures[name] for name in RATES)
        self.control.cmd("SETEVENTS CIRC STREAM")
        middle = self.path[1]["name"]
        before = self.net.cpu()[middle]
        figures["throughput_1"], size = self.bulk(1, mib)
        figures["relay_cpu"] = (self.net.cpu()[middle] - before) * GIB / size
        figures["throughput_8"], _ = self.bulk(8, mib)
        circuit, _ = self.build()
        stream = self.open(circuit)
        stream.sendall(b"E\n")
        figures["rtt_idle"] = statistics.median(tornet.pingpong(stream, 256, PINGS))
        figures["rtt_loaded_p99"] = percentile(self.loaded(stream), 0.99)
        stream.close()
        tornet.close_circ(self.control, circuit)
        return figures

    def loaded(self, stream):
        """Pings beside a download over the same relays that outlasts them, read by a process of its own."""
        circuit, _ = self.build()
        bulk = self.open(circuit)
        bulk.sendall(b"D %d\n" % (4 << 30))
        bulk.setblocking(True)
        reader = subprocess.Popen([sys.executable, "-c", "import socket,sys\ns=socket.socket(fileno=int(sys.argv[1]))\n"
                                   "while s.recv(262144): pass", str(bulk.fileno())], pass_fds=[bulk.fileno()])
        time.sleep(1)
        took = tornet.pingpong(stream, 256, LOADED_PINGS)
        reader.kill()
        reader.wait()
        bulk.close()
        tornet.close_circ(self.control, circuit)
        return took

    def stop(self):
        self.net.stop()


def readable(streams):
    return select.select(list(streams), [], [], 60)[0]


def idle_relay_rss(program):
    """KiB of a `bulbil relay` in a ring of four, at rest."""
    import harness
    with harness.Cluster(program) as cluster:
        for role in ("node", "relay", "relay", "relay"):
            cluster.add(role)
        time.sleep(15)
        memory = tornet.proc_mem(cluster.nodes[-1].process.pid)
        say("idle relay, KiB:", memory)
        return memory["VmRSS_kib"]


def costs(build):
    """Microseconds by name, out of google-benchmark."""
    program = os.path.join(build, "tests", "bench", "circuits_costs")
    text = subprocess.run([program, "--benchmark_format=json"], capture_output=True, text=True, check=True).stdout
    return {run["name"]: run["cpu_time"] / 1000 for run in json.loads(text)["benchmarks"]}


def own_loopback(script=__file__):
    """Runs the script anew in a network namespace of its own, where that is allowed."""
    if os.environ.get("BULBIL_OWN_LOOPBACK") or os.geteuid() != 0:
        return
    os.environ["BULBIL_OWN_LOOPBACK"] = "1"
    if subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        os.execvp("unshare", ["unshare", "--net", sys.executable, os.path.abspath(script), *sys.argv[1:]])


def ratios(report, rounds):
    report["rounds"] = len(rounds)
    report["rounds_with_tor"] = sum(1 for one in rounds if "tor_live" in one)
    report["load_before"] = max(one["load"] for one in rounds)  # of the machine, in the last minute before a round
    for name in METRICS:
        mine = [one["ours"][name] for one in rounds]
        report["ours_" + name] = statistics.median(mine)
        rivals = {who: [one[who][name] for one in rounds if who in one] for who in ("tor_live", "tor_tuned")}
        rivals = {who: values for who, values in rivals.items() if len(values) == len(mine)}
        for who, values in rivals.items():
            report[who + "_" + name] = statistics.median(values)
        if rivals:
            best = max if name in BETTER_HIGH else min
            report[name] = statistics.median(own / best(values[i] for values in rivals.values()) for i, own in enumerate(mine))
    report["cells_per_s_per_core"] = GIB / CELL_PAYLOAD / report["ours_relay_cpu"]


def take_rounds(options, rounds, with_tor):
    """Appends them; the resident KiB of a Tor relay at rest, where there is one."""
    rivals, ours = {}, None
    try:
        if with_tor:
            rivals = {"tor_live": Tor(21000, None, None), "tor_tuned": Tor(22000, TUNED, "Schedulers Vanilla")}
            for tor in rivals.values():
                tor.wait()
        ours = Ours(options.build)
        for _ in range(options.rounds):
            one = {"load": os.getloadavg()[0], "ours": ours.measure(options.mib)}
            for who, tor in rivals.items():
                one[who] = tor.measure(options.mib)
            for who, figures in one.items():
                say(f"round {len(rounds) + 1}: {who}", json.dumps(figures))
            rounds.append(one)
            save(ROUNDS, rounds)
        return rivals["tor_live"].idle_rss if rivals else None
    finally:
        for one in [ours, *rivals.values()]:
            if one is not None:
                one.stop()


def bytes_per_circuit(build, count):
    ours = Ours(build)  # fresh heaps: what bulk has left free would hide what circuits take
    try:
        return ours.bytes_per_circuit(count)
    finally:
        ours.stop()


def load(path, otherwise):
    if not os.path.exists(path):
        return otherwise
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(path, what):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(what, file, indent=1)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--circuits", type=int, default=10000)
    parser.add_argument("--without-tor", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.mib, options.circuits = 1, min(options.mib, 24), min(options.circuits, 2000)
    options.parts = options.parts.split(",")
    if not set(options.parts) <= set(PARTS):
        parser.error(f"--parts knows {', '.join(PARTS)}")
    return options


def main():
    options = parse()
    own_loopback()
    if os.environ.get("BULBIL_OWN_LOOPBACK"):
        tornet.lo_up(1500)
    with_tor = shutil.which("tor") is not None and not options.without_tor
    if not with_tor:
        say("circuits: tor is not installed or not wanted; no ratios")
    report = load(REPORT, {}) if options.add else {}
    rounds = load(ROUNDS, []) if options.add else []
    if "rounds" in options.parts:
        tor_rss = take_rounds(options, rounds, with_tor)
        ratios(report, rounds)
        if tor_rss is not None:
            report["tor_idle_rss_kib"] = tor_rss
    if "rss" in options.parts:
        report["ours_idle_rss_kib"] = idle_relay_rss(os.path.join(options.build, "bulbil"))
    if {"ours_idle_rss_kib", "tor_idle_rss_kib"} <= set(report):
        report["idle_rss"] = report["ours_idle_rss_kib"] / report["tor_idle_rss_kib"]
    if "memory" in options.parts:
        report["bytes_per_circuit"] = bytes_per_circuit(options.build, options.circuits)
    if "costs" in options.parts:
        report["layer_us"] = costs(options.build)["Layer"]
    if "note" in options.parts:
        report.update(note.compare(options.build, options.rounds, NOTES, with_tor))
    print(json.dumps(report, indent=1))
    save(REPORT, report)


if __name__ == "__main__":
    main()
