//! Values as users write them on the command line.

use cpu_core::Time;

/// A size in bytes: `512M`, `1G`, `4096`, with K, M, G as powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a size such as 512M or 1G, found {text:?}");
    let (digits, shift) = match text.trim_end_matches("iB").char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        Some((at, c)) if c.is_ascii_digit() || c.is_ascii_hexdigit() => (&text[..at + 1], 0),
        _ => return Err(expected()),
    };
    let number = crate::load::parse_number(digits).ok_or_else(expected)?;
    number.checked_shl(shift).filter(|size| size >> shift == number && *size > 0).ok_or_else(expected)
}

/// A span of virtual time: `30s`, `500ms`, `2m`, `1.5s`; a bare number is seconds.
pub fn time(text: &str) -> Result<Time, String> {
    let expected = || format!("expected a time such as 30s, 500ms, 2m or 10us, found {text:?}");
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits_end].parse().map_err(|_| expected())?;
    let unit = match &text[digits_end..] {
        "" | "s" => 1e12,
        "ms" => 1e9,
        "us" => 1e6,
        "ns" => 1e3,
        "m" | "min" => 60e12,
        "h" => 3600e12,
        _ => return Err(expected()),
    };
    let ps = number * unit;
    if ps.is_finite() && ps >= 0.0 && ps < u64::MAX as f64 { Ok(Time(ps as u64)) } else { Err(expected()) }
}

/// Addresses, both ends among them: `all`, `0x80001000`, `0x80001000-0x80001fff`.
pub fn addresses(text: &str) -> Result<std::ops::RangeInclusive<u64>, String> {
    if text == "all" {
        return Ok(0..=u64::MAX);
    }
    let expected = || format!("expected all, an address or FROM-TO, found {text:?}");
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let [from, to] = [from, to].map(|end| crate::load::parse_number(end.trim()));
    let range = from.ok_or_else(expected)?..=to.ok_or_else(expected)?;
    if range.is_empty() { Err(expected()) } else { Ok(range) }
}

/// A regular expression over console bytes; `^` and `$` match at line ends, of LF and of CR LF.
pub fn regex(text: &str) -> Result<regex::bytes::Regex, String> {
    let built = regex::bytes::RegexBuilder::new(text).multi_line(true).crlf(true).size_limit(1 << 20).build();
    built.map_err(|error| format!("not a regular expression: {error}"))
}

/// `NAME=VALUE`.
pub fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_string(), value.to_string())),
        _ => Err(format!("expected NAME=VALUE, found {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("0x1000"), Ok(4096));
        for bad in ["", "M", "-1", "1T", "99999999999G", "0"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn address_ranges() {
        assert_eq!(addresses("all"), Ok(0..=u64::MAX));
        assert_eq!(addresses("0x80001000"), Ok(0x8000_1000..=0x8000_1000));
        assert_eq!(addresses("0x1000-0x1fff"), Ok(0x1000..=0x1fff));
        assert_eq!(addresses("0xffffffff80000000-0xffffffffffffffff"), Ok(0xffff_ffff_8000_0000..=u64::MAX));
        for bad in ["", "-", "0x2000-0x1000", "main", "0x1000-", "0x1-0x2-0x3"] {
            assert!(addresses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time("30s"), Ok(Time::from_ms(30_000)));
        assert_eq!(time("1.5ms"), Ok(Time::from_us(1500)));
        assert_eq!(time("2"), Ok(Time::from_ms(2000)));
        for bad in ["", "s", "1 s", "-1s", "1e99h", "1.2.3", "5d"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
