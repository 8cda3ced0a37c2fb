//! The language of a document.

use whatlang::{Detector, Lang, Script};

use crate::{Indexer, IngestError};

/// Documents are looked at so many at a time.
const BATCH: usize = 64;

/// Enough of a text to tell its language by, in characters.
const SAMPLE: usize = 1_500;

/// What is less sure than this is a guess.
const SURE: f64 = 0.15;

/// What can be told, each with its ISO 639-1 code.
const LANGUAGES: [(Lang, &str); 64] = [
    (Lang::Afr, "af"),
    (Lang::Amh, "am"),
    (Lang::Ara, "ar"),
    (Lang::Aze, "az"),
    (Lang::Bel, "be"),
    (Lang::Ben, "bn"),
    (Lang::Bul, "bg"),
    (Lang::Cat, "ca"),
    (Lang::Ces, "cs"),
    (Lang::Cmn, "zh"),
    (Lang::Dan, "da"),
    (Lang::Deu, "de"),
    (Lang::Ell, "el"),
    (Lang::Eng, "en"),
    (Lang::Est, "et"),
    (Lang::Fin, "fi"),
    (Lang::Fra, "fr"),
    (Lang::Guj, "gu"),
    (Lang::Heb, "he"),
    (Lang::Hin, "hi"),
    (Lang::Hrv, "hr"),
    (Lang::Hun, "hu"),
    (Lang::Hye, "hy"),
    (Lang::Ind, "id"),
    (Lang::Ita, "it"),
    (Lang::Jav, "jv"),
    (Lang::Jpn, "ja"),
    (Lang::Kan, "kn"),
    (Lang::Kat, "ka"),
    (Lang::Khm, "km"),
    (Lang::Kor, "ko"),
    (Lang::Lat, "la"),
    (Lang::Lav, "lv"),
    (Lang::Lit, "lt"),
    (Lang::Mal, "ml"),
    (Lang::Mar, "mr"),
    (Lang::Mkd, "mk"),
    (Lang::Mya, "my"),
    (Lang::Nep, "ne"),
    (Lang::Nld, "nl"),
    (Lang::Nob, "no"),
    (Lang::Ori, "or"),
    (Lang::Pan, "pa"),
    (Lang::Pes, "fa"),
    (Lang::Pol, "pl"),
    (Lang::Por, "pt"),
    (Lang::Ron, "ro"),
    (Lang::Rus, "ru"),
    (Lang::Sin, "si"),
    (Lang::Slk, "sk"),
    (Lang::Slv, "sl"),
    (Lang::Spa, "es"),
    (Lang::Srp, "sr"),
    (Lang::Swe, "sv"),
    (Lang::Tam, "ta"),
    (Lang::Tel, "te"),
    (Lang::Tgl, "tl"),
    (Lang::Tha, "th"),
    (Lang::Tur, "tr"),
    (Lang::Ukr, "uk"),
    (Lang::Urd, "ur"),
    (Lang::Uzb, "uz"),
    (Lang::Vie, "vi"),
    (Lang::Zul, "zu"),
];

/// The ISO 639-1 codes of the languages that are told apart, in order.
pub fn languages() -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().map(|(_, code)| *code)
}

/// The language of a text as an ISO 639-1 code; `None` where that is a guess.
pub fn language_of(text: &str) -> Option<&'static str> {
    let known = LANGUAGES.iter().map(|(language, _)| *language).collect();
    let found = Detector::with_allowlist(known).detect(text)?;
    // Where a script is that of one language, a few letters will do.
    let is_of_one = !matches!(found.script(), Script::Latin | Script::Cyrillic | Script::Arabic);
    let sure = found.confidence() >= SURE || is_of_one;
    let code = LANGUAGES.iter().find(|(language, _)| *language == found.lang());
    code.filter(|_| sure).map(|(_, code)| *code)
}

impl Indexer {
    /// Tells the language of documents that nobody has looked at. Returns whether there were any.
    pub(crate) fn tell_languages(&self) -> Result<bool, IngestError> {
        let catalog = &self.parts.catalog;
        let texts = catalog.documents_without_language(BATCH, SAMPLE)?;
        let languages: Vec<_> =
            texts.iter().map(|(document, text)| (*document, language_of(text))).collect();
        catalog.set_languages(&languages)?;
        Ok(!languages.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_told_where_it_is_no_guess() {
        let cases = [
            ("The tenant pays the rent on the first day of every month, in advance.", Some("en")),
            ("Der Mieter zahlt die Miete am ersten Tag eines jeden Monats im Voraus.", Some("de")),
            ("Le locataire paie le loyer le premier jour de chaque mois, d'avance.", Some("fr")),
            ("承租人每月第一天支付租金。", Some("zh")),
            ("賃借人は毎月一日に家賃を支払う。", Some("ja")),
            ("임차인은 매월 1일에 임대료를 지불한다.", Some("ko")),
            ("يدفع المستأجر الإيجار في اليوم الأول من كل شهر مقدما.", Some("ar")),
            ("Арендатор платит арендную плату в первый день каждого месяца вперёд.", Some("ru")),
            ("40 12.5 | 13.0 | 14.5", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(language_of(text), expected, "{text}");
        }
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = languages().collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), LANGUAGES.len());
    }
}
