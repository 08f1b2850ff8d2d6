// SPDX-License-Identifier: Apache-2.0
#include "keys/x25519.h"

#include <openssl/bn.h>
#include <sodium.h>

#include <memory>

#include "base/check.h"

namespace keys {
namespace {

struct NumberFree {
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(BN_CTX* context) const { BN_CTX_free(context); }
};
using Number = std::unique_ptr<BIGNUM, NumberFree>;

// From the y of a point on the Edwards curve, as Ed25519 encodes it, to the u of the same point on the Montgomery curve:
// (1 + y) / (1 - y), the map of RFC 7748, 4.1. Takes a time of its own for each point: for those that are public.
class MontgomeryMap {
 public:
  static MontgomeryMap& Get() {
    thread_local MontgomeryMap map;
    return map;
  }

  X25519Public U(std::array<uint8_t, 32> edwards) {
    edwards.back() &= 0x7f;  // the sign of x
    CHECK(BN_lebin2bn(edwards.data(), edwards.size(), y_.get()) != nullptr);
    CHECK(BN_mod_add(above_.get(), BN_value_one(), y_.get(), p_.get(), context_.get()) == 1);
    CHECK(BN_mod_sub(below_.get(), BN_value_one(), y_.get(), p_.get(), context_.get()) == 1);
    CHECK(BN_mod_inverse(below_.get(), below_.get(), p_.get(), context_.get()) != nullptr);
    CHECK(BN_mod_mul(above_.get(), above_.get(), below_.get(), p_.get(), context_.get()) == 1);
    X25519Public u;
    CHECK(BN_bn2lebinpad(above_.get(), u.data(), u.size()) == u.size());
    return u;
  }

 private:
  MontgomeryMap() {  // p = 2^255 - 19
    CHECK(context_ && p_ && y_ && above_ && below_);
    CHECK(BN_set_bit(p_.get(), 255) == 1 && BN_sub_word(p_.get(), 19) == 1);
  }

  std::unique_ptr<BN_CTX, NumberFree> context_{BN_CTX_new()};
  Number p_{BN_new()}, y_{BN_new()}, above_{BN_new()}, below_{BN_new()};
};

}  // namespace

X25519KeyPair X25519KeyPair::Generate(base::Rng& rng) {
  WipedArray<32> secret_key;
  rng.Fill(secret_key.mutable_view());
  return FromSecret(secret_key.view());
}

X25519KeyPair X25519KeyPair::FromSecret(std::span<const uint8_t, 32> secret_key) {
  X25519KeyPair pair;
  pair.secret_key = WipedArray<32>(secret_key);
  // libsodium has a table for the base point of the Edwards curve: with the map three quarters of the time of
  // crypto_scalarmult_base. Both clamp the secret key alike; the former refuses one of zeros.
  std::array<uint8_t, 32> edwards;
  if (crypto_scalarmult_ed25519_base(edwards.data(), pair.secret_key.view().data()) == 0) {
    pair.public_key = MontgomeryMap::Get().U(edwards);
  } else {
    CHECK(crypto_scalarmult_base(pair.public_key.data(), pair.secret_key.view().data()) == 0);
  }
  return pair;
}

absl::StatusOr<WipedArray<32>> X25519(std::span<const uint8_t, 32> secret_key, const X25519Public& public_key) {
  WipedArray<32> shared;  // libsodium refuses small-order points and an all-zero result
  if (crypto_scalarmult(shared.mutable_view().data(), secret_key.data(), public_key.data()) != 0) {
    return absl::UnauthenticatedError("degenerate X25519 key");
  }
  return shared;
}

}  // namespace keys
