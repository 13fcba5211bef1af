//! The client against RFC 7677's example and against a server written here, honest or not.
#![allow(clippy::unwrap_used)]

use super::*;

const SALT: &[u8] = b"0123456789abcdef";
const NONCE: [u8; 18] = *b"eighteen bytes, ok";

/// A server that knows one password, as RFC 5802, 3 writes it.
struct Server {
    stored_key: Key,
    server_key: Key,
    iterations: u32,
    bare: String,
    first: String,
}

impl Server {
    fn new(password: &[u8], iterations: u32) -> Self {
        let (client_key, server_key) = keys(password, iterations);
        Self {
            stored_key: sha256(&**client_key),
            server_key,
            iterations,
            bare: String::new(),
            first: String::new(),
        }
    }

    fn answer(&mut self, header: &str, client_first: &[u8]) -> Vec<u8> {
        let client_first = std::str::from_utf8(client_first).unwrap();
        self.bare = client_first.strip_prefix(header).unwrap().to_owned();
        let nonce = self.bare.strip_prefix("n=,r=").unwrap();
        let salt = STANDARD.encode(SALT);
        self.first = format!("r={nonce}theirs,s={salt},i={}", self.iterations);
        self.first.clone().into_bytes()
    }

    /// Checks the proof and the channel; `None` if the client does not know the password.
    fn conclude(&self, channel: &[u8], client_final: &[u8]) -> Option<Vec<u8>> {
        let client_final = std::str::from_utf8(client_final).unwrap();
        let (without_proof, proof) = client_final.rsplit_once(",p=").unwrap();
        let nonce = self.first.split(',').next().unwrap();
        let channel = STANDARD.encode(channel);
        assert_eq!(without_proof, format!("c={channel},{nonce}"));
        let signed = format!("{},{},{without_proof}", self.bare, self.first);
        let mut client_key = hmac(&**self.stored_key, &[signed.as_bytes()]);
        for (byte, proof) in client_key.iter_mut().zip(STANDARD.decode(proof).unwrap()) {
            *byte ^= proof;
        }
        if sha256(&**client_key) != self.stored_key {
            return None;
        }
        let signature = hmac(&**self.server_key, &[signed.as_bytes()]);
        Some(format!("v={}", STANDARD.encode(*signature)).into_bytes())
    }
}

fn keys(password: &[u8], iterations: u32) -> (Key, Key) {
    let mut salted = SaltedPassword::new(password, SALT, iterations);
    salted.derive(u32::MAX);
    salted.keys().unwrap()
}

fn client(password: &[u8]) -> Client {
    Client::new(Credentials::Password(password), NONCE, Binding::None)
}

/// A client that has sent its proof, and what an honest server answers.
fn proved() -> (Client, Vec<u8>) {
    let (mut client, mut server) = (client(b"secret"), Server::new(b"secret", 10));
    client
        .challenge(&server.answer("n,,", client.first()))
        .unwrap();
    assert!(client.derive(u32::MAX));
    let server_final = server.conclude(b"n,,", client.last().unwrap()).unwrap();
    (client, server_final)
}

/// The message cut off at every byte, and with every bit flipped and every byte replaced by those that mean something.
fn damaged(message: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<_> = (0..message.len())
        .map(|end| message[..end].to_vec())
        .collect();
    for at in 0..message.len() {
        let flipped = (0..8).map(|bit| message[at] ^ (1 << bit));
        for byte in flipped.chain(*b"\0,=m") {
            let mut copy = message.to_vec();
            copy[at] = byte;
            all.push(copy);
        }
    }
    all.retain(|copy| copy != message);
    all
}

