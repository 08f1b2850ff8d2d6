#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small loopback TCP server for anonymity-overlay benches (Tor or ours).

One connection = one command line, then the body:
  "E\n"      echo: every byte that arrives is sent back
  "D <n>\n"  download: server sends n bytes
  "U <n>\n"  upload: server reads n bytes, then answers one byte b"K"
  "GET ..."  minimal HTTP/1.0 answer (so that curl works too)
Second port (base+1): the server speaks first, one byte b"!" on accept, then echo.
Usage: bench_server.py HOST PORT
"""
import socket, sys, threading

BUF = bytes(1 << 20)


def nodelay(s):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def echo(s, first=b""):
    if first:
        s.sendall(first)
    while True:
        b = s.recv(65536)
        if not b:
            return
        s.sendall(b)


def serve(s):
    try:
        nodelay(s)
        line = b""
        while not line.endswith(b"\n"):
            c = s.recv(1)
            if not c:
                return
            line += c
        w = line.split()
        if w[0] == b"E":
            echo(s)
        elif w[0] == b"D":
            n = int(w[1])
            while n > 0:
                k = min(n, len(BUF))
                s.sendall(memoryview(BUF)[:k])
                n -= k
            s.recv(1)                      # wait for the peer's close
        elif w[0] == b"U":
            n = int(w[1])
            m = bytearray(1 << 18)
            while n > 0:
                k = s.recv_into(m, min(n, len(m)))
                if k == 0:
                    return
                n -= k
            s.sendall(b"K")
            s.recv(1)
        elif w[0] == b"GET":
            s.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
    except OSError:
        pass
    finally:
        s.close()


def greet(s):
    try:
        nodelay(s)
        s.sendall(b"!")
        echo(s)
    except OSError:
        pass
    finally:
        s.close()


def loop(host, port, fn):
    l = socket.socket()
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind((host, port))
    l.listen(1024)
    while True:
        s, _ = l.accept()
        threading.Thread(target=fn, args=(s,), daemon=True).start()


if __name__ == "__main__":
    host, port = sys.argv[1], int(sys.argv[2])
    threading.Thread(target=loop, args=(host, port + 1, greet), daemon=True).start()
    loop(host, port, serve)
