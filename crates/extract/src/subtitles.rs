//! Subtitles: SubRip (.srt) and WebVTT (.vtt).

use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::compose::{Composer, DraftBlock, groups};
use crate::{ReadError, html, text};

/// Cues are joined into paragraphs until one of these seconds has passed, or who speaks changes.
const PARAGRAPH_SECONDS: u32 = 30;

/// A pause of so many seconds begins a paragraph.
const PAUSE_SECONDS: u32 = 5;

/// Anchors are the seconds at which paragraphs begin.
pub(crate) fn read(bytes: &[u8], kind: DocumentKind) -> Result<Extraction, ReadError> {
    let source = text::lines(text::decode(bytes, None)?);
    let mut composer = Composer::default();
    let mut paragraph: Option<Paragraph> = None;
    for (_, lines) in groups(&source, 1) {
        let Some((at, (start, end))) =
            lines.iter().enumerate().find_map(|(at, line)| Some((at, times(line)?)))
        else {
            // The head of the file, notes and styles; a title may stand behind the signature.
            if let Some(title) = lines[0].strip_prefix("WEBVTT") {
                composer.title = Some(title.trim_start_matches([' ', '-', '\t']).to_owned());
            }
            continue;
        };
        let cue = lines[at + 1..].join("\n");
        let (voice, said) = spoken(&cue);
        if said.is_empty() {
            continue;
        }
        if let Some(open) = paragraph.as_mut().filter(|open| {
            open.voice == voice
                && start < open.start + PARAGRAPH_SECONDS
                && start < open.end + PAUSE_SECONDS
        }) {
            // Captions of live speech repeat the line before.
            if open.last != said {
                open.text.push('\n');
                open.text.push_str(&said);
                open.last = said;
            }
            open.end = end;
            continue;
        }
        if let Some(done) = paragraph.take() {
            done.compose(&mut composer);
        }
        let text = if voice.is_empty() { said.clone() } else { format!("{voice}: {said}") };
        paragraph = Some(Paragraph { start, end, voice, text, last: said });
    }
    if let Some(done) = paragraph {
        done.compose(&mut composer);
    }
    composer.finish(kind)
}

struct Paragraph {
    start: u32,
    end: u32,
    voice: String,
    text: String,
    last: String,
}

impl Paragraph {
    fn compose(self, composer: &mut Composer) {
        composer.block(&DraftBlock::new(BlockKind::Paragraph, self.text).at(self.start));
    }
}

/// The seconds of a line such as `00:01:02,500 --> 00:01:04.000 align:left`.
fn times(line: &str) -> Option<(u32, u32)> {
    let (start, rest) = line.split_once("-->")?;
    Some((seconds(start.trim())?, seconds(rest.split_whitespace().next()?)?))
}

fn seconds(time: &str) -> Option<u32> {
    let (whole, _) = time.split_once([',', '.']).unwrap_or((time, ""));
    let steps: Vec<u32> = whole.split(':').map(|step| step.parse().ok()).collect::<Option<_>>()?;
    (2..=3).contains(&steps.len()).then_some(())?;
    steps.iter().try_fold(0u32, |sum, step| sum.checked_mul(60)?.checked_add(*step))
}

/// Who speaks (`<v Name>`), and the words without marks and styles.
fn spoken(cue: &str) -> (String, String) {
    let voice = cue.split_once("<v").and_then(|(_, rest)| {
        let (tag, _) = rest.split_once('>')?;
        let name = tag.split_once(char::is_whitespace)?.1;
        Some(name.trim().to_owned())
    });
    // Positions that some programs write in braces are no words.
    let mut cue = cue.to_owned();
    while let Some((before, rest)) = cue.split_once("{\\") {
        let Some((_, after)) = rest.split_once('}') else { break };
        cue = format!("{before}{after}");
    }
    let cue = cue.replace('\n', "<br>");
    let blocks = html::fragment(&cue);
    let said: Vec<_> = blocks.into_iter().map(|block| block.text.trim().to_owned()).collect();
    (voice.unwrap_or_default(), said.join("\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    #[test]
    fn cues_become_paragraphs_that_know_their_second() {
        let cases = [
            (
                DocumentKind::Srt,
                "1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>Hello</i>\r\nthere\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\n{\\an8}you.\r\n\r\n\
                 3\r\n01:00:00,000 --> 01:00:02,000\r\nLater.\r\n",
                "¶ Hello\nthere\nyou.\n\n¶ Later.",
                vec![1, 3600],
            ),
            (
                DocumentKind::Vtt,
                "WEBVTT - A talk\n\nNOTE not this\n\n00:11.000 --> 00:13.000 align:left\n<v Roger Bingham>We are &amp; stay\n\n\
                 id\n00:13.000 --> 00:16.000\n<v Neil>Good.\n\n00:16.000 --> 00:17.000\n<v Neil>Good.\n",
                "¶ Roger Bingham: We are & stay\n\n¶ Neil: Good.",
                vec![11, 13],
            ),
        ];
        for (kind, source, expected, seconds) in cases {
            let extraction = read(source.as_bytes(), kind).unwrap();
            assert_eq!(sketch(&extraction), expected);
            let found: Vec<u32> = extraction.anchors.iter().map(|anchor| anchor.line).collect();
            assert_eq!(found, seconds);
        }
    }
}
