//! Any bytes, as a text in any encoding: characters end within the text, nothing escapes from its quotes, and what is escaped
//! comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;

use pgpoll::encoding::Encoding;

fuzz_target!(|data: &[u8]| {
    let [encoding, standard_strings, text @ ..] = data else {
        return;
    };
    let Some(encoding) = Encoding::from_id(i32::from(encoding % 42)) else {
        return;
    };
    for at in 0..text.len() {
        let rest = &text[at..];
        let length = encoding.character(rest);
        assert!(length.is_err() || length.is_ok_and(|length| length <= rest.len()));
        assert!((1..=encoding.max_length()).contains(&encoding.length(rest)));
        assert!((-1..=2).contains(&encoding.width(rest)));
    }
    assert!(encoding.valid_up_to(text) <= text.len());
    let name = Encoding::named(text);
    assert!(name.is_none_or(|found| Encoding::named(found.name().to_bytes()) == Some(found)));
    pq::fuzz::quoting(text, encoding, standard_strings & 1 == 1);
});
