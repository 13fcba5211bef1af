//! A server that answers whatever the client tries, good or bad. Knows bytes, no time and no transport.

use pgpoll::auth::md5;
use pgpoll::link::{LinkError, LinkErrorKind, TlsFacts};
use pgpoll::wire::frame::{Header, frontend_header};
use pgpoll::wire::{PasswordMessage, Query, SASLInitialResponse, Startup, protocol};

use super::{Fault, Kind, Login, Nature, OnTls};
use crate::script::{
    Bound, Ending, Exchange, Scram, Trick, auth_cleartext, auth_md5, auth_ok, auth_sasl,
    auth_sasl_continue, auth_sasl_final, backend_key, columns, complete, error, framed, negotiate,
    notice, oid, parameter, ready, row,
};

/// One connection to such a server.
#[derive(Debug)]
pub struct Stranger {
    nature: Nature,
    stage: Stage,
    encrypted: bool,
    up: bool,
    heard: Vec<u8>,
    said: Vec<u8>,
    total: usize,
    ending: Option<Ending>,
    flood: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Stage {
    /// A packet without a tag is to come.
    First,
    /// After `S`.
    Handshake,
    Password,
    SaslFirst,
    SaslLast(Exchange),
    Up,
    /// Whatever comes is ignored.
    Deaf,
}

const PASSWORD: &str = "secret";
const SALT: [u8; 4] = [9, 8, 7, 6];
const HASH: &[u8] = b"the hash of a certificate";

impl Stranger {
    /// A new connection.
    pub fn new(nature: &Nature) -> Self {
        Self {
            nature: nature.clone(),
            stage: Stage::First,
            encrypted: false,
            up: false,
            heard: Vec::new(),
            said: Vec::new(),
            total: 0,
            ending: None,
            flood: None,
        }
    }

    /// The client is let in, and can ask.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// The handshake was done.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// It says the same without end.
    pub fn floods(&self) -> bool {
        self.flood.is_some()
    }

    /// Bytes of the client have arrived.
    pub fn hear(&mut self, bytes: &[u8]) {
        if matches!(self.stage, Stage::Deaf) || self.ending.is_some() {
            return;
        }
        self.heard.extend_from_slice(bytes);
        while self.listen() {}
    }

    /// The client begins a handshake; what comes of it, if anything does. `direct`: without having asked.
    pub fn shake_hands(&mut self, direct: bool) -> Option<Result<TlsFacts, LinkError>> {
        let expected = match self.stage {
            // What was said in clear behind `S` has not arrived yet: it is no handshake.
            Stage::Deaf => true,
            Stage::First => direct,
            Stage::Handshake => !direct,
            _ => false,
        };
        assert!(expected, "a handshake at the wrong time: {:?}", self.stage);
        let failed = |text: &str| {
            Some(Err(LinkError {
                kind: LinkErrorKind::Tls,
                errno: 0,
                text: text.to_owned(),
            }))
        };
        match self.nature.tls {
            OnTls::Works => {}
            OnTls::Hangs | OnTls::IsSilent => return None,
            OnTls::Fails => return failed("SSL error: certificate verify failed"),
            _ => return failed("SSL SYSCALL error: EOF detected"),
        }
        self.stage = Stage::First;
        self.encrypted = true;
        Some(Ok(TlsFacts {
            version: "TLSv1.3",
            alpn: Some(b"postgresql".to_vec()),
            end_point: Some(Ok(HASH.to_vec())),
            ..TlsFacts::default()
        }))
    }

    /// What is on its way to the client.
    pub fn take(&mut self) -> Vec<u8> {
        if self.said.is_empty()
            && let Some(flood) = &self.flood
        {
            return flood.clone();
        }
        std::mem::take(&mut self.said)
    }

    /// How it ended, once everything said before was taken.
    pub fn ending(&self) -> Option<Ending> {
        self.ending.filter(|_| self.said.is_empty())
    }

    fn say(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if let Some((at, fault)) = self.nature.fault
            && !self.up
            && self.total + bytes.len() > at
        {
            bytes = &bytes[..at.saturating_sub(self.total).min(bytes.len())];
            self.stage = Stage::Deaf;
            self.flood = None;
            self.ending = self.ending.or(match fault {
                Fault::Closes => Some(Ending::Close),
                Fault::Resets => Some(Ending::Reset),
                Fault::FallsSilent => None,
            });
        }
        self.total += bytes.len();
        self.said.extend_from_slice(bytes);
    }

