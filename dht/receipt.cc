// SPDX-License-Identifier: Apache-2.0
#include "dht/receipt.h"

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "keys/hash.h"

namespace dht {
namespace {

keys::Digest Message(const std::string& network, const RecordName& name, absl::Time expiry) {
  const auto seconds = static_cast<uint64_t>(absl::ToUnixSeconds(expiry));
  return keys::Hasher("held").Add(network).Add(name.point.view()).Add(name.id).AddU64(seconds).Finish();
}

}  // namespace

Receipt SignReceipt(const std::string& network, const keys::SigningKey& node_key, const RecordName& name, absl::Time expiry) {
  return {.node_key = node_key.public_key(), .signature = node_key.Sign(Message(network, name, expiry))};
}

bool VerifyReceipt(const std::string& network, const Receipt& receipt, const RecordName& name, absl::Time expiry) {
  return keys::Verify(receipt.node_key, Message(network, name, expiry), receipt.signature);
}

base::Bytes EncodeReceipt(const Receipt& receipt) {
  return base::ByteWriter().Append(receipt.node_key.view()).Append(receipt.signature).Take();
}

absl::StatusOr<Receipt> DecodeReceipt(base::ByteView bytes) {
  base::ByteReader reader(bytes);
  Receipt receipt;
  receipt.node_key.bytes = reader.Array<32>();
  receipt.signature = reader.Array<64>();
  if (!reader.Done()) return absl::InvalidArgumentError(absl::StrCat("receipt of ", bytes.size(), " bytes"));
  return receipt;
}

}  // namespace dht
