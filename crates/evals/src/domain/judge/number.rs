//! Numbers of JSON, compared and divided as they are written: 19.99 is a multiple of 0.01, and 1000000001 none of 2.

use std::cmp::Ordering;

use serde_json::Number;

/// The order of two numbers. Whole ones are compared exactly, however large.
pub(crate) fn compare(left: &Number, right: &Number) -> Ordering {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// True if a number is a whole multiple of another one, which is above 0.
pub(crate) fn is_multiple(number: &Number, divisor: &Number) -> bool {
    let (Some(number), Some(divisor)) = (Decimal::read(number), Decimal::read(divisor)) else { return false };
    if divisor.digits == 0 {
        return false;
    }
    let shift = i64::from(number.exponent) - i64::from(divisor.exponent);
    let tens = u32::try_from(shift.unsigned_abs()).unwrap_or(u32::MAX);
    if shift >= 0 {
        // n · 10^shift must be a multiple of d. Both factors stay below d, which has 64 bits at most.
        let rest = power_of_ten(tens, divisor.digits);
        return ((number.digits % divisor.digits) * rest).is_multiple_of(divisor.digits);
    }
    // n must be a multiple of d · 10^-shift. What is too large to be told is larger than n.
    let multiple = 10_u128.checked_pow(tens).and_then(|power| power.checked_mul(divisor.digits));
    number.digits == 0 || multiple.is_some_and(|multiple| number.digits.is_multiple_of(multiple))
}

/// 10 to a power, modulo a number of at most 64 bits.
fn power_of_ten(mut power: u32, modulus: u128) -> u128 {
    let (mut result, mut base) = (1 % modulus, 10 % modulus);
    while power > 0 {
        if power % 2 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        power /= 2;
    }
    result
}

/// A number without its sign: digits · 10^exponent, with as many digits as it is written with.
struct Decimal {
    digits: u128,
    exponent: i32,
}

impl Decimal {
    fn read(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
        let exponent: i32 = exponent.trim_start_matches('+').parse().ok()?;
        Some(Self { digits: digits.parse().ok()?, exponent: exponent - i32::try_from(fraction.len()).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Number, from_str};

    use super::{Ordering, compare, is_multiple};

    fn number(text: &str) -> Number {
        from_str(text).unwrap()
    }

    #[test]
    fn is_multiple_divides_exactly() {
        for (value, divisor, expected) in [
            ("1000000001", "2", false),
            ("9007199254740993", "2", false),
            ("18446744073709551615", "5", true),
            ("18446744073709551615", "2", false),
            ("-9223372036854775808", "2", true),
            ("19.99", "0.01", true),
            ("19.995", "0.01", false),
            ("0.0075", "0.0001", true),
            ("0.00751", "0.0001", false),
            ("12391239123", "1e-8", true),
            ("1e308", "0.123456789", false),
            ("1e308", "2", true),
            ("1e300", "0.5", true),
            ("3", "1.5", true),
            ("4.5", "1.5", true),
            ("35", "1.5", false),
            ("0", "7", true),
            ("1", "1e300", false),
            ("1e-300", "1e-299", false),
            ("1e-299", "1e-300", true),
            ("-6", "4", false),
        ] {
            assert_eq!(is_multiple(&number(value), &number(divisor)), expected, "{value} {divisor}");
        }
    }

    #[test]
    fn compare_tells_large_whole_numbers_apart() {
        for (left, right, expected) in [
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("18446744073709551615", "18446744073709551614", Ordering::Greater),
            ("-9223372036854775808", "-9223372036854775807", Ordering::Less),
            ("1.5", "1", Ordering::Greater),
            ("-1", "18446744073709551615", Ordering::Less),
        ] {
            assert_eq!(compare(&number(left), &number(right)), expected, "{left} {right}");
        }
    }
}
