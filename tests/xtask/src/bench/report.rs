//! What was measured, as a table, as JSON, as Markdown and as a chart.

use super::chart::{self, Bars};
use super::kernels::{Group, Kernel};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Processor seconds of one kernel, an element per run.
pub struct Row {
    /// Which kernel.
    pub kernel: &'static Kernel,
    /// On this machine.
    pub native: Vec<f64>,
    /// Under hyperemu.
    pub ours: Vec<f64>,
    /// Under QEMU; empty where it was left out.
    pub qemu: Vec<f64>,
}

/// Processor seconds of a whole boot, an element per run.
pub struct Boot {
    /// Under hyperemu.
    pub ours: Vec<f64>,
    /// Under QEMU; empty where it was left out.
    pub qemu: Vec<f64>,
}

/// Everything of one call.
pub struct Report {
    /// Where it was measured: the host's processor, versions, arguments.
    pub about: Vec<(&'static str, String)>,
    /// Kernels, in order.
    pub rows: Vec<Row>,
    /// The boot, unless it was left out.
    pub boot: Option<Boot>,
}

/// What several figures come to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
    /// As it would be on a processor that nothing else uses: from the least times.
    alone: f64,
}

/// What is divided by what.
type Pair = fn(&Row) -> [&[f64]; 2];

const COLUMNS: [(&str, &str, Pair); 3] = [
    ("hyperemu / native", "hyperemu_by_native", |row| [&row.ours, &row.native]),
    ("QEMU / native", "qemu_by_native", |row| [&row.qemu, &row.native]),
    ("QEMU / hyperemu", "qemu_by_hyperemu", |row| [&row.qemu, &row.ours]),
];

const GROUPS: [(&str, Group); 3] = [("user", Group::User), ("system", Group::System), ("bare", Group::Bare)];

impl Spread {
    /// Of times; `None` where there are none.
    fn of(times: &[f64]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
        Some(Self { min, median, max, alone: min })
    }

    /// Of the runs' ratios: a run's two figures were measured one after the other.
    fn of_ratios([over, under]: [&[f64]; 2]) -> Option<Self> {
        let alone = Self::of(over)?.min / Self::of(under)?.min;
        Some(Self { alone, ..Self::of(&ratios([over, under]))? })
    }

    /// Of the runs' geometric means over some rows.
    fn of_means(rows: &[&Row], pair: Pair) -> Option<Self> {
        let each: Vec<Vec<f64>> = rows.iter().map(|row| ratios(pair(row))).collect();
        let alone: Option<Vec<f64>> =
            rows.iter().map(|row| Some(Self::of_ratios(pair(row))?.alone)).collect();
        let runs = each.iter().map(Vec::len).min()?;
        let means: Vec<f64> =
            (0..runs).map(|run| geometric_mean(each.iter().map(|ratios| ratios[run]))).collect();
        Some(Self { alone: geometric_mean(alone?.into_iter()), ..Self::of(&means)? })
    }

    fn columns(self) -> [f64; 4] {
        [self.min, self.median, self.max, self.alone]
    }

    fn json(self) -> Value {
        json!({ "min": self.min, "median": self.median, "max": self.max, "alone": self.alone })
    }
}

fn ratios([over, under]: [&[f64]; 2]) -> Vec<f64> {
    over.iter().zip(under).map(|(over, under)| over / under).collect()
}

fn geometric_mean(figures: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = figures.len() as f64;
    (figures.map(f64::ln).sum::<f64>() / count).exp()
}

/// A line of the tables.
struct Line {
    name: &'static str,
    title: &'static str,
    native: Option<Spread>,
    /// As [`COLUMNS`].
    ratios: [Option<Spread>; 3],
}