    /// Says it, and nothing ever after.
    fn say_last(&mut self, bytes: &[u8], ending: Option<Ending>) {
        self.stage = Stage::Deaf;
        self.say(bytes);
        self.ending = self.ending.or(ending);
    }

    /// Deals with one message, if one is there.
    fn listen(&mut self) -> bool {
        if self.ending.is_some() {
            return false;
        }
        match self.stage {
            Stage::First => self.untagged(),
            Stage::Handshake => {
                assert!(self.heard.is_empty(), "bytes in clear, not a handshake");
                false
            }
            Stage::Deaf => false,
            _ => self.tagged(),
        }
    }

    fn untagged(&mut self) -> bool {
        let Some(length) = self.heard.first_chunk() else {
            return false;
        };
        let length = u32::from_be_bytes(*length) as usize;
        if self.heard.len() < length {
            return false;
        }
        let packet: Vec<u8> = self.heard.drain(..length).collect();
        match Startup::decode(&packet[4..]).unwrap() {
            Startup::Ssl(_) => self.answer_ssl(),
            Startup::Startup(message) => self.start_up(message.version),
            other => panic!("{other:?}"),
        }
        true
    }

    fn answer_ssl(&mut self) {
        assert!(!self.encrypted, "an SSLRequest over TLS");
        match self.nature.tls {
            OnTls::Works | OnTls::Fails | OnTls::Hangs => {
                self.stage = Stage::Handshake;
                self.say(b"S");
            }
            OnTls::Injects => self.say_last(&[b"S", &auth_ok()[..]].concat(), None),
            OnTls::Refuses => self.say(b"N"),
            OnTls::Errs => {
                let words = error("FATAL", "XX000", "do not believe this");
                self.say_last(&words, Some(Ending::Close));
            }
            OnTls::Babbles => self.say_last(b"HTTP/1.1 400 Bad Request\r\n\r\n", None),
            OnTls::IsSilent => self.stage = Stage::Deaf,
            OnTls::Closes => self.say_last(b"", Some(Ending::Close)),
        }
    }

    fn start_up(&mut self, version: i32) {
        let (plain, encrypted) = self.nature.admits;
        let admitted = if self.encrypted { encrypted } else { plain };
        let fatal = |state, words| error("FATAL", state, words);
        let login = self.nature.login;
        if !admitted && login != Login::IsStarting {
            let words = fatal("28000", "no pg_hba.conf entry for host");
            return self.say_last(&words, Some(Ending::Close));
        }
        match login {
            Login::Trusts => self.let_in(),
            Login::IsOld if version == protocol::V3_0 => self.let_in(),
            Login::IsOld => {
                self.say(&negotiate(protocol::V3_0, &[]));
                self.let_in();
            }
            Login::Cleartext | Login::FloodsRequests => {
                self.stage = Stage::Password;
                self.say(&auth_cleartext());
            }
            Login::Md5 => {
                self.stage = Stage::Password;
                self.say(&auth_md5(SALT));
            }
            Login::Scram | Login::Forges | Login::CutsShort | Login::Replays | Login::Rejects => {
                self.stage = Stage::SaslFirst;
                self.say(&auth_sasl(self.scram().mechanisms()));
            }
            Login::IsStarting => {
                let words = fatal("57P03", "the database system is starting up");
                self.say_last(&words, Some(Ending::Close));
            }
            Login::LacksDatabase => {
                let words = fatal("3D000", "database \"tester\" does not exist");
                self.say_last(&[auth_ok(), words].concat(), Some(Ending::Close));
            }
            Login::IsStrange => self.say_last(&framed(b'R', &[0, 0, 0, 99]), None),
            Login::Babbles => self.say_last(b"\x15\x03\x01\x00\x02\x02\x16", None),
            Login::IsSilent => self.stage = Stage::Deaf,
            Login::Stops => self.say_last(&auth_ok(), None),
            Login::FloodsNotices => self.pour(&notice(&"n".repeat(2000))),
            Login::FloodsParameters => self.pour(&parameter("p", &"v".repeat(500))),
        }
    }

    /// After AuthenticationOk: the same without end.
    fn pour(&mut self, message: &[u8]) {
        self.say_last(&auth_ok(), None);
        self.flood = Some(message.repeat(1 + 30_000 / message.len()));
    }

