//! Answers with what a Deferred gives.

use super::answer;
use super::message::check_field;
use super::request::{self, Request, flag};
use crate::deferred::{Deferred, chain};
use crate::files::bytes::Bytes;
use crate::handles::{self, Item, Kind, Owned, Word};
use crate::status::{Result, Status};

/// Reads the text of the host that a word points to; it lives for the call.
pub type TextFn = for<'call> fn(&'call Word) -> &'call [u8];

/// Answers with the value of a Deferred, which is handed over.
pub fn respond(
    request: Item<Request>,
    code: u16,
    content_type: Option<&[u8]>,
    deferred: Word,
    text_of: TextFn,
) -> Result {
    request.check_before_head()?;
    request::check_promised(request)?;
    if let Some(content_type) = content_type {
        check_field(b"Content-Type", content_type)?;
    }
    let content_type = content_type.map(<[u8]>::to_vec);
    let deferred = handles::get::<Deferred>(deferred)?;
    if deferred.root() != request.root() {
        return Err(Status::ERR_WRONG_REACTOR);
    }
    let (word, own) = (request.word(), deferred.word());
    // It may have its result already.
    request.set(flag::PROMISED);
    request.waits_for(own);
    let told = Box::new(move |told: chain::Told| {
        let Ok(request) = handles::get::<Request>(word) else { return };
        request.clear(flag::PROMISED);
        request.waits_no_more(own);
        match told {
            Ok(value) => answer_with(request, code, content_type.as_deref(), value, text_of),
            Err((code, words)) => answer::failed(request, code, words.as_deref()),
        }
    });
    chain::when_over(deferred, told).inspect_err(|_| {
        request.clear(flag::PROMISED);
        request.waits_no_more(own);
    })
}

fn answer_with(request: Item<Request>, code: u16, content_type: Option<&[u8]>, value: Owned, text_of: TextFn) {
    let word = value.word();
    let respond = |data: &[u8]| request::respond(request, code, content_type, data);
    let answered = if handles::is_of_kind(word, Kind::Bytes) {
        handles::get::<Bytes>(word).and_then(|bytes| bytes.with(respond))
    } else if word.is_null() {
        respond(&[])
    } else {
        respond(text_of(&word))
    };
    if let Err(why) = answered {
        answer::failed(request, why.0, crate::status::detail_of(why).as_deref());
    }
    request::in_scope(request, || drop(value));
}
