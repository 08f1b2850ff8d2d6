// SPDX-License-Identifier: Apache-2.0
// tests/sim/delay_models.h — how far nodes are from each other in milliseconds: the two models of ToN 2003, V-F.
//
// Space: points in a cube of side 100 ms. Transit-stub: 5,000 hosts in 500 stub domains, ten to each of 50 transit nodes in ten
// transit domains; a link costs 1 ms within a stub domain, 20 ms from there to its transit node, 50 ms between transit nodes;
// other transit domains are one or two links further. Several nodes may share a host: 0.1 ms.
#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "absl/time/time.h"
#include "base/rng.h"

namespace sim {

class Delays {
 public:
  enum class Model { kSpace, kTransitStub };

  Delays(Model model, size_t nodes, base::Rng& rng) : model_(model), places_(nodes) {
    for (Place& place : places_) {
      place.host = rng.Below(kHosts);
      for (double& coordinate : place.at) coordinate = 100 * rng.Unit();
    }
  }

  // One way; the same both ways.
  double Between(size_t a, size_t b) const {
    return model_ == Model::kSpace ? InSpace(places_[a], places_[b]) : OverLinks(places_[a].host, places_[b].host);
  }

  absl::Duration RoundTrip(size_t a, size_t b) const { return absl::Milliseconds(2 * Between(a, b)); }

 private:
  static constexpr uint64_t kHosts = 5000, kHostsPerStub = 10, kHostsPerTransit = 100, kHostsPerDomain = 500;
  struct Place {
    std::array<double, 3> at;
    uint64_t host;
  };

  static double InSpace(const Place& a, const Place& b) {
    double sum = 0.01;
    for (size_t i = 0; i < 3; ++i) sum += (a.at[i] - b.at[i]) * (a.at[i] - b.at[i]);
    return std::sqrt(sum);
  }
  static double OverLinks(uint64_t a, uint64_t b) {
    if (a == b) return 0.1;
    if (a / kHostsPerStub == b / kHostsPerStub) return 1;
    double delay = 2 * (1 + 20);
    if (a / kHostsPerTransit == b / kHostsPerTransit) return delay;
    const uint64_t from = a / kHostsPerDomain, to = b / kHostsPerDomain;
    if (from != to) delay += 50 * static_cast<double>(1 + (from + to) % 2);
    return delay + 50;
  }

  Model model_;
  std::vector<Place> places_;
};

}  // namespace sim
