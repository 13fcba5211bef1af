//! Prints each message of the protocol, both directions, as libpq's trace does. Knows layouts, not meanings.

use super::Trace;
use super::line::Line;
use crate::wire::protocol;

impl Trace {
    /// The line of a message to the server. `response` names what a message of type `p` is.
    pub(super) fn frontend(&mut self, tag: u8, body: &[u8], response: &str) {
        if !self.has_room(body.len()) {
            return;
        }
        let regress = self.flags & Self::REGRESS_MODE != 0;
        self.begin();
        let mut line = Line::new(&mut self.lines, body);
        line.format(format_args!("F\t{}\t", body.len() + 4));
        match tag {
            b'B' => {
                line.fields("Bind");
                line.string(false);
                line.string(false);
                line.list(|line| {
                    line.int16();
                });
                line.list(|line| line.value(false));
                line.list(|line| {
                    line.int16();
                });
            }
            b'C' => target(&mut line, "Close"),
            b'D' => target(&mut line, "Describe"),
            b'E' => {
                line.fields("Execute");
                line.string(false);
                line.int32(false);
            }
            b'F' => {
                line.fields("FunctionCall");
                line.int32(regress);
                line.list(|line| {
                    line.int16();
                });
                line.list(|line| line.value(false));
                line.int16();
            }
            b'P' => {
                line.fields("Parse");
                line.string(false);
                line.string(false);
                line.list(|line| {
                    line.int32(regress);
                });
            }
            b'Q' => {
                line.fields("Query");
                line.string(false);
            }
            b'f' => {
                line.fields("CopyFail");
                line.string(false);
            }
            b'p' => answer(&mut line, response),
            b'H' => line.name("Flush"),
            b'S' => line.name("Sync"),
            b'X' => line.name("Terminate"),
            _ => shared(&mut line, tag, regress),
        }
        line.end();
    }

    /// The line of a message from the server.
    pub(super) fn backend(&mut self, tag: u8, body: &[u8]) {
        if !self.has_room(body.len()) {
            return;
        }
        let regress = self.flags & Self::REGRESS_MODE != 0;
        self.begin();
        let mut line = Line::new(&mut self.lines, body);
        if regress && matches!(tag, b'E' | b'N') {
            line.name("B\tNN\t");
        } else {
            line.format(format_args!("B\t{}\t", body.len() + 4));
        }
        match tag {
            b'1' => line.name("ParseComplete"),
            b'2' => line.name("BindComplete"),
            b'3' => line.name("CloseComplete"),
            b'I' => line.name("EmptyQueryResponse"),
            b'n' => line.name("NoData"),
            b's' => line.name("PortalSuspended"),
            b'A' => {
                line.fields("NotificationResponse");
                line.int32(regress);
                line.string(false);
                line.string(false);
            }
            b'C' => {
                line.fields("CommandComplete");
                line.string(false);
            }
            b'D' => {
                line.fields("DataRow");
                line.list(|line| line.value(false));
            }
            b'E' => report(&mut line, "ErrorResponse", regress),
            b'N' => report(&mut line, "NoticeResponse", regress),
            b'G' => copy(&mut line, "CopyInResponse"),
            b'H' => copy(&mut line, "CopyOutResponse"),
            b'W' => {
                line.fields("CopyBothResponse");
                line.byte1();
                while line.has_more() {
                    line.int16();
                }
            }
            b'K' => {
                line.fields("BackendKeyData");
                line.int32(regress);
                line.remainder(true);
            }
            b'R' => authentication(&mut line, regress),
            b'S' => {
                line.fields("ParameterStatus");
                line.string(false);
                line.string(false);
            }
            b't' => {
                line.fields("ParameterDescription");
                line.list(|line| {
                    line.int32(regress);
                });
            }
            b'T' => {
                line.fields("RowDescription");
                line.list(|line| {
                    line.string(false);
                    line.int32(regress);
                    line.int16();
                    line.int32(regress);
                    line.int16();
                    line.int32(false);
                    line.int16();
                });
            }
            b'v' => {
                line.fields("NegotiateProtocolVersion");
                line.int32(false);
                for _ in 0..line.int32(false) {
                    if !line.has_more() {
                        break;
                    }
                    line.string(false);
                }
            }
            b'V' => {
                line.fields("FunctionCallResponse");
                line.value(false);
            }
            b'Z' => {
                line.fields("ReadyForQuery");
                line.byte1();
            }
            _ => shared(&mut line, tag, regress),
        }
        line.end();
    }

