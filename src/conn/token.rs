//! Bearer tokens for a server that wants OAuth (RFC 7628): the engine asks, and this connection's own caller gives.

use super::Connection;
use crate::conninfo::Secret;
use crate::link::{Answer, AskId, LinkError, LinkErrorKind, TokenAsk};

const NONE_GIVEN: &str = "the server wants an OAuth bearer token, and none was given: give one before connecting, or say that you will when asked";

/// Where tokens come from, and the question for one.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    asked: Asked,
    /// Is shown without a question.
    kept: Option<Secret>,
    wanted: Option<(AskId, TokenAsk)>,
}

/// When the caller is asked for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Asked {
    /// Never: a server that wants one does not let us in, unless one is kept.
    #[default]
    Never,
    /// Once no server waits for it: as long as it takes is fine. Over a transport of the caller's, of which there is one only, at once.
    AtLeisure,
    /// At once, and [`again`](TokenAsk::again) at leisure when it is put off.
    AtOnce,
}

impl Connection {
    /// Says when the caller answers what [`wanted_token`](Connection::wanted_token) asks. A reset keeps it.
    pub fn set_asked_for_token(&mut self, asked: Asked) {
        self.tokens_mut().asked = asked;
    }

    /// Keeps a token, over resets too, which is shown to whoever wants one in the name of the trusted issuer; `None` forgets it. If
    /// the connection waits for one, this is it.
    pub fn keep_token(&mut self, token: Option<&[u8]>) {
        let kept = token.map(|token| Secret::new(token.to_vec()));
        self.tokens_mut().kept = kept.clone();
        if let Some(kept) = kept {
            self.answer_token(Answer::Token(kept));
        }
    }

    /// What token a server wants. While there is such a question the connection waits for its answer, and for nothing else.
    pub fn wanted_token(&self) -> Option<&TokenAsk> {
        let (_, ask) = self.tokens.as_ref()?.wanted.as_ref()?;
        Some(ask)
    }

    /// Gives the token that is wanted, this once.
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
        let tokens = self.tokens.get_or_insert_default();
        let answer = match (&tokens.kept, tokens.asked) {
            (Some(kept), _) => Answer::Token(kept.clone()),
            (None, Asked::Never) => refused(NONE_GIVEN.into()),
            // There is no other transport on which a token that took its time could be shown.
            (None, Asked::AtLeisure) if !ask.again && !self.given => Answer::TokenLater,
            (None, _) => {
                tokens.wanted = Some((id, ask));
                return false;
            }
        };
        self.engine.answer(id, answer);
        true
    }

    /// Something else is asked: nobody wants a token any more.
    pub(super) fn drop_token(&mut self) {
        if let Some(tokens) = &mut self.tokens {
            tokens.wanted = None;
        }
    }

    fn tokens_mut(&mut self) -> &mut Tokens {
        self.tokens.get_or_insert_default()
    }

    fn answer_token(&mut self, answer: Answer) {
        let wanted = self.tokens.as_mut().and_then(|tokens| tokens.wanted.take());
        if let Some((id, _)) = wanted {
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
