#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processes that stand on the ring at four points each: they find each other, keep three copies on distinct ones, survive a kill.

usage: virtual_nodes.py PROGRAM
"""
import json
import os
import sys

from harness import Cluster, check, free_port, wait_until

POINTS = 4


def all_stand(cluster):
    """True if every live process counts them all and has all its points on the ring."""
    status = [node.status() for node in cluster.live()]
    return all(one and one["ring"]["complete"] and one["ring"]["size_estimate"] == len(status) and len(one["ring"]["points"]) == POINTS
               for one in status)


def copies(cluster):
    return sum(node.status()["store"]["records"] for node in cluster.live())


def main():
    with Cluster(sys.argv[1], network=f"local+v{POINTS}") as cluster:
        for _ in range(5):
            cluster.add()
        wait_until("all points of five processes", lambda: all_stand(cluster))
        shown = json.loads(cluster.run("ring", "show", "--json", "--home", cluster.nodes[0].home).stdout)
        own = [member for member in shown["members"] if member["relation"] == "self"]
        check(shown["virtual_nodes"] == POINTS and len(own) == POINTS, "ring show:", shown)
        check(f"points {POINTS}/{POINTS}" in cluster.run("status", "--home", cluster.nodes[0].home).stdout.decode(), "status shows no points")

        values = [f"value {number}".encode() for number in range(10)]
        keys = [cluster.run("dht", "put", "--home", node.home, stdin=value).stdout.decode().strip()
                for value, node in zip(values, cluster.nodes * 2)]
        wait_until("three copies of each record", lambda: copies(cluster) == 3 * len(values))
        cluster.nodes[2].kill()
        wait_until("all points of four processes", lambda: all_stand(cluster))
        wait_until("three copies of each record again", lambda: copies(cluster) == 3 * len(values))
        for node in cluster.live():
            for key, value in zip(keys, values):
                check(cluster.run("dht", "get", key, "--home", node.home).stdout == value, "other bytes came back")

        cluster.refuses("local")
        for node in cluster.live():
            node.terminate()
        print("ok")


if __name__ == "__main__":
    main()
