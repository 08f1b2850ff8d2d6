// SPDX-License-Identifier: Apache-2.0
// What a contact book asks of the network, round by round, and what it makes of the answers.
#include <algorithm>

#include "chat/contact_book.h"
#include "chat/contact_entries.h"

namespace chat {

bool ContactBook::Disappear(absl::Time wall_now) {
  bool any = groups_.Disappear(wall_now);
  for (auto& [key, conversation] : conversations_) {
    any = any || conversation.outbox().HasDisappearing(wall_now);
    conversation.Disappear(wall_now);
  }
  return any;
}

void ContactBook::Advance(absl::Time wall_now) {
  for (auto& [key, conversation] : conversations_) conversation.Advance(wall_now, rng_);
  groups_.Advance(wall_now);
  std::erase_if(invites_, [&](const auto& one) {
    const bool old = one.second.code.expiry() + absl::Hours(1) <= wall_now;
    if (old) changed_invites_.insert(one.first);
    return old;
  });
}

void ContactBook::BeginRound(absl::Time wall_now) {
  ++round_;
  for (auto& [key, conversation] : conversations_) AddRead(key, conversation.BeginRound());
  AddGroupReads(groups_.BeginRound({}, wall_now), /*brief=*/false);
  BeginUpkeep(wall_now, invites_.size());
}

void ContactBook::BeginUpkeep(absl::Time wall_now, size_t invites_at_most) {
  // Behind the one that was read last; at first anywhere, since a book is loaded anew every so often.
  if (!invites_.empty() && !last_invite_) last_invite_ = rng_.Array<16>();
  for (size_t left = std::min(invites_at_most, invites_.size()); left > 0; --left) {
    const auto after = invites_.upper_bound(*last_invite_);
    const auto& [secret, invite] = after == invites_.end() ? *invites_.begin() : *after;
    last_invite_ = secret;
    const keys::PublicKey key = BoxKeyOf(invite.code.BoxSeed(options_.network));
    for (uint8_t place = 0; place < kPlaceCount; ++place) {
      const overlay::NodeId point = BoxPoint(key, place);
      AddTask({0, point, ReadRequest{dht::Kind::kBox, point}, {}, {}}, InviteRead{secret});
    }
  }
  if (prekeys_.Renew(wall_now, rng_, AskedEffort())) prekeys_changed_ = true;
  Publish(wall_now);
}

void ContactBook::BeginReading(const keys::PublicKey& peer, bool brief, absl::Time wall_now) {
  const auto it = conversations_.find(peer);
  if (it != conversations_.end()) return AddRead(peer, it->second.BeginRound(), brief);
  AddGroupReads(groups_.BeginRound(peer, wall_now), brief);
}

void ContactBook::Publish(absl::Time wall_now) {
  const Day today = DayOf(wall_now);
  std::erase_if(published_, [&](const auto& one) { return one.first.first + 1 < today; });
  size_t left = kPublishPerRound;
  for (Day day = today; day <= today + kBundleDaysAhead && left > 0; ++day) {
    for (uint8_t place = 0; place < kPlaceCount && left > 0; ++place) {
      const auto done = published_.find({day, place});
      const bool fresh = done != published_.end() && done->second.version == prekeys_.version() &&
                         (day > today + 1 || done->second.when + kPublishAgain > wall_now);
      if (fresh || publishing_.contains({day, place})) continue;
      const uint64_t version = VersionAt(self_, day, place, prekeys_.version());
      const auto bundle = SealBundle(self_, options_.network, day, place, version, prekeys_.Contents(), rng_);
      if (!bundle.ok()) return;
      const dht::Record record = MakeBundleRecord(*bundle);
      publishing_.insert({day, place});
      AddTask({0, record.name.point, PutBundleRequest{*bundle}, record.name, record.expiry},
              Publication{day, place, prekeys_.version()});
      --left;
    }
  }
}

void ContactBook::FetchBundles(absl::Time wall_now) {
  for (auto& [key, conversation] : conversations_) {
    if (!conversation.NeedsBundle(wall_now) || fetching_.contains(key)) continue;
    const auto door = DoorOf(conversation.peer(), options_.network, DayOf(wall_now));
    if (!door.ok()) {
      conversation.OnNoBundle(wall_now);
      continue;
    }
    fetching_.insert(key);
    const auto place = static_cast<uint8_t>(rng_.Below(kPlaceCount));
    const overlay::NodeId point = BundlePoint(*door, place);
    AddTask({0, point, ReadRequest{dht::Kind::kBundle, point}, {}, {}}, BundleFetch{key, place, 1});
  }
}

void ContactBook::AddTask(BookTask task, Job job) {
  task.id = ++last_task_;
  jobs_.emplace(task.id, std::move(job));
  waiting_.push_back(std::move(task));
}

void ContactBook::AddRead(const keys::PublicKey& peer, std::vector<Conversation::Read> reads, bool brief) {
  for (Conversation::Read& read : reads) {
    const overlay::NodeId point = read.probe.point;
    AddTask({0, point, ReadRequest{dht::Kind::kBox, point}, {}, {}, focus_ == peer}, ChainRead{peer, std::move(read), brief});
  }
}

std::vector<BookTask> ContactBook::Tasks(absl::Time wall_now, size_t at_most) {
  FetchBundles(wall_now);
  std::vector<BookTask> tasks;
  // Half for each, or each second one: neither does a file stop all reading, nor a backlog all writing.
  reads_lead_ = !reads_lead_;
  const size_t puts_max = at_most - std::min(waiting_.size(), (at_most + (reads_lead_ ? 1 : 0)) / 2);
  if (reads_lead_) AddGroupPuts(wall_now, puts_max, tasks);
  for (auto& [key, conversation] : conversations_) {
    for (const Conversation::Put& put : conversation.Puts(wall_now, puts_max - tasks.size())) {
      tasks.push_back(PutTask(put.record, ChainPut{key, put.generation, put.seq}));
    }
  }
  if (!reads_lead_) AddGroupPuts(wall_now, puts_max, tasks);
  while (!waiting_.empty() && tasks.size() < at_most) {
    tasks.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return tasks;
}

BookTask ContactBook::PutTask(const dht::Record& record, Job job) {
  BookTask task;
  task.id = ++last_task_;
  task.point = record.name.point;
  task.put = record.name;
  task.expiry = record.expiry;
  if (record.name.kind == dht::Kind::kEnvelope) {
    task.request = PutRequest{*DecodeEnvelope(record.body)};
  } else {
    task.request = PutBoxRequest{*DecodeBox(record.body)};
  }
  jobs_.emplace(task.id, std::move(job));
  return task;
}

void ContactBook::OnPutDone(uint64_t id, uint8_t copies, absl::Time wall_now) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return;
  const Job job = std::move(it->second);
  jobs_.erase(it);
  if (const auto* put = std::get_if<ChainPut>(&job)) {
    const auto conversation = conversations_.find(put->peer);
    if (conversation != conversations_.end()) conversation->second.OnPut(put->generation, put->seq, copies, wall_now);
  }
  if (const auto* put = std::get_if<GroupPut>(&job)) groups_.OnPut(put->group, put->seq, copies, wall_now);
  if (const auto* publication = std::get_if<Publication>(&job)) {
    publishing_.erase({publication->day, publication->place});
    if (copies < options_.write_quorum) return;
    published_[{publication->day, publication->place}] = {publication->version, wall_now};
    published_changed_ = true;
  }
}

void ContactBook::OnReadDone(uint64_t id, const absl::StatusOr<std::optional<base::Bytes>>& body, absl::Time wall_now) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return;
  const Job job = std::move(it->second);
  jobs_.erase(it);
  if (const auto* read = std::get_if<ChainRead>(&job)) {
    const auto conversation = conversations_.find(read->peer);
    if (conversation == conversations_.end() || !body.ok()) return;
    if (read->brief && !body->has_value()) return;
    conversation->second.SetFileRoom(FileRoomLeft());
    AddRead(read->peer, conversation->second.OnRead(read->read, *body, wall_now, rng_), read->brief);
  }
  if (const auto* read = std::get_if<GroupRead>(&job)) {
    if (!body.ok() || (read->brief && !body->has_value())) return;
    AddGroupReads(groups_.OnRead(read->read, *body, wall_now), read->brief);
  }
  if (const auto* fetch = std::get_if<BundleFetch>(&job)) OnBundle(*fetch, body, wall_now);
  if (const auto* invite = std::get_if<InviteRead>(&job)) OnInviteBox(*invite, body, wall_now);
}

