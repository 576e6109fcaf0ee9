//! Counts the frames of a server without decoding them: headers are read, payloads are skipped.

/// What is left over between two reads of one connection.
#[derive(Default)]
pub(crate) struct Frames {
    header: [u8; 10],
    header_len: u8,
    payload_left: usize,
    /// The beginning of the payload, as far as it is looked at.
    start: [u8; START],
    start_len: u8,
    is_data: bool,
}

/// How much of a payload is looked at: enough for the type of a `roomful.v1` object.
const START: usize = 24;

impl Frames {
    /// Calls `seen` with the beginning of each whole data frame's payload.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut seen: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            if self.payload_left == 0 && !self.take_header(&mut bytes) {
                return;
            }
            let take = self.payload_left.min(bytes.len());
            let wanted = (START - usize::from(self.start_len)).min(take);
            let filled = usize::from(self.start_len);
            self.start[filled..filled + wanted].copy_from_slice(&bytes[..wanted]);
            self.start_len += wanted as u8;
            bytes = &bytes[take..];
            self.payload_left -= take;
            if self.payload_left == 0 {
                self.header_len = 0;
                if self.is_data {
                    seen(&self.start[..usize::from(self.start_len)]);
                }
            }
        }
    }

    /// Takes a header; `false` if more bytes are needed, or the frame is empty and over.
    fn take_header(&mut self, bytes: &mut &[u8]) -> bool {
        loop {
            let have = usize::from(self.header_len);
            let need = match have {
                0 | 1 => 2,
                _ => match self.header[1] & 0x7f {
                    126 => 4,
                    127 => 10,
                    _ => 2,
                },
            };
            if have >= 2 && have == need {
                break;
            }
            let Some((first, rest)) = bytes.split_first() else {
                return false;
            };
            self.header[have] = *first;
            self.header_len += 1;
            *bytes = rest;
        }
        self.is_data = self.header[0] & 0x0f <= 2;
        self.start_len = 0;
        self.payload_left = match self.header[1] & 0x7f {
            126 => usize::from(u16::from_be_bytes([self.header[2], self.header[3]])),
            127 => u64::from_be_bytes(self.header[2..10].try_into().expect("eight bytes")) as usize,
            short => usize::from(short),
        };
        if self.payload_left == 0 {
            self.header_len = 0;
            return false;
        }
        true
    }
}

/// A masked text frame of a client; the mask is zero, which costs the server the same as any other.
pub(crate) fn text_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
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
