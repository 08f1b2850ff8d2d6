// SPDX-License-Identifier: Apache-2.0
#include "chat/group_feed.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace chat {

namespace {

uint64_t Seconds(absl::Time time) {
  return time == absl::InfiniteFuture() ? UINT64_MAX : static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixSeconds(time)));
}
absl::Time FromSeconds(uint64_t seconds) {
  return seconds == UINT64_MAX ? absl::InfiniteFuture() : absl::FromUnixSeconds(static_cast<int64_t>(seconds & INT64_MAX));
}

}  // namespace

GroupFeed::Line* GroupFeed::Find(const keys::PublicKey& chain) {
  const auto it = std::find_if(lines_.begin(), lines_.end(), [&](const Line& one) { return one.writer == chain; });
  return it == lines_.end() ? nullptr : &*it;
}

void GroupFeed::TakeChain(const GroupChain& told, absl::Time wall_now) {
  changed_ = true;
  if (Line* known = Find(told.writer)) {
    // Told again: where nothing was found for long, what lies between has expired.
    const bool is_behind = known == &lines_.back() && told.next > known->reader.head() && heard_ + kGroupSilence <= wall_now;
    heard_ = wall_now;
    if (known == &lines_.front() && told.next < begun_) TakeEarlier(*known, told, wall_now);
    if (!is_behind) return;
    news_.lost += told.next - known->reader.contiguous();
    known->reader = BoxReader(PlaceChain(told.secret), told.next, told.writer);
    return;
  }
  Line line{.writer = told.writer,
            .reader = BoxReader(PlaceChain(told.secret), told.next, told.writer),
            .since = wall_now,
            .made = std::min(told.made, Seconds(wall_now)),
            .first = told.first};
  if (!lines_.empty() && line.made < lines_.back().made) {  // one of before, told late
    line.end = std::min(begun_, lines_.front().first);
    if (told.next >= line.end || line.made >= lines_.front().made) return;
    news_.lost += begun_ - line.end;
    begun_ = told.next;
    lines_.push_front(std::move(line));
    return DropDrained(wall_now);
  }
  heard_ = wall_now;
  if (!lines_.empty() && told.first < lines_.back().reader.contiguous()) {
    news_.restarted = true;
    for (auto& [seq, content] : waiting_) DeliverOne(std::move(content), /*late=*/false);
    waiting_.clear();
    partial_.clear();
    lines_.clear();
  }
  if (lines_.empty()) next_shown_ = begun_ = told.next;
  if (!lines_.empty()) {
    lines_.back().end = told.first;
    news_.lost += told.next - told.first;  // in between, and told to us in words that never came
  }
  lines_.push_back(std::move(line));
  DropDrained(wall_now);
}

// The first chain that is read was told before, where it began for us; that comes only now.
void GroupFeed::TakeEarlier(Line& line, const GroupChain& told, absl::Time wall_now) {
  if (next_shown_ == begun_) next_shown_ = told.next;
  if (!line.reader.Await(PlaceChain(told.secret), told.next, begun_, BoxExpiry(wall_now))) news_.lost += begun_ - told.next;
  begun_ = told.next;
}

// What was noted while our clock was ahead.
void GroupFeed::ForgetFuture(absl::Time wall_now) {
  heard_ = std::min(heard_, wall_now);
  if (held_since_ != absl::InfiniteFuture()) held_since_ = std::min(held_since_, wall_now);
  for (Line& line : lines_) {
    if (line.since <= wall_now) continue;
    line.since = wall_now;
    line.made = std::min(line.made, Seconds(wall_now));
    changed_ = true;
  }
}

// What is not found of it by now is lost.
void GroupFeed::DropFirst() {
  const Line& line = lines_.front();
  const uint32_t end = line.end == kGroupSeqMax ? line.reader.head() : line.end;
  news_.lost += end - std::min(end, line.reader.contiguous());
  lines_.pop_front();
  changed_ = true;
}

void GroupFeed::DropDrained(absl::Time wall_now) {
  while (lines_.size() > 1) {
    const bool is_old = lines_.size() > kGroupChainsMax || lines_[1].since + kOldChainLife <= wall_now;
    if (!is_old && lines_.front().reader.contiguous() < lines_.front().end) return;
    DropFirst();
  }
}

// A chain is read when the one before it is drained, or has had its time.
size_t GroupFeed::LinesRead(absl::Time wall_now) const {
  size_t count = std::min<size_t>(1, lines_.size());
  while (count < lines_.size() && lines_[count].since + kHoldBack <= wall_now) ++count;
  return count;
}

std::vector<keys::PublicKey> GroupFeed::Chains(absl::Time wall_now) const {
  std::vector<keys::PublicKey> chains;
  for (size_t i = 0; i < LinesRead(wall_now); ++i) chains.push_back(lines_[i].writer);
  return chains;
}

std::vector<Probe> GroupFeed::BeginRound(const keys::PublicKey& chain) {
  Line* line = Find(chain);
  if (line == nullptr) return {};
  reads_left_ = kGroupReadsPerRound;
  changed_ = true;  // places take turns from round to round, whatever process reads
  return line->reader.BeginRound();
}

std::vector<Probe> GroupFeed::OnAbsent(const keys::PublicKey& chain, const Probe& probe) {
  Line* line = Find(chain);
  return line == nullptr ? std::vector<Probe>() : line->reader.OnAbsent(probe);
}

