// SPDX-License-Identifier: Apache-2.0
#include "overlay/contradiction.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "base/status_macros.h"
#include "overlay/signed_record.h"

namespace overlay {
namespace {

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
  if (contradiction.second.issued > wall_now + kDescriptorClockTolerance) return absl::InvalidArgumentError("from the future");
  if (contradiction.until() <= wall_now) return absl::UnavailableError("contradiction has expired");
  return contradiction;
}

std::optional<keys::PublicKey> AccusedBy(const Network& network, base::ByteView bytes) {
  base::ByteReader outer(bytes);
  base::ByteReader head(outer.Long());
  if (!ReadRecordHead(network, head).ok()) return std::nullopt;
  const keys::PublicKey accused{head.Array<32>()};
  return head.ok() ? std::optional(accused) : std::nullopt;
}

}  // namespace overlay
