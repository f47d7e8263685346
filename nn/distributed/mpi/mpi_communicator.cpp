// The engine's thread begins MPI, starts what is asked for in the order in which it came, and tests what is under way:
// without a pause while somebody waits, else now and then. Messages carry the number of their exchange, so that
// exchanges may end in any order.
#include <gradus/nn/distributed/mpi/mpi_communicator.h>

#include <mpi.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include <gradus/nn/distributed/mpi/detail/lifeline.h>

namespace gradus::distributed {
namespace {

constexpr std::size_t largest_message = std::size_t{1} << 28;  // bytes; MPI counts them in an int
constexpr int tags = 32'768;                                   // that every MPI has

using Requests = std::vector<MPI_Request>;

void check_mpi(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int size = 0;
  MPI_Error_string(status, text.data(), &size);
  fail("distributed: {} failed: {}", call, std::string_view(text.data(), static_cast<std::size_t>(size)));
}

// Starts to send or receive `bytes`, in as many messages as they take.
void start_send(std::span<const std::byte> bytes, int rank, int tag, Requests& requests) {
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(largest_message, bytes.size()))) {
    const auto part = bytes.first(std::min(largest_message, bytes.size()));
    check_mpi(MPI_Isend(part.data(), static_cast<int>(part.size()), MPI_BYTE, rank, tag, MPI_COMM_WORLD,
                        &requests.emplace_back(MPI_REQUEST_NULL)),
              "MPI_Isend");
  }
}

void start_receive(std::span<std::byte> bytes, int rank, int tag, Requests& requests) {
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(largest_message, bytes.size()))) {
    const auto part = bytes.first(std::min(largest_message, bytes.size()));
    check_mpi(MPI_Irecv(part.data(), static_cast<int>(part.size()), MPI_BYTE, rank, tag, MPI_COMM_WORLD,
                        &requests.emplace_back(MPI_REQUEST_NULL)),
              "MPI_Irecv");
  }
}

std::vector<std::size_t> begins_of(std::span<const std::size_t> sizes) {
  std::vector<std::size_t> begins(sizes.size());
  for (std::size_t i = 1; i < sizes.size(); ++i) begins[i] = begins[i - 1] + sizes[i - 1];
  return begins;
}

