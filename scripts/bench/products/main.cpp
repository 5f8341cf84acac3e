// Times matrix products as training calls them, warm and alone: dllm_products cpu|cuda:N. Each input line
// `KIND ROWS IN OUT SECONDS [DTYPE [LAYOUT]]` (KIND forward, input or weight; DTYPE float32, unless given, or bfloat16;
// LAYOUT of the weight in_out, unless given, or out_in) answers one JSON line {"seconds": [...]}: every call's time,
// for that many seconds.
#include "arena.h"
#include "bench_device.h"
#include "clock.h"
#include "timed_backend.h"

#include <cstdio>
#include <exception>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace dllm;

namespace {

struct Product {
    std::string kind, dtype = "float32", layout = "in_out";
    int64_t rows, in, out;
    double seconds;
};

void accept(const char* what, const std::string& found, const std::vector<std::string>& known) {
    std::string list;
    for (const std::string& name : known) {
        if (name == found) return;
        list += (list.empty() ? "" : ", ") + name;
    }
    throw std::runtime_error(std::string(what) + " is " + found + "; accepted: " + list);
}

Product parse(const std::string& line) {
    std::istringstream words(line);
    Product p;
    if (!(words >> p.kind >> p.rows >> p.in >> p.out >> p.seconds))
        throw std::runtime_error("not KIND ROWS IN OUT SECONDS [DTYPE [LAYOUT]]: " + line);
    words >> p.dtype >> p.layout;
    accept("the kind", p.kind, {"forward", "input", "weight"});
    accept("the dtype", p.dtype, {"float32", "bfloat16"});
    accept("the layout", p.layout, {"in_out", "out_in"});
    return p;
}

// A device's backend in one type. Its products are counted one by one.
class Side {
public:
    Side(const std::string& device, const std::string& dtype)
        : device_(device, dtype), backend_(device_.make(), counts_, 1) {}

    std::vector<double> time(const Product& p);

private:
    // Filled, its padding too. Rows of logits begin where the backend wants them to.
    Tensor matrix(Arena& arena, int64_t rows, int64_t cols, DType dtype, int64_t alignment = 1) {
        const Tensor x = arena.take(rows, cols, dtype, alignment);
        if (x) fill(backend_, x.reshape(1, rows * x.stride));
        return x;
    }

    const std::shared_ptr<OpCounts> counts_ = std::make_shared<OpCounts>();
    BenchDevice device_;
    TimedBackend backend_;
};

// x (rows, in), weight (in, out) or (out, in), y (rows, out); the weight's gradient is float32 and accumulates, as in
// training
std::vector<double> Side::time(const Product& p) {
    const bool in_first = p.layout == "in_out";
    const WeightLayout layout = in_first ? WeightLayout::in_out : WeightLayout::out_in;
    const DType dtype = backend_.compute_dtype();
    Tensor x, y, weight;
    const Arena arena = Arena::lay_out(backend_, [&](Arena& a) {
        x = matrix(a, p.rows, p.in, dtype);
        y = matrix(a, p.rows, p.out, dtype, backend_.row_alignment());
        weight = matrix(a, in_first ? p.in : p.out, in_first ? p.out : p.in, p.kind == "weight" ? DType::f32 : dtype);
    });
    const auto call = [&] {
        counts_->clear();
        if (p.kind == "forward")
            backend_.matmul_forward(y, x, weight, {}, {}, layout);
        else if (p.kind == "input")
            backend_.matmul_backward_input(x, y, weight, layout);
        else
            backend_.matmul_backward_weight(weight, {}, x, y, layout);
        return counts_->begin()->second.seconds;
    };
    call();
    std::vector<double> times;
    for (const double end = now() + p.seconds; now() < end || times.size() < 3;) times.push_back(call());
    return times;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        if (count != 2) throw std::runtime_error("usage: dllm_products cpu|cuda:N");
        std::map<std::string, Side> sides;
        const auto side = [&](const std::string& dtype) -> Side& {
            return sides.try_emplace(dtype, arguments[1], dtype).first->second;
        };
        const BenchDevice device(arguments[1], "float32");
        std::printf("{\"path\": \"%s\", \"threads\": %d}\n", device.path().c_str(), device.threads());
        std::fflush(stdout);
        for (std::string line; std::getline(std::cin, line);) {
            const Product product = parse(line);
            const char* separator = "{\"seconds\": [";
            for (const double time : side(product.dtype).time(product)) {
                std::printf("%s%.6g", separator, time);
                separator = ", ";
            }
            std::printf("]}\n");
            std::fflush(stdout);
        }
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
