// MatmulPlans: see matmul_plans.h.
#include "matmul_plans.h"

#include "failed_devices.h"

#include <chrono>
#include <optional>

namespace dllm::cuda {
namespace {

// Trials of one key end after the first of these, and all trials after the second.
constexpr double MOST_SECONDS_OF_A_KEY = 0.5, MOST_SECONDS = 30;

}  // namespace

// A while in which work is tried; its length is added to the total.
class MatmulPlans::Trial {
public:
    explicit Trial(MatmulPlans& plans) : plans_(plans) {}
    ~Trial() { plans_.seconds_ += seconds(); }
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

    double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

private:
    using Clock = std::chrono::steady_clock;

    MatmulPlans& plans_;
    Clock::time_point begin_ = Clock::now();
};

void MatmulPlans::run(const MatmulProduct& product) {
    const MatmulPlan* plan = find(product);
    if (plan == nullptr)
        fail(ErrorCode::device, "cuBLASLt has no algorithm without split-K for " + describe(key_of(product)));
    check(plan->enqueue(context_, product, plan->algorithm()), "cublasLtMatmul");
}

const MatmulPlan* MatmulPlans::find(const MatmulProduct& product) {
    const MatmulKey key = key_of(product);
    if (const auto kept = plans_.find(key); kept != plans_.end()) return kept->second.get();
    auto plan = std::make_unique<MatmulPlan>(key);
    const std::vector<Algorithm> candidates = plan->candidates(context_);
    if (candidates.empty()) return nullptr;
    choose(*plan, product, candidates);
    return (plans_[key] = std::move(plan)).get();
}

void MatmulPlans::choose(MatmulPlan& plan, const MatmulProduct& product, const std::vector<Algorithm>& candidates) {
    plan.choose(candidates.front(), captures() ? Chosen::captured : Chosen::first);
    if (candidates.size() == 1 || !may_time()) return;
    try {
        choose_fastest(plan, product, candidates);
    } catch (const Error& error) {  // without memory for trials it is the first, and save() says so
        if (error.code() != ErrorCode::out_of_memory) throw;
    }
}

void MatmulPlans::choose_fastest(MatmulPlan& plan, const MatmulProduct& product,
                                 const std::vector<Algorithm>& candidates) {
    const Trial trial(*this);
    MatmulProduct tried = product;
    std::optional<Elsewhere> elsewhere;
    if (product.addend && product.addend.data == product.out.data)  // a trial must not add to it
        tried.out = elsewhere.emplace(context_, product.out).tensor();
    Stopwatch stopwatch(context_);
    std::optional<float> best;
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    for (const Algorithm& candidate : candidates) {
        const std::optional<float> time = stopwatch.median([&] {
            const cublasStatus_t result = plan.enqueue(context_, tried, candidate);
            if (result == CUBLAS_STATUS_SUCCESS) return true;
            status = result;
            return false;
        });
        if (!time) (void)cudaGetLastError();  // that of a candidate is no one else's
        if (time && (!best || *time < *best)) {
            best = time;
            plan.choose(candidate, Chosen::timed);
        }
        if (best && trial.seconds() > MOST_SECONDS_OF_A_KEY) break;
    }
    if (!best) check(status, "cublasLtMatmul, by every algorithm that cuBLASLt offers");
    check(cudaStreamSynchronize(context_.stream()), "cudaStreamSynchronize");  // before memory is given back
}

bool MatmulPlans::fuses(const MatmulProduct& product, const std::function<void(bool)>& rehearse) {
    if (options_.epilogues == UseEpilogues::off) return false;
    const MatmulKey key = key_of(product);
    auto kept = fusions_.find(key);
    if (kept == fusions_.end()) kept = fusions_.emplace(key, choose_fusion(product, rehearse)).first;
    return kept->second.fused == Fused::yes;
}

FusionChoice MatmulPlans::choose_fusion(const MatmulProduct& product, const std::function<void(bool)>& rehearse) {
    const bool always = options_.epilogues == UseEpilogues::on;
    if (!always && !may_time()) return {Fused::no_time, {}};
    try {
        if (find(product) == nullptr) return {Fused::not_offered, {}};
        return {always || is_faster_fused(rehearse) ? Fused::yes : Fused::slower, {}};
    } catch (const Error& error) {
        require_alive(context_.device());
        (void)cudaGetLastError();  // that of a trial is no one else's
        if (error.code() == ErrorCode::out_of_memory) return {Fused::no_memory, {}};
        return {Fused::failed, error.what()};
    }
}

bool MatmulPlans::is_faster_fused(const std::function<void(bool)>& rehearse) {
    rehearse(false);  // chooses the algorithms of the parts
    const Trial trial(*this);
    Stopwatch stopwatch(context_);
    const auto time = [&](bool fused) {
        return *stopwatch.median([&] {
            rehearse(fused);
            return true;
        });
    };
    const float in_parts = time(false);
    return time(true) < in_parts;
}

bool MatmulPlans::captures() const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check(cudaStreamIsCapturing(context_.stream(), &status), "cudaStreamIsCapturing");
    return status != cudaStreamCaptureStatusNone;
}

bool MatmulPlans::may_time() const { return options_.tunes && seconds_ < MOST_SECONDS && !captures(); }

}  // namespace dllm::cuda
