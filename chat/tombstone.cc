// SPDX-License-Identifier: Apache-2.0
#include "chat/tombstone.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/blinded_key.h"
#include "keys/hash.h"

namespace chat {

namespace {

constexpr size_t kCountOffset = 37;

base::Bytes JoinIds(const std::vector<dht::RecordId>& ids) {
  base::ByteWriter out;
  for (const dht::RecordId& id : ids) out.Append(id);
  return out.Take();
}

keys::Digest SignedDigest(const Tombstone& tombstone, std::string_view network) {
  return keys::Hasher("door-del")
      .Add(network)
      .Add(tombstone.door.blinded.view())
      .AddU64(tombstone.door.day)
      .Add(base::ByteView(&tombstone.place, 1))
      .Add(JoinIds(tombstone.ids))
      .Finish();
}

dht::RecordId TombstoneId(const overlay::NodeId& point, Day day, base::ByteView body) {
  const uint8_t kind = static_cast<uint8_t>(dht::Kind::kTombstone);
  return keys::Hasher("tombstone-id").Add(base::ByteView(&kind, 1)).Add(point.view()).AddU64(day).Add(body).Finish();
}

bool StrictlyAscending(const std::vector<dht::RecordId>& ids) {
  return std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) == ids.end();
}

}  // namespace

absl::StatusOr<Tombstone> SignTombstone(const keys::SigningKey& identity, std::string_view network, Day day, uint8_t place,
                                        std::vector<dht::RecordId> ids, base::Rng& rng) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  CHECK(!ids.empty() && ids.size() <= kTombstoneIdsMax && place < kPlaceCount);
  Tombstone tombstone;
  ASSIGN_OR_RETURN(tombstone.door, DoorOf(identity.public_key(), network, day));
  tombstone.place = place;
  tombstone.ids = std::move(ids);
  ASSIGN_OR_RETURN(tombstone.signature, keys::SignBlinded(identity, network, day, SignedDigest(tombstone, network), rng));
  return tombstone;
}

bool VerifyTombstone(const Tombstone& tombstone, std::string_view network) {
  return keys::Verify(tombstone.door.blinded, SignedDigest(tombstone, network), tombstone.signature);
}

base::Bytes EncodeTombstone(const Tombstone& tombstone) {
  base::ByteWriter out;
  out.Append(tombstone.door.blinded.view()).U32(tombstone.door.day).U8(tombstone.place);
  out.U8(static_cast<uint8_t>(tombstone.ids.size())).Append(JoinIds(tombstone.ids)).Append(tombstone.signature);
  return out.Take();
}

absl::StatusOr<Tombstone> DecodeTombstone(base::ByteView body) {
  base::ByteReader in(body);
  Tombstone tombstone;
  tombstone.door.blinded.bytes = in.Array<32>();
  tombstone.door.day = in.U32();
  tombstone.place = in.U8();
  const size_t count = in.U8();
  if (!in.ok() || tombstone.place >= kPlaceCount || count == 0 || count > kTombstoneIdsMax) {
    return absl::InvalidArgumentError("tombstone with a wrong head");
  }
  for (size_t i = 0; i < count; ++i) tombstone.ids.push_back(in.Array<32>());
  tombstone.signature = in.Array<64>();
  if (!in.Done()) return absl::InvalidArgumentError("tombstone of a wrong size");
  if (!StrictlyAscending(tombstone.ids)) return absl::InvalidArgumentError("tombstone with ids out of order");
  return tombstone;
}

size_t TombstoneIdCount(base::ByteView body) { return body.size() > kCountOffset ? body[kCountOffset] : 0; }

dht::Record MakeTombstoneRecord(const Tombstone& tombstone) {
  dht::Record record;
  record.body = EncodeTombstone(tombstone);
  record.name.kind = dht::Kind::kTombstone;
  record.name.point = tombstone.door.Point(tombstone.place);
  record.name.id = TombstoneId(record.name.point, tombstone.door.day, record.body);
  record.expiry = TombstoneExpiry(tombstone.door.day);
  return record;
}

absl::StatusOr<Tombstone> ReadTombstoneRecord(const dht::Record& record) {
  ASSIGN_OR_RETURN(Tombstone tombstone, DecodeTombstone(record.body));
  if (MakeTombstoneRecord(tombstone) != record) return absl::InvalidArgumentError("tombstone under a wrong name or expiry");
  return tombstone;
}

}  // namespace chat
