//! `target_session_attrs` (manual, "Connection Strings"): is the server of the wanted kind?

use super::connect::Miss;
use super::facts::Phase;
use super::serve::unexpected;
use super::wait::{Stop, message, with};
use crate::conninfo::TargetSessionAttrs;
use crate::error::{Error, ServerError};
use crate::wire::{
    CommandComplete, DataRow, ErrorResponse, ReadyForQuery, RowDescription, encode_query,
};

/// Fails with a text of libpq's when the server is not what is wanted.
pub(super) async fn check(wanted: TargetSessionAttrs) -> Result<(), Miss> {
    use TargetSessionAttrs::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
    let complaint = match wanted {
        Any | PreferStandby => return Ok(()),
        ReadWrite if is_read_only().await? => "session is read-only",
        ReadOnly if !is_read_only().await? => "session is not read-only",
        Primary if in_recovery().await? => "server is in hot standby mode",
        Standby if !in_recovery().await? => "server is not in hot standby mode",
        ReadWrite | ReadOnly | Primary | Standby => return Ok(()),
    };
    Err(Miss::Host(Error::transport(complaint)))
}

/// Servers since 14 report what decides it; older ones are asked.
async fn is_read_only() -> Result<bool, Miss> {
    let reported = with(|state| {
        let on = |name: &[u8]| state.facts.parameter(name).map(|value| value == b"on");
        Some(on(b"default_transaction_read_only")? || on(b"in_hot_standby")?)
    });
    match reported {
        Some(reported) => Ok(reported),
        None => Ok(ask(b"SHOW transaction_read_only").await? == b"on"),
    }
}

async fn in_recovery() -> Result<bool, Miss> {
    let reported = with(|state| {
        state
            .facts
            .parameter(b"in_hot_standby")
            .map(|value| value == b"on")
    });
    match reported {
        Some(reported) => Ok(reported),
        None => Ok(ask(b"SELECT pg_catalog.pg_is_in_recovery()").await? == b"t"),
    }
}

/// The one value of a simple query.
async fn ask(sql: &[u8]) -> Result<Vec<u8>, Miss> {
    with(|state| {
        state.enter(Phase::CheckingTarget);
        let before = state.output.buffer().len();
        encode_query(state.output.buffer(), sql)?;
        state.trace_frontend(before);
        Ok::<(), Stop>(())
    })?;
    let mut value = Vec::new();
    loop {
        match message().await? {
            DataRow::TAG => {
                value = with(|state| {
                    let row = DataRow::decode(state.input.body())?;
                    let value = row
                        .values
                        .iter()
                        .next()
                        .flatten()
                        .unwrap_or_default()
                        .to_vec();
                    state.consume()?;
                    Ok::<_, Stop>(value)
                })?;
            }
            RowDescription::TAG | CommandComplete::TAG => with(|state| state.consume())?,
            ReadyForQuery::TAG => {
                with(|state| state.consume())?;
                return Ok(value);
            }
            ErrorResponse::TAG => {
                let error = with(|state| {
                    ErrorResponse::decode(state.input.body())?;
                    let error = ServerError::new(state.input.body())?;
                    state.consume()?;
                    Ok::<_, Stop>(error)
                })?;
                return Err(Miss::Host(Error::server(error)));
            }
            tag => return Err(unexpected(tag, "the check of target_session_attrs").into()),
        }
    }
}
