//! Where the lines of text are: "Real-time Scene Text Detection with Differentiable Binarization"
//! (Liao et al. 2020, arXiv:1911.08947).
//!
//! The network gives a map of how likely each pixel is inside of a line's *kernel*: the line's
//! polygon shrunk by an offset, so that neighbouring lines stay apart. Each connected part of the map
//! above a threshold is a kernel; the smallest rectangle around it, grown again by the offset
//! `area · ratio / perimeter`, is the line (section 3.4 of the paper).

use rten::Model;
use rten_imageproc::{PointF, RotatedRect, min_area_rect};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

use super::OcrError;
use super::picture::{Picture, Region};

/// The picture is brought to this many pixels on its longer side: letters of 8 points on a page of A4
/// then have six pixels for their x-height.
const SIDE: usize = 1408;

/// The network halves the picture five times.
const MULTIPLE: usize = 32;

/// Mean and standard deviation of the pictures that the network was trained with, for blue, green
/// and red of 0 to 1: ImageNet's.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// A pixel likelier than this belongs to a kernel; a box whose pixels are less likely than the other
/// in the mean is none. They and the ratio are those that the network is published with.
const PIXEL: f32 = 0.2;
const BOX: f32 = 0.45;
const GROW: f32 = 1.4;

/// Kernels thinner than this many pixels of the map are noise.
const THIN: f32 = 3.0;

/// More boxes than this are no text.
const MAX_BOXES: usize = 3000;

/// A line of text as a rectangle in a picture, which may be turned by any angle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quad {
    /// The corner where the line's first character has its top.
    pub origin: [f32; 2],
    /// From there to the line's end.
    pub along: [f32; 2],
    /// From there to the line's bottom.
    pub down: [f32; 2],
}

impl Quad {
    /// From the first to the last character.
    pub(super) fn length(&self) -> f32 {
        self.along[0].hypot(self.along[1])
    }

    /// From the top to the bottom of its letters.
    pub(super) fn height(&self) -> f32 {
        self.down[0].hypot(self.down[1])
    }

    /// Whether its longer sides go up or down the picture: one and a half times as high as it is
    /// wide, which a single letter is not.
    pub(super) fn is_tall(&self) -> bool {
        let extent = |axis: usize| self.along[axis].abs() + self.down[axis].abs();
        extent(1) > 1.5 * extent(0)
    }

    /// Has a line that runs to the right run downwards.
    pub(super) fn stand(&mut self) {
        if self.along[0].abs() >= self.along[1].abs() {
            *self = Self {
                origin: [self.origin[0] + self.along[0], self.origin[1] + self.along[1]],
                along: self.down,
                down: self.along.map(|value| -value),
            };
        }
    }

    /// Has the line run the other way.
    pub(super) fn turn_round(&mut self) {
        for axis in 0..2 {
            self.origin[axis] += self.along[axis] + self.down[axis];
            self.along[axis] = -self.along[axis];
            self.down[axis] = -self.down[axis];
        }
    }

    /// The rectangle with its sides named as if its line ran to the right.
    fn lying(rect: &RotatedRect) -> Self {
        let corners = rect.corners().map(|corner| [corner.x, corner.y]);
        // Of the four ways to name the sides the one whose line runs to the right most.
        let named = (0..4).map(|first| {
            let [from, to, below] = [0, 1, 3].map(|step| corners[(first + step) % 4]);
            Self {
                origin: from,
                along: [to[0] - from[0], to[1] - from[1]],
                down: [below[0] - from[0], below[1] - from[1]],
            }
        });
        let rightwards = |quad: &Self| quad.along[0] / quad.length().max(f32::EPSILON);
        let downwards = |quad: &Self| quad.down[1] > 0.0;
        let mut best = Self { origin: corners[0], along: [0.0; 2], down: [0.0; 2] };
        for quad in named.filter(downwards) {
            if best.along == [0.0; 2] || rightwards(&quad) > rightwards(&best) {
                best = quad;
            }
        }
        best
    }
}

