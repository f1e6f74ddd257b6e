//! Integers of any size, with a fast path for those of 64 bits.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};

use crate::error::EvalError;

/// The most decimal digits that are read or written; the same number, for the same reason, as in CPython:
/// conversion takes quadratic time.
pub(crate) const MAX_DIGITS: usize = 4300;
/// The largest integer, in bits; far above what has a decimal form.
pub(crate) const MAX_BITS: u64 = 1 << 20;

/// An integer. Exact, and of any size up to a limit of about a million bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Int(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Small(i64),
    /// Never within the range of `i64`.
    Big(Arc<BigInt>),
}

impl Int {
    /// The integer as `i64`, if it fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small(n) => Some(*n),
            Repr::Big(_) => None,
        }
    }

    /// The integer as `u64`, if it fits.
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Small(n) => u64::try_from(*n).ok(),
            Repr::Big(big) => big.to_u64(),
        }
    }

    /// The nearest float; infinite when it is too large for one.
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            #[expect(clippy::as_conversions, reason = "rounding to nearest is what is wanted")]
            Repr::Small(n) => *n as f64,
            Repr::Big(big) => big.to_f64().unwrap_or(f64::INFINITY),
        }
    }

    pub(crate) fn big(&self) -> BigInt {
        match &self.0 {
            Repr::Small(n) => BigInt::from(*n),
            Repr::Big(big) => (**big).clone(),
        }
    }

    pub(crate) fn from_big(big: BigInt) -> Self {
        match big.to_i64() {
            Some(n) => Int(Repr::Small(n)),
            None => Int(Repr::Big(Arc::new(big))),
        }
    }

    pub(crate) fn from_f64(float: f64) -> Option<Self> {
        BigInt::from_f64(float.trunc()).map(Int::from_big)
    }

    /// Reads digits of a base without sign or underscores; `None` when there is none or one is wrong.
    pub(crate) fn parse(digits: &str, base: u32) -> Option<Self> {
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
            return None;
        }
        if let Ok(n) = i64::from_str_radix(digits, base) {
            return Some(Int(Repr::Small(n)));
        }
        BigInt::parse_bytes(digits.as_bytes(), base).map(Int::from_big)
    }

    pub(crate) fn bits(&self) -> u64 {
        match &self.0 {
            Repr::Small(n) => u64::from(64 - n.unsigned_abs().leading_zeros()),
            Repr::Big(big) => big.bits(),
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.as_i64() == Some(0)
    }

    pub(crate) fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Small(n) => *n < 0,
            Repr::Big(big) => big.sign() == Sign::Minus,
        }
    }

    pub(crate) fn neg(&self) -> Int {
        match &self.0 {
            Repr::Small(n) => n
                .checked_neg()
                .map_or_else(|| Int::from_big(-self.big()), Int::from),
            Repr::Big(big) => Int::from_big(-(**big).clone()),
        }
    }

    pub(crate) fn abs(&self) -> Int {
        if self.is_negative() {
            self.neg()
        } else {
            self.clone()
        }
    }

    pub(crate) fn add(&self, other: &Int) -> Int {
        self.small_or_big(other, i64::checked_add, |a, b| a + b)
    }

    pub(crate) fn sub(&self, other: &Int) -> Int {
        self.small_or_big(other, i64::checked_sub, |a, b| a - b)
    }

    pub(crate) fn mul(&self, other: &Int) -> Int {
        self.small_or_big(other, i64::checked_mul, |a, b| a * b)
    }

    /// Rounds towards negative infinity, as Python does. The divisor must not be zero.
    pub(crate) fn floor_div(&self, other: &Int) -> Int {
        self.small_or_big(
            other,
            |a, b| {
                if b == -1 {
                    a.checked_neg()
                } else {
                    Some(Integer::div_floor(&a, &b))
                }
            },
            Integer::div_floor,
        )
    }

    /// Has the sign of the divisor, as in Python. The divisor must not be zero.
    pub(crate) fn modulo(&self, other: &Int) -> Int {
        self.small_or_big(
            other,
            |a, b| {
                if b == -1 {
                    Some(0)
                } else {
                    Some(Integer::mod_floor(&a, &b))
                }
            },
            Integer::mod_floor,
        )
    }

    pub(crate) fn bit_and(&self, other: &Int) -> Int {
        self.small_or_big(other, |a, b| Some(a & b), |a, b| a & b)
    }

    pub(crate) fn bit_or(&self, other: &Int) -> Int {
        self.small_or_big(other, |a, b| Some(a | b), |a, b| a | b)
    }

    pub(crate) fn bit_xor(&self, other: &Int) -> Int {
        self.small_or_big(other, |a, b| Some(a ^ b), |a, b| a ^ b)
    }

    pub(crate) fn shl(&self, by: u64) -> Int {
        Int::from_big(self.big() << by)
    }

    pub(crate) fn shr(&self, by: u64) -> Int {
        match &self.0 {
            Repr::Small(n) => Int::from(n >> by.min(63)),
            Repr::Big(big) => Int::from_big((**big).clone() >> by),
        }
    }

    /// `None` when the result would be larger than [`MAX_BITS`].
    pub(crate) fn pow(&self, exponent: u64) -> Option<Int> {
        if self.bits() <= 1 {
            return Some(match self.as_i64() {
                Some(-1) if exponent.is_multiple_of(2) => Int::from(1),
                Some(0) if exponent == 0 => Int::from(1),
                _ => self.clone(),
            });
        }
        if (self.bits() - 1).saturating_mul(exponent) > MAX_BITS {
            return None;
        }
        let exponent = u32::try_from(exponent).ok()?;
        match self.as_i64().and_then(|n| n.checked_pow(exponent)) {
            Some(n) => Some(Int::from(n)),
            None => Some(Int::from_big(self.big().pow(exponent))),
        }
    }

    /// `a / b` rounded once to the nearest float, as CPython divides integers. The divisor must not be zero;
    /// `None` when the result is too large for a float.
    pub(crate) fn true_div(&self, other: &Int) -> Option<f64> {
        const EXACT: u64 = 53;
        if self.bits() <= EXACT && other.bits() <= EXACT {
            return Some(self.to_f64() / other.to_f64());
        }
        let negative = self.is_negative() != other.is_negative();
        if self.is_zero() {
            return Some(if negative { -0.0 } else { 0.0 });
        }
        let (a, b) = (self.big().abs(), other.big().abs());
        // 66 or so bits of quotient, of which the last says whether something was cut off: one rounding is left.
        let shift = 66 + i64::try_from(b.bits()).ok()? - i64::try_from(a.bits()).ok()?;
        let (a, b) = if shift >= 0 {
            (a << shift.unsigned_abs(), b)
        } else {
            (a, b << shift.unsigned_abs())
        };
        let (quotient, rest) = a.div_rem(&b);
        let sticky = u128::from(!rest.is_zero());
        #[expect(clippy::as_conversions, reason = "rounding to nearest is what is wanted")]
        let float = (quotient.to_u128()? | sticky) as f64;
        let scale = i32::try_from(-shift).ok()?;
        let scaled = float * 2f64.powi(scale / 2) * 2f64.powi(scale - scale / 2);
        scaled
            .is_finite()
            .then_some(if negative { -scaled } else { scaled })
    }

    pub(crate) fn cmp_f64(&self, float: f64) -> Option<Ordering> {
        if float.is_nan() {
            return None;
        }
        if float.is_infinite() {
            return Some(if float > 0.0 {
                Ordering::Less
            } else {
                Ordering::Greater
            });
        }
        let whole = Int::from_f64(float)?;
        Some(match self.cmp(&whole) {
            Ordering::Equal if float.fract() > 0.0 => Ordering::Less,
            Ordering::Equal if float.fract() < 0.0 => Ordering::Greater,
            ordering => ordering,
        })
    }

    /// The decimal digits, refused when there are more than [`MAX_DIGITS`].
    pub(crate) fn to_decimal(&self) -> Result<String, EvalError> {
        match &self.0 {
            Repr::Small(n) => Ok(n.to_string()),
            Repr::Big(big) => {
                // 3.33 bits a digit: no conversion is started that must be refused.
                if big.bits() <= 14_300 {
                    let text = big.to_string();
                    if text.trim_start_matches('-').len() <= MAX_DIGITS {
                        return Ok(text);
                    }
                }
                Err(EvalError::value(format!(
                    "an integer of more than {MAX_DIGITS} digits has no text form"
                )))
            }
        }
    }

    pub(crate) fn to_radix(&self, base: u32) -> String {
        self.big().abs().to_str_radix(base)
    }

    fn small_or_big(
        &self,
        other: &Int,
        small: impl Fn(i64, i64) -> Option<i64>,
        big: impl Fn(&BigInt, &BigInt) -> BigInt,
    ) -> Int {
        if let (Repr::Small(a), Repr::Small(b)) = (&self.0, &other.0)
            && let Some(n) = small(*a, *b)
        {
            return Int(Repr::Small(n));
        }
        Int::from_big(big(&self.big(), &other.big()))
    }
}

