// Asio, standalone: a heap of timers, one handler a wait. Where no second thread posts, its locks are switched off.
#define ASIO_STANDALONE
#define ASIO_NO_DEPRECATED
#include "../common.h"
#include <asio.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace {

using asio::error_code;
using asio::steady_timer;
using clock_type = steady_timer::clock_type;

int made;

clock_type::duration seconds(double s) {
    return std::chrono::duration_cast<clock_type::duration>(std::chrono::duration<double>(s));
}

std::unique_ptr<asio::io_context> unlocked_loop() {
    return std::make_unique<asio::io_context>(ASIO_CONCURRENCY_HINT_UNSAFE);
}

// ---- timers ----

// Against one reading of the clock, which expires_after would make for each.
void schedule(std::vector<steady_timer> &timers, asio::io_context &loop) {
    auto now = clock_type::now();
    timers.reserve(TIMERS);
    for (int i = 0; i < TIMERS; i++) {
        timers.emplace_back(loop, now + seconds(random_unit()));
        timers.back().async_wait([](error_code error) { made += !error; });
    }
}

void timers_fire() {
    double t = cpu_ns();
    auto loop = unlocked_loop();
    std::vector<steady_timer> timers;
    asio::post(*loop, [&] { schedule(timers, *loop); });
    loop->run();
    report("timers_fire", (cpu_ns() - t) / TIMERS, "ns");
    CHECK(made == TIMERS);
}

void timers_cancel() {
    uint32_t *order = random_order(TIMERS);
    double t = cpu_ns();
    auto loop = unlocked_loop();
    std::vector<steady_timer> timers;
    steady_timer end(*loop);
    asio::post(*loop, [&] {
        schedule(timers, *loop);
        for (int i = 0; i < TIMERS; i++) timers[order[i]].cancel();
        end.expires_after(seconds(ALL_DUE));
        end.async_wait([](error_code) {});
    });
    loop->run();
    report("timers_cancel", (cpu_ns() - t) / TIMERS, "ns");
    CHECK(made == 0);
}

struct keep_alive {
    std::unique_ptr<asio::io_context> loop = unlocked_loop();
    std::vector<steady_timer> timers;
    steady_timer end{*loop};
    clock_type::time_point settled;
    int resets = 0;

    static void wait(steady_timer &timer) {
        timer.async_wait([](error_code error) { made += !error; });
    }

    void start() {
        auto now = clock_type::now();
        timers.reserve(RESET_TIMERS);
        for (int i = 0; i < RESET_TIMERS; i++) {
            timers.emplace_back(*loop, now + seconds(FIRST_MIN + random_unit() * (FIRST_MAX - FIRST_MIN)));
            wait(timers.back());
        }
        settled = now + seconds(SETTLED);
        reset_some();
    }

    void reset_some() {
        auto deadline = clock_type::now() + seconds(KEEP_ALIVE);
        for (int i = 0; i < RESETS_A_TURN; i++) {
            steady_timer &timer = timers[random_below(RESET_TIMERS)];
            timer.expires_at(deadline);     // cancels the wait
            wait(timer);
        }
        resets += RESETS_A_TURN;
        if (resets < RESETS) {
            asio::post(*loop, [this] { reset_some(); });
        } else {
            end.expires_at(settled);
            end.async_wait([this](error_code) { loop->stop(); });
        }
    }
};

void timer_reset() {
    double t = cpu_ns();
    keep_alive run;
    asio::post(*run.loop, [&] { run.start(); });
    run.loop->run();
    report("timer_reset", (cpu_ns() - t) / RESETS, "ns");
    CHECK(made == 0 && run.resets == RESETS);
}

// ---- calls and turns ----

struct poster {
    asio::io_context &loop;
    int posted = 0;

    void post_some() {
        if (posted == CALLS) return;
        for (int i = 0; i < CALLS_A_TURN; i++) asio::post(loop, [] { made++; });
        posted += CALLS_A_TURN;
        asio::post(loop, [this] { post_some(); });
    }
};

void call_soon() {
    double t = cpu_ns();
    auto loop = unlocked_loop();
    poster run{*loop};
    asio::post(*loop, [&] { run.post_some(); });
    loop->run();
    report("call_soon", (cpu_ns() - t) / CALLS, "ns");
    CHECK(made == CALLS);
}

void turn() {
    auto loop = unlocked_loop();
    steady_timer pending(*loop, std::chrono::hours(1));     // without one Asio never polls the system
    pending.async_wait([](error_code) { made++; });
    loop->poll();
    double t = cpu_ns();
    for (int i = 0; i < TURNS; i++) loop->poll();
    report("turn", (cpu_ns() - t) / TURNS, "ns");
    CHECK(made == 0);
}

// ---- threads ----

void cross_thread(const char *name, int producers) {
    asio::io_context loop(1);       // one thread runs it, any may post
    auto alive = asio::make_work_guard(loop);
    std::vector<std::thread> threads;
    double t = wall_ns();
    for (int i = 0; i < producers; i++)
        threads.emplace_back([&, producers] {
            for (int n = 0; n < POSTS / producers; n++)
                asio::post(loop, [&loop] {
                    if (++made == POSTS) loop.stop();
                });
        });
    loop.run();
    report(name, (wall_ns() - t) / POSTS, "ns");
    for (auto &thread : threads) thread.join();
    CHECK(made == POSTS);
}

void cross_thread_1() { cross_thread("cross_thread_1", 1); }
void cross_thread_4() { cross_thread("cross_thread_4", 4); }

struct ping_pong {
    asio::io_context loop{1}, other{1};
    std::vector<double> round_trips;
    double sent_at;

    void ping() {
        sent_at = wall_ns();
        asio::post(other, [this] {
            asio::post(loop, [this] { pong(); });
            if (++made == ROUND_TRIPS) other.stop();
        });
    }

    void pong() {
        round_trips.push_back(wall_ns() - sent_at);
        if (round_trips.size() == ROUND_TRIPS)
            loop.stop();
        else
            ping();
    }
};

void wake() {
    ping_pong run;
    run.round_trips.reserve(ROUND_TRIPS);
    auto alive = asio::make_work_guard(run.loop), other_alive = asio::make_work_guard(run.other);
    // A timer makes each loop sleep in epoll, as one with sockets does; without any it would sleep on a condition variable.
    steady_timer pending(run.loop, std::chrono::hours(1)), other_pending(run.other, std::chrono::hours(1));
    pending.async_wait([](error_code) {});
    other_pending.async_wait([](error_code) {});
    std::thread thread([&] {
        pin_thread(1);
        run.other.run();
    });
    pin_thread(0);
    run.ping();
    run.loop.run();
    thread.join();
    CHECK(made == ROUND_TRIPS);
    report_wake("wake", run.round_trips.data(), ROUND_TRIPS);
}

const struct workload workloads[] = {
    {"timers_fire", timers_fire}, {"timers_cancel", timers_cancel},   {"timer_reset", timer_reset},
    {"call_soon", call_soon},     {"turn", turn},                     {"cross_thread_1", cross_thread_1},
    {"cross_thread_4", cross_thread_4}, {"wake", wake},
};

}  // namespace

BENCH_MAIN(workloads)
