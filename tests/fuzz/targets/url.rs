//! URLs: the normal form is one, and a reference that is resolved is a URL.
#![no_main]

use lariat::protocol::http::url::Url;
use libfuzzer_sys::fuzz_target;

fn check(url: &Url) {
    let again = Url::parse(url.text()).expect("the normal form is a URL");
    assert_eq!(again.text(), url.text());
    assert_eq!((again.host(), again.port(), again.target()), (url.host(), url.port(), url.target()));
    assert!(url.is_same_origin(&again));
    assert!(url.target().starts_with('/') && url.target().starts_with(url.path()));
    assert!(url.text().bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", url.text());
    assert!(!url.host().is_empty() && url.authority().contains(url.host()));
}

fuzz_target!(|input: (&str, &[u8])| {
    let (text, reference) = input;
    if let Ok(url) = Url::parse(text) {
        check(&url);
        if let Ok(joined) = url.join(reference) {
            check(&joined);
        }
    }
    let base = Url::parse("http://a/b/c/d;p?q").expect("a URL");
    if let Ok(joined) = base.join(text.as_bytes()) {
        check(&joined);
    }
});
