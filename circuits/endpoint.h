// SPDX-License-Identifier: Apache-2.0
// circuits/endpoint.h — what answers at the end of a circuit: one request cell in, one answer cell back.
//
// circuits/ carries requests and knows nothing of them; chat/ implements this for mailboxes (style.md 2). A relay-only node
// has none, and answers every request with DESTROY.
#pragma once

#include <array>
#include <functional>

#include "base/bytes.h"

namespace circuits {

inline constexpr size_t kEndpointPayloadMax = 2000;  // of a request and of an answer: one cell each

struct EndpointRequest {
  std::array<uint8_t, 32> channel_binding;  // KH of this hop: what a signature is bound to, so that none can be replayed
  base::Bytes payload;
  std::function<void(base::Bytes)>
      answer;  // once, on the loop's thread, at once or later; after the circuit died it does nothing
};

class EndpointHandler {
 public:
  virtual ~EndpointHandler() = default;
  virtual void OnEndpointRequest(EndpointRequest request) = 0;
};

}  // namespace circuits
