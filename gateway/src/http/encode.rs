//! Compressing a body while it is written.
//!
//! Levels and windows are small: what one stream keeps is bounded by a few hundred kilobytes, and a piece takes a thread
//! that serves others too no longer than a fraction of a millisecond.

use super::negotiate::Encoding;
use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use zstd::stream::raw::CParameter;

/// Below that, headers and processor time cost more than is saved.
pub const BYTES_MIN: usize = 1_024;

/// Pieces that are compressed at a time.
const PIECE_BYTES: usize = 32 * 1024;

/// gzip's window is 32 KiB whatever the level; `deflate` keeps some 256 KiB.
const GZIP_LEVEL: u32 = 3;

/// The lowest level that finds more than the nearest repetition.
const BROTLI_QUALITY: u32 = 3;

/// The window's size as a power of two. 256 KiB: rows repeat what is near.
const WINDOW_LOG: u32 = 18;

/// zstd's own "fast, but not without a dictionary of its own".
const ZSTD_LEVEL: i32 = 1;

/// A body that is being compressed.
pub enum Encoder {
    /// gzip.
    Gzip(Box<GzEncoder<Vec<u8>>>),
    /// Brotli.
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    /// zstd.
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// Begins.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(encoding: Encoding) -> io::Result<Self> {
        Ok(match encoding {
            Encoding::Gzip => Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL)))),
            Encoding::Brotli => Self::Brotli(Box::new(CompressorWriter::new(
                Vec::new(),
                PIECE_BYTES,
                BROTLI_QUALITY,
                WINDOW_LOG,
            ))),
            Encoding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Takes in a piece and gives what is ready by now, which may be nothing.
    ///
    /// # Errors
    /// The library's own.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        let ready = match self {
            Self::Gzip(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Brotli(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(ready))
    }

    /// Gives the rest.
    ///
    /// # Errors
    /// The library's own.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

/// Compresses a whole body, letting others have their turn between pieces.
///
/// # Errors
/// The library's own.
pub async fn whole(body: &[u8], encoding: Encoding) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(encoding)?;
    let mut encoded = Vec::with_capacity(body.len() / 4);
    for piece in body.chunks(PIECE_BYTES) {
        encoded.append(&mut encoder.write(piece)?);
        if body.len() > PIECE_BYTES {
            tokio::task::yield_now().await;
        }
    }
    encoded.append(&mut encoder.finish()?);
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn decoded(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match encoding {
            Encoding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain),
            Encoding::Brotli => brotli::Decompressor::new(bytes, PIECE_BYTES).read_to_end(&mut plain),
            Encoding::Zstd => zstd::stream::copy_decode(bytes, &mut plain).map(|()| plain.len()),
        }
        .expect("it was encoded");
        plain
    }

    #[tokio::test]
    async fn what_is_compressed_comes_out_as_it_went_in() {
        let body: Vec<u8> = (0..20_000_u32).flat_map(|row| format!("row {row},").into_bytes()).collect();
        for encoding in [Encoding::Gzip, Encoding::Brotli, Encoding::Zstd] {
            let encoded = whole(&body, encoding).await.expect("there is memory");
            assert!(encoded.len() < body.len() / 2, "{encoding:?}: {}", encoded.len());
            assert_eq!(decoded(encoding, &encoded), body);
        }
    }

    #[test]
    fn what_is_kept_is_bounded_however_much_is_written() {
        for encoding in [Encoding::Gzip, Encoding::Brotli, Encoding::Zstd] {
            let mut encoder = Encoder::new(encoding).expect("there is memory");
            let mut random = 1_u32;
            let mut noise = || {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                random.to_be_bytes()[0]
            };
            let (mut written, mut given) = (0_usize, 0_usize);
            for _ in 0..64 {
                let piece: Vec<u8> = (0..PIECE_BYTES).map(|_| noise()).collect();
                written += piece.len();
                given += encoder.write(&piece).expect("it takes every byte").len();
                // Noise cannot be compressed: what was not given is kept.
                assert!(written.saturating_sub(given) <= 1024 * 1024, "{encoding:?}: {written} {given}");
            }
        }
    }
}
