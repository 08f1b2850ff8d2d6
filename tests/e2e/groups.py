#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three people over six real processes, two of whom do not know each other: one group, one more member, one removed, a restore.

usage: groups.py PROGRAM
"""
import json
import os
import sys

from chat import Person, noticed, texts
from harness import Cluster, check, wait_until


def meet(alice, other):
    """An invite: both are contacts of each other, and have a session."""
    code = alice.local("invite", "--name", other.name).decode().split()[0]
    other.local("accept", code, "--name", "alice")
    other.poll()
    check("invite_taken" in noticed(alice.poll()), "invited")
    other.poll()


def poll_all(*people):
    """So often that what one poll brought about has come everywhere."""
    events = {person.name: [] for person in people}
    for _ in range(3):
        for person in people:
            events[person.name] += person.poll()
    return events


def say(person, text, group="friends"):
    sent = json.loads(person.network("send", "--group", group, "--wait", "30s", "--json", stdin=text.encode()))
    check(sent["state"] == "stored" and sent["boxes"] == 1 and sent["group"] == "[" + group + "]", sent)


def main():
    with Cluster(sys.argv[1]) as cluster:
        for _ in range(6):
            cluster.add()
        wait_until("an ideal ring", cluster.ring_is_ideal)
        alice, bob, carol = (Person(cluster, name) for name in ("alice", "bob", "carol"))
        meet(alice, bob)
        meet(alice, carol)
        check(alice.local("groups", "list") == b"no groups\n  fix: bulbil groups create NAME MEMBER...\n", "none yet")
        alice.local("groups", "create", "friends", "nobody", expect=3)
        alice.local("groups", "create", "friends", expect=2)
        alice.local("groups", "create", "friends", "bob")
        alice.local("groups", "create", "friends", "bob", expect=3)
        bob.network("send", "--group", "friends", stdin=b"too early", expect=3)
        invited = poll_all(alice, bob)["bob"]
        check("group_invitation" in noticed(invited), invited)
        bob.network("send", "--group", "friends", stdin=b"not accepted yet", expect=7)
        bob.local("groups", "accept", "friends")
        say(alice, "hello, bob")
        say(bob, "hello, alice")
        events = poll_all(alice, bob)
        check(texts(events["bob"]) == ["hello, bob"] and texts(events["alice"]) == ["hello, alice"], events)
        message = [event for event in events["alice"] if event["type"] == "message"][0]
        check((message["kind"], message["group"], message["contact"]) == ("group", "[friends]", "bob"), message)

        alice.local("groups", "add", "friends", "carol")
        alice.local("groups", "add", "friends", "carol", expect=3)
        bob.local("groups", "add", "friends", "alice", expect=7)  # it is not bob's
        poll_all(alice, bob, carol)
        carol.local("groups", "accept", "friends")
        poll_all(alice, bob, carol)
        say(bob, "welcome, carol")
        say(carol, "thank you")
        events = poll_all(alice, bob, carol)
        check(texts(events["carol"]) == ["welcome, carol"], "nothing from before she came")
        check(texts(events["bob"]) == ["thank you"], events["bob"])
        who = [event["contact"] for event in events["bob"] if event["type"] == "message"]
        check(who == ["~carol"], who)  # bob knows her by alice's word only
        shown = bob.local("groups", "show", "friends").decode()
        check(alice.address in shown and carol.address in shown and "~carol" in shown, shown)
        check(bob.local("contacts", "requests") == b"no requests\n", "a member is no request")
        check(json.loads(bob.local("contacts", "block", "~carol", "--json"))["blocked"], "blocked by the name in the group")
        say(carol, "bob does not hear this")
        check(texts(poll_all(bob, alice)["bob"]) == [], "blocked")
        check(not json.loads(bob.local("contacts", "unblock", "~carol", "--json"))["blocked"], "unblocked")

        backup = os.path.join(cluster.folder, "bob.bulb")
        bob.local("backup", backup, "--no-passphrase")
        bob.home += "-new"
        bob.local("restore", backup, "--name", "bob")
        events = poll_all(bob, alice, carol)
        say(bob, "from another machine")
        say(carol, "I see")
        events = poll_all(bob, alice, carol)
        check(texts(events["carol"]) == ["from another machine"] and texts(events["bob"]) == ["I see"], events)

        alice.local("groups", "remove", "friends", "bob")
        events = poll_all(alice, bob, carol)
        check("group_removed" in noticed(events["bob"]) and "group_left" in noticed(events["carol"]), events)
        say(carol, "without bob")
        events = poll_all(alice, bob, carol)
        check(texts(events["alice"]) == ["without bob"] and texts(events["bob"]) == [], events)
        bob.network("send", "--group", "friends", stdin=b"hello?", expect=7)
        bob.local("groups", "leave", "friends", "--yes")
        left = json.loads(carol.local("groups", "leave", "friends", "--yes", "--json"))
        check((left["name"], left["state"]) == ("friends", "left"), left)
        check("group_left" in noticed(poll_all(carol, alice)["alice"]), "carol went")
        check(carol.local("groups", "list", "--json") == b"", "gone")
    print("ok")


if __name__ == "__main__":
    main()
