#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Identities from the command line: made, listed, shown, moved, removed, sealed; what scripts rely on, and what people see.

usage: cli_keys.py PROGRAM
"""
import json
import os
import stat
import subprocess
import sys

from cli_runner import Runner, check

SECRET_PREFIX = "BULB-SECRET-KEY-1"


def the_contract(cli):
    """keys new prints the address alone; --no-input needs to know about the passphrase."""
    result = cli.run("keys", "new", "--no-input", "--no-passphrase", "--name", "alice", home="a")
    address = result.stdout.decode()
    check(address.startswith("bulb1") and len(address) == 65 and address.endswith("\n"), "not the address alone:", repr(address))
    cli.run("keys", "new", "--no-input", "--name", "bob", home="a", expect=2)
    check(b"bulbil backup " in result.stderr and b"--secret" not in result.stderr, "the copy that is named:", result.stderr)
    check(not os.path.exists(os.path.join(cli.home("a"), "keys", "bob.key")), "a refused command left a key behind")
    cli.run("keys", "new", "--no-input", "--no-passphrase", "--name", "alice", home="a", expect=3)
    check(cli.line("keys", "show", "alice", home="a") == address.strip(), "the second `new` changed the first key")
    for name in ["", "a b", "../x", "x" * 33, "ä"]:
        if name:
            cli.run("keys", "new", "--no-input", "--no-passphrase", "--name", name, home="a", expect=2)


def files_are_private(cli):
    folder = os.path.join(cli.home("a"), "keys")
    check(stat.S_IMODE(os.stat(folder).st_mode) == 0o700, "the key directory is open")
    path = os.path.join(folder, "alice.key")
    check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "the key file is open")
    os.chmod(path, 0o644)
    error = cli.run("keys", "show", home="a", expect=5).stderr.decode()
    check("chmod 600" in error and "0644" in error, "no fix for an open key file:", error)
    os.chmod(path, 0o600)
    os.chmod(folder, 0o755)
    check("chmod 700" in cli.run("keys", "list", home="a", expect=5).stderr.decode(), "no fix for an open directory")
    os.chmod(folder, 0o700)


def which_identity(cli):
    """--as, BULBIL_IDENTITY, the only one, "me"; else a question of the user's."""
    check(b"keys new" in cli.run("keys", "show", home="w", expect=3).stderr, "no identity: no hint")
    new = ["keys", "new", "--no-input", "--no-passphrase", "--name"]
    carol = cli.line(*new, "carol", home="w")
    check(cli.line("keys", "show", home="w") == carol, "the only identity is meant")
    dave = cli.line(*new, "dave", home="w")
    check(b"--as" in cli.run("keys", "show", home="w", expect=3).stderr, "several identities: no hint")
    check(cli.line("keys", "show", "--as", "dave", home="w") == dave, "--as")
    check(cli.line("keys", "show", home="w", environment={"BULBIL_IDENTITY": "dave"}) == dave, "BULBIL_IDENTITY")
    check(cli.line("keys", "show", "--as", "carol", home="w", environment={"BULBIL_IDENTITY": "dave"}) == carol, "flag wins")
    me = cli.line("keygen", "--no-input", "--no-passphrase", home="w")
    check(cli.line("id", home="w") == me, "me is the default")
    cli.run("keys", "show", "nobody", home="w", expect=3)
    listed = [json.loads(line) for line in cli.run("keys", "list", "--json", home="w").stdout.splitlines()]
    check([entry["name"] for entry in listed] == ["carol", "dave", "me"], "list:", listed)
    check([entry["address"] for entry in listed] == [carol, dave, me], "list:", listed)
    check(cli.run("keys", "list", home="other").stdout == b"", "two homes share identities")


