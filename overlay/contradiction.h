// SPDX-License-Identifier: Apache-2.0
// overlay/contradiction.h — two tables that one virtual node signed and of which only one can be true: a proof that anybody can
// check.
//
// What an honest node never signs. Each table says that with times in (after, issued] it is its owner's only one, and an honest
// owner signs its next one with after = the last one's issued: whatever happens to its neighbours, to its clock and to its
// process, its spans follow each other and never meet (RingDriver::table: the time goes up even if the clock goes back, and how
// far it got is kept on disk). So a *contradiction* is two tables of one point with different content whose spans meet. Nobody
// but the signer can make one: no other's word, no other's clock and no other's silence is part of it. What is no contradiction,
// though it may be a lie: a member left out, a finger too far away, a table that changes too often. An honest node that could not
// reach somebody signs the same; those are refused (circuits/table_check.h), nobody is convicted of them. So a liar may tell one
// story to all, and even two: if he signs each for a second of its own, both are good for ten minutes, and their spans never
// meet. What is caught is one who takes no such care, and a key that runs twice (docs/decisions/0020).
//
//   contradiction = len 2 head ‖ len 2 head     (TableHead; the one that was issued first is first, then the lesser bytes)
// At most kContradictionMax bytes, two signatures to check. Pure.
#pragma once

#include "overlay/routing_table.h"

namespace overlay {

inline constexpr size_t kContradictionMax = 2 * (2 + kTableHeadMax);
inline constexpr absl::Duration kConvictionFor = absl::Hours(7 * 24);  // from the later table on: an epoch

struct Contradiction {
  TableHead first, second;
  base::Bytes encoded;

  const keys::PublicKey& signer() const { return first.owner.node_key; }
  absl::Time until() const { return second.issued + kConvictionFor; }
};

bool Contradict(const TableHead& a, const TableHead& b);
// They do contradict.
Contradiction MakeContradiction(TableHead a, TableHead b);

// InvalidArgument: another shape, no contradiction, or over for more than an hour; Unauthenticated: a signature; Unavailable:
// over for less, or from the future, which may be a matter of whose clock is right.
absl::StatusOr<Contradiction> DecodeContradiction(const Network& network, base::ByteView bytes, absl::Time wall_now);
// Whom it is about, and until when, if it is one; nothing of it is verified.
struct Accusation {
  keys::PublicKey accused;
  absl::Time until;
};
std::optional<Accusation> ReadAccusation(const Network& network, base::ByteView bytes);

}  // namespace overlay
