//! What a server says of where tokens come from, of any bytes: refused, or a document of the issuer that is trusted.
#![no_main]

use libfuzzer_sys::fuzz_target;

use pgpoll::auth::oauth::Bearer;

const ISSUERS: [&str; 4] = [
    "https://i",
    "https://i/a",
    "https://i/.well-known/openid-configuration",
    "https://i/.well-known/oauth-authorization-server/a",
];

fuzz_target!(|data: &[u8]| {
    let Some((how, data)) = data.split_first() else {
        return;
    };
    let (issuer, scope) = (ISSUERS[usize::from(how % 4)], how & 4 != 0);
    let scope = scope.then_some("own");
    let mut bearer = Bearer::new(issuer, scope, how & 8 != 0).expect("an issuer");
    // Whatever is said once more must not lead elsewhere.
    for said in data.split(|byte| *byte == 0xff) {
        let before = bearer.discovery().map(str::to_owned);
        let refused = bearer.learn(said).is_err();
        let document = bearer.discovery();
        assert!(before.is_none() || document == before.as_deref());
        if let Some(document) = document.filter(|_| !refused) {
            assert!(document.contains("/.well-known/") && !document.contains(['?', '#', '\0']));
            let of = Bearer::new(document, None, how & 8 != 0).expect("it belongs to an issuer");
            assert_eq!(of.discovery(), Some(document));
            assert!(document.starts_with("https://i/"));
        }
        assert!(scope.is_none() || bearer.scope() == scope);
        assert!(!bearer.scope().is_some_and(|scope| scope.contains('\0')));
    }
    assert!(!bearer.has_token());
    assert_eq!(bearer.initial_response()[..], *b"n,,\x01auth=\x01\x01");
    // An issuer is the user's, and may be nonsense, too.
    if let Ok(issuer) = std::str::from_utf8(data) {
        let _ = Bearer::new(issuer, None, false).map(|mut bearer| bearer.learn(data));
    }
});
