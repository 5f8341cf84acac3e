// How TimedBackend times an op: see timed_backend.h.
#include "arena.h"
#include "clock.h"
#include "timed_backend.h"

#include <algorithm>

namespace dllm {

TimedBackend::TimedBackend(std::unique_ptr<Backend> backend, std::shared_ptr<OpCounts> counts, int64_t batch_rows)
    : backend_(std::move(backend)), counts_(std::move(counts)), batch_rows_(batch_rows) {
    if (!backend_->runs_behind()) return;
    probe_ = {backend_->allocate(sizeof(float)), 1, 1, 1, DType::f32};
    backend_->zero(probe_);
    std::vector<double> waits;
    for (int i = 0; i < 101; i++) {
        const double begin = now();
        wait();
        waits.push_back(now() - begin);
    }
    std::nth_element(waits.begin(), waits.begin() + 50, waits.end());
    idle_wait_ = waits[50];
}

TimedBackend::~TimedBackend() { backend_->release(probe_.data); }

void TimedBackend::wait() {
    if (!probe_) return;
    float value = 0;
    backend_->download(&value, probe_);
}

double TimedBackend::seconds_of(const std::function<void()>& work) {
    const double begin = now();
    work();
    wait();
    return std::max(0.0, now() - begin - idle_wait_);
}

std::vector<double> TimedBackend::queued_rounds(const std::function<void()>& op, std::span<const Tensor> changed) {
    constexpr double LEAST_SECONDS = 2e-3;  // of a round, beside which its start and its end are small
    constexpr int MOST_OPS = 50, ROUNDS = 5;
    std::vector<Tensor> kept;
    const Arena arena = Arena::lay_out(*backend_, [&](Arena& a) {
        kept.clear();
        for (const Tensor& x : changed) kept.push_back(x ? a.take(x.rows, x.cols, x.dtype) : Tensor{});
    });
    const auto copy_all = [&](std::span<const Tensor> out, std::span<const Tensor> from) {
        for (size_t i = 0; i < out.size(); i++)
            if (out[i]) backend_->copy(out[i], from[i]);
    };
    copy_all(kept, changed);
    seconds_of(op);  // makes its plans
    const int ops = std::clamp(int(LEAST_SECONDS / std::max(seconds_of(op), 1e-9)), 1, MOST_OPS);
    const auto recording = backend_->make_recording();
    const auto run = [&] {
        recording->run([&] {
            for (int i = 0; i < ops; i++) op();
        });
    };
    for (int warmup = 0; warmup < 2; warmup++) seconds_of(run);  // op by op, then recorded
    std::vector<double> rounds;
    for (int round = 0; round < ROUNDS; round++) rounds.push_back(seconds_of(run) / ops);
    copy_all(changed, kept);
    op();
    wait();  // for the memory of what was kept
    return rounds;
}

void TimedBackend::count(const std::string& name, double operations, double bytes, const std::function<void()>& op,
                         std::initializer_list<Tensor> changed) {
    std::vector<double> rounds =
        backend_->runs_behind() ? queued_rounds(op, changed) : std::vector<double>{seconds_of(op)};
    std::sort(rounds.begin(), rounds.end());
    OpCount& entry = (*counts_)[name];
    entry.seconds += rounds[rounds.size() / 2];
    entry.lowest += rounds.front();
    entry.highest += rounds.back();
    entry.operations += operations;
    entry.bytes += bytes;
    entry.calls++;
}

}  // namespace dllm
