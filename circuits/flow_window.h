// SPDX-License-Identifier: Apache-2.0
// circuits/flow_window.h — how many cells may be under way between a client and one hop, in one direction (protocol.md 5).
//
// Every relay cell but SENDME counts. The receiver answers each 32nd with a SENDME that carries that cell's last 16 bytes, which
// nobody can know who did not read it: an acknowledgement in advance (the sniper attack) is impossible. Source: Tor's
// proposal 289.
#pragma once

#include <deque>
#include <optional>

#include "circuits/relay_cell.h"

namespace circuits {

inline constexpr int kWindowStart = 64;           // cells
inline constexpr int kAcknowledgeEvery = 32;      // cells of one SENDME
inline constexpr size_t kHopQueueMax = 512 + 32;  // cells that wait for the window; one more and the circuit goes

class SendWindow {
 public:
  bool CanSend() const { return credit_ > 0; }
  void OnSent(const RelayTail& tail);
  // False for an acknowledgement that is not due or does not name the cell: the circuit must go.
  bool OnSendme(base::ByteView payload);

 private:
  int credit_ = kWindowStart;
  int since_mark_ = 0;
  std::deque<RelayTail> expected_;  // at most kWindowStart / kAcknowledgeEvery
};

class ReceiveWindow {
 public:
  // The payload of the SENDME that has to be sent now, if one has.
  std::optional<RelayTail> OnReceived(const RelayTail& tail);

 private:
  int since_sendme_ = 0;
};

}  // namespace circuits
