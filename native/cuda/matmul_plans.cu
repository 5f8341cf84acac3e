// MatmulPlans: see matmul_plans.h.
#include "matmul_plans.h"

#include "failed_devices.h"
#include "matmul_rows.h"

#include <optional>

namespace dllm::cuda {
namespace {

// Trials of one key end after the first of these, and all trials after the second.
constexpr double MOST_SECONDS_OF_A_KEY = 0.5, MOST_SECONDS = 30;

// Kept at the same time, lest numbers of rows drawn at random fill the memory.
constexpr size_t MOST_PLANS = 2048;

bool was_timed(const std::unique_ptr<MatmulPlan>& plan) { return plan->chosen() == Chosen::timed; }

bool is_derived(const std::unique_ptr<MatmulPlan>& plan) { return plan->chosen() == Chosen::derived; }

bool is_derived(const FusionChoice& choice) { return choice.derived; }

bool was_tried(const FusionChoice& choice) {
    const bool has_outcome =
        choice.fused == Fused::yes || choice.fused == Fused::slower || choice.fused == Fused::failed;
    return has_outcome && !choice.derived;
}

// Forgets what would now be derived from this key, perhaps; true if there was any.
template <class Kept>
bool forget_derived(std::map<MatmulKey, Kept>& all, const MatmulKey& tried) {
    return std::erase_if(
               all, [&](const auto& entry) { return is_derived(entry.second) && tells_about(tried, entry.first); }) > 0;
}

}  // namespace

void MatmulPlans::run(const MatmulProduct& product) {
    const MatmulPlan* plan = find(product);
    if (plan == nullptr)
        fail(ErrorCode::device, "cuBLASLt has no algorithm without split-K for " + describe(key_of(product)));
    cublasStatus_t status = plan->enqueue(context_, product, plan->algorithm());
    // cuBLASLt does not promise that what it accepts will run.
    if (status != CUBLAS_STATUS_SUCCESS && plan->chosen() == Chosen::derived) {
        (void)cudaGetLastError();
        auto other = std::make_unique<MatmulPlan>(plan->key());
        if (choose(*other, product, false)) {
            plan = keep(std::move(other));
            status = plan->enqueue(context_, product, plan->algorithm());
        }
    }
    check(status, "cublasLtMatmul");
}

const MatmulPlan* MatmulPlans::find(const MatmulProduct& product) {
    const MatmulKey key = key_of(product);
    if (const auto kept = plans_.find(key); kept != plans_.end()) return kept->second.get();
    auto plan = std::make_unique<MatmulPlan>(key);
    return choose(*plan, product, true) ? keep(std::move(plan)) : nullptr;
}

const MatmulPlan* MatmulPlans::keep(std::unique_ptr<MatmulPlan> plan) {
    if (was_timed(plan) && forget_derived(plans_, plan->key())) generation_++;
    if (plans_.size() >= MOST_PLANS) {
        if (std::erase_if(plans_, [](const auto& entry) { return !was_timed(entry.second); }) > 0) generation_++;
        std::erase_if(fusions_, [](const auto& entry) { return !was_tried(entry.second); });
    }
    const MatmulKey& key = plan->key();
    return (plans_[key] = std::move(plan)).get();
}

bool MatmulPlans::choose(MatmulPlan& plan, const MatmulProduct& product, bool may_derive) {
    if (may_derive && derive(plan)) return true;
    const std::vector<Algorithm> candidates = plan.candidates(context_);
    if (candidates.empty()) return false;
    plan.choose(candidates.front(), context_.captures() ? Chosen::captured : Chosen::first);
    if (candidates.size() == 1 || !may_time()) return true;
    try {
        choose_fastest(plan, product, candidates);
    } catch (const Error& error) {  // without memory for trials it is the first, and save() says so
        if (error.code() != ErrorCode::out_of_memory) throw;
    }
    return true;
}

bool MatmulPlans::derive(MatmulPlan& plan) const {
    for (const auto* tried : nearest_tried(plans_, plan.key(), was_timed)) {
        if (!plan.accepts(context_, (*tried)->algorithm())) continue;
        plan.choose((*tried)->algorithm(), Chosen::derived);
        return true;
    }
    return false;
}

void MatmulPlans::choose_fastest(MatmulPlan& plan, const MatmulProduct& product,
                                 const std::vector<Algorithm>& candidates) {
    MatmulProduct tried = product;
    std::optional<Elsewhere> elsewhere;
    if (product.addend && product.addend.data == product.out.data)  // a trial must not add to it
        tried.out = elsewhere.emplace(context_, product.out).tensor();
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    std::vector<Stopwatch::Work> works;
    for (const Algorithm& candidate : candidates) {
        works.push_back([&] {
            const cublasStatus_t result = plan.enqueue(context_, tried, candidate);
            if (result == CUBLAS_STATUS_SUCCESS) return true;
            status = result;
            (void)cudaGetLastError();  // that of a candidate is no one else's
            return false;
        });
    }
    const std::vector<std::optional<float>> times = stopwatch_.medians(works, MOST_SECONDS_OF_A_KEY);
    std::optional<float> best;
    for (size_t i = 0; i < candidates.size(); i++) {
        if (!times[i] || (best && *times[i] >= *best)) continue;
        best = times[i];
        plan.choose(candidates[i], Chosen::timed);
    }
    if (!best) check(status, "cublasLtMatmul, by every algorithm that cuBLASLt offers");
}

bool MatmulPlans::fuses(const MatmulProduct& product, const std::function<void(bool)>& rehearse) {
    if (options_.epilogues == UseEpilogues::off) return false;
    const MatmulKey key = key_of(product);
    if (const auto kept = fusions_.find(key); kept != fusions_.end()) return kept->second.fused == Fused::yes;
    const FusionChoice choice = choose_fusion(key, product, rehearse);
    if (was_tried(choice) && forget_derived(fusions_, key)) generation_++;
    fusions_[key] = choice;
    return choice.fused == Fused::yes;
}

FusionChoice MatmulPlans::choose_fusion(const MatmulKey& key, const MatmulProduct& product,
                                        const std::function<void(bool)>& rehearse) {
    const bool always = options_.epilogues == UseEpilogues::on;
    const FusionChoice* known = always ? nullptr : derive_fusion(key);
    if (!always && known == nullptr && !may_time()) return {Fused::no_time, {}};
    if (known != nullptr && known->fused != Fused::yes) return {known->fused, known->error, true};
    try {
        if (find(product) == nullptr) return {Fused::not_offered, {}};
        if (known != nullptr) {
            if (!context_.captures()) {  // cuBLASLt does not promise that it runs with these rows, too
                rehearse(true);
                check(cudaStreamSynchronize(context_.stream()), "cudaStreamSynchronize");
            }
            return {Fused::yes, {}, true};
        }
        return {always ? Fused::yes : time_fused(rehearse), {}};
    } catch (const Error& error) {
        require_alive(context_.device());
        (void)cudaGetLastError();  // that of a trial is no one else's
        if (error.code() == ErrorCode::out_of_memory) return {Fused::no_memory, {}};
        return {Fused::failed, error.what()};
    }
}

const FusionChoice* MatmulPlans::derive_fusion(const MatmulKey& key) const {
    const auto tried = nearest_tried(fusions_, key, was_tried);
    return tried.empty() ? nullptr : tried.front();
}

Fused MatmulPlans::time_fused(const std::function<void(bool)>& rehearse) {
    rehearse(false);  // chooses the algorithms of the parts
    const auto work = [&](bool fused) {
        return [&rehearse, fused] {
            rehearse(fused);
            return true;
        };
    };
    const std::vector<std::optional<float>> times =
        stopwatch_.medians({work(false), work(true)}, MOST_SECONDS_OF_A_KEY);
    if (!times[1]) return Fused::no_time;
    return *times[1] < *times[0] ? Fused::yes : Fused::slower;
}

bool MatmulPlans::may_time() const {
    return options_.tunes && stopwatch_.seconds() < MOST_SECONDS && !context_.captures();
}

}  // namespace dllm::cuda
