// Loads the plugin it is given, uses it and unloads it, several times, without knowing the library itself.
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <thread>

namespace {

bool use(const char* path) {
  void* const plugin = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    return false;
  }
  auto* const step = reinterpret_cast<double (*)()>(::dlsym(plugin, "plugin_step"));
  const bool right = step != nullptr && step() == 128 * 128;
  return ::dlclose(plugin) == 0 && right;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  bool good = true;
  for (int i = 0; i < 3; ++i) {
    good = use(argv[1]) && good;
    std::thread([&] { good = use(argv[1]) && good; }).join();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));  // threads that the library left behind go on meanwhile
  return good ? 0 : 1;
}
