// SPDX-License-Identifier: Apache-2.0
// circuits/flow_window.h — how many cells may be under way between a client and one hop, in one direction (protocol.md 5).
//
// Every relay cell but SENDME counts. The receiver answers each 32nd with a SENDME that carries that cell's last 16 bytes, which
// nobody can know who did not read it: an acknowledgement in advance (the sniper attack) is impossible. Source: Tor's
// proposal 289.
//
// The window follows delay. Each SENDME gives a round trip; the shortest one so far stands for the empty path, so
//   standing = window * (round trip - shortest) / round trip
// cells wait in queues on the way. Few of them: the window grows, by 32 cells a SENDME until the first queue shows, then by 32 a
// window. Many: it shrinks, by half of what is too many. A wait shorter than kDelayShort never holds it back, for on a fast path
// it is the processes' own, not a queue. A sender that did not use its window up learns nothing. A reader that is slow lengthens
// the round trip, so its sender comes back to the smallest window, and nobody else notices. Source: Brakmo and Peterson, "TCP
// Vegas", 1995, by cells; the short delay after CoDel (RFC 8289, section 4.3).
#pragma once

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "circuits/relay_cell.h"

namespace circuits {

inline constexpr int kWindowStart = 64;                       // cells; also the smallest: every answer of an operation fits
inline constexpr int kWindowMax = 512;                        // cells: 1 MiB
inline constexpr int kAcknowledgeEvery = 32;                  // cells of one SENDME
inline constexpr size_t kHopQueueMax = 512 + 32;              // cells that wait for the window; one more and the circuit goes
inline constexpr int kStandingFew = 64, kStandingMany = 128;  // cells in queues on the way: 128 and 256 KiB
inline constexpr absl::Duration kDelayShort = absl::Milliseconds(5);

class SendWindow {
 public:
  bool CanSend() const { return in_flight_ < window_; }
  void OnSent(const RelayTail& tail, absl::Time now);
  // False for an acknowledgement that is not due or does not name the cell: the circuit must go.
  bool OnSendme(base::ByteView payload, absl::Time now);
  int window() const { return window_; }

 private:
  struct Mark {  // a cell whose acknowledgement is to come
    RelayTail tail;
    absl::Time sent;
  };

  void Adapt(absl::Duration round_trip);

  int window_ = kWindowStart;
  int in_flight_ = 0;
  int since_mark_ = 0;
  int since_change_ = 0;  // cells acknowledged since the window changed last
  bool starting_ = true;  // no queue has shown yet
  absl::Duration shortest_ = absl::InfiniteDuration();
  std::vector<Mark> marks_;  // at most kWindowMax / kAcknowledgeEvery, the oldest first
};

class ReceiveWindow {
 public:
  // The payload of the SENDME that has to be sent now, if one has.
  std::optional<RelayTail> OnReceived(const RelayTail& tail);

 private:
  int since_sendme_ = 0;
};

}  // namespace circuits
