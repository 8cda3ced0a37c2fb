//! The sentences of an answer and the sources each of them cites.

use lectern_domain::CharRange;
use serde::{Deserialize, Serialize};

use crate::citations::markers;

/// A sentence of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerSentence {
    /// Its characters in the answer, with its markers.
    pub range: CharRange,
    /// What it says, without markers.
    pub text: String,
    /// The sources it cites, in the order of their markers, each once.
    pub citations: Vec<usize>,
}

/// Splits an answer whose markers are clean (see [`crate::citations`]).
///
/// A marker belongs to the sentence it stands in or follows, also after the full
/// stop; at the start of a line it belongs to the sentence after it.
pub fn split(answer: &str) -> Vec<AnswerSentence> {
    // The text without markers and the white space before them, and for each of
    // its characters the place in the answer.
    let chars: Vec<char> = answer.chars().collect();
    let mut places: Vec<usize> = Vec::with_capacity(chars.len());
    // Each marker: its characters, its number, and how much plain text is before it.
    let mut marks: Vec<(usize, usize, usize, usize)> = Vec::new();
    let mut found = markers(answer).into_iter().peekable();
    let mut skip_to = 0;
    for (index, (byte, _)) in answer.char_indices().enumerate() {
        if index < skip_to {
            continue;
        }
        if let Some((range, n)) = found.next_if(|(range, _)| range.start == byte) {
            skip_to = index + answer[range].chars().count();
            while places.last().is_some_and(|&place| matches!(chars[place], ' ' | '\t')) {
                places.pop();
            }
            marks.push((index, skip_to, n, places.len()));
            continue;
        }
        places.push(index);
    }
    let plain: String = places.iter().map(|&place| chars[place]).collect();
    let ranges = lectern_domain::sentences(&plain);
    let mut sentences: Vec<AnswerSentence> = ranges
        .iter()
        .map(|range| AnswerSentence {
            range: CharRange::new(
                places[range.start as usize] as u32,
                places[range.end as usize - 1] as u32 + 1,
            ),
            text: lectern_domain::char_slice(&plain, *range).to_owned(),
            citations: Vec::new(),
        })
        .collect();
    for (start, end, n, before) in marks {
        let follows = ranges.iter().rposition(|range| (range.start as usize) < before);
        let index = match follows {
            Some(index) => {
                let apart = ranges[index].end as usize <= before
                    && places[ranges[index].end as usize..before]
                        .iter()
                        .any(|&place| chars[place] == '\n');
                if apart && index + 1 < ranges.len() { index + 1 } else { index }
            }
            None => 0,
        };
        let Some(sentence) = sentences.get_mut(index) else { continue };
        sentence.range.start = sentence.range.start.min(start as u32);
        sentence.range.end = sentence.range.end.max(end as u32);
        if !sentence.citations.contains(&n) {
            sentence.citations.push(n);
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_belong_to_the_sentence_they_follow() {
        type Expected<'a> = &'a [(&'a str, &'a [usize])];
        let cases: &[(&str, Expected)] = &[
            ("", &[]),
            ("[1]", &[]),
            ("It is red. [1] It is big. [2]", &[("It is red.", &[1]), ("It is big.", &[2])]),
            ("It is red [1]. It is big.[2][3]", &[("It is red.", &[1]), ("It is big.", &[2, 3])]),
            (
                "Dr. May [2] paid 3.5 euros [1]. Fine.",
                &[("Dr. May paid 3.5 euros.", &[2, 1]), ("Fine.", &[])],
            ),
            ("金额三万元。[1]期限十天[2]。", &[("金额三万元。", &[1]), ("期限十天。", &[2])]),
            ("[1] It is red.", &[("It is red.", &[1])]),
            ("It is red.\n[2] It is big.", &[("It is red.", &[]), ("It is big.", &[2])]),
            ("It is red.\n[2]", &[("It is red.", &[2])]),
            ("- red [1]\n- **big** [2]", &[("- red", &[1]), ("- **big**", &[2])]),
            ("1. Red. [1]\n2. Big. [1][1]", &[("1. Red.", &[1]), ("2. Big.", &[1])]),
            ("Use `a[3]` here. [1]", &[("Use `a[3]` here.", &[1])]),
        ];
        for (answer, expected) in cases {
            let got: Vec<(String, Vec<usize>)> =
                split(answer).into_iter().map(|s| (s.text, s.citations)).collect();
            let expected: Vec<(String, Vec<usize>)> = expected
                .iter()
                .map(|(text, citations)| (text.to_string(), citations.to_vec()))
                .collect();
            assert_eq!(got, expected, "{answer:?}");
        }
    }

    #[test]
    fn ranges_cover_sentences_with_their_markers() {
        let answer = "Ja. [1]\n\n金额三万元[2]。 End. [3]";
        let parts: Vec<&str> =
            split(answer).iter().map(|s| lectern_domain::char_slice(answer, s.range)).collect();
        assert_eq!(parts, ["Ja. [1]", "金额三万元[2]。", "End. [3]"]);
    }
}
