// SPDX-License-Identifier: Apache-2.0
// keys/blinded_key.h — one key pair, other public keys derived from it: an identity's of each day (protocol.md 8; Tor
// rend-spec-v3 A.2 is the model), and those of the places that a member of a group writes at (chat/group_chain.h).
//
//   h_e = reduce(H-512("door", network, A, e as u64 little-endian))   A_e = h_e·A   a_e = h_e·a
//   prefix_e = H-512(key = identity's nonce prefix, "blind-nonce", network, A_e)[0:32]
//   nonce = reduce(SHA-512(prefix_e ‖ 32 random ‖ M))   k = reduce(SHA-512(R ‖ A_e ‖ M))   signature = R ‖ nonce + k·a_e
// Who knows A computes A_e; who sees A_e and A_f can neither link them nor find A. Any other 64 bytes that are known to those who
// are to compute the blinded key, and to nobody else, may stand for H-512("door", ...): the *With functions take them.
// a_e is as secret as a: it is made on the fly, and never stored, sent or delegated.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "keys/identity.h"

namespace keys {

// A_e. InvalidArgument if `identity` is no valid point.
absl::StatusOr<PublicKey> BlindPublicKey(const PublicKey& identity, std::string_view network, uint64_t day);

// Signs with a_e; the result verifies with Verify(A_e, ...) as plain Ed25519, and is verified before it is returned.
absl::StatusOr<Signature> SignBlinded(const SigningKey& identity, std::string_view network, uint64_t day, base::ByteView message,
                                      base::Rng& rng);

// h·A and signing with h·a for h = reduce(wide). Errors as above; the same key pair never has the same `wide` in two uses.
absl::StatusOr<PublicKey> BlindPublicKeyWith(const PublicKey& key, const std::array<uint8_t, 64>& wide);
absl::StatusOr<Signature> SignBlindedWith(const SigningKey& key, const std::array<uint8_t, 64>& wide, std::string_view network,
                                          base::ByteView message, base::Rng& rng);

}  // namespace keys
