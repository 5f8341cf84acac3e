// The work queue: order, outcomes, disposal of one object and of all, stopping what runs, and the end of the thread.
#include "work_queue.h"

#include "error.h"
#include "test.h"
#include "work_queue_owner.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

using namespace dllm;

namespace {

using Outcomes = std::vector<std::string>;

// Holds the queue's thread in a task until it is opened.
class Gate {
public:
    void pass() {
        entered_.count_down();
        open_.wait();
    }
    void wait_until_entered() { entered_.wait(); }
    void open() { open_.count_down(); }

private:
    std::latch entered_{1}, open_{1};
};

// Says on which thread it was destroyed.
struct Resident {
    explicit Resident(std::atomic<int>& c, std::thread::id& t) : count(c), thread(t) { count++; }
    ~Resident() {
        thread = std::this_thread::get_id();
        count--;
    }
    std::atomic<int>& count;
    std::thread::id& thread;
};

void run_until_stopped(const Stop& stop) {
    while (!*stop) std::this_thread::yield();
    fail(ErrorCode::aborted, "stopped");
}

const std::string TRAINER_DISPOSED = "ERR_DISPOSED the trainer is disposed";
const std::string MODEL_DISPOSED = "ERR_DISPOSED the model is disposed";

}  // namespace

TEST(work_queue_runs_tasks_in_order_on_a_thread_of_its_own_and_keeps_their_exceptions) {
    QueueOwner owner;
    Outcomes ran;
    std::vector<std::thread::id> threads;
    auto note = [&](const char* name) {
        ran.push_back(name);
        threads.push_back(std::this_thread::get_id());
    };
    owner.submit("a", [&] { note("a"); });
    owner.submit("b", [&] { note("b"), fail(ErrorCode::config, "bad width"); });
    owner.submit("c", [&] { note("c"), throw std::bad_alloc(); });
    owner.submit("d", [&] { note("d"), throw 7; });
    owner.submit("e", [&] { note("e"); });
    CHECK(owner.queue.unsettled() == 5);
    CHECK(owner.settle_all());
    CHECK(ran == Outcomes{"a", "b", "c", "d", "e"});
    CHECK(owner.outcomes == Outcomes{"a: done", "b: ERR_CONFIG bad width", "c: bad_alloc", "d: unknown", "e: done"});
    for (const std::thread::id thread : threads) CHECK(thread == threads[0] && thread != std::this_thread::get_id());
}

TEST(work_queue_wakes_its_owner_after_each_task) {
    QueueOwner owner;
    CHECK(owner.wakes() == 0);
    for (int64_t i = 1; i <= 100; i++) {
        owner.submit("task", [] {});
        CHECK(owner.settle_all());
        CHECK(owner.wakes() == i);
        CHECK(int64_t(owner.outcomes.size()) == i);
    }
    owner.queue.settle_finished();
    CHECK(owner.outcomes.size() == 100);
}

TEST(work_queue_discards_one_object_and_the_tasks_that_wait_for_it) {
    QueueOwner owner;
    std::atomic<int> alive = 0;
    std::thread::id freed_on, queue_thread;
    const void *trainer = nullptr, *sampler = nullptr;
    owner.submit("create", [&] {
        queue_thread = std::this_thread::get_id();
        trainer = owner.queue.create<Resident>(alive, freed_on).get();
        sampler = owner.queue.create<Resident>(alive, freed_on).get();
    });
    CHECK(owner.settle_all());

    Gate gate;
    int alive_later = -1;
    owner.submit(
        "running", [&] { gate.pass(); }, trainer);
    owner.submit(
        "trainer's", [] {}, trainer);
    owner.submit(
        "sampler's", [] {}, sampler);
    owner.submit(
        "trainer's second", [] {}, trainer);
    gate.wait_until_entered();
    owner.queue.discard(trainer, "trainer");
    CHECK(owner.settle_until([&] { return owner.queue.unsettled() == 2; }));
    CHECK(owner.outcomes ==
          Outcomes{"create: done", "trainer's: " + TRAINER_DISPOSED, "trainer's second: " + TRAINER_DISPOSED});
    CHECK(alive == 2);  // the running task may still use it

    owner.outcomes.clear();
    owner.submit("later", [&] { alive_later = alive; });
    gate.open();
    CHECK(owner.settle_all());
    CHECK(owner.outcomes == Outcomes{"running: done", "sampler's: done", "later: done"});
    CHECK(alive_later == 1);
    CHECK(freed_on == queue_thread);
    owner.queue.discard(&gate, "gate");  // not of this queue: nothing to free
    owner.submit("last", [] {});
    CHECK(owner.settle_all());
    CHECK(alive == 1);
}

