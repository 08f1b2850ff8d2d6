// SPDX-License-Identifier: Apache-2.0
// cli/admission_file.h — the work that a network asked of this node (overlay/admission.h), done once an epoch and kept:
// NODE_DIRECTORY/admission, owner-only.
//
//   "bulbil-admission 1\n" ‖ up to two admissions, each in hex ‖ "\n"      this epoch's and, towards its end, the next one's
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "keys/identity.h"
#include "overlay/network.h"

namespace cli {

class AdmissionFile {
 public:
  explicit AdmissionFile(std::string directory) : directory_(std::move(directory)) {}

  // The node's admission for that epoch at that address: the kept one if it is good, else worked for, half a millisecond times
  // the network's effort on average, and kept. Empty where no work is asked. Cancelled once `stop` says so. Any thread, one call
  // at a time.
  absl::StatusOr<base::Bytes> Obtain(const overlay::Network& network, const keys::PublicKey& node_key, const std::string& address,
                                     uint32_t epoch, base::Rng& rng, const std::function<bool()>& stop) const;

 private:
  std::vector<base::Bytes> Load() const;
  void Save(const std::vector<base::Bytes>& admissions, base::Rng& rng) const;

  std::string directory_;
};

// Obtain for an epoch to come, on a thread of its own: it may take minutes, and the loop's workers are for the disk.
class AdmissionWork {
 public:
  AdmissionWork(std::string directory, const overlay::Network& network, const keys::PublicKey& node_key, std::string address,
                uint32_t epoch);
  ~AdmissionWork();  // stops it, within a step of the search
  AdmissionWork(const AdmissionWork&) = delete;

 private:
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

}  // namespace cli
