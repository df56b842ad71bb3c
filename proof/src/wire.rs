//! HTTP/2 written by hand, right or wrong: frames (RFC 9113) and header blocks without compression (RFC 7541).

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types.
pub mod kind {
    /// Part of a message.
    pub const DATA: u8 = 0;
    /// Opens a stream.
    pub const HEADERS: u8 = 1;
    /// Ends a stream at once.
    pub const RESET: u8 = 3;
    /// What the sender takes.
    pub const SETTINGS: u8 = 4;
    /// Asks for a sign of life.
    pub const PING: u8 = 6;
    /// The connection ends.
    pub const GOAWAY: u8 = 7;
    /// More may be sent.
    pub const WINDOW_UPDATE: u8 = 8;
    /// More of a header block.
    pub const CONTINUATION: u8 = 9;
}

/// Flag of the last frame of a stream.
pub const END_STREAM: u8 = 1;
/// Flag of the last frame of a header block.
pub const END_HEADERS: u8 = 4;
/// Setting: bytes the server may send on a stream before it is asked for more.
pub const INITIAL_WINDOW: u16 = 4;

/// A frame. Lengths beyond 2^24 - 1 are cut, as the format cannot hold them.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).min(0x00ff_ffff);
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A SETTINGS frame.
pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        settings.iter().flat_map(|(id, value)| id.to_be_bytes().into_iter().chain(value.to_be_bytes())).collect();
    frame(kind::SETTINGS, 0, 0, &payload)
}

/// Preface and settings: a whole introduction.
pub fn hello(settings_given: &[(u16, u32)]) -> Vec<u8> {
    [PREFACE, &settings(settings_given)].concat()
}

/// One header that is not to be remembered.
pub fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0x10];
    for text in [name, value] {
        length(text.len(), &mut bytes);
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The header block of a gRPC call of `path` with `more` headers.
pub fn call_headers(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    own.iter().chain(more).flat_map(|(name, value)| header(name, value)).collect()
}

/// A gRPC message in its envelope.
pub fn envelope(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(message);
    bytes
}

/// A whole unary call on `stream`.
pub fn call(stream: u32, path: &str, more: &[(&str, &str)], message: &[u8]) -> Vec<u8> {
    let mut bytes = frame(kind::HEADERS, END_HEADERS, stream, &call_headers(path, more));
    bytes.extend(frame(kind::DATA, END_STREAM, stream, &envelope(message)));
    bytes
}

/// A length with a prefix of seven bits.
fn length(length: usize, bytes: &mut Vec<u8>) {
    let Ok(short @ 0..=126) = u8::try_from(length) else {
        bytes.push(127);
        let mut rest = length - 127;
        while rest >= 128 {
            bytes.push(u8::try_from(rest % 128).unwrap_or(0) | 0x80);
            rest /= 128;
        }
        return bytes.push(u8::try_from(rest).unwrap_or(0));
    };
    bytes.push(short);
}
