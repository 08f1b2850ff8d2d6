// SPDX-License-Identifier: Apache-2.0
#include "circuits/contradiction_reports_driver.h"

#include <algorithm>
#include <cmath>

#include "base/byte_reader.h"
#include "base/byte_writer.h"

namespace circuits {

static_assert(1 + 2 + overlay::kContradictionMax <= kEndpointPayloadMax);

ContradictionReports::ContradictionReports(base::EventLoop& loop, OwnCircuits& own, CircuitBuilder& builder, StartTables& start,
                                           base::Rng& rng)
    : loop_(loop), own_(own), builder_(builder), start_(start), rng_(rng), timer_(loop, [this] { Try(); }) {}

void ContradictionReports::Add(const overlay::Contradiction& found) {
  if (waiting_.size() >= kReportsMax) return;
  base::Bytes payload = base::ByteWriter().U8(kReportOperation).Long(found.encoded).Take();
  payload.resize(kEndpointPayloadMax);
  waiting_.push_back({found.signer(), std::move(payload)});
  if (waiting_.size() == 1) ArmTimer();
}

void ContradictionReports::ArmTimer() {
  if (!waiting_.empty()) timer_.Reset(loop_.Now() + kReportPause * -std::log(1 - rng_.Unit()));
}

void ContradictionReports::Try() {
  Report& report = waiting_.front();
  if (report.copies_left == 0 || report.tries_left-- == 0) {
    waiting_.erase(waiting_.begin());
    return ArmTimer();
  }
  ArmTimer();  // whatever becomes of this try
  start_.Refresh([this, accused = report.accused, alive = std::weak_ptr(alive_)](const absl::Status&) {
    if (alive.expired()) return;
    builder_.Build({.never = {accused}}, start_.tables(), [this, accused, alive](absl::StatusOr<uint64_t> circuit) {
      if (!alive.expired() && circuit.ok()) Send(*circuit, accused);
    });
  });
}

// Only what is about the one whom this circuit was built around: the first of those that wait may be another by now.
void ContradictionReports::Send(uint64_t circuit, const keys::PublicKey& accused) {
  const auto report = std::find_if(waiting_.begin(), waiting_.end(), [&](const Report& held) { return held.accused == accused; });
  if (report == waiting_.end()) return own_.Close(circuit);
  own_.Run(circuit, RequestStep{report->payload},
           [this, circuit, accused, alive = std::weak_ptr(alive_)](const absl::StatusOr<StepResult>& result) {
             if (alive.expired() || !result.ok()) return;  // a circuit whose step failed is gone
             own_.Close(circuit);
             for (Report& held : waiting_) {
               if (held.accused == accused && held.copies_left > 0) --held.copies_left;
             }
           });
}

void ReportEndpoint::OnEndpointRequest(EndpointRequest request) {
  if (request.payload.empty() || request.payload.front() != kReportOperation) return inner_.OnEndpointRequest(std::move(request));
  base::ByteReader reader(base::ByteView(request.payload).subspan(1));
  hear_(reader.Long());
  request.answer(base::Bytes(kEndpointPayloadMax));
}

}  // namespace circuits
