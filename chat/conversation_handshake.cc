// SPDX-License-Identifier: Apache-2.0
// How a session with a contact begins, and which of several that were begun counts.
#include <algorithm>

#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "chat/conversation.h"
#include "chat/door.h"
#include "keys/aead.h"

namespace chat {

// Seals the first message of a session and, if it is longer, the rest of its text in boxes behind it.
base::Bytes Conversation::MakeHandshake(const X3dhStart& start, Session& session, absl::Time expiry, absl::Time wall_now,
                                        base::Rng& rng) {
  const Outgoing* message = outbox_.NextUnsealed();
  Content first;
  first.sent_hour = HourOf(wall_now);
  uint16_t count = 0;
  if (message != nullptr) {
    const size_t rest = message->text.size() - std::min(message->text.size(), kHandshakeTextMax);
    count = static_cast<uint16_t>(1 + ((rest + kBoxTextMax - 1) / kBoxTextMax));
    first = PartOf(*message, 0, count, 0, kHandshakeTextMax);
  }
  first.replaces_lost = replaces_lost_;
  ForgetImpossibleEpoch(wall_now);
  // Who lost its state counts an hour more: its own sessions of this hour were before that.
  const uint32_t by_time = (HourOf(wall_now) + (replaces_lost_ ? 1 : 0)) * kEpochsPerHour;
  epoch_ = std::max(epoch_ + (epoch_ < UINT32_MAX ? 1 : 0), by_time);
  epoch_is_ours_ = true;
  first.ack = epoch_;
  const base::Bytes sealed = session.SealFirst(first, rng);
  session_ = std::move(session);
  ++generation_;
  started_ = wall_now;
  wants_session_ = false;
  owes_answer_ = owes_acknowledgement_ = false;
  next_shown_ = 0;
  changes_.head = true;
  if (message != nullptr) {
    const uint64_t number = message->number;
    for (uint16_t i = 1; i < count; ++i) {
      AddBox(PartOf(*message, i, count, kHandshakeTextMax + ((i - 1u) * kBoxTextMax), kBoxTextMax), expiry, wall_now, rng);
    }
    outbox_.MarkSealed(number, 0, count, expiry);
  }
  return base::ByteWriter().Append(start.head).Append(sealed).Take();
}

absl::Status Conversation::Initiate(const BundleContents& prekeys, absl::Time wall_now, base::Rng& rng) {
  std::optional<keys::X25519Public> one_time;
  if (!prekeys.one_time.empty()) one_time = prekeys.one_time[rng.Below(prekeys.one_time.size())];
  ASSIGN_OR_RETURN(const Door door, DoorOf(peer_, options_.network, DayOf(wall_now)));
  ASSIGN_OR_RETURN(const X3dhStart start, StartX3dh(self_, options_.network, peer_, prekeys.signed_prekey, one_time, {}, rng));
  ASSIGN_OR_RETURN(Session session, Session::Initiate(start, prekeys.signed_prekey, rng));
  Fragment fragment;
  fragment.note_id = rng.Array<16>();
  fragment.sent_hour = HourOf(wall_now);
  fragment.kind = NoteKind::kHandshake;
  const absl::Time expiry = EnvelopeExpiry(door.day);
  fragment.text = MakeHandshake(start, session, expiry, wall_now, rng);
  Envelope envelope;
  envelope.door = door;
  envelope.effort = std::min(prekeys.door_effort, kSendEffortMax);  // the stamp is made when it is put (courier.h)
  ASSIGN_OR_RETURN(envelope.sealed, SealEnvelope(peer_, options_.network, door.blinded, EncodeFragment(fragment), rng));
  outbox_.AddParcel({.kind = Parcel::Kind::kEnvelope,
                     .body = EncodeEnvelope(envelope),
                     .expiry = expiry,
                     .twice = true,
                     .first_place = FirstPlace(envelope.sealed),
                     .due = wall_now});
  return absl::OkStatus();
}

absl::Status Conversation::InitiateByInvite(const keys::X25519Public& prekey, base::ByteView psk,
                                            const keys::WipedArray<32>& box_seed, base::ByteView seal_key, absl::Time wall_now,
                                            base::Rng& rng) {
  ASSIGN_OR_RETURN(const X3dhStart start, StartX3dh(self_, options_.network, peer_, prekey, {}, psk, rng));
  ASSIGN_OR_RETURN(Session session, Session::Initiate(start, prekey, rng));
  const absl::Time expiry = BoxExpiry(wall_now);
  base::Bytes handshake = MakeHandshake(start, session, expiry, wall_now, rng);
  handshake.resize(kBoxSealedSize - keys::kSealOverhead, 0);
  const keys::WipedArray<32> key(std::span<const uint8_t, 32>(seal_key.data(), 32));
  const Box box = MakeBox(box_seed, options_.network, keys::Seal(key.view(), {}, {}, handshake), expiry);
  outbox_.AddParcel(
      {.body = EncodeBox(box), .expiry = expiry, .twice = true, .first_place = FirstBoxPlace(box.key), .due = wall_now});
  return absl::OkStatus();
}

absl::Status Conversation::OnHandshake(const X3dhAnswer& answer, const keys::X25519KeyPair& prekey, base::ByteView sealed,
                                       absl::Time wall_now, base::Rng& rng) {
  Content first;
  ASSIGN_OR_RETURN(Session session, Session::Answer(answer, prekey, sealed, rng, first));
  if (standing_ == Standing::kBlocked) return absl::OkStatus();
  if (first.ack == 0 || first.ack > LatestEpoch(wall_now))
    return absl::InvalidArgumentError("handshake without a possible epoch");
  ForgetImpossibleEpoch(wall_now);
  if (first.replaces_lost) outbox_.ForgetAcknowledged();
  const bool both_first = session_ && session_->initiated() && !session_->confirmed();
  if (!IsNewer(first.ack)) {
    // Its maker left that session too, or will take up ours. Unless it lost what it knew of ours: of one hour who can tell?
    const bool of_the_same_hour = epoch_ - first.ack < kEpochsPerHour;
    if (first.replaces_lost && of_the_same_hour && !options_.doorless) {
      if (session_) ShowWhatIsLeft(wall_now);
      StartOver();
      wants_session_ = true;
    }
    return absl::OkStatus();
  }
  const bool is_known = epoch_ != 0;  // there was one before
  epoch_ = first.ack;
  epoch_is_ours_ = false;
  first.ack = 0;
  const bool had_session = session_.has_value() && !both_first;
  if (first.replaces_lost && session_) ShowWhatIsLeft(wall_now);
  Adopt(std::move(session), wall_now);
  // Whom only groups made known, and may have made known before, nobody has compared words with.
  if (standing_ != Standing::kMember && (had_session || (first.replaces_lost && is_known)))
    Note(ConversationNotice::Kind::kReplaced);
  TakeContent(std::move(first), wall_now);
  return absl::OkStatus();
}

uint64_t Conversation::LatestEpoch(absl::Time wall_now) { return uint64_t{HourOf(wall_now) + kEpochHoursAhead} * kEpochsPerHour; }

// Our own clock was wrong when it was made: nobody took it up, and it would keep out what the other side makes.
void Conversation::ForgetImpossibleEpoch(absl::Time wall_now) {
  if (epoch_ > LatestEpoch(wall_now)) epoch_ = 0, epoch_is_ours_ = false;
}

bool Conversation::IsNewer(uint32_t epoch_of_theirs) const {
  if (epoch_of_theirs != epoch_) return epoch_of_theirs > epoch_;
  return epoch_is_ours_ && peer_ < self_.public_key();
}

// The other side has nothing left that it could send again: what waits behind a gap is shown, and the gap is lost.
void Conversation::ShowWhatIsLeft(absl::Time wall_now) {
  const size_t missing = session_->reader().missing_count();
  if (missing > 0) Note(ConversationNotice::Kind::kLost, static_cast<uint32_t>(missing));
  held_since_ = absl::InfinitePast();
  Deliver(wall_now);
  GiveUpFiles(wall_now, /*all=*/true);
}

void Conversation::Adopt(Session session, absl::Time wall_now) {
  StartOver();
  session_ = std::move(session);
  ++generation_;
  started_ = wall_now;
  next_shown_ = 0;
  wants_session_ = replaces_lost_ = false;
  owes_answer_ = talks();
}

}  // namespace chat
