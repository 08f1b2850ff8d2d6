// SPDX-License-Identifier: Apache-2.0
#include "chat/conversation.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "chat/group_controls.h"

namespace chat {

namespace {

constexpr uint8_t kFormatWithoutFiles = 1, kFormat = 2;

uint64_t Seconds(absl::Time time) {
  if (time == absl::InfiniteFuture()) return UINT64_MAX;
  return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixSeconds(time)));
}
absl::Time FromSeconds(uint64_t seconds) {
  return seconds == UINT64_MAX ? absl::InfiniteFuture() : absl::FromUnixSeconds(static_cast<int64_t>(seconds & INT64_MAX));
}

}  // namespace

Conversation::Conversation(const Options& options, const keys::SigningKey& self, const keys::PublicKey& peer, Standing standing)
    : options_(options), self_(self), peer_(peer), standing_(standing), outbox_(options.write_quorum) {
  changes_.head = true;
}

bool Conversation::Changes::empty() const {
  return !head && outbox.messages.empty() && outbox.files.empty() && outbox.parcels.empty() && seen.empty() &&
         forgotten.empty() && arrived.empty() && pieces.empty() && files.empty() && file_erased.empty() && notices.empty() &&
         states.empty();
}

absl::StatusOr<MessageId> Conversation::Send(base::Bytes text, absl::Time wall_now, base::Rng& rng) {
  if (text.size() > kTextMax) return absl::OutOfRangeError("the text is too long");
  return outbox_.Enqueue(std::move(text), options_.life, wall_now, rng);
}

absl::Status Conversation::SendControl(base::Bytes control, absl::Time wall_now, base::Rng& rng) {
  return outbox_.Enqueue(std::move(control), 0, wall_now, rng, /*is_control=*/true).status();
}

void Conversation::WithdrawControls(const keys::PublicKey& group) {
  outbox_.BlankControls([&](base::ByteView control) { return TellsOf(control, group); });
}

absl::StatusOr<MessageId> Conversation::SendFile(std::string name, base::Bytes bytes, absl::Time wall_now, base::Rng& rng) {
  if (bytes.size() > kFileBytesMax) return absl::OutOfRangeError("the file is larger than 8 MiB");
  if (name.empty() || name.size() > kFileNameMax) return absl::InvalidArgumentError("a file's name has 1 to 255 bytes");
  return outbox_.EnqueueFile(std::move(name), std::move(bytes), options_.life, wall_now, rng);
}

void Conversation::SetStanding(Standing standing) {
  const bool is_let_in = standing_ == Standing::kAsked && (standing == Standing::kContact || standing == Standing::kMember);
  if (is_let_in) owes_answer_ = true;
  standing_ = standing;
  changes_.head = true;
}

void Conversation::Rebuild() {
  if (session_) StartOver();
  wants_session_ = replaces_lost_ = true;
  changes_.head = true;
}

bool Conversation::NeedsBundle(absl::Time wall_now) const {
  const bool something = wants_session_ || outbox_.HasUnsealed();
  const bool is_time = wall_now >= next_bundle_try_ || next_bundle_try_ > wall_now + kBundleRetry;  // or the clock was wrong then
  return !options_.doorless && talks() && !session_ && something && is_time;
}

// ---- sealing

Content Conversation::PartOf(const Outgoing& message, uint16_t index, uint16_t count, size_t from, size_t size) const {
  Content content;
  content.kind = message.is_control ? ContentKind::kGroup : ContentKind::kText;
  content.life = message.life;
  content.message_id = message.id;
  content.index = index;
  content.count = count;
  content.sent_hour = HourOf(message.queued_at);
  const size_t end = std::min(message.text.size(), from + size);
  if (from < end)
    content.text.assign(message.text.begin() + static_cast<ptrdiff_t>(from), message.text.begin() + static_cast<ptrdiff_t>(end));
  return content;
}