#[test]
fn the_example_of_rfc_7677() {
    let mut client = Client::with_nonce(
        Credentials::Password(b"pencil"),
        "user",
        "rOprNGfwEbeRWgbNEkqO".to_owned(),
        Binding::None,
    );
    assert_eq!(client.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    client
        .challenge(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
        .unwrap();
    assert!(client.derive(4096));
    assert_eq!(
        std::str::from_utf8(client.last().unwrap()).unwrap(),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    assert!(!client.is_verified());
    client
        .finish(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        .unwrap();
    assert!(client.is_verified() && !client.is_bound());
}

#[test]
fn both_sides_prove_themselves() {
    let end_point = Binding::ServerEndPoint(vec![7; 32]);
    let bound = [b"p=tls-server-end-point,," as &[u8], &[7; 32]].concat();
    for (binding, header, channel) in [
        (Binding::None, "n,,", b"n,," as &[u8]),
        (Binding::NotUsed, "y,,", b"y,,"),
        (end_point, "p=tls-server-end-point,,", &bound),
    ] {
        let (client_key, server_key) = keys(b"secret", 1000);
        let keys = Credentials::Keys {
            client_key: &client_key,
            server_key: &server_key,
        };
        for credentials in [Credentials::Password(b"secret"), keys] {
            let mut server = Server::new(b"secret", 1000);
            let mut client = Client::new(credentials, NONCE, binding.clone());
            let server_first = server.answer(header, client.first());
            client.challenge(&server_first).unwrap();
            while !client.derive(64) {
                assert_eq!(client.last(), Err(Error::OutOfTurn));
            }
            let server_final = server.conclude(channel, client.last().unwrap());
            client.finish(&server_final.unwrap()).unwrap();
            assert!(client.is_verified());
            assert_eq!(client.is_bound(), header.starts_with('p'));
        }
    }
}

#[test]
fn keys_need_no_derivation() {
    let (client_key, server_key) = keys(b"secret", 1);
    let credentials = Credentials::Keys {
        client_key: &client_key,
        server_key: &server_key,
    };
    let mut client = Client::new(credentials, NONCE, Binding::None);
    let nonce = STANDARD.encode(NONCE);
    let server_first = format!("r={nonce}x,s=,i={MAX_ITERATIONS}");
    client.challenge(server_first.as_bytes()).unwrap();
    assert!(client.derive(0));
    client.last().unwrap();
}

#[test]
fn a_wrong_password_proves_nothing() {
    let (mut client, mut server) = (client(b"wrong"), Server::new(b"secret", 10));
    client
        .challenge(&server.answer("n,,", client.first()))
        .unwrap();
    assert!(client.derive(10));
    assert_eq!(server.conclude(b"n,,", client.last().unwrap()), None);
    assert_eq!(
        client.finish(b"e=invalid-proof").unwrap_err().to_string(),
        "error received from server in SCRAM exchange: invalid-proof"
    );
    assert!(!client.is_verified());
}

#[test]
fn a_server_without_the_password_is_found_out() {
    let (mut client, _) = proved();
    let forged = format!("v={}", STANDARD.encode([0; 32]));
    assert_eq!(client.finish(forged.as_bytes()), Err(Error::Signature));
    assert!(!client.is_verified());

    // The same server-final-message for another exchange (another nonce) is worth nothing.
    let (_, replayed) = proved();
    let mut server = Server::new(b"secret", 10);
    let mut other = Client::new(Credentials::Password(b"secret"), [1; 18], Binding::None);
    other
        .challenge(&server.answer("n,,", other.first()))
        .unwrap();
    other.derive(10);
    other.last().unwrap();
    assert_eq!(other.finish(&replayed), Err(Error::Signature));
}

#[test]
fn a_damaged_server_first_never_verifies() {
    let honest = Server::new(b"secret", 10).answer("n,,", client(b"secret").first());
    let (client_key, server_key) = keys(b"secret", 10);
    let credentials = Credentials::Keys {
        client_key: &client_key,
        server_key: &server_key,
    };
    let (_, honest_final) = proved();
    for message in damaged(&honest) {
        let mut client = Client::new(credentials, NONCE, Binding::None);
        if client.challenge(&message).is_ok() {
            assert!(client.derive(u32::MAX));
            client.last().unwrap();
            assert_eq!(client.finish(&honest_final), Err(Error::Signature));
        }
        assert!(!client.is_verified());
        assert!(client.last().is_err());
    }
}

#[test]
fn a_damaged_server_final_never_verifies() {
    let (_, honest) = proved();
    for message in damaged(&honest) {
        let (mut client, _) = proved();
        assert!(client.finish(&message).is_err());
        assert!(!client.is_verified());
    }
}

#[test]
fn an_error_ends_the_exchange() {
    let (mut client, honest) = proved();
    assert!(client.finish(b"v=").is_err());
    assert_eq!(client.finish(&honest), Err(Error::OutOfTurn));
    assert!(!client.is_verified());
}

#[test]
fn steps_out_of_turn_are_errors() {
    let honest = Server::new(b"secret", 10).answer("n,,", client(b"secret").first());

    let mut early = client(b"secret");
    assert!(early.derive(1));
    assert_eq!(early.last(), Err(Error::OutOfTurn));
    assert_eq!(early.finish(b"v="), Err(Error::OutOfTurn));

    let mut twice = client(b"secret");
    twice.challenge(&honest).unwrap();
    assert_eq!(twice.last(), Err(Error::OutOfTurn));
    assert_eq!(twice.challenge(&honest), Err(Error::OutOfTurn));

    let (mut done, server_final) = proved();
    assert_eq!(done.last(), Err(Error::OutOfTurn));
    done.finish(&server_final).unwrap();
    assert_eq!(done.finish(&server_final), Err(Error::OutOfTurn));
}

#[test]
fn debug_output_tells_no_secret() {
    let (client, _) = proved();
    let text = format!("{client:?} {:?}", Credentials::Password(b"secret"));
    assert!(!text.contains("secret") && !text.contains("115"), "{text}");
}
