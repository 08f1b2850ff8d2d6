// SPDX-License-Identifier: Apache-2.0
// chat/x3dh.h — the first secret of two people, agreed on while one of them is away.
//
// Source: Marlinspike and Perrin, "The X3DH Key Agreement Protocol", revision 1. Differs from it:
//  - the initiator's identity travels sealed, under a key that needs both a prekey's secret and the responder's identity key;
//  - prekeys are authenticated by the bundle's signatures (chat/bundle.h), or by the invite they came in;
//  - the KDF is the protocol's labelled BLAKE2b over every public value and every Diffie-Hellman result; Ed25519 identities take
//    part through their X25519 twins.
// A initiates, B responds. E = A's fresh key, S = B's signed prekey, O = B's one-time prekey or 32 zero bytes.
//   dh1 = X25519(A, S)   dh2 = X25519(E, B)   dh3 = X25519(E, S)   dh4 = X25519(E, O), empty without O
//   sender key = H("x3dh sender", network, B, E, S, O, dh2, dh3, dh4)
//   SK = H-512("x3dh", network, A, B, E, S, O, dh1, dh2, dh3, dh4, psk)         psk: 32 bytes of an invite, or empty
//   from SK: H(key = SK, label), labels "x3dh root", "x3dh header", "x3dh next header", "boxchain forward", "boxchain backward"
//   head, 144 bytes: E 32 ‖ S 32 ‖ O 32 ‖ XChaCha20-Poly1305(sender key, zero nonce, associated E ‖ S ‖ O, A) 48
// No signature by A: either side could have made the whole conversation (deniable). Who later steals B's identity key alone
// learns neither A nor the secret; a stolen prekey secret opens what was started with that prekey.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/rng.h"
#include "keys/hash.h"
#include "keys/identity.h"
#include "keys/x25519.h"

namespace chat {

inline constexpr size_t kX3dhHeadSize = (3 * 32) + 48;
inline constexpr size_t kPskSize = 32;

// What both sides hold afterwards. "Forward" is from the initiator to the responder.
struct SessionSecrets {
  keys::WipedArray<32> root;
  keys::WipedArray<32> header_key;                       // of the initiator's first messages
  keys::WipedArray<32> next_header_key;                  // of the responder's first messages
  keys::WipedArray<32> forward_places, backward_places;  // C_0 of the two box chains (chat/box.h)
  keys::Digest associated{};                             // H("x3dh associated", network, A, B): bound into every message
};

struct X3dhStart {
  base::Bytes head;  // kX3dhHeadSize
  SessionSecrets secrets;
};
// `psk`: empty, or kPskSize bytes. InvalidArgument if the peer is no valid point, Unauthenticated for degenerate prekeys.
absl::StatusOr<X3dhStart> StartX3dh(const keys::SigningKey& self, std::string_view network, const keys::PublicKey& peer,
                                    const keys::X25519Public& signed_prekey, const std::optional<keys::X25519Public>& one_time,
                                    base::ByteView psk, base::Rng& rng);

// Which prekeys a head was made for. InvalidArgument for another size.
struct X3dhPrekeys {
  keys::X25519Public signed_prekey{};
  std::optional<keys::X25519Public> one_time;
};
absl::StatusOr<X3dhPrekeys> PrekeysOfHead(base::ByteView head);

struct X3dhAnswer {
  keys::PublicKey peer;  // who says so is proved by the first message that opens with these secrets, not before
  SessionSecrets secrets;
};
// `signed_prekey`, `one_time`: the pairs that PrekeysOfHead names (null: the head names none). Unauthenticated, with one text,
// for whatever is wrong.
absl::StatusOr<X3dhAnswer> AnswerX3dh(const keys::SigningKey& self, std::string_view network, base::ByteView head,
                                      const keys::X25519KeyPair& signed_prekey, const keys::X25519KeyPair* one_time,
                                      base::ByteView psk);

}  // namespace chat
