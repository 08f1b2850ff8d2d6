// SPDX-License-Identifier: Apache-2.0
#include "overlay/signed_record.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "keys/hash.h"

namespace overlay {
namespace {

constexpr size_t kSignatureSize = 64;

// A name from outside that goes into a message for the user: letters, digits and dashes only.
std::string Printable(base::ByteView name) {
  std::string text = base::ToString(name.first(std::min<size_t>(name.size(), 32)));
  for (char& c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-') c = '?';
  }
  return text;
}

}  // namespace

void WriteRecordHead(const Network& network, base::ByteWriter& writer) {
  writer.U16(kProtocolVersion).Short(base::AsBytes(network.name));
}

absl::Status ReadRecordHead(const Network& network, base::ByteReader& reader) {
  const uint16_t version = reader.U16();
  if (reader.ok() && version != kProtocolVersion) {
    return absl::FailedPreconditionError(absl::StrCat("that node speaks protocol ", version, ", this one ", kProtocolVersion));
  }
  const base::ByteView name = reader.Short();
  if (!reader.ok()) return absl::InvalidArgumentError("record cut short");
  if (base::AsText(name) != network.name) {
    return absl::FailedPreconditionError(
        absl::StrCat("that node belongs to the network \"", Printable(name), "\", this one to \"", network.name, "\""));
  }
  return absl::OkStatus();
}

base::Bytes SignRecord(std::string_view label, const keys::SigningKey& key, base::ByteWriter writer) {
  const keys::Signature signature = key.Sign(keys::Hash(label, {writer.bytes()}));
  return writer.Append(signature).Take();
}

absl::Status VerifyRecord(std::string_view label, const keys::PublicKey& key, base::ByteView encoded) {
  if (encoded.size() < kSignatureSize) return absl::InvalidArgumentError("record cut short");
  keys::Signature signature;
  std::copy_n(encoded.end() - kSignatureSize, kSignatureSize, signature.begin());
  if (!keys::Verify(key, keys::Hash(label, {encoded.first(encoded.size() - kSignatureSize)}), signature)) {
    return absl::UnauthenticatedError("record is not authentic");
  }
  return absl::OkStatus();
}

absl::Status CheckLifetime(absl::Duration longest, absl::Time issued, absl::Time expires, absl::Time wall_now) {
  if (expires <= issued || expires - issued > longest || issued > wall_now + kDescriptorClockTolerance) {
    return absl::InvalidArgumentError(kLifetimeOutOfBounds);
  }
  if (expires + kDescriptorClockTolerance <= wall_now) return absl::UnavailableError(kRecordExpired);
  return absl::OkStatus();
}

}  // namespace overlay
