// SPDX-License-Identifier: Apache-2.0
// What repair costs: the parts of two nodes that ship, over memory stores of n records; one lacks d of them, spread evenly.
//
// usage: store_repair N RUNS D...     prints a line of means for each D
// bytes: serialized messages of the exchange, both ways, less the records themselves.
// cpu_ms: of the pull with kept rows, both nodes together, without the making and removing of the difference.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <map>

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
  RangeServer ranges{replicas, store, index};
  ReconcileServer server{replicas, index, symbols, ranges, admitter, out};
  RangeSync sync{kinds, store, index, symbols, admitter, out};
};

struct Totals {
  double bytes = 0, record_bytes = 0, messages = 0, cpu_ms = 0;
};

class Pair {
 public:
  Pair(size_t records, uint64_t seed) : rng_(seed) {
    for (size_t i = 0; i < records; ++i) {
      const Record record = MakeBlob(rng_.Array<16>(), kStart + kTtlDefault);
      records_.push_back(record);
      asker_.Put(record);
      answerer_.Put(record);
    }
  }

  // The asker loses d records, pulls them back.
  void Repair(size_t d, Totals* totals) {
    for (size_t i = 0; i < d; ++i) {
      const size_t chosen = i + rng_.Below(records_.size() - i);
      std::swap(records_[i], records_[chosen]);
      asker_.Remove(records_[i].name);
    }
    bool done = false;
    const double before = CpuMs();
    const overlay::RingRange range{a_.point, a_.point};
    asker_.sync.Start(
        {.from = b_, .range = range, .compare = Compare::kSymbols},
        [&](const absl::Status& status, const Moment&) {
          CHECK(status.ok());
          done = true;
        },
        Now());
    while (!done) Step(totals);
    if (totals != nullptr) totals->cpu_ms += CpuMs() - before;
    CHECK(asker_.index.Print(range) == answerer_.index.Print(range));
  }

 private:
  Moment Now() const { return {now_, now_}; }
  void Step(Totals* totals) {
    Run(asker_, answerer_, totals);
    Run(answerer_, asker_, totals);
    now_ += absl::Milliseconds(20);
    for (Side* side : {&asker_, &answerer_}) {
      side->symbols.OnTick(Now());
      side->sync.OnTick(Now());
    }
  }
  void Run(Side& side, Side& other, Totals* totals) {
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
  void Send(const Call& call, Side& to, Totals* totals) {
    const std::string bytes = EncodeDhtRequest(call.request);
    if (totals != nullptr) totals->bytes += static_cast<double>(bytes.size()), ++totals->messages;
    DhtRequest request = *DecodeDhtRequest(call.request.index(), bytes);
    calls_[++last_request_] = call.id;
    const std::vector<overlay::Peer> caller = {a_};
    auto* reconcile = std::get_if<ReconcileRequest>(&request);
    CHECK(reconcile != nullptr);  // what falls back to ranges is not measured as if it were not
    to.server.Answer(last_request_, caller, std::move(*reconcile), /*serving=*/true, Now());
  }
  void Answer(Side& asker, const Respond& respond, Totals* totals) {
    CHECK(respond.reply.ok());
    const std::string bytes = EncodeDhtReply(*respond.reply);
    if (totals != nullptr) {
      totals->bytes += static_cast<double>(bytes.size()), ++totals->messages;
      for (const Record& record : std::get<ReconcileReply>(*respond.reply).records) {
        const double size = static_cast<double>(EncodeRecord(record).size());
        totals->bytes -= size;
        totals->record_bytes += size;
      }
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
  Side asker_{network_, Around(a_, b_), rng_.Below(~0ull)};
  Side answerer_{network_, Around(b_, a_), rng_.Below(~0ull)};
  std::vector<Record> records_;
  std::map<RequestId, CallId> calls_;
  RequestId last_request_ = 0;
  absl::Time now_ = kStart;
};

}  // namespace
}  // namespace dht

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  keys::InitCrypto();
  const size_t n = strtoull(argv[1], nullptr, 10);
  const int runs = atoi(argv[2]);
  dht::Pair pair(n, 1);
  pair.Repair(1, nullptr);  // counts the kept rows
  for (int i = 3; i < argc; ++i) {
    const size_t d = strtoull(argv[i], nullptr, 10);
    dht::Totals totals;
    for (int run = 0; run < runs; ++run) pair.Repair(d, &totals);
    std::printf("d=%zu runs=%d bytes=%.1f record_bytes=%.1f messages=%.1f cpu_ms=%.2f\n", d, runs, totals.bytes / runs,
                totals.record_bytes / runs, totals.messages / runs, totals.cpu_ms / runs);
    std::fflush(stdout);
  }
}
