// The registers that a function must keep (System V ABI), pushed on the stack that is left; its pointer is the context.
// It ends in a jump, because the processor's guess for a return would always be wrong.
#include "context_switch.h"

#include <cstdint>

extern "C" void dllm_switch_stack(void** from, void* to);

asm(R"(
.text
.globl dllm_switch_stack
.hidden dllm_switch_stack
.type dllm_switch_stack, @function
dllm_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmp *%rcx
.size dllm_switch_stack, . - dllm_switch_stack
)");

namespace dllm::emulated {

void* make_context(void* bottom, size_t bytes, void (*entry)()) {
    constexpr int SAVED_REGISTERS = 6;
    // As a call would leave it: the return address (none) 8 bytes past a multiple of 16, above it nothing.
    auto* top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(bottom) + bytes) & ~uintptr_t(15));
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    for (int i = 0; i < SAVED_REGISTERS; i++) *--top = nullptr;
    return top;
}

void switch_context(void*& from, void* to) { dllm_switch_stack(&from, to); }

}  // namespace dllm::emulated