void Conversation::AddBox(Content content, absl::Time expiry, absl::Time wall_now, base::Rng& rng, const Outgoing* file) {
  Parcel parcel;
  if (file != nullptr) parcel.file = file->number, parcel.piece = file->sealed;
  parcel.seq = session_->next_seq();
  parcel.twice = session_->NextSwitches();
  const Box box = session_->SealNext(std::move(content), options_.network, expiry, rng);
  parcel.body = EncodeBox(box);
  parcel.expiry = expiry;
  parcel.first_place = FirstBoxPlace(box.key);
  parcel.due = wall_now;
  outbox_.AddParcel(std::move(parcel));
  owes_answer_ = owes_acknowledgement_ = false;
  changes_.head = true;
}

void Conversation::SealMessage(const Outgoing& message, absl::Time wall_now, base::Rng& rng) {
  const absl::Time expiry = BoxExpiry(wall_now);
  const auto count = static_cast<uint16_t>(std::max<size_t>(1, (message.text.size() + kBoxTextMax - 1) / kBoxTextMax));
  const uint32_t first_seq = session_->next_seq();
  const uint64_t number = message.number;
  for (uint16_t i = 0; i < count; ++i) AddBox(PartOf(message, i, count, i * kBoxTextMax, kBoxTextMax), expiry, wall_now, rng);
  outbox_.MarkSealed(number, first_seq, count, expiry);
}

void Conversation::SealPiece(const Outgoing& file, absl::Time wall_now, base::Rng& rng) {
  Content content;
  content.kind = ContentKind::kPiece;
  content.life = file.life;
  content.message_id = file.id;
  content.index = file.sealed;
  content.count = file.pieces;
  content.sent_hour = HourOf(file.queued_at);
  content.text = PieceOf(file.file_name, file.text, file.sealed);
  const absl::Time expiry = BoxExpiry(wall_now);
  const uint64_t number = file.number;
  AddBox(std::move(content), expiry, wall_now, rng, &file);
  outbox_.MarkPieceSealed(number, expiry);
}

// As files do, it leaves room to texts: the other side decides how often it makes us answer. What is owed stays owed.
void Conversation::SealRefusals(absl::Time wall_now, base::Rng& rng) {
  if (!RoomForControl()) return;
  for (auto& [id, is_owed] : refusals_) {
    if (!std::exchange(is_owed, false)) continue;
    Content content;
    content.kind = ContentKind::kRefusal;
    content.message_id = id;
    content.sent_hour = HourOf(wall_now);
    AddBox(std::move(content), BoxExpiry(wall_now), wall_now, rng);
  }
}

void Conversation::SealControl(absl::Time wall_now, base::Rng& rng) {
  if (!RoomForControl()) return;
  Content content;
  content.sent_hour = HourOf(wall_now);
  AddBox(std::move(content), BoxExpiry(wall_now), wall_now, rng);
}

// Refused files and lost messages are counted: a contact can send any number of them.
void Conversation::Note(ConversationNotice::Kind kind, uint32_t count) {
  for (ConversationNotice& notice : changes_.notices) {
    const bool is_counted = kind == ConversationNotice::Kind::kNoRoom || kind == ConversationNotice::Kind::kLost;
    if (!is_counted || notice.kind != kind) continue;
    notice.count += count;
    return;
  }
  changes_.notices.push_back({kind, count});
}

void Conversation::ChangeStates(const std::vector<StateChange>& states) {
  for (const StateChange& state : states) {
    if (!state.is_control) changes_.states.push_back(state);
    if (state.is_control && state.state == DeliveryState::kExpired) control_expired_ = true;
  }
}

// What is not acknowledged goes through the next session, ours and theirs alike: so what waits here behind a gap, and parts of
// texts, come again, cut anew.
void Conversation::StartOver() {
  held_since_ = absl::InfiniteFuture();
  session_.reset();
  ChangeStates(outbox_.StartOver());
  // Texts of a member that wait for a person were acknowledged, and do not.
  if (standing_ == Standing::kMember && !arrived_.empty())
    Note(ConversationNotice::Kind::kLost, static_cast<uint32_t>(arrived_.size()));
  arrived_.clear();
  partial_.clear();
  partial_late_.clear();
  for (auto& [id, file] : files_) {  // what is held of it stays
    file.OnNewSession();
    changes_.files.insert(id);
  }
  changes_.head = true;
}

