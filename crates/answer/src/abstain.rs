//! Saying that the sources do not hold the answer, instead of making one up.

use crate::support::{CheckedSentence, Support};
use crate::terms::Terms;
use crate::{Language, Passage, detect_language};

const ENGLISH: &str = "The documents do not contain the answer to this question.";
const CHINESE: &str = "文档中没有这个问题的答案。";

/// What is said, and what a model may be told to say, when the sources do not hold the
/// answer. In Chinese for Chinese questions, otherwise in English.
pub fn abstention(language: Language) -> &'static str {
    match language {
        Language::Chinese => CHINESE,
        _ => ENGLISH,
    }
}

/// When to abstain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AbstainOptions {
    /// A passage that shares no content word with the question is still evidence
    /// if its cosine similarity to the question is at least this. The right value
    /// depends on the embedder.
    pub min_similarity: f32,
    /// The model is asked first whether the sources hold the answer, and where its yes is
    /// less likely than this (against no, in 0..=1), it is not asked for one. The right value
    /// depends on the model. `None` asks for an answer at once and tells the model to
    /// abstain, which large models do well and small ones far too often.
    pub min_evidence: Option<f32>,
    /// So many sources are shown to the model at once when it is asked whether they hold the
    /// answer. It judges one at a time far better than several.
    pub asked_together: usize,
    /// Whether an answer in which every claim is unsupported is withheld.
    pub withhold_unsupported: bool,
}

impl Default for AbstainOptions {
    fn default() -> Self {
        Self {
            min_similarity: 0.5,
            min_evidence: None,
            asked_together: 1,
            withhold_unsupported: true,
        }
    }
}

/// Whether it is plain before any generation that `passages` cannot answer
/// `question`: there are none, or none shares a content word with it and the best
/// cosine similarity is low. Where no similarity is known, only passages in the
/// question's own script are judged: words of different languages never agree.
pub fn before_generation(
    question: &str,
    passages: &[Passage],
    similarity: Option<f32>,
    options: &AbstainOptions,
) -> bool {
    if passages.iter().all(|passage| passage.text.trim().is_empty()) {
        return true;
    }
    let asked = Terms::of(question);
    let shares = |passage: &Passage| {
        let mut keys = Terms::of(&passage.text).keys;
        keys.extend(passage.heading.iter().flat_map(|heading| Terms::of(heading).keys));
        keys.extend(Terms::of(passage.file_name()).keys);
        asked.terms.iter().any(|term| {
            keys.contains(&term.key) || keys.iter().any(|key| crate::terms::akin(key, &term.key))
        })
    };
    if asked.terms.is_empty() || passages.iter().any(shares) {
        return false;
    }
    match similarity {
        Some(similarity) => similarity < options.min_similarity,
        None => {
            let script = detect_language(question);
            passages.iter().all(|passage| detect_language(&passage.text) == script)
        }
    }
}

/// Whether a finished answer comes to "the sources do not hold it": it begins by
/// saying so and supports nothing else, or none of its claims is supported even
/// in part.
pub fn after_generation(sentences: &[CheckedSentence], options: &AbstainOptions) -> bool {
    let says_so = sentences.iter().any(|sentence| is_abstention(&sentence.text));
    let exactly = sentences.first().is_some_and(|sentence| is_fixed(&sentence.text));
    let mut claims =
        sentences.iter().filter(|sentence| sentence.support != Support::None).peekable();
    if exactly || claims.peek().is_none() && (says_so || sentences.is_empty()) {
        return true;
    }
    let supported = claims.clone().any(|sentence| sentence.support == Support::Supported);
    let unsupported =
        claims.peek().is_some() && claims.all(|sentence| sentence.support == Support::Unsupported);
    says_so && !supported || unsupported && options.withhold_unsupported
}

/// Whether `sentence` is the fixed sentence of either language, whatever its
/// punctuation.
pub(crate) fn is_fixed(sentence: &str) -> bool {
    let sentence = bare(sentence);
    [ENGLISH, CHINESE].iter().any(|fixed| sentence == bare(fixed))
}