TEST(work_queue_ends_a_running_task_early_only_through_its_stop_flag) {
    const int subject = 0;
    struct Row {
        const char* name;
        bool stopped_before;
        std::function<void(const Stop&)> after;  // what the work does once it is stopped
        std::string outcome;
    };
    const std::vector<Row> rows = {
        {"stops", false, run_until_stopped, TRAINER_DISPOSED},
        {"was stopped by its caller", true, run_until_stopped, "ERR_ABORTED stopped"},
        {"finishes all the same", false, [](const Stop&) {}, "done"},
        {"fails for another reason", false, [](const Stop&) { fail(ErrorCode::data, "short"); }, "ERR_DATA short"},
    };
    for (const Row& row : rows) {
        QueueOwner owner;
        Gate gate;
        const Stop stop = make_stop();
        owner.submit(
            row.name,
            [&] {
                gate.pass();
                row.after(stop);
            },
            &subject, stop);
        gate.wait_until_entered();
        if (row.stopped_before) *stop = true;
        owner.queue.discard(&subject, "trainer");
        gate.open();
        CHECK(owner.settle_all());
        check_equal(owner.outcomes.at(0), std::string(row.name) + ": " + row.outcome, "outcome");
    }
}

TEST(work_queue_that_closes_settles_every_task_and_frees_every_object) {
    std::atomic<int> alive = 0;
    std::thread::id freed_on, queue_thread;
    QueueOwner owner;
    Gate gate;
    const Stop stop = make_stop();
    owner.submit(
        "running",
        [&] {
            queue_thread = std::this_thread::get_id();
            for (int i = 0; i < 3; i++) owner.queue.create<Resident>(alive, freed_on);
            gate.pass();
            run_until_stopped(stop);
        },
        nullptr, stop);
    owner.submit(
        "waiting", [] {}, &gate);
    gate.wait_until_entered();
    owner.queue.close("model");
    owner.queue.close("model");
    CHECK(owner.queue.closed());
    CHECK(!owner.queue.ended());
    CHECK(owner.settle_until([&] { return owner.queue.unsettled() == 1; }));
    gate.open();
    CHECK(owner.settle_to_the_end());
    CHECK(owner.outcomes == Outcomes{"waiting: " + MODEL_DISPOSED, "running: " + MODEL_DISPOSED});
    CHECK(alive == 0);
    CHECK(freed_on == queue_thread);
    owner.queue.discard(&gate, "trainer");
    owner.queue.abandon();
    owner.queue.settle_finished();
    CHECK(owner.outcomes.size() == 2);
}

TEST(work_queue_that_is_abandoned_waits_for_the_running_task_and_settles_none) {
    std::atomic<int> alive = 0;
    std::thread::id freed_on;
    auto held = std::make_shared<int>(0);  // by a task until it is destroyed
    QueueOwner owner;
    owner.submit("settled", [] {});
    CHECK(owner.settle_all());
    const int64_t wakes = owner.wakes();

    Gate gate;
    const Stop stop = make_stop();
    std::atomic<bool> ended = false;
    owner.submit(
        "running",
        [&] {
            owner.queue.create<Resident>(alive, freed_on);
            gate.pass();
            while (!*stop) std::this_thread::yield();
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            ended = true;
        },
        nullptr, stop);
    owner.submit("waiting", [held] {});
    gate.wait_until_entered();
    gate.open();
    CHECK(held.use_count() == 2);
    owner.queue.abandon();
    CHECK(ended);
    CHECK(alive == 0);
    CHECK(held.use_count() == 1);
    CHECK(owner.queue.ended() && owner.queue.closed());
    CHECK(owner.queue.unsettled() == 0);
    CHECK(owner.wakes() == wakes);
    owner.queue.abandon();
    owner.queue.close("model");
    owner.queue.settle_finished();
    CHECK(owner.outcomes == Outcomes{"settled: done"});
}

TEST(work_queue_can_be_used_while_it_settles) {
    QueueOwner owner;
    Outcomes order;
    owner.submit([] {},
                 [&](const std::string& outcome) {
                     order.push_back("first " + outcome);
                     owner.submit([] {}, [&](const std::string& later) { order.push_back("second " + later); }, &order);
                     owner.queue.discard(&order, "trainer");
                     owner.submit([] {},
                                  [&](const std::string& later) {
                                      order.push_back("third " + later);
                                      owner.queue.close("model");
                                  });
                 });
    CHECK(owner.settle_to_the_end());
    CHECK(order.size() == 3);
    check_equal(order[0], "first done", "settled first");
    CHECK(order[1] == "second done" || order[1] == "second " + TRAINER_DISPOSED);
    check_equal(order[2], "third done", "settled last");
}
