//! Several messages in one input.

/// What stands between two words: a byte that is in no UTF-8, and so in no SCRAM message that is read.
const SEPARATOR: u8 = 0xfe;

/// What stands for a nonce that is different in every exchange.
pub(crate) const NONCE: &[u8] = b"$NONCE";

/// The words of an input, in order; empty ones when there are no more.
pub(crate) struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn next(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| *byte == SEPARATOR);
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        word
    }

    /// The next word, with `place` filled in.
    pub(crate) fn next_with(&mut self, place: &[u8], value: &str) -> Vec<u8> {
        let word = self.next();
        match word.windows(place.len()).position(|window| window == place) {
            Some(at) => [&word[..at], value.as_bytes(), &word[at + place.len()..]].concat(),
            None => word.to_vec(),
        }
    }
}
