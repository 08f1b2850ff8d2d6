// SPDX-License-Identifier: Apache-2.0
#include "cli/home.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "cli/errors.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

namespace fs = std::filesystem;

Environment Having(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) {
    const auto it = values.find(name);
    return it == values.end() ? std::string() : it->second;
  };
}

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/bulbil-home-test-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Listener {
 public:
  explicit Listener(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
  }
  ~Listener() { close(fd_); }

 private:
  int fd_;
};

TEST(Home, FollowsXdg) {
  ASSERT_OK_AND_ASSIGN(const Home home, Home::Find("", Having({{"HOME", "/home/ann"}, {"XDG_RUNTIME_DIR", "/run/user/7"}})));
  EXPECT_EQ(home.ConfigFile(), "/home/ann/.config/bulbil/config.toml");
  EXPECT_EQ(home.KeysDirectory(), "/home/ann/.local/share/bulbil/keys");
  EXPECT_EQ(home.NodeDirectory(10002), "/home/ann/.local/share/bulbil/node-10002");
  ASSERT_OK_AND_ASSIGN(const std::string socket, home.SocketPath(10002));
  EXPECT_EQ(socket, "/run/user/7/bulbil/10002.sock");
}

TEST(Home, IgnoresRelativeXdgAndFallsBackToTmp) {
  ASSERT_OK_AND_ASSIGN(const Home home,
                       Home::Find("", Having({{"HOME", "/home/ann"}, {"XDG_DATA_HOME", "data"}, {"XDG_RUNTIME_DIR", "run"}})));
  EXPECT_EQ(home.KeysDirectory(), "/home/ann/.local/share/bulbil/keys");
  EXPECT_EQ(home.RuntimeDirectory(), "/tmp/bulbil-" + std::to_string(getuid()));
}

TEST(Home, FlagWinsOverEnvironmentAndHoldsEverything) {
  const Environment environment = Having({{"BULBIL_HOME", "/b"}, {"XDG_RUNTIME_DIR", "/run/user/7"}, {"XDG_DATA_HOME", "/x"}});
  ASSERT_OK_AND_ASSIGN(const Home by_flag, Home::Find("/a/", environment));
  ASSERT_OK_AND_ASSIGN(const Home by_variable, Home::Find("", environment));
  EXPECT_EQ(by_variable.ConfigFile(), "/b/config.toml");
  for (const std::string& path : {by_flag.ConfigFile(), by_flag.KeysDirectory(), by_flag.BookDirectory(),
                                  by_flag.NodeDirectory(1), by_flag.SocketPath(1).value(), by_flag.RuntimeDirectory()}) {
    EXPECT_EQ(path.rfind("/a/", 0), 0u) << path << " lies outside the home: two homes would share it";
  }
}

TEST(Home, NeedsAPlace) { EXPECT_EQ(ErrorOf(Home::Find("", Having({})).status()).exit, Exit::kLocal); }

TEST(Home, SaysWhenASocketPathIsTooLong) {
  const std::string fitting = "/" + std::string(kSocketPathMax - std::string("//run/10001.sock").size(), 'x');
  EXPECT_OK(Home(fitting).SocketPath(10001));
  const CommandError error = ErrorOf(Home(fitting + "x").SocketPath(10001).status());
  EXPECT_EQ(error.exit, Exit::kLocal);
  EXPECT_FALSE(error.fix.empty());
}

TEST(Home, FindsTheNodesThatRun) {
  const Folder folder;
  const Home home(folder.path());
  EXPECT_TRUE(home.RunningNodes().empty()) << "no directory yet";
  ASSERT_OK(EnsurePrivateDirectory(home.RuntimeDirectory()));
  const Listener late(home.SocketPath(10003).value()), early(home.SocketPath(10002).value());
  { const Listener gone(home.SocketPath(10001).value()); }  // its file stays behind
  std::ofstream(home.RuntimeDirectory() + "/notes.sock") << "x";
  EXPECT_EQ(home.RunningNodes(), (std::vector<uint16_t>{10002, 10003}));
}

TEST(Home, TrustsNoSocketsWhereOthersMayPutThem) {
  const Folder folder;
  const Home home(folder.path());
  EXPECT_OK(home.CheckRuntimeDirectory()) << "no directory yet";
  ASSERT_OK(EnsurePrivateDirectory(home.RuntimeDirectory()));
  EXPECT_OK(home.CheckRuntimeDirectory());
  ASSERT_EQ(chmod(home.RuntimeDirectory().c_str(), 0777), 0);
  EXPECT_EQ(ErrorOf(home.CheckRuntimeDirectory()).exit, Exit::kLocal);
}

TEST(PrivateDirectory, IsMadeForItsOwnerOnly) {
  const Folder folder;
  const std::string path = folder.path() + "/a/b";
  ASSERT_OK(EnsurePrivateDirectory(path));
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  EXPECT_OK(EnsurePrivateDirectory(path)) << "the second time too";
}

TEST(PrivateDirectory, IsRefusedIfOthersCanEnterOrItIsNone) {
  const Folder folder;
  const std::string open = folder.path() + "/open", file = folder.path() + "/file", link = folder.path() + "/link";
  fs::create_directory(open);
  chmod(open.c_str(), 0755);
  std::ofstream(file) << "x";
  ASSERT_OK(EnsurePrivateDirectory(folder.path() + "/real"));
  fs::create_directory_symlink(folder.path() + "/real", link);
  for (const std::string& path : {open, file, link}) {
    EXPECT_EQ(ErrorOf(EnsurePrivateDirectory(path)).exit, Exit::kLocal) << path;
  }
}

}  // namespace
}  // namespace cli
