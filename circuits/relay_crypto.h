// SPDX-License-Identifier: Apache-2.0
// circuits/relay_crypto.h — the onion layers of a circuit: one HPolyC key and one chained tweak per hop and direction.
//
// Source: protocol.md 5; the chained tweak after Tor's proposal 308 and 359 (what they gain against tagging).
//   tweak, 32 bytes:  direction 1 ‖ cell command 1 ‖ zero 6 ‖ ctr 8, little-endian ‖ T 16
//   T    = the last 16 bytes of the *plaintext side of this layer* for the previous cell of that direction
//   ctr  = cells of that direction so far; after every 256th K' = H(key = K, "rekey"), ctr and T go on
// The plaintext side: forward what the relay's decryption yields, backward what the relay is about to encrypt. So a bit that
// is flipped on the way garbles that cell for every hop behind it and all cells after it, and the last hop destroys the circuit.
// A state moves only for cells that pass through its layer: a cell for or from hop k uses the layers 1..k.
#pragma once

#include <optional>
#include <vector>

#include "circuits/relay_cell.h"
#include "keys/hpolyc.h"
#include "keys/onion_handshake.h"

namespace circuits {

inline constexpr uint64_t kRekeyEvery = 256;  // cells of one direction
inline constexpr size_t kTweakSize = 32;

enum class Direction : uint8_t { kForward = 1, kBackward = 2 };  // away from the client; towards it

// One layer in one direction. Both ends hold one, move it cell by cell, and never resynchronise: a lost cell kills the circuit.
class LayerState {
 public:
  LayerState(Direction direction, std::span<const uint8_t, 32> layer_key, const std::array<uint8_t, 16>& start_tweak);

  void Encrypt(overlay::CellCommand command, RelayBody body);
  void Decrypt(overlay::CellCommand command, RelayBody body);

 private:
  std::array<uint8_t, kTweakSize> Tweak(overlay::CellCommand command) const;
  void Advance(const RelayTail& plaintext_tail);

  Direction direction_;
  keys::WipedArray<32> layer_key_;
  keys::HPolyC cipher_;
  uint64_t counter_ = 0;
  RelayTail previous_tail_;
};

// A relay's two layers of one circuit.
class HopLayer {
 public:
  explicit HopLayer(const keys::HopKeys& keys);

  // Takes the layer off; true if the cell is for this hop.
  bool DecryptForward(overlay::CellCommand command, RelayBody body);
  void EncryptBackward(overlay::CellCommand command, RelayBody body);

 private:
  LayerState forward_, backward_;
};

// The client's layers: all hops of a circuit, the guard first. Hops are counted from 0.
class OriginLayers {
 public:
  void AddHop(const keys::HopKeys& keys);
  // Forgets the hops behind the first `count`: another one takes their place.
  void Truncate(size_t count);
  size_t hop_count() const { return hops_.size(); }

  // Wraps a cell for that hop: layers hop..0.
  void EncryptForward(size_t hop, overlay::CellCommand command, RelayBody body);
  // Peels one layer at a time until the cell is recognised. True only if that happened at `speaker`, the one hop that may
  // speak now; on false the circuit must go, its layers no longer agree with those of the relays.
  bool DecryptBackward(size_t speaker, overlay::CellCommand command, RelayBody body);

 private:
  struct Hop {
    LayerState forward, backward;
  };
  std::vector<Hop> hops_;
};

}  // namespace circuits
