// SPDX-License-Identifier: Apache-2.0
#include "keys/identity.h"

#include <sodium.h>

#include "base/check.h"

namespace keys {
namespace {

// libsodium's own form of a secret key: seed, then public key.
WipedArray<64> ExpandedKey(const Secret<32>& seed, std::array<uint8_t, 32>& public_key) {
  WipedArray<64> expanded;
  CHECK(crypto_sign_seed_keypair(public_key.data(), expanded.mutable_view().data(), seed.view().data()) == 0);
  return expanded;
}

// SHA-512(seed): scalar and nonce prefix (RFC 8032, 5.1.5).
WipedArray<64> SeedHash(const Secret<32>& seed) {
  WipedArray<64> hash;
  CHECK(crypto_hash_sha512(hash.mutable_view().data(), seed.view().data(), seed.view().size()) == 0);
  return hash;
}

}  // namespace

bool Verify(const PublicKey& key, base::ByteView message, const Signature& signature) {
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), key.bytes.data()) == 0;
}

SigningKey::SigningKey(Secret<32> seed) : seed_(std::move(seed)) { ExpandedKey(seed_, public_key_.bytes); }

Signature SigningKey::Sign(base::ByteView message) const {
  WipedArray<64> expanded;
  std::copy(seed_.view().begin(), seed_.view().end(), expanded.mutable_view().begin());
  std::copy(public_key_.bytes.begin(), public_key_.bytes.end(), expanded.mutable_view().begin() + 32);
  Signature signature;
  CHECK(crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), expanded.view().data()) == 0);
  return signature;
}

Secret<32> SigningKey::Scalar() const {
  Secret<32> scalar(SeedHash(seed_).view().first<32>());
  const auto bytes = scalar.mutable_view();
  bytes[0] &= 0xf8;
  bytes[31] = static_cast<uint8_t>((bytes[31] & 0x7f) | 0x40);
  return scalar;
}

Secret<32> SigningKey::NoncePrefix() const { return Secret<32>(SeedHash(seed_).view().last<32>()); }

absl::StatusOr<std::array<uint8_t, 32>> ToX25519(const PublicKey& key) {
  std::array<uint8_t, 32> twin;
  if (crypto_sign_ed25519_pk_to_curve25519(twin.data(), key.bytes.data()) != 0) {
    return absl::InvalidArgumentError("the public key is no valid point");
  }
  return twin;
}

Secret<32> ToX25519(const SigningKey& key) { return key.Scalar(); }

}  // namespace keys
