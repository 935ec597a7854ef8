//! Numbers, times, durations, bytes and identifiers as text, from the raw units of the protocol.
//!
//! Never fails and never allocates: every 64-bit pattern a peer may send has a written form, however far outside a calendar library's
//! range it lies. Dates are proleptic Gregorian, years beyond four digits carry a sign (ISO 8601 expanded form), a value whose parts
//! contradict the protocol (nanoseconds above a second, say) is written with the parts as they are rather than guessed at.

use std::fmt::Write as _;

use crate::sink::{Fmt, Sink};

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// An integer, exact.
#[inline]
pub(crate) fn int(out: &mut impl Sink, value: i64) {
    if value < 0 {
        out.put(b"-");
    }
    digits(out, value.unsigned_abs(), 1);
}

/// At least `width` digits of an unsigned number.
#[inline]
fn digits(out: &mut impl Sink, mut value: u64, width: usize) {
    // Two digits a step: half the divisions, which are the cost.
    const PAIRS: &[u8; 200] = b"\
        0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
        5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while value >= 10 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if value > 0 || at == text.len() {
        at -= 1;
        text[at] = b'0' + value as u8;
    }
    out.put(&text[at.min(text.len() - width)..]);
}

/// A finite float in the shortest form that reads back as the same number, always with a point or an exponent; `None` for the three
/// kinds that JSON has no number for.
pub(crate) fn finite(out: &mut impl Sink, value: f64) -> Option<()> {
    if !value.is_finite() {
        return None;
    }
    let _ = write!(Fmt(out), "{value:?}");
    Some(())
}

/// The name of a float that is not finite.
pub(crate) fn non_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// `2024-02-29`, from days since 1970-01-01.
pub(crate) fn date(out: &mut impl Sink, days: i64) {
    // Hinnant's civil_from_days, in 128 bits so that every count of days has a date.
    let z = i128::from(days) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * mp + 2) / 5 + 1) as u64;
    let month = (if mp < 10 { mp + 3 } else { mp - 9 }) as u64;
    let year = (year_of_era + era * 400 + i128::from(month <= 2)) as i64;
    if year < 0 {
        out.put(b"-");
    } else if year > 9_999 {
        out.put(b"+");
    }
    digits(out, year.unsigned_abs(), 4);
    out.put(b"-");
    digits(out, month, 2);
    out.put(b"-");
    digits(out, day, 2);
}

/// `12:34:56.789`, from nanoseconds since midnight; without a fraction when it is zero.
pub(crate) fn local_time(out: &mut impl Sink, nanos: i64) {
    let seconds = nanos.div_euclid(NANOS_PER_SECOND);
    clock(out, seconds);
    fraction(out, nanos.rem_euclid(NANOS_PER_SECOND));
}

/// `12:34:56+01:00`, from nanoseconds since local midnight and the offset in seconds east.
pub(crate) fn time(out: &mut impl Sink, nanos: i64, offset_seconds: i64) {
    local_time(out, nanos);
    offset(out, offset_seconds);
}

/// `2024-02-29T12:34:56.789`, from seconds since 1970-01-01T00:00 local and nanoseconds.
pub(crate) fn local_datetime(out: &mut impl Sink, seconds: i64, nanos: i64) {
    date(out, seconds.div_euclid(SECONDS_PER_DAY));
    out.put(b"T");
    clock(out, seconds.rem_euclid(SECONDS_PER_DAY));
    fraction(out, nanos);
}

/// `2024-02-29T13:34:56+01:00`, from the instant in UTC seconds, nanoseconds and the offset in seconds east.
pub(crate) fn datetime_utc(out: &mut impl Sink, seconds: i64, nanos: i64, offset_seconds: i64) {
    local_datetime(out, seconds.saturating_add(offset_seconds), nanos);
    offset(out, offset_seconds);
}

/// `P1Y2M3DT4H5M6.5S`, from months, days, seconds and nanoseconds as sent (nanoseconds are never negative on the wire).
pub(crate) fn duration(out: &mut impl Sink, months: i64, days: i64, seconds: i64, nanos: i64) {
    out.put(b"P");
    part(out, months / 12, b"Y");
    part(out, months % 12, b"M");
    part(out, days, b"D");
    // −1 s + 500,000,000 ns is −0.5 s: one sign for both parts.
    let total = i128::from(seconds) * i128::from(NANOS_PER_SECOND) + i128::from(nanos);
    let (negative, total) = (total < 0, total.unsigned_abs());
    let whole = total / NANOS_PER_SECOND as u128;
    let rest = (total % NANOS_PER_SECOND as u128) as i64;
    let signed = |v: u128| if negative { -(v as i64) } else { v as i64 };
    if total == 0 {
        if months == 0 && days == 0 {
            out.put(b"T0S");
        }
        return;
    }
    out.put(b"T");
    part(out, signed(whole / 3_600), b"H");
    part(out, signed(whole / 60 % 60), b"M");
    let secs = (whole % 60) as u64;
    if secs != 0 || rest != 0 {
        if negative {
            out.put(b"-");
        }
        digits(out, secs, 1);
        fraction(out, rest);
        out.put(b"S");
    }
}

fn part(out: &mut impl Sink, value: i64, unit: &[u8]) {
    if value != 0 {
        int(out, value);
        out.put(unit);
    }
}

fn clock(out: &mut impl Sink, seconds: i64) {
    if seconds < 0 {
        out.put(b"-");
    }
    let seconds = seconds.unsigned_abs();
    digits(out, seconds / 3_600, 2);
    out.put(b":");
    digits(out, seconds / 60 % 60, 2);
    out.put(b":");
    digits(out, seconds % 60, 2);
}

