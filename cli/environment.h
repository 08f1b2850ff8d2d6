// SPDX-License-Identifier: Apache-2.0
// cli/environment.h — port to environment variables, so that tests have their own.
//
// Known: BULBIL_HOME BULBIL_CONFIG BULBIL_NODE BULBIL_IDENTITY BULBIL_BOOTSTRAP BULBIL_PORT BULBIL_LOG BULBIL_PASSPHRASE_FILE,
// and NO_COLOR, JOURNAL_STREAM, HOME, XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_RUNTIME_DIR. None carries a passphrase itself.
#pragma once

#include <functional>
#include <string>

namespace cli {

// The variable's value; empty if it is unset or empty.
using Environment = std::function<std::string(const char* name)>;

Environment ProcessEnvironment();

}  // namespace cli
