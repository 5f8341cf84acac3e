// The tests of the tests: a backend with a planted fault must not pass the op cases.
#include "environment_setting.h"
#include "op_cases.h"
#include "reference_backend.h"
#include "test.h"

namespace dllm {
namespace {

using namespace test;

std::string faults_of(Backend& backend, const std::string& name) {
    for (const OpCase& op_case : op_cases()) {
        if (op_case.name == name) return op_case_differences(backend, op_case);
    }
    return "no case has the name " + name;
}

void check_faults(Backend& backend, const std::string& name, const std::string& expected) {
    const std::string faults = faults_of(backend, name);
    if (faults.find(expected) != std::string::npos) return;
    throw Failure{join(name, ": expected \"", expected, "\" among \"", faults, "\""), std::source_location::current()};
}

TEST(op_run_accepts_the_twins) {
    ReferenceBackend backend;
    check_equal(faults_of(backend, "rms_norm 5 x 33"), "", "faults");
}

TEST(op_run_catches_an_unwritten_element) {
    struct : ReferenceBackend {
        void gather_rows(Tensor out, Tensor x, Tensor rows) override {
            ReferenceBackend::gather_rows(out.slice_cols(0, out.cols - 1), x.slice_cols(0, x.cols - 1), rows);
        }
    } backend;
    check_faults(backend, "gather_rows 5 x 33", "out: left unwritten at row 0 column 32");
}

TEST(op_run_catches_a_write_past_the_row) {
    struct : ReferenceBackend {
        void rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) override {
            ReferenceBackend::rms_norm_forward(out, rstd, x, weight, eps);
            out.f32()[(out.rows - 1) * out.stride + out.cols] = 1;
        }
    } backend;
    check_faults(backend, "rms_norm 5 x 33", "out: wrote outside the tensor");
}

TEST(op_run_catches_a_write_before_the_row) {
    struct : ReferenceBackend {
        void rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) override {
            ReferenceBackend::rms_norm_forward(out, rstd, x, weight, eps);
            rstd.f32()[-1] = 1;
        }
    } backend;
    check_faults(backend, "rms_norm 5 x 33", "rstd: wrote outside the tensor");
}

TEST(op_run_catches_a_read_past_the_row) {
    struct : ReferenceBackend {
        void rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) override {
            ReferenceBackend::rms_norm_forward(out, rstd, x, weight, eps);
            out.f32()[0] += x.f32()[(x.rows - 1) * x.stride + x.cols];
        }
    } backend;
    check_faults(backend, "rms_norm 5 x 33", "out: got nan");
}

TEST(op_run_catches_a_changed_input) {
    struct : ReferenceBackend {
        void scatter_rows(Tensor dx, Tensor dout, Tensor rows) override {
            ReferenceBackend::scatter_rows(dx, dout, rows);
            dout.f32()[1] = 0;
        }
    } backend;
    check_faults(backend, "scatter_rows 5 x 33", "dout: changed the input at row 0 column 1");
}

TEST(op_run_catches_overwriting_where_gradients_accumulate) {
    struct : ReferenceBackend {
        void scatter_rows(Tensor dx, Tensor dout, Tensor rows) override {
            zero(dx);
            ReferenceBackend::scatter_rows(dx, dout, rows);
        }
    } backend;
    check_faults(backend, "scatter_rows 5 x 33", "dx: error");
}

TEST(op_run_catches_an_ignored_stride) {
    struct : ReferenceBackend {
        void gather_rows(Tensor out, Tensor x, Tensor rows) override {
            x.stride = x.cols;
            ReferenceBackend::gather_rows(out, x, rows);
        }
    } backend;
    check_faults(backend, "gather_rows 5 x 33", "out: got nan");
}

TEST(op_run_catches_a_wrong_token) {
    struct : ReferenceBackend {
        void predict_tokens(const Predictions& out, Tensor logits, Tensor plan, int64_t length,
                            const PredictOptions& options) override {
            ReferenceBackend::predict_tokens(out, logits, plan, length, options);
            out.tokens.i32()[3] ^= 1;
        }
    } backend;
    check_faults(backend, "predict_tokens 17 x 66 banned 33 temperature 0.000000", "tokens: got");
}

TEST(op_cases_of_one_op_run_alone) {
    struct : ReferenceBackend {
        int64_t gathers = 0, others = 0;
        void gather_rows(Tensor out, Tensor x, Tensor rows) override {
            gathers++;
            ReferenceBackend::gather_rows(out, x, rows);
        }
        void scatter_rows(Tensor out, Tensor x, Tensor rows) override {
            others++;
            ReferenceBackend::scatter_rows(out, x, rows);
        }
    } backend;
    const EnvironmentSetting op("DLLM_TEST_OPS", "gather_rows");
    run_op_cases(backend);
    CHECK(backend.gathers > 0 && backend.others == 0);
}

TEST(op_cases_of_an_op_that_is_none) {
    ReferenceBackend backend;
    const EnvironmentSetting op("DLLM_TEST_OPS", "gather");
    std::string found;
    try {
        run_op_cases(backend);
    } catch (const Failure& failure) {
        found = failure.message;
    }
    CHECK(found.starts_with("DLLM_TEST_OPS is gather; accepted: activation adamw "));
}

}  // namespace
}  // namespace dllm
