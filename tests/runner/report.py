"""Counts what ran, and says at the end what did not."""

import sys
import threading


class Report:
    def __init__(self, verbose=False):
        self.verbose = verbose
        self.counts = {}  # language: [passed, failed, skipped]
        self.left_out = []  # (what, why)
        self.failures = []  # names
        self.times = []
        self.cases = []  # (seconds, file, name)
        self.lock = threading.Lock()

    def heading(self, name):
        print(f"== {name}", flush=True)

    def took(self, name, seconds):
        self.times.append((name, seconds))
        print(f"   {name}: {seconds:.0f} s", flush=True)

    def case_took(self, name, seconds):
        with self.lock:
            self.cases.append((seconds, name.split("/")[0], name))

    def count(self, language, passed=0, failed=0, skipped=0):
        with self.lock:
            counts = self.counts.setdefault(language, [0, 0, 0])
            for index, number in enumerate((passed, failed, skipped)):
                counts[index] += number

    def passed(self, language, name):
        self.count(language, passed=1)
        if self.verbose:
            print(f"   ok      {name}", flush=True)

    def failed(self, language, name, output=""):
        self.count(language, failed=1)
        with self.lock:
            self.failures.append(f"{language}: {name}")
            print(f"   FAILED  {name}", flush=True)
            for line in output.rstrip().splitlines()[-60:]:
                print(f"           {line[:400]}", flush=True)

    def skipped(self, language, name, reason):
        """A test that says itself that it does not apply, or one that needs a tool that is not here."""
        self.count(language, skipped=1)
        with self.lock:
            self.left_out.append((name, reason.strip() or "no reason given"))

    def check(self, language, name, problem):
        """Counts a test whose outcome is a text: empty when all is well."""
        if problem:
            self.failed(language, name, problem)
        else:
            self.passed(language, name)

    def print_slowest(self):
        """Where the time went, for whoever wants to have less of it."""
        files = {}
        for seconds, file, _ in self.cases:
            files[file] = files.get(file, 0) + seconds
        print("   slowest files: " + ", ".join(f"{file} {files[file]:.1f} s" for file in sorted(files, key=files.get, reverse=True)[:20]))
        for seconds, _, name in sorted(self.cases, reverse=True)[:40]:
            print(f"      {seconds:6.1f} s  {name}")

    def summary(self):
        totals = [sum(counts[index] for counts in self.counts.values()) for index in range(3)]
        print("\n== summary")
        for language, (passed, failed, skipped) in self.counts.items():
            print(f"   {language:<10} {passed} passed, {failed} failed, {skipped} skipped")
        print("   time: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.times))
        if self.verbose:
            self.print_slowest()
        if self.left_out:
            print("   left out on this machine:")
            for name, reason in self.left_out:
                print(f"      {name}: {reason}")
        if self.failures:
            print("   failed:")
            for name in self.failures:
                print(f"      {name}")
        print("{} passed, {} failed, {} skipped".format(*totals))
        sys.stdout.flush()
        return 1 if totals[1] or not totals[0] else 0
