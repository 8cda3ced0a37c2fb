//! Plain text, and the decoding of bytes that text, Markdown and HTML share.

use chardetng::EncodingDetector;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::ReadError;
use crate::compose::{Composer, DraftBlock, groups};

/// Paragraphs are separated by blank lines; the lines in them stay lines.
pub(crate) fn read(bytes: &[u8], mut composer: Composer) -> Result<Extraction, ReadError> {
    let text = lines(decode(bytes, None)?);
    for (line, paragraph) in groups(&text, 1) {
        composer.block(&DraftBlock::new(BlockKind::Paragraph, paragraph.join("\n")).at(line));
    }
    composer.finish(DocumentKind::Txt)
}

/// The text with `\n` for every line break. A form feed is one too.
pub(crate) fn lines(text: String) -> String {
    if text.contains(['\r', '\u{0C}']) {
        text.replace("\r\n", "\n").replace(['\r', '\u{0C}'], "\n")
    } else {
        text
    }
}

/// Decodes the bytes of a text file: by its byte order mark, by the pattern of NUL bytes that
/// UTF-16 without a mark has, by `declared` (the encoding a document names itself), as UTF-8
/// where it is valid, and else by the statistics of `chardetng`.
///
/// # Errors
///
/// [`ReadError::NotText`] where the bytes are no text in any encoding.
pub(crate) fn decode(
    bytes: &[u8],
    declared: Option<&'static Encoding>,
) -> Result<String, ReadError> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return checked(encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned());
    }
    if let Some(encoding) = utf16_by_nuls(bytes) {
        return checked(encoding.decode_without_bom_handling(bytes).0.into_owned());
    }
    if let Some(encoding) = declared.filter(|encoding| *encoding != UTF_8) {
        return checked(encoding.decode_without_bom_handling(bytes).0.into_owned());
    }
    // ISO-2022-JP is valid UTF-8 too, but only it has these escapes.
    let escapes = bytes.windows(2).any(|pair| pair == b"\x1B$");
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| !escapes) {
        return checked(text.to_owned());
    }
    if let Some(encoding) = utf16_by_letters(bytes) {
        return checked(encoding.decode_without_bom_handling(bytes).0.into_owned());
    }
    if bytes.contains(&0) || is_ebcdic(bytes) {
        return Err(ReadError::NotText);
    }
    let mut detector = EncodingDetector::new();
    detector.feed(bytes, true);
    let encoding = detector.guess(None, true);
    checked(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

/// UTF-16 without a byte order mark: text in it has many NULs, nearly all at one parity.
fn utf16_by_nuls(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(4096) & !1];
    let nuls = |parity: usize| head.iter().skip(parity).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    let enough = (head.len() / 2 / 10).max(1);
    if odd >= enough && even * 20 <= odd {
        Some(UTF_16LE)
    } else if even >= enough && odd * 20 <= even {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// UTF-16 without a byte order mark in scripts that have no NULs, such as Chinese. Read in the
/// right byte order nearly every unit is a letter of a script in use or common punctuation;
/// other encodings read so give units from all over the plane.
fn utf16_by_letters(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(4096) & !1];
    if head.len() < 16 || bytes.len() % 2 == 1 {
        return None;
    }
    let usual = |unit: u16| {
        matches!(unit,
            0x0A | 0x0D | 0x20..=0x7E | 0xA0..=0x24F | 0x370..=0x5FF | 0x600..=0x6FF | 0x900..=0xDFF
            | 0x0E00..=0x0E7F | 0x2010..=0x2027 | 0x3000..=0x30FF | 0x4E00..=0x9FFF | 0xAC00..=0xD7A3 | 0xFF01..=0xFF5E)
    };
    // Punctuation and blanks stand in every text; nothing else makes them by chance so often.
    let stop = |unit: u16| {
        matches!(
            unit,
            0x0A | 0x0D | 0x20 | 0x2C | 0x2E | 0x3001 | 0x3002 | 0xFF0C | 0xFF1A | 0xFF1B
        )
    };
    let fits = |unit_of: fn([u8; 2]) -> u16| {
        let units = head.chunks_exact(2).map(|pair| unit_of([pair[0], pair[1]]));
        let (mut good, mut stops) = (0, 0);
        for unit in units {
            good += usize::from(usual(unit));
            stops += usize::from(stop(unit));
        }
        let all = head.len() / 2;
        good * 100 >= all * 97 && stops * 100 >= all
    };
    if fits(u16::from_le_bytes) {
        Some(UTF_16LE)
    } else if fits(u16::from_be_bytes) {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Text of mainframes: its blank is `@`, its letters and digits are in the upper half. Read in
/// any encoding of ours it would be noise without a sign of being so.
fn is_ebcdic(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    let count = |wanted: fn(&u8) -> bool| head.iter().filter(|byte| wanted(byte)).count();
    let blanks = count(|byte| *byte == 0x40);
    let upper = count(|byte| matches!(byte, 0x81..=0xA9 | 0xC1..=0xE9 | 0xF0..=0xF9));
    let ascii = count(|byte| matches!(byte, b' ' | b'\n' | b'a'..=b'z'));
    blanks * 20 >= head.len() && upper * 20 >= head.len() && ascii * 4 < upper
}

/// Text has next to no control characters and next to nothing that could not be decoded.
fn checked(text: String) -> Result<String, ReadError> {
    let (mut all, mut bad) = (0usize, 0usize);
    for c in text.chars() {
        all += 1;
        let control = c.is_control()
            && !matches!(c, '\n' | '\r' | '\t' | '\u{0C}' | '\u{0B}' | '\u{1B}' | '\u{1A}');
        bad += usize::from(control || c == '\u{FFFD}');
    }
    if bad * 50 > all { Err(ReadError::NotText) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CHINESE: &str = "本合同由甲乙双方于北京签订。合同金额为人民币三万元整，付款方式为银行转账。\
        乙方应当在收到货物后三十日内支付全部款项，逾期付款的，每日按照未付金额的万分之五支付违约金。";

    fn utf16(text: &str, little: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
            .collect()
    }

    #[test]
    fn decodes_what_people_have_on_their_disks() {
        let gbk = encoding_rs::GBK.encode(CHINESE).0.into_owned();
        let big5_text = "合約當事人應於三十日內付清款項，逾期未付者，每日加計違約金。";
        let big5 = encoding_rs::BIG5.encode(big5_text).0.into_owned();
        let sjis_text =
            "この契約は、当事者の間で東京において締結されたものであり、支払いは銀行振込とします。";
        let sjis = encoding_rs::SHIFT_JIS.encode(sjis_text).0.into_owned();
        let latin_text = "Die Gebühr beträgt fünfzig Euro und ist für das ganze Jahr fällig.";
        let latin = encoding_rs::WINDOWS_1252.encode(latin_text).0.into_owned();
        let english = "Plain words, without any mark.";
        let russian = "Договор вступает в силу со дня подписания и действует до конца года.";
        let greek = "Η σύμβαση αρχίζει να ισχύει από την ημέρα της υπογραφής της από τα μέρη.";
        let polish = "Umowa wchodzi w życie z dniem podpisania przez obie strony i obowiązuje do końca roku. \
            Wynagrodzenie zostanie zapłacone w ciągu czternastu dni od dnia otrzymania faktury. Wszelkie zmiany \
            umowy wymagają formy pisemnej pod rygorem nieważności, a spory rozstrzyga właściwy sąd.";
        let hebrew = "החוזה נכנס לתוקף ביום חתימתו על ידי הצדדים ויעמוד בתוקפו עד סוף השנה.";
        let arabic = "يدخل العقد حيز التنفيذ اعتبارا من تاريخ توقيعه من قبل الطرفين.";
        let korean =
            "본 계약은 당사자가 서명한 날로부터 효력이 발생하며 대금은 은행 송금으로 지급한다.";
        let cases: Vec<(&str, Vec<u8>, &str)> = vec![
            ("utf-8", CHINESE.as_bytes().to_vec(), CHINESE),
            ("utf-8 with mark", [b"\xEF\xBB\xBF", english.as_bytes()].concat(), english),
            ("utf-16le with mark", [b"\xFF\xFE".to_vec(), utf16(CHINESE, true)].concat(), CHINESE),
            ("utf-16be with mark", [b"\xFE\xFF".to_vec(), utf16(CHINESE, false)].concat(), CHINESE),
            ("utf-16le", utf16(english, true), english),
            ("utf-16be", utf16(english, false), english),
            ("utf-16le in chinese", utf16(CHINESE, true), CHINESE),
            ("utf-16be in chinese", utf16(CHINESE, false), CHINESE),
            ("utf-16le in russian", utf16(russian, true), russian),
            ("gb18030", encoding_rs::GB18030.encode(CHINESE).0.into_owned(), CHINESE),
            ("euc-jp", encoding_rs::EUC_JP.encode(sjis_text).0.into_owned(), sjis_text),
            ("iso-2022-jp", encoding_rs::ISO_2022_JP.encode(sjis_text).0.into_owned(), sjis_text),
            ("euc-kr", encoding_rs::EUC_KR.encode(korean).0.into_owned(), korean),
            ("windows-1251", encoding_rs::WINDOWS_1251.encode(russian).0.into_owned(), russian),
            ("koi8-r", encoding_rs::KOI8_R.encode(russian).0.into_owned(), russian),
            ("windows-1253", encoding_rs::WINDOWS_1253.encode(greek).0.into_owned(), greek),
            ("windows-1250", encoding_rs::WINDOWS_1250.encode(polish).0.into_owned(), polish),
            ("windows-1255", encoding_rs::WINDOWS_1255.encode(hebrew).0.into_owned(), hebrew),
            ("windows-1256", encoding_rs::WINDOWS_1256.encode(arabic).0.into_owned(), arabic),
            ("gbk", gbk, CHINESE),
            ("big5", big5, big5_text),
            ("shift_jis", sjis, sjis_text),
            ("windows-1252", latin, latin_text),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(decode(&bytes, None).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let png = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\x08\x06\0\0\0".repeat(9);
        let elf = (0u32..4000)
            .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect::<Vec<_>>();
        // "HELLO WORLD 2026" as a mainframe writes it.
        let ebcdic =
            b"\xC8\xC5\xD3\xD3\xD6\x40\xE6\xD6\xD9\xD3\xC4\x40\xF2\xF0\xF2\xF6\x40".repeat(40);
        for bytes in [png, elf, ebcdic] {
            assert!(matches!(decode(&bytes, None), Err(ReadError::NotText)));
        }
    }

    #[test]
    fn blank_lines_separate_paragraphs() {
        let extraction =
            read("One\r\ntwo  \r\n\r\n \r\nthree\n".as_bytes(), Composer::default()).unwrap();
        assert_eq!(extraction.text, "One\ntwo\n\nthree");
        assert_eq!(extraction.blocks.len(), 2);
        let lines: Vec<u32> = extraction.anchors.iter().map(|anchor| anchor.line).collect();
        assert_eq!(lines, [1, 5]);
    }
}
