//! A server that answers what it is asked, as a real one would; how, the fuzzer chooses. Knows the order of messages, runs nothing.

use std::collections::VecDeque;

use pgpoll::wire::frame::frontend_header;

use crate::Bytes;

/// What the client has asked for and was not answered yet.
#[derive(Default)]
pub(crate) struct Server {
    asked: VecDeque<Asked>,
    /// An error was sent: all is skipped up to the next Sync.
    skipping: bool,
    /// Columns of the portal.
    width: u8,
}

struct Asked {
    tag: u8,
    /// What Describe or Close is of: `S` or `P`.
    kind: u8,
    /// Columns of the statement that is bound or described.
    width: u8,
    limited: bool,
}

impl Server {
    /// Hears what the client has sent.
    pub(crate) fn hear(&mut self, mut output: &[u8]) {
        while let Ok(Some(head)) = frontend_header(output) {
            let Some(body) = output.get(5..5 + head.len) else {
                return;
            };
            output = &output[5 + head.len..];
            let name = match head.tag {
                b'B' => body.split(|&byte| byte == 0).nth(1),
                _ => body
                    .get(1..)
                    .and_then(|rest| rest.split(|&byte| byte == 0).next()),
            };
            self.asked.push_back(Asked {
                tag: head.tag,
                kind: body.first().copied().unwrap_or(0),
                width: width(name.unwrap_or_default()),
                limited: body.len() == 5 && body[1..] != [0; 4],
            });
        }
    }

    /// The answer to the next message.
    pub(crate) fn answer(&mut self, bytes: &mut Bytes<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(asked) = self.asked.pop_front() else {
            return out;
        };
        if self.skipping && asked.tag != b'S' {
            return out;
        }
        let how = bytes.next();
        if how < 12 && !matches!(asked.tag, b'H' | b'S' | b'X' | b'd') {
            error(&mut out, how);
            match asked.tag {
                b'Q' => message(&mut out, b'Z', b"E"),
                _ => self.skipping = true,
            }
            return out;
        }
        match asked.tag {
            b'P' => message(&mut out, b'1', b""),
            b'C' => message(&mut out, b'3', b""),
            b'B' => {
                self.width = asked.width;
                message(&mut out, b'2', b"");
            }
            b'D' if asked.kind == b'S' => {
                message(&mut out, b't', &[0, 1, 0, 0, 0, 23]);
                description(&mut out, asked.width);
            }
            b'D' => description(&mut out, self.width),
            b'E' => self.rows(&mut out, asked.limited, bytes),
            b'Q' => {
                for _ in 0..how % 4 {
                    self.width = how >> 4;
                    description(&mut out, self.width);
                    self.rows(&mut out, false, bytes);
                }
                if how % 4 == 0 {
                    message(&mut out, b'I', b"");
                }
                message(&mut out, b'Z', b"I");
            }
            b'c' => {
                message(&mut out, b'C', b"COPY 3\0");
                message(&mut out, b'Z', b"I");
            }
            b'f' => {
                error(&mut out, how);
                message(&mut out, b'Z', b"I");
            }
            b'S' => {
                self.skipping = false;
                if how < 20 {
                    error(&mut out, how);
                }
                message(&mut out, b'Z', &[b"ITE"[usize::from(how % 3)]]);
            }
            _ => {}
        }
        out
    }

    /// The reply to Execute.
    fn rows(&self, out: &mut Vec<u8>, limited: bool, bytes: &mut Bytes<'_>) {
        let how = bytes.next();
        if self.width > 0 {
            for _ in 0..how % 8 {
                let mut body = vec![0, self.width];
                for _ in 0..self.width {
                    value(&mut body, bytes);
                }
                message(out, b'D', &body);
                if how & 0x70 == 0 {
                    message(out, b'N', b"SNOTICE\0\0");
                }
            }
        }
        match how >> 4 {
            0 if limited => message(out, b's', b""),
            1 => message(out, b'I', b""),
            2 => copy_out(out),
            3 => message(out, b'G', &[0, 0, 0]),
            4 => message(out, b'C', b"DISCARD ALL\0"),
            5 => message(out, b'C', &[&[b'X'; 60][..], b"\0"].concat()),
            _ => message(out, b'C', b"SELECT 3\0"),
        }
    }
}

fn width(name: &[u8]) -> u8 {
    match name {
        b"s" => 2,
        b"t" => 0,
        _ => 1,
    }
}

fn value(body: &mut Vec<u8>, bytes: &mut Bytes<'_>) {
    let len = match bytes.next() {
        0..60 => {
            body.extend_from_slice(&[0xFF; 4]);
            return;
        }
        60..250 => usize::from(bytes.next() % 16),
        250..254 => 5000,
        _ => 70_000,
    };
    body.extend_from_slice(&(len as u32).to_be_bytes());
    body.resize(body.len() + len, b'v');
}

fn description(out: &mut Vec<u8>, width: u8) {
    if width == 0 {
        return message(out, b'n', b"");
    }
    let mut body = vec![0, width];
    for _ in 0..width {
        body.extend_from_slice(b"c\0");
        body.extend_from_slice(&[0; 18]);
    }
    message(out, b'T', &body);
}

fn copy_out(out: &mut Vec<u8>) {
    message(out, b'H', &[0, 0, 0]);
    message(out, b'd', b"1\n");
    message(out, b'c', b"");
    message(out, b'C', b"COPY 1\0");
}

fn error(out: &mut Vec<u8>, how: u8) {
    let body: &[u8] = match how {
        0 => b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0",
        1 => b"SERROR\0C26000\0Mwho\0\0",
        _ => b"SERROR\0C22012\0Mno\0\0",
    };
    message(out, b'E', body);
}

fn message(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
}
