// SPDX-License-Identifier: Apache-2.0
#include "chat/x3dh.h"

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/aead.h"

namespace chat {

namespace {

constexpr keys::SealNonce kZeroNonce{};  // the fresh E makes every key a one-time key
constexpr keys::X25519Public kNoPrekey{};

absl::Status NotOurs() { return absl::UnauthenticatedError("handshake does not open"); }

// The public values in the order in which they are hashed: 96 bytes.
base::Bytes PublicPart(const keys::X25519Public& ephemeral, const X3dhPrekeys& prekeys) {
  return base::ByteWriter().Append(ephemeral).Append(prekeys.signed_prekey).Append(prekeys.one_time.value_or(kNoPrekey)).Take();
}

struct Shared {
  keys::WipedArray<32> dh1, dh2, dh3, dh4;
  bool has_dh4 = false;

  base::ByteView fourth() const { return has_dh4 ? base::ByteView(dh4.view()) : base::ByteView(); }
};

// Adds E, S, O as three parts.
void AddPublic(keys::Hasher& hasher, base::ByteView part) {
  for (size_t i = 0; i < 3; ++i) hasher.Add(part.subspan(32 * i, 32));
}

keys::WipedArray<32> SenderKey(std::string_view network, const keys::PublicKey& responder, base::ByteView part,
                               const Shared& shared) {
  keys::Hasher hasher("x3dh sender");
  hasher.Add(network).Add(responder.view());
  AddPublic(hasher, part);
  keys::Digest digest = hasher.Add(shared.dh2.view()).Add(shared.dh3.view()).Add(shared.fourth()).Finish();
  keys::WipedArray<32> key(digest);
  keys::Wipe(digest);
  return key;
}

keys::WipedArray<32> Derive(const keys::Digest512& secret, std::string_view label) {
  keys::Digest digest = keys::KeyedHash(secret, label, {});
  keys::WipedArray<32> key(digest);
  keys::Wipe(digest);
  return key;
}

SessionSecrets Expand(std::string_view network, const keys::PublicKey& initiator, const keys::PublicKey& responder,
                      base::ByteView part, const Shared& shared, base::ByteView psk) {
  keys::Hasher hasher("x3dh", {}, 64);
  hasher.Add(network).Add(initiator.view()).Add(responder.view());
  AddPublic(hasher, part);
  hasher.Add(shared.dh1.view()).Add(shared.dh2.view()).Add(shared.dh3.view()).Add(shared.fourth()).Add(psk);
  keys::Digest512 secret = hasher.Finish512();
  SessionSecrets secrets{
      .root = Derive(secret, "x3dh root"),
      .header_key = Derive(secret, "x3dh header"),
      .next_header_key = Derive(secret, "x3dh next header"),
      .forward_places = Derive(secret, "boxchain forward"),
      .backward_places = Derive(secret, "boxchain backward"),
      .associated = keys::Hash("x3dh associated", {base::AsBytes(network), initiator.view(), responder.view()})};
  keys::Wipe(secret);
  return secrets;
}

}  // namespace

absl::StatusOr<X3dhStart> StartX3dh(const keys::SigningKey& self, std::string_view network, const keys::PublicKey& peer,
                                    const keys::X25519Public& signed_prekey, const std::optional<keys::X25519Public>& one_time,
                                    base::ByteView psk, base::Rng& rng) {
  CHECK(psk.empty() || psk.size() == kPskSize);
  const keys::X25519KeyPair ephemeral = keys::X25519KeyPair::Generate(rng);
  ASSIGN_OR_RETURN(const keys::X25519Public twin, keys::ToX25519(peer));
  Shared shared;
  ASSIGN_OR_RETURN(shared.dh1, keys::X25519(keys::ToX25519(self).view(), signed_prekey));
  ASSIGN_OR_RETURN(shared.dh2, keys::X25519(ephemeral.secret_key.view(), twin));
  ASSIGN_OR_RETURN(shared.dh3, keys::X25519(ephemeral.secret_key.view(), signed_prekey));
  shared.has_dh4 = one_time.has_value();
  if (one_time) {
    ASSIGN_OR_RETURN(shared.dh4, keys::X25519(ephemeral.secret_key.view(), *one_time));
  }
  const base::Bytes part = PublicPart(ephemeral.public_key, {signed_prekey, one_time});
  const keys::WipedArray<32> sender_key = SenderKey(network, peer, part, shared);
  base::ByteWriter head;
  head.Append(part).Append(keys::Seal(sender_key.view(), kZeroNonce, part, self.public_key().view()));
  return X3dhStart{head.Take(), Expand(network, self.public_key(), peer, part, shared, psk)};
}

absl::StatusOr<X3dhPrekeys> PrekeysOfHead(base::ByteView head) {
  if (head.size() != kX3dhHeadSize) return absl::InvalidArgumentError("handshake of a wrong size");
  base::ByteReader in(head);
  in.Take(32);
  X3dhPrekeys prekeys;
  prekeys.signed_prekey = in.Array<32>();
  const keys::X25519Public one_time = in.Array<32>();
  if (one_time != kNoPrekey) prekeys.one_time = one_time;
  return prekeys;
}

absl::StatusOr<X3dhAnswer> AnswerX3dh(const keys::SigningKey& self, std::string_view network, base::ByteView head,
                                      const keys::X25519KeyPair& signed_prekey, const keys::X25519KeyPair* one_time,
                                      base::ByteView psk) {
  const auto named = PrekeysOfHead(head);
  if (!named.ok() || named->signed_prekey != signed_prekey.public_key || named->one_time.has_value() != (one_time != nullptr)) {
    return NotOurs();
  }
  if (one_time != nullptr && named->one_time != one_time->public_key) return NotOurs();
  const base::ByteView part = head.first(3 * 32);
  const keys::X25519Public ephemeral = base::ByteReader(head).Array<32>();
  const auto dh2 = keys::X25519(keys::ToX25519(self).view(), ephemeral);
  const auto dh3 = keys::X25519(signed_prekey.secret_key.view(), ephemeral);
  if (!dh2.ok() || !dh3.ok()) return NotOurs();
  Shared shared{{}, *dh2, *dh3, {}, one_time != nullptr};
  if (one_time != nullptr) {
    const auto dh4 = keys::X25519(one_time->secret_key.view(), ephemeral);
    if (!dh4.ok()) return NotOurs();
    shared.dh4 = *dh4;
  }
  const keys::WipedArray<32> sender_key = SenderKey(network, self.public_key(), part, shared);
  const auto sender = keys::Open(sender_key.view(), kZeroNonce, part, head.subspan(3 * 32));
  if (!sender.ok()) return NotOurs();
  X3dhAnswer answer;
  answer.peer.bytes = base::ByteReader(*sender).Array<32>();
  const auto twin = keys::ToX25519(answer.peer);
  if (!twin.ok()) return NotOurs();
  const auto dh1 = keys::X25519(signed_prekey.secret_key.view(), *twin);
  if (!dh1.ok()) return NotOurs();
  shared.dh1 = *dh1;
  answer.secrets = Expand(network, answer.peer, self.public_key(), part, shared, psk);
  return answer;
}

}  // namespace chat