void Conversation::Advance(absl::Time wall_now, base::Rng& rng) {
  bool broken = false;
  if (session_ && !options_.doorless && outbox_.HasImpossible(wall_now)) {
    StartOver();
    wants_session_ = true;
  }
  ChangeStates(outbox_.Expire(wall_now, broken));
  Disappear(wall_now);
  const bool is_old =
      started_ + kHandshakeRetry <= wall_now || started_ > wall_now + absl::Hours(1);  // or the clock was wrong then
  const bool unanswered = session_ && session_->initiated() && !session_->confirmed() && is_old;
  // Without a door there is no other session to be had: what expired is lost, what comes behind it may still be read.
  if (session_ && !options_.doorless && (broken || unanswered)) {
    StartOver();
    wants_session_ = true;  // the other side may be waiting where we read no more
  }
  if (!session_ || !talks()) return;
  const auto lost = session_->reader().GiveUp(wall_now);
  if (!lost.empty()) {
    Note(ConversationNotice::Kind::kLost, static_cast<uint32_t>(lost.size()));
    changes_.head = true;
  }
  Deliver(wall_now);
  GiveUpFiles(wall_now, /*all=*/false);
  SealRefusals(wall_now, rng);
  while (const Outgoing* message = outbox_.NextUnsealed()) SealMessage(*message, wall_now, rng);
  while (const Outgoing* file = outbox_.NextFile()) SealPiece(*file, wall_now, rng);
  if (owes_answer_ || (owes_acknowledgement_ && options_.acknowledge)) SealControl(wall_now, rng);
}

// ---- sending

std::vector<Conversation::Put> Conversation::Puts(absl::Time wall_now, size_t at_most) {
  std::vector<Put> puts;
  if (standing_ == Standing::kBlocked) return puts;
  for (const Parcel* parcel : outbox_.Due(wall_now, at_most)) {
    puts.push_back({generation_, parcel->seq, ParcelRecord(*parcel, parcel->NextPlace()), parcel->kind});
  }
  return puts;
}

void Conversation::OnPut(uint64_t generation, uint32_t seq, uint8_t copies, absl::Time wall_now) {
  if (generation == generation_) ChangeStates(outbox_.OnPut(seq, copies, wall_now));
}

// ---- receiving

std::vector<Conversation::Read> Conversation::Reads(const std::vector<Probe>& probes) const {
  std::vector<Read> reads;
  for (const Probe& probe : probes) reads.push_back({generation_, probe});
  return reads;
}

std::vector<Conversation::Read> Conversation::BeginRound() {
  if (!session_ || !talks()) return {};
  reads_left_ = kReadsPerRound;
  changes_.head = true;
  return Reads(session_->reader().BeginRound());
}

std::vector<Conversation::Read> Conversation::OnRead(const Read& read, const std::optional<base::Bytes>& body,
                                                     absl::Time wall_now, base::Rng& rng) {
  if (!session_ || read.generation != generation_) return {};
  std::optional<Box> box;
  if (body) {
    auto decoded = DecodeBox(*body);
    if (decoded.ok() && decoded->key == read.probe.box_key && VerifyBox(*decoded, options_.network)) box = *std::move(decoded);
  }
  if (!box) return Reads(session_->reader().OnAbsent(read.probe));
  const uint32_t head = session_->reader().head();
  const bool was_confirmed = session_->confirmed();
  auto content = session_->Open(read.probe.seq, *box, rng);
  if (absl::IsNotFound(content.status())) return {};
  changes_.head = true;
  if (!was_confirmed && session_->confirmed()) {
    replaces_lost_ = false;  // they know
    Note(ConversationNotice::Kind::kAnswered);
  }
  if (content.ok()) {
    TakeContent(*std::move(content), wall_now);
  } else {
    Note(ConversationNotice::Kind::kLost);
  }
  if (session_->reader().head() == head || reads_left_ == 0 || --reads_left_ == 0) return {};
  return Reads(session_->reader().NextHead());
}

