// SPDX-License-Identifier: Apache-2.0
#include "circuits/circuit_pool.h"

#include <algorithm>

namespace circuits {

void CircuitPool::Add(uint64_t circuit, std::optional<base::Bytes> isolation, bool busy, absl::Time until) {
  circuits_.insert_or_assign(circuit, Pooled{std::move(isolation), busy, until});
}

std::optional<uint64_t> CircuitPool::Take(const base::Bytes& isolation, const Fits& fits, absl::Time now) {
  Pooled* clean = nullptr;
  uint64_t clean_circuit = 0;
  for (auto& [circuit, pooled] : circuits_) {
    if (pooled.busy || now > pooled.until) continue;
    if (pooled.isolation.has_value() ? *pooled.isolation != isolation : clean != nullptr) continue;
    if (!fits(circuit)) continue;
    if (pooled.isolation.has_value()) {
      pooled.busy = true;
      return circuit;
    }
    clean = &pooled;
    clean_circuit = circuit;
  }
  if (clean == nullptr) return std::nullopt;
  clean->isolation = isolation;
  clean->busy = true;
  return clean_circuit;
}

std::optional<uint64_t> CircuitPool::FirstClean(const Fits& fits, absl::Time now) const {
  std::optional<uint64_t> first;
  absl::Time ends = absl::InfiniteFuture();
  for (const auto& [circuit, pooled] : circuits_) {
    if (pooled.busy || pooled.isolation.has_value() || now > pooled.until || pooled.until >= ends || !fits(circuit)) continue;
    first = circuit;
    ends = pooled.until;
  }
  return first;
}

void CircuitPool::Release(uint64_t circuit) {
  const auto found = circuits_.find(circuit);
  if (found != circuits_.end()) found->second.busy = false;
}

std::vector<uint64_t> CircuitPool::TakeExpired(absl::Time now) {
  std::vector<std::pair<absl::Time, uint64_t>> idle;
  for (const auto& [circuit, pooled] : circuits_) {
    if (!pooled.busy) idle.emplace_back(pooled.until, circuit);
  }
  std::sort(idle.begin(), idle.end());
  std::vector<uint64_t> expired;
  for (size_t i = 0; i < idle.size(); ++i) {
    if (now <= idle[i].first && idle.size() - i <= kIdlePooledMax) break;
    expired.push_back(idle[i].second);
  }
  for (uint64_t circuit : expired) circuits_.erase(circuit);
  return expired;
}

size_t CircuitPool::ready() const {
  return static_cast<size_t>(std::count_if(circuits_.begin(), circuits_.end(), [](const auto& entry) {
    return !entry.second.isolation.has_value() && !entry.second.busy;
  }));
}

}  // namespace circuits
