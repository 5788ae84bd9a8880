//! The README's chart: how many times native processor time each kernel takes, as bars on a logarithmic scale, in SVG.

use std::fmt::Write;

/// A kernel's bars: medians of hyperemu's and QEMU's time by native time.
pub struct Bars {
    /// What the kernel does.
    pub title: String,
    /// hyperemu's ratio.
    pub ours: Option<f64>,
    /// QEMU's ratio.
    pub qemu: Option<f64>,
}

const WIDTH: f64 = 760.0;
/// Where the scale begins, right of the titles, and where it ends, left of the last figure.
const LEFT: f64 = 290.0;
const RIGHT: f64 = WIDTH - 45.0;
const TOP: f64 = 34.0;
const ROW: f64 = 25.0;
const BAR: f64 = 9.0;
const MARKS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

const STYLE: &str = "text{font:12px sans-serif;fill:#24292f}.scale{text-anchor:middle;fill:#57606a}\
.title{text-anchor:end}.grid{stroke:#d0d7de}.ours{fill:#0969da}.qemu{fill:#bc8c5f}.figure{font-size:10px}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.scale{fill:#8d96a0}.grid{stroke:#30363d}\
.ours{fill:#4493f8}.qemu{fill:#9e7a53}}";

/// Draws the kernels from top to bottom.
pub fn svg(kernels: &[Bars]) -> String {
    let most = kernels.iter().flat_map(|bars| [bars.ours, bars.qemu]).flatten().fold(1.0, f64::max);
    let last = MARKS.into_iter().find(|mark| *mark >= most).unwrap_or(most);
    let x = |ratio: f64| LEFT + (RIGHT - LEFT) * ratio.max(1.0).ln() / last.ln().max(1.0);
    let bottom = TOP + ROW * kernels.len() as f64;
    let height = bottom + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n<style>{STYLE}</style>\n"
    );
    for (class, name, at) in [("ours", "hyperemu", 8.0), ("qemu", "QEMU", 92.0)] {
        let _ = writeln!(svg, "<rect class=\"{class}\" x=\"{at}\" y=\"9\" width=\"12\" height=\"9\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"18\">{name}</text>", at + 17.0);
    }
    for mark in MARKS.into_iter().filter(|mark| *mark <= last) {
        let at = x(mark);
        let label = if mark == 1.0 { "native".into() } else { format!("{mark}×") };
        let _ = writeln!(svg, "<text class=\"scale\" x=\"{at:.1}\" y=\"18\">{label}</text>");
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"24\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/>"
        );
    }
    for (index, Bars { title, ours, qemu }) in kernels.iter().enumerate() {
        let top = TOP + ROW * index as f64;
        let _ = writeln!(
            svg,
            "<text class=\"title\" x=\"{}\" y=\"{:.1}\">{title}</text>",
            LEFT - 8.0,
            top + BAR + 4.0
        );
        for (class, ratio, y) in [("ours", ours, top), ("qemu", qemu, top + BAR + 1.0)] {
            let Some(ratio) = *ratio else { continue };
            // Even what is as fast as native shows.
            let width = (x(ratio) - LEFT).max(2.0);
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>"
            );
            let (at, base) = (LEFT + width + 4.0, y + BAR - 1.0);
            let figure = super::report::figure(ratio);
            let _ = writeln!(svg, "<text class=\"figure\" x=\"{at:.1}\" y=\"{base:.1}\">{figure}</text>");
        }
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_the_logarithm() {
        let bars = |ours, qemu| Bars { title: "fib".into(), ours: Some(ours), qemu };
        let svg = svg(&[bars(2.0, Some(4.0)), bars(0.9, None), bars(16.0, Some(20.0))]);
        let widths: Vec<f64> = svg
            .split("<rect class")
            .skip(3)
            .map(|rest| rest.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(widths.len(), 5, "{svg}");
        assert!((widths[1] - 2.0 * widths[0]).abs() < 0.2, "{widths:?}");
        assert!((widths[3] - 4.0 * widths[0]).abs() < 0.3, "{widths:?}");
        assert!((widths[4] - (RIGHT - LEFT)).abs() < 0.1, "{widths:?}");
        assert_eq!(widths[2], 2.0);
        assert!(svg.contains(">20×<") && !svg.contains(">50×<"), "{svg}");
    }
}
