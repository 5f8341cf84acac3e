// Several work queues at once, each with an owner's thread of its own, under random disposal. Meant for ThreadSanitizer
// as much as for the assertions.
#include "error.h"
#include "repeats.h"
#include "test.h"
#include "work_queue.h"
#include "work_queue_owner.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace dllm;

namespace {

struct Resident {
    explicit Resident(std::atomic<int>& a) : alive(a) { alive++; }
    ~Resident() { alive--; }
    void use() { uses++; }

    std::atomic<int>& alive;
    int64_t uses = 0;  // plain: a second thread in here would be a race, and use after the end an error
};

// One queue from its start to its end, with everything that an owner may do to it.
class RandomLife {
public:
    RandomLife(Draws& draws, Problems& problems) : draws_(draws), problems_(problems) {}

    void run() {
        for (int i = 10 + draws_.below(50); i > 0; i--) act();
        end();
        if (alive_ != 0) problems_.push_back(std::to_string(alive_) + " objects were not freed");
        for (size_t i = 0; i < settled_.size(); i++)
            if (settled_[i] > 1 || (settled_[i] == 0 && !abandoned_))
                problems_.push_back("a task was settled " + std::to_string(settled_[i]) + " times");
    }

private:
    void act() {
        switch (draws_.below(12)) {
            case 0:
            case 1: create(); break;
            case 2: discard(); break;
            case 3: owner_.queue.settle_finished(); break;
            case 4: expect(owner_.settle_all()); break;
            case 5:
                if (!stops_.empty()) *stops_[size_t(draws_.below(int(stops_.size())))] = true;
                break;
            case 6: spin(draws_.below(100)); break;
            default: work(); break;
        }
    }

    void end() {
        switch (draws_.below(4)) {
            case 0: expect(owner_.settle_all()); [[fallthrough]];
            case 1:
                owner_.queue.close("model");
                expect(owner_.settle_to_the_end());
                break;
            case 2: owner_.queue.close("model"); [[fallthrough]];
            default: abandoned_ = true; owner_.queue.abandon();
        }
    }

    void create() {
        const auto made = std::make_shared<Resident*>();
        submit([this, made] { *made = owner_.queue.create<Resident>(alive_).get(); }, nullptr, nullptr,
               [this, made](const std::string& outcome) {
                   if (outcome == "done" && !owner_.queue.closed()) residents_.push_back(*made);
               });
    }

    void discard() {
        if (residents_.empty()) return;
        const auto chosen = residents_.begin() + draws_.below(int(residents_.size()));
        owner_.queue.discard(*chosen, "trainer");
        residents_.erase(chosen);
    }

    void work() {
        Resident* const resident =
            residents_.empty() ? nullptr : residents_[size_t(draws_.below(int(residents_.size())))];
        const Stop stop = draws_.chance(2) ? make_stop() : nullptr;
        if (stop) stops_.push_back(stop);
        const int microseconds = draws_.below(80);
        const bool fails = draws_.chance(4);
        auto body = [=] {
            if (resident) resident->use();
            spin(microseconds);
            if (resident) resident->use();
            if (stop && *stop) fail(ErrorCode::aborted, "stopped");
            if (fails) fail(ErrorCode::native, "failed");
        };
        submit(body, resident, stop, [this, fails, stoppable = stop != nullptr](const std::string& outcome) {
            const bool expected = outcome == (fails ? "ERR_NATIVE failed" : "done") ||
                                  outcome.starts_with("ERR_DISPOSED") ||
                                  (stoppable && outcome == "ERR_ABORTED stopped");
            if (!expected) problems_.push_back("unexpected outcome: " + outcome);
        });
    }

    void submit(std::function<void()> body, const void* subject, Stop stop, FunctionTask::Settle settle) {
        const size_t index = settled_.size();
        settled_.push_back(0);
        owner_.submit(
            std::move(body),
            [this, index, settle = std::move(settle)](const std::string& outcome) {
                settled_[index]++;
                settle(outcome);
            },
            subject, std::move(stop));
    }

    void expect(bool woken) {
        if (!woken) problems_.push_back("a wake was lost");
    }

    Draws& draws_;
    Problems& problems_;
    std::atomic<int> alive_ = 0;
    std::vector<int> settled_;  // how often, of each task
    std::vector<Resident*> residents_;
    std::vector<Stop> stops_;
    bool abandoned_ = false;
    QueueOwner owner_;
};

}  // namespace

TEST(work_queues_survive_random_lives) {
    constexpr int OWNERS = 4;
    const int lives = repeats(200);
    run_owners(OWNERS, [&](int owner, Problems& problems) {
        Draws draws{uint64_t(owner)};
        for (int life = 0; life < lives; life++) RandomLife(draws, problems).run();
    });
}