/// The lines of a picture, from top to bottom, as if all ran to the right.
pub(super) fn lines(model: &Model, picture: &Picture) -> Result<Vec<Quad>, OcrError> {
    let (width, height) = (picture.width as f32, picture.height as f32);
    let scale = (SIDE as f32 / width.max(height)).min(2.0);
    let fitted = |side: f32| {
        ((side * scale / MULTIPLE as f32).round() as usize).clamp(1, SIDE / MULTIPLE) * MULTIPLE
    };
    let (columns, rows) = (fitted(width), fitted(height));
    let whole = Region { origin: [0.0, 0.0], along: [width, 0.0], down: [0.0, height] };
    let mut input = NdTensor::<f32, 4>::zeros([1, 3, rows, columns]);
    if let Some(planes) = input.data_mut() {
        picture.sample(&whole, columns, rows, |x, y, pixel| {
            for (channel, value) in pixel.iter().rev().enumerate() {
                planes[(channel * rows + y) * columns + x] =
                    (value / 255.0 - MEAN[channel]) / DEVIATION[channel];
            }
        });
    }
    let output = model.run_one(input.into(), None).map_err(|e| OcrError::Run(e.to_string()))?;
    let map: NdTensor<f32, 4> =
        output.try_into().map_err(|_| OcrError::Run("it gives no map".into()))?;
    if map.shape() != [1, 1, rows, columns] {
        return Err(OcrError::Run(format!("its map has the shape {:?}", map.shape())));
    }
    let map = map.to_vec();
    let (x, y) = (width / columns as f32, height / rows as f32);
    let to_picture = |[u, v]: [f32; 2]| [u * x, v * y];
    let mut quads: Vec<Quad> = kernels(&map, columns, rows)
        .iter()
        .filter_map(|outline| grow(outline, &map, columns, rows))
        .map(|rect| Quad::lying(&rect))
        .map(|Quad { origin, along, down }| Quad {
            origin: to_picture(origin),
            along: to_picture(along),
            down: to_picture(down),
        })
        .take(MAX_BOXES)
        .collect();
    quads.sort_by(|a, b| {
        let middle = |quad: &Quad| quad.origin[1] + (quad.along[1] + quad.down[1]) / 2.0;
        middle(a).total_cmp(&middle(b))
    });
    Ok(quads)
}

