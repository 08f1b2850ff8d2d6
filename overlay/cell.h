// SPDX-License-Identifier: Apache-2.0
// overlay/cell.h — the unit of a link: 2,048 bytes, always (design.md 5).
//
//   offset size field
//        0    4 circuit id   chosen by the side that opened it; its top bit is 1 if that side has the greater TLS key; never 0
//        4    1 command      CellCommand
//        5    3 zero
//        8 2040 body         what it means is for circuits/ to know
// Non-zero reserved bytes and unknown commands close the link (protocol.md 3).
#pragma once

#include <array>
#include <span>

#include "absl/status/status.h"
#include "base/bytes.h"

namespace overlay {

inline constexpr size_t kCellSize = 2048, kCellHeaderSize = 8, kCellBodySize = 2040;
static_assert(kCellHeaderSize + kCellBodySize == kCellSize);

enum class CellCommand : uint8_t { kPadding = 0, kCreate = 1, kCreated = 2, kRelay = 3, kRelayEarly = 4, kDestroy = 5 };

using CircuitId = uint32_t;
inline constexpr CircuitId kCircuitIdTopBit = 0x80000000u;

// A cell in memory is its bytes on the wire; the accessors read and write them in place.
struct Cell {
  std::array<uint8_t, kCellSize> bytes{};

  Cell() = default;
  Cell(CircuitId circuit_id, CellCommand command) {
    SetCircuitId(circuit_id);
    SetCommand(command);
  }
  CircuitId circuit_id() const {
    return static_cast<CircuitId>(bytes[0]) << 24 | static_cast<CircuitId>(bytes[1]) << 16 | static_cast<CircuitId>(bytes[2]) << 8 |
           bytes[3];
  }
  CellCommand command() const { return static_cast<CellCommand>(bytes[4]); }
  void SetCircuitId(CircuitId id) {
    for (int i = 0; i < 4; ++i) bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(id >> (24 - 8 * i));
  }
  void SetCommand(CellCommand command) { bytes[4] = static_cast<uint8_t>(command); }
  std::span<uint8_t, kCellBodySize> body() { return std::span(bytes).subspan<kCellHeaderSize>(); }
  std::span<const uint8_t, kCellBodySize> body() const { return std::span(bytes).subspan<kCellHeaderSize>(); }
};

// Of a cell that has come in: InvalidArgument for an unknown command or reserved bytes that are not zero. Circuit ids are judged
// by the circuits.
absl::Status CheckCell(const Cell& cell);

}  // namespace overlay