void Conversation::TakeContent(Content content, absl::Time wall_now) {
  // First what was refused: it counts as read, too.
  if (content.kind == ContentKind::kRefusal) ChangeStates(outbox_.Refuse(content.message_id));
  ChangeStates(outbox_.OnAcknowledged(content.ack));
  const uint32_t seq = content.seq;
  const bool closes_gap = seq + 1 < session_->reader().head();  // only now what was read behind it can be acknowledged
  if (standing_ == Standing::kMember && content.kind == ContentKind::kText && !asks()) Note(ConversationNotice::Kind::kAsks);
  const bool is_text = content.kind == ContentKind::kText || content.kind == ContentKind::kGroup;
  if (is_text || closes_gap) owes_acknowledgement_ = true;
  if (content.kind == ContentKind::kPiece && standing_ == Standing::kMember) {
    if (seen_.contains(content.message_id)) return;
    Remember(content.message_id);
    return Refuse(content.message_id);
  }
  if (content.kind == ContentKind::kPiece) {
    std::optional<Content> last = TakePiece(std::move(content), wall_now);
    if (!last) return Deliver(wall_now);
    content = *std::move(last);
  }
  if (content.seq < next_shown_) {
    DeliverOne(std::move(content), /*late=*/true);
  } else {
    const uint32_t at = content.seq;
    arrived_[at] = std::move(content);
  }
  Deliver(wall_now);
}

// Shows what is next in order; behind a gap only what has waited too long for it.
void Conversation::Deliver(absl::Time wall_now) {
  if (standing_ == Standing::kMember) return DeliverControls();
  if (standing_ != Standing::kContact || arrived_.empty()) return;
  const absl::Time held_before = held_since_;
  while (!arrived_.empty()) {
    const uint32_t seq = arrived_.begin()->first;
    const bool in_order = seq <= std::max(next_shown_, session_ ? session_->reader().contiguous() : 0);
    if (!in_order) {
      held_since_ = std::min(held_since_, wall_now);
      if (wall_now - held_since_ < kHoldBack && arrived_.size() <= kArrivedMax) break;
    }
    Content content = std::move(arrived_.begin()->second);
    arrived_.erase(arrived_.begin());
    next_shown_ = seq + 1;
    changes_.head = true;
    DeliverOne(std::move(content), /*late=*/false);
  }
  if (arrived_.empty()) held_since_ = absl::InfiniteFuture();
  changes_.head = changes_.head || held_since_ != held_before;
}

// Whatever its place in the order; texts stay where they are.
void Conversation::DeliverControls() {
  for (auto it = arrived_.begin(); it != arrived_.end();) {
    if (it->second.kind == ContentKind::kText) {
      ++it;
      continue;
    }
    Content content = std::move(it->second);
    it = arrived_.erase(it);
    changes_.head = true;
    DeliverOne(std::move(content), /*late=*/false);
  }
  for (; arrived_.size() > kHeldOfMemberMax; arrived_.erase(std::prev(arrived_.end()))) Note(ConversationNotice::Kind::kLost);
}

void Conversation::DeliverOne(Content content, bool late) {
  if (content.kind == ContentKind::kPiece) return DeliverFile(content, late);
  const bool is_control = content.kind == ContentKind::kGroup;
  if ((content.kind != ContentKind::kText && !is_control) || seen_.contains(content.message_id)) return;
  const MessageId id = content.message_id;
  const uint16_t count = content.count;
  const uint32_t sent_hour = content.sent_hour;
  const uint8_t life = content.life;
  if (late) partial_late_.insert(id);
  std::map<uint16_t, Content>& parts = partial_[id];
  parts[content.index] = std::move(content);
  if (parts.size() < count) {
    size_t held = 0;
    for (const auto& [other, of_message] : partial_) held += of_message.size();
    if (partial_.size() > kPartialMax || held > kPartialPartsMax)
      partial_.erase(partial_.begin()->first == id ? std::prev(partial_.end()) : partial_.begin());
    return;
  }
  Incoming message{id, {}, sent_hour, partial_late_.contains(id), {}, life};
  for (const auto& [index, part] : parts) message.text.insert(message.text.end(), part.text.begin(), part.text.end());
  partial_.erase(id);
  partial_late_.erase(id);
  Remember(id);
  if (is_control) {
    owes_answer_ = owes_answer_ || standing_ == Standing::kMember;  // nothing else may ever be said there, and carry it
    return controls_.push_back(std::move(message.text));
  }
  changes_.arrived.push_back(std::move(message));
}

