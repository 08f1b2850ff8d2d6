// SPDX-License-Identifier: Apache-2.0
#include "circuits/contradiction_reports_driver.h"

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
    builder_.Build({.never = {accused}}, start_.tables(), [this, alive](absl::StatusOr<uint64_t> circuit) {
      if (!alive.expired() && circuit.ok()) Send(*circuit);
    });
  });
}

void ContradictionReports::Send(uint64_t circuit) {
  if (waiting_.empty()) return own_.Close(circuit);
  own_.Run(circuit, RequestStep{waiting_.front().payload},
           [this, circuit, accused = waiting_.front().accused,
            alive = std::weak_ptr(alive_)](const absl::StatusOr<StepResult>& result) {
             if (alive.expired() || !result.ok()) return;
             own_.Close(circuit);
             for (Report& report : waiting_) {
               if (report.accused == accused && report.copies_left > 0) --report.copies_left;
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
