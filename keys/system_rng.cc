// SPDX-License-Identifier: Apache-2.0
#include "keys/system_rng.h"

#include <sodium.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/check.h"

namespace keys {
namespace {

// A kernel that pipes cores to a program ignores RLIMIT_CORE, hence the second call.
void ForbidCoreDumps() {
  const rlimit none{0, 0};
  CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
  CHECK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

// Secrets are locked in memory; the default soft limit of some systems holds only a few of them.
void RaiseLockLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_MEMLOCK, &limit);  // failing is harmless: Secret says so when it cannot lock
}

}  // namespace

void SystemRng::Fill(std::span<uint8_t> bytes) { randombytes_buf(bytes.data(), bytes.size()); }

void InitCrypto() {
  CHECK(randombytes_set_implementation(&randombytes_internal_implementation) == 0);
  CHECK(sodium_init() >= 0);
  ForbidCoreDumps();
  RaiseLockLimit();
}

}  // namespace keys
