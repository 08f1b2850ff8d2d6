// SPDX-License-Identifier: Apache-2.0
#include "circuits/relay_cell.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"

namespace circuits {
namespace {

bool IsRelayCommand(uint8_t command) {
  return command >= static_cast<uint8_t>(RelayCommand::kExtend) && command <= static_cast<uint8_t>(kLastRelayCommand);
}

}  // namespace

RelayTail EncodeRelayCell(RelayCommand command, base::ByteView payload, base::Rng& rng, RelayBody body) {
  CHECK(payload.size() <= kRelayPayloadMax);
  std::fill(body.begin(), body.begin() + kRelayHeaderSize, uint8_t{0});
  body[16] = static_cast<uint8_t>(command);
  body[20] = static_cast<uint8_t>(payload.size() >> 8);
  body[21] = static_cast<uint8_t>(payload.size());
  std::copy(payload.begin(), payload.end(), body.begin() + kRelayHeaderSize);
  rng.Fill(body.subspan(kRelayHeaderSize + payload.size()));
  return TailOf(body);
}

bool IsRecognised(RelayBodyView body) {
  uint8_t any = 0;
  for (size_t i = 0; i < kRecognisedSize; ++i) any |= body[i];
  return any == 0;
}

RelayTail TailOf(RelayBodyView body) {
  RelayTail tail;
  std::copy(body.end() - kRelayTailSize, body.end(), tail.begin());
  return tail;
}

absl::StatusOr<RelayCell> DecodeRelayCell(RelayBodyView body) {
  base::ByteReader reader(body);
  reader.Take(kRecognisedSize);
  const uint8_t command = reader.U8(), flags = reader.U8();
  const uint16_t stream = reader.U16(), length = reader.U16(), zero = reader.U16();
  if (!IsRecognised(body)) return absl::InvalidArgumentError("relay cell is not recognised");
  if (!IsRelayCommand(command)) return absl::InvalidArgumentError(absl::StrCat("relay command ", command));
  if (flags != 0 || stream != 0 || zero != 0) return absl::InvalidArgumentError("relay cell with reserved bits");
  if (length > kRelayPayloadMax) return absl::InvalidArgumentError(absl::StrCat("relay payload of ", length, " bytes"));
  return RelayCell{static_cast<RelayCommand>(command), base::ToBytes(reader.Take(length))};
}

base::Bytes EncodeExtend(base::ByteView onion_skin, base::ByteView descriptor) {
  return base::ByteWriter().Append(onion_skin).Append(descriptor).Take();
}

absl::StatusOr<ExtendRequest> DecodeExtend(base::ByteView payload) {
  if (payload.size() <= keys::kOnionSkinSize || payload.size() > keys::kOnionSkinSize + overlay::kDescriptorMax) {
    return absl::InvalidArgumentError(absl::StrCat("EXTEND of ", payload.size(), " bytes"));
  }
  return ExtendRequest{base::ToBytes(payload.first(keys::kOnionSkinSize)), base::ToBytes(payload.subspan(keys::kOnionSkinSize))};
}

std::vector<base::Bytes> SplitTable(base::ByteView table) {
  const size_t parts = (table.size() + kTablePartMax - 1) / kTablePartMax;
  CHECK(parts <= kTablePartsMax);
  if (parts == 0) return {base::Bytes{0, 0}};
  std::vector<base::Bytes> payloads;
  for (size_t part = 0; part < parts; ++part) {
    const base::ByteView bytes =
        table.subspan(part * kTablePartMax, std::min(kTablePartMax, table.size() - part * kTablePartMax));
    payloads.push_back(base::ByteWriter().U8(static_cast<uint8_t>(part)).U8(static_cast<uint8_t>(parts)).Append(bytes).Take());
  }
  return payloads;
}

absl::StatusOr<bool> TableAssembly::Add(base::ByteView payload) {
  base::ByteReader reader(payload);
  const size_t part = reader.U8(), parts = reader.U8();
  const base::ByteView bytes = reader.Rest();
  if (!reader.ok() || part != next_ || parts > kTablePartsMax || (next_ > 0 && parts != parts_)) {
    return absl::InvalidArgumentError("part of a table out of place");
  }
  if (parts == 0) {
    if (!bytes.empty()) return absl::InvalidArgumentError("no table, yet bytes of one");
    return true;
  }
  // Every part but the last is full: one table has one encoding.
  if (part >= parts || bytes.empty() || (part + 1 < parts && bytes.size() != kTablePartMax)) {
    return absl::InvalidArgumentError("part of a table of a wrong size");
  }
  parts_ = parts;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return ++next_ == parts_;
}

base::Bytes EncodeDescriptorKeys(const std::vector<keys::PublicKey>& node_keys) {
  CHECK(!node_keys.empty() && node_keys.size() <= kDescriptorKeysMax);
  base::ByteWriter writer;
  for (const keys::PublicKey& key : node_keys) writer.Append(key.view());
  return writer.Take();
}

absl::StatusOr<std::vector<keys::PublicKey>> DecodeDescriptorKeys(base::ByteView payload) {
  constexpr size_t kKeySize = 32;
  if (payload.empty() || payload.size() % kKeySize != 0 || payload.size() / kKeySize > kDescriptorKeysMax) {
    return absl::InvalidArgumentError(absl::StrCat("DESCRIPTOR of ", payload.size(), " bytes"));
  }
  std::vector<keys::PublicKey> node_keys;
  base::ByteReader reader(payload);
  while (reader.left() > 0) node_keys.push_back({reader.Array<kKeySize>()});
  return node_keys;
}

}  // namespace circuits
