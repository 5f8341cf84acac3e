// Runs the native tests: all, or those whose name contains one of the arguments, and nothing that follows a --without.
// The last line printed is the count.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/kernels.h"
#include "test.h"

using namespace dllm;

namespace {

enum class Outcome { passed, failed, skipped };

// Prints the name first, so that the last line of a crashed run says which test it was.
Outcome run(const test::Case& entry) {
    std::printf("%s ", entry.name);
    std::fflush(stdout);
    const auto start = std::chrono::steady_clock::now();
    try {
        entry.run();
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        std::printf("ok (%.2f s)\n", seconds.count());
        return Outcome::passed;
    } catch (const test::Skipped& skipped) {
        std::printf("SKIPPED: %s\n", skipped.reason.c_str());
        return Outcome::skipped;
    } catch (const test::Failure& failure) {
        std::printf("FAILED\n    %s:%u: %s\n", failure.where.file_name(), unsigned(failure.where.line()),
                    failure.message.c_str());
    } catch (const std::exception& error) {
        std::printf("FAILED\n    threw: %s\n", error.what());
    } catch (...) {
        std::printf("FAILED\n    threw something that is not a std::exception\n");
    }
    return Outcome::failed;
}

struct Selection {
    std::vector<std::string_view> parts;  // of names; none: every name
    std::vector<std::string_view> without;

    bool has(std::string_view name) const {
        const auto is_in_name = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
        if (std::any_of(without.begin(), without.end(), is_in_name)) return false;
        return parts.empty() || std::any_of(parts.begin(), parts.end(), is_in_name);
    }
};

int run_all(const Selection& selection) {
    int passed = 0, failed = 0, skipped = 0;
    for (const test::Case& entry : test::cases()) {
        if (!selection.has(entry.name)) continue;
        switch (run(entry)) {
            case Outcome::passed: passed++; break;
            case Outcome::failed: failed++; break;
            case Outcome::skipped: skipped++; break;
        }
    }
    const bool none = passed + failed + skipped == 0;
    if (none) std::printf("no test matches\n");
    std::printf("%d passed, %d failed", passed, failed);
    if (skipped > 0) std::printf(", %d skipped", skipped);
    std::printf("\n");
    return failed > 0 || none ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    Selection selection;
    for (int i = 1; i < argc; i++) {
        const std::string_view argument = argv[i];
        if (argument == "--list") {
            for (const test::Case& entry : test::cases()) std::printf("%s\n", entry.name);
            return 0;
        }
        if (argument == "--paths") {
            for (const std::string& path : usable_paths()) std::printf("%s\n", path.c_str());
            return 0;
        }
        if (argument == "--without" && i + 1 < argc) {
            selection.without.push_back(argv[++i]);
            continue;
        }
        if (argument.starts_with("-")) {
            std::fprintf(stderr,
                         "usage: dllm_tests [--list | --paths | [--without PART ...] part of a test's name ...]\n");
            return 2;
        }
        selection.parts.push_back(argument);
    }
    return run_all(selection);
}
