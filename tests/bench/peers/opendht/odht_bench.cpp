// SPDX-License-Identifier: Apache-2.0
// OpenDHT peer harness: starts N nodes on 127.0.0.1, measures put/get.
//   odht_bench --n 16 --per-proc 1 --clients 4 [--limits default|off] [--secs 6] [--kill 1]
// Nodes are split between this process (the clients, which are full nodes too) and
// child processes that hold --per-proc nodes each.  Prints one JSON object.
#include <opendht.h>
#include <opendht/log.h>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;
using namespace std::chrono;
using Clock = steady_clock;

static dht::DhtRunner::Config mkcfg(int port, bool nolimit) {
    dht::DhtRunner::Config c;
    c.threaded = true;
    c.dht_config.node_config.network = 7711;
    c.dht_config.node_config.max_req_per_sec = nolimit ? -1 : 0;
    c.dht_config.node_config.max_peer_req_per_sec = nolimit ? -1 : 0;
    c.dht_config.node_config.max_searches = -1;
    c.dht_config.node_config.max_store_size = -1;
    c.dht_config.node_config.public_stable = true;
    c.dht_config.node_config.is_bootstrap = false;
    auto a = dht::SockAddr::resolve("127.0.0.1", std::to_string(port));
    c.bind4 = a.front();
    return c;
}
static std::vector<std::unique_ptr<dht::DhtRunner>> start_nodes(int port, int count, int boot, bool nolimit) {
    std::vector<std::unique_ptr<dht::DhtRunner>> v;
    for (int i = 0; i < count; i++) {
        auto r = std::make_unique<dht::DhtRunner>();
        r->run(mkcfg(port + i, nolimit), {});
        if (port + i != boot) r->bootstrap("127.0.0.1", std::to_string(boot));
        v.push_back(std::move(r));
    }
    return v;
}
static double cpu_ms(pid_t pid) {  // user+sys of a live process, all its threads, in ns resolution
    clockid_t c; timespec t;
    if (clock_getcpuclockid(pid, &c) || clock_gettime(c, &t)) return 0;
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}
static double rss_kib(pid_t pid, const char* key = "Pss:") {
    std::ifstream f("/proc/" + std::to_string(pid) + "/smaps_rollup");
    std::string l;
    while (std::getline(f, l)) if (l.rfind(key, 0) == 0) return std::stod(l.substr(strlen(key)));
    return 0;
}
static double lo_bytes() {
    std::ifstream f("/proc/net/dev"); std::string l;
    while (std::getline(f, l)) { auto p = l.find("lo:"); if (p != std::string::npos) return std::stod(l.substr(p + 3)); }
    return 0;
}
static double lo_pkts() {
    std::ifstream f("/proc/net/dev"); std::string l;
    while (std::getline(f, l)) { auto p = l.find("lo:"); if (p != std::string::npos) { std::istringstream is(l.substr(p + 3)); double a, b; is >> a >> b; return b; } }
    return 0;
}
static double busy_ms() {  // whole machine: user+nice+sys+irq+softirq+steal
    std::ifstream f("/proc/stat"); std::string c; double u, n, s, id, io, irq, si, st;
    f >> c >> u >> n >> s >> id >> io >> irq >> si >> st;
    return (u + n + s + irq + si + st) * 1000.0 / sysconf(_SC_CLK_TCK);
}
static double pct(std::vector<double>& v, double q) {
    if (v.empty()) return -1;
    std::sort(v.begin(), v.end());
    return v[std::min(v.size() - 1, (size_t)(q * v.size()))];
}
struct Res { size_t ops = 0, fail = 0; double secs = 0, cpu = 0, bytes = 0, pkts = 0, other = 0; std::vector<double> lat; };

