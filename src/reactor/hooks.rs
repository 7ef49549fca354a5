//! What the host asked to be told: the log, slow callbacks, unhandled failures.

use super::{Reactor, ReactorItem};
use crate::handles::{LogFn, Owned, SlowFn, UnhandledFn, Word};
use crate::status::text_for_c;
use std::ffi::CStr;

/// `LARIAT_LOG_ERROR`
pub const ERROR: i32 = 1;
/// `LARIAT_LOG_WARNING`
pub const WARNING: i32 = 2;
/// `LARIAT_LOG_INFO`
pub const INFO: i32 = 3;

/// A hook, which may be none, and its user data.
pub struct Hook<F>(pub Option<F>, pub Owned);

/// See the module. Dropping them frees their user data.
#[derive(Default)]
#[expect(missing_docs, reason = "each is named after its option")]
pub struct Hooks {
    pub log: Option<Hook<LogFn>>,
    pub slow: Option<Hook<SlowFn>>,
    pub unhandled: Option<Hook<UnhandledFn>>,
}

impl Hooks {
    /// The same hooks for another reactor; their user data stays with these.
    pub fn borrowed(&self) -> Hooks {
        fn borrowed<F: Copy>(hook: Option<&Hook<F>>) -> Option<Hook<F>> {
            hook.map(|Hook(function, data)| Hook(*function, Owned::new(data.word(), None)))
        }
        Hooks {
            log: borrowed(self.log.as_ref()),
            slow: borrowed(self.slow.as_ref()),
            unhandled: borrowed(self.unhandled.as_ref()),
        }
    }
}

fn copy<F: Copy>(hook: Option<&Hook<F>>) -> Option<(F, Word)> {
    hook.and_then(|hook| Some((hook.0?, hook.1.word())))
}

/// Tells the log hook. What the hook itself would log is dropped.
pub fn log(reactor: ReactorItem, level: i32, text: String) {
    let Ok(hook) = reactor.hooks.try_borrow().map(|hooks| copy(hooks.log.as_ref())) else { return };
    if let Some((log, data)) = hook.filter(|_| !reactor.logging.replace(true)) {
        let text = text_for_c(text);
        let _out = reactor.call_out();
        log(level, Word::new(text.as_ptr()), data);
        reactor.logging.set(false);
    }
}

/// Reports a callback that took `nanoseconds`.
pub fn slow(reactor: ReactorItem, nanoseconds: u64, what: &CStr) {
    let hook = copy(reactor.hooks.borrow().slow.as_ref());
    match hook {
        Some((slow, data)) => {
            let _out = reactor.call_out();
            slow(nanoseconds as f64 / 1e9, Word::new(what.as_ptr()), data);
        }
        None => {
            let seconds = nanoseconds as f64 / 1e9;
            log(reactor, WARNING, format!("a {} took {seconds:.3} s", what.to_string_lossy()));
        }
    }
}

/// Reports a failure that nobody handled: by its hook, else by the log.
pub fn unhandled(reactor: ReactorItem, failure: Word, describe: impl FnOnce() -> String) {
    let hook = copy(reactor.hooks.borrow().unhandled.as_ref());
    match hook {
        Some((unhandled, data)) => {
            let _out = reactor.call_out();
            unhandled(failure, data);
        }
        None => log(reactor, ERROR, format!("unhandled failure in a Deferred: {}", describe())),
    }
}

/// After a panic inside: the reactor refuses work from here on.
pub fn panicked(reactor: ReactorItem, text: &str) {
    if !reactor.poisoned.replace(true) {
        crate::handles::poison(reactor.word());
        // What was posted is freed, and those who wait for it hear of the end; the descriptors are closed.
        drop(reactor.threads.close());
        if let Some(on_panic) = reactor.above.on_panic.get() {
            on_panic(reactor);
        }
        reactor.above.by_kind.close_all(reactor);
        if let Ok(mut driver) = reactor.driver.try_borrow_mut() {
            driver.take();
        }
        log(reactor, ERROR, format!("the library failed inside, the reactor refuses further work: {text}"));
    }
}

impl Reactor {
    /// Whether it has panicked.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.get()
    }

    pub(super) fn take_hooks(&self) -> Hooks {
        self.hooks.take()
    }
}
