// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_campaign.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/dht/note_kinds.h"

namespace sim {
namespace {

constexpr absl::Duration kSettle = absl::Seconds(90);          // after the last fault
constexpr absl::Duration kRepairPause = absl::Seconds(20);     // between two deaths of kSlowly
constexpr absl::Duration kRepairRound = absl::Seconds(15);     // until every holder was compared with its neighbours
constexpr absl::Duration kDownMean = absl::Seconds(60);        // of a process that comes back
constexpr absl::Duration kAfterPartition = absl::Seconds(60);  // until calm is calm

World::Options OptionsOf(const StoreStory& story) {
  World::Options options;
  options.seed = story.seed;
  options.ring.successor_count = 8;
  options.trace_max = 0;
  return options;
}

class Teller {
 public:
  explicit Teller(const StoreStory& story)
      : story_(story),
        ring_(OptionsOf(story)),
        book_(ring_.network().replica_count, ring_.network().write_quorum, [this](size_t node) { return ring_.IsUp(node); }) {
    ring_.on_written = [this](size_t node, const dht::WriteBatch& batch) { book_.OnWritten(node, batch, world().now()); };
  }

  StoreFigures Tell() {
    ring_.Grow(story_.nodes);
    world().RunFor(absl::Seconds(30));
    switch (story_.kind) {
      case StoreStory::Kind::kChurn:
        Churn();
        break;
      case StoreStory::Kind::kSlowly:
        PutAll();
        KillSlowly();
        break;
      case StoreStory::Kind::kAtOnce:
        PutAll();
        KillAtOnce();
        break;
    }
    ReadAll();
    figures_.acknowledged = book_.acknowledged();
    figures_.not_acknowledged = book_.entries().size() - book_.acknowledged();
    figures_.lost = book_.lost();
    figures_.broken = book_.broken();
    figures_.events = world().events();
    if (book_.broken() > 0) Wrong(absl::StrCat("lost against the promise: ", book_.first_broken()));
    return figures_;
  }

 private:
  World& world() { return ring_.world(); }
  base::Rng& rng() { return ring_.world().rng(); }
  void Wrong(std::string what) {
    if (figures_.wrong.empty()) figures_.wrong = std::move(what);
  }
  absl::Duration Exponential(absl::Duration mean) { return mean * -std::log(1 - rng().Unit()); }
  void After(absl::Duration span, std::function<void()> run) { world().At(world().now() + span, std::move(run)); }
  // Some member, or nothing.
  std::optional<size_t> AnyMember() {
    const std::vector<size_t> members = ring_.Members();
    if (members.empty()) return std::nullopt;
    return members[rng().Below(members.size())];
  }

  // --- Puts and reads ---

  void PutOne() {
    const std::optional<size_t> node = AnyMember();
    if (!node) return;
    const base::Bytes body = base::ToBytes(rng().Array<24>());
    const absl::Time expiry = absl::FromUnixSeconds(absl::ToUnixSeconds(world().now() + dht::kTtlDefault));
    const bool is_blob = rng().Below(2) == 0;
    dht::Record record =
        is_blob ? dht::MakeBlob(body, expiry) : dht::MakeNote(overlay::NodeId::Random(rng()), body, expiry, dht::Kind::kEnvelope);
    const size_t entry = book_.Expect(record);
    ring_.Put(*node, std::move(record), [this, entry](const absl::StatusOr<dht::DhtReply>& reply) {
      const auto* put = dht::AnswerAs<dht::PutReply>(reply);
      const auto quorum = static_cast<size_t>(ring_.network().write_quorum);
      if (put != nullptr && put->result == dht::PutResult::kStored && put->receipts.size() >= quorum)
        book_.Acknowledge(entry, world().now());
    });
  }

  enum class Read { kFound, kUnsure, kAbsent };
  using WasRead = std::function<void(Read)>;

