//! Counts the frames of a server without decoding them: headers are read, payloads are skipped but for their beginning.

/// How much of a message is looked at: enough for the type of a `roomful.v1` object.
const START: usize = 24;
/// How much of a ping is kept: all of it, because it has to be said back.
const CONTROL: usize = 125;

/// Where one connection's reading stands between two reads.
pub(crate) struct Frames {
    header: [u8; 10],
    header_len: usize,
    in_payload: bool,
    payload_len: usize,
    payload_left: usize,
    start: [u8; CONTROL],
    start_len: usize,
}

/// A whole frame; the beginning of its payload is [`Frames::start`] until the next one is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) len: usize,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Message,
    Ping,
    Close,
    Other,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            header: [0; 10],
            header_len: 0,
            in_payload: false,
            payload_len: 0,
            payload_left: 0,
            start: [0; CONTROL],
            start_len: 0,
        }
    }
}

impl Frames {
    /// Takes bytes up to the end of a frame; `None` if there are too few.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        if !self.in_payload {
            self.take_header(bytes)?;
        }
        let kept = if self.header[0] & 0x08 == 0 {
            START
        } else {
            CONTROL
        };
        let (taken, rest) = bytes.split_at(self.payload_left.min(bytes.len()));
        let looked_at = taken.len().min(kept - self.start_len);
        self.start[self.start_len..][..looked_at].copy_from_slice(&taken[..looked_at]);
        self.start_len += looked_at;
        self.payload_left -= taken.len();
        *bytes = rest;
        if self.payload_left > 0 {
            return None;
        }
        self.in_payload = false;
        self.header_len = 0;
        let kind = match self.header[0] & 0x8f {
            // The last frame of a message.
            0x80..=0x82 => Kind::Message,
            0x88 => Kind::Close,
            0x89 => Kind::Ping,
            _ => Kind::Other,
        };
        Some(Frame {
            kind,
            len: self.payload_len,
        })
    }

    /// How the payload of the last frame began.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start[..self.start_len]
    }

    fn take_header(&mut self, bytes: &mut &[u8]) -> Option<()> {
        loop {
            let need = match (self.header_len, self.header[1] & 0x7f) {
                (0 | 1, _) => 2,
                (_, 126) => 4,
                (_, 127) => 10,
                _ => 2,
            };
            if self.header_len >= need {
                break;
            }
            let (first, rest) = bytes.split_first()?;
            self.header[self.header_len] = *first;
            self.header_len += 1;
            *bytes = rest;
        }
        self.payload_len = match self.header[1] & 0x7f {
            126 => usize::from(u16::from_be_bytes([self.header[2], self.header[3]])),
            127 => u64::from_be_bytes(self.header[2..10].try_into().expect("eight bytes")) as usize,
            short => usize::from(short),
        };
        (self.payload_left, self.start_len, self.in_payload) = (self.payload_len, 0, true);
        Some(())
    }
}

/// A masked text frame of a client; the mask is zero, which costs the server the same as any other.
pub(crate) fn text_frame(payload: &[u8]) -> Vec<u8> {
    frame(0x81, payload)
}

/// The answer to a ping.
pub(crate) fn pong_frame(payload: &[u8]) -> Vec<u8> {
    frame(0x8a, payload)
}

/// Says goodbye with code 1000.
pub(crate) fn close_frame() -> Vec<u8> {
    frame(0x88, &1000_u16.to_be_bytes())
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        0..126 => frame.push(0x80 | payload.len() as u8),
        126..65536 => {
            frame.push(0x80 | 126);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], at_once: usize) -> Vec<(Kind, usize, Vec<u8>)> {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for mut piece in bytes.chunks(at_once) {
            while let Some(frame) = frames.next(&mut piece) {
                found.push((frame.kind, frame.len, frames.start().to_vec()));
            }
        }
        found
    }

    #[test]
    fn frames_are_counted_however_the_bytes_come() {
        let long = vec![b'x'; 300];
        let mut bytes = vec![
            0x81, 0, 0x81, 2, b'h', b'i', 0x89, 1, b'p', 0x82, 126, 1, 44,
        ];
        bytes.extend(&long);
        bytes.extend([0x88, 0]);
        let whole = all(&bytes, bytes.len());
        assert_eq!(whole.len(), 5);
        assert!(whole[0].0 == Kind::Message && whole[0].1 == 0);
        assert!(whole[2].0 == Kind::Ping && whole[2].2 == b"p");
        assert!(whole[3].1 == 300 && whole[3].2 == long[..START]);
        assert!(whole[4].0 == Kind::Close);
        for at_once in [1, 2, 3, 7] {
            assert!(all(&bytes, at_once) == whole);
        }
    }
}