/// The connected parts (by edges and corners) of the map above [`PIXEL`], each as the corners of
/// the first and last pixel of its runs, which have the same smallest rectangle as the whole part.
fn kernels(map: &[f32], columns: usize, rows: usize) -> Vec<Vec<PointF>> {
    /// Neighbouring pixels of a row, and the part they belong to.
    struct Run {
        row: usize,
        from: usize,
        to: usize,
    }
    /// The part that `of` was joined to.
    fn root(parents: &mut [usize], mut of: usize) -> usize {
        while parents[of] != of {
            parents[of] = parents[parents[of]];
            of = parents[of];
        }
        of
    }
    let (mut runs, mut parents): (Vec<Run>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut above = 0..0;
    for row in 0..rows {
        let line = &map[row * columns..(row + 1) * columns];
        let first = runs.len();
        let (mut at, mut candidate) = (0, above.start);
        while at < columns {
            if line[at] <= PIXEL {
                at += 1;
                continue;
            }
            let from = at;
            while at < columns && line[at] > PIXEL {
                at += 1;
            }
            let own = runs.len();
            runs.push(Run { row, from, to: at });
            parents.push(own);
            while candidate < above.end && runs[candidate].to < from {
                candidate += 1;
            }
            let mut touching = candidate;
            while touching < above.end && runs[touching].from <= at {
                let (one, other) = (root(&mut parents, touching), root(&mut parents, own));
                parents[one.max(other)] = one.min(other);
                touching += 1;
            }
        }
        above = first..runs.len();
    }
    let mut parts: std::collections::BTreeMap<usize, Vec<PointF>> = Default::default();
    for (index, run) in runs.iter().enumerate() {
        let part = parts.entry(root(&mut parents, index)).or_default();
        for (x, y) in
            [(run.from, run.row), (run.to, run.row), (run.from, run.row + 1), (run.to, run.row + 1)]
        {
            part.push(PointF::from_yx(y as f32, x as f32));
        }
    }
    parts.into_values().collect()
}

/// The line of a kernel, in pixels of the map; `None` where it is noise.
fn grow(outline: &[PointF], map: &[f32], columns: usize, rows: usize) -> Option<RotatedRect> {
    let rect = min_area_rect(&without_inner(outline))?;
    let (width, height) = (rect.width(), rect.height());
    if width.min(height) < THIN || likelihood(&rect, map, columns, rows) < BOX {
        return None;
    }
    let offset = width * height * GROW / (2.0 * (width + height));
    Some(rect.expanded(2.0 * offset, 2.0 * offset))
}

/// Of the points on each height the first and the last, each once: the others are inside of the hull.
fn without_inner(outline: &[PointF]) -> Vec<PointF> {
    let mut ends: std::collections::BTreeMap<i32, (f32, f32)> = Default::default();
    for point in outline {
        let (from, to) = ends.entry(point.y as i32).or_insert((point.x, point.x));
        (*from, *to) = (from.min(point.x), to.max(point.x));
    }
    let both =
        |(y, (from, to)): (i32, (f32, f32))| [from, to].map(|x| PointF::from_yx(y as f32, x));
    ends.into_iter().flat_map(both).collect()
}

/// The mean of the map inside of a rectangle.
fn likelihood(rect: &RotatedRect, map: &[f32], columns: usize, rows: usize) -> f32 {
    let corners = rect.corners();
    let low = |of: fn(&PointF) -> f32| corners.iter().map(of).fold(f32::MAX, f32::min).max(0.0);
    let high = |of: fn(&PointF) -> f32| corners.iter().map(of).fold(0.0, f32::max).ceil();
    let (mut sum, mut count) = (0.0, 0usize);
    for y in low(|p| p.y) as usize..(high(|p| p.y) as usize).min(rows) {
        for x in low(|p| p.x) as usize..(high(|p| p.x) as usize).min(columns) {
            if rect.contains(PointF::from_yx(y as f32 + 0.5, x as f32 + 0.5)) {
                sum += map[y * columns + x];
                count += 1;
            }
        }
    }
    sum / count.max(1) as f32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A map of likelihoods, a digit a pixel in tenths.
    fn map(rows: &[&str]) -> (Vec<f32>, usize, usize) {
        let pixels = rows.iter().flat_map(|row| row.bytes());
        let pixels = pixels.map(|byte| f32::from(byte - b'0') / 10.0).collect();
        (pixels, rows[0].len(), rows.len())
    }

    #[test]
    fn kernels_are_what_is_connected_also_round_a_corner_and_at_corners_only() {
        let (pixels, columns, rows) =
            map(&["0990099000", "0900009000", "0999999002", "0000000090", "8800000000"]);
        let kernels = kernels(&pixels, columns, rows);
        let extents: Vec<[f32; 4]> = kernels
            .iter()
            .map(|part| {
                let low = |of: fn(&PointF) -> f32| part.iter().map(of).fold(f32::MAX, f32::min);
                let high = |of: fn(&PointF) -> f32| part.iter().map(of).fold(0.0, f32::max);
                [low(|p| p.x), low(|p| p.y), high(|p| p.x), high(|p| p.y)]
            })
            .collect();
        assert_eq!(extents, [[1.0, 0.0, 7.0, 3.0], [8.0, 3.0, 9.0, 4.0], [0.0, 4.0, 2.0, 5.0]]);
    }

    #[test]
    fn a_kernel_grows_by_the_share_of_its_area_and_noise_is_left_out() {
        let bar = |likelihood: f32, height: usize| {
            let mut pixels = vec![0.0; 60 * 20];
            for row in 5..5 + height {
                pixels[row * 60 + 10..row * 60 + 50].fill(likelihood);
            }
            let parts = kernels(&pixels, 60, 20);
            grow(&parts[0], &pixels, 60, 20)
        };
        // 40 by 4 pixels: 160 · 1.4 / 88 = 2.5 in every direction.
        let line = Quad::lying(&bar(0.9, 4).unwrap());
        assert!(
            (line.length() - 45.1).abs() < 0.1 && (line.height() - 9.1).abs() < 0.1,
            "{line:?}"
        );
        assert!((line.origin[0] - 7.45).abs() < 0.1 && (line.origin[1] - 2.45).abs() < 0.1);
        assert!(bar(0.9, 2).is_none(), "a stroke of two pixels");
        assert!(bar(0.3, 4).is_none(), "what is unlikely");
    }

    #[test]
    fn a_line_can_be_read_in_four_directions() {
        let lying = Quad { origin: [10.0, 20.0], along: [100.0, 0.0], down: [0.0, 8.0] };
        let mut quad = lying;
        quad.turn_round();
        assert_eq!(quad, Quad { origin: [110.0, 28.0], along: [-100.0, 0.0], down: [0.0, -8.0] });
        quad.turn_round();
        assert_eq!(quad, lying);
        // A tall rectangle is named as if its line ran to the right; its line runs down.
        let mut tall = Quad { origin: [10.0, 20.0], along: [8.0, 0.0], down: [0.0, 100.0] };
        assert!(tall.is_tall() && !lying.is_tall());
        tall.stand();
        assert_eq!(tall, Quad { origin: [18.0, 20.0], along: [0.0, 100.0], down: [-8.0, 0.0] });
    }
}
