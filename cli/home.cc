// SPDX-License-Identifier: Apache-2.0
#include "cli/home.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/values.h"

namespace cli {
namespace {

namespace fs = std::filesystem;

// XDG: a relative value counts as unset.
std::string AbsoluteOr(const std::string& value, const std::string& fallback) {
  return !value.empty() && value.front() == '/' ? value : fallback;
}

std::string WithoutTrailingSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

absl::Status NoHome() {
  return Fail({.exit = Exit::kLocal,
               .what = "there is no home directory: HOME is not set",
               .fix = {"say where to keep keys and data:  bulbil --home DIR"}});
}

absl::Status LetsOthersIn(const std::string& path, mode_t mode) {
  return Fail({.exit = Exit::kLocal,
               .what = absl::StrCat(ShownPath(path), " lets others in (mode ", absl::StrFormat("%04o", mode & 07777u), ")"),
               .fix = {absl::StrCat("chmod 700 ", ShownPath(path))}});
}

absl::Status CheckPrivate(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) {
    return Fail({.exit = Exit::kLocal, .what = absl::StrCat("cannot read ", ShownPath(path)), .why = {std::strerror(errno)}});
  }
  if (!S_ISDIR(info.st_mode)) {
    return Fail({.exit = Exit::kLocal, .what = absl::StrCat(ShownPath(path), " is not a directory"), .fix = {"move it away"}});
  }
  if (info.st_uid != geteuid()) {
    return Fail({.exit = Exit::kLocal,
                 .what = absl::StrCat(ShownPath(path), " belongs to another user"),
                 .fix = {"use a directory of your own:  --home DIR"}});
  }
  if ((info.st_mode & 0077) != 0) return LetsOthersIn(path, info.st_mode);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Home> Home::Find(const std::string& flag, const Environment& environment) {
  const std::string chosen = flag.empty() ? environment("BULBIL_HOME") : flag;
  std::error_code error;
  if (!chosen.empty()) return Home(fs::absolute(chosen, error).lexically_normal().string());
  const std::string user_home = environment("HOME");
  const std::string config = environment("XDG_CONFIG_HOME"), data = environment("XDG_DATA_HOME");
  if (user_home.empty() && (config.empty() || data.empty())) return NoHome();
  Home home;
  home.config_directory_ = AbsoluteOr(config, user_home + "/.config") + "/bulbil";
  home.data_directory_ = AbsoluteOr(data, user_home + "/.local/share") + "/bulbil";
  const std::string runtime = AbsoluteOr(environment("XDG_RUNTIME_DIR"), "");
  home.runtime_directory_ = runtime.empty() ? absl::StrCat("/tmp/bulbil-", getuid()) : runtime + "/bulbil";
  return home;
}

Home::Home(const std::string& directory)
    : config_directory_(WithoutTrailingSlash(directory)),
      data_directory_(config_directory_),
      runtime_directory_(config_directory_ + "/run") {}

std::string Home::NodeDirectory(uint16_t port) const { return absl::StrCat(data_directory_, "/node-", port); }

absl::StatusOr<std::string> Home::SocketPath(uint16_t port) const {
  const std::string path = absl::StrCat(runtime_directory_, "/", port, ".sock");
  if (path.size() <= kSocketPathMax) return path;
  return Fail({.exit = Exit::kLocal,
               .what = "the path of the control socket is too long",
               .why = {absl::StrCat(path.size(), " bytes, at most ", kSocketPathMax, " fit: ", path)},
               .fix = {"use a shorter --home, or a shorter XDG_RUNTIME_DIR"}});
}

absl::Status Home::CheckRuntimeDirectory() const {
  struct stat info;
  if (lstat(runtime_directory_.c_str(), &info) != 0 && errno == ENOENT) return absl::OkStatus();
  return CheckPrivate(runtime_directory_);
}

std::vector<uint16_t> Home::RunningNodes() const {
  std::vector<uint16_t> ports;
  std::error_code error;
  for (fs::directory_iterator it(runtime_directory_, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".sock") continue;
    const std::optional<uint16_t> port = ParsePort(it->path().stem().string());
    if (port && SocketAnswers(it->path().string())) ports.push_back(*port);
  }
  std::sort(ports.begin(), ports.end());
  return ports;
}

absl::Status EnsurePrivateDirectory(const std::string& path) {
  const mode_t before = umask(0077);
  std::error_code error;
  fs::create_directories(path, error);
  umask(before);
  if (error) {
    return Fail({.exit = Exit::kLocal, .what = absl::StrCat("cannot make ", ShownPath(path)), .why = {error.message()}});
  }
  return CheckPrivate(path);
}

bool SocketAnswers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const int result = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const bool answers = result == 0 || errno == EAGAIN || errno == EINPROGRESS;  // a full queue is still somebody listening
  close(fd);
  return answers;
}

std::string ShownPath(const std::string& path) {
  const std::string user_home = ProcessEnvironment()("HOME");
  if (user_home.size() < 2 || path.rfind(user_home + "/", 0) != 0) return path;
  return "~" + path.substr(user_home.size());
}

}  // namespace cli
