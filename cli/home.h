// SPDX-License-Identifier: Apache-2.0
// cli/home.h — where everything of one person lies on this machine. Two homes share nothing.
//
//                    --home DIR or BULBIL_HOME     else, by XDG
//   config           DIR/config.toml               $XDG_CONFIG_HOME/bulbil/config.toml
//   identities       DIR/keys/NAME.key             $XDG_DATA_HOME/bulbil/keys/
//   read messages    DIR/book/                     $XDG_DATA_HOME/bulbil/book/
//   a node's state   DIR/node-PORT/                $XDG_DATA_HOME/bulbil/node-PORT/
//   control sockets  DIR/run/PORT.sock             $XDG_RUNTIME_DIR/bulbil/, or /tmp/bulbil-UID/ without one
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/environment.h"

namespace cli {

inline constexpr size_t kSocketPathMax = 107;  // sun_path of Linux has 108 bytes, one for the end

class Home {
 public:
  // `flag` is --home's value or empty. kLocal if no place can be found (no HOME).
  static absl::StatusOr<Home> Find(const std::string& flag, const Environment& environment);
  explicit Home(const std::string& directory);  // as with --home; an absolute path

  std::string ConfigFile() const { return config_directory_ + "/config.toml"; }
  std::string KeysDirectory() const { return data_directory_ + "/keys"; }
  std::string BookDirectory() const { return data_directory_ + "/book"; }
  // The node's key and store. The port is part of it because a store belongs to one process at a time.
  std::string NodeDirectory(uint16_t port) const;
  const std::string& RuntimeDirectory() const { return runtime_directory_; }
  // kLocal with a hint if the path is longer than a socket's may be.
  absl::StatusOr<std::string> SocketPath(uint16_t port) const;

  // kLocal, as EnsurePrivateDirectory, if sockets there may be somebody else's, who would be told what is written to whom. It may
  // be missing: then no node runs.
  absl::Status CheckRuntimeDirectory() const;
  // Ports whose control socket accepts a connection now, in rising order.
  std::vector<uint16_t> RunningNodes() const;

 private:
  Home() = default;

  std::string config_directory_, data_directory_, runtime_directory_;
};

// Makes the directory, and its parents, owner-only (0700). kLocal if it is there but is no directory, belongs to somebody else or
// lets others in: then whatever lies in it may have been planted or read.
absl::Status EnsurePrivateDirectory(const std::string& path);

// True if something accepts connections on the UNIX socket.
bool SocketAnswers(const std::string& path);

// The path as people write it: "~/..." below their own home directory.
std::string ShownPath(const std::string& path);

}  // namespace cli
