// SPDX-License-Identifier: Apache-2.0
#include "chat/inbox.h"

#include <algorithm>
#include <tuple>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "chat/saved_time.h"
#include "keys/aead.h"
#include "keys/hash.h"

namespace chat {

namespace {

constexpr uint8_t kPoll = 's', kFragment = 'f', kFinished = 'n', kUnshown = 'u', kMessage = 'm', kPiece = 'x', kTimer = 'w',
                  kFileEntry = 't';
constexpr uint8_t kSigned = 1, kConversation = 2, kLate = 4, kOrdered = 8, kOwn = 16, kDelivered = 32, kExpired = 64,
                  kMore = 128;  // origin of a message; kDelivered and kExpired: refused
constexpr uint8_t kHasFile = 1, kHasLife = 2, kHasReply = 4, kHasGroup = 8, kStored = 16;  // more of it

absl::Status Damaged() { return absl::DataLossError("an entry of the inbox does not open: damaged, or of another identity"); }

keys::Secret<32> Derive(const keys::SigningKey& identity, std::string_view label) {
  keys::Digest digest = keys::Hasher(label, identity.seed().view()).Finish();
  keys::Secret<32> secret{base::ByteView(digest)};
  keys::Wipe(digest);
  return secret;
}

base::Bytes FragmentName(const NoteId& id, uint8_t index) { return base::ByteWriter().Append(id).U8(index).Take(); }

base::Bytes PieceName(const keys::PublicKey& from, const NoteId& id, uint16_t index) {
  return base::ByteWriter().Append(from.view()).Append(id).U16(index).Take();
}

struct Kept {
  Message message;
  uint64_t order = 0;  // in which it arrived; 0: written before there was one
};

base::Bytes EncodeMessage(const Message& message, uint64_t order) {
  base::ByteWriter out;
  const int more = (message.file ? kHasFile : 0) | (message.life > 0 ? kHasLife : 0) | (message.reply ? kHasReply : 0) |
                   (message.group ? kHasGroup : 0) | (message.fate == Fate::kStored ? kStored : 0);
  const int origin = (message.from && !message.in_conversation ? kSigned : 0) | (message.in_conversation ? kConversation : 0) |
                     (message.late ? kLate : 0) | kOrdered | (message.own ? kOwn : 0) |
                     (message.fate == Fate::kDelivered || message.fate == Fate::kRefused ? kDelivered : 0) |
                     (message.fate == Fate::kExpired || message.fate == Fate::kRefused ? kExpired : 0) | (more != 0 ? kMore : 0);
  out.Append(message.id).U64(Seconds(message.received)).U32(message.sent_hour).U8(static_cast<uint8_t>(origin)).U64(order);
  if (more != 0) out.U8(static_cast<uint8_t>(more));
  if (message.file) out.Short(base::AsBytes(message.file->name)).U32(message.file->size).U16(message.file->pieces);
  if (message.life > 0) out.U8(message.life);
  if (message.reply) out.Append(*message.reply);
  if (message.group) out.Append(message.group->view());
  out.Append(message.from.value_or(keys::PublicKey{}).view()).Append(message.text);
  return out.Take();
}

absl::StatusOr<Kept> DecodeMessage(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Kept kept;
  Message& message = kept.message;
  message.id = in.Array<16>();
  message.received = FromSeconds(in.U64());
  message.sent_hour = in.U32();
  const uint8_t origin = in.U8();
  if ((origin & kOrdered) != 0) kept.order = in.U64();
  const uint8_t more = (origin & kMore) != 0 ? in.U8() : 0;
  if ((more & kHasFile) != 0) {
    FileInfo file{base::ToString(in.Short())};
    file.size = in.U32();
    file.pieces = in.U16();
    message.file = std::move(file);
  }
  if ((more & kHasLife) != 0) message.life = in.U8();
  if ((more & kHasReply) != 0) message.reply = in.Array<kReplySize>();
  if ((more & kHasGroup) != 0) message.group = keys::PublicKey{in.Array<32>()};
  const keys::PublicKey from{in.Array<32>()};
  message.in_conversation = (origin & kConversation) != 0;
  message.late = (origin & kLate) != 0;
  message.own = (origin & kOwn) != 0;
  if ((origin & kDelivered) != 0) message.fate = Fate::kDelivered;
  if ((origin & kExpired) != 0) message.fate = (origin & kDelivered) != 0 ? Fate::kRefused : Fate::kExpired;
  if ((more & kStored) != 0) message.fate = Fate::kStored;
  if ((origin & (kSigned | kConversation)) != 0) message.from = from;
  if (!in.ok() || message.life >= kMessageLifeCodes) return Damaged();
  message.text = base::ToBytes(in.Rest());
  return kept;
}

// When a message disappears; the epoch: its clock has not begun.
struct Timer {
  NoteId id{};
  absl::Time deletion;
  uint8_t life = 0;
};
constexpr NoteId kScrubId{};  // a message that never was: its timer is over, so the next sweep scrubs everything
constexpr uint8_t kShortestLife = 1;
constexpr uint8_t kLifeMask = 0x3f;  // earlier versions set the other bits, of messages that are gone
base::Bytes EncodeTimer(const Timer& timer) {
  return base::ByteWriter().Append(timer.id).U64(Seconds(timer.deletion)).U8(timer.life).Take();
}
absl::StatusOr<Timer> DecodeTimer(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Timer timer{in.Array<16>(), FromSeconds(in.U64())};
  timer.life = in.U8() & kLifeMask;
  if (!in.Done() || timer.life >= kMessageLifeCodes) return Damaged();
  return timer;
}

std::vector<Message> SortedByTime(std::vector<Kept> all) {
  std::sort(all.begin(), all.end(), [](const Kept& a, const Kept& b) {
    return std::tie(a.message.sent_hour, a.message.received, a.order, a.message.id) <
           std::tie(b.message.sent_hour, b.message.received, b.order, b.message.id);
  });
  std::vector<Message> messages;
  for (Kept& one : all) messages.push_back(std::move(one.message));
  return messages;
}

}  // namespace

bool InboxChange::empty() const {
  return messages.empty() && finished.empty() && fragments.empty() && forgotten.empty() && shown.empty() && history.empty() &&
         fates.empty() && erased.empty() && pieces.empty() && files_erased.empty() && book.empty() && !last_complete_poll &&
         !scrub;
}

Inbox::Inbox(InboxStore& store, const keys::SigningKey& identity, base::Rng& rng)
    : store_(store), rng_(rng), seal_key_(Derive(identity, "inbox")), index_key_(Derive(identity, "inbox-index")) {}

base::Bytes Inbox::KeyOf(uint8_t type, base::ByteView name) const {
  base::ByteWriter key;
  key.U8(type).Append(keys::KeyedHash(index_key_.view(), "inbox-name", {base::ByteView(&type, 1), name}));
  return key.Take();
}

InboxWrite Inbox::Put(uint8_t type, base::ByteView name, base::ByteView value) {
  const base::Bytes key = KeyOf(type, name);
  const keys::SealNonce nonce = rng_.Array<24>();
  base::ByteWriter sealed;
  sealed.Append(nonce).Append(keys::Seal(seal_key_.view(), nonce, key, value));
  return {key, sealed.Take()};
}

absl::StatusOr<base::Bytes> Inbox::OpenEntry(base::ByteView key, base::ByteView value) const {
  base::ByteReader in(value);
  const keys::SealNonce nonce = in.Array<24>();
  if (!in.ok()) return Damaged();
  auto plain = keys::Open(seal_key_.view(), nonce, key, in.Rest());
  if (!plain.ok()) return Damaged();
  return plain;
}

absl::Status Inbox::ForEach(uint8_t type, const std::function<absl::Status(base::ByteView)>& visit) const {
  absl::Status first_error;
  RETURN_IF_ERROR(store_.ForEach(type, [&](base::ByteView key, base::ByteView value) {
    const auto plain = OpenEntry(key, value);
    first_error.Update(plain.ok() ? visit(*plain) : plain.status());
  }));
  return first_error;
}

absl::Status Inbox::LoadFinished(absl::Time wall_now, InboxState& state) {
  std::vector<InboxWrite> outdated;
  RETURN_IF_ERROR(ForEach(kFinished, [&](base::ByteView value) {
    base::ByteReader in(value);
    FinishedNote note{in.Array<16>(), FromSeconds(in.U64())};
    if (!in.Done()) return Damaged();
    if (note.expiry > wall_now) {
      state.finished.push_back(note);
    } else {
      outdated.push_back(Erase(kFinished, note.id));
    }
    return absl::OkStatus();
  }));
  return outdated.empty() ? absl::OkStatus() : store_.Apply(outdated);
}

absl::StatusOr<InboxState> Inbox::Load(absl::Time wall_now) {
  InboxState state;
  RETURN_IF_ERROR(LoadFinished(wall_now, state));
  RETURN_IF_ERROR(ForEach(kPoll, [&](base::ByteView value) {
    base::ByteReader in(value);
    state.last_complete_poll = FromSeconds(in.U64());
    return in.Done() ? absl::OkStatus() : Damaged();
  }));
  RETURN_IF_ERROR(ForEach(kFragment, [&](base::ByteView value) {
    base::ByteReader in(value);
    const absl::Time expiry = FromSeconds(in.U64());
    auto fragment = DecodeFragment(in.Rest());
    if (!fragment.ok()) return Damaged();
    state.fragments.push_back({*std::move(fragment), expiry});
    return absl::OkStatus();
  }));
  std::vector<Kept> unshown;
  RETURN_IF_ERROR(ForEach(kUnshown, [&](base::ByteView id) {
    const base::Bytes key = KeyOf(kMessage, id);
    ASSIGN_OR_RETURN(const base::Bytes value, store_.Get(key));
    ASSIGN_OR_RETURN(const base::Bytes plain, OpenEntry(key, value));
    ASSIGN_OR_RETURN(unshown.emplace_back(), DecodeMessage(plain));
    return absl::OkStatus();
  }));
  state.unshown = SortedByTime(std::move(unshown));
  return state;
}

void Inbox::EraseFragments(const NoteId& id, std::vector<InboxWrite>& writes) const {
  for (uint8_t i = 0; i < kFragmentsMax; ++i) writes.push_back(Erase(kFragment, FragmentName(id, i)));
}

void Inbox::EraseMessage(const NoteId& id, std::vector<InboxWrite>& writes) const {
  for (const uint8_t type : {kMessage, kUnshown, kTimer}) writes.push_back(Erase(type, id));
}

void Inbox::EraseFile(const FileErased& file, std::vector<InboxWrite>& writes) const {
  for (uint16_t i = 0; i < file.pieces; ++i) writes.push_back(Erase(kPiece, PieceName(file.from, file.id, i)));
}

// A timer goes last: who dies before that sweeps, and scrubs, once more.
absl::StatusOr<std::vector<NoteId>> Inbox::Sweep(absl::Time wall_now) {
  Sweeping sweeping;
  RETURN_IF_ERROR(ForEach(kTimer, [&](base::ByteView value) { return SweepOne(value, wall_now, sweeping); }));
  if (!sweeping.writes.empty()) RETURN_IF_ERROR(store_.Apply(sweeping.writes));
  if (sweeping.timers.empty()) return sweeping.gone;
  RETURN_IF_ERROR(store_.Scrub('a', sweeping.files ? 'z' : kTimer));
  RETURN_IF_ERROR(store_.Apply(sweeping.timers));
  return sweeping.gone;
}

absl::Status Inbox::SweepOne(base::ByteView value, absl::Time wall_now, Sweeping& sweeping) {
  ASSIGN_OR_RETURN(Timer timer, DecodeTimer(value));
  if (timer.deletion == absl::UnixEpoch()) {
    if (store_.Get(KeyOf(kUnshown, timer.id)).ok()) return absl::OkStatus();
    timer.deletion = wall_now + LifeOf(timer.life);
    sweeping.writes.push_back(Put(kTimer, timer.id, EncodeTimer(timer)));
    return absl::OkStatus();
  }
  if (timer.deletion > wall_now + LifeOf(timer.life)) {  // set while the clock was ahead
    timer.deletion = wall_now + LifeOf(timer.life);
    sweeping.writes.push_back(Put(kTimer, timer.id, EncodeTimer(timer)));
  }
  if (timer.deletion > wall_now) return absl::OkStatus();
  sweeping.timers.push_back(Erase(kTimer, timer.id));
  if (timer.id != kScrubId) sweeping.gone.push_back(timer.id);
  sweeping.writes.push_back(Erase(kUnshown, timer.id));
  const base::Bytes key = KeyOf(kMessage, timer.id);
  const auto sealed = store_.Get(key);
  if (!sealed.ok()) {  // erased otherwise, or by a sweep that came no further
    sweeping.files = true;
    return absl::OkStatus();
  }
  sweeping.writes.push_back({key, std::nullopt});
  ASSIGN_OR_RETURN(const base::Bytes plain, OpenEntry(key, *sealed));
  ASSIGN_OR_RETURN(const Kept kept, DecodeMessage(plain));
  sweeping.files = sweeping.files || kept.message.file.has_value();
  if (!kept.message.file || kept.message.own || !kept.message.from) return absl::OkStatus();
  sweeping.writes.push_back(Erase(kFileEntry, base::ByteWriter().Append(kept.message.from->view()).Append(timer.id).bytes()));
  EraseFile({*kept.message.from, timer.id, kept.message.file->pieces}, sweeping.writes);
  return absl::OkStatus();
}

// Grows across restarts too.
uint64_t Inbox::NextOrder(absl::Time received) {
  const auto now = static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixMicros(received)));
  uint64_t last = last_order_.load();
  while (!last_order_.compare_exchange_weak(last, std::max(last + 1, now))) {
  }
  return std::max(last + 1, now);
}

