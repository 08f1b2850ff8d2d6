#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two people over six real processes: contacts, a request and its acceptance, an invite, verification, a restore.

usage: chat.py PROGRAM
"""
import json
import os
import subprocess
import sys

from harness import Cluster, check, wait_until


class Person:
    """One home with one identity, and the commands it runs."""

    def __init__(self, cluster, name, passphrase=b""):
        self.cluster, self.name, self.passphrase = cluster, name, passphrase
        self.home = os.path.join(cluster.folder, "person-" + name)
        how = ["--passphrase-fd", "0"] if passphrase else ["--no-passphrase"]
        self.address = self.local("keys", "new", "--no-input", *how, "--name", name, stdin=passphrase).decode().strip()

    def local(self, *arguments, stdin=b"", expect=0):
        return self.cluster.run(*arguments, "--home", self.home, stdin=stdin, expect=expect).stdout

    def network(self, *arguments, stdin=b"", expect=0):
        bootstrap = [word for node in self.cluster.live()[:2] for word in ("--bootstrap", node.address)]
        return self.local(*arguments, *bootstrap, stdin=stdin, expect=expect)

    def poll(self):
        lines = [json.loads(line) for line in self.network("poll", "--json").decode().splitlines()]
        return [line for line in lines if line["type"] != "summary"]

    def send(self, name, text, expect=0):
        return self.network("send", name, stdin=text.encode(), expect=expect)


def texts(events):
    return [event["text"] for event in events if event["type"] == "message"]


def noticed(events):
    return [event["notice"] for event in events if event["type"] == "notice"]


def no_keys_yet(cluster, alice):
    dave = Person(cluster, "dave")
    alice.local("contacts", "add", "dave", dave.address)
    told = cluster.run("send", "dave", "--wait", "3s", "--bootstrap", cluster.live()[0].address, "--home", alice.home,
                       stdin=b"are you there?", expect=6).stderr.decode()  # Dave has never polled: no keys of his
    check("Tried at once" in told and "Sent at once" not in told, told)
    check("1 queued" in alice.local("contacts", "list").decode(), "the message is kept")


def talk(alice, bob):
    code = alice.local("invite", "--name", "bob").decode().split()[0]
    bob.local("accept", code, "--name", "alice")
    bob.send("alice", "thank you for the invite")
    events = alice.poll()
    check(texts(events) == ["thank you for the invite"], events)
    check("invite_taken" in noticed(events), events)
    check(events[-1]["contact"] == "bob" or any(e.get("contact") == "bob" for e in events), events)
    check("request_answered" in noticed(bob.poll()), "alice's answer")
    long_text = "long " * 2000
    alice.network("send", "bob", "--wait", "30s", stdin=b"welcome")
    alice.network("send", bob.address, "--wait", "30s", stdin=b"a note", expect=2)
    alice.send("bob", long_text)
    check(texts(bob.poll()) == ["welcome", long_text], "in order, of any size")
    check(texts(bob.poll()) == [], "once")
    words = alice.local("contacts", "verify", "bob", "--yes").decode()
    check(words == bob.local("contacts", "verify", "alice", "--yes").decode(), "both see the same words")
    check("✔" in alice.local("contacts", "list").decode(), "verified")


def files(alice, bob):
    """A file of many boxes: sent, listed, saved under a safe name and never over another, removed."""
    content = os.urandom(40000)
    path = os.path.join(alice.home, "my map.png")
    with open(path, "wb") as file:
        file.write(content)
    sent = json.loads(alice.network("send", "bob", "--file", path, "--json"))
    check(sent["state"] == "stored" and sent["boxes"] == 25, sent)
    came = [event for event in bob.poll() if event["type"] == "message"]
    check([(event["file"], event["size"]) for event in came] == [("my map.png", 40000)], came)
    tag = came[0]["id"][:8]
    check(json.loads(bob.local("files", "list", "--json"))["pieces_here"] == 25, "all here")
    for name in ["my map.png", "my map-1.png"]:
        saved = bob.local("files", "save", tag, "--to", bob.home).decode().strip()
        check(saved == os.path.join(bob.home, name), saved)
        with open(saved, "rb") as file:
            check(file.read() == content, "the same bytes")
    bob.local("files", "rm", tag)
    check(bob.local("files", "list") == b"no files\n", "gone")
    bob.local("files", "save", tag, expect=3)
    with open(path, "ab") as file:
        file.truncate((8 << 20) + 1)
    alice.network("send", "bob", "--file", path, expect=7)
    alice.network("send", bob.address, "--file", path, expect=2)


def answers(alice, bob):
    """A note that says nothing of its writer, and is answered."""
    alice.network("send", bob.address, "--reply", stdin=b"guess who")
    alice.network("send", bob.address, "--reply", "--sign", stdin=b"no", expect=2)
    note = [event for event in bob.poll() if event["type"] == "message"][0]
    check(note["text"] == "guess who" and note["from"] == "" and note["reply"].startswith("#"), note)
    bob.send(note["reply"], "it is you")
    answer = [event for event in alice.poll() if event["type"] == "message"][0]
    check(answer["text"] == "it is you" and answer["contact"] == "bob" + note["reply"], answer)
    check(answer["from"] == bob.address, answer)
    alice.send(answer["contact"], "no, somebody else")
    back = [event for event in bob.poll() if event["type"] == "message"][0]
    check(back["text"] == "no, somebody else" and back["from"] != alice.address, back)
    bob.network("send", note["reply"], "--anon", stdin=b"to a door that nobody reads", expect=2)
    alice.local("contacts", "verify", answer["contact"], expect=2)
    bob.network("send", "#000000", stdin=b"nobody", expect=3)


def sealed(cluster, bob):
    """A passphrase that comes out of a pipe can be read once."""
    erin = Person(cluster, "erin", passphrase=b"correct horse\n")
    erin.local("contacts", "add", "bob", bob.address, "--passphrase-fd", "0", stdin=erin.passphrase)
    for how in ("--sign", "--reply"):
        erin.network("send", "bob", how, "-m", how, "--passphrase-fd", "0", stdin=erin.passphrase)
        note = [event for event in bob.poll() if event["type"] == "message"][0]
        check(note["text"] == how and (note["from"] == erin.address) == (how == "--sign"), note)


def disappearing(alice, bob):
    alice.local("contacts", "disappear", "bob", "7s", expect=2)
    alice.local("contacts", "disappear", "bob", "30s")
    alice.send("bob", "burn after reading")
    events = [event for event in bob.poll() if event["type"] == "message"]
    check([event["disappear_seconds"] for event in events] == [30], events)
    alice.local("contacts", "disappear", "bob", "off")


def receipts(alice, bob):
    bob.local("contacts", "receipts", "alice", "on")
    alice.send("bob", "seen?")
    check(texts(bob.poll()) == ["seen?"], "seen")
    states = [event["state"] for event in alice.poll() if event["type"] == "state"]
    check("delivered" in states, states)


def blocked(alice, bob):
    alice.local("contacts", "block", "bob")
    bob.send("alice", "while blocked")
    check(texts(alice.poll()) == [], "nothing is read")
    alice.send("bob", "no", expect=7)
    check("blocked" in alice.local("contacts", "show", "bob").decode(), "it is said")
    alice.local("contacts", "unblock", "bob")
    check(texts(alice.poll()) == ["while blocked"], "read once the block is taken back")


def stranger(cluster, alice):
    carol = Person(cluster, "carol")
    carol.poll()
    alice.poll()
    carol.local("contacts", "add", "alice", alice.address)
    carol.send("alice", "you do not know me")
    events = alice.poll()
    check(texts(events) == [] and "request" in noticed(events), events)
    tag = json.loads(alice.local("contacts", "requests", "--json"))["tag"]
    alice.local("accept", tag, "--name", "carol")
    check(texts(alice.poll()) == ["you do not know me"], "shown once accepted")
    alice.send("carol", "now I do")
    check(texts(carol.poll()) == ["now I do"], "and answered")


def changed_key(cluster, alice):
    mallory = Person(cluster, "mallory")
    alice.local("contacts", "add", "bob", mallory.address, expect=3)
    alice.send("bob", "secret", expect=3)
    alice.local("contacts", "rm", "bob", "--yes")


def executes(alice, bob):
    """A command for each message: it may send, and what it fails at comes again."""
    for text in ["one", "two"]:
        bob.send("alice", text)
    log = alice.home + ".exec"
    answer = " ".join([alice.cluster.program, "send", "bob", "-m", "echo", "--wait", "30s", "--home", alice.home, "--bootstrap",
                       alice.cluster.live()[0].address])
    check(alice.network("poll", "--exec", f"cat >> {log} && {answer} >&2") == b"", "printed although a command was run")
    with open(log, encoding="utf-8") as file:
        check([json.loads(line)["text"] for line in file] == ["one", "two"], "each in its order")
    check(texts(bob.poll()) == ["echo", "echo"], "a command may send")
    bob.send("alice", "three")
    alice.network("poll", "--exec", "exit 3", expect=5)
    check(texts(alice.poll()) == ["three"], "not counted as shown")


def bot_of_the_docs(alice, bob):
    """The bot in docs/cli.md, as it stands there, answers."""
    docs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "cli.md")
    with open(docs, encoding="utf-8") as file:
        page = file.read()
    lines = page[page.index("    #!/usr/bin/env python3"):].split("\n\n")[0].splitlines()
    bot = alice.home + ".bot.py"
    with open(bot, "w", encoding="utf-8") as file:
        file.write("\n".join(line[4:] for line in lines) + "\n")
    os.chmod(bot, 0o755)
    bob.send("alice", "twelve chars")
    folder = os.path.dirname(alice.cluster.program)
    environment = {**os.environ, "PATH": folder + ":" + os.environ["PATH"], "BULBIL_HOME": alice.home,
                   "BULBIL_BOOTSTRAP": ",".join(node.address for node in alice.cluster.live()[:2])}
    subprocess.run(["bulbil", "poll", "--exec", bot], check=True, env=environment, timeout=180)
    check(texts(bob.poll()) == ["You said 12 characters."], "the bot answers")


def beside_a_watch(alice, bob):
    """What holds the book for long lets the others have it between two polls."""
    command = [alice.cluster.program, "poll", "--watch", "--json", "--home", alice.home]
    command += [word for node in alice.cluster.live()[:2] for word in ("--bootstrap", node.address)]
    with open(alice.home + ".watch", "wb") as out:
        watch = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
    try:
        for text in ["beside a watch", "once more"]:
            alice.send("bob", text)
        check(texts(bob.poll()) == ["beside a watch", "once more"], "sent beside a watch")
        bob.send("alice", "do you watch?")
        wait_until("the watch to read", lambda: "do you watch?" in open(alice.home + ".watch", encoding="utf-8").read(), 300)
    finally:
        watch.kill()
        watch.wait()


def restore(cluster, alice, bob):
    backup = os.path.join(cluster.folder, "bob.bulb")
    bob.local("backup", backup, "--no-passphrase")
    check(os.stat(backup).st_mode & 0o777 == 0o600, "owner only")
    bob.local("restore", backup, expect=3)  # he is here already
    bob.home += "-new"
    bob.local("restore", backup, "--name", "bob")
    bob.poll()  # writes to all contacts
    events = alice.poll()
    check("session_replaced" in noticed(events), events)
    alice.send("bob", "after the restore")
    check(texts(bob.poll()) == ["after the restore"], "goes on within one exchange")
    bob.send("alice", "it works")
    check(texts(alice.poll()) == ["it works"], "both ways")


def healthy(cluster):
    """Six nodes of one ring: doctor finds nothing but that they are on loopback and nobody has keys."""
    node = cluster.nodes[0]
    found = cluster.run("doctor", "--home", node.home).stdout.decode()
    levels = {line.split()[1].rstrip(":"): line.split()[0] for line in found.splitlines() if line[:4] in ("ok  ", "warn", "fail")}
    check(all(levels[what] == "ok" for what in ("node", "clock", "ring", "store", "circuit")) and "0 failures" in found, found)
    beside = cluster.run("doctor", "--bootstrap", node.address, "--home", os.path.join(cluster.folder, "nobody")).stdout.decode()
    check("a bootstrap node, which answers" in beside and "0 failures" in beside, beside)


def main():
    with Cluster(sys.argv[1]) as cluster:
        for _ in range(6):
            cluster.add()
        wait_until("an ideal ring", cluster.ring_is_ideal)
        healthy(cluster)
        alice, bob = Person(cluster, "alice"), Person(cluster, "bob")
        talk(alice, bob)
        files(alice, bob)
        answers(alice, bob)
        sealed(cluster, bob)
        disappearing(alice, bob)
        receipts(alice, bob)
        blocked(alice, bob)
        executes(alice, bob)
        bot_of_the_docs(alice, bob)
        beside_a_watch(alice, bob)
        no_keys_yet(cluster, alice)
        stranger(cluster, alice)
        restore(cluster, alice, bob)
        changed_key(cluster, alice)
    print("ok")


if __name__ == "__main__":
    main()
