// SPDX-License-Identifier: Apache-2.0
#include "chat/contact_book.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "chat/contact_entries.h"
#include "keys/aead.h"
#include "keys/hash.h"

namespace chat {

namespace {

keys::WipedArray<32> GroupIdSecret(const keys::SigningKey& self) {
  return keys::WipedArray<32>(keys::Hasher("group-ids", self.seed().view()).Finish());
}

}  // namespace

ContactBook::ContactBook(Options options, const keys::SigningKey& self, base::Rng& rng)
    : options_(std::move(options)),
      self_(self),
      rng_(rng),
      groups_({options_.network, options_.write_quorum, self.public_key(), GroupIdSecret(self)}, rng) {}

Conversation& ContactBook::ConversationWith(const keys::PublicKey& key, Standing standing) {
  const auto it = conversations_.find(key);
  if (it != conversations_.end()) return it->second;
  const auto contact = contacts_.find(key);
  const Conversation::Options options{
      options_.network, options_.write_quorum, contact != contacts_.end() && contact->second.acknowledge,
      contact != contacts_.end() ? contact->second.life : uint8_t{0}, contact != contacts_.end() && contact->second.doorless};
  const bool is_reply = contact != contacts_.end() && contact->second.reply;
  if (!is_reply) return conversations_.try_emplace(key, options, self_, key, standing).first->second;
  const Contact::Reply& reply = *contact->second.reply;
  const auto own = own_keys_.try_emplace(key, keys::Secret<32>(base::ByteView(reply.own_seed.view()))).first;
  return conversations_.try_emplace(key, options, own->second, reply.answerer, standing).first->second;
}

// ---- people

absl::Status ContactBook::CheckName(const std::string& name) const {
  if (name.empty() || name.size() > kContactNameMax) return absl::InvalidArgumentError("a name has 1 to 64 bytes");
  return absl::OkStatus();
}

const Contact* ContactBook::FindName(const std::string& name) const {
  for (const auto& [key, contact] : contacts_) {
    if (!name.empty() && contact.name == name) return &contact;
  }
  return nullptr;
}

const Conversation* ContactBook::FindConversation(const keys::PublicKey& key) const {
  const auto it = conversations_.find(key);
  return it == conversations_.end() ? nullptr : &it->second;
}

absl::Status ContactBook::CheckUnnamed(const keys::PublicKey& key) const {
  const auto known = contacts_.find(key);
  return known == contacts_.end() || known->second.name.empty() ? absl::OkStatus() : absl::AlreadyExistsError(known->second.name);
}

absl::Status ContactBook::Add(const std::string& name, const keys::PublicKey& key) {
  RETURN_IF_ERROR(CheckName(name));
  if (key == self_.public_key()) return absl::InvalidArgumentError("this is your own address");
  if (const Contact* taken = FindName(name)) {
    if (taken->key == key && IsBlocked(key)) return absl::PermissionDeniedError("blocked");
    if (taken->key != key) RETURN_IF_ERROR(CheckUnnamed(key));
    Contact& contact = contacts_.at(taken->key);
    const std::optional<keys::PublicKey> mark = contact.key == key ? std::nullopt : std::optional(key);
    if (contact.changed_key != mark) {
      contact.changed_key = mark;
      Touch(contact.key);
    }
    return mark ? absl::FailedPreconditionError("the name stands for another key") : absl::OkStatus();
  }
  RETURN_IF_ERROR(CheckUnnamed(key));
  if (contacts_.size() >= kContactsMax) return absl::ResourceExhaustedError("too many contacts");
  if (IsBlocked(key)) RETURN_IF_ERROR(Unblock(key));  // and let in below, which is told
  Contact& contact = contacts_[key];
  contact.key = key;
  contact.name = name;
  Touch(key);
  ConversationWith(key, Standing::kContact).SetStanding(Standing::kContact);
  return absl::OkStatus();
}

absl::Status ContactBook::Rename(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(CheckName(to));
  if (FindName(to) != nullptr) return absl::AlreadyExistsError("the name is taken");
  const Contact* contact = FindName(from);
  if (contact == nullptr) return absl::NotFoundError("no such contact");
  contacts_.at(contact->key).name = to;
  Touch(contact->key);
  return absl::OkStatus();
}

absl::Status ContactBook::Remove(keys::PublicKey key) {
  if (contacts_.erase(key) == 0) return absl::NotFoundError("no such contact");
  changed_contacts_.erase(key);
  forgotten_.insert(key);
  gone_.push_back({kContactEntry, NameOf(key), std::nullopt});
  const auto it = conversations_.find(key);
  if (it == conversations_.end()) return absl::OkStatus();
  gone_.push_back({kHeadEntry, NameOf(key), std::nullopt});
  for (const auto& [number, message] : it->second.outbox().messages()) {
    gone_.push_back({kMessageEntry, NameOf(key, number), std::nullopt});
    if (message.IsFile()) gone_.push_back({kBytesEntry, NameOf(key, number), std::nullopt});
  }
  for (const auto& [seq, parcel] : it->second.outbox().parcels()) gone_.push_back({kParcelEntry, NameOf(key, seq), std::nullopt});
  for (const MessageId& id : it->second.seen()) gone_.push_back({kSeenEntry, NameOf(key, id), std::nullopt});
  for (const auto& [id, file] : it->second.files()) {
    gone_.push_back({kFileEntry, NameOf(key, id), std::nullopt});
    gone_files_.push_back({key, id, file.info().pieces});
  }
  conversations_.erase(it);
  own_keys_.erase(key);
  return absl::OkStatus();
}

absl::Status ContactBook::Block(const keys::PublicKey& key) {
  if (!contacts_.contains(key)) return absl::NotFoundError("no such contact");
  ConversationWith(key, Standing::kBlocked).SetStanding(Standing::kBlocked);
  return absl::OkStatus();
}

bool ContactBook::IsBlocked(const keys::PublicKey& key) const {
  const Conversation* conversation = FindConversation(key);
  return conversation != nullptr && conversation->standing() == Standing::kBlocked;
}

absl::Status ContactBook::Unblock(const keys::PublicKey& key) {
  const auto contact = contacts_.find(key);
  if (contact == contacts_.end()) return absl::NotFoundError("no such contact");
  if (!IsBlocked(key)) return absl::FailedPreconditionError("not blocked");
  conversations_.at(key).SetStanding(contact->second.name.empty() ? Standing::kAsked : Standing::kContact);
  members_changed_ = true;  // a stranger may be a member of a group
  return absl::OkStatus();
}

void ContactBook::SetVerified(const keys::PublicKey& key, bool verified) {
  contacts_.at(key).verified = verified;
  Touch(key);
}

void ContactBook::SetAcknowledge(const keys::PublicKey& key, bool acknowledge) {
  contacts_.at(key).acknowledge = acknowledge;
  ConversationWith(key, Standing::kContact).SetAcknowledge(acknowledge);
  Touch(key);
}

void ContactBook::SetLife(const keys::PublicKey& key, uint8_t code) {
  CHECK(code < kMessageLifeCodes);
  if (groups_.Find(key) != nullptr) return groups_.SetLife(key, code);
  contacts_.at(key).life = code;
  ConversationWith(key, Standing::kContact).SetLife(code);
  Touch(key);
}

absl::Status ContactBook::AcceptChangedKey(const std::string& name) {
  const Contact* old = FindName(name);
  if (old == nullptr) return absl::NotFoundError("no such contact");
  if (!old->changed_key) return absl::FailedPreconditionError("its key has not changed");
  const keys::PublicKey key = *old->changed_key;
  RETURN_IF_ERROR(CheckUnnamed(key));
  const uint8_t life = old->life;
  const bool acknowledge = old->acknowledge;
  RETURN_IF_ERROR(Remove(old->key));
  RETURN_IF_ERROR(Add(name, key));
  SetLife(key, life);  // what a person set for the name holds for whoever has it now
  SetAcknowledge(key, acknowledge);
  return absl::OkStatus();
}

absl::StatusOr<MessageId> ContactBook::Send(const keys::PublicKey& key, base::Bytes text, absl::Time wall_now) {
  ASSIGN_OR_RETURN(Conversation* const conversation, ForSending(key));
  Message message;
  message.text = text;
  ASSIGN_OR_RETURN(message.id, conversation->Send(std::move(text), wall_now, rng_));
  return KeepWritten(key, std::move(message), wall_now);
}

absl::StatusOr<MessageId> ContactBook::SendFile(const keys::PublicKey& key, std::string name, base::Bytes bytes,
                                                absl::Time wall_now) {
  ASSIGN_OR_RETURN(Conversation* const conversation, ForSending(key));
  Message message;
  message.file = FileInfo{name, static_cast<uint32_t>(bytes.size()), 0};
  ASSIGN_OR_RETURN(message.id, conversation->SendFile(std::move(name), std::move(bytes), wall_now, rng_));
  return KeepWritten(key, std::move(message), wall_now);
}

absl::StatusOr<Conversation*> ContactBook::ForSending(const keys::PublicKey& key) {
  const auto contact = contacts_.find(key);
  if (contact == contacts_.end() || contact->second.name.empty()) return absl::NotFoundError("no such contact");
  if (contact->second.changed_key) return absl::FailedPreconditionError("the key has changed");
  if (IsBlocked(key)) return absl::PermissionDeniedError("blocked");
  return &ConversationWith(key, Standing::kContact);
}

MessageId ContactBook::KeepWritten(const keys::PublicKey& key, Message message, absl::Time wall_now) {
  message.sent_hour = HourOf(wall_now);
  message.from = key;
  message.received = wall_now;
  message.in_conversation = message.own = true;
  message.life = contacts_.at(key).life;
  written_.push_back(std::move(message));
  return written_.back().id;
}

void ContactBook::RemoveFile(const keys::PublicKey& key, const MessageId& id) {
  const auto it = conversations_.find(key);
  if (it != conversations_.end()) it->second.RemoveFile(id);
}

void ContactBook::RemoveFiles(const keys::PublicKey& key) {
  const auto it = conversations_.find(key);
  if (it == conversations_.end()) return;
  while (!it->second.files().empty()) it->second.RemoveFile(MessageId(it->second.files().begin()->first));
}

uint64_t ContactBook::FileRoomLeft() const {
  uint64_t used = 0;
  for (const auto& [key, conversation] : conversations_) used += conversation.FileBytes();
  return kFileRoom - std::min(kFileRoom, used);
}

absl::StatusOr<InviteCode> ContactBook::CreateInvite(const std::string& name, absl::Duration life, absl::Time wall_now) {
  if (invites_.size() >= kInvitesMax) return absl::ResourceExhaustedError("too many invites are out");
  if (!name.empty()) RETURN_IF_ERROR(CheckName(name));
  if (!name.empty() && FindName(name) != nullptr) return absl::AlreadyExistsError("the name is taken");
  Invite invite = MakeInvite(self_.public_key(), name, wall_now + std::min(life, kInviteLifeMax), rng_);
  const InviteCode code = invite.code;
  invites_[code.secret] = std::move(invite);
  changed_invites_.insert(code.secret);
  return code;
}

absl::StatusOr<NoteReply> ContactBook::CreateReply(const keys::PublicKey& recipient, absl::Time wall_now) {
  if (invites_.size() >= kInvitesMax) return absl::ResourceExhaustedError("too many invites are out");
  Invite invite = MakeReply(recipient, "", wall_now + kInviteLifeMax, rng_);
  const auto known = contacts_.find(recipient);
  invite.name = absl::StrCat(known == contacts_.end() ? "" : known->second.name.substr(0, kContactNameMax - 7), "#",
                             base::ToHex(invite.code.owner.view().first(3)));
  const InviteCode code = invite.code;
  invites_[code.secret] = std::move(invite);
  changed_invites_.insert(code.secret);
  return EncodeReply(code);
}

void ContactBook::WithdrawReply(const NoteReply& reply) {
  const auto code = DecodeReply(reply);
  if (code.ok() && invites_.erase(code->secret) > 0) changed_invites_.insert(code->secret);
}

absl::Status ContactBook::TakeUp(const InviteCode& code, const std::string& name, absl::Time wall_now) {
  if (code.expiry() <= wall_now) return absl::DeadlineExceededError("the invite is too old");
  const Conversation* known = FindConversation(code.owner);
  if (known != nullptr && known->has_session()) return absl::AlreadyExistsError("there is a conversation already");
  const bool is_new = !contacts_.contains(code.owner);
  RETURN_IF_ERROR(Add(name, code.owner));
  const keys::WipedArray<32> psk = code.Psk(options_.network), seal_key = code.SealKey(options_.network);
  const absl::Status written =
      ConversationWith(code.owner, Standing::kContact)
          .InitiateByInvite(code.prekey, psk.view(), code.BoxSeed(options_.network), seal_key.view(), wall_now, rng_);
  // A prekey that nobody made: nor would the contact be who it says, and a text to it would look for its door.
  if (!written.ok() && is_new) RETURN_IF_ERROR(Remove(code.owner));
  return written;
}

absl::Status ContactBook::AnswerNote(const InviteCode& code, const std::string& name, absl::Time wall_now) {
  // The note's writer may have named anybody: somebody who is known would lose the door.
  if (contacts_.contains(code.owner)) return absl::AlreadyExistsError("the address that this note names is known");
  RETURN_IF_ERROR(TakeUp(code, name, wall_now));
  contacts_.at(code.owner).doorless = true;
  conversations_.at(code.owner).SetDoorless();
  return absl::OkStatus();
}

void ContactBook::RebuildSessions() {
  MeetMembers(groups_.Peers());
  for (const auto& [key, contact] : contacts_) {
    if (!contact.name.empty()) ConversationWith(key, Standing::kContact).Rebuild();
  }
  for (const keys::PublicKey& key : groups_.Peers()) {
    const auto it = conversations_.find(key);
    if (it != conversations_.end()) it->second.Rebuild();
  }
}

// ---- handshakes

void ContactBook::OnHandshake(base::ByteView name, base::ByteView handshake, absl::Time wall_now) {
  gone_.push_back({kHandshakeEntry, base::ToBytes(name), std::nullopt});
  if (handshake.size() != kWaitingHandshakeSize && handshake.size() != kHandshakeSize) return;  // earlier versions kept no effort
  const uint32_t effort = handshake.size() == kHandshakeSize ? 0 : base::ByteReader(handshake.subspan(kHandshakeSize)).U32();
  handshake = handshake.first(kHandshakeSize);
  const auto named = PrekeysOfHead(handshake.first(kX3dhHeadSize));
  const keys::X25519KeyPair* prekey = named.ok() ? prekeys_.FindSigned(named->signed_prekey) : nullptr;
  const keys::X25519KeyPair* one_time = named.ok() && named->one_time ? prekeys_.FindOneTime(*named->one_time) : nullptr;
  if (prekey == nullptr || (named->one_time && one_time == nullptr)) {
    notices_.push_back({BookNotice::Kind::kUnreadable, {}, 1});
    return;
  }
  const auto peer = OpenHandshake(*prekey, one_time, {}, handshake, nullptr, effort, wall_now);
  if (!peer || !named->one_time) return;
  prekeys_.Use(*named->one_time, wall_now);
  prekeys_changed_ = true;
}

std::optional<keys::PublicKey> ContactBook::OpenHandshake(const keys::X25519KeyPair& prekey, const keys::X25519KeyPair* one_time,
                                                          base::ByteView psk, base::ByteView handshake, const Invite* invite,
                                                          uint32_t effort, absl::Time wall_now) {
  const auto answer = AnswerX3dh(self_, options_.network, handshake.first(kX3dhHeadSize), prekey, one_time, psk);
  if (!answer.ok() || answer->peer == self_.public_key()) return std::nullopt;
  const keys::PublicKey peer = answer->peer;
  const bool known = contacts_.contains(peer);
  const Requests asking = WaitingRequests();
  const bool is_full = !known && invite == nullptr && asking.count >= kRequestsMax;
  if ((!known && contacts_.size() >= kContactsMax) || (is_full && effort <= asking.least->effort)) {
    NoteDropped();
    return std::nullopt;
  }
  Conversation fresh({options_.network, options_.write_quorum, false, 0, false}, self_, peer,
                     invite != nullptr ? Standing::kContact : Standing::kAsked);
  const auto held = conversations_.find(peer);
  Conversation& conversation = held == conversations_.end() ? fresh : held->second;
  const auto sealed = handshake.subspan(kX3dhHeadSize, kHandshakeSize - kX3dhHeadSize);
  if (!conversation.OnHandshake(*answer, prekey, sealed, wall_now, rng_).ok()) return std::nullopt;  // nobody's
  if (held == conversations_.end()) conversations_.emplace(peer, std::move(fresh));
  if (is_full) {
    const keys::PublicKey least = asking.least->key;
    Remove(least).IgnoreError();
    std::erase_if(notices_, [&](const auto& one) { return one.kind == BookNotice::Kind::kRequest && one.peer == least; });
    NoteDropped();
  }
  Contact& contact = contacts_[peer];
  contact.key = peer;
  if (contact.name.empty()) contact.effort = std::max(contact.effort, effort);
  Touch(peer);
  if (invite != nullptr && contact.name.empty()) {
    const std::string fallback = "#" + base::ToHex(peer.view().first(3));
    contact.name = !invite->name.empty() && FindName(invite->name) == nullptr ? invite->name : fallback;
    conversations_.at(peer).SetStanding(Standing::kContact);
  }
  if (invite != nullptr) {
    notices_.push_back({BookNotice::Kind::kInviteTaken, peer, 1});
  } else if (!known && !groups_.IsInvitedWith(peer)) {  // the invitation was shown
    notices_.push_back({BookNotice::Kind::kRequest, peer, 1});
  }
  return peer;
}

// One notice of all: a flood is as long as its sender likes.
void ContactBook::NoteDropped() {
  for (BookNotice& notice : notices_) {
    if (notice.kind != BookNotice::Kind::kTooManyRequests) continue;
    ++notice.count;
    return;
  }
  notices_.push_back({BookNotice::Kind::kTooManyRequests, {}, 1});
}

ContactBook::Requests ContactBook::WaitingRequests() const {
  Requests waiting;
  for (const auto& [key, contact] : contacts_) {
    const Conversation* conversation = contact.name.empty() ? FindConversation(key) : nullptr;
    if (conversation == nullptr || conversation->standing() != Standing::kAsked) continue;
    ++waiting.count;
    if (waiting.least == nullptr || contact.effort < waiting.least->effort) waiting.least = &contact;
  }
  return waiting;
}

uint32_t ContactBook::AskedEffort() const {
  const Requests waiting = WaitingRequests();
  if (waiting.count < kRequestsMax) return 0;
  return std::min(kSendEffortMax, std::max(kFirstEffort, std::bit_ceil(2 * std::min(waiting.least->effort, kSendEffortMax))));
}

void ContactBook::OnInviteBox(const InviteRead& read, const absl::StatusOr<std::optional<base::Bytes>>& body,
                              absl::Time wall_now) {
  const auto it = invites_.find(read.secret);
  if (it == invites_.end() || !body.ok() || !body->has_value()) return;
  const InviteCode& code = it->second.code;
  const auto box = DecodeBox(**body);
  if (!box.ok() || box->key != BoxKeyOf(code.BoxSeed(options_.network)) || !VerifyBox(*box, options_.network)) return;
  const auto handshake = keys::Open(code.SealKey(options_.network).view(), {}, {}, box->sealed);
  if (!handshake.ok()) return;
  const Invite invite = it->second;
  const keys::WipedArray<32> psk = invite.code.Psk(options_.network);
  const auto peer = invite.reply ? OpenReply(invite, *handshake, wall_now)
                                 : OpenHandshake(invite.Prekey(), nullptr, psk.view(), *handshake, &invite, 0, wall_now);
  if (!peer) return;  // looked at again until the invite is over: a clock may be wrong, there may be room later
  invites_.erase(read.secret);
  changed_invites_.insert(read.secret);
  // What was written behind the handshake is read in the same round.
  AddRead(*peer, conversations_.at(*peer).BeginRound());
}

// An answer to a note of ours: a conversation of its own, as the identity that was made for that note. Its contact stands under
// that identity's key, so that it is nobody's who is known otherwise.
std::optional<keys::PublicKey> ContactBook::OpenReply(const Invite& invite, base::ByteView handshake, absl::Time wall_now) {
  const keys::SigningKey own(keys::Secret<32>(base::ByteView(invite.reply->own_seed.view())));
  const keys::WipedArray<32> psk = invite.code.Psk(options_.network);
  const keys::X25519KeyPair prekey = invite.Prekey();
  const auto answer = AnswerX3dh(own, options_.network, handshake.first(kX3dhHeadSize), prekey, nullptr, psk.view());
  if (!answer.ok() || answer->peer != invite.reply->only || contacts_.size() >= kContactsMax) return std::nullopt;
  const keys::PublicKey key = own.public_key();
  Contact& contact = contacts_[key];
  contact.key = key;
  contact.name = FindName(invite.name) == nullptr ? invite.name : "#" + base::ToHex(key.view().first(16));
  contact.reply = Contact::Reply{invite.reply->own_seed, answer->peer};
  const auto sealed = handshake.subspan(kX3dhHeadSize, kHandshakeSize - kX3dhHeadSize);
  if (!ConversationWith(key, Standing::kContact).OnHandshake(*answer, prekey, sealed, wall_now, rng_).ok()) {
    conversations_.erase(key);
    own_keys_.erase(key);
    contacts_.erase(key);
    return std::nullopt;
  }
  Touch(key);
  return key;
}

// ---- comparing keys

namespace {

keys::Digest512 SafetyDigest(std::string_view network, const keys::PublicKey& a, const keys::PublicKey& b) {
  const auto [first, second] = std::minmax(a, b);
  return keys::Hasher("safety", {}, 64).Add(network).Add(first.view()).Add(second.view()).Finish512();
}

}  // namespace

std::string SafetyNumber(std::string_view network, const keys::PublicKey& a, const keys::PublicKey& b) {
  const keys::Digest512 digest = SafetyDigest(network, a, b);
  std::string text;
  for (size_t group = 0; group < 12; ++group) {
    uint64_t number = 0;
    for (size_t i = 0; i < 5; ++i) number = number << 8 | digest[(5 * group) + i];
    std::string digits = std::to_string(number % 100000);
    text += (group == 0 ? "" : " ") + std::string(5 - digits.size(), '0') + digits;
  }
  return text;
}

std::string SafetyWords(std::string_view network, const keys::PublicKey& a, const keys::PublicKey& b) {
  static constexpr char kConsonants[] = "bdfghjklmnprstvz", kVowels[] = "aiou";
  const keys::Digest512 digest = SafetyDigest(network, a, b);
  std::string text;
  for (size_t word = 0; word < 8; ++word) {
    const int bits = digest[2 * word] << 8 | digest[(2 * word) + 1];
    if (word > 0) text += ' ';
    text += {kConsonants[bits >> 12 & 15], kVowels[bits >> 10 & 3], kConsonants[bits >> 6 & 15], kVowels[bits >> 4 & 3],
             kConsonants[bits & 15]};
  }
  return text;
}

}  // namespace chat
