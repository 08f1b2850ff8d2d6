// SPDX-License-Identifier: Apache-2.0
// dht/receipt.h — a holder's signed word that it keeps a record until its expiry (protocol.md 7).
//
//   node key 32 ‖ signature 64 over H("held", network, point, id, expiry as 8 bytes)
// The asker counts receipts of distinct nodes that it finds responsible; "stored on k" means k such receipts. A deleted record
// earns a receipt like a stored one: a put is answered alike for new, present and deleted ids.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "dht/record.h"
#include "keys/identity.h"

namespace dht {

inline constexpr size_t kReceiptSize = 32 + 64;

struct Receipt {
  keys::PublicKey node_key;
  keys::Signature signature{};

  bool operator==(const Receipt&) const = default;
};

Receipt SignReceipt(const std::string& network, const keys::SigningKey& node_key, const RecordName& name, absl::Time expiry);
bool VerifyReceipt(const std::string& network, const Receipt& receipt, const RecordName& name, absl::Time expiry);

base::Bytes EncodeReceipt(const Receipt& receipt);
absl::StatusOr<Receipt> DecodeReceipt(base::ByteView bytes);  // InvalidArgument: not kReceiptSize bytes

}  // namespace dht
