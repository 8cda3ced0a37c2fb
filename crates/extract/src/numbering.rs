//! The numbers of numbered paragraphs, which Word stores as rules rather than as text.

/// How a number of a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberFormat {
    Decimal,
    /// At least two digits.
    DecimalZero,
    LowerLetter,
    UpperLetter,
    LowerRoman,
    UpperRoman,
    Chinese,
    /// Bullets and unnumbered levels.
    None,
}

impl NumberFormat {
    /// The format with the name that Office Open XML gives it (ECMA-376, `ST_NumberFormat`).
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "bullet" | "none" => Self::None,
            "decimalZero" => Self::DecimalZero,
            "lowerLetter" => Self::LowerLetter,
            "upperLetter" => Self::UpperLetter,
            "lowerRoman" => Self::LowerRoman,
            "upperRoman" => Self::UpperRoman,
            "chineseCounting"
            | "chineseCountingThousand"
            | "japaneseCounting"
            | "ideographDigital"
            | "taiwaneseCountingThousand"
            | "taiwaneseCounting"
            | "japaneseDigitalTenThousand" => Self::Chinese,
            _ => Self::Decimal,
        }
    }

    pub(crate) fn write(self, number: u32) -> String {
        match self {
            Self::Decimal => number.to_string(),
            Self::DecimalZero => format!("{number:02}"),
            Self::LowerLetter => letters(number, b'a'),
            Self::UpperLetter => letters(number, b'A'),
            Self::LowerRoman => roman(number).to_lowercase(),
            Self::UpperRoman => roman(number),
            Self::Chinese => chinese(number),
            Self::None => String::new(),
        }
    }
}

/// a … z, aa, bb, … as Word counts.
fn letters(number: u32, first: u8) -> String {
    let Some(index) = number.checked_sub(1) else { return String::new() };
    let letter = char::from(first + (index % 26) as u8);
    std::iter::repeat_n(letter, (index / 26 + 1).min(20) as usize).collect()
}

fn roman(number: u32) -> String {
    const DIGITS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest = number.min(9999);
    let mut out = String::new();
    for (value, digit) in DIGITS {
        while rest >= value {
            out.push_str(digit);
            rest -= value;
        }
    }
    out
}

fn chinese(number: u32) -> String {
    const DIGITS: [char; 10] = ['零', '一', '二', '三', '四', '五', '六', '七', '八', '九'];
    const UNITS: [(u32, &str); 4] = [(1000, "千"), (100, "百"), (10, "十"), (1, "")];
    if number == 0 || number > 9999 {
        return number.to_string();
    }
    let mut out = String::new();
    let mut gap = false;
    for (value, unit) in UNITS {
        let digit = (number / value % 10) as usize;
        if digit == 0 {
            gap = !out.is_empty();
            continue;
        }
        if gap {
            out.push('零');
            gap = false;
        }
        // 十二, not 一十二.
        if !(out.is_empty() && value == 10 && digit == 1) {
            out.push(DIGITS[digit]);
        }
        out.push_str(unit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_as_word_does() {
        use NumberFormat::*;
        let cases = [
            (Decimal, 12, "12"),
            (DecimalZero, 3, "03"),
            (LowerLetter, 3, "c"),
            (UpperLetter, 28, "BB"),
            (LowerRoman, 14, "xiv"),
            (UpperRoman, 1994, "MCMXCIV"),
            (Chinese, 3, "三"),
            (Chinese, 12, "十二"),
            (Chinese, 20, "二十"),
            (Chinese, 105, "一百零五"),
            (Chinese, 110, "一百一十"),
            (None, 4, ""),
        ];
        for (format, number, expected) in cases {
            assert_eq!(format.write(number), expected, "{format:?} {number}");
        }
    }
}
