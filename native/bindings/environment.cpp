// What the addon keeps for one JavaScript environment: see environment.h.
#include "environment.h"

#include "dataset.h"
#include "errors.h"
#include "model.h"
#include "sampler.h"
#include "trainer.h"

#include <exception>
#include <string>

namespace dllm::bindings {

void Environment::install(Napi::Env env) {
    auto* environment = new Environment;
    env.SetInstanceData(environment);
    environment->model = Napi::Persistent(ModelBinding::define(env));
    environment->trainer = Napi::Persistent(TrainerBinding::define(env));
    environment->sampler = Napi::Persistent(SamplerBinding::define(env));
    environment->dataset = Napi::Persistent(DatasetBinding::define(env));
    environment->array_buffer = Napi::Persistent(env.Global().Get("ArrayBuffer").As<Napi::Function>());
    // Runs while the environment is still whole, before JavaScript objects are finalized.
    env.AddCleanupHook([environment] {
        for (const auto& queue : environment->queues) queue->abandon();
        environment->queues.clear();
    });
}

Environment& Environment::of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

void Environment::refuse_construction(Napi::Env env, const std::string& class_name) {
    const TypeMismatch error(class_name + " has no constructor for scripts; a function of the addon makes it");
    throw Napi::Error(env, to_js_error(env, std::make_exception_ptr(error)));
}

}  // namespace dllm::bindings
