// SPDX-License-Identifier: Apache-2.0
#include "overlay/contradiction.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "base/status_macros.h"
#include "keys/hash.h"
#include "overlay/signed_record.h"

namespace overlay {
namespace {

constexpr size_t kFromIssued = 8 + 8 + sizeof(keys::Digest) + sizeof(keys::Signature);  // to the end of a head

// Without the signature: of one content there may be several.
base::ByteView ContentOf(const TableHead& head) {
  return base::ByteView(head.encoded).first(head.encoded.size() - sizeof(keys::Signature));
}

bool SameContent(const TableHead& a, const TableHead& b) {
  const base::ByteView x = ContentOf(a), y = ContentOf(b);
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

}  // namespace

bool Contradict(const TableHead& a, const TableHead& b) {
  return a.owner.point == b.owner.point && a.after < b.issued && b.after < a.issued && !SameContent(a, b);
}

Contradiction MakeContradiction(TableHead a, TableHead b) {
  CHECK(Contradict(a, b));
  if (std::tie(b.issued, b.encoded) < std::tie(a.issued, a.encoded)) std::swap(a, b);
  base::ByteWriter writer;
  writer.Long(a.encoded).Long(b.encoded);
  return {std::move(a), std::move(b), writer.Take()};
}

absl::StatusOr<Contradiction> DecodeContradiction(const Network& network, base::ByteView bytes, absl::Time wall_now) {
  if (bytes.size() > kContradictionMax) return absl::InvalidArgumentError("contradiction too long");
  base::ByteReader reader(bytes);
  const base::ByteView first = reader.Long(), second = reader.Long();
  if (!reader.Done()) return absl::InvalidArgumentError("contradiction of a wrong length");
  ASSIGN_OR_RETURN(TableHead a, DecodeTableHead(network, first));
  ASSIGN_OR_RETURN(TableHead b, DecodeTableHead(network, second));
  if (!Contradict(a, b)) return absl::InvalidArgumentError("no contradiction");
  Contradiction contradiction = MakeContradiction(std::move(a), std::move(b));
  if (!std::equal(bytes.begin(), bytes.end(), contradiction.encoded.begin(), contradiction.encoded.end())) {
    return absl::InvalidArgumentError("contradiction in a wrong order");
  }
  if (contradiction.second.issued > wall_now + kDescriptorClockTolerance) return absl::UnavailableError("from the future");
  if (contradiction.until() > wall_now) return contradiction;
  if (contradiction.until() > wall_now - kDescriptorClockTolerance) return absl::UnavailableError("contradiction has expired");
  return absl::InvalidArgumentError("contradiction that has expired by any clock");
}

std::optional<Accusation> ReadAccusation(const Network& network, base::ByteView bytes) {
  base::ByteReader outer(bytes);
  base::ByteReader first(outer.Long());
  const base::ByteView second = outer.Long();
  if (!outer.Done() || second.size() < kFromIssued || !ReadRecordHead(network, first).ok()) return std::nullopt;
  const keys::PublicKey accused{first.Array<32>()};
  const uint64_t issued = base::ByteReader(second.last(kFromIssued)).U64();
  if (!first.ok() || issued > kTableSecondsMax) return std::nullopt;
  return Accusation{accused, absl::FromUnixSeconds(static_cast<int64_t>(issued)) + kConvictionFor};
}

}  // namespace overlay
