//! Authentication (manual, "Start-up"): answers what the server asks for, and refuses to be let in before it has proved itself.

use super::connect::Miss;
use super::facts::Phase;
use super::gss;
use super::oauth;
use super::random::Random;
use super::serve::unexpected;
use super::startup::refused;
use super::state::State;
use super::wait::{Stop, breathe, message, with};
use crate::auth::oauth::Bearer;
use crate::auth::sasl::{ChannelBinding, Mechanism};
use crate::auth::scram::{Binding, Client, Credentials, SLICE};
use crate::auth::{self, Request, sasl};
use crate::conninfo::tls::CertificateMode;
use crate::conninfo::{Host, Plan};
use crate::error::Error;
use crate::wire::{
    Authentication, ErrorResponse, NegotiateProtocolVersion, PasswordMessage, SASLInitialResponse,
    SASLResponse,
};

/// A server that asks a PAM module may ask for several passwords; one that asks for more is up to something.
const MOST_PASSWORDS: usize = 8;

/// What the server asks for, taken off the input.
enum Asked {
    Ok,
    Cleartext,
    Md5([u8; 4]),
    Sasl(Box<Client>, Mechanism),
    Bearer,
    SaslContinue(Vec<u8>),
    SaslFinal(Vec<u8>),
    /// The first step, or the next one with what the server says to the one before.
    Gss(Option<Vec<u8>>),
}

/// How far it is.
#[derive(Default)]
struct Progress {
    passwords_sent: usize,
    scram: Option<Box<Client>>,
    gss: gss::Exchange,
    oauth: Option<oauth::Exchange>,
}

/// Goes through authentication up to AuthenticationOk.
pub(super) async fn authenticate(
    plan: &Plan,
    host: &Host,
    random: &mut Random,
    bearer: &mut Option<Bearer>,
) -> Result<(), Miss> {
    let mut progress = Progress::default();
    loop {
        match message().await? {
            Authentication::TAG => {}
            ErrorResponse::TAG => {
                let password_sent = progress.passwords_sent > 0 || progress.scram.is_some();
                return Err(match refused(host, password_sent) {
                    Miss::Final(error) => Miss::Refused(error),
                    miss => miss,
                });
            }
            NegotiateProtocolVersion::TAG => {
                with(|state| state.negotiate(plan))?;
                continue;
            }
            tag => return Err(unexpected(tag, "authentication").into()),
        }
        let nonce = random.nonce();
        let asked = with(|state| {
            state.enter(Phase::Authenticating);
            state.facts.challenged = true;
            state.asked(plan, host, nonce, &progress)
        })?;
        match asked {
            Asked::Ok => {
                if let Some(exchange) = &progress.oauth {
                    exchange.check_ok()?;
                }
                return Ok(());
            }
            Asked::Cleartext => {
                with(|state| state.send_password(host, |password| password.to_vec()))?;
                progress.passwords_sent += 1;
            }
            Asked::Md5(salt) => {
                with(|state| {
                    state.send_password(host, |password| {
                        auth::md5::response(&plan.user, password, salt).to_vec()
                    })
                })?;
                progress.passwords_sent += 1;
            }
            Asked::Bearer | Asked::Sasl(..) if progress.oauth.is_some() => {
                return Err(failed("duplicate SASL authentication request"));
            }
            Asked::Bearer => progress.oauth = Some(oauth::Exchange::begin(plan, bearer).await?),
            Asked::SaslFinal(_) if progress.oauth.is_some() => {
                return Err(failed("server sent unexpected additional OAuth data"));
            }
            Asked::Sasl(client, mechanism) => {
                if progress.scram.is_some() {
                    return Err(failed("duplicate SASL authentication request"));
                }
                with(|state| {
                    let before = state.output.buffer().len();
                    SASLInitialResponse {
                        mechanism: mechanism.name().as_bytes(),
                        response: Some(client.first()),
                    }
                    .encode(state.output.secret_buffer())?;
                    state.trace_authentication(before, "SASLInitialResponse");
                    Ok::<(), Stop>(())
                })?;
                progress.scram = Some(client);
            }
            Asked::SaslContinue(data) => {
                if let Some(exchange) = &mut progress.oauth {
                    exchange.challenged(bearer, &data).await?;
                    continue;
                }
                let client = begun(&mut progress.scram)?;
                client.challenge(&data).map_err(auth_failed)?;
                while !client.derive(SLICE) {
                    breathe("the SCRAM key to be derived").await?;
                }
                let response = client.last().map_err(auth_failed)?;
                with(|state| {
                    let before = state.output.buffer().len();
                    SASLResponse { data: response }.encode(state.output.secret_buffer())?;
                    state.trace_authentication(before, "SASLResponse");
                    Ok::<(), Stop>(())
                })?;
            }
            Asked::SaslFinal(data) => {
                begun(&mut progress.scram)?
                    .finish(&data)
                    .map_err(auth_failed)?;
            }
            Asked::Gss(token) => progress.gss.step(plan, host, token).await?,
        }
    }
}

