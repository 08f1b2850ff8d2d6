// SPDX-License-Identifier: Apache-2.0
#include "keys/secret.h"

#include <sodium.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

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

// Slots for the secrets of ordinary size, many to a guarded page; a slot is all zero while it is free. Pages are kept for reuse,
// so their number is that of the most secrets ever held at once, divided by kSlotsPerPage.
class SlotPool {
 public:
  static constexpr size_t kSlotSize = 32;
  static constexpr size_t kSlotsPerPage = 127;  // with libsodium's canary of 16 bytes just under 4,096

  static SlotPool& Get() {
    static SlotPool* const pool = new SlotPool;  // never destroyed: static secrets may outlive it
    return *pool;
  }

  uint8_t* Take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) AddPage();
    uint8_t* const slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void Return(uint8_t* slot) {
    sodium_memzero(slot, kSlotSize);
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
  }

 private:
  void AddPage() {
    uint8_t* const page = AllocateGuarded(kSlotSize * kSlotsPerPage);
    for (size_t i = kSlotsPerPage; i > 0; --i) free_.push_back(page + (i - 1) * kSlotSize);
  }

  std::mutex mutex_;
  std::vector<uint8_t*> free_;
};

}  // namespace

SecretBytes::SecretBytes(size_t size)
    : data_(size <= SlotPool::kSlotSize ? SlotPool::Get().Take() : AllocateGuarded(size)), size_(size) {}

SecretBytes::~SecretBytes() {
  if (data_ == nullptr) return;
  if (size_ <= SlotPool::kSlotSize) {
    SlotPool::Get().Return(data_);
  } else {
    sodium_free(data_);
  }
}

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
