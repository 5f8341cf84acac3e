// What the addon keeps for one JavaScript environment (the main thread or a worker); there is no other state.
#pragma once

#include "job_queue.h"

#include <napi.h>

#include <any>
#include <initializer_list>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace dllm::bindings {

class Environment {
public:
    // Makes the environment's state; it ends with the environment.
    static void install(Napi::Env env);
    static Environment& of(Napi::Env env);

    // A JavaScript object of a wrapped class, made from `state`. Scripts have no state to give and cannot make one.
    template <typename State>
    Napi::Object construct(const Napi::FunctionReference& constructor, State state) {
        construction_ = std::move(state);
        try {
            const Napi::Object object = constructor.New(std::initializer_list<napi_value>{});
            construction_.reset();
            return object;
        } catch (...) {
            construction_.reset();
            throw;
        }
    }
    // For the wrapped class's constructor.
    template <typename State>
    static State take_state(const Napi::CallbackInfo& info, const char* class_name) {
        State* state = std::any_cast<State>(&of(info.Env()).construction_);
        if (state == nullptr) refuse_construction(info.Env(), class_name);
        return std::move(*state);
    }

    Napi::FunctionReference model, trainer, sampler, dataset;  // constructors
    Napi::FunctionReference array_buffer;                      // JavaScript's own, which throws when memory is short
    std::set<std::shared_ptr<JobQueue>> queues;

private:
    [[noreturn]] static void refuse_construction(Napi::Env env, const std::string& class_name);

    std::any construction_;
};

}  // namespace dllm::bindings
