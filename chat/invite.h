// SPDX-License-Identifier: Apache-2.0
// chat/invite.h — one-time invites: a code given from hand to hand that starts a conversation without door or bundle.
//
//   code     bech32m, prefix "bulbinvite": version 0 1 ‖ A 32 ‖ prekey 32 ‖ expiry in hours since 1970 4 ‖ secret 16; 153
//   characters psk      H(key = secret, "invite psk", network, A)          mixed into the handshake (x3dh.h) box      seed H(key
//   = secret, "invite box", network, A): whoever accepts puts the handshake there (box.h) seal key H(key = secret, "invite seal",
//   network, A): hides the handshake's public keys; zero nonce, no associated data
//            text 1,840 = handshake 1,782 ‖ zeros
// The first to accept has the place; the inviter reads it while it lives, answers, and forgets the secret and the prekey. Who
// sees the code later learns nothing; who sees it before can take it up in somebody's place, which shows: the invite is used up.
// The secret is symmetric, so a code that was never seen by others keeps the conversation from quantum computers too.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/rng.h"
#include "chat/note.h"
#include "keys/identity.h"
#include "keys/x25519.h"

namespace chat {

inline constexpr absl::Duration kInviteLifeDefault = absl::Hours(24), kInviteLifeMax = absl::Hours(14 * 24);

struct InviteCode {
  keys::PublicKey owner;
  keys::X25519Public prekey{};
  uint32_t expiry_hour = 0;
  std::array<uint8_t, 16> secret{};

  absl::Time expiry() const { return absl::UnixEpoch() + expiry_hour * absl::Hours(1); }
  keys::WipedArray<32> Psk(std::string_view network) const;
  keys::WipedArray<32> BoxSeed(std::string_view network) const;
  keys::WipedArray<32> SealKey(std::string_view network) const;

  bool operator==(const InviteCode&) const = default;
};

std::string FormatInvite(const InviteCode& code);
// InvalidArgument whose text is the reason for a person (keys/bech32m.h).
absl::StatusOr<InviteCode> ParseInvite(std::string_view text);

// The code in a note that can be answered: all of it but the version. InvalidArgument if nobody can have made it.
NoteReply EncodeReply(const InviteCode& code);
absl::StatusOr<InviteCode> DecodeReply(const NoteReply& reply);

// An invite of ours that nobody has taken up yet.
struct Invite {
  InviteCode code;
  keys::WipedArray<32> prekey_secret;
  std::string name;  // under which the contact will stand; may be empty
  // Of a note that can be answered: the identity that was made for it, and who alone may answer.
  struct Reply {
    keys::WipedArray<32> own_seed;
    keys::PublicKey only;
  };
  std::optional<Reply> reply;

  keys::X25519KeyPair Prekey() const { return {prekey_secret, code.prekey}; }
};
Invite MakeInvite(const keys::PublicKey& owner, std::string name, absl::Time expiry, base::Rng& rng);
// By an identity of its own.
Invite MakeReply(const keys::PublicKey& recipient, std::string name, absl::Time expiry, base::Rng& rng);
base::Bytes EncodeInvite(const Invite& invite);
absl::StatusOr<Invite> DecodeInvite(base::ByteView bytes);  // DataLoss

}  // namespace chat
