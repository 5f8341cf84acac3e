// The calls of a warpgroup: see warpgroup.h.
#include "warpgroup.h"

#include "block.h"
#include "device.h"

#include <algorithm>
#include <cstring>

namespace dllm::emulated {

namespace {

constexpr unsigned ALL_LANES = 0xFFFFFFFFu;
constexpr int HOPPER = 90;

// What the lanes of a warp pass to a call that takes nothing but their number of groups to leave under way.
struct LaneCall {
    Instruction instruction;
    int pending;
};

int warp_of_running_thread() { return running_block().thread_number() / Warpgroups::LANES; }

void check_same(const LaneProduct& product, const LaneProduct& first) {
    if (product.a_descriptor != first.a_descriptor || product.b_descriptor != first.b_descriptor ||
        product.adds != first.adds)
        fault("wgmma: the lanes of a warp pass different descriptors");
}

}  // namespace

void Warpgroups::begin_block(int threads) {
    if (!used_ && threads_ == threads) return;
    threads_ = threads;
    used_ = false;
    const size_t warps = size_t(threads + LANES - 1) / LANES;
    products_.assign(warps, {});
    registers_.assign(size_t(threads), {});
    calls_.assign((warps + WARPS - 1) / WARPS, {});
    made_.assign(warps, 0);
}

std::string Warpgroups::find_unfinished() const {
    for (size_t warp = 0; used_ && warp < made_.size(); warp++) {
        if (!products_[warp].none())
            return "warp " + std::to_string(warp) + " ended with a wgmma that it did not wait for";
        if (made_[warp] != calls_[warp / WARPS].size())
            return "warp " + std::to_string(warp) + " ended without a call that its warpgroup made: " +
                   calls_[warp / WARPS][made_[warp]].instruction.name;
    }
    return "";
}

void Warpgroups::enter(int warp, const Call& call) {
    used_ = true;
    if (device().compute_capability != HOPPER)
        fault(std::string(call.instruction.name) + " on a device that is not of compute capability 9.0");
    if (threads_ % (WARPS * LANES) != 0)
        fault(std::string(call.instruction.name) + " in a block that is not whole warpgroups");
    std::vector<Call>& calls = calls_[size_t(warp / WARPS)];
    const size_t number = made_[size_t(warp)]++;
    if (number == calls.size()) {
        calls.push_back(call);
        return;
    }
    const Call& first = calls[number];
    const bool same = same_meeting({call.instruction.name, call.instruction.where, 0},
                                   {first.instruction.name, first.instruction.where, 0});
    if (!same)
        fault(std::string(call.instruction.name) + " where another warp of its warpgroup calls " +
              first.instruction.name + " at line " + std::to_string(first.instruction.where.line()));
    if (call.a_descriptor != first.a_descriptor || call.b_descriptor != first.b_descriptor)
        fault("wgmma: the warps of a warpgroup pass different descriptors");
}

void Warpgroups::name_registers(int thread, const void* registers, size_t bytes) {
    used_ = true;
    if (products(thread / LANES).writes(thread % LANES, registers, bytes))
        fault("wgmma_fence_operands of sums that a product is still to write");
    forget_registers(thread, registers, bytes);
    const auto* begin = static_cast<const std::byte*>(registers);
    registers_[size_t(thread)][begin] = {{begin, begin + bytes}, false};
}

void Warpgroups::fence_registers(int thread) {
    for (auto& [begin, named] : registers_[size_t(thread)]) named.is_fenced = true;
}

bool Warpgroups::are_fenced(int thread, const void* registers, size_t bytes) const {
    const auto* begin = static_cast<const std::byte*>(registers);
    const auto& named = registers_[size_t(thread)];
    auto found = named.upper_bound(begin);
    if (found == named.begin()) return false;
    --found;
    const auto& [first, array] = *found;
    return array.is_fenced && begin + bytes <= first + array.bytes.size() &&
           std::memcmp(array.bytes.data() + (begin - first), begin, bytes) == 0;
}

void Warpgroups::forget_registers(int thread, const void* registers, size_t bytes) {
    const auto* begin = static_cast<const std::byte*>(registers);
    std::erase_if(registers_[size_t(thread)], [=](const auto& entry) {
        return entry.first < begin + bytes && begin < entry.first + entry.second.bytes.size();
    });
}

void fence_async_proxy() {
    Block& block = running_block();
    block.async_proxy().fence(block.thread_number());
}

void name_registers(const void* registers, size_t bytes) {
    Block& block = running_block();
    block.warpgroups().name_registers(block.thread_number(), registers, bytes);
}

void fence_registers(const std::source_location& where) {
    Block& block = running_block();
    block.warpgroups().fence_registers(block.thread_number());
    LaneCall own{{"wgmma_fence", where}, 0};
    meet({own.instruction.name, where, ALL_LANES}, &own, [](const Lanes& lanes) {
        running_block().warpgroups().enter(warp_of_running_thread(), {lanes.at<LaneCall>(0).instruction, 0, 0});
    });
}

void issue_product(const LaneProduct& product, const std::source_location& where) {
    Block& block = running_block();
    const int lane = block.lane();
    Warpgroups& warpgroups = block.warpgroups();
    const size_t bytes = size_t(product.tiles) * 4 * sizeof(float);
    const bool continues = warpgroups.products(warp_of_running_thread()).writes(lane, product.d, bytes);
    if (!continues && !warpgroups.are_fenced(block.thread_number(), product.d, bytes))
        fault("wgmma: sums that have changed since they were fenced");
    if (product.a != nullptr && !warpgroups.are_fenced(block.thread_number(), product.a, 4 * sizeof(unsigned)))
        fault("wgmma: rows that have changed since they were fenced");
    struct Slot : LaneProduct {
        Instruction instruction;
    } own{product, {"wgmma_bf16", where}};
    meet({own.instruction.name, where, ALL_LANES}, static_cast<LaneProduct*>(&own), [](const Lanes& lanes) {
        const auto& first = static_cast<const Slot&>(lanes.at<LaneProduct>(0));
        for (int other = 1; other < Warpgroups::LANES; other++) check_same(lanes.at<LaneProduct>(other), first);
        const int warp = warp_of_running_thread();
        Warpgroups& all = running_block().warpgroups();
        all.enter(warp, {first.instruction, first.a_descriptor, first.b_descriptor});
        all.products(warp).issue(lanes, warp % Warpgroups::WARPS * 16);
    });
}

void commit_products(const std::source_location& where) {
    LaneCall own{{"wgmma_commit", where}, 0};
    meet({own.instruction.name, where, ALL_LANES}, &own, [](const Lanes& lanes) {
        const int warp = warp_of_running_thread();
        Warpgroups& all = running_block().warpgroups();
        all.enter(warp, {lanes.at<LaneCall>(0).instruction, 0, 0});
        all.products(warp).commit();
    });
}

void wait_for_products(int pending, const std::source_location& where) {
    LaneCall own{{"wgmma_wait", where}, pending};
    meet({own.instruction.name, where, ALL_LANES}, &own, [](const Lanes& lanes) {
        const int warp = warp_of_running_thread();
        Warpgroups& all = running_block().warpgroups();
        const auto& call = lanes.at<LaneCall>(0);
        all.enter(warp, {call.instruction, 0, 0});
        all.products(warp).complete(call.pending, [&](int lane, const float* d, int tiles) {
            all.forget_registers(warp * Warpgroups::LANES + lane, d, size_t(tiles) * 4 * sizeof(float));
        });
    });
}

}  // namespace dllm::emulated