impl From<i64> for Int {
    fn from(n: i64) -> Self {
        Int(Repr::Small(n))
    }
}

impl From<i32> for Int {
    fn from(n: i32) -> Self {
        Int(Repr::Small(i64::from(n)))
    }
}

impl From<u64> for Int {
    fn from(n: u64) -> Self {
        i64::try_from(n).map_or_else(|_| Int::from_big(BigInt::from(n)), Int::from)
    }
}

impl Ord for Int {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Small(a), Repr::Small(b)) => a.cmp(b),
            (Repr::Big(a), Repr::Big(b)) => a.cmp(b),
            // A large one is outside the range of the small ones, so its sign decides.
            (Repr::Small(_), Repr::Big(_)) if other.is_negative() => Ordering::Greater,
            (Repr::Small(_), Repr::Big(_)) => Ordering::Less,
            (Repr::Big(_), Repr::Small(_)) if self.is_negative() => Ordering::Less,
            (Repr::Big(_), Repr::Small(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Int {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Small(n) => n.fmt(f),
            Repr::Big(big) => big.fmt(f),
        }
    }
}

impl fmt::Debug for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(text: &str) -> Int {
        let (sign, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let value = Int::parse(digits, 10).unwrap();
        if sign { value.neg() } else { value }
    }

    #[test]
    fn signs_follow_python() {
        for (a, b, div, rem) in [
            ("7", "-2", "-4", "-1"),
            ("-7", "2", "-4", "1"),
            ("-7", "-2", "3", "-1"),
        ] {
            assert_eq!(int(a).floor_div(&int(b)), int(div));
            assert_eq!(int(a).modulo(&int(b)), int(rem));
        }
        assert_eq!(
            int("-9223372036854775808").floor_div(&int("-1")),
            int("9223372036854775808")
        );
    }

    #[test]
    fn division_rounds_once() {
        assert_eq!(
            int("9007199254740993").true_div(&int("1")),
            Some(9_007_199_254_740_992.0)
        );
        assert_eq!(
            int("100000000000000000000000").true_div(&int("3")),
            Some(3.333_333_333_333_333e22)
        );
        assert_eq!(int("10").pow(400).unwrap().true_div(&int("1")), None);
        assert_eq!(int("1").true_div(&int("10").pow(30).unwrap()), Some(1e-30));
    }

    #[test]
    fn powers_are_bounded() {
        assert_eq!(int("10").pow(10_000_000_000), None);
        assert_eq!(int("-1").pow(10_000_000_000), Some(int("1")));
        assert_eq!(int("10").pow(20), Some(int("100000000000000000000")));
    }
}
