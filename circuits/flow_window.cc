// SPDX-License-Identifier: Apache-2.0
#include "circuits/flow_window.h"

#include <algorithm>

#include "base/check.h"
#include "keys/secret.h"

namespace circuits {

void SendWindow::OnSent(const RelayTail& tail, absl::Time now) {
  CHECK(CanSend());
  ++in_flight_;
  if (++since_mark_ < kAcknowledgeEvery) return;
  since_mark_ = 0;
  marks_.push_back({tail, now});
}

bool SendWindow::OnSendme(base::ByteView payload, absl::Time now) {
  if (marks_.empty() || !keys::ConstantTimeEqual(payload, marks_.front().tail)) return false;
  const absl::Duration round_trip = now - marks_.front().sent;
  marks_.erase(marks_.begin());
  shortest_ = std::min(shortest_, round_trip);
  since_change_ += kAcknowledgeEvery;
  if (in_flight_ + kAcknowledgeEvery > window_) Adapt(round_trip);
  in_flight_ -= kAcknowledgeEvery;
  return true;
}

void SendWindow::Adapt(absl::Duration round_trip) {
  const absl::Duration delay = round_trip - shortest_;
  const int standing = delay <= kDelayShort ? 0 : static_cast<int>(window_ * absl::FDivDuration(delay, round_trip));
  if (standing > kStandingFew) starting_ = false;
  if (!starting_ && since_change_ < window_) return;
  since_change_ = 0;
  if (standing <= kStandingFew) window_ = std::min(kWindowMax, window_ + kAcknowledgeEvery);
  if (standing > kStandingMany) window_ = std::max(kWindowStart, window_ - (standing - kStandingFew) / 2);
}

std::optional<RelayTail> ReceiveWindow::OnReceived(const RelayTail& tail) {
  if (++since_sendme_ < kAcknowledgeEvery) return std::nullopt;
  since_sendme_ = 0;
  return tail;
}

}  // namespace circuits
