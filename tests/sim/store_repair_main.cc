// SPDX-License-Identifier: Apache-2.0
// What repair costs: the parts of two nodes that ship, over memory stores of n records, d of them missing, spread evenly.
//
// usage: store_repair one|both N RUNS D...     prints a line of means for each D
// one: all d are missing at the node that pulls. both: half of them there, half at the other node, which pulls next; the figures
// are of the first pull, and `bytes_equal` of both pulls together, after which the two hold the same. bytes: serialized messages
// of the exchange, both ways, less the records themselves. cpu_ms: of the pull with kept rows, both nodes together, without the
// making and removing of the difference.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>

#include "base/check.h"
#include "base/overloaded.h"
#include "dht/dht_wire.h"
#include "dht/kept_symbols.h"
#include "dht/memory_record_store.h"
#include "dht/range_sync.h"
#include "dht/reconcile_server.h"
#include "keys/system_rng.h"
#include "tests/support/seeded_rng.h"

namespace dht {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);

double CpuMs() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) * 1e3 + static_cast<double>(spent.tv_nsec) / 1e6;
}

struct Side {
  Side(const overlay::Network& network, const overlay::Neighbourhood& around, uint64_t salt)
      : replicas(static_cast<size_t>(network.replica_count)), index(salt) {
    replicas.Update(around);
  }
  void Put(const Record& record) {
    CHECK(store.Apply({.puts = {record}}).ok());
    index.Put(record.name, record.expiry);
  }
  void Remove(const RecordName& name) {
    CHECK(store.Apply({.removes = {name}}).ok());
    index.Remove(name);
  }

  MemoryRecordStore store;
  Outbox out;
  ReplicaSet replicas;
  RangeIndex index;
  RecordKinds kinds;
  Admitter admitter{kinds, store, index, ~0ull, out};
  KeptSymbols symbols{index};
  Witness witness{store};
  RangeServer ranges{replicas, store, index, witness};
  ReconcileServer server{replicas, index, symbols, witness, ranges, admitter, out};
  RangeSync sync{kinds, store, index, symbols, admitter, out};
};

struct Totals {
  double bytes = 0, record_bytes = 0, messages = 0, cpu_ms = 0, bytes_equal = 0;
};

class Pair {
 public:
  Pair(size_t records, uint64_t seed) : rng_(seed) {
    for (size_t i = 0; i < records; ++i) {
      const Record record = MakeBlob(rng_.Array<16>(), kStart + kTtlDefault);
      records_.push_back(record);
      first_.Put(record);
      second_.Put(record);
    }
  }

  // The first node loses d records, or half of them and the second node the others; each pulls back what it lost.
  void Repair(size_t d, bool is_both, Totals& totals) {
    for (size_t i = 0; i < d; ++i) {
      const size_t chosen = i + rng_.Below(records_.size() - i);
      std::swap(records_[i], records_[chosen]);
      (is_both && i % 2 == 1 ? second_ : first_).Remove(records_[i].name);
    }
    const double before = CpuMs(), bytes_before = totals.bytes;
    Pull(first_, b_, totals);
    totals.cpu_ms += CpuMs() - before;
    Totals more;
    if (is_both) Pull(second_, a_, more);
    totals.bytes_equal += totals.bytes - bytes_before + more.bytes;
    CHECK(first_.index.Print(whole_) == second_.index.Print(whole_));
  }

