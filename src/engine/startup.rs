//! Start-up (manual, "Message Flow"): the startup packet, authentication, and what the server says until it is ready.

use super::authenticate;
use super::connect::Miss;
use super::facts::Phase;
use super::random::Random;
use super::serve::unexpected;
use super::state::State;
use super::wait::{Stop, message, with};
use crate::auth::oauth::Bearer;
use crate::conninfo::{Host, Plan, Secret};
use crate::error::{Error, ServerError};
use crate::wire::{
    BackendKeyData, ErrorResponse, List, NegotiateProtocolVersion, ReadyForQuery, StartupMessage,
    protocol,
};

/// Brings a fresh transport up to its first ReadyForQuery.
pub(super) async fn start_up(
    plan: &Plan,
    host: &Host,
    random: &mut Random,
    bearer: &mut Option<Bearer>,
) -> Result<(), Miss> {
    with(|state| {
        state.enter(Phase::Startup);
        state.send_startup(plan)
    })?;
    authenticate::authenticate(plan, host, random, bearer).await?;
    with(|state| {
        state.enter(Phase::Settling);
        state.input.set_startup(false);
    });
    loop {
        match message().await? {
            BackendKeyData::TAG => with(|state| {
                let message = BackendKeyData::decode(state.input.body())?;
                state.facts.pid = message.process_id as u32;
                state.facts.key = Some(Secret::new(message.secret_key.to_vec()));
                state.input.wipe_body();
                state.consume()
            })?,
            ReadyForQuery::TAG => {
                return Ok(with(|state| {
                    let message = ReadyForQuery::decode(state.input.body())?;
                    state.facts.transaction = Some(message.status);
                    state.heed_pooler();
                    state.consume()
                })?);
            }
            ErrorResponse::TAG => return Err(refused(host, false)),
            tag => return Err(unexpected(tag, "the start-up").into()),
        }
    }
}

/// The server refuses the connection.
pub(super) fn refused(host: &Host, password_sent: bool) -> Miss {
    let error = with(|state| {
        ErrorResponse::decode(state.input.body())?;
        let error = ServerError::new(state.input.body())?;
        state.consume()?;
        Ok::<_, Stop>(error)
    });
    match error {
        Ok(error) => {
            let starting = error.sqlstate() == Some(b"57P03");
            let wrong_password = error.sqlstate() == Some(b"28P01");
            let mut text = error.to_string();
            if let Some(file) = &host.passfile
                && wrong_password
                && password_sent
            {
                text.push_str(&format!(
                    "\npassword retrieved from file \"{}\"",
                    String::from_utf8_lossy(file)
                ));
            }
            let error = Error::server(error).with_message(text);
            if starting {
                Miss::Host(error)
            } else {
                Miss::Final(error)
            }
        }
        Err(stop) => stop.into(),
    }
}

impl State {
    fn send_startup(&mut self, plan: &Plan) -> Result<(), Stop> {
        let mut parameters: Vec<(&[u8], &[u8])> = vec![
            (b"user", plan.user.as_slice()),
            (b"database", plan.database.as_slice()),
        ];
        parameters.extend(
            plan.parameters
                .iter()
                .map(|(name, value)| (&name[..], &value[..])),
        );
        let before = self.output.buffer().len();
        let message = StartupMessage {
            version: plan.max_protocol as i32,
            parameters: List::from(&parameters[..]),
        };
        message.encode(self.output.buffer())?;
        self.facts.protocol = plan.max_protocol;
        self.trace_startup(before);
        Ok(())
    }

    /// The server speaks an older minor version, or does not know options of ours.
    pub(super) fn negotiate(&mut self, plan: &Plan) -> Result<(), Stop> {
        let message = NegotiateProtocolVersion::decode(self.input.body())?;
        let version = message.version;
        let options = message.options.len();
        let broken = |text: String| Err(Stop::broken(Error::transport(text)));
        if self.facts.protocol != plan.max_protocol {
            return broken("received duplicate protocol negotiation message".into());
        }
        let shown =
            |version: i32| format!("{}.{}", protocol::major(version), protocol::minor(version));
        if version > self.facts.protocol as i32 {
            return broken(
                "received invalid protocol negotiation message: server requested downgrade to a higher-numbered version"
                    .into(),
            );
        }
        if version < protocol::V3_0 {
            return broken(
                "received invalid protocol negotiation message: server requested downgrade to pre-3.0 protocol version"
                    .into(),
            );
        }
        // 3.1 was never used.
        if version == protocol::V3_1 {
            return broken(
                "received invalid protocol negotiation message: server requested downgrade to non-existent 3.1 protocol version"
                    .into(),
            );
        }
        if options > 0 {
            return broken(format!(
                "received invalid protocol negotiation message: server reported {options} unsupported protocol options, \
                 but none were requested"
            ));
        }
        if version == self.facts.protocol as i32 {
            return broken(
                "received invalid protocol negotiation message: server negotiated but asks for no changes"
                    .into(),
            );
        }
        if version < plan.min_protocol as i32 {
            return broken(format!(
                "server only supports protocol version {}, but \"min_protocol_version\" was set to {}",
                shown(version),
                shown(plan.min_protocol as i32)
            ));
        }
        self.facts.protocol = version as u32;
        self.consume()
    }
}