  // A blob is asked for by name; a note's place is listed at a replica, as a mailbox is.
  void ReadOne(size_t entry, WasRead done) {
    const dht::Record record = book_.entries()[entry].record;
    if (record.name.kind == dht::Kind::kBlob) {
      const std::optional<size_t> node = AnyMember();
      if (!node) return done(Read::kUnsure);
      return ring_.Get(*node, record.name, [record, done](const absl::StatusOr<dht::DhtReply>& reply) {
        const auto* get = dht::AnswerAs<dht::GetReply>(reply);
        const bool is_found = get != nullptr && get->record == record;
        done(is_found ? Read::kFound : get != nullptr && get->complete && !get->record ? Read::kAbsent : Read::kUnsure);
      });
    }
    std::vector<size_t> replicas;
    for (const size_t member : ring_.Members()) {
      if (ring_.core(member).replicas().IsResponsible(record.name.point)) replicas.push_back(member);
    }
    if (replicas.empty()) return done(Read::kUnsure);
    ring_.List(replicas[rng().Below(replicas.size())], record.name.point,
               [record, done](bool complete, const std::vector<dht::Record>& records) {
                 const bool is_found = std::find(records.begin(), records.end(), record) != records.end();
                 done(is_found ? Read::kFound : complete ? Read::kAbsent : Read::kUnsure);
               });
  }

  void ReadSomething() {
    const size_t entry = rng().Below(book_.entries().size());
    if (!book_.entries()[entry].acknowledged || book_.entries()[entry].lost) return;
    ++figures_.reads;
    const absl::Time seen_by_all = world().now() > calm_since_ ? world().now() : partition_since_;
    const bool is_known = book_.entries()[entry].acknowledged_at + kRepairRound < seen_by_all;
    ReadOne(entry, [this, entry, is_known](Read read) {
      figures_.found += read == Read::kFound ? 1 : 0;
      figures_.unsure += read == Read::kUnsure ? 1 : 0;
      figures_.absent += read == Read::kAbsent ? 1 : 0;
      if (read != Read::kAbsent || !is_known) return;
      ++figures_.absent_wrongly;
      Wrong(absl::StrCat("record ", entry, " was known to all, is there, and was read as absent"));
    });
  }

  void PutAll() {
    for (size_t i = 0; i < story_.records; ++i) {
      PutOne();
      world().RunFor(absl::Milliseconds(5));
    }
    world().RunFor(absl::Seconds(45));
  }

  void ReadAll() {
    world().RunFor(kSettle);
    for (size_t i = 0; i < book_.entries().size(); ++i) {
      const AckBook::Entry& entry = book_.entries()[i];
      if (!entry.acknowledged) continue;
      if (!entry.lost) {
        figures_.copies += static_cast<size_t>(
            std::count_if(entry.copies.begin(), entry.copies.end(), [this](size_t node) { return ring_.IsMember(node); }));
      }
      ReadOne(i, [this, i, lost = entry.lost](Read read) {
        if (lost && read == Read::kAbsent) ++figures_.lost_as_absent, Wrong(absl::StrCat("lost record ", i, " read as absent"));
        if (!lost && read != Read::kFound) {
          ++figures_.missing;
          Wrong(absl::StrCat("record ", i, " is there on ", book_.entries()[i].copies.size(), " disks, and was not found"));
        }
      });
      world().RunFor(absl::Milliseconds(2));
    }
    world().RunFor(absl::Seconds(20));
  }

  // --- Faults ---

  void Bury(size_t node) {
    ring_.Crash(node);
    ring_.LoseDisk(node);
    book_.OnDiskLost(node, world().now());
    ++figures_.deaths;
  }

  void Join(size_t node) {
    std::vector<size_t> contacts;
    for (int i = 0; i < 3; ++i) {
      if (const std::optional<size_t> member = AnyMember()) contacts.push_back(*member);
    }
    ring_.StartJoin(node, contacts);
    book_.OnStarted(node);
    ++figures_.returns;
    LiveAWhile(node);
  }

  void LiveAWhile(size_t node) {
    const uint64_t life = world().nodes()[node].life;
    After(Exponential(story_.half_life / std::log(2.0)), [this, node, life] {
      if (!is_over_ && ring_.IsUp(node) && world().nodes()[node].life == life) EndSession(node);
    });
  }

  void EndSession(size_t node) {
    const uint64_t how = rng().Below(20);
    if (how < 3 && ring_.IsMember(node)) {
      ++figures_.leaves;
      ring_.Leave(node, absl::Seconds(20));
      return ComeBack(node, absl::Seconds(25));
    }
    if (how < 15) {
      ring_.Crash(node);
      ++figures_.deaths;
      return ComeBack(node, absl::Seconds(1));
    }
    Bury(node);
    // The same identity with an empty disk, or somebody new.
    if (how < 18) return ComeBack(node, absl::Seconds(1));
    const size_t other = ring_.Add();
    world().SetSide(other, world().nodes()[node].side);
    ComeBack(other, absl::Seconds(1));
  }

