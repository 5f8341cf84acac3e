// Running the threads of a block. A warp runs until none of its lanes can go on, then the next one does: so the warps
// are as far apart as the barriers allow.
#include "block.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dllm::emulated {

uint3 current_thread, current_block;
dim3 current_block_shape, current_grid_shape;

Block& running_block() {
    static Block one;
    return one;
}

namespace {

bool same_text(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }

}  // namespace

bool same_meeting(const Meeting& a, const Meeting& b) {
    return a.mask == b.mask && a.where.line() == b.where.line() && a.where.column() == b.where.column() &&
           same_text(a.name, b.name) && same_text(a.where.file_name(), b.where.file_name());
}

void Block::begin_launch(const Launch& launch, const ThreadOrder& order) {
    launch_ = launch;
    order_ = order;
    current_grid_shape = launch.grid;
    current_block_shape = launch.block;
    const unsigned width = launch.block.x, height = launch.block.y;
    count_ = int(width * height * launch.block.z);
    for (int number = int(threads_.size()); number < count_; number++) {
        auto thread = std::make_unique<Thread>();
        thread->block = this;
        thread->number = number;
        thread->fiber = std::make_unique<Fiber>(number, &Block::run_thread, thread.get());
        threads_.push_back(std::move(thread));
    }
    for (unsigned number = 0; number < unsigned(count_); number++) {
        threads_[number]->index = {number % width, number / width % height, number / (width * height)};
    }
    warps_.resize(size_t((count_ + LANES - 1) / LANES));
}

void Block::prepare() {
    ended_ = at_barrier_ = 0;
    for (int number = 0; number < count_; number++) {
        Thread& t = thread(number);
        t.state = State::ready;
        t.copies.copies.clear();
        t.copies.group = 0;
    }
    for (size_t i = 0; i < warps_.size(); i++) {
        const int lanes = std::min(LANES, count_ - int(i) * LANES);
        Warp& warp = warps_[i];
        warp.number = int(i);
        warp.lanes = warp.ready = 0xFFFFFFFFu >> (LANES - lanes);
        warp.gatherings.clear();
    }
    shared_.prepare(launch_.shared_bytes);
    async_proxy_.begin_block(count_);
    warpgroups_.begin_block(count_);
}

void Block::run(int64_t i) {
    const uint64_t number = uint64_t(order_.block(i));
    const dim3 grid = launch_.grid;
    current_block = {unsigned(number % grid.x), unsigned(number / grid.x % grid.y),
                     unsigned(number / (uint64_t(grid.x) * grid.y))};
    prepare();
    try {
        run_threads();
    } catch (...) {
        restart_fibers();
        throw;
    }
    if (const std::string damage = shared_.find_damage(); !damage.empty()) fault_of_block(damage);
    if (const std::string rest = warpgroups_.find_unfinished(); !rest.empty()) fault_of_block(rest);
}

void Block::run_threads() {
    for (;;) {
        order_.arrange(warp_order_, int(warps_.size()));
        for (const int warp : warp_order_) run_warp(warps_[size_t(warp)]);
        if (ended_ == count_) return;
        if (!pass_barrier()) fault_of_waiting();
    }
}

void Block::run_warp(Warp& warp) {
    if (warp.ready == 0) return;
    turns_ = warp.ready;
    next_lane(warp).fiber->resume();
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

Block::Thread& Block::next_lane(Warp& warp) {
    const int lane = order_.pick(turns_);
    turns_ &= ~(1u << lane);
    running_ = &thread(warp.number * LANES + lane);
    current_thread = running_->index;
    return *running_;
}

// The running thread has to wait, or has ended: the next lane of its warp goes on, if any can. Each gets a turn before
// any gets another.
void Block::hand_on() {
    Fiber& own = *running_->fiber;
    Warp& warp = own_warp();
    if (turns_ == 0) turns_ = warp.ready;
    if (turns_ == 0 || thrown_) {
        own.suspend();
    } else {
        own.pass_to(*next_lane(warp).fiber);
    }
}

// The body of every fiber: one thread of each block that is run.
void Block::run_thread(void* argument) {
    Thread& self = *static_cast<Thread*>(argument);
    for (;;) {
        try {
            self.block->launch_.thread();
        } catch (...) {
            self.block->thrown_ = std::current_exception();
        }
        self.state = State::ended;
        self.block->ended_++;
        self.block->own_warp().ready &= ~(1u << self.number % LANES);
        self.block->hand_on();
    }
}

bool Block::pass_barrier() {
    if (at_barrier_ != count_) return false;
    for (int number = 1; number < count_; number++) {
        if (!same_meeting(thread(0).waits_in, thread(number).waits_in)) return false;
    }
    at_barrier_ = 0;
    async_proxy_.pass_barrier(shared_);
    for (int number = 0; number < count_; number++) thread(number).state = State::ready;
    for (Warp& warp : warps_) warp.ready = warp.lanes;
    return true;
}

void Block::wait_at_barrier(const std::source_location& where) {
    Thread& self = *running_;
    self.state = State::at_barrier;
    self.waits_in = {"sync_threads", where, 0};
    at_barrier_++;
    own_warp().ready &= ~(1u << lane());
    hand_on();
}

void Block::meet(const Meeting& meeting, void* slot, void (*complete)(const Lanes&)) {
    Thread& self = *running_;
    Warp& warp = own_warp();
    const unsigned own_bit = 1u << lane();
    if ((meeting.mask & own_bit) == 0) fault_of_thread(std::string(meeting.name) + ": the mask lacks the own lane");
    if ((meeting.mask & ~warp.lanes) != 0) {
        fault_of_thread(std::string(meeting.name) + ": the mask has lanes that the block does not have");
    }
    self.slot = slot;
    self.waits_in = meeting;
    auto found = warp.gatherings.begin();
    while (found != warp.gatherings.end() && !same_meeting(found->meeting, meeting)) ++found;
    if (found == warp.gatherings.end()) found = warp.gatherings.insert(found, {meeting, 0});
    found->arrived |= own_bit;
    if (found->arrived == meeting.mask) {
        warp.gatherings.erase(found);
        void* slots[LANES] = {};
        for (int other = 0; other < LANES; other++) {
            if ((meeting.mask >> other & 1u) == 0) continue;
            Thread& t = thread(warp.number * LANES + other);
            slots[other] = t.slot;
            t.state = State::ready;
        }
        complete(Lanes(meeting.mask, slots));
        warp.ready |= meeting.mask;
    } else {
        self.state = State::in_meeting;
        warp.ready &= ~own_bit;
    }
    hand_on();
}

void Block::restart_fibers() {
    for (int number = 0; number < count_; number++) {
        if (thread(number).state != State::ended) thread(number).fiber->restart();
    }
}

}  // namespace dllm::emulated