void Inbox::AddHistory(const Message& message, absl::Time deletion, std::vector<InboxWrite>& writes) {
  writes.push_back(Put(kMessage, message.id, EncodeMessage(message, NextOrder(message.received))));
  if (message.life > 0) writes.push_back(Put(kTimer, message.id, EncodeTimer({message.id, deletion, message.life})));
}

// Its life begins when it has been shown.
absl::Status Inbox::AddReceived(const Message& message, std::vector<InboxWrite>& writes) {
  const auto kept = store_.Get(KeyOf(kMessage, message.id));
  if (kept.ok()) return absl::OkStatus();
  if (!absl::IsNotFound(kept.status())) return kept.status();
  AddHistory(message, absl::UnixEpoch(), writes);
  writes.push_back(Put(kUnshown, message.id, message.id));
  return absl::OkStatus();
}

absl::Status Inbox::ChangeFate(const NoteId& id, Fate fate, std::vector<InboxWrite>& writes) {
  const auto value = store_.Get(KeyOf(kMessage, id));
  if (absl::IsNotFound(value.status())) return absl::OkStatus();
  RETURN_IF_ERROR(value.status());
  ASSIGN_OR_RETURN(const base::Bytes plain, OpenEntry(KeyOf(kMessage, id), *value));
  ASSIGN_OR_RETURN(Kept kept, DecodeMessage(plain));
  kept.message.fate = fate;
  writes.push_back(Put(kMessage, id, EncodeMessage(kept.message, kept.order)));
  return absl::OkStatus();
}