fn begun(scram: &mut Option<Box<Client>>) -> Result<&mut Client, Miss> {
    scram.as_deref_mut().ok_or_else(|| {
        failed("fe_sendauth: invalid authentication request from server: AUTH_REQ_SASL_CONT without AUTH_REQ_SASL")
    })
}

#[cold]
fn failed(text: impl Into<String>) -> Miss {
    Miss::Final(Error::transport(text.into()))
}

#[cold]
fn auth_failed(error: auth::Error) -> Miss {
    failed(error.to_string())
}

impl State {
    /// Takes an Authentication message off the input, having checked that the options allow what it asks for.
    fn asked(
        &mut self,
        plan: &Plan,
        host: &Host,
        nonce: [u8; 18],
        progress: &Progress,
    ) -> Result<Asked, Miss> {
        let scram = progress.scram.as_deref();
        let passwords_sent = progress.passwords_sent;
        let token_shown = progress
            .oauth
            .as_ref()
            .is_some_and(|exchange| exchange.shown);
        let message = Authentication::decode(self.input.body()).map_err(Stop::from)?;
        let verified = scram.is_some_and(Client::is_verified);
        let request = match message {
            // An exchange that was begun must have been finished: the server has to prove that it knows the password.
            Authentication::Ok if scram.is_some() && !verified => {
                return Err(failed(
                    "server authenticated the client without completing the SCRAM exchange",
                ));
            }
            Authentication::Ok if progress.gss.is_open() => {
                return Err(failed(
                    "server authenticated the client without completing the GSSAPI exchange",
                ));
            }
            Authentication::Ok => Request::Ok {
                complete: passwords_sent > 0
                    || verified
                    || token_shown
                    || progress.gss == gss::Exchange::Complete,
                bound: scram.is_some_and(Client::is_bound),
                gss_encrypted: self.facts.gss_encrypted,
            },
            // A server that has not proved itself in the exchange that it began does not get the password another way.
            Authentication::CleartextPassword | Authentication::MD5Password { .. }
                if scram.is_some() =>
            {
                return Err(failed(
                    "server asked for a password in the middle of the SCRAM exchange",
                ));
            }
            Authentication::CleartextPassword | Authentication::MD5Password { .. }
                if progress.gss.is_open() =>
            {
                return Err(failed(
                    "server asked for a password in the middle of the GSSAPI exchange",
                ));
            }
            Authentication::CleartextPassword | Authentication::MD5Password { .. }
                if token_shown =>
            {
                return Err(failed(
                    "server asked for a password in the middle of the OAuth exchange",
                ));
            }
            Authentication::CleartextPassword | Authentication::MD5Password { .. }
                if passwords_sent == MOST_PASSWORDS =>
            {
                return Err(failed(
                    "server asks for the password again and again, and lets nobody in",
                ));
            }
            Authentication::CleartextPassword => Request::Password,
            Authentication::MD5Password { .. } => Request::Md5,
            Authentication::GSS => Request::Gss,
            Authentication::GSSContinue { .. } => Request::GssContinue,
            Authentication::SSPI => Request::Sspi,
            Authentication::SASL { .. }
            | Authentication::SASLContinue { .. }
            | Authentication::SASLFinal { .. } => Request::Sasl,
            Authentication::KerberosV5 | Authentication::Other { .. } => Request::Unknown,
        };
        if let Request::Ok { .. } = request {
            self.check_certificate(plan)?;
        }
        plan.require_auth.check(request).map_err(auth_failed)?;
        plan.channel_binding.check(request).map_err(auth_failed)?;
        let asked = match message {
            Authentication::Ok => Asked::Ok,
            Authentication::CleartextPassword => Asked::Cleartext,
            Authentication::MD5Password { salt } => Asked::Md5(salt),
            Authentication::SASL { mechanisms } => {
                let mechanism = sasl::choose(
                    mechanisms.iter(),
                    plan.channel_binding,
                    self.facts.tls.is_some(),
                    &plan.require_auth,
                )
                .map_err(auth_failed)?;
                if mechanism == Mechanism::OauthBearer {
                    self.consume()?;
                    return Ok(Asked::Bearer);
                }
                let credentials = match (&plan.scram_client_key, &plan.scram_server_key) {
                    (Some(client), Some(server)) => {
                        self.facts.password_used = true;
                        keys(client.expose(), server.expose())?
                    }
                    _ => Credentials::Password(self.password(host)?),
                };
                let binding = self.binding(mechanism, plan.channel_binding)?;
                let client = Client::new(credentials, nonce, binding);
                Asked::Sasl(Box::new(client), mechanism)
            }
            Authentication::SASLContinue { data } => Asked::SaslContinue(data.to_vec()),
            Authentication::SASLFinal { data } => Asked::SaslFinal(data.to_vec()),
            // A Windows server's own negotiation is spoken by GSSAPI too, as far as both know Kerberos.
            Authentication::GSS | Authentication::SSPI => Asked::Gss(None),
            Authentication::GSSContinue { data } => {
                let mut token = Vec::new();
                token.try_reserve_exact(data.len()).map_err(Stop::from)?;
                token.extend_from_slice(data);
                Asked::Gss(Some(token))
            }
            Authentication::KerberosV5 => {
                return Err(failed("Kerberos 5 authentication not supported"));
            }
            Authentication::Other { code, .. } => {
                return Err(failed(format!(
                    "authentication method {code} not supported"
                )));
            }
        };
        self.consume()?;
        Ok(asked)
    }

