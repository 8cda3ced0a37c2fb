//! Plain text, and the decoding of bytes that text, Markdown and HTML share.

use chardetng::EncodingDetector;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::compose::{Composer, DraftBlock};
use crate::{MAX_TEXT_BYTES, ReadError};

pub(crate) fn read(bytes: &[u8]) -> Result<Extraction, ReadError> {
    let text = decode(bytes, None)?;
    let mut composer = Composer::default();
    for block in paragraphs(&text) {
        composer.block(&block);
    }
    composer.finish(DocumentKind::Txt)
}

/// Paragraphs are separated by blank lines; the lines in them stay lines.
fn paragraphs(text: &str) -> Vec<DraftBlock> {
    let mut blocks = Vec::new();
    let mut paragraph = String::new();
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{0C}'], "\n");
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            if !paragraph.is_empty() {
                paragraph.push('\n');
            }
            paragraph.push_str(line);
        } else if !paragraph.is_empty() {
            blocks.push(DraftBlock::new(BlockKind::Paragraph, std::mem::take(&mut paragraph)));
        }
    }
    blocks
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
    if bytes.len() > MAX_TEXT_BYTES {
        return Err(ReadError::TooBig);
    }
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
    if bytes.contains(&0) {
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
        let cases: Vec<(&str, Vec<u8>, &str)> = vec![
            ("utf-8", CHINESE.as_bytes().to_vec(), CHINESE),
            ("utf-8 with mark", [b"\xEF\xBB\xBF", english.as_bytes()].concat(), english),
            ("utf-16le with mark", [b"\xFF\xFE".to_vec(), utf16(CHINESE, true)].concat(), CHINESE),
            ("utf-16be with mark", [b"\xFE\xFF".to_vec(), utf16(CHINESE, false)].concat(), CHINESE),
            ("utf-16le", utf16(english, true), english),
            ("utf-16be", utf16(english, false), english),
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
        for bytes in [png, elf] {
            assert!(matches!(decode(&bytes, None), Err(ReadError::NotText)));
        }
    }

    #[test]
    fn blank_lines_separate_paragraphs() {
        let extraction = read("One\r\ntwo  \r\n\r\n \r\nthree\n".as_bytes()).unwrap();
        assert_eq!(extraction.text, "One\ntwo\n\nthree");
        assert_eq!(extraction.blocks.len(), 2);
    }
}
