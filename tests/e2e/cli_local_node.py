#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Commands beside running nodes: which node is asked, what status and lookups print, what a relay and a ring too small refuse.

usage: cli_local_node.py PROGRAM
"""
import fcntl
import glob
import json
import os
import signal
import stat
import subprocess
import sys

from harness import Cluster, check, port_of, wait_until


def errors_of(cluster, *arguments, code, stdin=b""):
    return cluster.run(*arguments, stdin=stdin, expect=code).stderr.decode()


def status_has_what_scripts_need(node, role):
    status = node.status()
    check(status["role"] == role and status["state"] == "ready", "status:", status)
    check(status["store"]["records"] == 0, "records are printed also when there are none:", status)
    check(status["anonymity"] == "none yet: a message needs 4 other nodes, 2 known", "anonymity:", status["anonymity"])
    check(len(status["ring"]["successors"]) == 2 and status["ring"]["predecessor"], "ring:", status["ring"])
    check(node.port not in [port_of(address) for address in status["ring"]["successors"]], "its own successor:", status["ring"])
    text = node.cluster.run("status", "--home", node.home).stdout.decode()
    check(f"listening localhost:{node.port}" in text and "  ring " in text, "screen:", text)


def top_looks_again(node):
    lines = node.cluster.run("top", "--looks", "2", "--home", node.home).stdout.decode().splitlines()
    check(len(lines) == 2 and all(line.startswith("ready  ring 3 ") for line in lines), "two looks of a node at rest:", lines)
    looks = [json.loads(line) for line in node.cluster.run("top", "--looks", "2", "--json", "--home", node.home).stdout.splitlines()]
    check(looks[1]["uptime_s"] > looks[0]["uptime_s"] and looks[0]["memory_mib"] > 1 and looks[0]["cpu_s"] > 0, "looks:", looks)


def the_socket_is_private(node):
    path = os.path.join(node.home, "run", f"{node.port}.sock")
    check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "the control socket is open:", oct(os.stat(path).st_mode))
    by_path = node.cluster.run("status", "--json", "--node", path, "--home", os.path.join(node.cluster.folder, "elsewhere"))
    check(port_of(json.loads(by_path.stdout)["listening"]) == node.port, "another node was asked")


def lookups_agree(cluster, nodes):
    for digit in "05af":
        found = [json.loads(cluster.run("ring", "lookup", digit * 64, "--json", "--node", str(node.port), "--home", node.home).stdout)
                 for node in nodes]
        check(len({answer["owner"] for answer in found}) == 1, "owners differ:", found)
        check(all(len(answer["owner"]) == 64 and answer["hops"] >= 0 and port_of(answer["address"]) for answer in found), found)
    members = json.loads(cluster.run("ring", "show", "--json", "--home", nodes[0].home).stdout)["members"]
    check(sorted(port_of(member["address"]) for member in members) == sorted(node.port for node in nodes), "members:", members)


def bytes_come_back(cluster, first, second):
    value = bytes(range(256)) * 16
    key = cluster.run("dht", "put", "--home", first.home, stdin=value).stdout.decode().strip()
    check(len(key) == 64, "key:", key)
    check(cluster.run("dht", "get", key, "--home", second.home).stdout == value, "other bytes came back")
    answer = json.loads(cluster.run("dht", "get", key.upper(), "--json", "--home", second.home).stdout)
    check(bytes.fromhex(answer["value_hex"]) == value, "other bytes in JSON")
    errors_of(cluster, "dht", "get", "0" * 64, "--home", first.home, code=6)
    errors_of(cluster, "dht", "put", "--home", first.home, code=7, stdin=b"x" * (64 * 1024 + 1))


def homes_share_nothing(cluster, node):
    other = os.path.join(cluster.folder, "other-home")
    check("no node is running" in errors_of(cluster, "status", "--home", other, code=4), "another home's node was asked")
    errors_of(cluster, "status", "--node", str(node.port), "--home", other, code=4)


def a_relay_serves_no_client(cluster, relay, address):
    check("relay" in errors_of(cluster, "send", address, "--home", relay.home, code=7, stdin=b"x"), "not told why")
    errors_of(cluster, "dht", "put", "--home", relay.home, code=7, stdin=b"x")
    cluster.run("status", "--home", relay.home)
    cluster.run("health", "--home", relay.home)


def three_nodes_are_too_few_for_a_message(cluster, nodes, person):
    for way in [["--home", nodes[0].home], ["--bootstrap", nodes[0].address, "--home", person.home]]:
        error = errors_of(cluster, "send", person.address, *way, code=4, stdin=b"x")
        check("needs 4 other nodes" in error, "not told why:", error)


def doctor_says_what_is_missing(cluster, nodes):
    for node, role in [(nodes[0], "node"), (nodes[2], "relay")]:
        result = cluster.run("doctor", "--json", "--home", node.home, expect=4)
        levels = {one["name"]: one["level"] for one in map(json.loads, result.stdout.decode().splitlines()) if one["type"] == "check"}
        check(levels["node"] == "fail" and levels["clock"] == levels["ring"] == levels["store"] == "ok", role, levels)
        check(("circuit" in levels) == (role == "node"), role, levels)


def a_port_belongs_to_one_node(cluster, node):
    error = errors_of(cluster, "--port", str(node.port), "--bootstrap", "none", "--home", os.path.join(cluster.folder, "late"), code=5)
    check("already in use" in error, "not told why:", error)
    error = errors_of(cluster, "--port", str(node.port), "--home", node.home, code=5)  # the same command typed twice
    check("already in use" in error and "a bulbil node is running there" in error, "not told why:", error)


def a_store_belongs_to_one_process(cluster, node):
    """Asked once the node is gone; another program that holds the store's lock is named, and the store is left alone."""
    found = glob.glob(os.path.join(node.home, "**", "store", "LOCK"), recursive=True)
    with open(found[0], "r+b") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        error = errors_of(cluster, "--port", str(node.port), "--bootstrap", "none", "--home", node.home, code=5)
    check(f"node store is locked by another process (pid {os.getpid()})" in error and "fix:" in error, "not told why:", error)