    /// `sslcertmode=require`: the server must have asked for our certificate, and got it.
    fn check_certificate(&self, plan: &Plan) -> Result<(), Miss> {
        let required = plan
            .tls
            .as_ref()
            .is_some_and(|tls| tls.certificate_mode == CertificateMode::Require);
        let (requested, sent) = self.facts.tls.as_ref().map_or((false, false), |tls| {
            (tls.certificate_requested, tls.certificate_sent)
        });
        match required {
            true if !requested => Err(failed("server did not request an SSL certificate")),
            true if !sent => Err(failed(
                "server accepted connection without a valid SSL certificate",
            )),
            _ => Ok(()),
        }
    }

    /// What the exchange is bound to. Over TLS a server learns that we could have bound it: one that had offered to knows
    /// then that somebody in between has hidden its offer (RFC 5802, 6).
    fn binding(&self, mechanism: Mechanism, wanted: ChannelBinding) -> Result<Binding, Miss> {
        match (mechanism, &self.facts.tls) {
            (Mechanism::OauthBearer, _) => Ok(Binding::None),
            (Mechanism::ScramSha256, Some(_)) if wanted != ChannelBinding::Disable => {
                Ok(Binding::NotUsed)
            }
            (Mechanism::ScramSha256, _) => Ok(Binding::None),
            (Mechanism::ScramSha256Plus, tls) => {
                match tls.as_ref().and_then(|tls| tls.end_point.as_ref()) {
                    Some(Ok(hash)) => Ok(Binding::ServerEndPoint(hash.clone())),
                    Some(Err(text)) => Err(failed(text.clone())),
                    None => Err(failed(
                        "could not determine server certificate signature algorithm",
                    )),
                }
            }
        }
    }

    fn send_password(
        &mut self,
        host: &Host,
        answer: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<(), Miss> {
        let answer = zeroize::Zeroizing::new(answer(self.password(host)?));
        let before = self.output.buffer().len();
        PasswordMessage { password: &answer }
            .encode(self.output.secret_buffer())
            .map_err(Stop::from)?;
        self.trace_authentication(before, "PasswordMessage");
        Ok(())
    }

    fn password<'h>(&mut self, host: &'h Host) -> Result<&'h [u8], Miss> {
        match &host.password {
            Some(password) if !password.expose().is_empty() => {
                self.facts.password_used = true;
                Ok(password.expose())
            }
            _ => {
                self.facts.password_needed = true;
                Err(failed("fe_sendauth: no password supplied"))
            }
        }
    }
}

fn keys<'a>(client: &'a [u8], server: &'a [u8]) -> Result<Credentials<'a>, Miss> {
    match (client.try_into(), server.try_into()) {
        (Ok(client_key), Ok(server_key)) => Ok(Credentials::Keys {
            client_key,
            server_key,
        }),
        _ => Err(failed("invalid SCRAM client or server key length")),
    }
}
