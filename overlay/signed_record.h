// SPDX-License-Identifier: Apache-2.0
// overlay/signed_record.h — what descriptors and routing tables have in common: version, network, lifetime, signature.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "keys/identity.h"
#include "overlay/network.h"

namespace overlay {

inline constexpr absl::Duration kDescriptorClockTolerance = absl::Hours(1);  // clocks of honest nodes may be off by this

//   version 2 ‖ len 1 network
void WriteRecordHead(const Network& network, base::ByteWriter& writer);
// FailedPrecondition, with a text for the user, if version or network differ.
absl::Status ReadRecordHead(const Network& network, base::ByteReader& reader);

// Appends the signature over H(label, all before).
base::Bytes SignRecord(std::string_view label, const keys::SigningKey& key, base::ByteWriter writer);
// `encoded` ends in a signature of `key`; Unauthenticated if not.
absl::Status VerifyRecord(std::string_view label, const keys::PublicKey& key, base::ByteView encoded);

// Unavailable (kRecordExpired) if it has expired, InvalidArgument (kLifetimeOutOfBounds) if it is from the future or lives longer
// than records of its sort may.
inline constexpr char kRecordExpired[] = "record has expired", kLifetimeOutOfBounds[] = "lifetime out of bounds";
absl::Status CheckLifetime(absl::Duration longest, absl::Time issued, absl::Time expires, absl::Time wall_now);

}  // namespace overlay