    fn scram(&self) -> Scram {
        let scram = Scram::new(PASSWORD).trick(match self.nature.login {
            Login::Forges => Trick::WrongSignature,
            Login::Replays => Trick::OtherNonce,
            _ => Trick::None,
        });
        if self.encrypted {
            scram.bound(HASH)
        } else {
            scram
        }
    }

    fn tagged(&mut self) -> bool {
        let Some(head) = frontend_header(&self.heard).unwrap() else {
            return false;
        };
        let length = Header::SIZE + head.len;
        if self.heard.len() < length {
            return false;
        }
        let message: Vec<u8> = self.heard.drain(..length).collect();
        let body = &message[Header::SIZE..];
        match std::mem::replace(&mut self.stage, Stage::Deaf) {
            Stage::Password => self.check_password(body),
            Stage::SaslFirst => self.challenge(body),
            Stage::SaslLast(exchange) => self.conclude(&exchange, body),
            Stage::Up if head.tag == b'Q' => self.reply(body),
            stage => panic!("{:?} in {stage:?}", char::from(head.tag)),
        }
        true
    }

    fn check_password(&mut self, body: &[u8]) {
        let sent = PasswordMessage::decode(body).unwrap().password;
        match self.nature.login {
            Login::Md5 => {
                assert_eq!(
                    sent,
                    &md5::response(b"tester", PASSWORD.as_bytes(), SALT)[..]
                );
                self.let_in();
            }
            Login::FloodsRequests => {
                self.stage = Stage::Password;
                self.say(&auth_cleartext());
            }
            _ => {
                assert_eq!(sent, PASSWORD.as_bytes());
                self.let_in();
            }
        }
    }

    fn challenge(&mut self, body: &[u8]) {
        let mut scram = self.scram();
        let message = SASLInitialResponse::decode(body).unwrap();
        if message.mechanism == b"SCRAM-SHA-256" {
            // A client that must not bind does not say that it could have.
            scram.binding = Bound::No;
        }
        assert_eq!(message.mechanism, scram.mechanisms()[0].as_bytes());
        let exchange = Exchange::new(&scram, message.response.unwrap());
        let first = auth_sasl_continue(exchange.first().as_bytes());
        self.stage = Stage::SaslLast(exchange);
        self.say(&first);
    }

    fn conclude(&mut self, exchange: &Exchange, body: &[u8]) {
        let last = exchange.conclude(body);
        match self.nature.login {
            Login::Rejects => {
                let words = error("FATAL", "28P01", "password authentication failed");
                self.say_last(&words, Some(Ending::Close));
            }
            Login::CutsShort => self.let_in(),
            _ => {
                self.say(&auth_sasl_final(last.as_bytes()));
                self.let_in();
            }
        }
    }

    /// AuthenticationOk and everything up to ReadyForQuery.
    fn let_in(&mut self) {
        if matches!(self.stage, Stage::Deaf) && self.ending.is_some() {
            return;
        }
        let on = |yes| if yes { "on" } else { "off" };
        let kind = self.nature.kind;
        let mut words = auth_ok();
        if kind.reports {
            words.extend(parameter("in_hot_standby", on(kind.standby)));
            words.extend(parameter(
                "default_transaction_read_only",
                on(kind.read_only),
            ));
        }
        words.extend(parameter(
            "server_version",
            if kind.reports { "18.6" } else { "13.20" },
        ));
        words.extend(notice("welcome"));
        words.extend(backend_key(4711, b"KEY!"));
        words.extend(ready(b'I'));
        let whole = self.total + words.len();
        self.stage = Stage::Up;
        self.say(&words);
        self.up = self.total == whole;
    }

    fn reply(&mut self, body: &[u8]) {
        self.stage = Stage::Up;
        let Kind {
            standby, read_only, ..
        } = self.nature.kind;
        let (name, value, tag) = match Query::decode(body).unwrap().sql {
            b"SHOW transaction_read_only" => {
                let on = if standby || read_only { "on" } else { "off" };
                ("transaction_read_only", on, "SHOW")
            }
            b"SELECT pg_catalog.pg_is_in_recovery()" => {
                let yes = if standby { "t" } else { "f" };
                ("pg_is_in_recovery", yes, "SELECT 1")
            }
            b"SELECT 1" => ("?column?", "1", "SELECT 1"),
            sql => panic!("{}", sql.escape_ascii()),
        };
        self.say(
            &[
                columns(&[(name, oid::TEXT)]),
                row(&[Some(value)]),
                complete(tag),
                ready(b'I'),
            ]
            .concat(),
        );
    }
}
