// What JavaScript objects hold of native objects that live on a model's queue.
#pragma once

#include "../error.h"
#include "../model.h"
#include "errors.h"
#include "job_queue.h"

#include <napi.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

namespace dllm::bindings {

// Shared by the JavaScript objects of a model, its trainers and its samplers; the last one closes the queue.
struct ModelHandle {
    explicit ModelHandle(std::shared_ptr<JobQueue> q) : queue(std::move(q)) {}
    ~ModelHandle() { queue->close(); }
    ModelHandle(const ModelHandle&) = delete;
    ModelHandle& operator=(const ModelHandle&) = delete;

    // work(Model&) on the queue's thread; see TypedJob.
    template <typename Work, typename Convert>
    Napi::Promise run(Napi::Value owner, Work work, Convert convert) {
        return queue->run(
            {owner.As<Napi::Object>(), nullptr, nullptr},
            [object = model, work = std::move(work)]() mutable { return work(*object.lock()); }, std::move(convert));
    }

    const std::shared_ptr<JobQueue> queue;
    std::weak_ptr<Model> model;  // to be locked on the queue's thread, where it lives until the queue closes
};

// A trainer or a sampler.
template <typename T>
class Resident {
public:
    Resident(std::shared_ptr<ModelHandle> model, T* object, std::string name)
        : model_(std::move(model)), object_(object), name_(std::move(name)) {}
    ~Resident() { dispose(); }
    Resident(const Resident&) = delete;
    Resident& operator=(const Resident&) = delete;

    // work(T&) on the queue's thread; see TypedJob. Throws ERR_DISPOSED.
    template <typename Work, typename Convert>
    Napi::Promise run(Napi::Value owner, Work work, Convert convert,
                      std::shared_ptr<std::atomic<bool>> stop = nullptr) {
        if (disposed_) fail(ErrorCode::disposed, "the " + name_ + " is disposed");
        return model_->queue->run(
            {owner.As<Napi::Object>(), object_, std::move(stop)},
            [object = object_, work = std::move(work)]() mutable { return work(*object); }, std::move(convert));
    }

    void report_memory(int64_t bytes) {
        if (!disposed_) model_->queue->report_memory(object_, bytes);
    }

    void dispose() {
        if (!std::exchange(disposed_, true)) model_->queue->discard(object_, name_);
    }

private:
    const std::shared_ptr<ModelHandle> model_;
    T* const object_;  // to be used on the queue's thread, where it lives until it is disposed or the queue closes
    const std::string name_;
    bool disposed_ = false;
};

}  // namespace dllm::bindings