    /// The line of a packet without a type byte: startup, or a request in its place.
    pub(super) fn packet(&mut self, body: &[u8]) {
        if !self.has_room(body.len()) {
            return;
        }
        let regress = self.flags & Self::REGRESS_MODE != 0;
        self.begin();
        let mut line = Line::new(&mut self.lines, body);
        line.format(format_args!("F\t{}\t", body.len() + 4));
        let code = body
            .first_chunk()
            .map_or(0, |code| i32::from_be_bytes(*code));
        line.fields(match code {
            protocol::CANCEL_REQUEST => "CancelRequest",
            protocol::SSL_REQUEST => "SSLRequest",
            protocol::GSSENC_REQUEST => "GSSENCRequest",
            _ => "StartupMessage",
        });
        line.int16();
        line.int16();
        match code {
            protocol::CANCEL_REQUEST => {
                line.int32(regress);
                line.remainder(true);
            }
            protocol::SSL_REQUEST | protocol::GSSENC_REQUEST => {}
            _ => {
                while line.has_more() && line.peek() != 0 {
                    line.string(false);
                    line.string(false);
                }
                line.discard(1);
            }
        }
        line.end();
    }
}

/// The messages that look the same in both directions.
fn shared(line: &mut Line<'_>, tag: u8, regress: bool) {
    match tag {
        b'd' => {
            line.fields("CopyData");
            line.remainder(regress);
        }
        b'c' => line.name("CopyDone"),
        _ => line.format(format_args!("Unknown message: {tag:02x}")),
    }
}

fn target(line: &mut Line<'_>, name: &str) {
    line.fields(name);
    line.byte1();
    line.string(false);
}

fn copy(line: &mut Line<'_>, name: &str) {
    line.fields(name);
    line.byte1();
    line.list(|line| {
        line.int16();
    });
}

fn report(line: &mut Line<'_>, name: &str, regress: bool) {
    line.fields(name);
    loop {
        let field = line.byte1();
        if field == 0 {
            return;
        }
        line.string(regress && matches!(field, b'F' | b'L' | b'R'));
    }
}

/// What answers an authentication request is hidden always: it is the password, or as good as it.
fn answer(line: &mut Line<'_>, name: &str) {
    match name {
        "PasswordMessage" => {
            line.fields(name);
            line.string(true);
        }
        "SASLInitialResponse" => {
            line.fields(name);
            line.string(false);
            line.value(true);
        }
        "SASLResponse" | "GSSResponse" => {
            line.fields(name);
            line.remainder(true);
        }
        _ => line.name(name),
    }
}

fn authentication(line: &mut Line<'_>, regress: bool) {
    match line.code() {
        0 => line.name("AuthenticationOk"),
        3 => line.name("AuthenticationCleartextPassword"),
        5 => {
            line.name("AuthenticationMD5Password");
            // The salt; libpq does not print it, and complains that it did not.
            line.discard(4);
        }
        7 => line.name("AuthenticationGSS"),
        8 => {
            line.fields("AuthenticationGSSContinue");
            line.remainder(regress);
        }
        9 => line.name("AuthenticationSSPI"),
        10 => {
            line.fields("AuthenticationSASL");
            while line.has_more() && line.peek() != 0 {
                line.string(false);
            }
            line.string(false);
        }
        11 => {
            line.fields("AuthenticationSASLContinue");
            line.remainder(regress);
        }
        12 => {
            line.fields("AuthenticationSASLFinal");
            line.remainder(regress);
        }
        code => line.format(format_args!("Unknown authentication message {code}")),
    }
}