/// `.789`, without trailing zeros, or nothing.
fn fraction(out: &mut impl Sink, nanos: i64) {
    if nanos == 0 {
        return;
    }
    let mut value = nanos.unsigned_abs();
    let mut width = 9;
    while value.is_multiple_of(10) && width > 1 {
        value /= 10;
        width -= 1;
    }
    out.put(if nanos < 0 { b".-" } else { b"." });
    digits(out, value, width);
}

/// `Z`, `+01:00` or `+01:00:30`.
fn offset(out: &mut impl Sink, seconds: i64) {
    if seconds == 0 {
        return out.put(b"Z");
    }
    out.put(if seconds < 0 { b"-" } else { b"+" });
    let seconds = seconds.unsigned_abs();
    digits(out, seconds / 3_600, 2);
    out.put(b":");
    digits(out, seconds / 60 % 60, 2);
    if !seconds.is_multiple_of(60) {
        out.put(b":");
        digits(out, seconds % 60, 2);
    }
}

/// Standard base64 (RFC 4648 §4) with padding.
pub(crate) fn base64(out: &mut impl Sink, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let word = group.iter().enumerate().fold(0_u32, |w, (i, b)| w | u32::from(*b) << (16 - 8 * i));
        let mut text = [b'='; 4];
        for (i, slot) in text.iter_mut().enumerate().take(group.len() + 1) {
            *slot = ALPHABET[(word >> (18 - 6 * i) & 63) as usize];
        }
        out.put(&text);
    }
}

/// `550e8400-e29b-41d4-a716-446655440000`.
pub(crate) fn uuid(out: &mut impl Sink, bytes: [u8; 16]) {
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.put(b"-");
        }
        out.put(&[hex(byte >> 4), hex(byte & 15)]);
    }
}

/// One lower-case hexadecimal digit.
pub(crate) fn hex(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn integers_are_exact() {
        for value in [0, 1, -1, 9, 10, 127, -128, 9_007_199_254_740_993, i64::MAX, i64::MIN] {
            assert_eq!(written(|o| int(o, value)), value.to_string());
        }
    }

    #[test]
    fn floats_read_back() {
        for value in
            [0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, f64::MAX, f64::MIN_POSITIVE, 1.0 / 3.0, 123_456_789.125]
        {
            let text = written(|o| finite(o, value).expect("finite"));
            assert_eq!(text.parse::<f64>().expect("a number").to_bits(), value.to_bits(), "{text}");
            assert!(text.contains(['.', 'e']), "{text} would read back as an integer");
        }
        for (value, name) in
            [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")]
        {
            assert_eq!(written(|o| assert!(finite(o, value).is_none())), "");
            assert_eq!(non_finite(value), name);
        }
    }

    #[test]
    fn dates() {
        for (days, text) in [
            (0, "1970-01-01"),
            (1, "1970-01-02"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
            (365_241_780_471, "+999999999-12-31"),
            (i64::MAX, "+25252734927768524-07-27"),
        ] {
            assert_eq!(written(|o| date(o, days)), text);
        }
        assert!(written(|o| date(o, i64::MIN)).starts_with("-25252734927764585-"));
    }

    #[test]
    fn times() {
        assert_eq!(written(|o| local_time(o, 0)), "00:00:00");
        assert_eq!(written(|o| local_time(o, 86_399_999_999_999)), "23:59:59.999999999");
        assert_eq!(written(|o| local_time(o, 1_500_000_000)), "00:00:01.5");
        assert_eq!(written(|o| time(o, 1_000_000_000, 3_600)), "00:00:01+01:00");
        assert_eq!(written(|o| time(o, 0, 0)), "00:00:00Z");
        assert_eq!(written(|o| time(o, 0, -5_430)), "00:00:00-01:30:30");
        assert_eq!(written(|o| local_datetime(o, 1, 0)), "1970-01-01T00:00:01");
        assert_eq!(written(|o| local_datetime(o, -1, 5)), "1969-12-31T23:59:59.000000005");
        // The worked value of the protocol notes: 01:15 UTC is 02:15 at +01:00.
        assert_eq!(written(|o| datetime_utc(o, 4_500, 42, 3_600)), "1970-01-01T02:15:00.000000042+01:00");
        assert!(!written(|o| datetime_utc(o, i64::MAX, -1, i64::MIN)).is_empty());
        assert!(!written(|o| local_time(o, i64::MIN)).is_empty());
    }

    #[test]
    fn durations() {
        for ((months, days, seconds, nanos), text) in [
            ((0, 0, 0, 0), "PT0S"),
            ((1, 2, 3, 500_000_000), "P1M2DT3.5S"),
            ((14, 0, 0, 0), "P1Y2M"),
            ((0, 0, -1, 500_000_000), "PT-0.5S"),
            ((0, 0, 3_661, 0), "PT1H1M1S"),
            ((0, 0, -3_661, 0), "PT-1H-1M-1S"),
            ((-13, -1, 0, 1), "P-1Y-1M-1DT0.000000001S"),
            ((0, 0, 60, 0), "PT1M"),
        ] {
            assert_eq!(written(|o| duration(o, months, days, seconds, nanos)), text);
        }
        assert!(!written(|o| duration(o, i64::MIN, i64::MIN, i64::MIN, i64::MIN)).is_empty());
    }

    #[test]
    fn bytes_and_uuids() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\xff\xef\xbe", "/+++")]
        {
            assert_eq!(written(|o| base64(o, bytes)), text);
        }
        let id = 0x550e_8400_e29b_41d4_a716_4466_5544_0000_u128.to_be_bytes();
        assert_eq!(written(|o| uuid(o, id)), "550e8400-e29b-41d4-a716-446655440000");
    }
}