void copy(std::span<const std::byte> from, std::span<std::byte> to) {
  if (!from.empty() && from.data() != to.data()) std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace

class MpiCommunicator::Engine {
 public:
  struct Job {
    std::function<void(int tag, Requests&)> start;
    Requests requests = {};
    std::atomic<bool> done = false;
  };
  using JobPtr = std::shared_ptr<Job>;

  explicit Engine(const MpiOptions& options) : options_(options), thread_([this] { run(); }) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_ || !failure_.empty(); });
    if (failure_.empty()) return;
    lock.unlock();
    end();
    fail("{}", failure_);
  }
  ~Engine() { end(); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  JobPtr start(std::function<void(int, Requests&)> start) {
    auto job = std::make_shared<Job>();
    job->start = std::move(start);
    {
      const std::lock_guard lock(mutex_);
      require_alive();
      waiting_jobs_.push_back(job);
    }
    changed_.notify_all();
    return job;
  }
  bool test(const Job& job) {
    if (job.done.load(std::memory_order_acquire)) return true;
    const std::lock_guard lock(mutex_);
    require_alive();
    return false;
  }
  void wait(const Job& job) {
    if (job.done.load(std::memory_order_acquire)) return;
    const Watch watch(*this);
    std::unique_lock lock(mutex_);
    const auto over = [&] { return job.done.load(std::memory_order_acquire) || !failure_.empty(); };
    if (!finished_.wait_for(lock, std::chrono::duration<double>(options_.timeout), over)) {
      lifeline_->give_up(options_.timeout);
      constexpr auto answer = std::chrono::seconds(5);  // within which rank 0 says who it is
      if (!finished_.wait_for(lock, answer, over)) {
        failure_ = fmt::format("rank {} on {} waited {:g} s, and rank 0 on {} does not answer", rank,
                               hosts[static_cast<std::size_t>(rank)], options_.timeout, hosts[0]);
      }
    }
    if (!job.done.load(std::memory_order_acquire)) require_alive();
  }
  // The memory of an exchange that nobody waits for any more.
  void give_up(const JobPtr& job) {
    std::unique_lock lock(mutex_);
    if (failure_.empty()) failure_ = fmt::format("rank {} gave an exchange up", rank);
    std::erase(waiting_jobs_, job);
    changed_.notify_all();
    finished_.wait(lock, [&] { return job->done.load() || std::ranges::find(active_, job) == active_.end(); });
  }

  void set_activity(std::string_view activity) {
    if (lifeline_) lifeline_->set_activity(activity);
  }
  void stop(const std::string& reason) {
    if (lifeline_) lifeline_->stop(reason);
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (failure_.empty()) failure_ = reason;
    changed_.notify_all();
    finished_.notify_all();
  }
  bool reports_failure() {
    const std::lock_guard lock(mutex_);
    if (stopped_) return true;
    return rank == (gone_ == 0 ? 1 : 0);
  }

  int rank = 0, size = 1;
  std::vector<std::string> hosts;

 private:
  // While one lives the engine does not pause, and others hear that this rank waits.
  class Watch {
   public:
    explicit Watch(Engine& engine) : engine_(engine) {
      engine_.waiters_.fetch_add(1);
      if (engine_.lifeline_) engine_.lifeline_->set_waiting(true);
      engine_.changed_.notify_all();
    }
    ~Watch() {
      if (engine_.lifeline_) engine_.lifeline_->set_waiting(false);
      engine_.waiters_.fetch_sub(1);
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Engine& engine_;
  };

  void require_alive() const { check(failure_.empty(), "distributed: {}", failure_); }

  void run() {
    try {
      begin();
      work();
    } catch (const Error& error) {
      set_failure(error.what());
    }
    drop_jobs();
    if (!mpi_begun_) return;
    std::unique_lock lock(mutex_);
    if (failure_.empty()) {
      lock.unlock();
      MPI_Finalize();
      return;
    }
    const bool met = changed_.wait_for(lock, std::chrono::duration<double>(options_.grace), [&] { return ending_; });
    const std::string failure = failure_;
    lock.unlock();
    if (!met && options_.on_failure && reports_failure()) options_.on_failure(failure);
    constexpr auto for_the_one_that_reports = std::chrono::seconds(1);  // MPI_Abort ends all at once
    if (!reports_failure()) std::this_thread::sleep_for(for_the_one_that_reports);
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }

  void begin() {
    int level = 0;
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level), "MPI_Init_thread");
    mpi_begun_ = true;
    check(level >= MPI_THREAD_FUNNELED, "distributed: this MPI was built without support for threads; use another");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    read_hosts();
    if (size > 1) begin_lifeline();
    const std::lock_guard lock(mutex_);
    begun_ = true;
    changed_.notify_all();
  }

  void read_hosts() {
    constexpr std::size_t width = MPI_MAX_PROCESSOR_NAME + 1;
    std::vector<char> own(width), all(width * static_cast<std::size_t>(size));
    int length = 0;
    check_mpi(MPI_Get_processor_name(own.data(), &length), "MPI_Get_processor_name");
    check_mpi(MPI_Allgather(own.data(), static_cast<int>(width), MPI_CHAR, all.data(), static_cast<int>(width),
                            MPI_CHAR, MPI_COMM_WORLD),
              "MPI_Allgather");
    for (int r = 0; r < size; ++r) hosts.emplace_back(all.data() + static_cast<std::size_t>(r) * width);
  }

  void begin_lifeline() {
    lifeline_ = std::make_unique<detail::Lifeline>(
        rank, hosts, [this](const std::string& sentence, int gone) { set_failure(sentence, gone); });
    constexpr std::size_t most = 4096;
    std::string place(most, '\0');
    if (rank == 0) {
      const std::string own = lifeline_->listen();
      std::copy_n(own.begin(), std::min(own.size(), most - 1), place.begin());
    }
    check_mpi(MPI_Bcast(place.data(), static_cast<int>(most), MPI_CHAR, 0, MPI_COMM_WORLD), "MPI_Bcast");
    if (rank != 0) lifeline_->connect(place.c_str());
  }

  void set_failure(const std::string& text, int gone = -1) {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = text, gone_ = gone;
    changed_.notify_all();
    finished_.notify_all();
  }

  void work() {
    using std::chrono::microseconds;
    constexpr microseconds shortest(10), longest(200);
    microseconds pause = shortest;
    int next_tag = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
      if (!failure_.empty()) return;
      if (ending_ && waiting_jobs_.empty() && active_.empty()) return;
      std::deque<JobPtr> fresh;
      fresh.swap(waiting_jobs_);
      active_.insert(active_.end(), fresh.begin(), fresh.end());
      if (active_.empty()) {
        changed_.wait(lock);
        continue;
      }
      lock.unlock();
      for (const JobPtr& job : fresh) {
        job->start(next_tag, job->requests);
        next_tag = (next_tag + 1) % tags;
      }
      const bool moved = advance();
      lock.lock();
      if (moved) {
        std::erase_if(active_, [](const JobPtr& job) { return job->done.load(); });
        finished_.notify_all();
        pause = shortest;
      } else if (waiters_.load() > 0) {
        lock.unlock();
        std::this_thread::yield();
        lock.lock();
      } else {
        changed_.wait_for(lock, pause);
        pause = std::min(2 * pause, longest);
      }
    }
  }

  // Whether one of those under way is done now.
  bool advance() {
    bool moved = false;
    for (const JobPtr& job : active_) {
      int done = 0;
      check_mpi(MPI_Testall(static_cast<int>(job->requests.size()), job->requests.data(), &done, MPI_STATUSES_IGNORE),
                "MPI_Testall");
      if (done == 0) continue;
      job->done.store(true, std::memory_order_release);
      moved = true;
    }
    return moved;
  }

  // After a failure: cancels what is under way, so that its memory may go.
  void drop_jobs() {
    std::unique_lock lock(mutex_);
    const std::vector<JobPtr> jobs = active_;
    lock.unlock();
    for (const JobPtr& job : jobs) {
      for (MPI_Request& request : job->requests) {
        if (request == MPI_REQUEST_NULL) continue;
        MPI_Cancel(&request);
        MPI_Request_free(&request);
      }
    }
    lock.lock();
    active_.clear();
    waiting_jobs_.clear();
    finished_.notify_all();
  }

  void end() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  MpiOptions options_;
  std::unique_ptr<detail::Lifeline> lifeline_;
  std::mutex mutex_;
  std::condition_variable changed_, finished_;
  std::deque<JobPtr> waiting_jobs_;
  std::vector<JobPtr> active_;  // of the thread; changed under the lock
  std::string failure_;
  int gone_ = -1;  // the rank that died, if one did
  std::atomic<int> waiters_ = 0;
  bool begun_ = false, ending_ = false, stopped_ = false, mpi_begun_ = false;
  std::thread thread_;  // the last: it uses the others
};

