// Matrix products of a warpgroup, four warps whose first number is a multiple of 4: compute capability 9.0 alone, code
// for sm_90a. They run beside the threads: fence, issue, commit as a group, wait for the group. All warps of the
// warpgroup must make the same calls with the same descriptors.
//
//   d (64 x N) += a (64 x 16) b (16 x N): warp i of the warpgroup holds rows 16 i ... 16 i + 15 of d, and of a where it
//   is in registers, as tensor_core.h tells it of mma.m16n8k16: d[n] is of columns 8 n ... 8 n + 7.
//
// (PTX ISA, wgmma.mma_async.m64nNk16 with bf16 operands: register fragments, matrix descriptor, wgmma.fence.)
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

namespace dllm::cuda {

// As shared_memory(), aligned to 1024 bytes: where the pattern of the 128-byte swizzle may begin.
template <class T>
__device__ __forceinline__ T* shared_tiles() {
    extern __shared__ __align__(1024) unsigned char dynamic_shared_tiles[];
    return reinterpret_cast<T*>(dynamic_shared_tiles);
}

// What this thread wrote to shared memory, by stores or by copies that it has waited for, becomes visible to matrix
// products: wgmma reads by another proxy. A sync_threads must follow, before which every thread of the block fences.
__device__ __forceinline__ void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Registers that products have used or will use: no access to them is moved across this point by the compiler, which
// takes an issued product for a finished one. Arrays of float or unsigned.
template <class... Registers>
__device__ __forceinline__ void wgmma_fence_operands(Registers&... registers) {
    const auto fence = [](auto& self, auto& operand) -> void {
        using T = std::remove_reference_t<decltype(operand)>;
        if constexpr (std::is_array_v<T>) {
#pragma unroll
            for (auto& part : operand) self(self, part);
        } else if constexpr (std::is_same_v<T, float>) {
            asm volatile("" : "+f"(operand)::"memory");
        } else {
            asm volatile("" : "+r"(operand)::"memory");
        }
    };
    (fence(fence, registers), ...);
}

// Orders earlier accesses to registers, those of wgmma_fence_operands, before the products that follow.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

// The products issued since the last commit become a group.
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until at most the N latest groups are still under way; wgmma_fence_operands of their registers must follow.
template <int N>
__device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

// How b (16 x N) lies in shared memory: k: each column's 16 elements next to each other; mn: each row's N.
enum class Major { k, mn };

// d += a b, or d = a b where not `add`. a in registers; b by its descriptor (see sm90a/tile.h).
template <Major B>
__device__ __forceinline__ void wgmma_bf16(float (&d)[4][4], const unsigned (&a)[4], uint64_t b, bool add) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %21, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, "
        "{%16, %17, %18, %19}, %20, p, 1, 1, %22; }"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
          "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
          "+f"(d[3][2]), "+f"(d[3][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)), "n"(B == Major::mn ? 1 : 0));
}

template <Major B>
__device__ __forceinline__ void wgmma_bf16(float (&d)[8][4], const unsigned (&a)[4], uint64_t b, bool add) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, p, 1, 1, %38; }"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
          "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
          "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
          "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
          "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)), "n"(B == Major::mn ? 1 : 0));
}

template <Major B>
__device__ __forceinline__ void wgmma_bf16(float (&d)[16][4], const unsigned (&a)[4], uint64_t b, bool add) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %69, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "{%64, %65, %66, %67}, %68, p, 1, 1, %70; }"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
          "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
          "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
          "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
          "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]),
          "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]),
          "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]),
          "+f"(d[12][0]), "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]),
          "+f"(d[13][2]), "+f"(d[13][3]), "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]),
          "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)), "n"(B == Major::mn ? 1 : 0));
}

// The same with a in shared memory, each row's 16 elements next to each other.
template <Major B>
__device__ __forceinline__ void wgmma_bf16(float (&d)[4][4], uint64_t a, uint64_t b, bool add) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %18, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, "
        "%16, %17, p, 1, 1, 0, %19; }"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
          "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
          "+f"(d[3][2]), "+f"(d[3][3])
        : "l"(a), "l"(b), "r"(int(add)), "n"(B == Major::mn ? 1 : 0));
}

}  // namespace dllm::cuda
