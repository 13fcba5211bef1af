//! Bearer tokens for a server that wants OAuth: the engine asks, the caller gives, if it has said that it does.

use super::Connection;
use crate::conninfo::Secret;
use crate::link::{Answer, AskId, LinkError, LinkErrorKind, TokenAsk};

/// libpq's words for a client without a flow of its own.
const NO_FLOW: &str = "no OAuth flows are available (try installing the libpq-oauth package)";

impl Connection {
    /// Says that the caller answers what [`wanted_token`](Connection::wanted_token) asks. Without, a server that wants a token
    /// does not let us in.
    pub fn give_tokens(&mut self) {
        self.gives_tokens = true;
    }

    /// What token a server wants. While there is such a question the connection waits for its answer, and for nothing else.
    pub fn wanted_token(&self) -> Option<&TokenAsk> {
        self.token.as_ref().map(|token| &token.1)
    }

    /// Gives the token that is wanted.
    pub fn give_token(&mut self, token: &[u8]) {
        self.answer_token(Answer::Token(Secret::new(token.to_vec())));
    }

    /// Puts the question off: it is asked [`again`](TokenAsk::again) when the server need not be kept waiting.
    pub fn put_token_off(&mut self) {
        self.answer_token(Answer::TokenLater);
    }

    /// There is no token, for a reason that becomes the connection's error.
    pub fn refuse_token(&mut self, why: impl Into<String>) {
        self.answer_token(refused(why.into()));
    }

    /// True when it is answered at once.
    pub(super) fn begin_token(&mut self, id: AskId, ask: TokenAsk) -> bool {
        if self.gives_tokens {
            self.token = Some(Box::new((id, ask)));
            return false;
        }
        self.engine.answer(id, refused(NO_FLOW.into()));
        true
    }

    fn answer_token(&mut self, answer: Answer) {
        if let Some(token) = self.token.take() {
            let (id, _) = *token;
            self.engine.answer(id, answer);
            self.heard = true;
        }
    }
}

fn refused(text: String) -> Answer {
    Answer::Failed(LinkError {
        kind: LinkErrorKind::TlsSetup,
        errno: 0,
        text,
    })
}
