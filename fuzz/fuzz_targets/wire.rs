//! Any bytes, read as a stream of messages from either side: no panic, and what decodes encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

use pgpoll::wire::frame::{self, Header};
use pgpoll::wire::{
    Backend, Frontend, GSSResponse, PasswordMessage, SASLInitialResponse, SASLResponse, Startup,
};

fuzz_target!(|data: &[u8]| {
    let Some((side, bytes)) = data.split_first() else {
        return;
    };
    match side % 4 {
        0 => backend(bytes),
        1 => frontend(bytes),
        2 => startup(bytes),
        _ => passwords(bytes),
    }
});

fn backend(mut bytes: &[u8]) {
    let _ = frame::startup_header(bytes);
    let _ = frame::old_error(bytes);
    while let Ok(Some(Header { tag, len })) = frame::header(bytes) {
        let Some((message, rest)) = bytes.split_at_checked(Header::SIZE + len) else {
            return;
        };
        bytes = rest;
        let Ok(decoded) = Backend::decode(tag, &message[Header::SIZE..]) else {
            continue;
        };
        let mut out = Vec::new();
        decoded
            .encode(&mut out)
            .expect("a message that was received can be sent");
        assert_eq!(out, message);
        assert!(!format!("{decoded:?}").is_empty());
        if let Backend::CommandComplete(complete) = decoded {
            assert!(complete.tag.starts_with(complete.command()));
            assert!(complete.rows().is_none() || complete.command().len() < complete.tag.len());
        }
    }
}

fn frontend(mut bytes: &[u8]) {
    while let Ok(Some(Header { tag, len })) = frame::frontend_header(bytes) {
        let Some((message, rest)) = bytes.split_at_checked(Header::SIZE + len) else {
            return;
        };
        bytes = rest;
        let Ok(decoded) = Frontend::decode(tag, &message[Header::SIZE..]) else {
            continue;
        };
        let mut out = Vec::new();
        decoded
            .encode(&mut out)
            .expect("a message that was received can be sent");
        assert_eq!(out, message);
        assert!(!format!("{decoded:?}").is_empty());
    }
}

fn startup(body: &[u8]) {
    if let Ok(decoded) = Startup::decode(body) {
        let mut out = Vec::new();
        decoded
            .encode(&mut out)
            .expect("a message that was received can be sent");
        assert_eq!(&out[4..], body);
    }
}

fn passwords(body: &[u8]) {
    let mut out = Vec::new();
    if let Ok(decoded) = PasswordMessage::decode(body) {
        decoded
            .encode(&mut out)
            .expect("a message that was received can be sent");
        assert_eq!(&out[Header::SIZE..], body);
        out.clear();
    }
    if let Ok(decoded) = SASLInitialResponse::decode(body) {
        decoded
            .encode(&mut out)
            .expect("a message that was received can be sent");
        assert_eq!(&out[Header::SIZE..], body);
        out.clear();
    }
    assert!(SASLResponse::decode(body).is_ok() && GSSResponse::decode(body).is_ok());
}