fn bare(text: &str) -> String {
    text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Whether `sentence` says, in the fixed words or in a model's own, that the
/// sources do not hold the answer.
pub fn is_abstention(sentence: &str) -> bool {
    if is_fixed(sentence) {
        return true;
    }
    let lower = sentence
        .to_lowercase()
        .replace('’', "'")
        .replace("n't", " not")
        .replace("cannot", "can not");
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let text = format!(" {} ", words.join(" "));
    let any = |list: &[&str]| list.iter().any(|phrase| text.contains(phrase));
    let about_sources = any(&[
        " source ",
        " sources ",
        " document ",
        " documents ",
        " passage ",
        " passages ",
        " context ",
        " text ",
        " information ",
        " provided ",
        " given ",
    ]);
    let silent = any(&[
        " not contain",
        " not provide",
        " not mention",
        " not include",
        " not specif",
        " not state",
        " not say",
        " not answer",
        " not give",
        " not have ",
        " not enough information",
        " no information",
        " no mention",
        " no answer",
        " not found",
        " not available",
        " not in the ",
        " not hold",
        " not discuss",
        " not address",
        " insufficient ",
    ]);
    let unable = any(&[
        " i do not know ",
        " i can not answer",
        " i can not find",
        " i could not find",
        " i am unable to",
        " i m unable to",
        " unable to answer",
        " can not be answered",
        " can not be determined",
        " i m sorry but",
    ]);
    let about_sources_zh = ["文档", "资料", "来源", "文中", "原文", "上述", "提供", "给定", "文件"]
        .iter()
        .any(|w| sentence.contains(w));
    let silent_zh = [
        "没有提",
        "未提",
        "没有包含",
        "不包含",
        "没有说明",
        "没有相关",
        "没有答案",
        "没有足够",
        "没有找到",
        "未包含",
        "未说明",
        "没有关于",
        "没有给出",
        "未给出",
    ]
    .iter()
    .any(|w| sentence.contains(w));
    let unable_zh = ["无法回答", "无法确定", "我不知道", "找不到答案", "无法从"]
        .iter()
        .any(|w| sentence.contains(w));
    about_sources && silent && words.len() < 40
        || unable
        || about_sources_zh && silent_zh
        || unable_zh
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::passage;

    #[test]
    fn recognises_abstentions_in_a_models_own_words() {
        let cases = [
            (ENGLISH, true),
            (CHINESE, true),
            ("the documents do not contain the answer to this question", true),
            ("The sources don't mention the price.", true),
            ("The provided text does not specify who won.", true),
            ("There is no information about this in the documents.", true),
            ("I don't know.", true),
            ("It cannot be determined.", true),
            ("资料中没有提到价格。", true),
            ("根据提供的内容，无法确定日期。", true),
            ("The contract does not allow subletting.", false),
            ("The price is ten euros.", false),
            ("Smoking is not permitted.", false),
            ("合同不得转让。", false),
            ("", false),
        ];
        for (sentence, expected) in cases {
            assert_eq!(is_abstention(sentence), expected, "{sentence}");
        }
    }

    #[test]
    fn abstains_before_generation_only_without_any_evidence() {
        let rent = passage("The rent is 900 euros.", 0);
        let chinese = passage("租金为九百欧元。", 0);
        let options = AbstainOptions::default();
        let cases: &[(&str, &[Passage], Option<f32>, bool)] = &[
            ("What is the rent?", &[], Some(0.9), true),
            ("What is the rent?", std::slice::from_ref(&rent), None, false),
            ("Who won the championship?", std::slice::from_ref(&rent), None, true),
            ("Who won the championship?", std::slice::from_ref(&rent), Some(0.2), true),
            ("How much do tenants pay?", std::slice::from_ref(&rent), Some(0.8), false),
            ("How much do tenants pay?", std::slice::from_ref(&chinese), None, false),
            ("租金是多少？", std::slice::from_ref(&chinese), None, false),
            ("谁赢得了冠军？", std::slice::from_ref(&chinese), None, true),
            ("What does it say?", std::slice::from_ref(&rent), None, false),
        ];
        for (question, passages, similarity, expected) in cases {
            assert_eq!(
                before_generation(question, passages, *similarity, &options),
                *expected,
                "{question}"
            );
        }
    }

    #[test]
    fn abstains_after_generation_when_nothing_holds() {
        let sentence = |text: &str, support| CheckedSentence {
            range: lectern_domain::CharRange::new(0, 0),
            text: text.to_owned(),
            citations: Vec::new(),
            support,
            score: 0.0,
            quotes: Vec::new(),
        };
        use Support::{None, Partial, Supported, Unsupported};
        let cases: &[(&[(&str, Support)], bool)] = &[
            (&[], true),
            (&[(ENGLISH, None)], true),
            (&[(ENGLISH, None), ("But it is red.", Supported)], true),
            (&[("The sources do not mention it.", None), ("It is red.", Partial)], true),
            (&[("It is red.", Supported), ("The sources do not mention more.", None)], false),
            (&[("It is red.", Unsupported)], true),
            (&[("It is red.", Unsupported), ("It is big.", Partial)], false),
            (&[("Yes.", None)], false),
        ];
        for (sentences, expected) in cases {
            let sentences: Vec<CheckedSentence> =
                sentences.iter().map(|(text, s)| sentence(text, *s)).collect();
            assert_eq!(
                after_generation(&sentences, &AbstainOptions::default()),
                *expected,
                "{sentences:?}"
            );
        }
        let keep = AbstainOptions { withhold_unsupported: false, ..AbstainOptions::default() };
        assert!(!after_generation(&[sentence("It is red.", Unsupported)], &keep));
    }
}
