// SPDX-License-Identifier: Apache-2.0
// tests/chat/book_world.h — people with contact books over a simulated store that loses things, under virtual time.
//
// The store keeps what a storing node would (the real kinds judge every record), R copies of a record on nodes of its place, with
// nodes that drop what they hold, nodes that are away, and whole operations that fail. A person is a contact book and an inbox on
// a store that can be cut off at any write, so that a restart sees exactly what was on disk.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "chat/contact_book.h"
#include "chat/conversation_kinds.h"
#include "chat/door_kinds.h"
#include "chat/inbox.h"
#include "chat/memory_inbox_store.h"
#include "chat/note.h"
#include "tests/chat/fake_places.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace support {

struct LossyOptions {
  int nodes = 20;
  int droppers = 0;                                     // nodes that forget at once what they acknowledged
  double failure = 0;                                   // of an operation, before it does anything
  double lost_answer = 0;                               // of an operation, after it was done
  absl::Duration half_life = absl::InfiniteDuration();  // of what a node holds: then it is replaced by an empty one
};

class LossyStore {
 public:
  LossyStore(LossyOptions options, uint64_t seed) : options_(options), rng_(seed), nodes_(static_cast<size_t>(options.nodes)) {
    chat::RegisterDoorKinds(kinds_, "local");
    chat::RegisterConversationKinds(kinds_, "local");
    for (int left = options.droppers; left > 0;) {  // anywhere: a node does not choose its place on the ring
      Node& node = nodes_[rng_.Below(nodes_.size())];
      left -= node.drops ? 0 : 1;
      node.drops = true;
    }
  }

  // Virtual time has passed: some nodes were replaced by empty ones.
  void Pass(absl::Duration time, absl::Time wall_now) {
    if (options_.half_life != absl::InfiniteDuration()) {
      const double chance = 1 - std::exp2(-absl::FDivDuration(time, options_.half_life));
      for (Node& node : nodes_) {
        if (rng_.Unit() < chance) node.replaced.push_back(wall_now);
      }
    }
    if (wall_now - last_sweep_ >= absl::Hours(24)) Sweep(wall_now);
  }

  // How many distinct nodes say that they hold it: what receipts would add up to.
  uint8_t Put(const dht::Record& record, absl::Time wall_now) {
    ++puts;
    if (rng_.Unit() < options_.failure) return 0;
    if (!kinds_.Check(record, dht::Source::kClient, wall_now).ok()) {
      ++refused;
      return 0;
    }
    Place& place = PlaceAt(record.name.point, wall_now);
    const auto admission = place.held.Merge(*kinds_.Find(record.name.kind), record, dht::Source::kClient);
    if (admission.verdict == dht::Admission::Verdict::kFull) return 0;
    const auto holders = Holders(record.name.point);
    for (size_t i = 0; i < holders.size(); ++i) place.has[i] = !nodes_[holders[i]].drops;
    return rng_.Unit() < options_.lost_answer ? 0 : static_cast<uint8_t>(holders.size());
  }
  // What two of the holders, at random, have between them; or an error.
  absl::StatusOr<std::optional<base::Bytes>> Read(dht::Kind kind, const overlay::NodeId& point, absl::Time wall_now) {
    ++reads;
    if (rng_.Unit() < options_.failure) return absl::UnavailableError("no replica");
    std::optional<base::Bytes> body;
    if (!places_.contains(point)) return body;
    const Place& place = PlaceAt(point, wall_now);
    const size_t left_out = rng_.Below(3);
    bool found = false;
    for (size_t i = 0; i < place.has.size(); ++i) found = found || (i != left_out && place.has[i]);
    if (!found) return body;
    place.held.ForEach(kind, [&](const dht::Record& record) {
      if (record.expiry > wall_now) body = record.body;
    });
    return body;
  }
  std::vector<dht::Record> List(const overlay::NodeId& point, absl::Time wall_now) {
    std::vector<dht::Record> found;
    if (!places_.contains(point)) return found;
    const Place& place = PlaceAt(point, wall_now);
    if (std::none_of(place.has.begin(), place.has.end(), [](bool has) { return has; })) return found;
    place.held.ForEach(dht::Kind::kEnvelope, [&](const dht::Record& record) {
      if (record.expiry > wall_now) found.push_back(record);
    });
    return found;
  }
  void ForgetEverything() { places_.clear(); }
  std::vector<dht::Record> All() const {
    std::vector<dht::Record> all;
    for (const auto& [point, place] : places_) {
      for (dht::Record& record : place.held.All()) all.push_back(std::move(record));
    }
    return all;
  }

