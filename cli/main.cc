// SPDX-License-Identifier: Apache-2.0
// cli/main.cc — the program `bulbil`.
#include <signal.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "cli/commands.h"
#include "keys/system_rng.h"

int main(int argc, char** argv) {
  umask(0077);               // whatever we make is its owner's alone
  signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write, not the end of a node
  keys::InitCrypto();
  return cli::RunProgram(std::vector<std::string>(argv + 1, argv + argc), cli::ProcessEnvironment());
}