namespace {

template <class Engine, class JobPtr>
class MpiExchange final : public Request::Exchange {
 public:
  MpiExchange(std::shared_ptr<Engine> engine, JobPtr job) : engine_(std::move(engine)), job_(std::move(job)) {}
  ~MpiExchange() override {
    if (!job_->done.load()) engine_->give_up(job_);
  }
  MpiExchange(const MpiExchange&) = delete;
  MpiExchange& operator=(const MpiExchange&) = delete;
  bool done() override { return engine_->test(*job_); }
  void wait() override { engine_->wait(*job_); }

 private:
  std::shared_ptr<Engine> engine_;
  JobPtr job_;
};

template <class Engine, class Start>
Request started(const std::shared_ptr<Engine>& engine, Start start) {
  auto job = engine->start(std::move(start));
  return Request(std::make_unique<MpiExchange<Engine, decltype(job)>>(engine, job));
}

}  // namespace

MpiCommunicator::MpiCommunicator(const MpiOptions& options) : engine_(std::make_shared<Engine>(options)) {}
MpiCommunicator::~MpiCommunicator() = default;

int MpiCommunicator::rank() const {
  return engine_->rank;
}
int MpiCommunicator::size() const {
  return engine_->size;
}
std::string MpiCommunicator::host(int rank) const {
  return engine_->hosts.at(static_cast<std::size_t>(rank));
}
void MpiCommunicator::set_activity(std::string_view activity) {
  engine_->set_activity(activity);
}
void MpiCommunicator::stop(std::string_view reason) noexcept {
  engine_->stop(std::string(reason));
}
bool MpiCommunicator::reports_failure() const {
  return engine_->reports_failure();
}

