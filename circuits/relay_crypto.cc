// SPDX-License-Identifier: Apache-2.0
#include "circuits/relay_crypto.h"

#include <algorithm>

#include "base/check.h"
#include "keys/hash.h"

namespace circuits {

LayerState::LayerState(Direction direction, std::span<const uint8_t, 32> layer_key, const std::array<uint8_t, 16>& start_tweak)
    : direction_(direction), layer_key_(layer_key), cipher_(layer_key), previous_tail_(start_tweak) {}

std::array<uint8_t, kTweakSize> LayerState::Tweak(overlay::CellCommand command) const {
  std::array<uint8_t, kTweakSize> tweak{};
  tweak[0] = static_cast<uint8_t>(direction_);
  tweak[1] = static_cast<uint8_t>(command);
  for (size_t i = 0; i < 8; ++i) tweak[8 + i] = static_cast<uint8_t>(counter_ >> (8 * i));
  std::copy(previous_tail_.begin(), previous_tail_.end(), tweak.begin() + 16);
  return tweak;
}

void LayerState::Encrypt(overlay::CellCommand command, RelayBody body) {
  const RelayTail tail = TailOf(body);
  cipher_.Encrypt(Tweak(command), body);
  Advance(tail);
}

void LayerState::Decrypt(overlay::CellCommand command, RelayBody body) {
  cipher_.Decrypt(Tweak(command), body);
  Advance(TailOf(body));
}

void LayerState::Advance(const RelayTail& plaintext_tail) {
  previous_tail_ = plaintext_tail;
  if (++counter_ % kRekeyEvery != 0) return;
  keys::Digest next = keys::KeyedHash(layer_key_.view(), "rekey", {});
  layer_key_ = keys::WipedArray<32>(std::span<const uint8_t, 32>(next));
  keys::Wipe(next);
  cipher_ = keys::HPolyC(layer_key_.view());
}

HopLayer::HopLayer(const keys::HopKeys& keys)
    : forward_(Direction::kForward, keys.forward_key.view(), keys.forward_tweak),
      backward_(Direction::kBackward, keys.backward_key.view(), keys.backward_tweak) {}

bool HopLayer::DecryptForward(overlay::CellCommand command, RelayBody body) {
  forward_.Decrypt(command, body);
  return IsRecognised(body);
}

void HopLayer::EncryptBackward(overlay::CellCommand command, RelayBody body) { backward_.Encrypt(command, body); }

void OriginLayers::AddHop(const keys::HopKeys& keys) {
  hops_.push_back({LayerState(Direction::kForward, keys.forward_key.view(), keys.forward_tweak),
                   LayerState(Direction::kBackward, keys.backward_key.view(), keys.backward_tweak)});
}

void OriginLayers::Truncate(size_t count) {
  while (hops_.size() > count) hops_.pop_back();
}

void OriginLayers::EncryptForward(size_t hop, overlay::CellCommand command, RelayBody body) {
  CHECK(hop < hops_.size());
  for (size_t i = hop + 1; i > 0; --i) hops_[i - 1].forward.Encrypt(command, body);
}

bool OriginLayers::DecryptBackward(size_t speaker, overlay::CellCommand command, RelayBody body) {
  for (size_t i = 0; i < hops_.size() && i <= speaker; ++i) {
    hops_[i].backward.Decrypt(command, body);
    if (IsRecognised(body)) return i == speaker;
  }
  return false;
}

}  // namespace circuits