def export_and_import(cli):
    new = ["keys", "new", "--no-input", "--no-passphrase", "--name"]
    address = cli.line(*new, "erin", home="x")
    check(cli.line("keys", "export", home="x") == address, "export is the address")
    secret = cli.line("keys", "export", "--secret", home="x")
    check(secret.startswith(SECRET_PREFIX), "no secret key:", secret[:20])
    take = ["keys", "import", "--no-input", "--no-passphrase", "--name"]
    check(cli.line(*take, "erin2", home="y", stdin=secret.encode() + b"\n") == address, "the imported identity is another")
    entry = json.loads(cli.line("keys", "show", "--json", home="y"))
    check(entry["imported"] and not entry["sealed"], "import is not marked:", entry)
    for text in [address, "", "nonsense", secret[:-1], secret + "x", "x" * 100000]:
        error = cli.run(*take, "no", home="y", stdin=text.encode(), expect=3).stderr.decode()
        check(secret not in error, "an error repeats the secret key")
    cli.run(*take, "no", address, home="y", expect=3)
    cli.run(*take, "no", secret, home="y", expect=2)  # never from the command line
    error = cli.run("send", secret, home="y", stdin=b"x", expect=3).stderr.decode()
    check("SECRET" in error and secret not in error, "a pasted secret key:", error)


def sealed(cli):
    reader, writer = os.pipe()
    os.write(writer, b"correct horse\n")
    os.close(writer)
    cli.run("keys", "new", "--no-input", "--name", "frank", "--passphrase-fd", str(reader), home="s", pass_fds=(reader,))
    os.close(reader)
    check(json.loads(cli.line("keys", "show", "--json", home="s"))["sealed"], "not sealed")
    right, wrong, empty = (cli.home(name) for name in ("right", "wrong", "empty"))
    for path, text in [(right, "correct horse\n"), (wrong, "battery staple\n"), (empty, "\n")]:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    cli.run("keys", "export", "--secret", "--no-input", home="s", expect=2)
    cli.run("keys", "export", "--secret", "--passphrase-file", wrong, home="s", expect=3)
    cli.run("keys", "export", "--secret", "--passphrase-file", empty, home="s", expect=2)
    cli.run("keys", "export", "--secret", "--passphrase-file", cli.home("missing"), home="s", expect=2)
    secret = cli.line("keys", "export", "--secret", home="s", environment={"BULBIL_PASSPHRASE_FILE": right})
    check(secret.startswith(SECRET_PREFIX), "no secret key")
    with open(os.path.join(cli.home("s"), "keys", "frank.key"), encoding="utf-8") as file:
        check("seed " not in file.read(), "the sealed file holds a plain seed")


def at_the_terminal(cli):
    """Questions, a passphrase unseen and twice, and the removal that has to be confirmed."""
    shown = cli.on_terminal("keys", "new", home="t", answers=[("name", "gina"), ("Passphrase", "open sesame"), ("Again", "open sesame")])
    check("open sesame" not in shown, "the passphrase was echoed:", shown)
    check("bulb1" in shown and "Created identity \"gina\"" in shown, "nothing said:", shown)
    shown = cli.on_terminal("keys", "new", "--name", "hugo", home="t",
                            answers=[("Passphrase", "a"), ("Again", "b"), ("Passphrase", "")])
    check("differ" in shown, "two different answers were taken:", shown)
    entries = {entry["name"]: entry for entry in map(json.loads, cli.run("keys", "list", "--json", home="t").stdout.splitlines())}
    check(entries["gina"]["sealed"] and not entries["hugo"]["sealed"], "sealing:", entries)
    shown = cli.on_terminal("keys", "export", "--secret", "gina", home="t", answers=[("Passphrase", "open sesame")])
    check(SECRET_PREFIX in shown, "not unlocked:", shown)
    cli.on_terminal("keys", "export", "--secret", "gina", home="t", answers=[("Passphrase", "guess")], expect=3)
    cli.on_terminal("keys", "rm", "hugo", home="t", answers=[("Type its name", "gina")], expect=2)
    cli.on_terminal("keys", "rm", "hugo", home="t", answers=[("Type its name", "hugo")])
    cli.run("keys", "rm", "gina", home="t", expect=2)
    cli.run("keys", "rm", "gina", "--yes", home="t")
    check(cli.run("keys", "list", home="t").stdout == b"", "removed identities are listed")


