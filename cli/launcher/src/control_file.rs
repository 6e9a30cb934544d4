//! Giving a copied data directory an identity of its own.
//!
//! A copy of a data directory carries the system identifier of the original, and the catalog and
//! the gateway tell servers apart by it. So the copy's control file gets a new one, the way
//! `pg_createsubscriber` does it, and `pg_resetwal` then writes a write-ahead log that agrees.

use crate::PostgresError;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// `ControlFileData` begins with the system identifier and is 296 bytes long in version 15; no version
/// may exceed `PG_CONTROL_MAX_SAFE_SIZE` (src/include/catalog/pg_control.h).
const CONTROL_DATA_BYTES_MAX: usize = 512;
const IDENTIFIER_BYTES: usize = 8;

/// Puts `identifier` into the control file of a data directory that no server has open.
pub(crate) fn set_system_identifier(data_dir: &Path, identifier: u64) -> Result<(), PostgresError> {
    let path = data_dir.join("global/pg_control");
    let failed = |action| PostgresError::io(action, path.clone());
    let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed("open"))?;
    let mut data = [0_u8; CONTROL_DATA_BYTES_MAX];
    file.read_exact(&mut data).map_err(failed("read"))?;
    if !rewrite(&mut data, identifier) {
        return Err(PostgresError::ControlFile { path });
    }
    file.seek(SeekFrom::Start(0)).map_err(failed("write"))?;
    file.write_all(&data).map_err(failed("write"))
}

/// The structure ends with a checksum of all that precedes it, whose place differs by version. It
/// is found by being right, which also proves that the file is what we take it for.
fn rewrite(data: &mut [u8], identifier: u64) -> bool {
    let Some(end) = (IDENTIFIER_BYTES..data.len() - 3).step_by(4).find(|end| checksum_at(data, *end)) else {
        return false;
    };
    data[..IDENTIFIER_BYTES].copy_from_slice(&identifier.to_ne_bytes());
    let sum = crc32c(&data[..end]);
    data[end..end + 4].copy_from_slice(&sum.to_ne_bytes());
    true
}

fn checksum_at(data: &[u8], end: usize) -> bool {
    data[end..end + 4] == crc32c(&data[..end]).to_ne_bytes()
}

/// CRC-32C (Castagnoli, reflected), a bit at a time: it runs over a few hundred bytes.
fn crc32c(data: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{checksum_at, crc32c, rewrite};

    #[test]
    fn the_checksum_is_castagnoli() {
        // The check value of RFC 3720 appendix B.4 and of every CRC catalogue.
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn only_the_identifier_and_the_checksum_change() {
        let mut data = [7_u8; 64];
        let sum = crc32c(&data[..40]).to_ne_bytes();
        data[40..44].copy_from_slice(&sum);
        let before = data;
        assert!(rewrite(&mut data, 42));
        assert_eq!(data[..8], 42_u64.to_ne_bytes());
        assert_eq!(data[8..40], before[8..40]);
        assert!(checksum_at(&data, 40));
        assert_eq!(data[44..], before[44..]);
    }

    #[test]
    fn a_file_without_a_right_checksum_is_left_alone() {
        let mut data = [7_u8; 64];
        assert!(!rewrite(&mut data, 42));
        assert_eq!(data, [7_u8; 64]);
    }
}
