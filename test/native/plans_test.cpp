// A backend's plans are saved with a trainer and restored when it is loaded; one that cannot use them says why.
#include "cpu/backend.h"
#include "reference_backend.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"

namespace dllm {
namespace {

struct PlanningBackend : test::ReferenceBackend {
    std::string plan;
    std::string refusal;
    std::string restored = "nothing";

    std::string plans() const override { return plan; }
    std::string restore_plans(const std::string& plans) override {
        if (refusal.empty()) restored = plans;
        return refusal;
    }
};

struct PlanningTrainer {
    PlanningBackend* backend;
    Trainer trainer;

    explicit PlanningTrainer(std::unique_ptr<PlanningBackend> owned = std::make_unique<PlanningBackend>())
        : backend(owned.get()),
          trainer(std::make_shared<Model>(std::move(owned), small_config(Naming::llada), 1), train_config()) {}
};

TEST(plans_are_saved_and_restored_with_a_trainer) {
    const TemporaryFolder folder;
    PlanningTrainer first, second;
    first.backend->plan = "device \"x\"\nplan 1\n";
    first.trainer.skip_to(7);
    first.trainer.save(folder.file("optimizer"));
    check_equal(second.trainer.load(folder.file("optimizer")), "", "reason");
    check_equal(second.backend->restored, first.backend->plan, "plans");

    PlanningTrainer other;
    other.backend->refusal = "they are of another device";
    check_equal(other.trainer.load(folder.file("optimizer")), "they are of another device", "reason");
    check_equal(other.trainer.completed_steps(), 7, "completed steps");  // the rest is as it was saved

    first.backend->plan.clear();
    first.trainer.save(folder.file("without"));
    check_equal(second.trainer.load(folder.file("without")), "", "reason");
    check_equal(second.backend->restored, "", "plans");
}

TEST(plans_of_another_device_are_none_of_the_cpu) {
    const auto cpu = make_cpu_backend();
    check_equal(cpu->plans(), "", "plans");
    check_equal(cpu->restore_plans(""), "", "reason");
    check_equal(cpu->restore_plans("device x\n"), std::string("they are of another device than ") + cpu->name(),
                "reason");
}

}  // namespace
}  // namespace dllm
