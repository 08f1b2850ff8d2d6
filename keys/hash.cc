// SPDX-License-Identifier: Apache-2.0
#include "keys/hash.h"

#include <sodium.h>

#include "base/check.h"
#include "keys/secret.h"

namespace keys {
namespace {

constexpr std::string_view kLabelPrefix = "bulbil/1/";

crypto_generichash_state* State(uint8_t* state) { return reinterpret_cast<crypto_generichash_state*>(state); }

void Update(uint8_t* state, base::ByteView bytes) {
  CHECK(crypto_generichash_update(State(state), bytes.data(), bytes.size()) == 0);
}

void UpdateLength(uint8_t* state, size_t length) {
  CHECK(length <= 0xffffffff);
  const uint8_t bytes[4] = {static_cast<uint8_t>(length >> 24), static_cast<uint8_t>(length >> 16),
                            static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)};
  Update(state, bytes);
}

}  // namespace

Hasher::Hasher(std::string_view label, base::ByteView key, size_t digest_size) : digest_size_(digest_size) {
  static_assert(sizeof(crypto_generichash_state) <= sizeof state_ && alignof(crypto_generichash_state) <= 64);
  CHECK(digest_size == 32 || digest_size == 64);
  CHECK(key.size() <= crypto_generichash_KEYBYTES_MAX);
  CHECK(crypto_generichash_init(State(state_), key.data(), key.size(), digest_size) == 0);
  const size_t label_size = kLabelPrefix.size() + label.size();
  CHECK(label_size <= 0xff);
  const uint8_t size_byte = static_cast<uint8_t>(label_size);
  Update(state_, {&size_byte, 1});
  Update(state_, base::AsBytes(kLabelPrefix));
  Update(state_, base::AsBytes(label));
}

Hasher::~Hasher() { Wipe(state_); }

Hasher& Hasher::Add(base::ByteView part) {
  UpdateLength(state_, part.size());
  Update(state_, part);
  return *this;
}

Hasher& Hasher::AddU64(uint64_t part) {
  uint8_t bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(part >> (56 - 8 * i));
  return Add(base::ByteView(bytes));
}

Digest Hasher::Finish() {
  CHECK(digest_size_ == 32);
  Digest digest;
  CHECK(crypto_generichash_final(State(state_), digest.data(), digest.size()) == 0);
  return digest;
}

Digest512 Hasher::Finish512() {
  CHECK(digest_size_ == 64);
  Digest512 digest;
  CHECK(crypto_generichash_final(State(state_), digest.data(), digest.size()) == 0);
  return digest;
}

Digest Hash(std::string_view label, std::initializer_list<base::ByteView> parts) { return KeyedHash({}, label, parts); }

Digest KeyedHash(base::ByteView key, std::string_view label, std::initializer_list<base::ByteView> parts) {
  Hasher hasher(label, key);
  for (base::ByteView part : parts) hasher.Add(part);
  return hasher.Finish();
}

}  // namespace keys
