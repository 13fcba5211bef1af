//! OAUTHBEARER (RFC 7628) over the connections that it takes: one to learn who issues tokens, one to show the token.
//! Knows no flow that gets one: it asks.

use super::connect::Miss;
use super::state::State;
use super::wait::{Stop, answer, with};
use crate::auth::Mechanism;
use crate::auth::oauth::Bearer;
use crate::conninfo::Plan;
use crate::error::Error;
use crate::link::{Addr, Answer, Ask, TokenAsk};
use crate::wire::{SASLInitialResponse, SASLResponse};

/// The exchange on one connection.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The token was shown.
    pub shown: bool,
    /// The token has been asked for, and takes its time.
    later: bool,
    /// The server has refused the token, and is to say so.
    refused: bool,
}

impl Exchange {
    /// Shows the token. Without one the server is asked who issues it.
    pub(super) async fn begin(plan: &Plan, bearer: &mut Option<Bearer>) -> Result<Self, Miss> {
        if bearer.is_none() {
            *bearer = Some(known(plan)?);
        }
        let Some(bearer) = bearer else {
            return Err(failed("invalid OAuth exchange state"));
        };
        // A token may be at hand. One that takes its time is waited for when the server is through with this connection.
        let later = bearer.discovery().is_some() && !bearer.has_token() && {
            !get_token(bearer, false).await?
        };
        with(|state| state.show(bearer))?;
        Ok(Self {
            shown: bearer.has_token(),
            later,
            refused: false,
        })
    }

    /// The server did not put up with what it was shown, and tells why. Without a token before, there is one afterwards, and
    /// another connection to be made.
    pub(super) async fn challenged(
        &mut self,
        bearer: &mut Option<Bearer>,
        data: &[u8],
    ) -> Result<(), Miss> {
        let Some(bearer) = bearer.as_mut().filter(|_| !self.refused) else {
            return Err(failed("server sent additional OAuth data after error"));
        };
        bearer.learn(data).map_err(failed)?;
        if self.shown {
            self.refused = true;
            return Ok(with(State::send_dummy)?);
        }
        if bearer.discovery().is_none() {
            return Err(failed(
                "server requires OAuth authentication, but no discovery metadata was provided",
            ));
        }
        // Nobody is asked for what could not be shown.
        if with(|state| state.facts.addr == Some(Addr::Given)) {
            let document = bearer.discovery().unwrap_or_default();
            return Err(failed(format!(
                "the token would have to be shown over another connection, and the given transport is the only one: set oauth_issuer \
                 to {document}, and give the token before it is asked for, or then"
            )));
        }
        if self.later || !get_token(bearer, false).await? {
            with(State::send_dummy)?;
            if !get_token(bearer, true).await? {
                return Err(failed("internal error: OAuth flow did not set a token"));
            }
        }
        Err(Miss::Token(Error::transport(
            "retrying connection with new bearer token",
        )))
    }

    /// The server lets us in: not after it has refused the token.
    pub(super) fn check_ok(&self) -> Result<(), Miss> {
        match self.refused {
            true => Err(failed("server sent additional OAuth data after error")),
            false => Ok(()),
        }
    }
}

/// What the options say of the issuer.
fn known(plan: &Plan) -> Result<Bearer, Miss> {
    let Some(issuer) = &plan.oauth.issuer else {
        return Err(failed(
            "server requires OAuth authentication, but oauth_issuer and oauth_client_id are not both set",
        ));
    };
    Bearer::new(issuer, plan.oauth.scope.as_deref(), plan.oauth.insecure).map_err(failed)
}

/// Asks for a token; false when it takes its time.
async fn get_token(bearer: &mut Bearer, again: bool) -> Result<bool, Miss> {
    let ask = TokenAsk {
        discovery: bearer.discovery().unwrap_or_default().to_owned(),
        scope: bearer.scope().map(str::to_owned),
        again,
    };
    with(|state| state.ask(Ask::Token(ask)));
    match answer("a bearer token").await? {
        Answer::Token(token) => {
            bearer.set_token(token);
            Ok(true)
        }
        Answer::TokenLater => Ok(false),
        Answer::Failed(error) => Err(failed(error.text)),
        _ => Err(failed("internal error: OAuth flow did not set a token")),
    }
}

#[cold]
fn failed(text: impl Into<String>) -> Miss {
    Miss::Final(Error::transport(text.into()))
}

impl State {
    fn show(&mut self, bearer: &Bearer) -> Result<(), Stop> {
        let before = self.output.buffer().len();
        SASLInitialResponse {
            mechanism: Mechanism::OauthBearer.name().as_bytes(),
            response: Some(&bearer.initial_response()),
        }
        .encode(self.output.secret_buffer())?;
        self.trace_authentication(before, "SASLInitialResponse");
        Ok(())
    }

    fn send_dummy(&mut self) -> Result<(), Stop> {
        let before = self.output.buffer().len();
        let data = Bearer::DUMMY;
        SASLResponse { data }.encode(self.output.buffer())?;
        self.trace_authentication(before, "SASLResponse");
        Ok(())
    }
}
