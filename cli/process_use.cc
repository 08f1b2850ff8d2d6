// SPDX-License-Identifier: Apache-2.0
#include "cli/process_use.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace cli {

Use ProcessUse() {
  Use use;
  rusage times{};
  getrusage(RUSAGE_SELF, &times);
  use.cpu = absl::DurationFromTimeval(times.ru_utime) + absl::DurationFromTimeval(times.ru_stime);
  uint64_t whole = 0, resident = 0;  // in pages
  if (std::ifstream("/proc/self/statm") >> whole >> resident)
    use.resident = resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return use;
}

}  // namespace cli