def another_passphrase(cli):
    """A first one, another one, and none again; the address and the secret stay."""
    cli.run("keys", "new", "--no-input", "--no-passphrase", "--name", "kim", home="p")
    secret = cli.line("keys", "export", "--secret", home="p")
    first, second = (cli.home(name) for name in ("first", "second"))
    for path, text in [(first, "one\n"), (second, "two\n")]:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    sealed_now = ["keys", "passwd", "--no-input", "--json", "--new-passphrase-file"]
    cli.run("keys", "passwd", "--no-input", home="p", expect=2)
    check(json.loads(cli.line(*sealed_now, first, home="p"))["sealed"], "not sealed")
    check(json.loads(cli.line(*sealed_now, second, home="p", environment={"BULBIL_PASSPHRASE_FILE": first}))["sealed"], "not sealed")
    cli.run(*sealed_now, first, "--passphrase-file", first, home="p", expect=3)
    cli.run("keys", "export", "--secret", "--passphrase-file", first, home="p", expect=3)
    check(cli.line("keys", "export", "--secret", "--passphrase-file", second, home="p") == secret, "another key")
    shown = cli.on_terminal("keys", "passwd", home="p", answers=[("Passphrase of kim", "two"), ("New passphrase", "three"), ("Again", "three")])
    check("sealed with the new passphrase" in shown, shown)
    cli.on_terminal("keys", "passwd", "--no-passphrase", home="p", answers=[("Passphrase of kim", "three")])
    check(cli.line("keys", "export", "--secret", home="p") == secret, "another key")


def the_book_of_a_removed_identity(cli):
    """It stays for the key to come back; a restore, which begins anew, refuses it; and it goes if one says so."""
    new = ["keys", "new", "--no-input", "--no-passphrase", "--name"]
    other = cli.line(*new, "other", home="elsewhere")
    address = cli.line(*new, "ivan", home="b")
    cli.run("contacts", "add", "olga", other, home="b")
    backup = cli.home("ivan.bulb")
    check(json.loads(cli.line("backup", backup, "--no-passphrase", "--json", home="b"))["contacts"] == 1, "no contact in the backup")
    cli.run("contacts", "add", "late", cli.line(*new, "late", home="elsewhere"), home="b")
    secret = cli.line("keys", "export", "--secret", home="b")
    told = cli.run("keys", "rm", "ivan", "--yes", home="b").stderr.decode()
    check("stay in" in told, told)
    refused = cli.run("restore", backup, "--name", "ivan", home="b", expect=3).stderr.decode()
    check("from before" in refused, refused)
    check(cli.run("keys", "list", home="b").stdout == b"", "refused, and restored")
    cli.line("keys", "import", "--no-input", "--no-passphrase", "--name", "ivan", home="b", stdin=secret.encode())
    check(b"late" in cli.run("contacts", "list", home="b").stdout, "the key goes on with its book")
    cli.run("keys", "rm", "ivan", "--yes", home="b")
    command = [line.split(":  ")[1] for line in refused.splitlines() if ":  mv " in line]
    subprocess.run(["sh", "-c", command[0]], check=True, timeout=60)
    restored = json.loads(cli.line("restore", backup, "--name", "ivan", "--json", home="b"))
    check((restored["address"], restored["contacts"]) == (address, 1), restored)
    listed = cli.run("contacts", "list", home="b").stdout
    check(b"olga" in listed and b"late" not in listed, "the backup's contacts alone:", listed)
    check(json.loads(cli.line("keys", "rm", "ivan", "--yes", "--book", "--json", home="b"))["book_removed"], "the book stayed")
    cli.run("restore", backup, "--name", "ivan", home="b")
    cli.on_terminal("keys", "rm", "ivan", home="b", answers=[("Type its name", "ivan"), ("contacts and messages", "y")])
    cli.run("restore", backup, "--name", "ivan", home="b")


def qr(cli):
    address = cli.line("keys", "new", "--no-input", "--no-passphrase", home="q")
    lines = cli.run("keys", "show", "--qr", home="q").stdout.decode().splitlines()
    check(len(lines) == 18 and lines[-1] == address.upper(), "QR:", lines)
    check(all(len(line) == 33 for line in lines[:-1]), "QR is not 33 cells wide")
    cli.run("keys", "show", "--qr", "--qr-margin", "99", home="q", expect=2)


def main():
    with Runner(sys.argv[1]) as cli:
        for story in [the_contract, files_are_private, which_identity, export_and_import, sealed, at_the_terminal, another_passphrase,
                      the_book_of_a_removed_identity, qr]:
            story(cli)
            print("ok", story.__name__)


if __name__ == "__main__":
    main()