void ContactBook::OnBundle(BundleFetch fetch, const absl::StatusOr<std::optional<base::Bytes>>& body, absl::Time wall_now) {
  fetching_.erase(fetch.peer);
  const auto it = conversations_.find(fetch.peer);
  if (it == conversations_.end() || !it->second.NeedsBundle(wall_now)) return;
  if (body.ok() && body->has_value()) {
    const auto bundle = DecodeBundle(**body);
    const auto contents = bundle.ok() ? OpenBundle(it->second.peer(), options_.network, *bundle) : bundle.status();
    if (contents.ok() && it->second.Initiate(*contents, wall_now, rng_).ok()) return;
  }
  const auto door = DoorOf(it->second.peer(), options_.network, DayOf(wall_now));
  if (fetch.tries == kPlaceCount || !door.ok()) return it->second.OnNoBundle(wall_now);
  fetch.place = NextPlace(fetch.place);
  ++fetch.tries;
  fetching_.insert(fetch.peer);
  const overlay::NodeId point = BundlePoint(*door, fetch.place);
  AddTask({0, point, ReadRequest{dht::Kind::kBundle, point}, {}, {}}, fetch);
}

absl::Time ContactBook::NextDue() const {
  absl::Time next = groups_.NextDue();
  for (const auto& [key, conversation] : conversations_) next = std::min(next, conversation.outbox().NextDue());
  return next;
}

}  // namespace chat