  void ComeBack(size_t node, absl::Duration least) {
    ++coming_;
    After(least + Exponential(kDownMean), [this, node] {
      --coming_;
      if (ring_.IsUp(node)) ring_.Crash(node);  // still leaving
      Join(node);
    });
  }

  void Partition(absl::Duration length) {
    ++figures_.partitions;
    calm_since_ = absl::InfiniteFuture();
    partition_since_ = world().now();
    const double share = 0.2 + 0.6 * rng().Unit();
    for (size_t node = 0; node < ring_.size(); ++node) world().SetSide(node, rng().Unit() < share ? 1 : 0);
    if (rng().Below(3) == 0) world().OpenWay(0, 1);
    After(length, [this] {
      world().Heal();
      calm_since_ = world().now() + kAfterPartition;
    });
  }

  void Churn() {
    const absl::Time end = world().now() + story_.length;
    for (const size_t node : ring_.Members()) LiveAWhile(node);
    absl::Time next = world().now() + absl::Seconds(30) * rng().Unit();
    for (int i = 0; i < story_.partitions; ++i) {
      const absl::Duration length = absl::Seconds(10) * std::pow(60.0, rng().Unit());
      if (next + length > end) break;
      world().At(next, [this, length] { Partition(length); });
      next += length + kAfterPartition * (1 + rng().Unit());
    }
    const absl::Duration pause = story_.length / static_cast<double>(story_.records);
    while (world().now() < end) {
      world().RunFor(pause * 2 * rng().Unit());
      PutOne();
      ReadSomething();
    }
    is_over_ = true;
    world().Heal();
    const bool is_back = world().RunUntil([this] { return coming_ == 0; }, absl::Minutes(30));
    if (!is_back || !world().RunUntilIdeal(absl::Minutes(10))) Wrong("the ring does not become ideal after the faults");
  }

  void KillSlowly() {
    for (size_t i = 0; i < story_.nodes / 2; ++i) {
      Bury(*AnyMember());
      world().RunFor(kRepairPause);
    }
    if (book_.lost() > 0) Wrong(absl::StrCat(book_.lost(), " lost though repair had its time: ", book_.first_broken()));
  }

  void KillAtOnce() {
    std::vector<size_t> members = ring_.Members();
    for (size_t i = 0; i < story_.nodes / 2; ++i) std::swap(members[i], members[i + rng().Below(members.size() - i)]);
    const auto is_killed = [&](size_t node) {
      return std::find(members.begin(), members.begin() + static_cast<ptrdiff_t>(story_.nodes / 2), node) !=
             members.begin() + static_cast<ptrdiff_t>(story_.nodes / 2);
    };
    for (const AckBook::Entry& entry : book_.entries()) {
      figures_.lost_expected += entry.acknowledged && std::all_of(entry.copies.begin(), entry.copies.end(), is_killed) ? 1 : 0;
    }
    for (size_t i = 0; i < story_.nodes / 2; ++i) Bury(members[i]);
    if (!world().RunUntilIdeal(absl::Minutes(10))) Wrong("the ring of survivors does not become ideal");
  }

  const StoreStory story_;
  StoreRing ring_;
  AckBook book_;
  StoreFigures figures_;
  bool is_over_ = false;
  int coming_ = 0;
  absl::Time partition_since_ = absl::InfinitePast(), calm_since_ = absl::InfinitePast();
};

}  // namespace

StoreFigures Tell(const StoreStory& story) { return Teller(story).Tell(); }

std::string ReplayCommand(const StoreStory& story) {
  const char* kind = story.kind == StoreStory::Kind::kChurn    ? "churn"
                     : story.kind == StoreStory::Kind::kSlowly ? "slowly"
                                                               : "at-once";
  return absl::StrCat("build/release/tests/sim/store_churn ", kind, " ", story.seed, " ", story.nodes, " ", story.records, " ",
                      absl::ToInt64Seconds(story.length));
}

}  // namespace sim
