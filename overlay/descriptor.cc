// SPDX-License-Identifier: Apache-2.0
#include "overlay/descriptor.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "overlay/admission.h"
#include "overlay/signed_record.h"

namespace overlay {
namespace {

constexpr char kLabel[] = "descriptor";

}  // namespace

Descriptor SignDescriptor(const Network& network, const keys::SigningKey& node_key, const keys::X25519Public& onion_key, Role role,
                          std::string address, base::Bytes admission, absl::Time wall_now) {
  CHECK(address.size() <= kAddressMax && admission.size() <= kAdmissionMax);
  const int64_t issued = absl::ToUnixSeconds(wall_now);
  const int64_t expires = issued + absl::ToInt64Seconds(network.descriptor_lifetime);
  base::ByteWriter writer;
  WriteRecordHead(network, writer);
  writer.Append(node_key.public_key().view()).Append(onion_key).U8(static_cast<uint8_t>(role));
  writer.Short(base::AsBytes(address)).Short(admission);
  writer.U64(static_cast<uint64_t>(issued)).U64(static_cast<uint64_t>(expires));
  return {node_key.public_key(), onion_key, role, std::move(address), std::move(admission),
          absl::FromUnixSeconds(issued), absl::FromUnixSeconds(expires), SignRecord(kLabel, node_key, std::move(writer))};
}

absl::StatusOr<Descriptor> DecodeDescriptor(const Network& network, base::ByteView bytes, absl::Time wall_now) {
  if (bytes.size() > kDescriptorMax) return absl::InvalidArgumentError(absl::StrCat("descriptor of ", bytes.size(), " bytes"));
  base::ByteReader reader(bytes);
  RETURN_IF_ERROR(ReadRecordHead(network, reader));
  Descriptor descriptor;
  descriptor.node_key.bytes = reader.Array<32>();
  descriptor.onion_key = reader.Array<32>();
  const uint8_t role = reader.U8();
  descriptor.address = base::ToString(reader.Short());
  descriptor.admission = base::ToBytes(reader.Short());
  const uint64_t issued = reader.U64(), expires = reader.U64();
  reader.Take(sizeof(keys::Signature));
  if (!reader.Done()) return absl::InvalidArgumentError("descriptor of a wrong length");
  if (role != static_cast<uint8_t>(Role::kStoring) && role != static_cast<uint8_t>(Role::kRelay)) {
    return absl::InvalidArgumentError(absl::StrCat("role ", role));
  }
  if (issued > INT32_MAX * 16ll || expires > INT32_MAX * 16ll) {
    return absl::InvalidArgumentError("descriptor field out of bounds");
  }
  descriptor.role = static_cast<Role>(role);
  descriptor.issued = absl::FromUnixSeconds(static_cast<int64_t>(issued));
  descriptor.expires = absl::FromUnixSeconds(static_cast<int64_t>(expires));
  RETURN_IF_ERROR(CheckAddress(network, descriptor.address));
  RETURN_IF_ERROR(CheckAdmission(network, descriptor.node_key, descriptor.address, descriptor.admission));
  RETURN_IF_ERROR(CheckAdmissionTime(network, descriptor.node_key, descriptor.admission, wall_now));
  RETURN_IF_ERROR(CheckLifetime(network.descriptor_lifetime, descriptor.issued, descriptor.expires, wall_now));
  RETURN_IF_ERROR(VerifyRecord(kLabel, descriptor.node_key, bytes));
  descriptor.encoded = base::ToBytes(bytes);
  return descriptor;
}

}  // namespace overlay
