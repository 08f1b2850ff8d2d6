#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every kind of failure that needs no network has its exit code and says how to go on, in words and in JSON.

usage: cli_exit_codes.py PROGRAM
"""
import json
import os
import socket
import subprocess
import sys

from cli_runner import Runner, check

ADDRESS_LENGTH = 64


def closed_port():
    """A port of this machine on which nobody listens: bound, and never listened on."""
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    return probe, f"127.0.0.1:{probe.getsockname()[1]}"


def usage(cli):
    for arguments in [["kyes"], ["--prot", "7"], ["--port"], ["--port", "x"], ["keys"], ["keys", "nwe"], ["send"], ["status", "--port", "7"],
                      ["chat", "bob", "carol"], ["chat", "--json"], ["chat", "--profile", "quick"], ["contacts", "lsit"], ["ring", "lookup"], ["ring", "lookup", "xyz"], ["dht", "get", "12"],
                      ["--bootstrap", "nowhere"], ["--listen", "8.8.8.8:10001"], ["demo", "--nodes", "2"], ["up", "--nodes", "x"],
                      ["status", "--node", "garbage"], ["status", "--color", "red"], ["status", "--timeout", "soon"],
                      ["poll", "--wait", "1s", "--watch", "--as", "alice"]]:
        cli.run(*arguments, expect=2)
    check(b'Did you mean "keys"' in cli.run("kyes", expect=2).stderr, "no suggestion")


def help_and_version(cli):
    for arguments in [["help"], ["--help"], ["-h"], ["help", "send"], ["send", "--help"], ["help", "keys"], ["version"], ["--version"]]:
        result = cli.run(*arguments)
        check(result.stdout and not result.stderr, arguments, "prints", result.stdout[:50], result.stderr[:50])
    version = json.loads(cli.line("version", "--json"))
    check(version["protocol"] == 1 and version["version"], "version:", version)
    cli.run("help", "nothing-of-that-name", expect=2)


def identities(cli):
    address = cli.line("keys", "new", "--no-input", "--no-passphrase", "--name", "alice")
    cli.run("poll", home="empty", expect=3)
    cli.run("poll", "--as", "nobody", expect=3)
    cli.run("chat", home="empty", expect=3)
    cli.run("chat", "nobody", "--as", "alice", expect=3)
    wrong = address[:-1] + ("q" if address[-1] != "q" else "p")
    for text in [wrong, address[:-1], "bob", "@bob", "bulb1", address.upper().replace("B", "b", 1), "bulb1" + "b" * 59]:
        error = cli.run("send", text, stdin=b"x", expect=3).stderr
        check(b"fix:" in error, "no fix:", error)
    check(b"i" in cli.run("send", address[:-1] + "i", stdin=b"x", expect=3).stderr, "the wrong character is not named")
    cli.run("send", address, "--sign", stdin=b"x", home="empty", expect=3)
    cli.run("send", address, "--reply", "--sign", stdin=b"x", expect=2)
    cli.run("send", address, "--sign", "--anon", stdin=b"x", expect=2)
    cli.run("send", address, stdin=b"", expect=2)
    cli.run("send", address, "-m", "", expect=2)
    cli.run("send", address, stdin=b"x" * 16385, expect=7)
    # A text that is kept says so, whatever the command fails of: who corrects the command must not send it twice.
    friend = cli.line("keys", "new", "--no-input", "--no-passphrase", "--name", "friend", home="friend")
    cli.run("contacts", "add", "Anna Maria", friend, "--as", "alice")
    kept = cli.run("send", "Anna Maria", "-m", "hi", "--as", "alice", "--bootstrap", "nonsense", expect=2).stderr
    check(b"is kept here" in kept and b"nonsense" in kept, "what was kept is not said:", kept)
    check(b"1 queued" in cli.run("contacts", "show", "Anna Maria", "--as", "alice").stdout, "the text is not kept")
    return address


def no_network(cli, address):
    for arguments in [["status"], ["ring", "show"], ["ring", "lookup", "0" * 64], ["dht", "get", "0" * 64], ["health"],
                      ["status", "--node", "65000"], ["status", "--node", "/nonexistent/x.sock"]]:
        cli.run(*arguments, expect=4)
    cli.run("dht", "put", stdin=b"x", expect=4)
    check(b"bulbil demo" in cli.run("status", expect=4).stderr, "nobody is told how to begin")
    held, target = closed_port()
    with held:
        cli.run("contacts", "add", "bob", cli.line("keys", "new", "--no-input", "--no-passphrase", home="bob's"), "--as", "alice")
        error = cli.run("send", "bob", "--as", "alice", "--bootstrap", target, "--timeout", "2s", stdin=b"x", expect=4).stderr
        check(b"kept here" in error and b"at once" not in error, "nothing left:", error)
        cli.run("send", address, "--bootstrap", target, "--timeout", "2s", stdin=b"x", expect=4)
        cli.run("poll", "--as", "alice", "--bootstrap", target, "--timeout", "2s", expect=4)
        cli.run("chat", "--as", "alice", "--bootstrap", target, "--timeout", "2s", expect=4)
        found = cli.run("doctor", "--bootstrap", target, expect=4)
        check(b"fail  node: no node runs here" in found.stdout and b"ok    keys: 1 identity" in found.stdout, found.stdout)
        keys = os.path.join(cli.home("home"), "keys")
        os.chmod(keys, 0o755)
        found = cli.run("doctor", "--json", "--bootstrap", target, expect=5)
        os.chmod(keys, 0o700)
        checks = [json.loads(line) for line in found.stdout.decode().splitlines()]
        check(any(one.get("level") == "fail" and "chmod" in one.get("fix", "") for one in checks), "open keys:", checks)
        check(checks[-1]["type"] == "summary" and checks[-1]["failures"] >= 2, checks[-1])
        check(not os.path.exists(cli.home("nobody")), "the home was there already")
        cli.run("send", address, "--bootstrap", target, "--timeout", "2s", stdin=b"x", home="nobody", expect=4)
        check(not os.path.exists(os.path.join(cli.home("nobody"), "keys")), "an anonymous send made an identity")


def configuration(cli):
    os.makedirs(cli.home("configured"), exist_ok=True)
    path = os.path.join(cli.home("configured"), "config.toml")
    for text, place in [("[node]\nlisten = localhost\n", "line 2, column 10"), ("[node]\nlisen = \"x\"\n", "line 2, column 1"),
                        ("[node]\nlisten = 5\n", "line 2"), ("\x00\xff", "line 1")]:
        with open(path, "w", encoding="latin-1") as file:
            file.write(text)
        error = cli.run("status", home="configured", expect=2).stderr.decode()
        check("config.toml" in error and place in error, "where is the mistake?", error)
    cli.run("status", "--config", cli.home("missing.toml"), expect=2)
    deep = "d" * 100
    cli.run("status", "--node", "10001", home=deep, expect=5)  # longer than a socket's path may be


def streams_that_do_not_work(cli):
    """An output that cannot be written is an error, and a closed stream never becomes the number of another file."""
    home = cli.home("streams")
    cli.run("keys", "new", "--no-input", "--no-passphrase", home="streams")
    for redirection in [">/dev/full", ">&-"]:
        for command in ["version", "help", "keys list", "keys show"]:
            result = subprocess.run(["sh", "-c", f'exec "$0" {command} --home "$1" {redirection}', cli.program, home], capture_output=True,
                                    timeout=60, check=False)
            check(result.returncode == 5 and b"cannot write" in result.stderr, command, redirection, result.returncode, result.stderr)
    address = cli.line("keys", "show", home="streams")
    result = subprocess.run(["sh", "-c", 'exec "$0" send "$2" --home "$1" <&-', cli.program, home, address], capture_output=True,
                            timeout=60, check=False)
    check(result.returncode == 5 and b"cannot read the input" in result.stderr, "closed stdin:", result.returncode, result.stderr)


def json_errors(cli):
    for arguments, code in [(["kyes", "--json"], 2), (["status", "--json"], 4), (["poll", "--json", "--as", "nobody"], 3)]:
        result = cli.run(*arguments, expect=code)
        error = json.loads(result.stderr.decode())
        check(error["schema"] == 1 and error["type"] == "error" and error["code"] == code and error["what"], "error:", error)
        check(result.stdout == b"", "output beside an error")


def main():
    with Runner(sys.argv[1]) as cli:
        usage(cli)
        help_and_version(cli)
        address = identities(cli)
        check(len(address) == ADDRESS_LENGTH, "address:", address)
        no_network(cli, address)
        configuration(cli)
        streams_that_do_not_work(cli)
        json_errors(cli)
        print("ok")


if __name__ == "__main__":
    main()
