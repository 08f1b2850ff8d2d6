// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_call_log.h"

#include <spdlog/spdlog.h>

#include "base/redacted.h"

namespace overlay {
namespace {

void Log(const char* arrow, const CallLine& line) {
  if (!spdlog::should_log(spdlog::level::trace)) return;
  const std::string_view name = line.method.substr(line.method.rfind('/') + 1);
  spdlog::trace("rpc: {} {} {} {} B: {} {} B in {:.1f} ms", arrow, name, line.peer ? base::Redacted(line.peer->view()) : "local",
                line.request_bytes, absl::StatusCodeToString(line.outcome), line.answer_bytes,
                absl::ToDoubleMilliseconds(line.took));
}

}  // namespace

void LogAsked(const CallLine& line) { Log("→", line); }
void LogAnswered(const CallLine& line) { Log("←", line); }

}  // namespace overlay
