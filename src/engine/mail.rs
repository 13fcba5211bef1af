//! What the server sends of its own accord, until the face takes it: notices and notifications. Knows no operations.

use std::collections::{TryReserveError, VecDeque};

use crate::error::ServerError;

/// A notice that the server sent.
pub type Notice = ServerError;

/// A NOTIFY of some session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The process ID of the notifying backend.
    pub pid: u32,
    /// `channel NUL payload NUL`.
    text: Box<[u8]>,
    payload: usize,
}

impl Notification {
    fn new(pid: u32, channel: &[u8], payload: &[u8]) -> Result<Self, TryReserveError> {
        let mut text = Vec::new();
        text.try_reserve_exact(channel.len() + payload.len() + 2)?;
        for part in [channel, b"\0", payload, b"\0"] {
            text.extend_from_slice(part);
        }
        Ok(Self {
            pid,
            text: text.into_boxed_slice(),
            payload: channel.len() + 1,
        })
    }

    /// The channel.
    pub fn channel(&self) -> &[u8] {
        &self.text[..self.payload - 1]
    }

    /// The payload; empty when there was none.
    pub fn payload(&self) -> &[u8] {
        &self.text[self.payload..self.text.len() - 1]
    }

    /// The channel with its NUL.
    pub fn channel_with_nul(&self) -> &[u8] {
        &self.text[..self.payload]
    }

    /// The payload with its NUL.
    pub fn payload_with_nul(&self) -> &[u8] {
        &self.text[self.payload..]
    }
}

/// Notices and notifications that were not taken yet.
///
/// Notifications are never dropped: when they fill their room, the engine stops reading. Notices are, the oldest first: most
/// programs never take them, and must not come to a halt for it.
#[derive(Debug)]
pub(super) struct Mail {
    notices: VecDeque<Notice>,
    notice_bytes: usize,
    notifications: VecDeque<Notification>,
    notification_bytes: usize,
    /// How many notifications were taken.
    taken: u64,
    /// How many came from earlier sessions, before a reset.
    earlier: u64,
    /// Notices that made room for others.
    dropped: u64,
    /// So many bytes of either.
    room: usize,
}

/// What one of them costs beyond its bytes.
const EACH: usize = 64;

impl Mail {
    pub(super) fn new(room: usize) -> Self {
        Self {
            notices: VecDeque::new(),
            notice_bytes: 0,
            notifications: VecDeque::new(),
            notification_bytes: 0,
            taken: 0,
            earlier: 0,
            dropped: 0,
            room,
        }
    }

    /// Whether more may be received.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.notification_bytes < self.room
    }

    /// Keeps a notice; the oldest make room for it.
    pub(super) fn add_notice(&mut self, notice: Notice) -> Result<(), TryReserveError> {
        self.notices.try_reserve(1)?;
        self.notice_bytes += notice.as_bytes().len() + EACH;
        self.notices.push_back(notice);
        while self.notice_bytes > self.room && self.notices.len() > 1 {
            self.take_notice();
            self.dropped += 1;
        }
        Ok(())
    }

    /// How many notices were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Keeps a notification.
    pub(super) fn add_notification(
        &mut self,
        pid: u32,
        channel: &[u8],
        payload: &[u8],
    ) -> Result<(), TryReserveError> {
        let notification = Notification::new(pid, channel, payload)?;
        self.notifications.try_reserve(1)?;
        self.notification_bytes += notification.text.len() + EACH;
        self.notifications.push_back(notification);
        Ok(())
    }

    /// The oldest notice.
    pub(super) fn take_notice(&mut self) -> Option<Notice> {
        let notice = self.notices.pop_front()?;
        self.notice_bytes -= notice.as_bytes().len() + EACH;
        Some(notice)
    }

    /// The oldest notification.
    pub(super) fn take_notification(&mut self) -> Option<Notification> {
        let notification = self.notifications.pop_front()?;
        self.notification_bytes -= notification.text.len() + EACH;
        self.taken += 1;
        Some(notification)
    }

    /// Puts a notification back that was taken and could not be handed out.
    pub(super) fn put_back(&mut self, notification: Notification) {
        self.notification_bytes += notification.text.len() + EACH;
        self.taken -= 1;
        self.notifications.push_front(notification);
    }

    /// What has come so far belongs to a session that is over; another one begins.
    pub(super) fn begin_session(&mut self) {
        self.earlier = self.taken + self.notifications.len() as u64;
    }

    /// Drops the notifications of this session: they came from a server that another one is tried instead of.
    pub(super) fn forget_notifications(&mut self) {
        let kept = self.earlier.saturating_sub(self.taken) as usize;
        while self.notifications.len() > kept {
            let Some(dropped) = self.notifications.pop_back() else {
                return;
            };
            self.notification_bytes -= dropped.text.len() + EACH;
        }
    }

    /// Whether a notice, and whether a notification, is there.
    #[inline]
    pub(super) fn waits(&self) -> (bool, bool) {
        (!self.notices.is_empty(), !self.notifications.is_empty())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn notice(text: &str) -> Notice {
        let body = [b"M", text.as_bytes(), b"\0\0"].concat();
        ServerError::new(&body).unwrap()
    }

    #[test]
    fn notices_make_room_for_one_another() {
        let mut mail = Mail::new(1000);
        for number in 0..100 {
            mail.add_notice(notice(&number.to_string())).unwrap();
            assert!(mail.notice_bytes <= 1000 && mail.has_room());
        }
        let kept: Vec<Notice> = std::iter::from_fn(|| mail.take_notice()).collect();
        assert!(kept.len() > 5 && kept.len() < 100);
        assert_eq!(kept.last().unwrap().message(), b"99");
        assert_eq!(mail.notice_bytes, 0);
        assert_eq!(mail.dropped(), 100 - kept.len() as u64);
        // One that is larger than all the room is kept all the same.
        mail.add_notice(notice(&"x".repeat(5000))).unwrap();
        assert_eq!(mail.waits(), (true, false));
    }

    #[test]
    fn notifications_fill_their_room_and_are_never_dropped() {
        let mut mail = Mail::new(1000);
        let mut count = 0;
        while mail.has_room() {
            mail.add_notification(7, b"channel", b"payload").unwrap();
            count += 1;
        }
        assert_eq!(mail.waits(), (false, true));
        assert_eq!(mail.take_notification().unwrap().channel(), b"channel");
        assert!(mail.has_room());
        assert_eq!(
            std::iter::from_fn(|| mail.take_notification()).count(),
            count - 1
        );
        assert_eq!(mail.notification_bytes, 0);
    }

    #[test]
    fn notifications_of_an_earlier_session_outlive_an_attempt_to_connect() {
        let mut mail = Mail::new(1000);
        for payload in [b"1", b"2", b"3"] {
            mail.add_notification(7, b"channel", payload).unwrap();
        }
        mail.begin_session();
        let first = mail.take_notification().unwrap();
        mail.put_back(first);
        mail.add_notification(8, b"channel", b"of no session")
            .unwrap();
        mail.forget_notifications();
        let payloads = std::iter::from_fn(|| mail.take_notification());
        let payloads: Vec<_> = payloads.map(|n| n.payload().to_vec()).collect();
        assert_eq!(payloads, [b"1", b"2", b"3"]);
        assert_eq!(mail.notification_bytes, 0);
        mail.add_notification(8, b"channel", b"payload").unwrap();
        mail.forget_notifications();
        assert_eq!(mail.waits(), (false, false));
    }
}
