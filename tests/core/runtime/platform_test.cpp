// What the system tells of memory, on files like those of /proc and /sys under another root.
#include <gradus/core/runtime/platform.h>

#include <filesystem>
#include <fstream>

#include "../../support.h"

namespace gradus::platform {
namespace {

namespace fs = std::filesystem;

struct Memory : ::testing::Test {
  Memory() { put("/proc/meminfo", "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\n"); }
  void put(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(root + path).parent_path());
    std::ofstream(root + path) << text;
  }
  // A control group of version 2 with a limit and what is used and dropped at need.
  void group(const std::string& name, const std::string& limit, std::size_t used, std::size_t cache) const {
    put("/sys/fs/cgroup" + name + "/memory.max", limit + "\n");
    put("/sys/fs/cgroup" + name + "/memory.current", std::to_string(used) + "\n");
    put("/sys/fs/cgroup" + name + "/memory.stat", fmt::format("anon 1\ninactive_file {}\nslab 7\n", cache));
  }

  const testing::TempFolder folder;
  const std::string root = folder.path().string();
};

constexpr std::size_t free_memory = 4000 * 1024;

TEST_F(Memory, OfTheMachine) {
  EXPECT_EQ(available_memory(root), free_memory);
  EXPECT_EQ(available_memory(root + "/nowhere"), 0);
}

TEST_F(Memory, OfAGroupAndThoseItIsIn) {
  put("/proc/self/cgroup", "0::/user/run\n");
  group("/user/run", "max", 500, 0);
  EXPECT_EQ(available_memory(root), free_memory);  // no limit
  group("/user/run", "100000", 60000, 20000);
  EXPECT_EQ(available_memory(root), 60000);  // what lies in the cache does not count as used
  group("/user", "50000", 30000, 0);
  EXPECT_EQ(available_memory(root), 20000);
  group("/user", "50000", 60000, 0);
  EXPECT_EQ(available_memory(root), 1);
  group("/user", "99999999", 10, 0);
  group("/user/run", "99999999", 10, 0);
  EXPECT_EQ(available_memory(root), free_memory);
}

TEST_F(Memory, OfAContainerThatSeesItsGroupAsTheRoot) {
  put("/proc/self/cgroup", "0::/\n");
  group("", "70000", 10000, 0);
  EXPECT_EQ(available_memory(root), 60000);
  put("/proc/self/cgroup", "0::/not/seen/here\n");
  EXPECT_EQ(available_memory(root), 60000);
}

TEST_F(Memory, OfAGroupOfVersionOne) {
  put("/proc/self/cgroup", "5:memory:/box\n1:name=systemd:/box\n");
  put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "90000\n");
  put("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "50000\n");
  put("/sys/fs/cgroup/memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file 5000\n");
  EXPECT_EQ(available_memory(root), 45000);
}

}  // namespace
}  // namespace gradus::platform
