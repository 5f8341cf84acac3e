// The matrix instructions, by the fragment layouts of the PTX ISA: lane = 4 g + t.
#include "tensor_core.h"

#include "threads.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace dllm::emulated {

namespace {

constexpr int LANES = 32;
constexpr unsigned ALL_LANES = 0xFFFFFFFFu;

float low(unsigned pair) { return std::bit_cast<float>(pair << 16); }
float high(unsigned pair) { return std::bit_cast<float>(pair & 0xFFFF0000u); }

struct Fragments {
    float* d;
    const unsigned* a;
    const unsigned* b;
};

void multiply(const Lanes& lanes) {
    float a[16][16], b[16][8], d[16][8];
    for (int lane = 0; lane < LANES; lane++) {
        const int g = lane / 4, t = lane % 4;
        const auto& own = lanes.at<Fragments>(lane);
        for (int i = 0; i < 4; i++) {
            const int row = g + 8 * (i % 2), column = 2 * t + 8 * (i / 2);
            a[row][column] = low(own.a[i]);
            a[row][column + 1] = high(own.a[i]);
            d[g + 8 * (i / 2)][2 * t + i % 2] = own.d[i];
        }
        for (int i = 0; i < 2; i++) {
            b[2 * t + 8 * i][g] = low(own.b[i]);
            b[2 * t + 8 * i + 1][g] = high(own.b[i]);
        }
    }
    for (int row = 0; row < 16; row++) {
        for (int k = 0; k < 16; k++) {
            for (int column = 0; column < 8; column++) d[row][column] += a[row][k] * b[k][column];
        }
    }
    for (int lane = 0; lane < LANES; lane++) {
        const int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 4; i++) lanes.at<Fragments>(lane).d[i] = d[g + 8 * (i / 2)][2 * t + i % 2];
    }
}

struct Load {
    const void* row;
    unsigned* r;
    bool transposed;
};

void load(const Lanes& lanes) {
    const bool transposed = lanes.at<Load>(0).transposed;
    for (int matrix = 0; matrix < 4; matrix++) {
        uint16_t elements[8][8];
        for (int row = 0; row < 8; row++) {
            std::memcpy(elements[row], lanes.at<Load>(8 * matrix + row).row, sizeof(elements[row]));
        }
        for (int lane = 0; lane < LANES; lane++) {
            const int g = lane / 4, t = lane % 4;
            const unsigned first = transposed ? elements[2 * t][g] : elements[g][2 * t];
            const unsigned second = transposed ? elements[2 * t + 1][g] : elements[g][2 * t + 1];
            lanes.at<Load>(lane).r[matrix] = first | second << 16;
        }
    }
}

}  // namespace

void multiply_fragments(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                        const std::source_location& where) {
    Fragments own{d, a, b};
    meet({"mma_bf16_16x8x16", where, ALL_LANES}, &own, multiply);
}

void load_matrices(const Instruction& instruction, unsigned (&r)[4], const void* shared_row, bool transposed) {
    Load own{shared_row, r, transposed};
    check_shared(instruction.name, shared_row, 16);
    meet({instruction.name, instruction.where, ALL_LANES}, &own, load);
}

}  // namespace dllm::emulated
