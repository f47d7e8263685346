// What does a flat cost? A network for tables: numbers are standardized, missing ones marked, and the district becomes
// a learned vector. Judged by flats that it has not seen.
//
//   build/bin/tabular        writes flats.csv and reads it
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <cmath>
#include <fstream>
#include <numbers>

using namespace gradus;

struct Prices : nn::Module {
  nn::Embedding district{5, 3};
  nn::Sequential mlp{nn::Linear(9, 32), nn::ReLU(), nn::Linear(32, 32), nn::ReLU(), nn::Linear(32, 1)};
  void members(nn::Visitor& visit) const override {
    visit("district", district);
    visit("mlp", mlp);
  }
  Tensor operator()(const Tensor& numbers, const Ids& districts) const {
    return mlp(concat({district(districts), numbers}, 1));
  }
};

// Flats with made-up prices, in thousands. One age in six is not known.
void write_flats(const char* path, Index rows) {
  const std::vector<std::string> districts{"harbor", "hill", "north", "old town", "park"};
  const std::vector<double> prices{3.5, 6, 2, 5, 4};
  Generator g(1);
  std::ofstream file(path);
  file << "district,area,floor,age,price\n";
  for (Index i = 0; i < rows; ++i) {
    const std::size_t d = std::size_t(g.below(5));
    const double area = std::round(30 + 90 * g.uniform<double>()), age = double(g.below(80));
    const Index floor = g.below(8);
    const double view = d < 2 ? 1 + 0.05 * double(floor) : 1;  // of the sea
    const double price = prices[d] * area * view * (0.6 + 0.4 * std::exp(-age / 30)) + 15 * g.normal();
    file << fmt::format("{},{},{},{},{:.1f}\n", districts[d], area, floor, i % 6 == 0 ? "" : fmt::to_string(age),
                        price);
  }
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;  // of the number of epochs
  manual_seed(1);
  write_flats("flats.csv", 2000);
  const nn::Table table = nn::read_csv("flats.csv");
  const Tensor numbers = table.tensor({"area", "floor", "age"}), price = table.tensor({"price"});
  const Ids district = table.ids("district");
  const std::vector<std::vector<Index>> parts = nn::random_split(table.rows(), {0.8, 0.2});
  const nn::Standardizer x_scale(index_select(numbers, 0, parts[0])), y_scale(index_select(price, 0, parts[0]));
  const Tensor scaled = x_scale.transform(numbers), missing = isnan(scaled);
  const Tensor x = concat({masked_fill(scaled, missing, 0), missing}, 1), y = y_scale.transform(price);
  const nn::TensorDataset rows({x, y}, district);
  nn::DataLoader train(nn::Subset(rows, parts[0]), {.batch_size = 32, .shuffle = true});
  const nn::Batch validation = nn::DataLoader(rows).rows(parts[1]);

  const Prices net;
  optim::AdamW optimizer(net.parameters(), {.lr = 2e-3, .weight_decay = 0.01});
  const auto error = [&](const Tensor& guess) {
    return l1_loss(y_scale.inverse(guess), y_scale.inverse(validation[1])).item();
  };
  const double baseline = error(zeros_like(validation[1]));
  for (int epoch = 1; epoch <= 20 * scale; ++epoch) {
    for (const nn::Batch& batch : train) {
      const Tensor loss = mse_loss(net(batch[0], batch.labels), batch[1]);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
    }
    const NoGrad guard;
    if (epoch % 4 == 0) fmt::print("epoch {:2}  off by {:.1f}\n", epoch, error(net(validation[0], validation.labels)));
  }
  fmt::print("always the mean price: off by {:.1f}, noise alone: {:.1f}\n", baseline,
             15 * std::sqrt(2 / std::numbers::pi));
}