void Conversation::Remember(const MessageId& id) {
  if (!seen_.insert(id).second) return;
  const uint64_t place = seen_order_.empty() ? 1 : seen_order_.rbegin()->first + 1;
  seen_order_.emplace(place, id);
  changes_.seen.emplace_back(id, place);
  for (; seen_order_.size() > kSeenIdsMax; seen_order_.erase(seen_order_.begin())) {
    const MessageId& first = seen_order_.begin()->second;
    changes_.forgotten.push_back(first);
    seen_.erase(first);
  }
}

void Conversation::RestoreSeen(const MessageId& id, uint64_t place) {
  if (seen_.insert(id).second) seen_order_.emplace(place, id);
}

// ---- on disk

Conversation::Changes Conversation::TakeChanges() {
  Changes changes = std::exchange(changes_, {});
  changes.outbox = outbox_.TakeChanges();
  return changes;
}

base::Bytes Conversation::SerializeHead() const {
  base::ByteWriter out;
  out.U8(kFormat)
      .U8(static_cast<uint8_t>(standing_))
      .U64(generation_)
      .U32(epoch_)
      .U64(Seconds(started_))
      .U8(wants_session_ ? 1 : 0);
  out.U8(epoch_is_ours_ ? 1 : 0).U8(replaces_lost_ ? 1 : 0).U8(owes_answer_ ? 1 : 0).U8(owes_acknowledgement_ ? 1 : 0);
  out.U64(Seconds(next_bundle_try_)).U32(next_shown_).U64(Seconds(held_since_));
  const auto content = [&](const Content& one) {
    out.U32(one.seq).Long(EncodeContent(one, kContentHeaderSize + one.text.size()));
  };
  out.U16(static_cast<uint16_t>(arrived_.size()));
  for (const auto& [seq, one] : arrived_) content(one);
  size_t parts = 0;
  for (const auto& [id, of_message] : partial_) parts += of_message.size();
  out.U16(static_cast<uint16_t>(parts));
  for (const auto& [id, of_message] : partial_) {
    for (const auto& [index, one] : of_message) content(one);
  }
  out.U8(session_ ? 1 : 0);
  out.U8(static_cast<uint8_t>(refusals_.size()));
  for (const auto& [id, is_owed] : refusals_) out.Append(id).U8(is_owed ? 1 : 0);
  if (session_) out.Append(session_->Serialize());
  return out.Take();
}

absl::Status Conversation::RestoreHead(base::ByteView bytes) {
  const absl::Status damaged = absl::DataLossError("damaged conversation");
  base::ByteReader in(bytes);
  const uint8_t format = in.U8();
  if (format != kFormat && format != kFormatWithoutFiles) return damaged;
  standing_ = static_cast<Standing>(in.U8());
  generation_ = in.U64();
  epoch_ = in.U32();
  started_ = FromSeconds(in.U64());
  wants_session_ = in.U8() == 1;
  epoch_is_ours_ = in.U8() == 1;
  replaces_lost_ = in.U8() == 1;
  owes_answer_ = in.U8() == 1;
  owes_acknowledgement_ = in.U8() == 1;
  next_bundle_try_ = FromSeconds(in.U64());
  next_shown_ = in.U32();
  held_since_ = FromSeconds(in.U64());
  const auto content = [&]() -> absl::StatusOr<Content> {
    in.U32();
    return DecodeContent(in.Long());
  };
  for (size_t left = in.U16(); left > 0 && in.ok(); --left) {
    ASSIGN_OR_RETURN(Content one, content());
    arrived_[one.seq] = std::move(one);
  }
  for (size_t left = in.U16(); left > 0 && in.ok(); --left) {
    ASSIGN_OR_RETURN(Content one, content());
    partial_[one.message_id][one.index] = std::move(one);
  }
  const bool has_session = in.U8() == 1;
  for (size_t left = format == kFormat ? in.U8() : 0; left > 0 && in.ok(); --left) {
    const MessageId id = in.Array<16>();
    refusals_[id] = in.U8() == 1;
  }
  const base::ByteView session = in.Rest();
  if (!in.ok()) return damaged;
  if (has_session) {
    ASSIGN_OR_RETURN(session_, Session::Parse(session));
  }
  changes_ = {};
  return absl::OkStatus();
}

}  // namespace chat
