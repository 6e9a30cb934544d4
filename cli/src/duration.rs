//! Durations as people type them.

use std::str::FromStr;

/// A duration in whole seconds, typed as `90s`, `15m`, `24h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u64);

impl FromStr for Seconds {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "give a whole number and a unit, such as 90s, 15m, 24h or 7d";
        let mut letters = text.chars();
        let scale = match letters.next_back() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            _ => return Err(wrong),
        };
        let number: u64 = letters.as_str().parse().map_err(|_| wrong)?;
        number.checked_mul(scale).map(Self).ok_or("that is too long")
    }
}

#[cfg(test)]
mod tests {
    use super::Seconds;

    #[test]
    fn a_number_has_a_unit() {
        let seconds = |text: &str| text.parse().map(|Seconds(seconds)| seconds).ok();
        assert_eq!(
            ["0s", "15m", "24h", "7d"].map(seconds),
            [Some(0), Some(900), Some(86_400), Some(604_800)]
        );
        assert_eq!(["", "d", "7", "-1s", "1w", "99999999999999999999d"].map(seconds), [None; 6]);
    }
}