void Inbox::AddBookEntry(const BookEntry& entry, std::vector<InboxWrite>& writes) {
  CHECK(kBookTypes.find(static_cast<char>(entry.type)) != kBookTypes.npos);  // else it would never be read again
  if (!entry.value) return writes.push_back(Erase(entry.type, entry.name));
  base::Bytes value = base::ByteWriter().Long(entry.name).Append(*entry.value).Take();
  writes.push_back(Put(entry.type, entry.name, value));
  keys::Wipe(value);
}

absl::Status Inbox::Apply(const InboxChange& change) {
  std::vector<InboxWrite> writes;
  for (const HeldFragment& held : change.fragments) {
    const base::Bytes name = FragmentName(held.fragment.note_id, held.fragment.index);
    writes.push_back(
        Put(kFragment, name, base::ByteWriter().U64(Seconds(held.expiry)).Append(EncodeFragment(held.fragment)).bytes()));
  }
  for (const FinishedNote& note : change.finished) {
    EraseFragments(note.id, writes);
    writes.push_back(Put(kFinished, note.id, base::ByteWriter().Append(note.id).U64(Seconds(note.expiry)).bytes()));
  }
  for (const Message& message : change.messages) RETURN_IF_ERROR(AddReceived(message, writes));
  for (const NoteId& id : change.forgotten) EraseFragments(id, writes);
  for (const NoteId& id : change.shown) writes.push_back(Erase(kUnshown, id));
  for (const Message& message : change.history) AddHistory(message, message.received + LifeOf(message.life), writes);
  for (const auto& [id, fate] : change.fates) RETURN_IF_ERROR(ChangeFate(id, fate, writes));
  for (const NoteId& id : change.erased) EraseMessage(id, writes);
  for (const FilePiece& piece : change.pieces) {
    writes.push_back(Put(kPiece, PieceName(piece.from, piece.id, piece.index), piece.bytes));
  }
  for (const FileErased& file : change.files_erased) EraseFile(file, writes);
  for (const BookEntry& entry : change.book) AddBookEntry(entry, writes);
  if (change.last_complete_poll) {
    writes.push_back(Put(kPoll, {}, base::ByteWriter().U64(Seconds(*change.last_complete_poll)).bytes()));
  }
  if (change.scrub) writes.push_back(Put(kTimer, kScrubId, EncodeTimer({kScrubId, FromSeconds(1), kShortestLife})));
  return writes.empty() ? absl::OkStatus() : store_.Apply(writes);
}

