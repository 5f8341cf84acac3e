// What is said about a block that did what a kernel may not do.
#include "block.h"
#include "emulated.h"
#include "symbol_name.h"

#include <cstdio>

namespace dllm::emulated {

namespace {

std::string triple(uint3 v) {
    return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")";
}

std::string place(const Meeting& meeting) {
    std::string text = meeting.name;
    if (meeting.mask != 0) {
        char mask[16];
        std::snprintf(mask, sizeof(mask), " of 0x%08X", meeting.mask);
        text += mask;
    }
    return text + " at " + meeting.where.file_name() + ":" + std::to_string(meeting.where.line());
}

}  // namespace

void Block::fault_of_block(const std::string& what) const {
    throw Fault("kernel " + symbol_name(launch_.kernel) + ", block " + triple(current_block) + ": " + what);
}

void Block::fault_of_thread(const std::string& what) const {
    fault_of_block("thread " + triple(running_->index) + ": " + what);
}

void Block::fault_between(Thread& waiting, const Thread& other) {
    running_ = &waiting;
    const bool ended = other.state == State::ended;
    fault_of_thread("waits in " + place(waiting.waits_in) + ", but thread " + triple(other.index) +
                    (ended ? " has ended" : " waits in " + place(other.waits_in)));
}

// No thread can run, and they are not all at one barrier. Names a thread that waits and one that keeps it waiting.
void Block::fault_of_waiting() {
    for (int number = 0; number < count_; number++) {
        Thread& waiting = thread(number);
        if (waiting.state != State::in_meeting) continue;
        const int first = number / LANES * LANES;
        for (int lane = 0; lane < LANES && first + lane < count_; lane++) {
            if ((waiting.waits_in.mask >> lane & 1u) == 0) continue;
            const Thread& other = thread(first + lane);
            const bool there = other.state == State::in_meeting && same_meeting(other.waits_in, waiting.waits_in);
            if (!there) fault_between(waiting, other);
        }
    }
    for (int number = 0; number < count_; number++) {
        if (thread(number).state != State::at_barrier) continue;
        for (int other = 0; other < count_; other++) {
            const Thread& t = thread(other);
            const bool there = t.state == State::at_barrier && same_meeting(t.waits_in, thread(number).waits_in);
            if (!there) fault_between(thread(number), t);
        }
    }
    fault_of_block("no thread can go on");
}

}  // namespace dllm::emulated
