//! What is told of a connection's GSSAPI. Knows no exchange.

use std::ffi::c_void;

use super::Connection;
use crate::link::GssPeer;

impl Connection {
    /// The context of GSSAPI (`gss_ctx_id_t`, of the system's library), be it of encryption or of authentication. It lives until the
    /// connection is over or reset, and nobody may delete it. NULL without one, and while a step of the exchange is under way.
    pub fn gss_context(&self) -> *mut c_void {
        self.net.gss_context()
    }

    /// Has the look for credentials done by the thread that connects, not by a helper, as libpq does: where tickets lie with a daemon or
    /// in a directory that does not answer, it waits.
    pub fn look_for_credentials_at_once(&mut self) {
        self.net.look_for_credentials_at_once();
    }

    /// With whom GSSAPI was spoken.
    pub(super) fn gss_peer(&self) -> GssPeer {
        let (service, delegates) = self.options.gss();
        let given = |keyword| self.of_host(keyword).filter(|value| !value.is_empty());
        let host = given("host").or_else(|| given("hostaddr"));
        GssPeer::new(service, host.unwrap_or_default(), delegates)
    }
}
