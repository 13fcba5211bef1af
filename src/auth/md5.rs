//! The md5 password method: what is stored, and what answers AuthenticationMD5Password. Knows hashes, not messages.

use md5::{Digest, Md5};
use zeroize::{Zeroize, Zeroizing};

use super::wiping;

/// `md5` and 32 hexadecimal digits, wiped when dropped. On the heap, so that moving it leaves nothing behind.
pub type Hash = Box<Zeroizing<[u8; 35]>>;

/// What PasswordMessage answers to AuthenticationMD5Password: the hash of the stored hash and the server's `salt`.
pub fn response(user: &[u8], password: &[u8], salt: [u8; 4]) -> Hash {
    let stored = hash(password, user);
    let [_, _, _, digits @ ..] = &**stored;
    salted(digits, &salt)
}

/// What a server with `password_encryption = md5` stores for a role (`PQencryptPassword`).
pub fn hash(password: &[u8], user: &[u8]) -> Hash {
    salted(password, user)
}

fn salted(secret: &[u8], salt: &[u8]) -> Hash {
    wiping(|| digits(secret, salt))
}

fn digits(secret: &[u8], salt: &[u8]) -> Hash {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digest = [0; 16];
    Md5::new()
        .chain_update(secret)
        .chain_update(salt)
        .finalize_into((&mut digest).into());
    let mut text = Box::new(Zeroizing::new(*b"md5________________________________"));
    let (pairs, _) = text[3..].as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(&digest) {
        *pair = [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]);
    }
    digest.zeroize();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_server_does() {
        // select 'md5' || md5('secret' || 'alice'), then md5(that without 'md5' || '\x01020304')
        assert_eq!(
            &**hash(b"secret", b"alice"),
            b"md54a0a68b43b6cd5cf266fa02f196e2371"
        );
        assert_eq!(
            &**response(b"alice", b"secret", [1, 2, 3, 4]),
            b"md598a0412b9c31436fc53776e863350083"
        );
    }
}