 private:
  Moment Now() const { return {now_, now_}; }
  void Pull(Side& side, const overlay::Peer& from, Totals& totals) {
    bool done = false;
    side.sync.Start(
        {.from = from, .range = whole_, .compare = Compare::kSymbols},
        [&](const SyncOutcome& outcome, const Moment&) {
          CHECK(outcome.status.ok());
          done = true;
        },
        Now());
    while (!done) Step(totals);
  }
  void Step(Totals& totals) {
    Run(first_, second_, totals);
    Run(second_, first_, totals);
    now_ += absl::Milliseconds(20);
    for (Side* side : {&first_, &second_}) {
      side->symbols.OnTick(Now());
      side->sync.OnTick(Now());
    }
  }
  void Run(Side& side, Side& other, Totals& totals) {
    for (DhtAction& action : side.out.Take()) {
      std::visit(base::Overloaded{[&](Call& call) { Send(call, other, totals); },
                                  [&](Write& write) {
                                    const absl::Status status = side.store.Apply(write.batch);
                                    side.admitter.OnApplied(write.id, status, Now());
                                  },
                                  [&](Respond& respond) { Answer(other, respond, totals); }, [](auto&) {}},
                 action);
    }
  }
  void Send(const Call& call, Side& to, Totals& totals) {
    const std::string bytes = EncodeDhtRequest(call.request);
    totals.bytes += static_cast<double>(bytes.size()), ++totals.messages;
    DhtRequest request = *DecodeDhtRequest(call.request.index(), bytes);
    calls_[++last_request_] = call.id;
    const std::vector<overlay::Peer> caller = {&to == &second_ ? a_ : b_};
    auto* reconcile = std::get_if<ReconcileRequest>(&request);
    CHECK(reconcile != nullptr);  // what falls back to ranges is not measured as if it were not
    to.server.Answer(last_request_, caller, std::move(*reconcile), /*serving=*/true, Now());
  }
  void Answer(Side& asker, const Respond& respond, Totals& totals) {
    CHECK(respond.reply.ok());
    const std::string bytes = EncodeDhtReply(*respond.reply);
    totals.bytes += static_cast<double>(bytes.size()), ++totals.messages;
    for (const Record& record : std::get<ReconcileReply>(*respond.reply).records) {
      const double size = static_cast<double>(EncodeRecord(record).size());
      totals.bytes -= size;
      totals.record_bytes += size;
    }
    const absl::StatusOr<DhtReply> reply = DecodeDhtReply(network_, respond.reply->index(), bytes);
    asker.out.Deliver(calls_.extract(respond.id).mapped(), reply, Now());
  }
  overlay::Peer NewPeer() {
    const keys::SigningKey key = keys::SigningKey::Generate(rng_);
    return overlay::MakePeer(network_, key.public_key(), 0, overlay::Role::kStoring, "127.0.0.1:1");
  }
  static overlay::Neighbourhood Around(const overlay::Peer& self, const overlay::Peer& other) {
    overlay::Neighbourhood around;
    around.self = self;
    around.member = true;
    around.successors = around.predecessors = {other};
    return around;
  }

  support::SeededRng rng_;
  const overlay::Network network_ = overlay::Network::Local();
  const overlay::Peer a_ = NewPeer(), b_ = NewPeer();
  const overlay::RingRange whole_{a_.point, a_.point};
  Side first_{network_, Around(a_, b_), rng_.Below(~0ull)};
  Side second_{network_, Around(b_, a_), rng_.Below(~0ull)};
  std::vector<Record> records_;
  std::map<RequestId, CallId> calls_;
  RequestId last_request_ = 0;
  absl::Time now_ = kStart;
};

}  // namespace
}  // namespace dht

int main(int argc, char** argv) {
  const std::string_view sides = argc < 5 ? "" : argv[1];
  if (sides != "one" && sides != "both") return 2;
  keys::InitCrypto();
  const size_t n = strtoull(argv[2], nullptr, 10);
  const int runs = atoi(argv[3]);
  dht::Pair pair(n, 1);
  dht::Totals first;
  pair.Repair(2, /*is_both=*/true, first);  // counts the kept rows
  for (int i = 4; i < argc; ++i) {
    const size_t d = strtoull(argv[i], nullptr, 10);
    dht::Totals totals;
    for (int run = 0; run < runs; ++run) pair.Repair(d, sides == "both", totals);
    std::printf("d=%zu runs=%d bytes=%.1f record_bytes=%.1f messages=%.1f cpu_ms=%.2f bytes_equal=%.1f\n", d, runs,
                totals.bytes / runs, totals.record_bytes / runs, totals.messages / runs, totals.cpu_ms / runs,
                totals.bytes_equal / runs);
    std::fflush(stdout);
  }
}
