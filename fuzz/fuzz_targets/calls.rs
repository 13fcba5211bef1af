//! The C interface over bytes that the caller carries, called in any order, by a server that says anything: tokens, requests to cancel,
//! COPY, results with all that reads them.
#![no_main]

#[path = "../../tests/memory/mod.rs"]
mod memory;

use std::ffi::{CStr, CString, c_char, c_void};
use std::{mem, ptr};

use libfuzzer_sys::fuzz_target;

use pgpoll_capi::*;

const CONNINFO: [&CStr; 7] = [
    c"user=u sslmode=disable",
    c"user=u sslmode=disable password=p",
    c"user=u sslmode=disable oauth_issuer=https://i oauth_client_id=c",
    c"user=u sslmode=disable oauth_issuer=https://i/.well-known/openid-configuration oauth_client_id=c",
    c"user=u sslmode=prefer",
    c"user=u sslmode=require sslnegotiation=direct",
    c"user=u sslmode=disable replication=database",
];

const CHALLENGE: &[u8] = b"\0\0\0\x0b{\"status\":\"invalid_token\",\"scope\":\"a b\",\"openid-configuration\":\"https://i/.well-known/openid-configuration\"}";

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let conninfo = CONNINFO[usize::from(bytes.next()) % CONNINFO.len()];
    // SAFETY: a C string.
    let conn = unsafe { conn_open_stream(conninfo.as_ptr()) };
    let mut run = Run {
        bytes,
        conn,
        cancels: Vec::new(),
        operations: 0,
        done: 0,
    };
    while !run.bytes.0.is_empty() {
        // SAFETY: what is called is open, and what is passed is as long as it says.
        unsafe { run.step() };
    }
    // SAFETY: the same.
    unsafe { run.end() };
});

/// What is left of the input; zeroes behind its end.
struct Bytes<'d>(&'d [u8]);

impl<'d> Bytes<'d> {
    fn next(&mut self) -> u8 {
        let first = self.0.split_off_first();
        first.copied().unwrap_or(0)
    }

    fn short(&mut self) -> &'d [u8] {
        let len = usize::from(self.next() % 64).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    /// A C string, or NULL.
    fn text(&mut self) -> Option<CString> {
        let text: Vec<u8> = self
            .short()
            .iter()
            .copied()
            .take_while(|&byte| byte != 0)
            .collect();
        (text != b"NULL").then(|| CString::new(text).expect("no NUL"))
    }
}

struct Run<'d> {
    bytes: Bytes<'d>,
    conn: *mut Conn,
    cancels: Vec<*mut ConnCancel>,
    operations: u64,
    done: u64,
}

fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}

unsafe fn length(text: *const c_char) -> usize {
    match text.is_null() {
        true => 0,
        // SAFETY: a C string of the library's.
        false => unsafe { CStr::from_ptr(text) }.to_bytes().len(),
    }
}

