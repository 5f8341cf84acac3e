// Gathers the op cases and runs them.
#include "op_cases.h"

#include "error.h"
#include "test.h"

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace dllm::test {

const OpCases& op_cases() {
    static const OpCases all = [] {
        OpCases cases;
        add_row_cases(cases);
        add_matmul_cases(cases);
        add_activation_cases(cases);
        add_attention_cases(cases);
        add_loss_cases(cases);
        add_predict_cases(cases);
        add_commit_cases(cases);
        return cases;
    }();
    return all;
}

std::string op_of(const OpCase& op_case) { return op_case.name.substr(0, op_case.name.find(' ')); }

const std::set<std::string>& ops() {
    static const std::set<std::string> all = [] {
        std::set<std::string> names;
        for (const OpCase& op_case : op_cases()) names.insert(op_of(op_case));
        return names;
    }();
    return all;
}

bool is_one_of_few(const OpCase& op_case) {
    constexpr size_t FEW = 6;
    static const std::set<const OpCase*> few = [] {
        std::map<std::string, std::vector<const OpCase*>> by_op;  // the name without its sizes
        for (const OpCase& entry : op_cases())
            by_op[entry.name.substr(0, entry.name.find_first_of("0123456789"))].push_back(&entry);
        std::set<const OpCase*> chosen;
        for (const auto& [op, entries] : by_op)
            for (size_t i = 0; i < FEW; i++) chosen.insert(entries[i * (entries.size() - 1) / (FEW - 1)]);
        return chosen;
    }();
    return few.contains(&op_case);
}

void add_case(OpCases& cases, const std::string& name, double tolerance, const std::function<void(OpRun&)>& run,
              double bfloat16_tolerance) {
    cases.push_back({name, tolerance, bfloat16_tolerance, run});
}

std::string case_name(const std::string& op, std::initializer_list<int64_t> sizes) {
    std::string name = op;
    const char* separator = " ";
    for (const int64_t size : sizes) {
        name += separator + std::to_string(size);
        separator = " x ";
    }
    return name;
}

namespace {

std::string differences(OpRun& run, const OpCase& op_case, const char* placement) {
    std::string all;
    for (const OperandResult& result : run.results()) {
        const double tolerance = result.dtype == DType::bf16 ? op_case.bfloat16_tolerance : op_case.tolerance;
        if (result.fault.empty() && result.error <= tolerance) continue;
        const std::string what = result.fault.empty() ? join("error ", result.error, " > ", tolerance) : result.fault;
        all += join("\n    ", op_case.name, placement, ", ", result.name, ": ", what);
    }
    return all;
}

// What DLLM_TEST_OPS names; empty for every op.
std::string chosen_op() {
    const char* name = std::getenv("DLLM_TEST_OPS");
    if (name == nullptr || ops().contains(name)) return name == nullptr ? "" : name;
    std::string accepted;
    for (const std::string& op : ops()) accepted += " " + op;
    throw Failure{join("DLLM_TEST_OPS is ", name, "; accepted:", accepted), std::source_location::current()};
}

// A kernel that faults takes all later work on its device down with it.
bool has_its_device(Backend& backend) {
    try {
        backend.release(backend.allocate(1));
        return true;
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

std::string op_case_differences(Backend& backend, const OpCase& op_case, Factors factors) {
    try {
        OpRun tight(backend, Placement::tight, true), strided(backend, Placement::strided, false);
        tight.rounds_factors = strided.rounds_factors = factors == Factors::rounded;
        op_case.run(tight);
        const std::string found = differences(tight, op_case, "");
        op_case.run(strided);
        strided.share_twins(tight);
        return found + differences(strided, op_case, ", strided");
    } catch (const Error& error) {
        return join("\n    ", op_case.name, ": threw ", error.what());
    }
}

void run_op_cases(Backend& backend, const std::function<bool(const OpCase&)>& chosen) {
    const std::string op = chosen_op();
    std::string all;
    for (const OpCase& op_case : op_cases()) {
        if ((!op.empty() && op_of(op_case) != op) || (chosen && !chosen(op_case))) continue;
        const std::string found = op_case_differences(backend, op_case);
        all += found;
        if (found.empty() || has_its_device(backend)) continue;
        all += "\n    and with it the device is lost: no case after it was run";
        break;
    }
    if (!all.empty())
        throw Failure{join(backend.name(), " differs from the twins", all), std::source_location::current()};
}

}  // namespace dllm::test
