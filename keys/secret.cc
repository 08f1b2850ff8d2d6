// SPDX-License-Identifier: Apache-2.0
#include "keys/secret.h"

#include <sodium.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace keys {
namespace {

[[noreturn]] void NoGuardedMemory(size_t size) {
  std::fprintf(stderr,
               "bulbil: cannot lock %zu bytes of memory for a secret; it could reach the swap\n"
               "  fix: raise the limit of locked memory (ulimit -l, or LimitMEMLOCK= in the unit)\n",
               size);
  std::abort();
}

// sodium_malloc locks its pages but hides whether that worked, so the lock is asked for once more: on locked pages it is a no-op.
uint8_t* AllocateGuarded(size_t size) {
  auto* data = static_cast<uint8_t*>(sodium_malloc(size));
  if (data == nullptr || sodium_mlock(data, size) != 0) NoGuardedMemory(size);
  sodium_memzero(data, size);
  return data;
}

}  // namespace

SecretBytes::SecretBytes(size_t size) : data_(AllocateGuarded(size)), size_(size) {}

SecretBytes::~SecretBytes() { sodium_free(data_); }

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

bool ConstantTimeEqual(base::ByteView a, base::ByteView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

void Wipe(std::span<uint8_t> bytes) { sodium_memzero(bytes.data(), bytes.size()); }

}  // namespace keys
