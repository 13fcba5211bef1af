//! Names to addresses. Knows getaddrinfo(3) and when it can be trusted not to block.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::ffi::CString;
use std::net::SocketAddr;

use crate::link::{LinkError, LinkErrorKind};
use crate::net::helper::Helper;
use crate::net::sys::{self, NoName};

/// What came of a name.
pub(super) type Found = Result<Vec<SocketAddr>, LinkError>;

/// A resolution that has begun.
pub(super) enum Resolution {
    /// It needed no thread.
    Done(Found),
    /// The thread has it.
    Running(Helper<Found>),
}

/// Begins to resolve. A numeric address is answered at once.
pub(super) fn begin(host: Vec<u8>, port: u16) -> Resolution {
    let Ok(host) = CString::new(host) else {
        return Resolution::Done(Err(unknown(NoName::UNKNOWN)));
    };
    if let Ok(found) = sys::addresses(&host, port, true) {
        return Resolution::Done(finish(found));
    }
    let look_up = move || {
        sys::addresses(&host, port, false)
            .map_err(unknown)
            .and_then(finish)
    };
    match Helper::start(look_up) {
        Ok(helper) => Resolution::Running(helper),
        Err(errno) => Resolution::Done(Err(no_thread(errno))),
    }
}

/// The error when the thread ended without a result.
pub(super) fn died() -> LinkError {
    let text = String::from("the resolver thread ended without an answer");
    LinkError {
        kind: LinkErrorKind::Resolve,
        errno: 0,
        text,
    }
}

fn no_thread(errno: i32) -> LinkError {
    let text = format!(
        "could not start the resolver thread: {}",
        sys::strerror(errno)
    );
    LinkError {
        kind: LinkErrorKind::Resolve,
        errno,
        text,
    }
}

fn unknown(why: NoName) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Resolve,
        errno: why.errno,
        text: why.text(),
    }
}

/// Each address once, where it first stood: /etc/hosts often names one twice.
fn finish(mut found: Vec<SocketAddr>) -> Found {
    let mut seen = HashSet::with_capacity(found.len());
    found.retain(|addr| seen.insert(*addr));
    if found.is_empty() {
        Err(unknown(NoName::UNKNOWN))
    } else {
        Ok(found)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_go_and_the_order_stays() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b) = (addr("127.0.0.1:1"), addr("[::1]:1"));
        assert_eq!(finish(vec![b, a, b, a]), Ok(vec![b, a]));
        assert_eq!(
            finish(vec![]).unwrap_err().text,
            "Name or service not known"
        );
    }

    #[test]
    fn numbers_and_impossible_names_need_no_thread() {
        assert!(matches!(begin(b"::1".to_vec(), 1), Resolution::Done(Ok(_))));
        assert!(matches!(
            begin(b"127.0.0.1".to_vec(), 1),
            Resolution::Done(Ok(_))
        ));
        assert!(matches!(
            begin(b"a\0b".to_vec(), 1),
            Resolution::Done(Err(_))
        ));
    }
}
