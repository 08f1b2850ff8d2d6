// SPDX-License-Identifier: Apache-2.0
// circuits/relay_cell.h — the inner cell: what a hop and the client say to each other once every layer is off.
//
//   offset size field           2,040 bytes, big-endian (protocol.md 5)
//        0   16 recognised      zero: this cell is for the hop that sees it so
//       16    1 relay command   RelayCommand
//       17    1 flags           zero
//       18    2 stream id       zero: the circuit itself, the only stream there is
//       20    2 length          bytes of payload that count, at most kRelayPayloadMax
//       22    2 zero
//       24 2000 payload         random where unused
//     2024   16 random          acknowledged by SENDME
//
// Payloads, by command. c: client to hop, h: hop to client. The client asks one thing at a time.
//   EXTEND            c  onion skin 145 ‖ descriptor of the next hop (only inside RELAY_EARLY)
//   EXTENDED          h  onion reply 80
//   SENDME          c h  the last 16 bytes of the 32nd cell
//   TABLE             c  index 1 of the virtual node
//   TABLE_PART        h  part 1 ‖ parts 1 ‖ bytes; one part 0 of 0 without bytes: there is no such table
//   DESCRIPTOR        c  node keys, 1 to kDescriptorKeysMax, 32 each
//   DESCRIPTOR_REPLY  h  one for each key, in order: a descriptor, or nothing if the answerer has none for it
//   REQUEST           c  for the endpoint (endpoint.h)
//   ANSWER            h  from it
// Only where BULBIL_BULK_STREAMS is defined, in tests and benchmarks (bulk_stream.cc); the shipped program refuses them:
//   BULK_ASK          c  cells down 4 ‖ cells up 4
//   BULK            c h  test traffic; one more backward when all cells up have come
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "keys/onion_handshake.h"
#include "overlay/cell.h"
#include "overlay/descriptor.h"
#include "overlay/routing_table.h"

namespace circuits {

inline constexpr size_t kRelayHeaderSize = 24, kRelayPayloadMax = 2000, kRelayTailSize = 16, kRecognisedSize = 16;
static_assert(kRelayHeaderSize + kRelayPayloadMax + kRelayTailSize == overlay::kCellBodySize);

enum class RelayCommand : uint8_t {
  kExtend = 1,
  kExtended = 2,
  kSendme = 3,
  kTable = 4,
  kTablePart = 5,
  kDescriptor = 6,
  kDescriptorReply = 7,
  kRequest = 8,
  kAnswer = 9,
#ifdef BULBIL_BULK_STREAMS
  kBulkAsk = 10,
  kBulk = 11,
#endif
};
#ifdef BULBIL_BULK_STREAMS
inline constexpr RelayCommand kLastRelayCommand = RelayCommand::kBulk;
#else
inline constexpr RelayCommand kLastRelayCommand = RelayCommand::kAnswer;
#endif

using RelayBody = std::span<uint8_t, overlay::kCellBodySize>;
using RelayBodyView = std::span<const uint8_t, overlay::kCellBodySize>;
using RelayTail = std::array<uint8_t, kRelayTailSize>;

struct RelayCell {
  RelayCommand command = RelayCommand::kSendme;
  base::Bytes payload;
};

// Fills the body and returns its tail. CHECKs that the payload fits.
RelayTail EncodeRelayCell(RelayCommand command, base::ByteView payload, base::Rng& rng, RelayBody body);
bool IsRecognised(RelayBodyView body);
RelayTail TailOf(RelayBodyView body);
// InvalidArgument: not recognised, unknown command, a reserved field that is not zero, a length that is too great.
absl::StatusOr<RelayCell> DecodeRelayCell(RelayBodyView body);

inline constexpr size_t kTablePartMax = kRelayPayloadMax - 2;
inline constexpr size_t kTablePartsMax = (overlay::kTableMax + kTablePartMax - 1) / kTablePartMax;
inline constexpr size_t kDescriptorKeysMax = 32;  // of one question: its answers stay below one window

struct ExtendRequest {
  base::Bytes onion_skin, descriptor;
};
base::Bytes EncodeExtend(base::ByteView onion_skin, base::ByteView descriptor);
absl::StatusOr<ExtendRequest> DecodeExtend(base::ByteView payload);

// The payloads of the TABLE_PART cells of one table; an empty table gives the one that says there is none.
std::vector<base::Bytes> SplitTable(base::ByteView table);
// Puts them together again: parts in order, all of the same count, at most kTablePartsMax.
class TableAssembly {
 public:
  // True when the table is whole; InvalidArgument for a part that does not fit.
  absl::StatusOr<bool> Add(base::ByteView payload);
  base::Bytes Take() { return std::move(bytes_); }

 private:
  size_t parts_ = 0, next_ = 0;
  base::Bytes bytes_;
};

base::Bytes EncodeDescriptorKeys(const std::vector<keys::PublicKey>& node_keys);
absl::StatusOr<std::vector<keys::PublicKey>> DecodeDescriptorKeys(base::ByteView payload);

}  // namespace circuits