void MpiCommunicator::barrier() {
  started(engine_, [](int, Requests& requests) {
    check_mpi(MPI_Ibarrier(MPI_COMM_WORLD, &requests.emplace_back(MPI_REQUEST_NULL)), "MPI_Ibarrier");
  }).wait();
}

void MpiCommunicator::do_broadcast(std::span<std::byte> bytes, int root) {
  started(engine_, [bytes, root](int, Requests& requests) {
    for (std::span<std::byte> rest = bytes; !rest.empty();
         rest = rest.subspan(std::min(largest_message, rest.size()))) {
      const auto part = rest.first(std::min(largest_message, rest.size()));
      check_mpi(MPI_Ibcast(part.data(), static_cast<int>(part.size()), MPI_BYTE, root, MPI_COMM_WORLD,
                           &requests.emplace_back(MPI_REQUEST_NULL)),
                "MPI_Ibcast");
    }
  }).wait();
}

// Rank r sends to r + 1 first, then to r + 2, .., so that no rank gets all messages at once.
Request MpiCommunicator::do_all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_sizes,
                                       std::span<std::byte> receive, std::span<const std::size_t> receive_sizes) {
  const auto own = static_cast<std::size_t>(rank());
  const std::vector<std::size_t> to(send_sizes.begin(), send_sizes.end()), to_begins = begins_of(send_sizes);
  const std::vector<std::size_t> from(receive_sizes.begin(), receive_sizes.end()),
      from_begins = begins_of(receive_sizes);
  copy(send.subspan(to_begins[own], to[own]), receive.subspan(from_begins[own], from[own]));
  return started(engine_, [=](int tag, Requests& requests) {
    const std::size_t ranks = to.size();
    for (std::size_t i = 1; i < ranks; ++i) {
      const std::size_t r = (own + ranks - i) % ranks;
      start_receive(receive.subspan(from_begins[r], from[r]), static_cast<int>(r), tag, requests);
    }
    for (std::size_t i = 1; i < ranks; ++i) {
      const std::size_t r = (own + i) % ranks;
      start_send(send.subspan(to_begins[r], to[r]), static_cast<int>(r), tag, requests);
    }
  });
}

Request MpiCommunicator::do_all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                                       std::span<const std::size_t> given) {
  const auto own = static_cast<std::size_t>(rank());
  const std::vector<std::size_t> sizes(given.begin(), given.end()), begins = begins_of(given);
  copy(send, receive.subspan(begins[own], sizes[own]));
  const std::span<const std::byte> mine = receive.subspan(begins[own], sizes[own]);
  return started(engine_, [=](int tag, Requests& requests) {
    const std::size_t ranks = sizes.size();
    for (std::size_t i = 1; i < ranks; ++i) {
      const std::size_t r = (own + ranks - i) % ranks;
      start_receive(receive.subspan(begins[r], sizes[r]), static_cast<int>(r), tag, requests);
    }
    for (std::size_t i = 1; i < ranks; ++i) start_send(mine, static_cast<int>((own + i) % ranks), tag, requests);
  });
}

}  // namespace gradus::distributed
