// The one list of op cases, for every backend: what to run on awkward shapes, and how far from its twin it may be.
#pragma once

#include "op_run.h"

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace dllm::test {

struct OpCase {
    std::string name;
    double tolerance;           // of the relative Frobenius error of each float32 output against the double twin
    double bfloat16_tolerance;  // the same of each bfloat16 output; the twin starts from the same rounded inputs
    std::function<void(OpRun&)> run;
};

using OpCases = std::vector<OpCase>;

const OpCases& op_cases();

// Whether the twin rounds the operands of matrix products to bfloat16.
enum class Factors { as_they_are, rounded };

// Runs a case in both placements and says all that was wrong; empty if nothing was.
std::string op_case_differences(Backend& backend, const OpCase& op_case, Factors factors = Factors::as_they_are);

// The op of a case: the first word of its name.
std::string op_of(const OpCase& op_case);

// Every op that has cases.
const std::set<std::string>& ops();

// Runs every case, or the chosen ones; throws a test failure that lists all that was wrong. A backend that has lost its
// device ends the list. Where DLLM_TEST_OPS names an op, only that op's cases are run.
void run_op_cases(Backend& backend, const std::function<bool(const OpCase&)>& chosen = {});

// Some cases of each op, spread evenly over those that it has: for tools under which kernels are very slow.
bool is_one_of_few(const OpCase& op_case);

// Neighbours of a bfloat16 in [2^e, 2^(e+1)) are 2^(e-7) apart, so rounding to the nearest is off by up to 2^(e-8):
// relative to the value 2^-8 at the lower end of its power of two, 2^-9 at the upper. In the root mean square over many
// values it is about 1.7e-3.
constexpr double ONE_ROUNDING = 2.2e-3;

// The same for a result of so many elements: the roundings of a few do not average out.
constexpr double one_rounding(int64_t elements) { return elements < 100 ? 0x1.01p-8 : ONE_ROUNDING; }

void add_case(OpCases& cases, const std::string& name, double tolerance, const std::function<void(OpRun&)>& run,
              double bfloat16_tolerance = ONE_ROUNDING);

// "op 3 x 65 x 2"
std::string case_name(const std::string& op, std::initializer_list<int64_t> sizes);

void add_row_cases(OpCases& cases);         // op_cases_rows.cpp: embedding, norms, gather and scatter
void add_matmul_cases(OpCases& cases);      // op_cases_matmul.cpp
void add_activation_cases(OpCases& cases);  // op_cases_activation.cpp
void add_attention_cases(OpCases& cases);   // op_cases_attention.cpp: queries and keys, attention
void add_loss_cases(OpCases& cases);        // op_cases_loss.cpp: cross-entropy, optimizer
void add_predict_cases(OpCases& cases);     // op_cases_predict.cpp
void add_commit_cases(OpCases& cases);      // op_cases_commit.cpp: rows of a sampling step, what it commits

}  // namespace dllm::test
