#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real processes of a network that asks for work: they join, carry a note, keep their work over a restart, and do it anew without.

usage: admission.py PROGRAM
"""
import os
import sys

from harness import Cluster, check, free_port, wait_until

EFFORT = 16


def admission_of(node):
    """The bytes of the file in which the node keeps what it worked for."""
    for folder, _, files in os.walk(node.home):
        if "admission" in files and "node.key" in files:
            with open(os.path.join(folder, "admission"), "rb") as file:
                return file.read()
    return b""


def main():
    with Cluster(sys.argv[1], network=f"local+w{EFFORT}") as cluster:
        for _ in range(6):
            cluster.add()
        wait_until("a ring of six", cluster.ring_is_ideal)
        worked = [admission_of(node) for node in cluster.nodes]
        check(all(worked) and len(set(worked)) == len(worked), "not everybody worked for a place of its own")

        alice, bob = cluster.identity("alice"), cluster.identity("bob")
        alice.send(bob.address, b"dear", "--network", cluster.network)
        messages, _ = bob.poll("--network", cluster.network)
        check([message["text"] for message in messages] == ["dear"], "the note did not arrive:", messages)

        cluster.nodes[2].kill()
        cluster.nodes[2].start()
        wait_until("a ring of six again", cluster.ring_is_ideal)
        check(admission_of(cluster.nodes[2]) == worked[2], "the work was done twice")

        cluster.refuses(f"local+w{EFFORT + 1}")
        for node in cluster.live():
            node.terminate()
        print("ok")


if __name__ == "__main__":
    main()