impl Run<'_> {
    unsafe fn step(&mut self) {
        // SAFETY: the caller's promise, for all that follows.
        unsafe {
            match self.bytes.next() % 24 {
                0..5 => self.say(),
                5 | 6 => {
                    let raw = self.bytes.short();
                    self.feed(raw);
                }
                7 | 8 => self.poll(),
                9 => self.carry(),
                10 => self.token(),
                11 | 12 => self.cancel(),
                13 | 14 => self.start(),
                15 | 16 => self.take(),
                17 => self.copy(),
                18 => self.look(),
                19 => self.mail(),
                _ => self.rare(),
            }
        }
    }

    /// The server says something that may have its place.
    unsafe fn say(&mut self) {
        let mut out = Vec::new();
        match self.bytes.next() % 10 {
            0 | 1 => out = memory::welcome(),
            2 => message(&mut out, b'R', b"\0\0\0\x0aOAUTHBEARER\0\0"),
            3 => message(&mut out, b'R', CHALLENGE),
            4 => {
                let mut body = vec![0, 0, 0, self.bytes.next() % 14];
                body.extend_from_slice(self.bytes.short());
                message(&mut out, b'R', &body);
            }
            5 => self.rows(&mut out),
            6 => message(&mut out, b'Z', b"I"),
            7 => message(
                &mut out,
                b"GHW"[usize::from(self.bytes.next() % 3)],
                &[0, 0, 1, 0, 0],
            ),
            8 => message(&mut out, b'C', b"SELECT 1\0"),
            _ => {
                let tag = b"RSKZTDCEN12n3tsIAGHWdcvV"[usize::from(self.bytes.next() % 24)];
                message(&mut out, tag, self.bytes.short());
            }
        }
        // SAFETY: as for `step`.
        unsafe {
            self.feed(&out);
            self.poll();
        }
    }

    /// Columns of any type with rows of any values.
    fn rows(&mut self, out: &mut Vec<u8>) {
        let columns = self.bytes.next() % 4;
        let mut body = vec![0, columns];
        for _ in 0..columns {
            let oid = [16, 17, 20, 23, 25, 114, 0, 3802][usize::from(self.bytes.next() % 8)];
            body.extend_from_slice(b"c\0\0\0\0\0\0\0");
            body.extend_from_slice(&u32::to_be_bytes(oid));
            body.extend_from_slice(&[0, 4, 0, 0, 0, 0, 0, self.bytes.next() % 2]);
        }
        message(out, b'T', &body);
        for _ in 0..self.bytes.next() % 6 {
            let mut body = vec![0, columns];
            for _ in 0..columns {
                let value = self.bytes.short();
                if value.len() == 63 {
                    body.extend_from_slice(&[0xFF; 4]);
                    continue;
                }
                // Rows that are too wide for the index, now and then.
                let value = value.repeat(if value.len() == 62 { 1100 } else { 1 });
                body.extend_from_slice(&(value.len() as u32).to_be_bytes());
                body.extend_from_slice(&value);
            }
            message(out, b'D', &body);
        }
    }

    unsafe fn feed(&mut self, bytes: &[u8]) {
        // SAFETY: as for `step`.
        let taken = unsafe { conn_feed(self.conn, bytes.as_ptr().cast(), bytes.len()) };
        assert!(taken <= bytes.len());
    }

    unsafe fn poll(&mut self) {
        // SAFETY: as for `step`.
        unsafe {
            let bits = conn_poll(self.conn);
            assert_eq!(bits & (CONN_MISUSE | CONN_SOCKET_CHANGED), 0);
            let wanted = bits & CONN_WANT_TOKEN != 0;
            assert_eq!(wanted, !conn_token_discovery(self.conn).is_null());
            assert!(wanted || conn_token_scope(self.conn).is_null());
            let over = CONN_FAILED | CONN_WANT_TOKEN;
            assert!(bits & over != over, "what is over wants nothing");
            if bits & CONN_FAILED != 0 {
                let error = conn_error(self.conn);
                assert!(!error.is_null());
                let said = CStr::from_ptr(conn_error_message(error)).to_string_lossy();
                assert!(!said.contains("internal error"), "{said}");
            }
        }
    }

    unsafe fn carry(&mut self) {
        let most = usize::from(self.bytes.next()) * 8;
        let mut room = vec![0_u8; most];
        // SAFETY: as for `step`.
        let count = unsafe { conn_take_output(self.conn, room.as_mut_ptr().cast(), most) };
        assert!(count <= most);
    }

    unsafe fn token(&mut self) {
        // SAFETY: as for `step`.
        unsafe {
            match self.bytes.next() % 6 {
                0 => conn_set_ask_token(self.conn, self.bytes.next().into()),
                1 => {
                    let why = self.bytes.text();
                    conn_refuse_token(self.conn, pointer(why.as_ref()));
                }
                2 => {
                    length(conn_token_discovery(self.conn));
                    length(conn_token_scope(self.conn));
                }
                3 => assert_eq!(conn_give_token(self.conn, c"a.token==".as_ptr()), 1),
                _ => {
                    let token = self.bytes.text();
                    let taken = conn_give_token(self.conn, pointer(token.as_ref())) == 1;
                    let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
                    let plain = |token: CString| token.as_bytes().iter().all(is_plain);
                    assert!(!taken || token.is_none_or(plain));
                }
            }
        }
    }

    unsafe fn cancel(&mut self) {
        let (what, which) = (self.bytes.next(), usize::from(self.bytes.next()));
        let mut room = [0_u8; 300];
        // SAFETY: as for `step`.
        unsafe {
            let cancel = match self.cancels.get(which % 4) {
                Some(&cancel) => cancel,
                None => {
                    let cancel = conn_cancel_open(self.conn);
                    assert_eq!(
                        cancel.is_null(),
                        !conn_error(self.conn).is_null() && cancel.is_null()
                    );
                    self.cancels.extend((!cancel.is_null()).then_some(cancel));
                    cancel
                }
            };
            if cancel.is_null() {
                return;
            }
            match what % 8 {
                0 => conn_cancel_feed_eof(cancel),
                1 => {
                    let raw = self.bytes.short();
                    let taken = conn_cancel_feed(cancel, raw.as_ptr().cast(), raw.len());
                    assert!(taken <= raw.len());
                }
                2 | 3 => {
                    let most = usize::from(self.bytes.next());
                    conn_cancel_take_output(cancel, room.as_mut_ptr().cast(), most);
                }
                4 => {
                    self.cancels.retain(|&other| other != cancel);
                    conn_cancel_close(cancel);
                }
                _ => {
                    let bits = conn_cancel_poll(cancel);
                    assert_eq!(conn_cancel_socket(cancel), -1);
                    let over = bits & (CONN_IDLE | CONN_FAILED) != 0;
                    assert_eq!(conn_cancel_deadline_ms(cancel) < 0, over);
                    assert_eq!(
                        bits & CONN_FAILED != 0,
                        !conn_cancel_error(cancel).is_null()
                    );
                    if bits & CONN_FAILED != 0 {
                        let left = conn_cancel_take_output(cancel, room.as_mut_ptr().cast(), 300);
                        assert_eq!(left, 0, "the server is not told after all");
                    }
                }
            }
        }
    }

    unsafe fn start(&mut self) {
        let flags = u32::from(self.bytes.next() & 3);
        let sql = self.bytes.text();
        let sql = pointer(sql.as_ref());
        // SAFETY: as for `step`; a value for each parameter.
        unsafe {
            let started = match self.bytes.next() % 8 {
                0..4 => conn_start_query(self.conn, sql),
                4 => conn_start_copy(self.conn, sql),
                5 => conn_sync(self.conn),
                6 => conn_start_describe_statement(self.conn, sql, flags),
                _ => conn_start_query_params(
                    self.conn,
                    sql,
                    1,
                    ptr::null(),
                    &raw const sql,
                    ptr::null(),
                    ptr::null(),
                    1,
                    0,
                    flags,
                ),
            };
            self.operations += u64::from(started != 0);
        }
    }

    unsafe fn take(&mut self) {
        // SAFETY: as for `step`; zeroes are an item.
        unsafe {
            let mut item: ConnItem = mem::zeroed();
            while conn_get_result(self.conn, &raw mut item) == 1 {
                self.done += u64::from(item.kind == CONN_ITEM_DONE);
                conn_error_free(item.error);
                if !item.result.is_null() {
                    self.read(item.result);
                }
            }
        }
    }

    /// All cells, one by one, at once, and by Arrow.
    unsafe fn read(&mut self, result: *mut ConnResult) {
        let how = self.bytes.next();
        // SAFETY: as for `step`; there is room for all cells.
        unsafe {
            let (rows, columns) = (conn_result_rows(result), conn_result_columns(result));
            let mut values = vec![ptr::null(); rows * columns];
            let mut lengths = vec![0; rows * columns];
            let first = usize::from(how & 3);
            let filled = conn_result_cells(
                result,
                first,
                rows,
                values.as_mut_ptr(),
                lengths.as_mut_ptr(),
            );
            assert!(filled <= rows);
            for row in 0..filled {
                for column in 0..columns {
                    let at = row * columns + column;
                    let (row, value) = (first + row, values[at]);
                    assert_eq!(conn_result_value(result, row, column), value);
                    assert_eq!(conn_result_length(result, row, column), lengths[at]);
                    assert_eq!(
                        conn_result_is_null(result, row, column) == 1,
                        value.is_null()
                    );
                    if !value.is_null() {
                        assert_eq!(*value.add(lengths[at]), 0, "a NUL follows");
                    }
                }
            }
            assert!(conn_result_value(result, rows, 0).is_null());
            let (mut schema, mut array): (ArrowSchema, ArrowArray) = (mem::zeroed(), mem::zeroed());
            if conn_result_export_arrow(
                result,
                (how >> 2 & 3).into(),
                &raw mut schema,
                &raw mut array,
            ) == 1
            {
                let length = array.length as usize;
                assert_eq!((length, array.n_children as usize), (rows, columns));
                if let Some(release) = schema.release {
                    release(&raw mut schema);
                }
                if how & 16 == 0 {
                    conn_result_free(result);
                }
                if let Some(release) = array.release {
                    release(&raw mut array);
                }
                if how & 16 == 0 {
                    return;
                }
            }
            conn_result_free(result);
        }
    }

    unsafe fn copy(&mut self) {
        let how = self.bytes.next();
        let piece = self.bytes.short();
        // SAFETY: as for `step`.
        unsafe {
            match how % 4 {
                0 => {
                    conn_copy_end(self.conn, ptr::null());
                }
                1 => {
                    conn_copy_put(self.conn, piece.as_ptr().cast(), piece.len());
                }
                _ => {
                    let mut messages: [ConnBytes; 8] = mem::zeroed();
                    let count = conn_copy_get(self.conn, messages.as_mut_ptr(), 8);
                    for message in &messages[..count] {
                        let bytes =
                            std::slice::from_raw_parts(message.data.cast::<u8>(), message.length);
                        assert_eq!(bytes.iter().count(), message.length);
                    }
                }
            }
        }
    }

    /// Asks for all that is known.
    unsafe fn look(&mut self) {
        let conn = self.conn;
        // SAFETY: as for `step`.
        unsafe {
            for text in [
                conn_host(conn),
                conn_port(conn),
                conn_user(conn),
                conn_database(conn),
                conn_parameter(conn, c"client_encoding".as_ptr()),
            ] {
                length(text);
            }
            let line = conn_inspect(conn);
            length(line);
            conn_free_string(line);
            let mut state: ConnState = mem::zeroed();
            conn_state(conn, &raw mut state);
            assert_eq!(state.socket, -1);
            conn_status(conn);
            conn_server_version(conn);
        }
    }

    unsafe fn mail(&mut self) {
        // SAFETY: as for `step`.
        unsafe {
            loop {
                let notice = conn_get_notice(self.conn);
                if notice.is_null() {
                    break;
                }
                length(conn_error_message(notice));
                length(conn_error_text(notice));
                conn_error_free(notice);
            }
            loop {
                let notification = conn_get_notification(self.conn);
                if notification.is_null() {
                    break;
                }
                length(conn_notification_channel(notification));
                length(conn_notification_payload(notification));
                conn_notification_free(notification);
            }
        }
    }

    unsafe fn rare(&mut self) {
        let none = ptr::null::<c_void>();
        // SAFETY: as for `step`; NULL is refused.
        unsafe {
            match self.bytes.next() {
                0 => conn_feed_eof(self.conn),
                1 => {
                    // What was under way is not heard of any more.
                    conn_reset(self.conn);
                    (self.operations, self.done) = (0, 0);
                }
                2 => assert_eq!(conn_feed(self.conn, none, 5), 0),
                3 => {
                    conn_abandon(self.conn, self.bytes.next().into());
                }
                4 => conn_set_batch(self.conn, self.bytes.next().into(), 0),
                5 => {
                    let room = usize::from(self.bytes.next());
                    assert_eq!(conn_take_output(self.conn, ptr::null_mut(), room), 0);
                }
                6 => {
                    let started = conn_start_shutdown(self.conn, self.bytes.next().into());
                    self.operations += u64::from(started != 0);
                }
                7 => {
                    conn_continue(self.conn, self.bytes.next().into());
                }
                8 => {
                    conn_check(self.conn);
                }
                9 => {
                    conn_wait(self.conn, 0);
                }
                _ => self.poll(),
            }
        }
    }

    /// The transport ends, and with it the connection: each operation is accounted for.
    unsafe fn end(mut self) {
        // SAFETY: as for `step`.
        unsafe {
            for turn in 0.. {
                assert!(turn < 1000, "no end");
                conn_refuse_token(self.conn, ptr::null());
                conn_feed_eof(self.conn);
                self.poll();
                self.mail();
                let mut message: ConnBytes = mem::zeroed();
                while conn_copy_get(self.conn, &raw mut message, 1) > 0 {}
                self.take();
                if conn_poll(self.conn) & CONN_FAILED != 0 {
                    break;
                }
            }
            assert_eq!(self.operations, self.done);
            for cancel in self.cancels.drain(..) {
                conn_cancel_close(cancel);
            }
            conn_close(self.conn);
        }
    }
}

fn message(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
}
