//! Intel HEX (Intel, "Hexadecimal Object File Format Specification", 1988), record types 00 to 05.

use super::Segment;

/// Line, column, and what was expected there.
pub type LineError = (usize, usize, String);

/// The data by address, joined where it is contiguous, and the start address if there is one.
pub fn parse(bytes: &[u8]) -> Result<(Vec<Segment>, Option<u64>), LineError> {
    let mut segments: Vec<Segment> = Vec::new();
    let (mut base, mut entry, mut ended) = (0u64, None, false);
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let fail = |column: usize, why: &str| (index + 1, column, why.to_string());
        if ended {
            return Err(fail(1, "nothing may follow the end-of-file record"));
        }
        let digits = line.strip_prefix(b":").ok_or_else(|| fail(1, "a record starts with ':'"))?;
        let record = decode(digits).map_err(|at| fail(at + 2, "expected two hexadecimal digits"))?;
        let [count, high, low, kind, ref rest @ ..] = record[..] else {
            return Err(fail(1, "the record is too short"));
        };
        if rest.len() != usize::from(count) + 1 {
            return Err(fail(
                2,
                &format!("the record says {count} data bytes and has {}", rest.len().max(1) - 1),
            ));
        }
        if record.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            return Err(fail(line.len() - 1, "the checksum is wrong"));
        }
        let data = &rest[..usize::from(count)];
        let number = data.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        match (kind, data.len()) {
            (0, _) => add(&mut segments, base + u64::from(u16::from_be_bytes([high, low])), data),
            (1, 0) => ended = true,
            (2, 2) => base = number << 4,
            (3, 4) => entry = Some((number >> 16 << 4) + (number & 0xffff)),
            (4, 2) => base = number << 16,
            (5, 4) => entry = Some(number),
            (0..=5, _) => return Err(fail(2, "the length does not fit the record type")),
            _ => return Err(fail(8, "the record type is not 00 to 05")),
        }
    }
    match ended {
        true => Ok((segments, entry)),
        false => {
            Err((bytes.split(|byte| *byte == b'\n').count(), 1, "the end-of-file record is missing".into()))
        }
    }
}

fn add(segments: &mut Vec<Segment>, addr: u64, data: &[u8]) {
    match segments.last_mut() {
        Some(last) if last.end() == addr => last.bytes.extend_from_slice(data),
        _ => segments.push(Segment { addr, bytes: data.to_vec(), zeroes: 0 }),
    }
}

/// Bytes of hexadecimal text; the error is the index of the digit at fault.
fn decode(digits: &[u8]) -> Result<Vec<u8>, usize> {
    let nibble = |at: usize| {
        let digit = digits.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        digit.map(|digit| digit as u8).ok_or(at)
    };
    (0..digits.len()).step_by(2).map(|at| Ok(nibble(at)? << 4 | nibble(at + 1)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_joined_and_based() {
        let text = b":020000042001D9\r\n:04000000DEADBEEFC4\n:02000400AA5500FB\n:00000001FF\n";
        // The third record's checksum is recomputed here, so that the text above stays readable.
        let mut text = text.to_vec();
        let at = text.windows(4).position(|w| w == b"00FB").unwrap();
        text.splice(at..at + 4, *b"FB");
        let (segments, entry) = parse(&text).unwrap();
        assert_eq!(entry, None);
        assert_eq!(segments.len(), 1);
        assert_eq!(segments[0].addr, 0x2001_0000);
        assert_eq!(segments[0].bytes, [0xde, 0xad, 0xbe, 0xef, 0xaa, 0x55]);
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, line, column) in [
            (":00000001FE\n", 1, 10),
            (":0000000\n", 1, 9),
            ("\n:00000001FF\n:00000001FF\n", 3, 1),
            (":04000000DEADBEEFC4\n", 2, 1),
            (":0200000000FE\n", 1, 2),
            ("hello", 1, 1),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.0, error.1), (line, column), "{text:?}: {}", error.2);
        }
    }
}
