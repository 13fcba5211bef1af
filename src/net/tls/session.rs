//! One TLS session: ciphertext to plaintext and back, by rustls' calls that work on the caller's buffers. Knows records, no transport.

use rustls::Error;
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

use crate::net::buffer::Buffer;
use crate::net::tls::config::Setup;
use crate::rows::OutOfMemory;

/// The state of TLS on one connection.
pub(super) struct Session(UnbufferedClientConnection);

/// What one step came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Something was done; there may be more to do.
    Moved,
    /// Nothing more can be done with what has arrived.
    Dry,
    /// Nothing had to be done first: so many bytes were encrypted.
    Encrypted(usize),
    /// The peer has said that it sends nothing any more.
    Closed,
    /// It is over. What the peer is to be told is in the output.
    Failed(Error),
    /// There is no memory for what came or goes.
    NoMemory,
}

impl Session {
    /// A session at its beginning.
    pub(super) fn new(setup: &Setup) -> Result<Session, Error> {
        UnbufferedClientConnection::new(setup.config.clone(), setup.name.clone()).map(Session)
    }

    /// What rustls knows of it.
    pub(super) fn connection(&self) -> &UnbufferedClientConnection {
        &self.0
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Works on the next record of `input`, in place: its plaintext goes to `data`, what TLS itself has to say to `output`. With nothing
    /// else to do, encrypts `bytes` to `output`.
    ///
    /// `input` is always all that has arrived and was not consumed: rustls puts together in it what was cut over several records.
    pub(super) fn step(
        &mut self,
        input: &mut Buffer,
        output: &mut Buffer,
        bytes: &[u8],
        mut data: impl FnMut(&[u8]) -> Result<(), OutOfMemory>,
    ) -> Step {
        let UnbufferedStatus { discard, state } = self.0.process_tls_records(input.filled_mut());
        let step = match state {
            Ok(ConnectionState::ReadTraffic(mut records)) => loop {
                match records.next_record() {
                    None => break Step::Moved,
                    Some(Err(error)) => break Step::Failed(error),
                    Some(Ok(record)) => {
                        if data(record.payload).is_err() {
                            break Step::NoMemory;
                        }
                    }
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut message)) => {
                match output.append(|room| message.encode(room).ok()) {
                    Some(_) => Step::Moved,
                    None => Step::NoMemory,
                }
            }
            // It is in the output, before all that follows.
            Ok(ConnectionState::TransmitTlsData(message)) => {
                message.done();
                Step::Moved
            }
            Ok(ConnectionState::WriteTraffic(mut traffic)) if !bytes.is_empty() => {
                match output.append(|room| traffic.encrypt(bytes, room).ok()) {
                    Some(_) => Step::Encrypted(bytes.len()),
                    None => Step::NoMemory,
                }
            }
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => Step::Dry,
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Step::Closed,
            Ok(_) => Step::Failed(Error::General(String::from("unexpected state"))),
            Err(error) => Step::Failed(error),
        };
        input.consume(discard);
        if matches!(step, Step::Failed(_)) {
            self.say_why(output);
        }
        step
    }

    /// The alert that belongs to an error.
    fn say_why(&mut self, output: &mut Buffer) {
        while self.0.wants_write() {
            let state = self.0.process_tls_records(&mut []).state;
            let Ok(ConnectionState::EncodeTlsData(mut message)) = state else {
                return;
            };
            if output.append(|room| message.encode(room).ok()).is_none() {
                return;
            }
        }
    }

    /// Says to the peer that we send nothing any more.
    pub(super) fn close(&mut self, input: &mut Buffer, output: &mut Buffer) {
        let UnbufferedStatus { discard, state } = self.0.process_tls_records(input.filled_mut());
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state {
            let _ = output.append(|room| traffic.queue_close_notify(room).ok());
        }
        input.consume(discard);
    }
}
