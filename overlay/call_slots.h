// SPDX-License-Identifier: Apache-2.0
// overlay/call_slots.h — how many calls a server has at once, and whose: floods of fresh keys cannot shut the neighbours out.
//
// A caller is *known* if this node lives by it (its neighbours and fingers), which takes a place on the ring; everybody else, far
// nodes and clients, is a stranger, and a flood can be as many strangers as it likes. So
//  - strangers share one half of the slots; the other half is for known callers and for nobody else;
//  - a call whose request has not come yet (*unread*) costs its caller nothing, so a stranger may have few of them, and when the
//    strangers' half is full the one that has been unread longest is ousted for the next call;
//  - a stream can last for ever: strangers share few.
// Calls over the control socket are counted apart: a flood outside cannot lock the user out. Not thread-safe: one event loop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "keys/identity.h"

namespace overlay {

inline constexpr size_t kServedCallsMax = 512;  // over TLS at once: with kRpcMessageMax each, 64 MiB of requests
inline constexpr size_t kServedCallsOfStrangersMax = kServedCallsMax / 2;
inline constexpr size_t kServedCallsPerKnownMax = 128;    // of one TLS key: a busy neighbour needs a few dozen
inline constexpr size_t kServedCallsPerStrangerMax = 32;  // a far node that brings records home has sixteen under way
inline constexpr size_t kUnreadPerStrangerMax = 16;       // a request comes right behind its headers
inline constexpr size_t kStreamsOfStrangersMax = 64;      // health watchers that are no neighbours
inline constexpr size_t kServedCallsLocalMax = 256;

class CallSlots {
 public:
  using Slot = uint64_t;  // never 0, never given twice
  enum class From { kLocal, kKnown, kStranger };
  struct Taken {
    Slot slot = 0;               // 0: no room, the call is refused
    std::optional<Slot> ousted;  // no longer counted: break that call off
  };

  // `caller` is all zero if local.
  Taken Take(From from, const keys::PublicKey& caller, bool is_stream);
  void OnRead(Slot slot);   // its request is here
  void Release(Slot slot);  // the call has ended; one that was ousted is not counted any more, and nothing happens

  size_t size() const { return held_.size(); }

 private:
  struct Held {
    From from;
    keys::PublicKey caller;
    bool is_stream;
    bool unread;
  };
  struct Counts {
    size_t calls = 0, unread = 0;
  };
  bool HasRoom(From from, const keys::PublicKey& caller, bool is_stream) const;

  absl::flat_hash_map<Slot, Held> held_;
  std::map<Slot, keys::PublicKey> unread_strangers_;         // the oldest first
  absl::flat_hash_map<keys::PublicKey, Counts> of_callers_;  // over TLS; only those that have calls
  size_t local_ = 0, strangers_ = 0, stranger_streams_ = 0;
  Slot last_ = 0;
};

}  // namespace overlay