impl Report {
    fn lines(&self, group: Group) -> Vec<Line> {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.kernel.group == group).collect();
        let line = |row: &&Row| Line {
            name: row.kernel.name,
            title: row.kernel.title,
            native: Spread::of(&row.native),
            ratios: COLUMNS.map(|(_, _, pair)| Spread::of_ratios(pair(row))),
        };
        let mut lines: Vec<Line> = rows.iter().map(line).collect();
        if rows.len() > 1 {
            let ratios = COLUMNS.map(|(_, _, pair)| Spread::of_means(&rows, pair));
            let title = match group {
                Group::User => "**geometric mean of programs**",
                Group::System => "**geometric mean of the system**",
                Group::Bare => "**geometric mean on bare metal**",
            };
            lines.push(Line { name: MEAN, title, native: None, ratios });
        }
        lines
    }

    /// A table for people: native seconds, and of each ratio its spread.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (name, group) in GROUPS {
            let lines = self.lines(group);
            if lines.is_empty() {
                continue;
            }
            let _ = write!(text, "{name:10}{:>8}", "native");
            COLUMNS.iter().for_each(|(column, _, _)| text += &format!(" | {column:^25}"));
            let _ = write!(text, "\n{:10}{:>8}", "", "seconds");
            text += &format!(" | {HEADING}").repeat(COLUMNS.len());
            text += "\n";
            for Line { name, native, ratios, .. } in lines {
                let native = native.map_or(String::new(), |native| format!("{:.3}", native.median));
                let _ = write!(text, "{name:10}{native:>8}");
                ratios.iter().for_each(|ratio| text += &format!(" | {:25}", cells(*ratio)));
                text.truncate(text.trim_end().len());
                text += "\n";
            }
            text += "\n";
        }
        if let Some(boot) = &self.boot {
            let _ = writeln!(text, "{:24}{HEADING}", "boot, processor seconds");
            for (name, spread) in [
                ("hyperemu", Spread::of(&boot.ours)),
                ("QEMU", Spread::of(&boot.qemu)),
                ("hyperemu / QEMU", Spread::of_ratios([&boot.ours, &boot.qemu])),
            ] {
                if spread.is_some() {
                    let _ = writeln!(text, "{name:24}{}", cells(spread));
                }
            }
            text += "\n";
        }
        text + "alone: of the least times, which nothing else on the processor's core has stretched\n"
    }

    /// The README's table: medians.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| kernel | hyperemu | QEMU | QEMU / hyperemu |\n|---|---|---|---|\n");
        let median = |ratio: Option<Spread>| ratio.map_or(String::new(), |ratio| figure(ratio.median));
        for (_, group) in GROUPS {
            for Line { title, ratios, .. } in self.lines(group) {
                let [ours, qemu, both] = ratios.map(median);
                let _ = writeln!(text, "| {title} | {ours} | {qemu} | {both} |");
            }
        }
        if let Some(boot) = &self.boot {
            let seconds =
                |times: &[f64]| Spread::of(times).map_or(String::new(), |times| figure(times.median) + " s");
            let (ours, qemu) = (seconds(&boot.ours), seconds(&boot.qemu));
            let both = median(Spread::of_ratios([&boot.qemu, &boot.ours]));
            let _ = writeln!(text, "| Linux boot and power-off | {ours} | {qemu} | {both} |");
        }
        text
    }

    /// The README's chart, as SVG.
    pub fn chart(&self) -> String {
        let lines = GROUPS.iter().flat_map(|(_, group)| self.lines(*group));
        let bars = lines.map(|Line { title, ratios: [ours, qemu, _], .. }| Bars {
            title: title.trim_matches('*').to_owned(),
            ours: ours.map(|ratio| ratio.median),
            qemu: qemu.map(|ratio| ratio.median),
        });
        chart::svg(&bars.collect::<Vec<_>>())
    }

    /// Every figure, and what they come to.
    pub fn json(&self) -> Value {
        let ratios = |line: &Line| {
            let keys = COLUMNS.iter().map(|(_, key, _)| (*key).to_owned());
            let values = line.ratios.iter().map(|ratio| ratio.map(Spread::json).into());
            keys.zip(values).collect::<Map<_, _>>()
        };
        let (mut kernels, mut means) = (Vec::new(), Map::new());
        for (name, group) in GROUPS {
            for line in self.lines(group) {
                match self.rows.iter().find(|row| row.kernel.name == line.name) {
                    Some(row) => kernels.push(json!({
                        "name": line.name, "group": name, "native_s": row.native, "hyperemu_s": row.ours,
                        "qemu_s": row.qemu, "ratios": ratios(&line),
                    })),
                    None => drop(means.insert(name.into(), ratios(&line).into())),
                }
            }
        }
        let boot = self.boot.as_ref().map(|boot| {
            let ratio = Spread::of_ratios([&boot.ours, &boot.qemu]).map(Spread::json);
            json!({ "hyperemu_s": boot.ours, "qemu_s": boot.qemu, "hyperemu_by_qemu": ratio })
        });
        let about = self.about.iter().map(|(key, value)| ((*key).to_owned(), json!(value)));
        json!({ "about": about.collect::<Map<_, _>>(), "kernels": kernels, "geometric_means": means, "boot": boot })
    }
}

