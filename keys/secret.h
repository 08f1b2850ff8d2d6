// SPDX-License-Identifier: Apache-2.0
// keys/secret.h — N secret bytes: move-only, locked in memory, wiped at the end, unprintable, compared in constant time.
#pragma once

#include <cstddef>
#include <span>

#include "base/bytes.h"
#include "base/rng.h"

namespace keys {

// Guarded memory from libsodium (sodium_malloc: locked, guard pages, canary). A failed lock ends the process with a message:
// a secret that may reach the swap is no secret. Secrets of up to 32 bytes share such pages, 127 to a page: with a page each, a
// process under the usual limits (8 MiB locked, 65,530 mappings) could hold 2,000 of them, and simulations hold 10,000 nodes.
class SecretBytes {
 public:
  explicit SecretBytes(size_t size);
  ~SecretBytes();
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;

  std::span<uint8_t> mutable_view() { return {data_, size_}; }
  base::ByteView view() const { return {data_, size_}; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_;
  size_t size_;
};

// For few, long-lived secrets: identity, node and onion keys. Short-lived key material of circuits uses WipedArray.
template <size_t N>
class Secret {
 public:
  Secret() : bytes_(N) {}
  explicit Secret(base::ByteView source);  // CHECKs source.size() == N
  static Secret Random(base::Rng& rng) {
    Secret secret;
    rng.Fill(secret.mutable_view());
    return secret;
  }
  Secret Clone() const { return Secret(view()); }

  std::span<uint8_t, N> mutable_view() { return bytes_.mutable_view().template first<N>(); }
  std::span<const uint8_t, N> view() const { return bytes_.view().template first<N>(); }

 private:
  SecretBytes bytes_;
};

// Plain memory that is wiped when it goes: for keys by the thousand (two per circuit hop and direction).
template <size_t N>
class WipedArray {
 public:
  WipedArray() = default;
  explicit WipedArray(std::span<const uint8_t, N> source) { std::copy(source.begin(), source.end(), bytes_); }
  WipedArray(const WipedArray&) = default;
  WipedArray& operator=(const WipedArray&) = default;
  ~WipedArray();

  std::span<uint8_t, N> mutable_view() { return bytes_; }
  std::span<const uint8_t, N> view() const { return bytes_; }

 private:
  uint8_t bytes_[N] = {};
};

bool ConstantTimeEqual(base::ByteView a, base::ByteView b);
void Wipe(std::span<uint8_t> bytes);

template <size_t N>
Secret<N>::Secret(base::ByteView source) : bytes_(N) {
  if (source.size() != N) __builtin_trap();
  std::copy(source.begin(), source.end(), bytes_.mutable_view().begin());
}
template <size_t N>
WipedArray<N>::~WipedArray() {
  Wipe(bytes_);
}

}  // namespace keys
