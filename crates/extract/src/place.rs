//! From characters to rectangles.

use lectern_domain::{CharRange, Rect, TextBox};

/// The rectangles to highlight for `range`, one for each line it touches. `boxes` are those
/// of the document, sorted by start. A document without boxes gives none.
pub fn rects(boxes: &[TextBox], range: CharRange) -> Vec<Rect> {
    let from = boxes.partition_point(|b| b.range.end <= range.start);
    let mut lines: Vec<Rect> = Vec::new();
    for b in boxes[from..].iter().take_while(|b| b.range.start < range.end) {
        match lines.last_mut() {
            Some(line) if continues(line, &b.rect) => {
                line.x0 = line.x0.min(b.rect.x0);
                line.y0 = line.y0.min(b.rect.y0);
                line.x1 = line.x1.max(b.rect.x1);
                line.y1 = line.y1.max(b.rect.y1);
            }
            _ => lines.push(b.rect),
        }
    }
    lines
}

/// Whether `next` stands on the line of `line` and near it; cells far apart stay apart.
fn continues(line: &Rect, next: &Rect) -> bool {
    let height = (line.y1 - line.y0).min(next.y1 - next.y0);
    let shared = line.y1.min(next.y1) - line.y0.max(next.y0);
    let gap = (next.x0 - line.x1).max(line.x0 - next.x1);
    line.page == next.page && shared > height / 2.0 && gap < height * 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(start: u32, end: u32, page: u32, x0: f32, y0: f32, x1: f32) -> TextBox {
        TextBox {
            range: CharRange::new(start, end),
            rect: Rect { page, x0, y0, x1, y1: y0 + 10.0 },
        }
    }

    #[test]
    fn words_of_a_line_become_one_rectangle() {
        let boxes = [
            word(0, 3, 1, 10.0, 20.0, 30.0),
            word(4, 7, 1, 33.0, 20.5, 50.0),
            word(8, 9, 1, 10.0, 34.0, 20.0),
            word(10, 12, 2, 22.0, 34.0, 40.0),
            word(13, 15, 2, 240.0, 34.0, 260.0),
        ];
        let cases =
            [(0, 15, 4), (0, 7, 1), (1, 2, 1), (3, 4, 0), (5, 9, 2), (9, 99, 2), (15, 20, 0)];
        for (start, end, count) in cases {
            assert_eq!(rects(&boxes, CharRange::new(start, end)).len(), count, "{start}..{end}");
        }
        let line = rects(&boxes, CharRange::new(0, 7));
        assert_eq!(line, [Rect { page: 1, x0: 10.0, y0: 20.0, x1: 50.0, y1: 30.5 }]);
    }
}