/// The name of the line of geometric means; no kernel has it.
const MEAN: &str = "geo. mean";

const HEADING: &str = "   min    med    max alone";

fn cells(spread: Option<Spread>) -> String {
    spread.map_or(String::new(), |spread| {
        let [min, median, max, alone] = spread.columns().map(figure);
        format!("{min:>6} {median:>6} {max:>6} {alone:>5}")
    })
}

/// Three digits, as far as they fit.
pub fn figure(value: f64) -> String {
    let digits = [100.0, 10.0].iter().filter(|limit| value < **limit).count();
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::super::kernels::KERNELS;
    use super::*;

    fn report() -> Report {
        let row = |index: usize, native: [f64; 3], ours: f64, qemu: f64| Row {
            kernel: &KERNELS[index],
            native: native.to_vec(),
            ours: vec![4.0 * ours, ours, 2.0 * ours],
            qemu: vec![qemu; 3],
        };
        Report {
            about: vec![("host", "a".into())],
            rows: vec![row(0, [0.1; 3], 0.2, 0.8), row(1, [0.1, 0.2, 0.1], 0.8, 0.8)],
            boot: Some(Boot { ours: vec![1.0], qemu: vec![2.0] }),
        }
    }

    #[test]
    fn spread_is_of_the_sorted_figures() {
        let columns = |figures: &[f64]| Spread::of(figures).map(Spread::columns);
        assert_eq!(columns(&[3.0, 1.0, 2.0]), Some([1.0, 2.0, 3.0, 1.0]));
        assert_eq!(columns(&[4.0, 1.0, 2.0, 3.0]), Some([1.0, 2.5, 4.0, 1.0]));
        assert_eq!(columns(&[]), None);
    }

    #[test]
    fn ratios_are_by_run_and_of_the_least_times() {
        let rows = report().rows;
        let nbody = Spread::of_ratios([&rows[1].ours, &rows[1].native]).unwrap();
        for (found, expected) in nbody.columns().into_iter().zip([4.0, 16.0, 32.0, 8.0]) {
            assert!((found - expected).abs() < 1e-9, "{nbody:?}");
        }
    }

    #[test]
    fn means_are_geometric_and_by_run() {
        let json = report().json();
        let ours = &json["geometric_means"]["user"]["hyperemu_by_native"];
        // Runs of 8 and 32, 2 and 4, 4 and 16; least times of 2 and 8.
        for (name, expected) in [("min", 8f64.sqrt()), ("median", 8.0), ("max", 16.0), ("alone", 4.0)] {
            assert!((ours[name].as_f64().unwrap() - expected).abs() < 1e-9, "{name}: {ours}");
        }
        assert_eq!(json["kernels"][0]["ratios"]["qemu_by_hyperemu"]["max"], 4.0);
        assert_eq!(json["boot"]["hyperemu_by_qemu"]["median"], 0.5);
        assert!(json["geometric_means"]["system"].is_null());
    }

    #[test]
    fn tables_have_a_line_per_kernel() {
        let (table, markdown) = (report().table(), report().markdown());
        let line = "nbody        0.100 |   4.00   16.0   32.0  8.00 |";
        assert!(table.contains(line), "{table}");
        assert!(table.contains(MEAN) && table.contains("hyperemu / QEMU"), "{table}");
        assert!(markdown.contains("| nbody (double) | 16.0 | 8.00 | 0.50 |"), "{markdown}");
        assert!(markdown.contains("| Linux boot and power-off | 1.00 s | 2.00 s | 2.00 |"), "{markdown}");
    }
}
