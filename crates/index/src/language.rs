//! The stemmers that suit a text, and the words that only build its sentences.

use frostem::{Algorithm, Stemmer};
use lance_tokenizer::{Language, RawTokenizer, StopWordFilter, TextAnalyzer, TokenStream as _};
use whatlang::{Detector, Lang, Script};

/// The languages that are told apart: those with a stemmer, and those that would be taken for one of
/// them.
const LANGUAGES: [(Lang, Option<Algorithm>); 33] = [
    (Lang::Ara, Some(Algorithm::Arabic)),
    (Lang::Bul, None),
    (Lang::Cat, None),
    (Lang::Ces, None),
    (Lang::Cmn, None),
    (Lang::Dan, Some(Algorithm::Danish)),
    (Lang::Deu, Some(Algorithm::German)),
    (Lang::Ell, Some(Algorithm::Greek)),
    (Lang::Eng, Some(Algorithm::English)),
    (Lang::Fin, Some(Algorithm::Finnish)),
    (Lang::Fra, Some(Algorithm::French)),
    (Lang::Heb, None),
    (Lang::Hin, None),
    (Lang::Hun, Some(Algorithm::Hungarian)),
    (Lang::Ind, None),
    (Lang::Ita, Some(Algorithm::Italian)),
    (Lang::Jpn, None),
    (Lang::Kor, None),
    (Lang::Nld, Some(Algorithm::Dutch)),
    (Lang::Nob, Some(Algorithm::Norwegian)),
    (Lang::Pes, None),
    (Lang::Pol, None),
    (Lang::Por, Some(Algorithm::Portuguese)),
    (Lang::Ron, Some(Algorithm::Romanian)),
    (Lang::Rus, Some(Algorithm::Russian)),
    (Lang::Spa, Some(Algorithm::Spanish)),
    (Lang::Swe, Some(Algorithm::Swedish)),
    (Lang::Tam, Some(Algorithm::Tamil)),
    (Lang::Tha, None),
    (Lang::Tur, Some(Algorithm::Turkish)),
    (Lang::Ukr, None),
    (Lang::Urd, None),
    (Lang::Vie, None),
];

/// Enough to tell a language by.
const DETECTED_CHARACTERS: usize = 2_000;

/// A language that is less sure than this is a guess. ("Mietvertrag" is German with .3, "rent" is
/// French with .02.)
const WORTH_TRYING: f64 = 0.15;

/// The stemmers for a text's words.
pub(crate) struct Stemmers {
    /// For words in Latin letters: of the text's language, or of English and the likeliest one where
    /// the text is too short to tell.
    latin: Vec<Algorithm>,
    /// For all other words.
    other: Option<Algorithm>,
}

impl Stemmers {
    /// The stemmers for the words of `text`.
    pub(crate) fn of(text: &str) -> Self {
        let english = || vec![Algorithm::English];
        let end = text.char_indices().nth(DETECTED_CHARACTERS).map_or(text.len(), |(at, _)| at);
        let languages = LANGUAGES.iter().map(|(language, _)| *language).collect();
        let Some(found) = Detector::with_allowlist(languages).detect(&text[..end]) else {
            return Self { latin: english(), other: None };
        };
        let algorithm = LANGUAGES
            .iter()
            .find(|(language, _)| *language == found.lang())
            .and_then(|(_, algorithm)| *algorithm);
        if found.script() != Script::Latin {
            return Self { latin: english(), other: algorithm };
        }
        if found.confidence() < WORTH_TRYING || algorithm == Some(Algorithm::English) {
            return Self { latin: english(), other: None };
        }
        let mut latin: Vec<Algorithm> = algorithm.into_iter().collect();
        if !found.is_reliable() {
            latin.extend(english());
        }
        Self { latin, other: None }
    }

    /// The stems of a word in lower case; the word itself where no stemmer knows it.
    pub(crate) fn stems(&self, word: &str) -> Vec<String> {
        let latin = word.chars().all(|c| c <= '\u{24f}' || ('\u{1e00}'..='\u{1eff}').contains(&c));
        let stemmers = if latin { self.latin.as_slice() } else { self.other.as_slice() };
        // Numbers and single letters have no forms.
        if word.len() <= 2 || stemmers.is_empty() || !word.chars().any(char::is_alphabetic) {
            return vec![word.to_owned()];
        }
        stemmers.iter().map(|of| Stemmer::new(*of).stem(word).into_owned()).collect()
    }

    /// Those of `words`, in lower case, that only build sentences in the language of their text. Where
    /// that is in doubt, it is the one that knows most of them.
    pub(crate) fn function_words(&self, words: Vec<String>) -> Vec<String> {
        let of_language = |algorithm: &Algorithm| {
            let Some(filter) = function_words(*algorithm) else { return Vec::new() };
            let mut others = TextAnalyzer::builder(RawTokenizer::default()).filter(filter).build();
            let known = words.iter().filter(|word| !others.token_stream(word).advance());
            known.cloned().collect::<Vec<_>>()
        };
        // The last of equals: English among Latin letters.
        let known = self.latin.iter().chain(&self.other).map(of_language);
        known.max_by_key(Vec::len).unwrap_or_default()
    }
}

/// Snowball's list of a language's function words and its like, as the index comes with them.
fn function_words(algorithm: Algorithm) -> Option<StopWordFilter> {
    StopWordFilter::new(match algorithm {
        Algorithm::Arabic => Language::Arabic,
        Algorithm::Danish => Language::Danish,
        Algorithm::Dutch => Language::Dutch,
        Algorithm::English => Language::English,
        Algorithm::Finnish => Language::Finnish,
        Algorithm::French => Language::French,
        Algorithm::German => Language::German,
        Algorithm::Greek => Language::Greek,
        Algorithm::Hungarian => Language::Hungarian,
        Algorithm::Italian => Language::Italian,
        Algorithm::Norwegian => Language::Norwegian,
        Algorithm::Portuguese => Language::Portuguese,
        Algorithm::Romanian => Language::Romanian,
        Algorithm::Russian => Language::Russian,
        Algorithm::Spanish => Language::Spanish,
        Algorithm::Swedish => Language::Swedish,
        Algorithm::Tamil => Language::Tamil,
        Algorithm::Turkish => Language::Turkish,
        _ => return None,
    })
}
