// SPDX-License-Identifier: Apache-2.0
#include "circuits/flow_window.h"

#include "base/check.h"
#include "keys/secret.h"

namespace circuits {

void SendWindow::OnSent(const RelayTail& tail) {
  CHECK(credit_ > 0);
  --credit_;
  if (++since_mark_ < kAcknowledgeEvery) return;
  since_mark_ = 0;
  expected_.push_back(tail);
}

bool SendWindow::OnSendme(base::ByteView payload) {
  if (expected_.empty() || !keys::ConstantTimeEqual(payload, expected_.front())) return false;
  expected_.pop_front();
  credit_ += kAcknowledgeEvery;
  return true;
}

std::optional<RelayTail> ReceiveWindow::OnReceived(const RelayTail& tail) {
  if (++since_sendme_ < kAcknowledgeEvery) return std::nullopt;
  since_sendme_ = 0;
  return tail;
}

}  // namespace circuits