def interrupted(cluster, node, person):
    command = [cluster.program, "poll", "--watch", "--as", person.name, "--home", person.home, "--bootstrap", node.address]
    poll = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    check(b"Ctrl-C" in poll.stderr.readline(), "a watch says that it watches")
    poll.send_signal(signal.SIGINT)
    check(poll.wait(timeout=30) == 130, "exit", poll.returncode, "after Ctrl-C")
    poll.stderr.close()


def each_v_tells_more(cluster, bootstrap):
    """A node that joins and leaves: debug lines with -v, trace lines too with -vv, its calls too with -vvv."""
    lines = {}
    for flag in ["-q", "-v", "-vv", "-vvv"]:
        home = os.path.join(cluster.folder, "home" + flag)
        command = [cluster.program, flag, "--port", "0", "--bootstrap", bootstrap, "--home", home]
        node = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until("another node", lambda: os.path.isdir(home) and cluster.run("health", "--home", home, expect=None).returncode == 0)
        node.send_signal(signal.SIGTERM)
        text = node.communicate(timeout=30)[1].decode()
        check(node.returncode == 0, "exit", node.returncode, text)
        found = [line.split() for line in text.splitlines()]
        lines[flag] = {(words[1], words[2]) for words in found if len(words) > 2}
    levels = {flag: {level for level, _ in seen} for flag, seen in lines.items()}
    check("info" not in levels["-q"], lines["-q"])
    check("debug" in levels["-v"] and "trace" not in levels["-v"], lines["-v"])
    check(("trace", "ring") in lines["-vv"] and ("trace", "rpc") not in lines["-vv"], lines["-vv"])
    check(("trace", "ring") in lines["-vvv"] and ("trace", "rpc") in lines["-vvv"], lines["-vvv"])
    error = errors_of(cluster, "--home", home, "status", code=4)
    check("no node" in error, error)


def signals_are_answered(cluster):
    """USR1: a line of status. HUP: an end in order, but not under nohup."""
    for ignored in (True, False):
        home = os.path.join(cluster.folder, f"home-signals-{ignored}")
        log = home + ".log"
        with open(log, "wb") as out:
            node = subprocess.Popen([cluster.program, "--port", "0", "--bootstrap", "none", "--home", home], stdout=out, stderr=out,
                                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL))
        try:
            wait_until("a node alone", lambda: "ready: ring of 1" in open(log, encoding="utf-8").read() and node.poll() is None)
            if ignored:
                node.send_signal(signal.SIGHUP)
            node.send_signal(signal.SIGUSR1)
            wait_until("a line of status", lambda: "ready; ring of 1, 0 records" in open(log, encoding="utf-8").read())
            check(node.poll() is None, "it ended")
            node.send_signal(signal.SIGTERM if ignored else signal.SIGHUP)
            check(node.wait(timeout=30) == 0, "exit", node.returncode)
            check("leaving; a second signal" in open(log, encoding="utf-8").read(), "left without a word")
        finally:
            node.kill()


def up_ends_whenever_it_is_told(cluster):
    home = os.path.join(cluster.folder, "home-up")
    command = [cluster.program, "up", "--nodes", "30", "--port", "20001", "--home", home]
    up = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    lines = []
    while not any("node 2 of 30 joined" in line for line in lines):
        lines.append(up.stderr.readline().decode())
        check(lines[-1], "up ended by itself:", lines)
    up.send_signal(signal.SIGINT)
    rest = up.communicate(timeout=60)[1].decode()
    check(up.returncode == 0, "exit", up.returncode, rest)
    check("leaving" in rest and "node 30 of 30" not in rest, "it went on:", rest)


def main():
    with Cluster(sys.argv[1]) as cluster:
        nodes = [cluster.add(), cluster.add(), cluster.add("relay")]
        wait_until("the ring of three", cluster.ring_is_ideal)
        person = cluster.identity("alice")
        top_looks_again(nodes[0])
        status_has_what_scripts_need(nodes[0], "node")
        status_has_what_scripts_need(nodes[2], "relay")
        the_socket_is_private(nodes[0])
        lookups_agree(cluster, nodes)
        bytes_come_back(cluster, nodes[0], nodes[1])
        homes_share_nothing(cluster, nodes[0])
        a_relay_serves_no_client(cluster, nodes[2], person.address)
        three_nodes_are_too_few_for_a_message(cluster, nodes, person)
        doctor_says_what_is_missing(cluster, nodes)
        a_port_belongs_to_one_node(cluster, nodes[0])
        interrupted(cluster, nodes[0], person)
        each_v_tells_more(cluster, nodes[0].address)
        signals_are_answered(cluster)
        up_ends_whenever_it_is_told(cluster)
        check(nodes[2].status()["store"]["records"] == 0, "a relay holds records")
        for node in nodes:
            node.terminate()
        a_store_belongs_to_one_process(cluster, nodes[0])
        print("ok")


if __name__ == "__main__":
    main()
