//! What a simulated server is like: fair, foul or absent. Data only.

/// What a server is like, on every connection to it.
#[derive(Debug, Clone)]
pub struct Nature {
    /// What dialling comes to.
    pub dial: OnDial,
    /// What SSLRequest comes to.
    pub tls: OnTls,
    /// Whether sessions without, and with, encryption are let in.
    pub admits: (bool, bool),
    /// What follows the startup packet.
    pub login: Login,
    /// What kind of server it is.
    pub kind: Kind,
    /// What happens when so many bytes have been said on a connection that is not up yet.
    pub fault: Option<(usize, Fault)>,
    /// How long it takes until a piece of what is said arrives: nanoseconds.
    pub latency: u64,
    /// Bytes of a piece at most.
    pub piece: u64,
}

/// What dialling comes to.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDial {
    Accepts,
    Refuses,
    IsSilent,
}

/// What SSLRequest, or a handshake without it, comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTls {
    /// TLS.
    Works,
    /// `S`, and a handshake that fails.
    Fails,
    /// `S`, and a handshake that never ends.
    Hangs,
    /// `S`, and words in clear behind it.
    Injects,
    /// `N`.
    Refuses,
    /// `E` and words that nobody should believe.
    Errs,
    /// What is no answer.
    Babbles,
    /// Nothing.
    IsSilent,
    /// The end.
    Closes,
}

/// What follows the startup packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// Everybody is let in.
    Trusts,
    /// The same, by an older version of the protocol.
    IsOld,
    /// A password in clear.
    Cleartext,
    /// A hashed password.
    Md5,
    /// SCRAM, bound to the handshake where there was one.
    Scram,
    /// SCRAM, and no proof of the server's.
    Forges,
    /// SCRAM, and in before the server's proof.
    CutsShort,
    /// SCRAM with another nonce than ours.
    Replays,
    /// The password is wrong.
    Rejects,
    /// The server is starting up.
    IsStarting,
    /// There is no such database.
    LacksDatabase,
    /// A method that nobody knows.
    IsStrange,
    /// Not this protocol.
    Babbles,
    /// Nothing.
    IsSilent,
    /// Nothing, after AuthenticationOk.
    Stops,
    /// Notices without end.
    FloodsNotices,
    /// Parameters without end.
    FloodsParameters,
    /// The same password again and again.
    FloodsRequests,
}

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// In hot standby.
    pub standby: bool,
    /// Sessions are read-only by default.
    pub read_only: bool,
    /// It reports what it is (since 14), and is not asked.
    pub reports: bool,
}

/// How a connection breaks.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Closes,
    Resets,
    FallsSilent,
}

/// All of them.
pub const FAULTS: [Fault; 3] = [Fault::Closes, Fault::Resets, Fault::FallsSilent];