int main(int argc, char** argv) {
    std::map<std::string, std::string> a{{"--n","16"},{"--per-proc","1"},{"--clients","4"},{"--limits","off"},{"--secs","6"},{"--kill","1"},{"--port","21000"},{"--role","drive"},{"--count","1"},{"--boot","0"},{"--keys","400"},{"--sizes","256,1024"},{"--maxops","1000000000"},{"--idle","5"},{"--settle","0"}};
    for (int i = 1; i + 1 < argc; i += 2) a[argv[i]] = argv[i + 1];
    bool nolimit = a["--limits"] == "off";
    int port = std::stoi(a["--port"]);
    if (a["--role"] == "node") {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        auto v = start_nodes(port, std::stoi(a["--count"]), std::stoi(a["--boot"]), nolimit);
        for (;;) pause();
    }
    int N = std::stoi(a["--n"]), C = std::stoi(a["--clients"]), K = std::stoi(a["--per-proc"]);
    double secs = std::stod(a["--secs"]);
    auto t0 = Clock::now();
    double base_pss = rss_kib(getpid());
    auto cl = start_nodes(port, C, port, nolimit);
    struct Child { pid_t pid; int nodes; };
    std::vector<Child> kids;
    for (int i = C; i < N; i += K) {
        int cnt = std::min(K, N - i);
        std::vector<std::string> s{"/proc/self/exe", "--role", "node", "--port", std::to_string(port + i), "--count", std::to_string(cnt), "--boot", std::to_string(port), "--limits", a["--limits"]};
        std::vector<char*> av; for (auto& x : s) av.push_back(x.data()); av.push_back(nullptr);
        char self[4096]; ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1); self[n] = 0;
        pid_t p; if (posix_spawn(&p, self, nullptr, nullptr, av.data(), environ)) { perror("spawn"); return 1; }
        kids.push_back({p, cnt});
    }
    // wait till the clients know enough nodes
    double ready_s = -1;
    for (int i = 0; i < 300; i++) {
        unsigned mn = 1e9;
        for (auto& c : cl) { auto st = c->getNodesStats(AF_INET); mn = std::min(mn, st.good_nodes + st.dubious_nodes); }
        if (getenv("ODHT_DEBUG") && i % 10 == 0) { for (auto& c : cl) { auto st = c->getNodesStats(AF_INET); fprintf(stderr, "[%u g %u d %u c %u i] ", st.good_nodes, st.dubious_nodes, st.cached_nodes, st.incoming_nodes); } fprintf(stderr, "\n"); }
        if (mn >= (unsigned)std::min(N - 1, 8)) { ready_s = duration<double>(Clock::now() - t0).count(); break; }
        std::this_thread::sleep_for(milliseconds(100));
    }
    int settle = std::stoi(a["--settle"]) ? std::stoi(a["--settle"]) : N > 32 ? 40 : 8;
    std::this_thread::sleep_for(seconds(settle));
    auto allcpu = [&] { double s = cpu_ms(getpid()); for (auto& k : kids) if (k.pid) s += cpu_ms(k.pid); return s; };
    // idle cost
    double ci = allcpu(), bi = lo_bytes(); auto ti = Clock::now();
    std::this_thread::sleep_for(seconds(std::stoi(a["--idle"])));
    double idle_s = duration<double>(Clock::now() - ti).count();
    double idle_cpu = (allcpu() - ci) / idle_s / N, idle_b = (lo_bytes() - bi) / idle_s / N;

    std::mt19937_64 rng(42);
    auto mkval = [&](size_t sz) { std::vector<uint8_t> b(sz); for (auto& x : b) x = (uint8_t)rng(); return b; };
    struct Rec { dht::InfoHash h; int who; };
    std::vector<Rec> keys256, keys1k;

    auto runop = [&](bool put, size_t sz, int conc, std::vector<Rec>& keys, size_t maxops) {
        Res r; std::mutex m; std::condition_variable cv; int infl = 0; size_t issued = 0;
        double c0 = allcpu(), y0 = busy_ms(), b0 = lo_bytes(), p0 = lo_pkts(); auto t0 = Clock::now();
        std::vector<Rec> newkeys;
        while (issued < maxops && duration<double>(Clock::now() - t0).count() < secs) {
            { std::unique_lock<std::mutex> l(m); if (!cv.wait_for(l, seconds(40), [&] { return infl < conc; })) break; infl++; }
            size_t i = issued++;
            auto s = Clock::now();
            auto fin = [&, s](bool ok) {
                double ms = duration<double, std::milli>(Clock::now() - s).count();
                std::lock_guard<std::mutex> l(m);
                if (ok) { r.ops++; r.lat.push_back(ms); } else r.fail++;
                infl--; cv.notify_all();
            };
            if (put) {
                dht::InfoHash h = dht::InfoHash::getRandom(); int who = i % C;
                { std::lock_guard<std::mutex> l(m); newkeys.push_back({h, who}); }
                auto v = std::make_shared<dht::Value>(mkval(sz));
                cl[who]->put(h, v, [fin](bool ok, const std::vector<std::shared_ptr<dht::Node>>&) { fin(ok); });
            } else {
                auto& k = keys[i % keys.size()];
                int who = (k.who + 1 + (i / keys.size()) % std::max(1, C - 1)) % C;
                auto found = std::make_shared<std::atomic_bool>(false);
                cl[who]->get(k.h, [found, fin](const std::vector<std::shared_ptr<dht::Value>>& vs) { if (!vs.empty() && !found->exchange(true)) fin(true); return false; },
                    [found, fin](bool, const std::vector<std::shared_ptr<dht::Node>>&) { if (!found->exchange(true)) fin(false); });
            }
        }
        { std::unique_lock<std::mutex> l(m); cv.wait_for(l, seconds(40), [&] { return infl == 0; }); }
        r.secs = duration<double>(Clock::now() - t0).count();
        r.cpu = allcpu() - c0; r.other = (busy_ms() - y0 - r.cpu) / 1000.0 / r.secs; r.bytes = lo_bytes() - b0; r.pkts = lo_pkts() - p0;
        if (put) for (auto& k : newkeys) keys.push_back(k);
        return r;
    };
    std::ostringstream o;
    auto emit = [&](const std::string& name, Res& r) {
        char b[512];
        double d = std::max<size_t>(1, r.ops);
        snprintf(b, sizeof b, "  \"%s\": {\"ops\": %zu, \"failed\": %zu, \"ops_per_s\": %.1f, \"median_ms\": %.3f, \"p99_ms\": %.3f, \"cpu_ms_per_op\": %.3f, \"lo_bytes_per_op\": %.0f, \"lo_packets_per_op\": %.1f, \"cores_used_by_others\": %.2f},\n",
            name.c_str(), r.ops, r.fail, r.ops / r.secs, pct(r.lat, .5), pct(r.lat, .99), r.cpu / d, r.bytes / d, r.pkts / d, r.other);
        o << b; fprintf(stderr, "%s", b);
    };
    auto rss = [&](double& avg, double& total) { double s = 0; int n = 0; for (auto& k : kids) if (k.pid) { s += rss_kib(k.pid, "Rss:"); n += k.nodes; } avg = n ? s / n : 0; double p = rss_kib(getpid()); for (auto& k : kids) if (k.pid) p += rss_kib(k.pid); total = p; };
    double r0, p0, r1, p1; rss(r0, p0);
    size_t maxops = std::stoul(a["--maxops"]);
    for (int sz : {256, 1024}) {
        if (a["--sizes"].find(std::to_string(sz)) == std::string::npos) continue;
        auto& keys = sz == 256 ? keys256 : keys1k;
        for (int conc : {1, 32}) { auto r = runop(true, sz, conc, keys, maxops); emit("put_" + std::to_string(sz) + "_c" + std::to_string(conc), r); }
        std::shuffle(keys.begin(), keys.end(), rng);
        std::this_thread::sleep_for(seconds(1));
        for (int conc : {1, 32}) { auto r = runop(false, sz, conc, keys, maxops); emit("get_" + std::to_string(sz) + "_c" + std::to_string(conc), r); }
    }
    rss(r1, p1);
    size_t stored = keys256.size() + keys1k.size();
    std::string killj = "null";
    if (a["--kill"] == "1" && K == 1) {
        // fresh keys, so that none is near its 10-minute expiry
        std::vector<Rec> ks; auto r = runop(true, 256, 8, ks, std::stoul(a["--keys"])); size_t asked_puts = ks.size(); (void)asked_puts;
        std::this_thread::sleep_for(seconds(2));
        std::vector<size_t> ix; for (size_t i = 0; i < kids.size(); i++) ix.push_back(i);
        std::shuffle(ix.begin(), ix.end(), rng);
        size_t nk = N / 4;
        auto tk = Clock::now();
        for (size_t i = 0; i < nk && i < ix.size(); i++) kill(kids[ix[i]].pid, SIGKILL);
        for (size_t i = 0; i < nk && i < ix.size(); i++) { waitpid(kids[ix[i]].pid, nullptr, 0); kids[ix[i]].pid = 0; }
        std::ostringstream ko; ko << "{\"keys\": " << ks.size() << ", \"killed\": " << nk << ", \"of\": " << N;
        size_t part = ks.size() / 3;
        int at[3] = {0, 10, 60};
        double save = secs; secs = 1e9;
        for (int j = 0; j < 3; j++) {
            auto due = tk + seconds(at[j]);
            std::this_thread::sleep_until(due);
            double started = duration<double>(Clock::now() - tk).count();
            std::vector<Rec> sub(ks.begin() + j * part, ks.begin() + (j + 1) * part);   // each third is read once only
            auto g = runop(false, 256, 8, sub, sub.size());
            char b[400]; size_t tot = g.ops + g.fail;
            snprintf(b, sizeof b, ", \"t%d\": {\"started_s\": %.1f, \"asked\": %zu, \"found_share\": %.4f, \"median_ms\": %.3f, \"p99_ms\": %.1f, \"took_s\": %.2f}", at[j], started, sub.size(), sub.empty() ? 0 : (double)g.ops / sub.size(), pct(g.lat, .5), pct(g.lat, .99), g.secs);
            (void)tot; ko << b; fprintf(stderr, "%s\n", b);
        }
        // writes after the kill
        secs = 6; std::vector<Rec> nk2; auto pp = runop(true, 256, 8, nk2, 200);
        char b[300]; snprintf(b, sizeof b, ", \"puts_after_60s\": {\"ops\": %zu, \"failed\": %zu, \"median_ms\": %.3f, \"p99_ms\": %.1f}", pp.ops, pp.fail, pct(pp.lat, .5), pct(pp.lat, .99));
        ko << b; secs = save; ko << "}"; killj = ko.str();
    }
    for (auto& k : kids) if (k.pid) { kill(k.pid, SIGKILL); waitpid(k.pid, nullptr, 0); }
    printf("{\n  \"peer\": \"OpenDHT\", \"n\": %d, \"nodes_per_process\": %d, \"client_nodes\": %d, \"rate_limits\": \"%s\", \"max_ops_per_phase\": %s, \"settle_s\": %d,\n  \"ready_s\": %.2f, \"idle_cpu_ms_per_s_per_node\": %.3f, \"idle_lo_bytes_per_s_per_node\": %.0f,\n", N, K, C, a["--limits"].c_str(), a["--maxops"].c_str(), settle, ready_s, idle_cpu, idle_b);
    printf("  \"rss_kib_per_node_idle\": %.0f, \"pss_kib_total_idle\": %.0f, \"rss_kib_per_node_after\": %.0f, \"pss_kib_total_after\": %.0f, \"driver_base_pss_kib\": %.0f, \"values_stored\": %zu,\n", r0, p0, r1, p1, base_pss, stored);
    printf("%s  \"kill_quarter\": %s\n}\n", o.str().c_str(), killj.c_str());
    fflush(stdout);
    _exit(0);
}
