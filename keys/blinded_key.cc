// SPDX-License-Identifier: Apache-2.0
#include "keys/blinded_key.h"

#include <sodium.h>

#include "base/check.h"
#include "base/status_macros.h"
#include "keys/hash.h"

namespace keys {
namespace {

using Scalar = WipedArray<32>;

// 64 bytes, little-endian, modulo the order of the group.
Scalar Reduce(std::span<const uint8_t, 64> wide) {
  Scalar scalar;
  crypto_core_ed25519_scalar_reduce(scalar.mutable_view().data(), wide.data());
  return scalar;
}

// h_e before it is reduced. Public to whoever knows the address.
Digest512 WideFactor(const PublicKey& identity, std::string_view network, uint64_t day) {
  uint8_t day_bytes[8];
  for (int i = 0; i < 8; ++i) day_bytes[i] = static_cast<uint8_t>(day >> (8 * i));
  Hasher hasher("door", {}, 64);
  return hasher.Add(network).Add(identity.view()).Add(base::ByteView(day_bytes)).Finish512();
}

// Every day has its own nonce prefix: one prefix under two keys would leak the identity's scalar.
WipedArray<32> BlindedPrefix(const SigningKey& identity, std::string_view network, const PublicKey& blinded) {
  const Secret<32> identity_prefix = identity.NoncePrefix();
  Hasher hasher("blind-nonce", identity_prefix.view(), 64);
  Digest512 digest = hasher.Add(network).Add(blinded.view()).Finish512();
  WipedArray<32> prefix(std::span<const uint8_t, 64>(digest).first<32>());
  Wipe(digest);
  return prefix;
}

Scalar HashToScalar(std::initializer_list<base::ByteView> parts) {
  crypto_hash_sha512_state state;
  CHECK(crypto_hash_sha512_init(&state) == 0);
  for (base::ByteView part : parts) CHECK(crypto_hash_sha512_update(&state, part.data(), part.size()) == 0);
  WipedArray<64> hash;
  CHECK(crypto_hash_sha512_final(&state, hash.mutable_view().data()) == 0);
  sodium_memzero(&state, sizeof state);
  return Reduce(hash.view());
}

// S = nonce + k·a modulo the order.
Scalar Response(const Scalar& nonce, const Scalar& k, const Scalar& secret) {
  Scalar response;
  crypto_core_ed25519_scalar_mul(response.mutable_view().data(), k.view().data(), secret.view().data());
  crypto_core_ed25519_scalar_add(response.mutable_view().data(), response.view().data(), nonce.view().data());
  return response;
}

// h·a
Scalar BlindedScalar(const SigningKey& key, const Scalar& factor) {
  const Secret<32> scalar = key.Scalar();
  Scalar blinded;
  crypto_core_ed25519_scalar_mul(blinded.mutable_view().data(), factor.view().data(), scalar.view().data());
  return blinded;
}

}  // namespace

absl::StatusOr<PublicKey> BlindPublicKey(const PublicKey& identity, std::string_view network, uint64_t day) {
  return BlindPublicKeyWith(identity, WideFactor(identity, network, day));
}

absl::StatusOr<PublicKey> BlindPublicKeyWith(const PublicKey& key, const std::array<uint8_t, 64>& wide) {
  const absl::Status refused = absl::InvalidArgumentError("the public key is no valid point");
  if (crypto_core_ed25519_is_valid_point(key.bytes.data()) != 1) return refused;
  PublicKey blinded;
  if (crypto_scalarmult_ed25519_noclamp(blinded.bytes.data(), Reduce(wide).view().data(), key.bytes.data()) != 0) return refused;
  return blinded;
}

absl::StatusOr<Signature> SignBlinded(const SigningKey& identity, std::string_view network, uint64_t day, base::ByteView message,
                                      base::Rng& rng) {
  return SignBlindedWith(identity, WideFactor(identity.public_key(), network, day), network, message, rng);
}

absl::StatusOr<Signature> SignBlindedWith(const SigningKey& key, const std::array<uint8_t, 64>& wide, std::string_view network,
                                          base::ByteView message, base::Rng& rng) {
  ASSIGN_OR_RETURN(const PublicKey blinded, BlindPublicKeyWith(key.public_key(), wide));
  const WipedArray<32> prefix = BlindedPrefix(key, network, blinded);
  const std::array<uint8_t, 32> chance = rng.Array<32>();
  const Scalar nonce = HashToScalar({prefix.view(), chance, message});
  Signature signature;
  if (crypto_scalarmult_ed25519_base_noclamp(signature.data(), nonce.view().data()) != 0) {
    return absl::InternalError("a blinded signature failed");
  }
  const Scalar k = HashToScalar({base::ByteView(signature).first(32), blinded.view(), message});
  const Scalar response = Response(nonce, k, BlindedScalar(key, Reduce(wide)));
  std::copy(response.view().begin(), response.view().end(), signature.begin() + 32);
  if (!Verify(blinded, message, signature)) return absl::InternalError("a blinded signature failed");
  return signature;
}

}  // namespace keys