  uint64_t puts = 0, reads = 0, refused = 0;

 private:
  static constexpr absl::Duration kRepairEvery = absl::Minutes(10);

  struct Node {
    std::vector<absl::Time> replaced;  // when
    bool drops = false;
  };
  struct Place {
    MemoryPlace held;
    std::array<bool, 3> has{};  // which of its holders have it
    absl::Time seen;
  };

  std::array<size_t, 3> Holders(const overlay::NodeId& point) const {
    const size_t first = static_cast<size_t>(point.bytes[0] << 8 | point.bytes[1]) % nodes_.size();
    return {first, (first + 1) % nodes_.size(), (first + 2) % nodes_.size()};
  }
  // The place as it is now: holders were replaced since it was last looked at, and repair copied from those that still had it.
  Place& PlaceAt(const overlay::NodeId& point, absl::Time wall_now) {
    const auto [it, made] = places_.try_emplace(point);
    Place& place = it->second;
    if (made) place.seen = wall_now;
    const auto holders = Holders(point);
    while (place.seen < wall_now) {
      const absl::Time until = std::min(wall_now, place.seen + kRepairEvery);
      for (size_t i = 0; i < holders.size(); ++i) {
        const std::vector<absl::Time>& replaced = nodes_[holders[i]].replaced;
        const auto next = std::upper_bound(replaced.begin(), replaced.end(), place.seen);
        if (next != replaced.end() && *next <= until) place.has[i] = false;
      }
      const bool left = place.has[0] || place.has[1] || place.has[2];
      if (!left) place.held = {};
      if (left && until - place.seen == kRepairEvery) {
        for (size_t i = 0; i < holders.size(); ++i) place.has[i] = !nodes_[holders[i]].drops;
      }
      place.seen = until;
    }
    return place;
  }
  void Sweep(absl::Time wall_now) {
    last_sweep_ = wall_now;
    std::erase_if(places_, [&](const auto& one) {
      const auto records = one.second.held.All();
      return std::all_of(records.begin(), records.end(), [&](const auto& record) { return record.expiry <= wall_now; });
    });
  }

  const LossyOptions options_;
  SeededRng rng_;
  dht::RecordKinds kinds_;
  std::vector<Node> nodes_;
  std::map<overlay::NodeId, Place> places_;
  absl::Time last_sweep_ = absl::InfinitePast();
};

// A disk that can be cut off: what is written afterwards is not there after the restart.
class CuttableStore : public chat::InboxStore {
 public:
  absl::Status Apply(const std::vector<chat::InboxWrite>& writes) override {
    if (writes_left == 0) return absl::UnavailableError("cut off");
    if (writes_left > 0) --writes_left;
    return inner_.Apply(writes);
  }
  absl::Status Scrub(uint8_t, uint8_t) override {
    if (writes_left == 0) return absl::UnavailableError("cut off");
    ++scrubs;
    return absl::OkStatus();
  }
  absl::Status ForEach(uint8_t first, const std::function<void(base::ByteView, base::ByteView)>& visit) const override {
    if (unreadable) return absl::InternalError("cannot be read");
    return inner_.ForEach(first, visit);
  }
  absl::StatusOr<base::Bytes> Get(base::ByteView name) const override { return inner_.Get(name); }
  void Clear() { inner_ = {}; }
  size_t Count(char first) const {
    size_t count = 0;
    EXPECT_OK(inner_.ForEach(static_cast<uint8_t>(first), [&](base::ByteView, base::ByteView) { ++count; }));
    return count;
  }

  int scrubs = 0;
  int64_t writes_left = -1;  // -1: no end
  bool unreadable = false;

 private:
  chat::MemoryInboxStore inner_;
};

class Person {
 public:
  struct Shown {
    keys::PublicKey from;
    std::string text;
    bool late = false;
    chat::NoteId id{};
    std::optional<chat::FileInfo> file;
    std::optional<chat::GroupId> group;
  };

