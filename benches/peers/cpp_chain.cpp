// What a C++ programmer writes who has no Deferred at hand: a vector of std::function, each given the result of the one before.
// With RESERVE it knows beforehand how many will come (cpp-chain-reserved), which a Deferred does not.
#include "../common.h"
#include <functional>
#include <utility>
#include <vector>

namespace {

class chain {
public:
    using function = std::function<void *(void *)>;

#ifdef RESERVE
    chain() { functions.reserve(RESERVE); }
#endif

    void add(function f) { functions.push_back(std::move(f)); }

    void *fire(void *value) {
        for (auto &f : functions) value = f(value);
        return value;
    }

private:
    std::vector<function> functions;
};

void deferred() {
    long calls = 0;
    double t = cpu_ns();
    for (int i = 0; i < CHAINS; i++) {
        auto *c = new chain;
        for (int n = 0; n < 3; n++)
            c->add([&calls](void *value) {
                calls++;
                return value;
            });
        c->fire(c);
        delete c;
    }
    report("deferred", (cpu_ns() - t) / CHAINS, "ns");
    CHECK(calls == 3L * CHAINS);
}

const struct workload workloads[] = {{"deferred", deferred}};

}  // namespace

BENCH_MAIN(workloads)
