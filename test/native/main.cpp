// Runs the native tests: all, or those whose name contains one of the arguments, and nothing that follows a --without;
// or the one test that --only names. The last line printed is the count.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/kernels.h"
#include "op_cases.h"
#include "run_tests.h"

using namespace dllm;

namespace {

struct Selection {
    std::vector<std::string_view> parts;  // of names; none: every name
    std::vector<std::string_view> without;
    std::string_view only;  // a whole name; empty: parts decide

    bool has(std::string_view name) const {
        if (!only.empty()) return name == only;
        const auto is_in_name = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
        if (std::any_of(without.begin(), without.end(), is_in_name)) return false;
        return parts.empty() || std::any_of(parts.begin(), parts.end(), is_in_name);
    }
};

int run_all(const Selection& selection, int processes) {
    std::vector<test::Case> chosen;
    std::copy_if(test::cases().begin(), test::cases().end(), std::back_inserter(chosen),
                 [&](const test::Case& entry) { return selection.has(entry.name); });
    if (chosen.empty()) std::printf("no test matches\n");
    const test::Counts counts =
        processes > 1 ? test::run_in_processes(chosen, processes) : test::run_in_this_process(chosen);
    std::printf("%d passed, %d failed", counts.passed, counts.failed);
    if (counts.skipped > 0) std::printf(", %d skipped", counts.skipped);
    std::printf("\n");
    return counts.failed > 0 || chosen.empty() ? 1 : 0;
}

// The number that a text is, where it is one of processes that can run; else 0.
int parse_processes(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= test::MOST_PROCESSES
               ? value
               : 0;
}

}  // namespace

int main(int argc, char** argv) {
    Selection selection;
    int processes = 1;
    for (int i = 1; i < argc; i++) {
        const std::string_view argument = argv[i];
        if (argument == "--list") {
            for (const test::Case& entry : test::cases()) std::printf("%s\n", entry.name);
            return 0;
        }
        if (argument == "--ops") {
            for (const std::string& op : test::ops()) std::printf("%s\n", op.c_str());
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
        if (argument == "--only" && i + 1 < argc) {
            selection.only = argv[++i];
            continue;
        }
        if (argument == "--processes" && i + 1 < argc && parse_processes(argv[i + 1]) > 0) {
            processes = parse_processes(argv[++i]);
            continue;
        }
        if (argument.starts_with("-")) {
            std::fprintf(stderr,
                         "usage: dllm_tests [--list | --ops | --paths | --only NAME |\n"
                         "                   [--processes N] [--without PART ...] PART ...]\n"
                         "    PART is a part of a test's name\n");
            return 2;
        }
        selection.parts.push_back(argument);
    }
    return run_all(selection, processes);
}