  Person(LossyStore& store, uint64_t seed)
      : store_(store), rng_(seed), key(keys::SigningKey::Generate(rng_)), inbox_(disk, key, rng_) {
    Restart(absl::UnixEpoch());
  }

  // A new process: only what is on disk is known.
  void Restart(absl::Time wall_now) {
    disk.writes_left = -1;
    book_ = std::make_unique<chat::ContactBook>(chat::ContactBook::Options{}, key, rng_);
    const auto entries = inbox_.LoadBook();
    EXPECT_OK(entries);
    EXPECT_OK(book_->Load(*entries, wall_now));
    const auto state = inbox_.Load(wall_now);
    EXPECT_OK(state);
    Show(state->unshown);
  }
  // The machine is lost: a new one has the identity and the contacts of a backup.
  void RestoreOnNewMachine(absl::Time wall_now, const std::map<std::string, keys::PublicKey>& backup,
                           const std::vector<chat::Group>& groups = {}) {
    disk.Clear();
    opened_.clear();
    Restart(wall_now);
    for (const auto& [name, contact] : backup) EXPECT_OK(book_->Add(name, contact));
    for (const chat::Group& group : groups) EXPECT_OK(book_->RestoreGroup(group, wall_now));
    book_->RebuildSessions();
    EXPECT_OK(Save(wall_now));
  }

  chat::ContactBook& book() { return *book_; }
  chat::Inbox& inbox() { return inbox_; }
  const keys::PublicKey& address() const { return key.public_key(); }

  absl::StatusOr<chat::MessageId> Send(const keys::PublicKey& to, const std::string& text, absl::Time wall_now) {
    auto id = book_->Send(to, base::ToBytes(base::AsBytes(text)), wall_now);
    if (!id.ok()) return id;
    const absl::Status saved = Save(wall_now);
    return saved.ok() ? id : absl::StatusOr<chat::MessageId>(saved);
  }

  absl::StatusOr<chat::MessageId> SendToGroup(const chat::GroupId& to, const std::string& text, absl::Time wall_now) {
    auto id = book_->SendToGroup(to, base::ToBytes(base::AsBytes(text)), wall_now);
    if (!id.ok()) return id;
    const absl::Status saved = Save(wall_now);
    return saved.ok() ? id : absl::StatusOr<chat::MessageId>(saved);
  }

  absl::StatusOr<chat::MessageId> SendFile(const keys::PublicKey& to, const std::string& name, const base::Bytes& bytes,
                                           absl::Time wall_now) {
    auto id = book_->SendFile(to, name, bytes, wall_now);
    if (!id.ok()) return id;
    const absl::Status saved = Save(wall_now);
    return saved.ok() ? id : absl::StatusOr<chat::MessageId>(saved);
  }
  absl::StatusOr<base::Bytes> ReadFile(const Shown& one) { return inbox_.ReadFile(one.from, one.id, *one.file); }

  // Lists the door, then one round of reading and everything that is due. Not OK if the disk was cut off: dead until Restart.
  absl::Status Run(absl::Time wall_now, bool with_door = true) {
    if (with_door) RETURN_IF_ERROR(PollDoor(wall_now));
    book_->BeginRound(wall_now);
    for (int step = 0; step < 100000; ++step) {
      RETURN_IF_ERROR(Save(wall_now));
      const auto tasks = book_->Tasks(wall_now, 8);
      if (tasks.empty()) {
        book_->Advance(wall_now);
        RETURN_IF_ERROR(Save(wall_now));
        if (!Idle(wall_now)) continue;
        return absl::OkStatus();
      }
      for (const chat::BookTask& task : tasks) Carry(task, wall_now);
    }
    return absl::InternalError("never at rest");
  }

  CuttableStore disk;
  std::vector<Shown> shown;
  std::vector<chat::BookNotice> notices;
  std::map<chat::MessageId, chat::StateChange> states;
  std::vector<chat::ContactBook::Change::State> state_log;
  std::function<void(const chat::StateChange&)> on_state;
  std::vector<chat::BookTask> carried;  // kept if `log_tasks`
  bool log_tasks = false;

