#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A private Tor network on loopback, out of Debian's package `tor`, and what a benchmark does with it: circuits over a given
path, bulk, pings, CPU and memory of each process. Three authorities, some relays and exits, one client. Needs tor, tor-gencert
and Python 3; all sockets are on 127.0.0.1.
"""
import contextlib, fcntl, os, re, shutil, signal, socket, statistics
import struct, subprocess, sys, tempfile, time
from collections import deque

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "127.0.0.1"
TICK = os.sysconf("SC_CLK_TCK")
T0 = time.time()


def log(*a):
    print("[%6.1f]" % (time.time() - T0), *a, file=sys.stderr, flush=True)


# ------------------------------------------------------------------ statistics
def pct(xs, p):
    xs = sorted(xs)
    if not xs:
        return None
    k = (len(xs) - 1) * p / 100.0
    i = int(k)
    j = min(i + 1, len(xs) - 1)
    return xs[i] + (xs[j] - xs[i]) * (k - i)


def summ(xs, nd=3):
    if not xs:
        return None
    r = lambda v: round(v, nd)
    return {"n": len(xs), "median": r(statistics.median(xs)), "mean": r(statistics.fmean(xs)),
            "min": r(min(xs)), "p25": r(pct(xs, 25)), "p75": r(pct(xs, 75)),
            "p99": r(pct(xs, 99)), "max": r(max(xs))}


# ------------------------------------------------------------------ /proc
def proc_cpu(pid):
    """user+system CPU seconds of the whole process (all threads), /proc/PID/stat"""
    with open("/proc/%d/stat" % pid) as f:
        w = f.read().rsplit(")", 1)[1].split()
    return (int(w[11]) + int(w[12])) / TICK


def proc_cpu_ns(pid):
    """CPU seconds from schedstat summed over threads: same clock, ns resolution"""
    t = 0
    try:
        for tid in os.listdir("/proc/%d/task" % pid):
            try:
                with open("/proc/%d/task/%s/schedstat" % (pid, tid)) as f:
                    t += int(f.read().split()[0])
            except FileNotFoundError:
                pass
        return t / 1e9
    except (OSError, IndexError):
        return proc_cpu(pid)


def proc_mem(pid):
    out = {}
    with open("/proc/%d/status" % pid) as f:
        for l in f:
            if l.startswith(("VmRSS", "VmHWM", "RssAnon")):
                out[l.split(":")[0] + "_kib"] = int(l.split()[1])
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            for l in f:
                if l.startswith(("Pss:", "Private_Dirty:")):
                    out[l.split(":")[0].lower() + "_kib"] = int(l.split()[1])
    except OSError:
        pass
    return out


def lo_counters():
    with open("/proc/net/dev") as f:
        for l in f:
            if l.strip().startswith("lo:"):
                w = l.split(":")[1].split()
                return int(w[8]), int(w[9])      # tx bytes, tx packets (== rx on lo)
    return 0, 0


def lo_up(mtu=0):
    """private namespace only: bring lo up, optionally with an Ethernet-like MTU"""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ifr = struct.pack("16sh14x", b"lo", 0x1 | 0x40)       # IFF_UP | IFF_RUNNING
    fcntl.ioctl(s, 0x8914, ifr)                            # SIOCSIFFLAGS
    if mtu:
        fcntl.ioctl(s, 0x8922, struct.pack("16si12x", b"lo", mtu))    # SIOCSIFMTU
    s.close()


# ------------------------------------------------------------------ control port
class Ctl:
    """control connection; over the unix socket, because tor leaves Nagle on for ControlPort and the
    40 ms delayed ACK would then be measured instead of the circuit"""

    def __init__(self, path, cookie):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)
        self.buf = b""
        self.events = deque()
        self.replies = deque()
        self._part = []
        with open(cookie, "rb") as f:
            self.cmd("AUTHENTICATE " + f.read().hex())

    def send(self, line):
        self.s.sendall(line.encode() + b"\r\n")

    def _pump(self, timeout):
        """read what there is; move whole replies and events to their queues"""
        if timeout is not None and timeout < 0:
            timeout = 0
        self.s.settimeout(timeout if timeout else 0.0001)
        try:
            b = self.s.recv(262144)
            if not b:
                raise EOFError("control connection closed")
            self.buf += b
        except (socket.timeout, BlockingIOError):
            return False
        now = time.perf_counter()
        while True:
            i = self.buf.find(b"\r\n")
            if i < 0:
                break
            line = self.buf[:i].decode("utf-8", "replace")
            if len(line) > 3 and line[3] == "+":           # data block
                j = self.buf.find(b"\r\n.\r\n", i)
                if j < 0:
                    break
                line = line + "\n" + self.buf[i + 2:j].decode("utf-8", "replace")
                self.buf = self.buf[j + 5:]
            else:
                self.buf = self.buf[i + 2:]
            self._part.append(line)
            if line[3:4] == " ":
                whole, self._part = self._part, []
                if line.startswith("650"):
                    self.events.append((now, whole[0][4:]))
                else:
                    self.replies.append((now, whole))
        return True

    def reply(self, timeout=60):
        end = time.perf_counter() + timeout
        while not self.replies:
            left = end - time.perf_counter()
            if left <= 0:
                raise TimeoutError("no control reply")
            self._pump(left)
        return self.replies.popleft()

    def cmd(self, line, timeout=60):
        self.send(line)
        r = self.reply(timeout)[1]
        if not r[-1].startswith("25"):
            raise RuntimeError("%s -> %s" % (line[:60], r))
        return r

    def info(self, key, timeout=60):
        r = self.cmd("GETINFO " + key, timeout)
        return r[0][4:].split("=", 1)[1].lstrip("\n")

    def event(self, pred, timeout=60):
        """first event (t, text) for which pred(text); others before it are dropped"""
        end = time.perf_counter() + timeout
        while True:
            while self.events:
                e = self.events.popleft()
                if pred(e[1]):
                    return e
            left = end - time.perf_counter()
            if left <= 0:
                raise TimeoutError("no such control event")
            self._pump(left)


# ------------------------------------------------------------------ SOCKS5
def recvn(s, n):
    b = b""
    while len(b) < n:
        c = s.recv(n - len(b))
        if not c:
            raise EOFError("closed")
        b += c
    return b


def socks_begin(port, user=None, timeout=60):
    """port: TCP port, or the path of a unix SOCKS socket"""
    if isinstance(port, str):
        s = socket.socket(socket.AF_UNIX)
        s.connect(port)
    else:
        s = socket.create_connection((HOST, port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.settimeout(timeout)
    if user is None:
        s.sendall(b"\x05\x01\x00")
        assert recvn(s, 2) == b"\x05\x00"
    else:
        u = user.encode()
        s.sendall(b"\x05\x01\x02")
        assert recvn(s, 2) == b"\x05\x02"
        s.sendall(b"\x01" + bytes([len(u)]) + u + b"\x01x")
        assert recvn(s, 2) == b"\x01\x00"
    return s


def socks_request(s, host, port):
    h = host.encode()
    s.sendall(b"\x05\x01\x00\x03" + bytes([len(h)]) + h + struct.pack(">H", port))


def socks_answer(s):
    r = recvn(s, 4)
    if r[1] != 0:
        raise ConnectionError("SOCKS reply %d" % r[1])
    if r[3] == 1:
        recvn(s, 6)
    elif r[3] == 4:
        recvn(s, 18)
    else:
        recvn(s, recvn(s, 1)[0] + 2)


def socks_connect(sport, host, port, user=None, timeout=60):
    s = socks_begin(sport, user, timeout)
    socks_request(s, host, port)
    socks_answer(s)
    return s


# ------------------------------------------------------------------ the network
COMMON = """\
DataDirectory {dir}
Nickname {name}
TestingTorNetwork 1
{dirauth}
Address 127.0.0.1
OutboundBindAddress 127.0.0.1
AssumeReachable 1
EnforceDistinctSubnets 0
ExtendAllowPrivateAddresses 1
ClientRejectInternalAddresses 0
ClientDNSRejectInternalAddresses 0
PathsNeededToBuildCircuits 0.67
TestingDirConnectionMaxStall 30
ShutdownWaitLength 0
SafeLogging 0
Log notice file {dir}/tor.log
PidFile {dir}/pid
RunAsDaemon 0
AvoidDiskWrites 1
DisableDebuggerAttachment 0
ControlPort 127.0.0.1:{ctl}
ControlSocket {dir}/ctl.sock
CookieAuthentication 1
CookieAuthFile {dir}/cookie
{extra}
"""
AUTH = """\
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ContactInfo bench@localhost
SocksPort 0
ORPort 127.0.0.1:{orp}
DirPort 127.0.0.1:{dirp}
ExitPolicy reject *:*
AuthDirMaxServersPerAddr 0
TestingV3AuthInitialVotingInterval 20
TestingV3AuthInitialVoteDelay 4
TestingV3AuthInitialDistDelay 4
V3AuthVotingInterval 20
V3AuthVoteDelay 4
V3AuthDistDelay 4
V3AuthNIntervalsValid 3
TestingAuthDirTimeToLearnReachability 0
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
TestingMinFastFlagThreshold 0
MinUptimeHidServDirectoryV2 0
ConsensusParams {params}
"""
RELAY = """\
SocksPort 0
ORPort 127.0.0.1:{orp}
DirCache 1
{exit}
"""
NOEXIT = "ExitRelay 0\nExitPolicy reject *:*"
# accept *:* gives the Exit flag (private ranges alone are left out of the policy summary);
# OutboundBindAddress 127.0.0.1 (and the private namespace) keeps the exits on loopback.
EXIT = "ExitRelay 1\nExitPolicyRejectPrivate 0\nExitPolicyRejectLocalInterfaces 0\nExitPolicy accept *:*"

# Close to the live network's consensus parameters (congestion control = Vegas); KIST interval as the live one
PARAMS = ("cc_alg=2 cc_cwnd_full_gap=4 cc_cwnd_full_minpct=25 cc_cwnd_inc=1 cc_cwnd_inc_rate=31 "
          "cc_cwnd_min=124 cc_sscap_exit=600 cc_sscap_onion=475 cc_vegas_alpha_exit=186 "
          "cc_vegas_beta_onion=372 cc_vegas_delta_exit=310 cc_vegas_delta_onion=434 "
          "cc_vegas_gamma_onion=248 circ_max_cell_queue_size=1250 circ_max_cell_queue_size_out=1000 "
          "KISTSchedRunInterval=3 sendme_accept_min_version=1 CircuitPriorityHalflifeMsec=30000")


class Net:
    def __init__(self, a):
        self.a = a
        self.dir = a.dir or tempfile.mkdtemp(prefix="tornet.")
        self.base = a.base_port
        self.nodes = {}
        self.proc = {}
        self.ctls = {}
        os.makedirs(self.dir, exist_ok=True)
        self.empty = os.path.join(self.dir, "empty")
        open(self.empty, "w").close()

    def add(self, name, role, i):
        d = os.path.join(self.dir, name)
        os.makedirs(d, mode=0o700, exist_ok=True)
        b = self.base + i * 10
        self.nodes[name] = {"name": name, "role": role, "dir": d, "orp": b, "dirp": b + 1,
                            "ctl": b + 2, "socks": b + 3}

    def tor(self, *args):
        return [self.a.tor, "--defaults-torrc", self.empty] + list(args)

    def layout(self):
        a = self.a
        i = 0
        for k in range(a.auths):
            self.add("auth%d" % k, "auth", i); i += 1
        for k in range(a.relays):
            self.add("relay%d" % k, "relay", i); i += 1
        for k in range(a.exits):
            self.add("exit%d" % k, "exit", i); i += 1
        for k in range(a.clients):
            self.add("client%d" % k, "client", i); i += 1
        for k in range(getattr(a, "services", 0)):
            self.add("service%d" % k, "service", i); i += 1
        self.srv_port = self.base + i * 10
        jobs = []
        for n in self.nodes.values():
            if n["role"] == "auth":
                k = os.path.join(n["dir"], "keys")
                os.makedirs(k, mode=0o700, exist_ok=True)
                p = subprocess.Popen(
                    ["tor-gencert", "--create-identity-key", "--passphrase-fd", "0", "-m", "12",
                     "-i", k + "/authority_identity_key", "-s", k + "/authority_signing_key",
                     "-c", k + "/authority_certificate", "-a", "%s:%d" % (HOST, n["dirp"])],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                p.stdin.write(b"bench\n"); p.stdin.close()
                jobs.append(p)
        for p in jobs:
            assert p.wait() == 0, "tor-gencert failed"
        for n in self.nodes.values():
            if n["role"] in ("auth", "relay", "exit"):
                o = subprocess.run(
                    self.tor("-f", self.empty, "--quiet", "--list-fingerprint", "--ORPort", "1",
                             "--Nickname", n["name"], "--DataDirectory", n["dir"],
                             "--DirAuthority", "x %s:1 %s" % (HOST, "f" * 40)),
                    capture_output=True, text=True)
                m = re.search(n["name"] + r"\s+((?:[0-9A-F]{4} ?){10})", o.stdout)
                assert m, (o.stdout, o.stderr)
                n["fp"] = m.group(1).replace(" ", "")
        lines = []
        for n in self.nodes.values():
            if n["role"] == "auth":
                with open(n["dir"] + "/keys/authority_certificate") as f:
                    v3 = re.search(r"^fingerprint ([0-9A-F]{40})", f.read(), re.M).group(1)
                lines.append("DirAuthority %s orport=%d no-v2 v3ident=%s %s:%d %s" %
                             (n["name"], n["orp"], v3, HOST, n["dirp"], n["fp"]))
        params = PARAMS if not a.params else a.params
        for n in self.nodes.values():
            role = n["role"]
            if role == "auth":
                ex = AUTH.format(params=params, **n)
            elif role in ("relay", "exit"):
                ex = RELAY.format(exit=EXIT if role == "exit" else NOEXIT, **n)
            elif role == "service":
                ex = ("SocksPort 0\nORPort 0\nHiddenServiceDir %s/service\nHiddenServicePort 80 %s:%d\n"
                      % (n["dir"], HOST, self.srv_port))
            else:
                ex = ("SocksPort 127.0.0.1:%d\nSocksPort unix:%s/socks.sock\nORPort 0\n"
                      "MaxCircuitDirtiness 86400\nLearnCircuitBuildTimeout 0\nCircuitBuildTimeout 60\n" % (n["socks"], n["dir"]))
            if a.extra:
                ex += a.extra.replace("\\n", "\n") + "\n"
            with open(n["dir"] + "/torrc", "w") as f:
                f.write(COMMON.format(dirauth="\n".join(lines), extra=ex, **n))
        log("laid out", len(self.nodes), "nodes in", self.dir)

    def start(self):
        self.proc["server"] = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "bench_server.py"), HOST, str(self.srv_port)])
        def go(n):
            self.proc[n["name"]] = subprocess.Popen(
                self.tor("-f", n["dir"] + "/torrc", "--quiet"),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for n in self.by("auth", "relay", "exit"):
            go(n)
        # clients start once a consensus lists every relay, so that they need not wait for a second one
        t, k, want = time.time(), 0, len(self.by("auth", "relay", "exit"))
        while k < want and time.time() - t < 180:
            time.sleep(1)
            with contextlib.suppress(RuntimeError):
                k = len(re.findall(r"^r ", self.ctl("auth0").info("ns/all"), re.M))
        log("consensus lists %d of %d relays after %.0f s" % (k, want, time.time() - t))
        for n in self.by("client", "service"):
            go(n)
        log("started", len(self.proc), "processes")

    def ctl(self, name):
        if name not in self.ctls:
            n = self.nodes[name]
            end = time.time() + 30
            while True:
                try:
                    self.ctls[name] = Ctl(n["dir"] + "/ctl.sock", n["dir"] + "/cookie")
                    break
                except OSError:
                    if time.time() > end:
                        raise
                    time.sleep(0.2)
        return self.ctls[name]

    def wait(self, timeout=240):
        t = time.time()
        want = {n["fp"] for n in self.nodes.values() if "fp" in n}
        for name in [n["name"] for n in self.nodes.values() if n["role"] == "client"]:
            c = self.ctl(name)
            while True:
                p = c.info("status/bootstrap-phase")
                ok = "PROGRESS=100" in p
                if ok:
                    md = c.info("ns/all")
                    nr = len(re.findall(r"^r ", md, re.M))
                    ok = nr >= len(want)
                if ok:
                    break
                if time.time() - t > timeout:
                    raise TimeoutError("bootstrap of %s: %s" % (name, p))
                time.sleep(0.5)
            log(name, "bootstrapped,", nr, "relays in its consensus")
        # wait until the client has every microdescriptor (EXTENDCIRCUIT needs them)
        c = self.ctl("client0")
        for fp in want:
            while True:
                try:
                    c.cmd("GETINFO md/id/" + fp)
                    break
                except RuntimeError:
                    if time.time() - t > timeout:
                        raise
                    time.sleep(0.5)
        return time.time() - t

    def stop(self):
        for c in self.ctls.values():
            with contextlib.suppress(Exception):
                c.s.close()
        for p in self.proc.values():
            if p.poll() is None:
                p.send_signal(signal.SIGINT if p is not self.proc.get("server") else signal.SIGTERM)
        end = time.time() + 10
        for p in self.proc.values():
            try:
                p.wait(max(0.1, end - time.time()))
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        if not self.a.keep and not self.a.dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    # ---- helpers for the measurements
    def by(self, *roles):
        return [n for n in self.nodes.values() if n["role"] in roles]

    def cpu(self):
        return {k: proc_cpu_ns(p.pid) for k, p in self.proc.items()}

    def cpu_stat(self):
        return sum(proc_cpu(p.pid) for k, p in self.proc.items() if k != "server")

    def cpu_idle_rate(self, secs=5):
        a = self.cpu()
        time.sleep(secs)
        b = self.cpu()
        return sum(b[k] - a[k] for k in a if k != "server") / secs

    def path(self, rng):
        r = rng.sample(self.by("relay"), 2)
        e = rng.choice(self.by("exit"))
        return r + [e]


def pstr(path):
    return ",".join("$" + n["fp"] for n in path)


def build(c, path, timeout=60):
    t = time.perf_counter()
    r = c.cmd("EXTENDCIRCUIT 0 " + pstr(path))
    cid = r[-1].split()[2]
    e = c.event(lambda x: x.startswith("CIRC %s " % cid) and x.split()[2] in ("BUILT", "FAILED", "CLOSED"), timeout)
    if e[1].split()[2] != "BUILT":
        raise ConnectionError(e[1])
    return cid, (e[0] - t) * 1000


def close_circ(c, cid):
    try:
        c.cmd("CLOSECIRCUIT " + cid)
    except RuntimeError:
        pass


def open_on(c, sport, cid, host, port):
    """SOCKS stream pinned to circuit cid (__LeaveStreamsUnattached=1); returns socket, t_start"""
    t = time.perf_counter()
    s = socks_begin(sport)
    src = ("SOURCE_ADDR=%s:%d" % s.getsockname()) if not isinstance(sport, str) else " 0 %s:%d " % (host, port)
    socks_request(s, host, port)
    e = c.event(lambda x: x.startswith("STREAM ") and " NEW " in x and src in x, 30)
    c.cmd("ATTACHSTREAM %s %s" % (e[1].split()[1], cid))
    socks_answer(s)
    return s, t


# ------------------------------------------------------------------ a) circuits
def sustained(net, cname, conc, secs, rng, path=None):
    """keep `conc` builds in flight on one client for `secs`; each is closed as soon as built"""
    c = net.ctl(cname)
    c.cmd("SETEVENTS CIRC")
    c.events.clear(); c.replies.clear()
    pend, fl, lat = deque(), {}, []          # commands waiting for their reply; circuits in flight
    early = {}
    built = failed = 0

    def launch():
        c.send("EXTENDCIRCUIT 0 " + pstr(path or net.path(rng)))
        pend.append(("E", time.perf_counter()))

    a, sa, t0 = net.cpu(), net.cpu_stat(), time.perf_counter()
    for _ in range(conc):
        launch()
    end = t0 + secs
    while True:
        now = time.perf_counter()
        if now >= end and not fl and not pend:
            break
        if now >= end + 30:
            break
        c._pump(0.05)
        # replies first: they name the circuit
        while c.replies:
            _, r = c.replies.popleft()
            kind, ts = pend.popleft()
            if kind == "E":
                if r[-1].startswith("250 EXTENDED"):
                    fl[r[-1].split()[2]] = ts
                else:
                    failed += 1
                    if time.perf_counter() < end:
                        launch()
        while c.events:
            te, x = c.events.popleft()
            w = x.split()
            if w[0] != "CIRC" or w[2] not in ("BUILT", "FAILED", "CLOSED"):
                continue
            if w[1] in fl:
                ts = fl.pop(w[1])
                if w[2] == "BUILT":
                    if te <= end:
                        built += 1
                        lat.append((te - ts) * 1000)
                    c.send("CLOSECIRCUIT " + w[1])
                    pend.append(("C", te))
                else:
                    failed += 1
                if time.perf_counter() < end:
                    launch()
    wall = min(time.perf_counter(), end) - t0
    b, sb = net.cpu(), net.cpu_stat()
    d = {k: b[k] - a[k] for k in a}
    return {"built": built, "failed": failed, "wall": wall, "lat": lat, "cpu": d, "cpu_stat": sb - sa}

def xfer(s, kind, n):
    """move n bytes over an open stream; returns wall seconds, first-byte seconds, second-half seconds"""
    t = time.perf_counter()
    fb = half = None
    if kind == "D":
        s.sendall(b"D %d\n" % n)
        m = bytearray(1 << 18)
        got = 0
        while got < n:
            k = s.recv_into(m)
            if k == 0:
                raise EOFError("short read")
            if fb is None:
                fb = time.perf_counter()
            got += k
            if half is None and got >= n // 2:
                half = (time.perf_counter(), got)
    else:
        s.sendall(b"U %d\n" % n)
        m = bytes(1 << 18)
        left = n
        while left > 0:
            k = s.send(memoryview(m)[:min(left, len(m))])
            left -= k
        fb = time.perf_counter()
        assert recvn(s, 1) == b"K"
    e = time.perf_counter()
    return {"wall": e - t, "fb": (fb - t) if fb else None,
            "half_mb_s": ((n - half[1]) / 1e6 / (e - half[0])) if half and e > half[0] else None}

def pingpong(s, size, n):
    msg = os.urandom(size)
    out = []
    for _ in range(n):
        t = time.perf_counter()
        s.sendall(msg)
        got = 0
        while got < size:
            b = s.recv(65536)
            if not b:
                raise EOFError
            got += len(b)
        out.append((time.perf_counter() - t) * 1000)
    return out
