// SPDX-License-Identifier: Apache-2.0
// circuits/contradiction_reports_driver.h — what this process found out about liars, told to the ring without saying who found
// it.
//
// A table may have been shown to this process alone, at the end of a circuit. So a proof leaves through circuits of one's own, at
// random times, to their last relays, kReportCopies times: one of them passes it on as if it were its own
// (overlay/contradiction_gossip_driver.h). A last relay that swallows it, or is relay-only and takes no requests, costs a try.
//   request  7 ‖ contradiction (overlay/contradiction.h), zero-padded to one cell     answer  zeros
#pragma once

#include "circuits/endpoint.h"
#include "circuits/start_tables_driver.h"
#include "overlay/contradiction.h"

namespace circuits {

inline constexpr uint8_t kReportOperation = 7;  // chat/mailbox_messages.h has the others
inline constexpr int kReportCopies = 3, kReportTries = 12;
inline constexpr size_t kReportsMax = 16;                          // waiting; more are dropped: others find out too
inline constexpr absl::Duration kReportPause = absl::Seconds(20);  // mean, before each try

class ContradictionReports {
 public:
  ContradictionReports(base::EventLoop& loop, OwnCircuits& own, CircuitBuilder& builder, StartTables& start, base::Rng& rng);

  void Add(const overlay::Contradiction& found);

 private:
  struct Report {
    keys::PublicKey accused;
    base::Bytes payload;
    int copies_left = kReportCopies, tries_left = kReportTries;
  };
  void ArmTimer();
  void Try();
  void Send(uint64_t circuit, const keys::PublicKey& accused);

  base::EventLoop& loop_;
  OwnCircuits& own_;
  CircuitBuilder& builder_;
  StartTables& start_;
  base::Rng& rng_;
  std::vector<Report> waiting_;  // the first is tried
  base::Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Takes reports out of the requests at the end of circuits; all others go on to `inner`.
class ReportEndpoint : public EndpointHandler {
 public:
  ReportEndpoint(EndpointHandler& inner, std::function<void(base::ByteView proof)> hear)
      : inner_(inner), hear_(std::move(hear)) {}
  void OnEndpointRequest(EndpointRequest request) override;

 private:
  EndpointHandler& inner_;
  const std::function<void(base::ByteView)> hear_;
};

}  // namespace circuits
