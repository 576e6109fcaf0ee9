//! Fernet (<https://github.com/fernet/spec>), with keys made of secrets as `channels_redis` makes them.
//!
//! ```text
//! base64url( 80 | seconds, 8 bytes | IV, 16 bytes | AES-128-CBC, PKCS7 | HMAC-SHA256 of all before, 32 bytes )
//! ```

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

const VERSION: u8 = 0x80;
const HEAD: usize = 1 + 8 + 16;
const MAC: usize = 32;

/// How far a sender's clock may be ahead of ours, in seconds.
const CLOCK_SKEW: u64 = 60;

/// One key.
pub(super) struct Fernet {
    signing: [u8; 16],
    encryption: [u8; 16],
}

impl Fernet {
    /// The key that `channels_redis` makes of a secret.
    pub(super) fn from_secret(secret: &str) -> Self {
        let key: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let (signing, encryption) = key.split_at(16);
        Self {
            signing: signing.try_into().expect("the first half of 32 bytes"),
            encryption: encryption.try_into().expect("the second half of 32 bytes"),
        }
    }

    /// A token of `body`, made at a time in Unix seconds.
    pub(super) fn seal(&self, body: &[u8], now: u64) -> Vec<u8> {
        let mut iv = [0; 16];
        getrandom::fill(&mut iv).expect("the operating system has random bytes");
        self.seal_with(body, now, iv)
    }

    fn seal_with(&self, body: &[u8], now: u64, iv: [u8; 16]) -> Vec<u8> {
        let mut token = Vec::with_capacity(HEAD + body.len() + 16 + MAC);
        token.push(VERSION);
        token.extend_from_slice(&now.to_be_bytes());
        token.extend_from_slice(&iv);
        let cipher = cbc::Encryptor::<Aes128>::new(&self.encryption.into(), &iv.into());
        token.extend(cipher.encrypt_padded_vec::<Pkcs7>(body));
        let mac = self.mac(&token).finalize().into_bytes();
        token.extend_from_slice(&mac);
        URL_SAFE.encode(token).into_bytes()
    }

    /// The body of a token; `None` where it is not of this key, or is older than `ttl` seconds.
    pub(super) fn open(&self, token: &[u8], now: u64, ttl: Option<u64>) -> Option<Vec<u8>> {
        let token = URL_SAFE.decode(token).ok()?;
        let (signed, mac) = token.split_at_checked(token.len().checked_sub(MAC)?)?;
        let (head, body) = signed.split_at_checked(HEAD)?;
        if head[0] != VERSION {
            return None;
        }
        self.mac(signed).verify_slice(mac).ok()?;
        let made = u64::from_be_bytes(head[1..9].try_into().ok()?);
        if let Some(ttl) = ttl
            && (made.saturating_add(ttl) < now || made > now + CLOCK_SKEW)
        {
            return None;
        }
        let iv: [u8; 16] = head[9..].try_into().ok()?;
        cbc::Decryptor::<Aes128>::new(&self.encryption.into(), &iv.into())
            .decrypt_padded_vec::<Pkcs7>(body)
            .ok()
    }

    fn mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.signing)
            .expect("a key of any length will do")
            .chain_update(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Python's `cryptography` with the key that `channels_redis` makes of `a-test-key`.
    const TOKEN: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD0rL8uab1vSJjbvCsRTw3PpXTxF5ECrz0UUqcW84gSQy2LAx5pDnq-D4V59wW6wtrg==";
    const BODY: &[u8] = b"\x81\xa4type\xa1x";
    const MADE: u64 = 1_700_000_000;

    #[test]
    fn a_token_is_pythons_byte_for_byte() {
        let iv = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let token = Fernet::from_secret("a-test-key").seal_with(BODY, MADE, iv);
        assert_eq!(String::from_utf8(token).unwrap(), TOKEN);
    }

    #[test]
    fn a_token_opens_with_its_key_in_its_time() {
        let (key, other) = (Fernet::from_secret("a-test-key"), Fernet::from_secret("b"));
        let open = |now, ttl| key.open(TOKEN.as_bytes(), now, ttl);
        assert_eq!(open(MADE, Some(70)).as_deref(), Some(BODY));
        assert_eq!(open(MADE + 70, Some(70)).as_deref(), Some(BODY));
        assert_eq!(open(MADE + 71, Some(70)), None);
        assert_eq!(open(MADE - 60, Some(70)).as_deref(), Some(BODY));
        assert_eq!(open(MADE - 61, Some(70)), None);
        assert_eq!(open(u64::MAX, None).as_deref(), Some(BODY));
        assert_eq!(other.open(TOKEN.as_bytes(), MADE, None), None);
    }

    #[test]
    fn what_was_changed_or_cut_is_refused() {
        let key = Fernet::from_secret("a-test-key");
        let token = key.seal(b"body", MADE);
        assert_eq!(key.open(&token, MADE, None).as_deref(), Some(&b"body"[..]));
        for cut in 0..token.len() {
            assert_eq!(key.open(&token[..cut], MADE, None), None, "{cut}");
        }
        for place in 0..token.len() - 2 {
            let mut changed = token.clone();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.open(&changed, MADE, None), None, "{place}");
        }
    }
}