 private:
  bool Idle(absl::Time wall_now) {
    auto more = book_->Tasks(wall_now, 8);
    for (const chat::BookTask& task : more) Carry(task, wall_now);
    return more.empty();
  }
  absl::Status Save(absl::Time wall_now) {
    book_->Advance(wall_now);
    chat::ContactBook::Change change = book_->TakeChange(wall_now);
    if (change.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(inbox_.Apply(change.inbox));
    for (const auto& state : change.states) {
      states[state.change.id] = state.change;
      if (on_state) on_state(state.change);
    }
    notices.insert(notices.end(), change.notices.begin(), change.notices.end());
    Show(change.inbox.messages);
    return absl::OkStatus();
  }
  void Show(const std::vector<chat::Message>& messages) {
    chat::InboxChange done;
    for (const chat::Message& message : messages) done.shown.push_back(message.id);
    // Between printing and noting that it was printed a crash shows it again (inbox.h); here that instant does not exist.
    if (messages.empty() || !inbox_.Apply(done).ok()) return;
    for (const chat::Message& message : messages) {
      shown.push_back({message.from.value_or(keys::PublicKey{}), base::ToString(message.text), message.late, message.id,
                       message.file, message.group});
    }
  }
  void Carry(const chat::BookTask& task, absl::Time wall_now) {
    if (log_tasks) carried.push_back(task);
    if (!task.put) {
      const auto* read = std::get_if<chat::ReadRequest>(&task.request);
      return book_->OnReadDone(task.id, store_.Read(read->kind, read->point, wall_now), wall_now);
    }
    dht::Record record;
    if (const auto* box = std::get_if<chat::PutBoxRequest>(&task.request)) record = chat::MakeBoxRecord(box->box);
    if (const auto* bundle = std::get_if<chat::PutBundleRequest>(&task.request)) record = chat::MakeBundleRecord(bundle->bundle);
    if (const auto* put = std::get_if<chat::PutRequest>(&task.request)) {
      chat::Envelope envelope = put->envelope;
      Stamp(envelope);
      record = chat::MakeEnvelopeRecord(envelope);
    } else {
      EXPECT_EQ(record.name, *task.put);
    }
    book_->OnPutDone(task.id, store_.Put(record, wall_now), wall_now);
  }
  void Stamp(chat::Envelope& envelope) {
    if (envelope.effort == 0) return;
    keys::WorkSearch search(chat::StampChallenge("local", envelope), envelope.effort, rng_);
    std::optional<keys::WorkProof> proof;
    while (!proof) proof = search.Advance();
    envelope.stamp = *proof;
  }
  // What the poller does with handshakes, and nothing else of it.
  absl::Status PollDoor(absl::Time wall_now) {
    chat::InboxChange change;
    std::set<chat::NoteId> fresh;
    const chat::Day today = chat::DayOf(wall_now);
    for (chat::Day day = today - std::min<chat::Day>(today, 15); day <= today + 1; ++day) {
      const auto door = chat::DoorOf(address(), "local", day);
      for (uint8_t place = 0; place < chat::kPlaceCount; ++place) {
        for (const dht::Record& record : store_.List(door->Point(place), wall_now)) {
          const auto plain = chat::OpenEnvelope(key, "local", door->blinded, chat::DecodeEnvelope(record.body)->sealed);
          const auto fragment = plain.ok() ? chat::DecodeFragment(*plain) : plain.status();
          if (!fragment.ok() || !fresh.insert(fragment->note_id).second || opened_.contains(fragment->note_id)) continue;
          base::Bytes value = base::ByteWriter().Append(fragment->text).U32(chat::EffortOf(record)).Take();
          change.book.push_back({'q', base::ToBytes(fragment->note_id), std::move(value)});
        }
      }
    }
    if (change.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(inbox_.Apply(change));
    opened_.insert(fresh.begin(), fresh.end());
    for (const chat::BookEntry& entry : change.book) book_->OnHandshake(entry.name, *entry.value, wall_now);
    return absl::OkStatus();
  }

  LossyStore& store_;
  SeededRng rng_;

 public:
  const keys::SigningKey key;

 private:
  chat::Inbox inbox_;
  std::unique_ptr<chat::ContactBook> book_;
  std::set<chat::NoteId> opened_;
};

}  // namespace support
