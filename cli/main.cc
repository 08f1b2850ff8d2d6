// SPDX-License-Identifier: Apache-2.0
// cli/main.cc — the program `bulbil`.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include <string>
#include <vector>

#include "cli/commands.h"
#include "keys/system_rng.h"

namespace {

// Whoever starts us may have closed some of 0, 1 and 2. The next file or socket would get that number, and what is meant for the
// user would be written into it. Each is opened the wrong way around instead, so that its use is the error that it should be.
void HoldStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) abort();
  }
}

}  // namespace

int main(int argc, char** argv) {
  HoldStandardStreams();
  umask(0077);               // whatever we make is its owner's alone
  signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write, not the end of a node
  keys::InitCrypto();
  return cli::RunProgram(std::vector<std::string>(argv + 1, argv + argc), cli::ProcessEnvironment());
}
