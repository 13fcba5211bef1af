//! `require_auth`: which authentication methods the client puts up with.

/// The set of authentication methods that the server may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequireAuth {}
