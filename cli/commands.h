// SPDX-License-Identifier: Apache-2.0
// cli/commands.h — from arguments to exit code.
#pragma once

#include <string>
#include <vector>

#include "cli/environment.h"

namespace cli {

// Runs the command that the arguments (without the program's name) ask for. Errors are printed; returns the exit code.
int RunProgram(const std::vector<std::string>& arguments, const Environment& environment);

}  // namespace cli
