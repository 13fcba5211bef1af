//! Cancel requests (manual, "Canceling Requests in Progress"): a connection of their own to the same address, encrypted as the
//! one that they are about. Knows no operation.

use std::sync::Arc;
use std::time::Duration;

use super::connect::{Miss, dial, named};
use super::encrypt::{Means, Methods, encrypt};
use super::facts::Phase;
use super::wait::{Stop, byte, sent, with};
use crate::conninfo::{Secret, TcpOptions, Tls};
use crate::error::Error;
use crate::link::{Addr, GssPeer, LinkErrorKind};

/// What is sent, and how its connection is made.
#[derive(Debug, Clone)]
pub struct CancelPlan {
    /// The whole CancelRequest message.
    pub packet: Secret,
    /// The address that the other connection is with.
    pub addr: Addr,
    /// Keepalives and `tcp_user_timeout`.
    pub tcp: TcpOptions,
    /// `requirepeer`.
    pub requirepeer: Option<Vec<u8>>,
    /// How the other connection is encrypted with TLS: then this one is, too, or not made. `None` if it is not.
    pub tls: Option<Arc<Tls>>,
    /// The same for GSSAPI.
    pub gss: Option<GssPeer>,
    /// `host` as it was written, for the server's certificate and for error texts.
    pub host: Vec<u8>,
    /// `hostaddr` as it was written.
    pub hostaddr: Option<Vec<u8>>,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// Tells the server, and waits until it has dealt with the request.
pub(super) async fn cancel(plan: &CancelPlan) -> Result<(), Error> {
    with(|state| {
        let timeout = plan.timeout.as_nanos() as u64;
        state.deadline = Some(state.now.saturating_add(timeout));
    });
    request(plan).await.map_err(|miss| {
        let error = miss.into_error();
        named(&plan.host, plan.hostaddr.as_deref(), &plan.addr, error)
    })
}

async fn request(plan: &CancelPlan) -> Result<(), Miss> {
    dial(&plan.addr, &plan.tcp, plan.requirepeer.as_deref()).await?;
    let means = Means {
        tls: plan.tls.as_ref(),
        gss: plan.gss.as_ref(),
        host: &plan.host,
    };
    encrypt(&mut Methods::only(&means), &means).await?;
    with(|state| {
        state.enter(Phase::Startup);
        let before = state.output.buffer().len();
        let buffer = state.output.secret_buffer();
        buffer.extend_from_slice(plan.packet.expose());
        state.trace_startup(before);
    });
    sent("the cancel request to be sent").await?;
    // The server says nothing to it: it closes the connection.
    match byte("the server to close the connection").await {
        Err(Stop::Lost(error)) if error.kind == LinkErrorKind::Closed => Ok(()),
        Err(stop) => Err(stop.into()),
        Ok(_) => Err(Miss::Final(Error::transport(
            "unexpected response from server",
        ))),
    }
}