std::vector<Probe> GroupFeed::OnFound(const GroupId& group, const keys::PublicKey& member, const keys::PublicKey& chain,
                                      const Probe& probe, const Box& box, absl::Time wall_now) {
  Line* line = Find(chain);
  const auto seed = line == nullptr ? std::nullopt : line->reader.SeedOf(probe.seq);
  if (!seed || probe.seq >= line->end) return {};
  const uint32_t head = line->reader.head();
  if (!line->reader.OnFound(probe.seq, box.expiry)) return {};
  changed_ = true;
  heard_ = wall_now;
  auto content = OpenGroupBox(group, member, chain, probe.seq, *seed, box.sealed);
  if (content.ok()) {
    waiting_[probe.seq] = *std::move(content);
  } else {
    ++news_.lost;
  }
  if (line->reader.head() == head || line->reader.head() >= line->end) return {};
  if (reads_left_ == 0 || --reads_left_ == 0) return {};
  return line->reader.NextHead();
}

GroupFeed::News GroupFeed::Advance(absl::Time wall_now) {
  ForgetFuture(wall_now);
  for (Line& line : lines_) {
    const auto lost = line.reader.GiveUp(wall_now);
    news_.lost += static_cast<uint32_t>(lost.size());
    changed_ = changed_ || !lost.empty();
  }
  DropDrained(wall_now);
  const size_t read = LinesRead(wall_now);
  const uint32_t contiguous = read == 0 ? kGroupSeqMax : lines_[read - 1].reader.contiguous();
  while (!waiting_.empty()) {
    const uint32_t seq = waiting_.begin()->first;
    const bool in_order = seq <= std::max(next_shown_, contiguous);
    if (!in_order) {
      held_since_ = std::min(held_since_, wall_now);
      if (wall_now - held_since_ < kHoldBack && waiting_.size() <= kGroupWaitingMax) break;
    }
    Content content = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    const bool late = seq < next_shown_;
    next_shown_ = std::max(next_shown_, seq + 1);
    changed_ = true;
    DeliverOne(std::move(content), late);
  }
  if (waiting_.empty()) held_since_ = absl::InfiniteFuture();
  return std::exchange(news_, {});
}

void GroupFeed::DeliverOne(Content content, bool late) {
  const MessageId id = content.message_id;
  Incoming message{id, {}, content.sent_hour, late, {}, content.life};
  const uint16_t count = content.count;
  std::map<uint16_t, Content>& parts = partial_[id];
  parts[content.index] = std::move(content);
  if (parts.size() < count) {
    if (partial_.size() > kGroupPartialMax) {
      const auto other = partial_.begin()->first == id ? std::prev(partial_.end()) : partial_.begin();
      partial_.erase(other);
      ++news_.lost;
    }
    return;
  }
  message.seq = parts.begin()->second.seq;
  for (const auto& [index, part] : parts) message.text.insert(message.text.end(), part.text.begin(), part.text.end());
  partial_.erase(id);
  news_.arrived.push_back(std::move(message));
}

base::Bytes GroupFeed::Serialize() const {
  CHECK(lines_.size() <= kGroupChainsMax);
  base::ByteWriter out;
  out.U64(Seconds(heard_)).U32(next_shown_).U64(Seconds(held_since_)).U8(static_cast<uint8_t>(lines_.size()));
  for (const Line& line : lines_) {
    out.Append(line.writer.view()).U64(Seconds(line.since)).U64(line.made).U32(line.first).U32(line.end);
    out.Long(line.reader.Serialize());
  }
  size_t parts = 0;
  for (const auto& [id, of_text] : partial_) parts += of_text.size();
  out.U16(static_cast<uint16_t>(waiting_.size())).U16(static_cast<uint16_t>(parts));
  const auto content = [&](const Content& one) { out.Long(EncodeContent(one, kContentHeaderSize + one.text.size())); };
  for (const auto& [seq, one] : waiting_) content(one);
  for (const auto& [id, of_text] : partial_) {
    for (const auto& [index, one] : of_text) content(one);
  }
  out.U32(begun_);
  return out.Take();
}

absl::StatusOr<GroupFeed> GroupFeed::Parse(base::ByteView bytes) {
  base::ByteReader in(bytes);
  GroupFeed feed;
  feed.changed_ = false;
  feed.heard_ = FromSeconds(in.U64());
  feed.next_shown_ = in.U32();
  feed.held_since_ = FromSeconds(in.U64());
  const size_t lines = in.U8();
  if (lines > kGroupChainsMax) return absl::DataLossError("damaged feed of a group");
  for (size_t left = lines; left > 0 && in.ok(); --left) {
    Line line;
    line.writer.bytes = in.Array<32>();
    line.since = FromSeconds(in.U64());
    line.made = in.U64();
    line.first = in.U32();
    line.end = in.U32();
    ASSIGN_OR_RETURN(line.reader, BoxReader::Parse(in.Long(), line.writer));
    feed.lines_.push_back(std::move(line));
  }
  const size_t waiting = in.U16(), parts = in.U16();
  for (size_t i = 0; i < waiting + parts && in.ok(); ++i) {
    ASSIGN_OR_RETURN(Content one, DecodeContent(in.Long()));
    if (i < waiting) {
      feed.waiting_[one.seq] = std::move(one);
    } else {
      feed.partial_[one.message_id][one.index] = std::move(one);
    }
  }
  feed.begun_ = in.left() > 0 || feed.lines_.empty() ? in.U32() : feed.lines_.front().first;  // earlier versions kept none
  if (!in.Done()) return absl::DataLossError("damaged feed of a group");
  return feed;
}

}  // namespace chat
