// SPDX-License-Identifier: Apache-2.0
// One story of acknowledged records (store_campaign.h). Prints one JSON object; exits 1 if something was wrong, and says what.
//
// usage: store_churn churn|slowly|at-once SEED NODES RECORDS SECONDS      SECONDS of churn
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "keys/system_rng.h"
#include "tests/sim/store_campaign.h"

int main(int argc, char** argv) {
  using Kind = sim::StoreStory::Kind;
  const std::string_view name = argc == 6 ? argv[1] : "";
  if (name != "churn" && name != "slowly" && name != "at-once") {
    std::fprintf(stderr, "usage: %s churn|slowly|at-once SEED NODES RECORDS SECONDS\n", argv[0]);
    return 2;
  }
  keys::InitCrypto();
  const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
  const sim::StoreStory story{.kind = name == "churn"    ? Kind::kChurn
                                      : name == "slowly" ? Kind::kSlowly
                                                         : Kind::kAtOnce,
                              .seed = number(2),
                              .nodes = number(3),
                              .records = number(4),
                              .length = absl::Seconds(static_cast<int64_t>(number(5)))};
  const sim::StoreFigures f = sim::Tell(story);
  std::printf(
      "{\"acked\": %zu, \"not_acked\": %zu, \"lost\": %zu, \"broken\": %zu, \"deaths\": %zu, \"returns\": %zu, \"leaves\": %zu, "
      "\"partitions\": %zu, \"reads\": %zu, \"found\": %zu, \"unsure\": %zu, \"absent\": %zu, \"absent_wrongly\": %zu, "
      "\"missing\": %zu, \"lost_as_absent\": %zu, \"copies\": %zu, \"lost_expected\": %.0f, \"events\": %llu}\n",
      f.acknowledged, f.not_acknowledged, f.lost, f.broken, f.deaths, f.returns, f.leaves, f.partitions, f.reads, f.found,
      f.unsure, f.absent, f.absent_wrongly, f.missing, f.lost_as_absent, f.copies, f.lost_expected,
      static_cast<unsigned long long>(f.events));
  if (f.wrong.empty()) return 0;
  std::fprintf(stderr, "%s\nreplay: %s\n", f.wrong.c_str(), sim::ReplayCommand(story).c_str());
  return 1;
}
