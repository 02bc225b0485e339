//! From bytes to text: gzip and Zstandard by their magic numbers, whatever the file is called.

use std::borrow::Cow;
use std::io::{self, Read};

use super::locate::line_column;
use crate::finding::{Finding, Place};

/// The most a document may hold once unpacked. A fleet of 10,000 hosts and 215,000 instances is 46 MB of text; ten
/// times that is beyond any cloud we know, and a packed file that grows further is a mistake or an attack.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 512 << 20;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The text of a document: unpacked where it is packed, UTF-8, without a byte order mark.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Finding> {
    let text = if bytes.starts_with(GZIP) {
        Cow::Owned(utf8_owned(unpack("gzip", flate2::bufread::MultiGzDecoder::new(bytes))?)?)
    } else if bytes.starts_with(ZSTD) {
        let decoder = zstd::Decoder::with_buffer(bytes).map_err(|error| damaged("Zstandard", &error))?;
        Cow::Owned(utf8_owned(unpack("Zstandard", decoder)?)?)
    } else {
        Cow::Borrowed(std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error))?)
    };
    Ok(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_start_matches('\u{feff}')),
        Cow::Owned(text) if text.starts_with('\u{feff}') => Cow::Owned(text.trim_start_matches('\u{feff}').to_owned()),
        Cow::Owned(text) => Cow::Owned(text),
    })
}

fn unpack(kind: &str, packed: impl Read) -> Result<Vec<u8>, Finding> {
    let mut bytes = Vec::new();
    packed.take(UNPACKED_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| damaged(kind, &error))?;
    if bytes.len() as u64 > UNPACKED_BYTES_MAX {
        let problem = format!("the {kind} data holds more than {} MiB", UNPACKED_BYTES_MAX >> 20);
        return Err(Finding::whole(problem, "no document is that large: give another file"));
    }
    Ok(bytes)
}

fn damaged(kind: &str, error: &io::Error) -> Finding {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Finding::whole(format!("the {kind} data ends in the middle"), "copy the whole file again");
    }
    Finding::whole(format!("the {kind} data is damaged ({error})"), "pack or copy the file again")
}

fn utf8_owned(bytes: Vec<u8>) -> Result<String, Finding> {
    String::from_utf8(bytes).map_err(|error| not_utf8(error.as_bytes(), error.utf8_error()))
}

fn not_utf8(bytes: &[u8], error: std::str::Utf8Error) -> Finding {
    let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
    let byte = bytes.get(good.len()).copied().unwrap_or_default();
    let place = Place { field: String::new(), line_column: Some(line_column(good, good.len())) };
    let problem = format!("byte {byte:#04x} is not UTF-8 text");
    Finding { place, problem, remedy: "give text in UTF-8, plain or packed by gzip or zstd".to_owned() }
}