absl::StatusOr<base::Bytes> Inbox::ReadFile(const keys::PublicKey& from, const NoteId& id, const FileInfo& info) const {
  base::Bytes bytes;
  for (uint16_t i = 1; i < info.pieces; ++i) {
    const base::Bytes key = KeyOf(kPiece, PieceName(from, id, i));
    ASSIGN_OR_RETURN(const base::Bytes value, store_.Get(key));
    ASSIGN_OR_RETURN(const base::Bytes plain, OpenEntry(key, value));
    bytes.insert(bytes.end(), plain.begin(), plain.end());
  }
  if (bytes.size() != info.size) return Damaged();
  return bytes;
}

absl::StatusOr<std::vector<BookEntry>> Inbox::LoadBook() const {
  std::vector<BookEntry> entries;
  for (const char type : kBookTypes) {
    RETURN_IF_ERROR(ForEach(static_cast<uint8_t>(type), [&](base::ByteView value) {
      base::ByteReader in(value);
      BookEntry entry{static_cast<uint8_t>(type), base::ToBytes(in.Long()), base::ToBytes(in.Rest())};
      if (!in.ok()) return Damaged();
      entries.push_back(std::move(entry));
      return absl::OkStatus();
    }));
  }
  return entries;
}

absl::StatusOr<std::vector<Message>> Inbox::Messages() const {
  std::vector<Kept> messages;
  RETURN_IF_ERROR(ForEach(kMessage, [&](base::ByteView value) {
    ASSIGN_OR_RETURN(messages.emplace_back(), DecodeMessage(value));
    return absl::OkStatus();
  }));
  return SortedByTime(std::move(messages));
}

}  // namespace chat
